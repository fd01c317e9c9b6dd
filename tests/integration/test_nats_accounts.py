"""The services among themselves, and readers in their account, on a server with deploy/nats/nats.conf.

First that everybody gets what they need, through the same calls as in production; then that a reader who means
harm reaches nothing in the services' account.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from nats.aio.msg import Msg

from hoga.runtime.nats_bus import NatsBus
from hoga.testing.nats_server import NatsServer
from hoga.wire import subjects

from .deployed_nats import PASSWORDS, Probe, bus_of, deployed_server, probe_of
from .nats_bus_support import Received

BOOK = subjects.book("upbit", "BTC-KRW")
OTHER_BOOK = subjects.book("upbit", "ETH-KRW")
AUDIBLE = {
    subjects.link("upbit", "upbit-0"),
    subjects.event("upbit", "BTC-KRW"),
    subjects.universe("upbit"),
    subjects.instruments("upbit"),
    subjects.health("validator", "a1b2c3"),
}
TARGETS = (
    subjects.raw("upbit", "BTC-KRW"),
    OTHER_BOOK,
    subjects.rpc("snapshot", "upbit"),
    subjects.rpc("reconnect", "upbit"),
    *sorted(AUDIBLE),
)
"""Where a forged message would do harm; the last of them a reader may hear itself."""

Buses = dict[str, NatsBus]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with deployed_server(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def buses(server: NatsServer, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Buses]:
    """A bus of every user, the streams made as the services make them; a denial anywhere fails the test."""
    async with AsyncExitStack() as stack:
        made = {user: await stack.enter_async_context(bus_of(server, user)) for user in PASSWORDS}
        for maker in ("validator", "window"):
            await made[maker].ensure_stream("BOOKS", [subjects.book("*")], max_bytes=64 << 20, max_age_s=20.0)
        await made["aggregator"].ensure_stream("UNIVERSE", [subjects.universe(">")], max_bytes=16 << 20)
        await made["ingest"].ensure_stream("INSTRUMENTS", [subjects.instruments("*")], max_bytes=16 << 20)
        yield made
        assert "permission denied" not in caplog.text


async def test_frames_flow_from_ingest_to_the_validator(buses: Buses) -> None:
    frames, links = Received(), Received()
    await buses["validator"].subscribe(subjects.raw("*"), frames)
    await buses["monitor"].subscribe(subjects.link("*"), links)
    for subject, payload in ((subjects.raw("upbit", "BTC-KRW"), b"frame"), (subjects.raw_link("upbit"), b"event")):
        buses["ingest"].publish(subject, payload)
        await frames.payload(payload)
    buses["ingest"].publish(subjects.link("upbit", "upbit-0"), b"link")
    await links.payload(b"link")


@pytest.mark.parametrize(
    ("asker", "method", "server_user"),
    [
        ("validator", "snapshot", "ingest"),
        ("validator", "resubscribe", "ingest"),
        ("aggregator", "listing", "ingest"),
        ("monitor", "reconnect", "ingest"),
        ("consumer", "book", "validator"),
    ],
)
async def test_requests_are_answered(buses: Buses, asker: str, method: str, server_user: str) -> None:
    async def answer(_subject: str, payload: bytes) -> bytes:
        return b"answer to " + payload

    await buses[server_user].serve(subjects.rpc(method, "upbit"), answer)
    for number in (b"1", b"2"):
        assert await buses[asker].request(subjects.rpc(method, "upbit"), number, timeout_s=30) == b"answer to " + number


async def test_the_universe_reaches_ingest_and_readers(buses: Buses) -> None:
    buses["aggregator"].publish(subjects.universe("upbit"), b"first")
    followed, heard = Received(), Received()
    await buses["consumer"].subscribe(subjects.universe("*"), heard)
    await buses["ingest"].subscribe_last("UNIVERSE", subjects.universe("upbit"), followed)
    await followed.payload(b"first")
    buses["aggregator"].publish(subjects.universe("upbit"), b"second")
    await followed.payload(b"second")
    await heard.payload(b"second")
    for user in ("aggregator", "consumer"):
        assert await buses[user].last("UNIVERSE", subjects.universe("upbit")) == b"second"


@pytest.mark.parametrize("user", ["validator", "aggregator", "monitor"])
async def test_what_is_listed_reaches_the_services_late_or_not(buses: Buses, user: str) -> None:
    listed = subjects.instruments("upbit")
    buses["ingest"].publish(listed, b"before")
    followed = Received()
    await buses[user].subscribe_last("INSTRUMENTS", subjects.instruments("*"), followed)
    await followed.payload(b"before")
    buses["ingest"].publish(listed, b"after")
    await followed.payload(b"after")
    assert await buses[user].last("INSTRUMENTS", listed) == b"after"


async def test_what_is_listed_reaches_readers(buses: Buses) -> None:
    listed, heard = subjects.instruments("upbit"), Received()
    await buses["consumer"].subscribe(subjects.instruments("*"), heard)
    buses["ingest"].publish(listed, b"list")
    await heard.payload(b"list")
    await _until_kept(buses["consumer"], b"list", listed, "INSTRUMENTS")


@pytest.mark.parametrize("reader", ["consumer", "monitor"])
async def test_a_late_reader_starts_with_the_last_book(buses: Buses, reader: str) -> None:
    buses["validator"].publish(BOOK, b"before")
    await _until_kept(buses[reader], b"before")
    books = Received()
    await buses[reader].subscribe_last("BOOKS", "ob.v1.book.>", books)
    await books.payload(b"before")
    buses["validator"].publish(BOOK, b"after")
    await books.payload(b"after")


@pytest.mark.parametrize("reader", ["consumer", "monitor"])
async def test_many_large_books_arrive_under_flow_control(buses: Buses, reader: str) -> None:
    """Some megabytes at once: the server pauses until the reader answers its flow control."""
    names = [subjects.book("upbit", f"S{number}-KRW") for number in range(600)]
    for name in names:
        buses["validator"].publish(name, name.encode() * 512)
        await asyncio.sleep(0)
    await _until_kept(buses[reader], names[-1].encode() * 512, names[-1])
    books = Received()
    await buses[reader].subscribe_last("BOOKS", "ob.v1.book.>", books)
    await books.until(lambda: len({subject for subject, _ in books.messages}) == len(names))


@pytest.mark.parametrize("reader", ["consumer", "monitor"])
async def test_readers_hear_events_links_and_health(buses: Buses, reader: str) -> None:
    for user, subject in (
        ("validator", subjects.event("upbit", "BTC-KRW")),
        ("ingest", subjects.link("upbit", "upbit-0")),
        ("ingest", subjects.health("ingest-upbit", "a1b2c3")),
        ("aggregator", subjects.health("aggregator", "a1b2c3")),
    ):
        heard = Received()
        await buses[reader].subscribe(".".join([*subject.split(".")[:3], ">"]), heard)
        buses[user].publish(subject, b"hear")
        await heard.payload(b"hear")


async def test_readers_get_books_again_after_the_server_lost_its_memory(server: NatsServer, buses: Buses) -> None:
    books = Received()
    await buses["consumer"].subscribe_last("BOOKS", "ob.v1.book.>", books)
    buses["validator"].publish(BOOK, b"before")
    await books.payload(b"before")
    server.kill()
    server.start()
    async with asyncio.timeout(60):
        while b"after" not in books.payloads:
            buses["validator"].publish(BOOK, b"after")
            await asyncio.sleep(0.05)


# --- a reader who means harm


async def test_a_consumer_that_delivers_elsewhere_reaches_no_service(server: NatsServer, buses: Buses) -> None:
    heard = await _services_ears(buses)
    async with probe_of(server, "consumer") as probe:
        struck = await _own_ears(probe)
        buses["validator"].publish(BOOK, b"book")
        await _until_kept(buses["consumer"], b"book")
        for target in TARGETS:
            await _deliver_to(probe, target)
        await struck.until(lambda: {target for target, _ in struck.messages} == AUDIBLE)
        await _after_everything(buses, heard)
    assert heard.messages == [(BOOK, b"book")]


async def test_an_answer_aimed_elsewhere_reaches_no_service(server: NatsServer, buses: Buses) -> None:
    async def answer(_subject: str, _payload: bytes) -> bytes:
        return b"a full book"

    await buses["validator"].serve(subjects.rpc("book", "upbit"), answer)
    buses["aggregator"].publish(subjects.universe("bithumb"), b"universe")
    buses["ingest"].publish(subjects.instruments("bithumb"), b"instruments")
    buses["validator"].publish(BOOK, b"book")
    await _until_kept(buses["consumer"], b"book")
    heard = await _services_ears(buses)
    requests = (
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.BOOKS",
        f"$JS.API.DIRECT.GET.BOOKS.{BOOK}",
        f"$JS.API.DIRECT.GET.UNIVERSE.{subjects.universe('bithumb')}",
        f"$JS.API.DIRECT.GET.INSTRUMENTS.{subjects.instruments('bithumb')}",
        subjects.rpc("book", "upbit"),
    )
    async with probe_of(server, "consumer") as probe:
        struck = await _own_ears(probe)
        for target in TARGETS:
            for request in requests:
                await probe.client.publish(request, b"", reply=target)
        await struck.until(lambda: len(struck.messages) >= len(AUDIBLE) * len(requests))
        await _after_everything(buses, heard)
    assert heard.messages == []
    assert await buses["monitor"].last("BOOKS", subjects.book("upbit", "ETH-KRW")) is None


async def test_a_reader_does_not_even_see_what_follows_the_services_stream(server: NatsServer, buses: Buses) -> None:
    buses["validator"].publish(BOOK, b"book")
    followed = Received()
    await buses["monitor"].subscribe_last("BOOKS", "ob.v1.book.>", followed)
    await followed.payload(b"book")
    async with probe_of(server, "consumer") as probe:
        answer = await probe.client.request("$JS.API.STREAM.INFO.BOOKS", b"", 30)
        assert json.loads(answer.data)["state"]["consumer_count"] == 0


async def _until_kept(reader: NatsBus, payload: bytes, subject: str = BOOK, stream: str = "BOOKS") -> None:
    """Those who hear a subject may hear it before its stream has it."""
    async with asyncio.timeout(30):
        while await reader.last(stream, subject) != payload:
            await asyncio.sleep(0.01)


async def _services_ears(buses: Buses) -> Received:
    """Hears everything in the services' account that a forged message could be."""
    heard = Received()
    for kind in ("raw", "book", "event", "link", "universe", "instruments", "health"):
        await buses["monitor"].subscribe(f"ob.v1.{kind}.>", heard)
    for method in ("snapshot", "resubscribe", "reconnect", "listing"):
        await buses["ingest"].subscribe(f"ob.v1.rpc.{method}.*", heard)
    return heard


