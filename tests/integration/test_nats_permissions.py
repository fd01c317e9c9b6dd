"""What every user of deploy/nats/nats.conf may do, and everything else, on a real server.

The tables below hold what is allowed. All that is tried and not in them must be denied, so a permission that
is too wide fails here as surely as one that is missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from nats import errors as nats_errors
from nats.aio.client import Client

from hoga.domain.errors import BusError
from hoga.testing.nats_server import NatsServer
from hoga.wire import subjects

from .deployed_nats import PASSWORDS, bus_of, deployed_server, probe_of

SERVICES = ("ingest-upbit", "validator", "aggregator", "monitor", "window")
METHODS = ("snapshot", "resubscribe", "reconnect", "listing", "book")
DATA = {
    "raw": "ob.v1.raw.upbit.BTC-KRW",
    "book": "ob.v1.book.upbit.BTC-KRW",
    "event": "ob.v1.event.upbit.BTC-KRW",
    "link": "ob.v1.link.upbit.upbit-0",
    "universe": "ob.v1.universe.upbit",
    "instruments": "ob.v1.instruments.upbit",
}
HEALTH = {service: f"ob.v1.health.{service}.a1b2c3" for service in SERVICES}
RPC = {method: f"ob.v1.rpc.{method}.upbit" for method in METHODS}
STRANGE = {
    "_INBOX.somebody.else",
    "_R_.somebody.else",
    "anything",
    "ob.v1",
    "ob.v1.raw.upbit",
    "ob.v1.raw.upbit.BTC-KRW.more",
    "ob.v1.instruments.upbit.more",
    "ob.v2.book.upbit.BTC-KRW",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.ACCOUNT.SERVICES.CONNZ",
    "$JS.ACK.BOOKS.c.1.1.1.1.0",
    "$JS.API.ACCOUNT.PURGE.SERVICES",
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
}


def js(stream: str) -> dict[str, str]:
    """Every call of the JetStream API on one stream."""
    api, book = "$JS.API", "ob.v1.book.upbit.BTC-KRW"
    calls = {
        name: f"{api}.{name.replace(' ', '.')}.{stream}"
        for name in (
            *("STREAM CREATE", "STREAM UPDATE", "STREAM INFO", "STREAM DELETE", "STREAM PURGE", "STREAM MSG GET"),
            *("STREAM MSG DELETE", "STREAM SNAPSHOT", "STREAM RESTORE", "STREAM LEADER STEPDOWN"),
            *("CONSUMER CREATE", "CONSUMER LIST", "CONSUMER NAMES", "DIRECT GET"),
        )
    }
    for name in ("CONSUMER INFO", "CONSUMER DELETE", "CONSUMER DURABLE CREATE", "CONSUMER MSG NEXT", "CONSUMER PAUSE"):
        calls[name] = f"{api}.{name.replace(' ', '.')}.{stream}.c"
    return calls | {
        "CONSUMER CREATE with a filter": f"{api}.CONSUMER.CREATE.{stream}.c.{book}",
        "DIRECT GET of a subject": f"{api}.DIRECT.GET.{stream}.{book}",
        "flow control": f"$JS.FC.{stream}.c.x",
    }


BOOKS, UNIVERSE, INSTRUMENTS, OTHER = js("BOOKS"), js("UNIVERSE"), js("INSTRUMENTS"), js("OTHER")
TRIED = {
    *(*DATA.values(), *HEALTH.values(), *RPC.values(), *STRANGE),
    *(*BOOKS.values(), *UNIVERSE.values(), *INSTRUMENTS.values(), *OTHER.values()),
}
FOLLOW = ("STREAM INFO", "CONSUMER CREATE with a filter", "CONSUMER DELETE", "flow control")
"""What `subscribe_last` takes."""
_LISTED = {*(INSTRUMENTS[call] for call in FOLLOW), INSTRUMENTS["DIRECT GET of a subject"]}
MAY_PUBLISH: dict[str, set[str]] = {
    "ingest": {
        *(DATA["raw"], DATA["link"], DATA["instruments"], HEALTH["ingest-upbit"]),
        *(INSTRUMENTS["STREAM CREATE"], INSTRUMENTS["STREAM UPDATE"]),
        *(UNIVERSE[call] for call in FOLLOW),
    },
    "validator": {
        *(DATA["book"], DATA["event"], HEALTH["validator"], RPC["snapshot"], RPC["resubscribe"]),
        *(BOOKS["STREAM CREATE"], BOOKS["STREAM UPDATE"], BOOKS["DIRECT GET of a subject"]),
        *_LISTED,
    },
    "aggregator": {
        *(DATA["universe"], HEALTH["aggregator"], RPC["listing"]),
        *(UNIVERSE["STREAM CREATE"], UNIVERSE["STREAM UPDATE"], UNIVERSE["DIRECT GET of a subject"]),
        *_LISTED,
    },
    "monitor": {
        *(HEALTH["monitor"], RPC["reconnect"], BOOKS["DIRECT GET of a subject"]),
        *(BOOKS[call] for call in FOLLOW),
        *_LISTED,
    },
    "window": {HEALTH["window"], BOOKS["STREAM CREATE"], BOOKS["STREAM UPDATE"]},
    "consumer": {
        *(RPC["book"], "$JS.API.INFO", "$JS.API.STREAM.NAMES"),
        *(BOOKS[call] for call in FOLLOW),
        *(BOOKS["CONSUMER CREATE"], BOOKS["CONSUMER INFO"], BOOKS["CONSUMER MSG NEXT"]),
        *(BOOKS["DIRECT GET"], BOOKS["DIRECT GET of a subject"], UNIVERSE["DIRECT GET of a subject"]),
        INSTRUMENTS["DIRECT GET of a subject"],
    },
}

ALL_OF = {name: f"ob.v1.{name}.>" for name in ("raw", "book", "event", "link", "universe", "instruments", "health")}
LISTENED = {
    *(">", "ob.>", "ob.v1.>", "ob.v1.*.upbit.*", "ob.v1.rpc.>", "_INBOX.>", "_R_.>"),
    *("$SYS.>", "$JS.>", "$JS.API.>", "$JS.EVENT.>"),
    *(*ALL_OF.values(), *DATA.values(), *HEALTH.values(), *RPC.values()),
}
_HEALTH = set(HEALTH.values())
_HEAR_LISTED = {DATA["instruments"], ALL_OF["instruments"]}
"""To the server `*` also allows a subscription that ends in `>`."""
MAY_HEAR: dict[str, set[str]] = {
    "ingest": {"_INBOX.>", *(RPC[method] for method in METHODS if method != "book")},
    "validator": {"_INBOX.>", DATA["raw"], RPC["book"]} | _HEAR_LISTED,
    "aggregator": {"_INBOX.>"} | _HEALTH | _HEAR_LISTED,
    "monitor": {"_INBOX.>", *ALL_OF.values(), *DATA.values()} | _HEALTH,
    "window": {"_INBOX.>"},
    "consumer": ({"_INBOX.>", *ALL_OF.values(), *DATA.values()} | _HEALTH) - {ALL_OF["raw"], DATA["raw"]},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with deployed_server(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def guest(server: NatsServer) -> AsyncIterator[Client]:
    """A client that logs in as told, once."""
    client = Client()
    yield client
    await client.close()


@pytest.mark.parametrize("user", PASSWORDS)
async def test_a_user_may_publish_what_it_must_and_nothing_else(server: NatsServer, user: str) -> None:
    async with probe_of(server, user) as probe:
        assert await probe.may_publish(sorted(TRIED)) == MAY_PUBLISH[user]


@pytest.mark.parametrize("user", PASSWORDS)
async def test_a_user_may_hear_what_it_must_and_nothing_else(server: NatsServer, user: str) -> None:
    async with probe_of(server, user) as probe:
        assert await probe.may_subscribe(sorted(LISTENED)) == MAY_HEAR[user]


@pytest.mark.parametrize(
    ("user", "password"),
    [(None, None), ("consumer", ""), ("consumer", "wrong"), ("ingest", "consumer"), ("sys", "sys"), ("admin", "admin")],
)
async def test_nobody_gets_in_without_a_user_and_its_password(
    server: NatsServer, guest: Client, user: str | None, password: str | None
) -> None:
    with pytest.raises(nats_errors.Error, match=r"(?i)authorization"):
        await guest.connect(server.url, user=user, password=password, allow_reconnect=False, max_reconnect_attempts=1)


async def test_a_message_may_be_as_large_as_a_listing(server: NatsServer) -> None:
    async with bus_of(server, "ingest") as bus:
        assert bus.max_payload == 8 << 20


@pytest.mark.parametrize(
    ("user", "stream", "subject", "megabytes"),
    [
        ("validator", "BOOKS", subjects.book("*"), 64),
        ("window", "BOOKS", subjects.book("*"), 64),
        ("ingest", "INSTRUMENTS", subjects.instruments("*"), 16),
    ],
)
async def test_a_stream_that_is_there_already_is_made_sure_of_again(
    server: NatsServer, user: str, stream: str, subject: str, megabytes: int
) -> None:
    """As after a restart of the service: limits that just fit the stream once would refuse it then."""
    for _ in range(3):
        async with bus_of(server, user) as bus:
            await bus.ensure_stream(stream, [subject], max_bytes=megabytes << 20)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"storage": "file"}, "insufficient storage"),
        ({"storage": "memory", "max_bytes": 400 << 20}, "insufficient memory"),
    ],
)
async def test_streams_are_in_memory_and_within_limits(server: NatsServer, config: dict[str, object], why: str) -> None:
    async with probe_of(server, "aggregator") as probe:
        wanted = {"name": "UNIVERSE", "subjects": ["ob.v1.universe.>"]} | config
        answer = await probe.client.request("$JS.API.STREAM.CREATE.UNIVERSE", msgspec.json.encode(wanted), 30)
        assert why in answer.data.decode()


async def test_a_service_that_may_not_is_told_so(server: NatsServer) -> None:
    async with bus_of(server, "ingest") as bus:
        with pytest.raises(BusError, match="permission denied for user ingest"):
            await bus.ensure_stream("BOOKS", [subjects.book("*")], max_bytes=1 << 20)
        with pytest.raises(BusError, match="permission denied for user ingest"):
            await bus.request(subjects.rpc("book", "upbit"), b"")
