"""The bus over a real nats-server: what it promises while all is well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from hoga.domain.errors import BusError, ConfigError
from hoga.runtime import nats_bus, nats_link, nats_outbox
from hoga.runtime.nats_bus import connect_nats
from hoga.runtime.nats_plain import PlainSubscription
from hoga.runtime.settings import NatsSettings
from hoga.testing.nats_server import NatsServer

from . import nats_bus_support
from .nats_bus_support import PATIENCE_S, Received, bus_on, until


@pytest.fixture(params=[True, False], ids=["lean", "plain"], autouse=True)
def lean(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the short way through nats-py, and without."""
    monkeypatch.setattr(nats_bus_support, "LEAN", request.param)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer(max_payload=256 << 10) as running:
        yield running


async def test_messages_arrive_in_order_with_their_subjects(server: NatsServer) -> None:
    async with bus_on(server) as sender, bus_on(server) as receiver:
        received = Received()
        await receiver.subscribe("a.*.c", received)
        sent = [(f"a.{index % 7}.c", b"%d" % index) for index in range(5000)]
        for subject, payload in sent:
            assert sender.publish(subject, payload)
        await received.until(lambda: len(received.messages) == len(sent))
        assert received.messages == sent
        assert sender.dropped == 0


async def test_a_queue_group_shares_the_messages(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        one, two = Received(), Received()
        await bus.subscribe("jobs", one, queue="workers")
        await bus.subscribe("jobs", two, queue="workers")
        watcher = Received()
        await bus.subscribe("jobs", watcher)
        for index in range(200):
            bus.publish("jobs", b"%d" % index)
        await watcher.until(lambda: len(watcher.messages) == 200)
        await one.until(lambda: len(one.messages) + len(two.messages) == 200)
        assert sorted(one.payloads + two.payloads) == sorted(watcher.payloads)
        assert one.messages
        assert two.messages


async def test_a_handler_that_fails_is_logged_and_called_again(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bus_on(server) as bus:
        received = Received()

        def handler(subject: str, payload: bytes) -> None:
            if payload == b"bad":
                raise ValueError("cannot read this")
            received(subject, payload)

        await bus.subscribe("x", handler)
        bus.publish("x", b"bad")
        bus.publish("x", b"good")
        await received.payload(b"good")
        assert "cannot read this" in caplog.text


async def test_nothing_arrives_after_unsubscribe(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        left, stays = Received(), Received()
        subscription = await bus.subscribe("x", left)
        await bus.subscribe("x", stays)
        await subscription.unsubscribe()
        bus.publish("x", b"1")
        await stays.payload(b"1")
        assert left.messages == []


async def test_unsubscribing_while_it_is_being_made_leaves_nothing(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        left, stays = Received(), Received()

        plain = PlainSubscription("x", lambda link: link.listen("x", left), {})
        assert bus._link is not None
        making = asyncio.create_task(plain.attach(bus._link))
        await asyncio.sleep(0)
        await plain.unsubscribe()
        await making
        await bus.subscribe("x", stays)
        bus.publish("x", b"1")
        await stays.payload(b"1")
        assert left.messages == []


async def test_the_memory_of_subjects_is_bounded(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_outbox, "_KNOWN_SUBJECTS", 10)
    async with bus_on(server) as bus:
        received = Received()
        await bus.subscribe("x.*", received)
        assert all(bus.publish(f"x.{index}", b"") for index in range(100))
        await received.until(lambda: len(received.messages) == 100)
        assert len(bus._outbox._subjects) <= 10


async def test_requests_are_answered(server: NatsServer) -> None:
    async with bus_on(server) as server_side, bus_on(server) as client:

        async def double(subject: str, payload: bytes) -> bytes:
            return subject.encode() + b":" + payload * 2

        serving = await server_side.serve("rpc.double.*", double)
        assert await client.request("rpc.double.x", b"ab", timeout_s=PATIENCE_S) == b"rpc.double.x:abab"
        await serving.unsubscribe()
        with pytest.raises(BusError, match=r"nobody answers on rpc\.double\.x"):
            await client.request("rpc.double.x", b"ab", timeout_s=PATIENCE_S)


async def test_a_failing_request_handler_leaves_the_request_unanswered(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bus_on(server) as bus:

        async def fail(subject: str, payload: bytes) -> bytes:
            raise RuntimeError("no such book")

        await bus.serve("rpc.fail", fail)
        with pytest.raises(BusError, match=r"no answer on rpc\.fail within 0\.2 s"):
            await bus.request("rpc.fail", b"", timeout_s=0.2)
        assert "no such book" in caplog.text


async def test_the_number_of_requests_in_hand_is_bounded(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_bus, "MAX_HANDLERS", 2)
    async with bus_on(server) as bus:
        release = asyncio.Event()
        in_hand = 0

        async def slow(subject: str, payload: bytes) -> bytes:
            nonlocal in_hand
            in_hand += 1
            assert in_hand <= 2
            await release.wait()
            in_hand -= 1
            return b"done"

        await bus.serve("rpc.slow", slow)
        requests = [asyncio.create_task(bus.request("rpc.slow", b"", timeout_s=1.0)) for _ in range(5)]
        seen = Received()
        await bus.subscribe("rpc.slow", seen)
        bus.publish("rpc.slow", b"behind them")
        await seen.payload(b"behind them")
        release.set()
        results = await asyncio.gather(*requests, return_exceptions=True)
        assert results.count(b"done") == 2
        assert sum(isinstance(result, BusError) for result in results) == 3
        assert bus.unanswered >= 3
        assert await bus.request("rpc.slow", b"", timeout_s=PATIENCE_S) == b"done"


async def test_a_payload_over_the_servers_limit_is_dropped_and_named(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bus_on(server) as bus:
        received = Received()
        await bus.subscribe("big", received)
        assert bus.max_payload == 256 << 10
        assert not bus.publish("big", bytes((256 << 10) + 1))
        assert bus.publish("big", bytes(256 << 10))
        await received.until(lambda: len(received.messages) == 1)
        assert len(received.payloads[0]) == 256 << 10
        assert bus.dropped == 1
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert all(word in record.getMessage() for word in ("big", str((256 << 10) + 1), str(256 << 10)))
        with pytest.raises(BusError, match="262145 bytes"):
            await bus.request("big", bytes((256 << 10) + 1))


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB b 0", "a.*", "a.>", ".a", "a..b", "a.", "\x00\n"])
async def test_a_malformed_subject_is_dropped_and_disturbs_nobody(server: NatsServer, subject: str) -> None:
    async with bus_on(server) as bus:
        received = Received()
        await bus.subscribe(">", received)
        assert not bus.publish(subject, b"")
        bus.publish("good", b"1")
        await received.payload(b"1")
        assert received.messages == [("good", b"1")]
        assert bus.dropped == 1


async def test_the_queue_is_bounded_and_counts_what_it_refuses(server: NatsServer) -> None:
    async with bus_on(server, pending_bytes=64 << 10) as bus, bus_on(server) as receiver:
        received = Received()
        await receiver.subscribe("x", received)
        accepted = [index for index in range(500) if bus.publish("x", b"%04d" % index + bytes(1020))]
        assert 0 < len(accepted) < 64
        assert bus.dropped == 500 - len(accepted)
        await received.until(lambda: len(received.messages) == len(accepted))
        assert [int(payload[:4]) for payload in received.payloads] == accepted
        assert bus.publish("x", b"room again")


async def test_what_our_handlers_are_too_slow_for_is_counted(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nats_link, "PENDING_MESSAGES", 10)
    async with bus_on(server) as sender, bus_on(server, lean=False) as receiver:
        received = Received()
        await receiver.subscribe("x", received)
        for index in range(5000):
            sender.publish("x", b"%d" % index)
        await received.until(lambda: len(received.messages) + receiver.slow_dropped == 5000)
        assert receiver.slow_dropped > 0
        assert len([line for line in caplog.messages if "faster than they are handled" in line]) == 1


async def test_close_sends_what_was_handed_over(server: NatsServer) -> None:
    async with bus_on(server) as receiver:
        received = Received()
        await receiver.subscribe("x", received)
        async with bus_on(server) as sender:
            for index in range(2000):
                assert sender.publish("x", b"%d" % index + bytes(2048))
        assert not sender.publish("x", b"after the end")
        await received.until(lambda: len(received.messages) == 2000)
        assert sender.uncertain == 0


async def test_a_missing_server_is_an_error_that_names_it() -> None:
    with NatsServer() as gone:
        settings = NatsSettings(url=gone.url)
    with pytest.raises(BusError, match=f"{settings.url} does not answer .connection refused"):
        await connect_nats(settings, name="test", timeout_s=1.0)


@pytest.mark.parametrize("url", ["nats://host:99999", "nats://:4222"])
async def test_an_address_that_is_none_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigError, match=r"nats\.url"):
        await connect_nats(NatsSettings(url=url), name="test", timeout_s=1.0)


async def test_waits_for_a_server_that_comes_later(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with NatsServer() as server:
        server.kill()
        connecting = asyncio.create_task(connect_nats(NatsSettings(url=server.url), name="test", timeout_s=None))
        await asyncio.to_thread(until, lambda: "trying again" in caplog.text)
        assert not connecting.done()
        server.restart()
        bus = await asyncio.wait_for(connecting, PATIENCE_S)
        assert bus.connected
        await bus.close()