async def _own_ears(probe: Probe) -> Received:
    """Hears what strikes in the reader's own account, under the subject it was aimed at: the proof that it was sent."""
    struck = Received()

    def hear(target: str) -> Callable[[Msg], Awaitable[None]]:
        async def on_message(message: Msg) -> None:
            struck(target, message.data)

        return on_message

    for target in sorted(AUDIBLE):
        await probe.client.subscribe(target, cb=hear(target))
    assert not await probe.denied()
    return struck


async def _deliver_to(probe: Probe, target: str) -> None:
    """A push consumer of the readers' stream with a subject of the services as its destination."""
    name = f"evil-{TARGETS.index(target)}"
    config = {
        "name": name,
        "deliver_subject": target,
        "deliver_policy": "last_per_subject",
        "filter_subject": BOOK,
        "ack_policy": "none",
    }
    body = json.dumps({"stream_name": "BOOKS", "config": config}).encode()
    answer = await probe.client.request(f"$JS.API.CONSUMER.CREATE.BOOKS.{name}.{BOOK}", body, 30)
    error = json.loads(answer.data).get("error")
    # Only where the destination is a subject of the stream itself does the server refuse.
    assert (error is None) == (target != OTHER_BOOK), error


async def _after_everything(buses: Buses, heard: Received) -> None:
    """A message of ours goes the same way last: what came before it is heard by then."""
    end = (subjects.raw("upbit", "END-KRW"), b"end")
    buses["ingest"].publish(*end)
    await heard.payload(end[1])
    heard.messages.remove(end)
