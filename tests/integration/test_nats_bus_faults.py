"""The bus when nats-server dies, freezes or sends it away: nothing stale, nothing uncounted, all comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from hoga.domain.errors import BusError
from hoga.runtime import nats_link
from hoga.testing.nats_server import NatsServer

from . import nats_bus_support
from .nats_bus_support import PATIENCE_S, Connection, Received, bus_on


@pytest.fixture(params=[True, False], ids=["lean", "plain"], autouse=True)
def lean(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the short way through nats-py, and without."""
    monkeypatch.setattr(nats_bus_support, "LEAN", request.param)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as running:
        yield running


async def test_after_kill_and_restart_subscriptions_and_services_work_again(server: NatsServer) -> None:
    async with bus_on(server) as one, bus_on(server) as two:
        changes_one, changes_two = Connection(one), Connection(two)
        received = Received()
        await two.subscribe("x.>", received)

        async def echo(subject: str, payload: bytes) -> bytes:
            return payload

        await two.serve("rpc.echo", echo)
        server.kill()
        await asyncio.gather(changes_one.count(1), changes_two.count(1))
        assert not one.connected
        server.restart()
        await asyncio.gather(changes_one.count(2), changes_two.count(2))
        assert changes_one.changes == [False, True]
        assert one.publish("x.y", b"again")
        await received.payload(b"again")
        assert await one.request("rpc.echo", b"hi", timeout_s=PATIENCE_S) == b"hi"


async def test_what_is_published_while_away_is_counted_and_never_delivered(server: NatsServer) -> None:
    async with bus_on(server) as sender, bus_on(server) as receiver:
        sending, receiving = Connection(sender), Connection(receiver)
        received = Received()
        await receiver.subscribe("x", received)
        sender.publish("x", b"before")
        await received.payload(b"before")
        server.kill()
        await sending.count(1)
        assert [sender.publish("x", b"stale %d" % index) for index in range(100)] == [False] * 100
        assert sender.dropped == 100
        server.restart()
        await asyncio.gather(sending.count(2), receiving.count(2))
        sender.publish("x", b"after")
        await received.payload(b"after")
        assert received.payloads == [b"before", b"after"]
        assert sender.dropped == 100


async def test_what_waits_when_the_connection_breaks_is_dropped_not_sent_late(server: NatsServer) -> None:
    async with bus_on(server, pending_bytes=32 << 20) as sender:
        connection = Connection(sender)
        server.pause()
        block = bytes(64 << 10)
        handed = sum(sender.publish("x", b"%06d" % index + block) for index in range(400))
        assert handed == 400
        await connection.count(1)
        assert not sender.connected
        server.kill()
        assert 0 < sender.dropped < 400
        assert sender.dropped + sender.uncertain == 400
        server.restart()
        async with bus_on(server) as receiver:
            received = Received()
            await receiver.subscribe("x", received)
            await connection.count(2)
            sender.publish("x", b"fresh")
            await received.payload(b"fresh")
            assert received.payloads == [b"fresh"]
            assert all(sender.publish("y", block) for _ in range(400)), "the queue did not get its room back"


async def test_a_frozen_server_is_noticed_under_load_and_publish_never_waits(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bus_on(server, pending_bytes=1 << 20) as sender:
        connection = Connection(sender)
        assert sender._link is not None
        sock = sender._link.client._transport._io_writer.get_extra_info("socket")
        longest = 0.0
        payload = bytes(4096)
        server.pause()
        while not connection.changes:
            for _ in range(50):
                began = time.perf_counter()
                sender.publish("load", payload)
                longest = max(longest, time.perf_counter() - began)
            await asyncio.sleep(0.005)
        assert connection.changes == [False]
        assert "no answer to a ping" in caplog.text
        assert sender.dropped > 0
        assert longest < 1.0, "publish waited for the frozen server"
        async with asyncio.timeout(PATIENCE_S):
            # Closed while the server is still frozen, so nothing follows late. No event tells.
            while sock.fileno() != -1:
                await asyncio.sleep(0.01)
        server.resume()
        await connection.count(2)
        received = Received()
        await sender.subscribe("x", received)
        sender.publish("x", b"thawed")
        await received.payload(b"thawed")


async def test_one_missed_ping_is_survived_without_reconnecting(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_link, "PING_PATIENCE_S", 3.0)
    monkeypatch.setattr(nats_link, "PING_PERIOD_S", 0.05)
    async with bus_on(server) as bus:
        connection = Connection(bus)
        received = Received()
        await bus.subscribe("x", received)
        server.pause()
        bus.publish("x", b"1")
        await asyncio.sleep(4.0)  # one ping is missed, not two
        server.resume()
        await received.payload(b"1")
        assert connection.changes == []
        assert bus.dropped == 0


async def test_a_request_ends_when_the_connection_does(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        started = asyncio.Event()

        async def never(subject: str, payload: bytes) -> bytes:
            started.set()
            await asyncio.Event().wait()
            return b""

        await bus.serve("rpc.never", never)
        request = asyncio.create_task(bus.request("rpc.never", b"", timeout_s=10 * PATIENCE_S))
        await started.wait()
        server.kill()
        with pytest.raises(BusError, match="went away"):
            await asyncio.wait_for(request, PATIENCE_S)
        with pytest.raises(BusError, match="is away"):
            await bus.request("rpc.never", b"")


async def test_many_reconnects_leave_no_task_behind(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        connection = Connection(bus)
        received = Received()
        await bus.ensure_stream("BOOKS", ["b.>"], max_bytes=1 << 20)
        for index in range(20):
            await bus.subscribe(f"x.{index}", received)
        await bus.subscribe_last("BOOKS", "b.>", received)
        counts = []
        for attempt in range(5):
            server.kill()
            await connection.count(2 * attempt + 1)
            bus.publish("x.1", b"lost")
            server.restart()
            await connection.count(2 * attempt + 2)
            bus.publish("b.1", b"attempt %d" % attempt)
            await received.payload(b"attempt %d" % attempt)
            counts.append(len(asyncio.all_tasks()))
        assert max(counts) - min(counts) <= 2, counts
    remaining = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(remaining, timeout=PATIENCE_S) if remaining else None
    assert {task for task in remaining if not task.done()} == set()


async def test_a_connection_that_breaks_under_load_leaves_no_task_behind(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        connection = Connection(bus)
        received = Received()
        for index in range(20):
            await bus.subscribe(f"x.{index}", received)
        before = len(asyncio.all_tasks())
        server.pause()
        for _ in range(400):
            bus.publish("load", bytes(64 << 10))
            await asyncio.sleep(0)
        await connection.count(1)
        server.resume()
        await connection.count(2)
        bus.publish("x.1", b"again")
        await received.payload(b"again")
        assert len(asyncio.all_tasks()) <= before + 2


async def test_closing_while_away_ends_at_once(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        connection = Connection(bus)
        server.kill()
        await connection.count(1)
        await asyncio.wait_for(bus.close(), PATIENCE_S)
        assert not bus.connected


async def test_closing_on_a_frozen_server_ends(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        server.pause()
        for _ in range(100):
            bus.publish("x", bytes(64 << 10))
        await asyncio.wait_for(bus.close(), PATIENCE_S)
    server.resume()
