"""The whole service over a real nats-server: raw stream, universe, requests, outages, REST limits."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time

import pytest
import zstandard
from aiohttp import web

from hoga.domain.errors import BusError
from hoga.exchanges.binance import future
from hoga.runtime.config import IngestSettings, NatsSettings
from hoga.runtime.health import HealthBoard
from hoga.runtime.nats_bus import NatsBus, connect_nats
from hoga.runtime.service import ServiceContext
from hoga.testing.fake_bus import FakeBus
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb, subjects
from services.ingest.line import Patience
from services.ingest.service import Ingest, main
from tests.integration.ingest_support import OF_LINKS, Recorder, Venue, natives_of, symbols_of, until
from tests.integration.test_ingest_slot import Stream, check_link_seqs, ids

CODE = future.EXCHANGE.code


@pytest.fixture
async def venue():
    found = Venue(natives_of(6))
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
def nats():
    with NatsServer() as server:
        yield server


class Outside:
    """Another process on the bus: sees what ingest publishes, and asks it."""

    def __init__(self, bus: NatsBus) -> None:
        self.bus = bus
        self.frames: list[pb.RawFrame] = []
        self.statuses: list[pb.LinkStatus] = []

    async def listen(self) -> None:
        await self.bus.subscribe(subjects.raw(CODE), self._on_raw)
        await self.bus.subscribe(subjects.link(CODE), lambda _s, p: self.statuses.append(pb.LinkStatus.FromString(p)))

    def _on_raw(self, _subject: str, payload: bytes) -> None:
        frame = pb.RawFrame.FromString(payload)
        if frame.kind not in OF_LINKS:
            self.frames.append(frame)

    def of(self, symbol: str, kind: int = pb.RawFrame.KIND_STREAM) -> list[pb.RawFrame]:
        return [frame for frame in self.frames if frame.symbol == symbol and frame.kind == kind]

    async def ask(self, method: str, request, timeout_s: float = 10.0) -> bytes:
        return await self.bus.request(subjects.rpc(method, CODE), request.SerializeToString(), timeout_s=timeout_s)

    async def answered(self) -> None:
        """Returns when ingest answers requests."""
        for _ in range(200):
            with contextlib.suppress(BusError):
                await self.ask("listing", pb.ListingRequest(), timeout_s=0.5)
                return
        raise AssertionError("ingest never answered")

    async def error(self, method: str, request) -> str:
        return pb.RpcReply.FromString(await self.ask(method, request)).error

    async def universe(self, symbols: list[str], **extra) -> None:
        await self.bus.ensure_stream(subjects.UNIVERSE_STREAM, [subjects.universe("*")], max_bytes=1 << 20)
        entries = [
            pb.Universe.Entry(symbol=symbol, native_symbol=symbol.replace("-", ""), reason="top") for symbol in symbols
        ]
        message = pb.Universe(exchange=CODE, entries=entries, **extra)
        assert self.bus.publish(subjects.universe(CODE), message.SerializeToString())


@contextlib.asynccontextmanager
async def running(venue, nats, *symbols, exchange=None, **knobs):
    """The service with `symbols` configured, and somebody outside."""
    settings = NatsSettings(url=nats.url)
    bus, other = await connect_nats(settings, name="ingest"), await connect_nats(settings, name="outside")
    outside = Outside(other)
    await outside.listen()
    ctx = ServiceContext(
        "ingest-test",
        venue.settings(symbols=list(symbols), **knobs),
        bus,
        HealthBoard("ingest-test", "abc123"),
        "abc123",
        asyncio.Event(),
        argparse.Namespace(),
    )
    patience = Patience(connect_s=5.0, look_s=0.05, settle_s=5.0)
    service = Ingest(ctx, exchange or venue.exchange(), patience=patience)
    try:
        await service.start()
        await outside.answered()
        yield service, outside, ctx
    finally:
        await service.stop()
        await bus.close()
        await other.close()


async def test_configured_symbols_are_collected_at_once_and_reported(venue, nats):
    async with running(venue, nats, "C000-USDT", "C001-USDT") as (_, outside, ctx):
        await until(lambda: venue.live and venue.live[0].subscribed == {"C000USDT", "C001USDT"})
        await venue.deliver("C000USDT")
        await until(lambda: outside.frames)
        await until(lambda: outside.statuses and outside.statuses[-1].frames > 0)
        status = outside.statuses[-1]
        assert (status.exchange, status.slot, status.instance) == (CODE, f"{CODE}-0", "abc123")
        assert status.link == outside.frames[0].link == f"{CODE}-0.abc1231"
        assert status.state == pb.LinkState.LINK_STATE_CONNECTED
        assert list(status.symbols) == ["C000-USDT", "C001-USDT"]
        assert status.connected_time_ns > 0
        assert status.last_frame_age_ns >= 0
        await until(lambda: ctx.health.healthy)
        # Every change is reported, and then one status each period.
        states = [status.state for status in outside.statuses]
        assert states[0] == pb.LinkState.LINK_STATE_CONNECTING
        count = len(outside.statuses)
        await until(lambda: len(outside.statuses) >= count + 3)
        venue.live[0].reset()
        await until(lambda: outside.statuses[-1].reconnects == 1)
        assert pb.LinkState.LINK_STATE_BACKOFF in [status.state for status in outside.statuses]


async def test_the_last_status_says_closed(venue, nats):
    async with running(venue, nats, "C000-USDT") as (service, outside, _):
        await until(lambda: service.connector.is_connected and outside.statuses)
        await service.stop()
        await until(lambda: outside.statuses[-1].state == pb.LinkState.LINK_STATE_CLOSED)
        assert list(outside.statuses[-1].symbols) == ["C000-USDT"]


async def test_an_unknown_symbol_is_one_clear_line_and_the_others_go_on(venue, nats, caplog):
    async with running(venue, nats, "C000-USDT", "C00X-USDT") as (_, outside, ctx):
        await until(lambda: venue.live and venue.live[0].subscribed == {"C000USDT"})
        await venue.deliver("C000USDT")
        await until(lambda: outside.frames)
        lines = [line for line in caplog.messages if "C00X-USDT" in line]
        assert len(lines) == 1
        assert "did you mean C00" in lines[0]
        await until(lambda: ctx.health.healthy)


async def test_the_universe_is_followed_live(venue, nats):
    async with running(venue, nats, "C000-USDT") as (service, outside, _):
        await until(lambda: venue.live and venue.live[0].subscribed == {"C000USDT"})
        natives = natives_of(6)
        async with Stream(venue, natives):
            await outside.universe(symbols_of(natives[1:4]))
            await until(lambda: all(outside.of(symbol) for symbol in symbols_of(natives[:4])))
            assert service.connector.symbols == symbols_of(natives[:4])
            await outside.universe(symbols_of(natives[3:5]))
            await until(lambda: venue.live[0].subscribed == {natives[0], natives[3], natives[4]})
            await until(lambda: outside.of(symbols_of(natives)[4]))
        assert len(venue.connections) == 1
        check_link_seqs(outside.frames)
        for symbol in symbols_of([natives[0], natives[3]]):
            seen = ids(outside.of(symbol))
            assert seen == list(range(seen[0], seen[-1] + 1))


async def test_a_late_ingest_starts_with_the_last_universe_even_without_rest(venue, nats):
    bus = await connect_nats(NatsSettings(url=nats.url), name="aggregator")
    await Outside(bus).universe(symbols_of(natives_of(2)))
    await bus.close()
    venue.rest_answer = lambda _path: web.Response(status=418, headers={"Retry-After": "60"})
    async with running(venue, nats) as (_, outside, ctx):
        await until(lambda: venue.live and venue.live[0].subscribed == set(natives_of(2)))
        await venue.deliver("C001USDT")
        await until(lambda: outside.of("C001-USDT"))
        await until(lambda: "418" in ctx.health.reasons.get("instruments", ""))


async def test_without_follow_universe_only_the_configured_symbols_are_collected(venue, nats):
    async with running(venue, nats, "C000-USDT", follow_universe=False) as (service, outside, _):
        await outside.universe(symbols_of(natives_of(4)))
        assert pb.RpcReply.FromString(await outside.ask("snapshot", pb.SnapshotRequest(symbol="C000-USDT"))).error == ""
        await until(lambda: outside.of("C000-USDT", pb.RawFrame.KIND_REST_SNAPSHOT))
        assert service.connector.symbols == ["C000-USDT"]


async def test_a_snapshot_comes_on_the_raw_subject_behind_the_frames_read_before(venue, nats):
    async with running(venue, nats, "C000-USDT") as (_, outside, _ctx):
        await until(lambda: venue.live and venue.live[0].subscribed)
        async with Stream(venue, ["C000USDT"]):
            await until(lambda: len(outside.frames) > 5)
            for _ in range(3):
                count = len(outside.of("C000-USDT", pb.RawFrame.KIND_REST_SNAPSHOT))
                assert await outside.error("snapshot", pb.SnapshotRequest(symbol="C000-USDT")) == ""
                await until(lambda: len(outside.of("C000-USDT", pb.RawFrame.KIND_REST_SNAPSHOT)) > count)  # noqa: B023
        snapshots = outside.of("C000-USDT", pb.RawFrame.KIND_REST_SNAPSHOT)
        assert [(frame.link, frame.link_seq) for frame in snapshots] == [("rest", 1), ("rest", 2), ("rest", 3)]
        assert b'"lastUpdateId":' in bytes(snapshots[0].payload)
        # Receive times never go back over the whole subject: the order of arrival is the order of publishing.
        times = [frame.receive_time_ns for frame in outside.frames]
        assert times == sorted(times)
        error = await outside.error("snapshot", pb.SnapshotRequest(symbol="NONE-USDT"))
        assert "NONE-USDT" in error


async def test_a_429_is_obeyed_and_the_snapshots_come_afterwards(venue, nats):
    async with running(venue, nats, *symbols_of(natives_of(4))) as (_, outside, ctx):
        await until(lambda: ctx.health.healthy and venue.live and len(venue.live[0].subscribed) == 4)
        turned_away: list[float] = []

        def answer(path: str) -> web.Response | None:
            if "depth" not in path or turned_away:
                return None
            turned_away.append(time.monotonic())
            return web.Response(status=429, headers={"Retry-After": "1"}, body=b'{"code":-1003,"msg":"slow down"}')

        venue.rest_answer = answer
        for symbol in symbols_of(natives_of(4)):
            assert await outside.error("snapshot", pb.SnapshotRequest(symbol=symbol, priority=1)) == ""
        await until(
            lambda: all(outside.of(symbol, pb.RawFrame.KIND_REST_SNAPSHOT) for symbol in symbols_of(natives_of(4)))
        )
        times = sorted(at for path, found in venue.rest_times.items() if "depth" in path for at in found)
        assert len(times) == 5
        assert all(at >= turned_away[0] + 0.95 for at in times if at > turned_away[0])


async def test_queued_snapshots_coalesce_and_the_urgent_goes_first(venue, nats):
    async with running(venue, nats, *symbols_of(natives_of(6))) as (service, outside, ctx):
        await until(lambda: ctx.health.healthy and venue.live and len(venue.live[0].subscribed) == 6)
        for symbol in symbols_of(natives_of(6)):
            for _ in range(5):
                service.connector.ask_snapshot(symbol, 10)
        service.connector.ask_snapshot("C005-USDT", 1)
        await until(lambda: all(outside.of(s, pb.RawFrame.KIND_REST_SNAPSHOT) for s in symbols_of(natives_of(6))))
        times = {path: found for path, found in venue.rest_times.items() if "depth" in path}
        assert all(len(found) == 1 for found in times.values())
        order = [path for path, _ in sorted(times.items(), key=lambda item: item[1])]
        assert "C005USDT" in order[0]


async def test_resubscribe_and_reconnect_on_request(venue, nats):
    async with running(venue, nats, "C000-USDT", "C001-USDT") as (_service, outside, _):
        await until(lambda: outside.statuses and venue.live and venue.live[0].subscribed)
        assert await outside.error("resubscribe", pb.ResubscribeRequest(symbol="C001-USDT")) == ""
        await until(lambda: [r["method"] for r in venue.live[0].requests] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"])
        assert "X-Y" in await outside.error("resubscribe", pb.ResubscribeRequest(symbol="X-Y"))
        link = outside.statuses[-1].link
        assert await outside.error("reconnect", pb.ReconnectRequest(link=link, reason="test")) == ""
        await until(lambda: outside.statuses[-1].link != link)
        # The connection that was meant is gone: a second request for it must not hit the fresh one.
        assert link in await outside.error("reconnect", pb.ReconnectRequest(link=link))
        assert await outside.error("reconnect", pb.ReconnectRequest(link=f"{CODE}-0")) == ""
        garbage = await outside.bus.request(subjects.rpc("reconnect", CODE), b"\xff\xff\xff")
        assert pb.RpcReply.FromString(garbage).error


async def test_the_listing_is_the_exchanges_own_answer(venue, nats):
    async with running(venue, nats) as (_, outside, ctx):
        await until(lambda: ctx.health.healthy)
        reply = pb.ListingReply.FromString(
            await outside.ask("listing", pb.ListingRequest(instruments=True, tickers=True))
        )
        assert reply.error == ""
        body = zstandard.ZstdDecompressor().decompress(reply.instruments[0])
        assert [i.native_symbol for i in future.EXCHANGE.handler.parse_instruments([body])] == natives_of(6)
        assert [zstandard.ZstdDecompressor().decompress(body) for body in reply.tickers] == [b"[]"]
        # The instruments that ingest has read itself are not asked for twice.
        assert sum(len(found) for path, found in venue.rest_times.items() if "exchangeInfo" in path) == 1
        venue.rest_answer = lambda _path: web.Response(status=500)
        reply = pb.ListingReply.FromString(await outside.ask("listing", pb.ListingRequest(tickers=True)))
        assert "500" in reply.error


async def test_instruments_are_tried_until_they_come(venue, nats, caplog):
    venue.rest_answer = lambda _path: web.Response(body=b"<html>maintenance</html>")
    async with running(venue, nats, "C000-USDT") as (_, _outside, ctx):
        await until(lambda: any("instrument list" in line for line in caplog.messages))
        await until(lambda: "maintenance" in ctx.health.reasons.get("instruments", ""))
        assert not ctx.health.healthy
        venue.rest_answer = lambda _path: None
        await until(lambda: venue.live and venue.live[0].subscribed == {"C000USDT"})
        await until(lambda: ctx.health.healthy)


async def test_an_exchange_that_is_switched_off_is_left_alone(venue):
    """Its container runs all the same, and is well: nothing is asked of the exchange, nothing said on the bus."""
    bus, stopping = FakeBus(), asyncio.Event()
    settings = venue.settings(symbols=["C000-USDT"], enabled=False)
    board = HealthBoard("ingest-test", "abc123")
    arguments = argparse.Namespace(exchange=CODE)
    ctx = ServiceContext("ingest-test", settings, bus, board, "abc123", stopping, arguments)
    ingest = asyncio.create_task(main(ctx))
    await asyncio.sleep(0.3)
    assert not ingest.done()
    assert board.healthy
    assert (venue.connections, dict(venue.rest_times), bus.published, bus.streams) == ([], {}, [], {})
    stopping.set()
    await asyncio.wait_for(ingest, 1.0)


async def test_the_links_are_reported_as_soon_as_the_bus_is_back(venue):
    bus = FakeBus()
    settings = venue.settings(IngestSettings(heartbeat_s=60.0), symbols=["C000-USDT"])
    board, stopping = HealthBoard("ingest-test", "abc123"), asyncio.Event()
    ctx = ServiceContext("ingest-test", settings, bus, board, "abc123", stopping, argparse.Namespace())
    service = Ingest(ctx, venue.exchange())
    try:
        await service.start()
        await until(lambda: service.connector.is_connected)
        reported = len(bus.messages(subjects.link(CODE)))
        link = next(iter(service.connector.parts.pool)).link
        events = link.events.state(()).events
        bus.go_away()
        bus.come_back()
        fresh = [pb.LinkStatus.FromString(payload) for payload in bus.messages(subjects.link(CODE))[reported:]]
        assert [(status.slot, status.state) for status in fresh] == [(f"{CODE}-0", pb.LinkState.LINK_STATE_CONNECTED)]
        beat = Recorder(bus, CODE).raw("_")[-1].link_beat
        assert [(one.link, one.events) for one in beat.links] == [(link.name, events + 1)], "what was under way is lost"
    finally:
        await service.stop()


async def test_while_nats_is_away_the_links_are_read_and_nothing_stale_comes_later(venue, nats):
    async with running(venue, nats, "C000-USDT") as (service, outside, ctx):
        await until(lambda: venue.live and venue.live[0].subscribed)
        async with Stream(venue, ["C000USDT"]):
            await until(lambda: len(outside.frames) > 10)
            nats.kill()
            await until(lambda: not ctx.bus.connected)
            read = service.connector.parts.pool.tally.frames
            await until(lambda: service.connector.parts.pool.tally.frames > read + 50)
            assert len(venue.connections) == 1
            dropped = service.connector.parts.pool.tally.dropped
            assert dropped > 0
            came_back_ns = time.time_ns()
            last = outside.frames[-1]
            nats.restart()
            await until(lambda: ctx.bus.connected and outside.bus.connected)
            seen = len(outside.frames)
            await until(lambda: len(outside.frames) > seen + 20)
        fresh = [frame for frame in outside.frames if frame.receive_time_ns > last.receive_time_ns]
        # Not one frame that was read while nobody could take it.
        assert min(frame.receive_time_ns for frame in fresh) > came_back_ns
        assert {frame.link for frame in fresh} == {last.link}
        # What was lost shows as a jump of the link's own count, and the ids jump alike.
        jump = fresh[0].link_seq - last.link_seq - 1
        assert jump >= dropped > 0
        assert ids(fresh)[0] - ids([last])[0] - 1 == jump
        await until(lambda: service.connector.parts.pool.tally.dropped <= ctx.health.exchange(CODE).dropped)
        await until(lambda: outside.statuses[-1].dropped > 0)
