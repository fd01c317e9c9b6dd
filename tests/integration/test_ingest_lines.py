"""Two lines: every symbol on two connections that share nothing, so that losing one loses nothing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random

import pytest
from aiohttp import web

from hoga.runtime.config import NatsSettings
from hoga.runtime.health import HealthBoard
from hoga.runtime.nats_bus import connect_nats
from hoga.runtime.service import ServiceContext
from hoga.runtime.settings import IngestSettings
from hoga.testing.fake_bus import FakeBus
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb, subjects
from services.ingest import rpc
from services.ingest.connector import ExchangeConnector
from services.ingest.line import FIRST, ONLY, SECOND, Patience
from services.ingest.service import Ingest
from services.ingest.slot import LIFETIME_SHARE
from tests.integration.ingest_support import FAST, Recorder, Venue, collecting, natives_of, symbols_of, until
from tests.integration.test_ingest_service import Outside
from tests.integration.test_ingest_slot import Stream, as_dict, check_link_seqs, ids

CODE = "binance_future"
PATIENCE = Patience(connect_s=5.0, look_s=0.05, settle_s=5.0)


@pytest.fixture
async def venue():
    found = Venue(natives_of(6))
    await found.start()
    yield found
    await found.stop()


def slots_of(connector: ExchangeConnector):
    return {slot.name: slot for slot in connector.parts.pool}


def alone(line: str) -> IngestSettings:
    """A process that is one line."""
    return IngestSettings(**{**as_dict(FAST), "line": line})


async def test_every_symbol_is_on_two_connections_and_losing_one_loses_nothing(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    natives = natives_of(5)
    settings = venue.settings(lines=2, symbols_per_link=3)
    changes: list[bool] = []

    class Manager:
        def update_exchange_status(self, _code: str, connected: bool) -> None:
            changes.append(connected)

    connector = ExchangeConnector(
        venue.exchange(), settings, publish=bus.publish, patience=PATIENCE, connection_manager=Manager()
    )
    try:
        assert await connector.connect()
        assert await connector.subscribe(symbols_of(natives))
        slots = slots_of(connector)
        assert list(slots) == [f"{CODE}-0", f"{CODE}-1", f"{CODE}-0b", f"{CODE}-1b"]
        assert [slot.status(0).line for slot in slots.values()] == ["a", "a", "b", "b"]
        assert slots[f"{CODE}-0"].symbols == slots[f"{CODE}-0b"].symbols
        await until(lambda: all(slot.ready for slot in slots.values()))
        async with Stream(venue, natives):
            await until(lambda: all(len(recorder.frames(symbol)) > 10 for symbol in symbols_of(natives)))
            venue.handshake = lambda: web.Response(status=500)
            dead = slots[f"{CODE}-0"]
            carried = next(c for c in venue.live if c.subscribed == set(dead.symbols))
            carried.reset()
            await until(lambda: dead.reconnects["lost"] == 1 and not dead.connected)
            assert connector.is_connected
            count = len(recorder.frames())
            await until(lambda: len(recorder.frames()) > count + 50)
            assert connector.is_connected
            venue.handshake = lambda: None
            await until(lambda: dead.ready)
        assert changes == [True]
        for symbol in symbols_of(natives):
            frames = recorder.frames(symbol)
            assert len({frame.link for frame in frames}) >= 2
            seen = sorted(set(ids(frames)))
            assert seen == list(range(seen[0], seen[-1] + 1))
        check_link_seqs(recorder.frames())
    finally:
        await connector.disconnect()
    assert changes == [True, False]
    assert not venue.live


async def test_without_both_lines_of_a_symbol_it_is_not_connected(venue):
    async with collecting(
        venue, symbols_of(natives_of(4)), settings=venue.settings(lines=2, symbols_per_link=2), patience=PATIENCE
    ) as connector:
        slots = slots_of(connector)
        await until(lambda: all(slot.ready for slot in slots.values()))
        venue.handshake = lambda: web.Response(status=500)
        for connection in venue.live:
            if connection.subscribed == set(slots[f"{CODE}-0"].symbols):
                connection.reset()
        await until(lambda: not slots[f"{CODE}-0"].connected and not slots[f"{CODE}-0b"].connected)
        assert slots[f"{CODE}-1"].connected
        assert not connector.is_connected
        venue.handshake = lambda: None
        await until(lambda: connector.is_connected)


async def test_a_reconnect_takes_one_line_after_the_other(venue):
    async with collecting(venue, ["C000-USDT"], settings=venue.settings(lines=2), patience=PATIENCE) as connector:
        slots = slots_of(connector)
        first, second = slots[f"{CODE}-0"], slots[f"{CODE}-0b"]
        await until(lambda: first.ready and second.ready)
        before = {slot: slot.link for slot in (first, second)}
        moves: list[tuple[str, int]] = []
        connector._on_status = lambda slot: moves.append((slot.line, second._number))
        assert await connector.reconnect()
        assert moves == [(FIRST, 1), (SECOND, 2)], "the second began when the first was done"
        assert all(slot.link is not before[slot] and slot.connected for slot in (first, second))


def test_lines_grow_old_apart():
    assert LIFETIME_SHARE[SECOND][1] < LIFETIME_SHARE[FIRST][0]
    assert LIFETIME_SHARE[FIRST] == LIFETIME_SHARE[ONLY]


async def test_lines_are_not_replaced_for_their_age_at_the_same_time(venue, monkeypatch):
    """Even where both are of the same age."""
    monkeypatch.setitem(LIFETIME_SHARE, SECOND, LIFETIME_SHARE[FIRST])
    monkeypatch.setattr("services.ingest.slot.LATEST_SHARE", 1e9)
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    exchange = venue.exchange(lifetime_s=1.0)
    settings = venue.settings(IngestSettings(**{**as_dict(FAST), "overlap_s": 0.3}), lines=2)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, settings=settings, patience=PATIENCE) as connector:
        first, second = connector.parts.pool
        most = 0
        while first.reconnects["replaced"] < 3 or second.reconnects["replaced"] < 3:
            most = max(most, len(first._live) + len(second._live))
            await asyncio.sleep(0.005)
        assert most == 3


async def test_a_single_line_has_no_name(venue):
    async with collecting(venue, ["C000-USDT"], patience=PATIENCE) as connector:
        (slot,) = connector.parts.pool
        assert (slot.name, slot.status(0).line) == (f"{CODE}-0", "")


@pytest.mark.parametrize(("line", "name"), [("a", f"{CODE}-0"), ("b", f"{CODE}-0b")])
async def test_a_process_may_be_one_line_whatever_the_number_of_lines(venue, line, name):
    async with collecting(
        venue, ["C000-USDT"], settings=venue.settings(alone(line), lines=2), patience=PATIENCE
    ) as connector:
        (slot,) = connector.parts.pool
        assert (slot.name, slot.status(0).line) == (name, line)
        # Two processes share what the exchange allows.
        whole = ExchangeConnector(venue.exchange(), venue.settings())
        await whole.start()
        assert connector.parts.rest.budget.per_minute == whole.parts.rest.budget.per_minute / 2
        assert connector._gate.bucket.interval_ns == whole._gate.bucket.interval_ns * 2
        await whole.disconnect()


async def test_the_process_is_healthy_while_every_symbol_is_carried(venue):
    bus, board = FakeBus(), HealthBoard("ingest-test", "abc123")
    settings = venue.settings(lines=2, symbols_per_link=1, symbols=["C000-USDT", "C001-USDT"])
    ctx = ServiceContext("ingest-test", settings, bus, board, "abc123", asyncio.Event(), argparse.Namespace())
    service = Ingest(ctx, venue.exchange(), patience=PATIENCE)
    try:
        await service.start()
        await until(lambda: len(service.connector.parts.pool) == 4)
        slots = slots_of(service.connector)
        await until(lambda: all(slot.ready for slot in slots.values()) and board.healthy)
        venue.handshake = lambda: web.Response(status=500)
        first, last = (connection for connection in venue.live if connection.subscribed == {"C001USDT"})
        first.reset()
        await until(lambda: slots[f"{CODE}-1"].connected != slots[f"{CODE}-1b"].connected)
        assert board.healthy
        last.reset()
        await until(lambda: not board.healthy)
        assert slots[f"{CODE}-0"].connected
    finally:
        await service.stop()


# --- two processes


@pytest.fixture
def nats():
    with NatsServer() as server:
        yield server


@contextlib.asynccontextmanager
async def two_processes(venue, nats, *symbols):
    """Line a and line b, each with a bus of its own, and somebody outside."""
    settings = NatsSettings(url=nats.url)
    buses = [await connect_nats(settings, name=name) for name in ("a", "b", "outside")]
    outside = Outside(buses[2])
    await outside.listen()
    services = []
    try:
        for line, bus in zip("ab", buses, strict=False):
            ctx = ServiceContext(
                "ingest-test",
                venue.settings(alone(line), symbols=list(symbols)),
                bus,
                HealthBoard("ingest-test", line),
                line * 6,
                asyncio.Event(),
                argparse.Namespace(),
            )
            services.append(Ingest(ctx, venue.exchange(), patience=PATIENCE))
            await services[-1].start()
        await outside.answered()
        await until(lambda: all(next(iter(s.connector.parts.pool)).ready for s in services))
        yield services, outside
    finally:
        for service in services:
            await service.stop()
        for bus in buses:
            await bus.close()


async def test_of_two_processes_one_serves_a_snapshot(venue, nats):
    async with two_processes(venue, nats, *symbols_of(natives_of(6))) as (_, outside):
        for symbol in symbols_of(natives_of(6)):
            assert await outside.error("snapshot", pb.SnapshotRequest(symbol=symbol)) == ""
        await until(
            lambda: all(outside.of(symbol, pb.RawFrame.KIND_REST_SNAPSHOT) for symbol in symbols_of(natives_of(6)))
        )
        asked = [len(times) for path, times in venue.rest_times.items() if "depth" in path]
        assert asked == [1] * 6


async def test_of_two_processes_the_owner_of_a_link_acts_and_is_heard(venue, nats, monkeypatch):
    monkeypatch.setattr(rpc, "NOT_OURS_S", 3.0)
    async with two_processes(venue, nats, "C000-USDT", "C001-USDT") as (services, outside):
        slots = [next(iter(service.connector.parts.pool)) for service in services]
        for slot in slots:
            await until(lambda: len(venue.live) == 2)
            link, other = slot.link.name, next(s for s in slots if s is not slot)
            counts = {connection: len(connection.requests) for connection in venue.live}
            assert await outside.error("resubscribe", pb.ResubscribeRequest(symbol="C001-USDT", link=link)) == ""
            await until(lambda: sum(len(c.requests) for c in venue.live) == sum(counts.values()) + 2)  # noqa: B023
            assert sorted(len(c.requests) - counts[c] for c in venue.live) == [0, 2]
            kept = other.link
            assert await outside.error("reconnect", pb.ReconnectRequest(link=link)) == ""
            await until(lambda: slot.ready and slot.link.name != link)  # noqa: B023
            assert other.link is kept
        await until(lambda: len(venue.live) == 2)
        counts = {connection: len(connection.requests) for connection in venue.live}
        assert await outside.error("resubscribe", pb.ResubscribeRequest(symbol="C000-USDT")) == ""
        await until(lambda: all(len(c.requests) == counts[c] + 2 for c in venue.live))
        for method, request in (
            ("reconnect", pb.ReconnectRequest(link="gone")),
            ("resubscribe", pb.ResubscribeRequest(symbol="C000-USDT", link="gone")),
        ):
            assert "gone" in await outside.error(method, request)


async def test_a_resubscribe_without_a_link_goes_to_both_lines_of_a_process(venue, nats):
    settings = NatsSettings(url=nats.url)
    bus, other = await connect_nats(settings, name="ingest"), await connect_nats(settings, name="outside")
    outside = Outside(other)
    ctx = ServiceContext(
        "ingest-test",
        venue.settings(lines=2, symbols=["C000-USDT", "C001-USDT"]),
        bus,
        HealthBoard("ingest-test", "abc123"),
        "abc123",
        asyncio.Event(),
        argparse.Namespace(),
    )
    service = Ingest(ctx, venue.exchange(), patience=PATIENCE)
    try:
        await service.start()
        await outside.answered()
        first, second = service.connector.parts.pool
        await until(lambda: first.ready and second.ready)
        assert await outside.error("resubscribe", pb.ResubscribeRequest(symbol="C001-USDT")) == ""
        await until(lambda: [len(c.requests) for c in venue.live] == [3, 3])
        request = pb.ResubscribeRequest(symbol="C001-USDT", link=second.link.name)
        assert await outside.error("resubscribe", request) == ""
        await until(lambda: sorted(len(c.requests) for c in venue.live) == [3, 5])
        # A dead line is reported, and the books are carried all the same.
        venue.handshake = lambda: web.Response(status=500)
        statuses: list[pb.LinkStatus] = []
        await outside.bus.subscribe(subjects.link(CODE), lambda _s, p: statuses.append(pb.LinkStatus.FromString(p)))
        next(c for c in venue.live if len(c.requests) == 5).reset()
        await until(
            lambda: any(s.slot == f"{CODE}-0b" and s.state == pb.LinkState.LINK_STATE_BACKOFF for s in statuses)
        )
        assert "links" not in ctx.health.reasons
        venue.live[0].reset()
        await until(lambda: "links" in ctx.health.reasons)
        assert f"{CODE}-0:" in ctx.health.reasons["links"]
        assert f"{CODE}-0b:" in ctx.health.reasons["links"]
    finally:
        await service.stop()
        await bus.close()
        await other.close()
