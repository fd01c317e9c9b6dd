"""Slots against a real server: losses are mended, replacements overlap, symbols come and go live."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from aiohttp import web

from hoga.runtime.logs import RateLimited
from hoga.testing.fake_bus import FakeBus
from hoga.wire import pb
from services.ingest.connector import ExchangeConnector
from services.ingest.line import Patience
from tests.integration.ingest_support import FAST, Recorder, Venue, beating, collecting, natives_of, symbols_of, until

CODE = "binance_future"
PATIENCE = Patience(connect_s=5.0, look_s=0.05, settle_s=5.0)
CONNECTED, BACKOFF = pb.LinkState.LINK_STATE_CONNECTED, pb.LinkState.LINK_STATE_BACKOFF


@pytest.fixture
async def venue():
    found = Venue(natives_of(30))
    await found.start()
    yield found
    await found.stop()


class Stream:
    """Delivers frames of some symbols without end while the block runs."""

    def __init__(self, venue: Venue, natives: list[str], pause_s: float = 0.002) -> None:
        self._venue, self._natives, self._pause_s = venue, natives, pause_s

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            for native in self._natives:
                await self._venue.deliver(native)
            await asyncio.sleep(self._pause_s)


def ids(frames: list[pb.RawFrame]) -> list[int]:
    """The ids in Binance frames."""
    return [int(bytes(frame.payload).split(b'"u":')[1].split(b",")[0]) for frame in frames]


def check_link_seqs(frames: list[pb.RawFrame]) -> None:
    """Every (link, symbol) counts from 1 without a jump."""
    last: dict[tuple[str, str], int] = {}
    for frame in frames:
        key = (frame.link, frame.symbol)
        assert frame.link_seq == last.get(key, 0) + 1
        last[key] = frame.link_seq


@pytest.mark.parametrize("fault", ["reset", "cut", "close", "silence"])
async def test_a_lost_link_is_replaced_and_says_why(venue, fault):
    bus, slots = FakeBus(), []
    exchange = venue.exchange(idle_timeout_s=0.5, own=beating(0.05))
    recorder = Recorder(bus, CODE)
    connector = ExchangeConnector(
        exchange, venue.settings(), publish=bus.publish, patience=PATIENCE, on_status=slots.append
    )
    try:
        assert await connector.connect()
        assert await connector.subscribe(["C000-USDT", "C001-USDT"])
        slot = next(iter(connector.parts.pool))
        first_name, first = slot.link.name, venue.live[0]
        await venue.deliver("C000USDT")
        await until(lambda: len(recorder.frames()) == 1)
        seen: list[tuple[int, str]] = []
        connector._on_status = lambda slot: seen.append((slot.state, slot.reason))
        if fault == "reset":
            first.reset()
        elif fault == "cut":
            first.cut()
        elif fault == "close":
            await first.socket.close(code=1001, message=b"maintenance")
        else:
            venue.silent = True
        await until(lambda: len(venue.connections) >= 2 or BACKOFF in dict(seen))
        venue.silent = False
        await until(lambda: slot.ready and slot.link.name != first_name)
        kinds = {"reset": "lost", "cut": "lost", "close": "closed", "silence": "silent"}
        assert connector.parts.pool.reconnects.get(kinds[fault], 0) >= 1
        reason = next(reason for state, reason in seen if state == BACKOFF)
        words = {"reset": "lost", "cut": "lost", "close": "maintenance", "silence": "nothing arrived for 0.5 s"}
        assert words[fault] in reason
        assert venue.live[-1].subscribed == {"C000USDT", "C001USDT"}
        await venue.deliver("C000USDT")
        await until(lambda: ids(recorder.frames())[-1] == 2)
        frames = recorder.frames()
        assert frames[0].link != frames[-1].link
        check_link_seqs(frames)
    finally:
        await connector.disconnect()


@pytest.mark.parametrize("trigger", ["asked", "lifetime", "announced"])
async def test_a_planned_replacement_misses_no_id(venue, trigger):
    bus = FakeBus()
    natives = natives_of(3)
    exchange = venue.exchange(lifetime_s=1.0 if trigger == "lifetime" else None)
    recorder = Recorder(bus, CODE)
    async with (
        collecting(venue, symbols_of(natives), exchange=exchange, publish=bus.publish, patience=PATIENCE) as connector,
        Stream(venue, natives),
    ):
        states = []
        slot = next(iter(connector.parts.pool))
        connector._on_status = lambda slot: states.append((slot.state, slot.link.name if slot.link else ""))
        await until(lambda: all(len(recorder.frames(symbol)) > 5 for symbol in symbols_of(natives)))
        first = slot.link
        if trigger == "asked":
            slot.replace("test")
        elif trigger == "announced":
            event = b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}'
            await venue.send(venue.live[0], event)
        await until(lambda: slot.link is not first and not venue.connections[0].open)
        after = len(recorder.frames())
        await until(lambda: len(recorder.frames()) > after + 30)
        assert {state for state, _ in states} == {CONNECTED}
        # A successor grows old as well: how many there were is a matter of time.
        replaced = connector.parts.pool.reconnects["replaced"]
        assert connector.parts.pool.reconnects == {"replaced": replaced}
        assert replaced == 1 or (trigger == "lifetime" and replaced > 1)
    check_link_seqs(recorder.frames())
    for symbol in symbols_of(natives):
        frames = recorder.frames(symbol)
        links = list(dict.fromkeys(frame.link for frame in frames))
        assert len(links) >= 2
        # Together the two lines miss nothing, and for a while both delivered.
        seen = sorted(set(ids(frames)))
        assert seen == list(range(seen[0], seen[-1] + 1))
        old = set(ids([frame for frame in frames if frame.link == links[0]]))
        new = set(ids([frame for frame in frames if frame.link == links[1]]))
        assert len(old & new) >= 3


async def test_a_replacement_that_fails_leaves_the_old_link_in_place(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    async with (
        collecting(venue, ["C000-USDT"], publish=bus.publish, patience=PATIENCE) as connector,
        Stream(venue, ["C000USDT"]),
    ):
        slot = next(iter(connector.parts.pool))
        first = slot.link
        refusals = []

        def refuse():
            refusals.append(time.monotonic())
            return web.Response(status=500)

        venue.handshake = refuse
        slot.replace("test")
        await until(lambda: len(refusals) >= 3)
        assert slot.link is first
        assert slot.connected
        venue.handshake = lambda: None
        await until(lambda: slot.link is not first and not venue.connections[0].open)
    seen = sorted(set(ids(recorder.frames())))
    assert seen == list(range(seen[0], seen[-1] + 1))


async def test_an_old_link_lost_during_the_overlap_is_no_loss(venue):
    settings = venue.settings(FAST.__class__(**{**as_dict(FAST), "overlap_s": 60.0}))
    async with collecting(venue, ["C000-USDT"], settings=settings, patience=PATIENCE) as connector:
        slot = next(iter(connector.parts.pool))
        first = slot.link
        slot.replace("test")
        await until(lambda: slot.link is not first and slot.ready)
        venue.connections[0].reset()
        await until(lambda: not first.alive)
        await until(lambda: slot.reconnects.total() == 1)
        assert slot.connected
        assert len(venue.connections) == 2


async def test_an_old_link_lost_before_its_successor_is_there_is_reported_at_once(venue):
    exchange = venue.exchange(connects_per_s=0.4, connect_burst=1)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=PATIENCE) as connector:
        slot = next(iter(connector.parts.pool))
        first = slot.link
        slot.replace("test")
        await until(lambda: slot._number == 2)
        assert slot.connected
        venue.connections[0].reset()
        await until(lambda: slot.state == BACKOFF)
        assert "lost" in slot.reason
        assert len(venue.connections) == 1
        await until(lambda: slot.ready and slot.link is not first)


async def test_a_new_link_lost_during_the_overlap_falls_back_to_the_old_and_tries_again(venue):
    settings = venue.settings(FAST.__class__(**{**as_dict(FAST), "overlap_s": 1.0}))
    async with collecting(venue, ["C000-USDT"], settings=settings, patience=PATIENCE) as connector:
        slot = next(iter(connector.parts.pool))
        first = slot.link
        slot.replace("test")
        await until(lambda: slot.link is not first and slot.ready)
        venue.connections[1].reset()
        await until(lambda: slot.link is first or len(venue.connections) >= 3)
        await until(lambda: slot.link is not first and not first.alive and slot.ready)
        assert slot.connected
        await until(lambda: len(venue.live) == 1)


async def test_symbols_come_and_go_without_disturbing_others(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    natives = natives_of(30)
    settings = venue.settings(symbols_per_link=5)
    exchange = venue.exchange(symbols_per_link=6)
    async with (
        collecting(
            venue, symbols_of(natives[:8]), exchange=exchange, settings=settings, publish=bus.publish, patience=PATIENCE
        ) as connector,
        Stream(venue, natives, 0.01),
    ):
        pool = connector.parts.pool
        assert [len(slot.symbols) for slot in pool] == [5, 3]
        kept = symbols_of(natives[2:8])
        await until(lambda: all(recorder.frames(symbol) for symbol in symbols_of(natives[:8])))
        # Two leave, two come into their places, six more need another link.
        connector.collect(dict.fromkeys(kept + symbols_of(natives[10:18]), ""))
        await until(lambda: len(pool) == 3 and all(slot.ready for slot in pool))
        await until(lambda: all(recorder.frames(symbol) for symbol in symbols_of(natives[10:18])))
        assert [len(slot.symbols) for slot in pool] == [5, 5, 4]
        wanted = set(natives[2:8]) | set(natives[10:18])
        assert set().union(*(connection.subscribed for connection in venue.live)) == wanted
        assert len(venue.connections) == 3
        first = venue.connections[0].requests
        assert [request["method"] for request in first] == ["SUBSCRIBE", "SUBSCRIBE", "UNSUBSCRIBE"] or [
            request["method"] for request in first
        ] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
        assert len(first[0]["params"]) == 5
        assert all(len(request["params"]) == 2 for request in first[1:])
        before = len(recorder.frames("C000-USDT"))
        marks = {symbol: len(recorder.frames(symbol)) for symbol in kept}
        await until(lambda: all(len(recorder.frames(symbol)) > marks[symbol] + 5 for symbol in kept))
        assert len(recorder.frames("C000-USDT")) == before
        # An emptied link is closed.
        connector.collect(dict.fromkeys(symbols_of(natives[2:5]), ""))
        await until(lambda: len(pool) == 1 and len(venue.live) == 1)
    check_link_seqs(recorder.frames())
    for symbol in kept:
        frames = recorder.frames(symbol)
        assert len({frame.link for frame in frames}) == 1, "a symbol never moves"
        seen = ids(frames)
        assert seen == list(range(seen[0], seen[-1] + 1))


async def test_a_symbol_that_returns_to_its_link_goes_on_counting(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    async with collecting(venue, ["C000-USDT", "C001-USDT"], publish=bus.publish, patience=PATIENCE) as connector:
        await venue.deliver("C001USDT")
        await until(lambda: len(recorder.frames("C001-USDT")) == 1)
        assert await connector.unsubscribe(["C001-USDT"])
        await until(lambda: venue.live[0].subscribed == {"C000USDT"})
        assert await connector.subscribe(["C001-USDT"])
        await venue.deliver("C001USDT")
        await until(lambda: len(recorder.frames("C001-USDT")) == 2)
    check_link_seqs(recorder.frames())


async def test_a_symbol_is_resubscribed_alone(venue):
    async with collecting(venue, symbols_of(natives_of(5)), patience=PATIENCE) as connector:
        slot = next(iter(connector.parts.pool))
        assert slot.renew("C002USDT")
        requests = venue.live[0].requests
        await until(lambda: len(requests) == 3)
        assert [(r["method"], r["params"]) for r in requests[1:]] == [
            ("UNSUBSCRIBE", ["c002usdt@depth@100ms"]),
            ("SUBSCRIBE", ["c002usdt@depth@100ms"]),
        ]
        assert len(venue.connections) == 1


async def test_during_an_overlap_a_symbol_is_resubscribed_on_the_link_that_is_meant(venue):
    settings = venue.settings(FAST.__class__(**{**as_dict(FAST), "overlap_s": 60.0}))
    async with collecting(venue, ["C000-USDT", "C001-USDT"], settings=settings, patience=PATIENCE) as connector:
        slot = next(iter(connector.parts.pool))
        old = slot.link
        slot.replace("test")
        await until(lambda: slot.link is not old and slot.ready)
        for name, expected in ((old.name, [3, 1]), (slot.link.name, [3, 3]), ("", [3, 5]), (slot.name, [3, 7])):
            assert slot.renew("C001USDT", name)
            await until(lambda: [len(c.requests) for c in venue.connections] == expected)  # noqa: B023
        assert slot.owns(old.name)
        assert not slot.reports(old.name)


async def test_an_exchange_whose_requests_replace_gets_the_whole_list_each_time():
    venue = Venue(["KRW-BTC", "KRW-ETH", "KRW-XRP"], units=True)
    await venue.start()
    bus = FakeBus()
    recorder = Recorder(bus, "upbit")
    try:
        async with collecting(venue, ["BTC-KRW", "ETH-KRW"], publish=bus.publish, patience=PATIENCE) as connector:
            assert await connector.subscribe(["XRP-KRW"])
            await until(lambda: venue.live[0].subscribed == {"KRW-BTC", "KRW-ETH", "KRW-XRP"})
            assert await connector.unsubscribe(["BTC-KRW"])
            # A frame that was on its way when its symbol was given up is not published.
            await venue.send(venue.live[0], venue.frame("KRW-BTC", 1))
            await until(lambda: venue.live[0].subscribed == {"KRW-ETH", "KRW-XRP"})
            await venue.deliver("KRW-ETH")
            await until(lambda: recorder.frames("ETH-KRW"))
            assert not recorder.frames("BTC-KRW")
            assert connector.parts.pool.tally.stray == 1
            slot = next(iter(connector.parts.pool))
            assert slot.renew("KRW-XRP")
            count = len(venue.live[0].requests)
            await until(lambda: len(venue.live[0].requests) == count + 1)
            assert set(venue.live[0].requests[-1]["codes"]) == {"KRW-ETH", "KRW-XRP"}
            assert len(venue.connections) == 1
    finally:
        await venue.stop()


async def test_an_exchange_that_is_not_there_is_tried_until_it_is(venue, caplog, monkeypatch):
    monkeypatch.setattr("services.ingest.slot.limited", RateLimited(logging.getLogger("fresh")))
    connector = ExchangeConnector(venue.exchange(), venue.settings(), patience=PATIENCE)
    port = venue.port
    try:
        assert await connector.connect()
        assert await connector.subscribe(["C000-USDT"])
        await venue.stop()
        await until(lambda: any("cannot reach" in line for line in caplog.messages))
        line = next(line for line in caplog.messages if "cannot reach" in line)
        assert f"ws://127.0.0.1:{port}" in line
        assert "next attempt in" in line
        assert not connector.is_connected
        await venue.start(port)
        await until(lambda: connector.is_connected and venue.live[-1].subscribed == {"C000USDT"})
    finally:
        await connector.disconnect()


async def test_a_handshake_refused_with_retry_after_holds_every_connect(venue):
    attempts: list[float] = []

    def refuse():
        attempts.append(time.monotonic())
        return web.Response(status=429, headers={"Retry-After": "1"}) if len(attempts) == 1 else None

    venue.handshake = refuse
    connector = ExchangeConnector(venue.exchange(), venue.settings(symbols_per_link=1), patience=PATIENCE)
    try:
        await connector.start()
        await until(lambda: connector.parts.directory.loaded)
        connector.collect({"C000-USDT": ""})
        await until(lambda: len(attempts) == 1)
        await until(lambda: any("429" in slot.reason for slot in connector.parts.pool))
        connector.collect(dict.fromkeys(symbols_of(natives_of(4)), ""))
        await until(lambda: connector.is_connected and len(venue.live) == 4)
        assert all(at - attempts[0] >= 0.95 for at in attempts[1:])
    finally:
        await connector.disconnect()


async def test_a_handshake_that_stalls_is_given_up():
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    venue = Venue(natives_of(1))
    await venue.start()
    try:
        settings = venue.settings()
        code = next(iter(settings.exchanges))
        port = server.sockets[0].getsockname()[1]
        stalled = settings.exchanges[code].__class__(
            ws_url=f"ws://127.0.0.1:{port}", rest_url=settings.exchanges[code].rest_url
        )
        settings = settings.__class__(exchanges={code: stalled}, ingest=settings.ingest)
        connector = ExchangeConnector(venue.exchange(), settings, patience=Patience(connect_s=0.1))
        try:
            await connector.start()
            connector.collect({"C000-USDT": ""})
            await until(lambda: any("within 0.1 s" in slot.reason for slot in connector.parts.pool))
        finally:
            await connector.disconnect()
    finally:
        await venue.stop()
        server.close()


async def test_connects_are_paced_over_the_whole_process(venue):
    times: list[float] = []

    def note():
        times.append(time.monotonic())

    venue.handshake = note
    exchange = venue.exchange(connects_per_s=20.0, connect_burst=2)
    settings = venue.settings(symbols_per_link=1)
    async with collecting(venue, symbols_of(natives_of(10)), exchange=exchange, settings=settings):
        assert len(times) >= 10
        assert times[9] - times[0] > 0.7 * 8 / 20.0


def as_dict(settings):
    return {name: getattr(settings, name) for name in settings.__struct_fields__}
