"""The simulator over real sockets: an independent follower ends at the truth at every id, on every exchange."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from hoga.exchanges.base import BookStart, Continuity, Endpoints, RouteKind
from hoga.exchanges.registry import EXCHANGES
from services.simulator.options import Options
from services.simulator.server import SimulatorServer
from services.simulator.venue import Venue
from services.simulator.venues.registry import emulated

Book = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]
WAIT_S = 30.0
FOUR = ("binance_future", "binance_spot", "upbit", "bithumb")
LIVELY: dict[str, Any] = {"symbols": 10, "max_levels": 300, "quiet": 0.0, "rate": 40.0, "bursts": 0.02}


@pytest.fixture
async def simulator() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(Options(exchanges=FOUR, **LIVELY)) as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Follower:
    """The documented rules and nothing else: a book from a snapshot and the events around it."""

    def __init__(self, *, futures: bool) -> None:
        self.futures = futures
        self.last = -1
        self.joined = False
        self.waiting: list[dict[str, Any]] = []
        self.sides: Book = ({}, {})

    def snapshot(self, body: dict[str, Any]) -> None:
        self.last = body["lastUpdateId"]
        for side, rows in zip(self.sides, (body["bids"], body["asks"]), strict=True):
            side.clear()  # an earlier snapshot may have been too old
            side |= {Decimal(price): Decimal(size) for price, size in rows}

    def event(self, event: dict[str, Any]) -> bool:
        """Applies an event; False for one that the snapshot holds already."""
        if event["u"] < self.last or (event["u"] == self.last and not self.futures):
            return False
        if self.joined:
            assert (event["pu"] if self.futures else event["U"] - 1) == self.last, event
        elif self.futures:
            assert event["U"] <= self.last <= event["u"] or event["pu"] == self.last, (self.last, event)
        else:
            assert event["U"] <= self.last + 1 <= event["u"], (self.last, event)
        self.joined, self.last = True, event["u"]
        for side, rows in zip(self.sides, (event["b"], event["a"]), strict=True):
            for price, size in rows:
                side[Decimal(price)] = Decimal(size)
                if not Decimal(size):
                    del side[Decimal(price)]
        return True

    def book(self) -> Book:
        return self.sides


def exact(truth: dict[str, Any]) -> Book:
    bids, asks = ({Decimal(price): Decimal(size) for price, size in truth[side]} for side in ("bids", "asks"))
    return bids, asks


def binance(code: str) -> tuple[str, str, bool]:
    """(websocket path, depth path, futures)"""
    if code == "binance_future":
        return "/public/stream", "/fapi/v1/depth?limit=1000&symbol=", True
    return "/stream", "/api/v3/depth?limit=5000&symbol=", False


async def subscribe(ws: aiohttp.ClientWebSocketResponse, natives: list[str]) -> None:
    streams = [f"{native.lower()}@depth@100ms" for native in natives]
    await ws.send_json({"method": "SUBSCRIBE", "params": streams, "id": 1})


@pytest.mark.parametrize("code", ["binance_future", "binance_spot"])
async def test_a_follower_of_the_documented_rules_is_right_at_every_id(
    code: str, simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    path, depth, futures = binance(code)
    natives = list(simulator.market.exchanges[code].symbols)
    followers = {native: Follower(futures=futures) for native in natives}
    checked = dict.fromkeys(natives, 0)
    async with asyncio.timeout(WAIT_S), http.ws_connect(f"{simulator.url}/{code}{path}") as ws:
        await subscribe(ws, natives)
        while min(checked.values()) < 25:
            message = await ws.receive_json()
            if "result" in message:
                assert message == {"result": None, "id": 1}
                continue
            event = message["data"]
            native = event["s"]
            assert message["stream"] == f"{native.lower()}@depth@100ms"
            follower = followers[native]
            follower.waiting.append(event)
            if follower.last < 0 and len(follower.waiting) == 3:
                while follower.last < follower.waiting[0]["U"]:  # older than the buffer: ask again
                    async with http.get(f"{simulator.url}/{code}{depth}{native}") as response:
                        assert response.status == 200
                        follower.snapshot(json.loads(await response.text()))
            if follower.last >= 0:
                while follower.waiting:
                    applied = follower.event(follower.waiting.pop(0))
                    if applied:
                        truth = simulator.truth(code, native, seq=follower.last)
                        assert follower.book() == exact(truth), (native, follower.last)
                        checked[native] += 1


@pytest.mark.parametrize("code", ["upbit", "bithumb"])
async def test_every_whole_frame_is_the_truth_at_its_time(
    code: str, simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    natives = list(simulator.market.exchanges[code].symbols)
    checked = dict.fromkeys(natives, 0)
    last: dict[str, int] = {}
    kinds = set()
    async with asyncio.timeout(WAIT_S), http.ws_connect(f"{simulator.url}/{code}/websocket/v1") as ws:
        await ws.send_json([{"ticket": "t"}, {"type": "orderbook", "codes": natives}])
        while min(checked.values()) < 25:
            message = await ws.receive()
            assert message.type is aiohttp.WSMsgType.BINARY
            frame = json.loads(message.data, parse_float=Decimal)
            native, time = frame["code"], frame["timestamp"]
            assert time >= last.get(native, 0)
            last[native] = time
            kinds.add(frame["stream_type"])
            units = frame["orderbook_units"]
            assert len(units) == (30 if code == "upbit" else 15)
            truth = simulator.truth(code, native, time_ms=time if code == "upbit" else time // 1000)
            for side, name in (("bids", "bid"), ("asks", "ask")):
                rows = [(Decimal(u[f"{name}_price"]), Decimal(u[f"{name}_size"])) for u in units]
                found = [(price, size) for price, size in rows if price and size]
                expected = [(Decimal(price), Decimal(size)) for price, size in truth[side]][: len(found)]
                assert found == expected, (native, side)
            checked[native] += 1
    assert kinds == {"SNAPSHOT", "REALTIME"}


@pytest.mark.parametrize("code", [code for code in emulated() if EXCHANGES[code].traits.start is not BookStart.REST])
async def test_what_a_client_of_the_strategy_hears_is_the_truth_at_every_frame(
    code: str, http: aiohttp.ClientSession
) -> None:
    async with SimulatorServer(Options(exchanges=(code,), **LIVELY)) as simulator:
        await follow(code, simulator, http)


async def follow(code: str, simulator: SimulatorServer, http: aiohttp.ClientSession) -> None:
    exchange = EXCHANGES[code]
    by_id = exchange.traits.continuity in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS)
    natives = list(simulator.market.exchanges[code].symbols)
    books: dict[str, Book] = {native: ({}, {}) for native in natives}
    checked = dict.fromkeys(natives, 0)
    url = exchange.strategy.ws_url(Endpoints(ws=f"ws{simulator.url[4:]}/{code}", rest=""))
    async with asyncio.timeout(WAIT_S), http.ws_connect(url, max_msg_size=1 << 25) as ws:
        for frame in [*exchange.strategy.greeting(0), exchange.strategy.subscribe(natives, 1, time.time_ns())]:
            await ws.send_str(frame)
        while min(checked.values()) < 15:
            data = (await ws.receive()).data
            payload = data if isinstance(data, bytes) else data.encode()
            if exchange.strategy.route(payload).kind is not RouteKind.BOOK:
                continue
            for update in exchange.handler.parse(payload):
                native, depth = update.native_symbol, exchange.traits.depth
                sides = books[native]
                for side, rows in zip(sides, (update.bids, update.asks), strict=True):
                    if update.snapshot:
                        side.clear()
                    side |= {Decimal(price): Decimal(size) for price, size in rows}
                    for price in [price for price, size in side.items() if not size]:
                        del side[price]
                if exchange.traits.truncates and depth is not None:
                    for side, best_first in zip(sides, (True, False), strict=True):
                        for price in sorted(side, reverse=best_first)[depth:]:
                            del side[price]
                where = {"seq": update.seq} if by_id else {"time_ms": update.exchange_time_ns // 1_000_000}
                truth = exact(simulator.truth(code, native, **where))
                for side, true, best_first in zip(sides, truth, (True, False), strict=True):
                    expected = sorted(true, reverse=best_first)[: len(side)]
                    assert sorted(side, reverse=best_first) == expected, (native, where)
                    assert side == {price: true[price] for price in expected}
                    assert len(side) >= min(len(true), (depth or len(true)) - 3)  # a few may show as 0
                checked[native] += 1


async def test_a_slower_stream_merges_frames_without_a_gap(
    simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    follower, seen = Follower(futures=True), 0
    url = f"{simulator.url}/binance_future/public/ws/btcusdt@depth"
    async with asyncio.timeout(WAIT_S), http.ws_connect(url) as ws:
        while seen < 6:
            follower.waiting.append(await ws.receive_json())
            if len(follower.waiting) == 2 and follower.last < 0:
                depth = f"{simulator.url}/binance_future/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
                while follower.last < follower.waiting[0]["U"]:  # older than the buffer: ask again
                    async with http.get(depth) as answer:
                        follower.snapshot(json.loads(await answer.text()))
            while follower.last >= 0 and follower.waiting:
                if follower.event(follower.waiting.pop(0)):
                    seen += 1
                    assert follower.book() == exact(simulator.truth("binance_future", "BTCUSDT", seq=follower.last))


async def test_dropped_frames_are_gaps_that_the_truth_does_not_know(
    simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    assert simulator.faults.drop("binance_spot", "BTCUSDT", 2) == {"armed": 2}
    async with asyncio.timeout(WAIT_S), http.ws_connect(f"{simulator.url}/binance_spot/ws/btcusdt@depth@100ms") as ws:
        first = await ws.receive_json()
        simulator.faults.drop("binance_spot", "BTCUSDT")
        second = await ws.receive_json()
        while second["U"] == first["u"] + 1:  # it was on its way before the fault was armed
            first, second = second, await ws.receive_json()
        missing = simulator.truth("binance_spot", "BTCUSDT", seq=second["U"] - 1)
        third = await ws.receive_json()
    assert second["U"] > first["u"] + 1
    assert missing["seq"] == second["U"] - 1
    assert third["U"] == second["u"] + 1
    assert simulator.faults.report()["binance_spot"] == {"struck": {"drop": 3, "rest": 0}, "armed": {}}


async def test_duplicates_swaps_and_spoiled_frames_strike_once_each(
    simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    async with asyncio.timeout(WAIT_S), http.ws_connect(f"{simulator.url}/binance_spot/ws/ethusdt@depth@100ms") as ws:
        simulator.faults.duplicate("binance_spot", "ETHUSDT")
        first, again, after = [await ws.receive_json() for _ in range(3)]
        assert first == again != after
        simulator.faults.swap("binance_spot", "ETHUSDT")
        late = await ws.receive_json()
        while late["U"] == after["u"] + 1:
            after, late = late, await ws.receive_json()
        early = await ws.receive_json()
        assert (early["U"], late["U"]) == (after["u"] + 1, early["u"] + 1)
        for kind in ("truncated", "nan", "html", "empty"):
            simulator.faults.malformed("binance_spot", "ETHUSDT", kind)
            while not is_spoiled(await ws.receive_str()):
                pass
        assert simulator.faults.report()["binance_spot"]["struck"]["malformed"] == 4
        assert simulator.faults.inject("binance_spot", "ETHUSDT", "hello") == {"links": 1}
        while await ws.receive_str() != "hello":
            pass


def is_spoiled(text: str) -> bool:
    try:
        return json.loads(text).get("e") != "depthUpdate" or '"NaN"' in text
    except ValueError:
        return True


async def test_links_are_closed_aborted_and_silenced(simulator: SimulatorServer, http: aiohttp.ClientSession) -> None:
    url = f"{simulator.url}/binance_spot/ws/btcusdt@depth@100ms"
    async with asyncio.timeout(WAIT_S):
        ws = await http.ws_connect(url)
        await ws.receive()
        assert simulator.faults.close("binance_spot", 1012)["links"] == 1
        while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert ws.close_code == 1012
        ws = await http.ws_connect(url)
        await ws.receive()
        assert simulator.faults.abort("binance_spot") == {"links": 1}
        while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert ws.close_code == 1006
        deaf, other = await http.ws_connect(url), await http.ws_connect(url)
        await deaf.receive()
        await other.receive()
        assert simulator.faults.silence("binance_spot", 1) == {"links": 1}
        pending = asyncio.ensure_future(deaf.receive())
        for _ in range(5):
            await other.receive()
        # What was on its way may still arrive; then nothing more, while the other link goes on.
        while pending.done():
            pending = asyncio.ensure_future(deaf.receive())
            for _ in range(5):
                await other.receive()
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
        assert simulator.faults.shutdown("binance_spot")["links"] == 2
        while "serverShutdown" not in (await other.receive()).data:
            pass
        await other.close()


async def test_pings_are_sent_and_unanswered_ones_end_the_link(
    simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    venue = simulator.venues["binance_spot"]
    venue.emulator.rules.ping_s = 0.4  # type: ignore[attr-defined]
    venue.emulator.rules.pong_s = 0.6  # type: ignore[attr-defined]
    async with asyncio.timeout(WAIT_S):
        url = f"{simulator.url}/binance_spot/ws/btcusdt@depth@100ms"
        polite = await http.ws_connect(url)
        rude = await http.ws_connect(url, autoping=False)
        pings = 0
        while (message := await rude.receive()).type is not aiohttp.WSMsgType.CLOSE:
            pings += message.type is aiohttp.WSMsgType.PING
            await polite.receive()
        assert pings == 1
        assert rude.close_code == 1008
        for _ in range(40):
            assert (await polite.receive()).type is aiohttp.WSMsgType.TEXT
        await polite.close()


async def test_a_client_that_does_not_read_is_cut_off_and_others_go_on(http: aiohttp.ClientSession) -> None:
    options = Options(symbols=3, rate=200.0, exchanges=("upbit",), quiet=0.0, slow_client_bytes=100_000)
    async with SimulatorServer(options) as simulator, asyncio.timeout(WAIT_S):
        request = json.dumps([{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-BTC", "KRW-ETH", "KRW-XRP"]}])
        url = f"{simulator.url}/upbit/websocket/v1"
        slow, quick = await http.ws_connect(url), await http.ws_connect(url)
        for ws in (slow, quick):
            await ws.send_str(request)
        transport = slow._response.connection.transport  # type: ignore[union-attr]
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        received = 0
        while simulator.venues["upbit"].counts.slow == 0:
            assert (await quick.receive()).type is aiohttp.WSMsgType.BINARY
            received += 1
        for _ in range(20):
            assert (await quick.receive()).type is aiohttp.WSMsgType.BINARY
        assert received > 100
        transport.abort()
        await quick.close()


async def test_rest_and_handshakes_are_refused_on_demand(
    simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    depth = f"{simulator.url}/binance_spot/api/v3/depth?symbol=BTCUSDT&limit=5"
    simulator.faults.refuse_rest("binance_spot", 429, path="/depth", retry_after_s=3, count=1)
    async with http.get(depth) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
    async with http.get(depth) as answer:
        assert answer.status == 200
    simulator.faults.refuse_rest("binance_spot", 200, cut=True, count=1)
    async with http.get(depth) as answer:
        body = await answer.text()
        with pytest.raises(ValueError, match="line"):
            json.loads(body)
    simulator.faults.refuse_connects("binance_spot", 503)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{simulator.url}/binance_spot/ws")
    assert caught.value.status == 503
    simulator.faults.clear()
    await (await http.ws_connect(f"{simulator.url}/binance_spot/ws")).close()
    assert simulator.faults.report()["binance_spot"]["struck"]["rest"] == 2


async def test_markets_halt_leave_and_come(simulator: SimulatorServer, http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(WAIT_S), http.ws_connect(f"{simulator.url}/upbit/websocket/v1") as ws:
        market = simulator.market.exchanges["upbit"]
        simulator.faults.delist("upbit", "KRW-XRP")
        simulator.faults.halt("upbit", "KRW-ETH")
        await ws.send_json([{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-BTC", "KRW-ETH", "KRW-XRP"]}])
        frames: list[tuple[str, int]] = []
        while sum(native == "KRW-BTC" for native, _ in frames) < 20:
            frame = json.loads((await ws.receive()).data)
            frames.append((frame["code"], frame["timestamp"]))
        assert {native for native, _ in frames} == {"KRW-BTC", "KRW-ETH"}
        assert sum(native == "KRW-ETH" for native, _ in frames) <= 2  # the snapshot, and what was pending
        async with http.get(f"{simulator.url}/upbit/v1/market/all") as answer:
            assert {"KRW-ETH", "KRW-XRP"} & {entry["market"] for entry in await answer.json()} == set()
        listed = simulator.faults.relist("upbit")["listed"]
        assert listed in market.symbols
        assert simulator.faults.relist("upbit", "KRW-XRP") == {"listed": "KRW-XRP"}
        while frame["code"] != "KRW-XRP":
            frame = json.loads((await ws.receive()).data)


async def test_the_clock_jumps_for_all(simulator: SimulatorServer, http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(WAIT_S), http.ws_connect(f"{simulator.url}/binance_spot/ws/btcusdt@depth@100ms") as ws:
        before = (await ws.receive_json())["E"]
        assert simulator.faults.clock(-3600.0) == {"offset_s": -3600.0}
        for _ in range(3):
            after = await ws.receive_json()
        assert before - 3_700_000 < after["E"] < before - 3_000_000
        truth = simulator.truth("binance_spot", "BTCUSDT", seq=after["u"])
        assert truth["time_ms"] <= after["E"]


async def test_http_tells_truth_status_and_obeys_control(
    simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    async def get(path: str) -> tuple[int, Any]:
        async with http.get(simulator.url + path) as answer:
            return answer.status, await answer.json()

    async def post(body: object) -> tuple[int, Any]:
        async with http.post(f"{simulator.url}/control", json=body) as answer:
            return answer.status, await answer.json()

    status, truth = await get("/truth/binance_future/币安人生USDT?depth=3")
    assert (status, len(truth["bids"]), len(truth["asks"])) == (200, 3, 3)
    assert truth == (await get(f"/truth/binance_future/币安人生USDT?depth=3&seq={truth['seq']}"))[1] | {
        "time_ms": truth["time_ms"]
    }
    assert (await get("/truth/binance_future/NOPE"))[0] == 404
    assert (await get("/truth/binance_future/BTCUSDT?seq=1"))[0] == 404
    assert (await get("/truth/binance_future/BTCUSDT?seq=x"))[0] == 400
    assert await post({"action": "drop", "code": "upbit", "native": "KRW-BTC", "count": 4}) == (200, {"armed": 4})
    assert (await get("/control"))[1]["upbit"]["armed"]["KRW-BTC"] == 4
    assert (await post({"action": "explode"}))[0] == 400
    assert (await post({"action": "drop", "code": "upbit", "native": "NOPE"}))[0] == 404
    assert (await post({"action": "drop", "wrong": 1}))[0] == 400
    status, everything = await get("/status")
    assert set(everything["bithumb"]) >= {"markets", "links_now", "frames", "rest", "slow"}
    assert (await get("/healthz"))[0] == 200
    assert (await get("/nowhere/x"))[0] == 404


async def test_equal_topics_share_one_rendering(simulator: SimulatorServer, http: aiohttp.ClientSession) -> None:
    venue = simulator.venues["upbit"]
    assert isinstance(venue, Venue)
    rendered: list[str] = []
    render = venue.emulator.render

    def counting(topic: Any, *rest: Any) -> bytes:
        rendered.append(topic.native)
        return render(topic, *rest)

    venue.emulator.render = counting  # type: ignore[method-assign, assignment]
    request = [{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-BTC"], "is_only_realtime": True}]
    async with asyncio.timeout(WAIT_S):
        links = [await http.ws_connect(f"{simulator.url}/upbit/websocket/v1") for _ in range(3)]
        for ws in links:
            await ws.send_json(request)
        texts = [[(await ws.receive()).data for _ in range(12)] for ws in links]
        shared = set(texts[0]) & set(texts[1]) & set(texts[2])
        assert len(shared) >= 8
        assert len(rendered) < 3 * 12
        for ws in links:
            await ws.close()
