"""The emulators speak as documented: requests, acknowledgements, errors, limits, pings, REST weights and bans."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp
from services.simulator.market import ExchangeMarket, Market
from services.simulator.options import Options
from services.simulator.venues.base import Answer, Call, Change, Close, Emulator, Ping, Send, SendFirst, Session

START_MS = 1_790_000_000_000


class Desk:
    """A emulator over a small market, with a clock that the test turns."""

    def __init__(self, code: str) -> None:
        options = Options(symbols=12, max_levels=60, quiet=0.0, exchanges=(code,))
        self.market: ExchangeMarket = Market(options, START_MS).exchanges[code]
        self.now_s = 1000.0
        self.emulator: Emulator = self.market.emulator

    @property
    def stamp(self) -> Stamp:
        return Stamp(int(self.now_s * 1e9), START_MS * 1_000_000 + int((self.now_s - 1000) * 1e9))

    def call(self, path: str, *, client: str = "a", origin: bool = False, **query: Any) -> Call:
        return Call(path, query, client, self.stamp, origin)

    def get(self, path: str, *, client: str = "a", origin: bool = False, **query: Any) -> Answer:
        return self.emulator.rest(self.call(path, client=client, origin=origin, **query))

    def open(self, path: str, **query: Any) -> Session:
        opened = self.emulator.open(self.call(path, **query))
        assert isinstance(opened, Session)
        return opened

    def say(self, session: Session, message: object) -> list[Any]:
        self.now_s += 1.0  # politely
        return session.receive(message if isinstance(message, str) else json.dumps(message), self.stamp)

    def emit(self, native: str) -> Change:
        symbol = self.market.symbols[native]
        while True:
            change = symbol.emit()
            symbol.generate(symbol.window_end_ms, symbol.window_end_ms + 50)
            if change is not None and change.last_seq != change.prev_seq:
                return change


def text(actions: list[Any]) -> Any:
    assert len(actions) == 1
    assert isinstance(actions[0], Send)
    return json.loads(actions[0].data)


# --- Binance, websocket


@pytest.mark.parametrize("code", ["binance_spot", "binance_future"])
def test_binance_acknowledges_everything_and_lists_it(code: str) -> None:
    desk = Desk(code)
    session = desk.open("/stream")
    names = ["btcusdt@depth@100ms", "nosuch@depth", "btcusdt@trade", "BTCUSDT@depth"]
    assert text(desk.say(session, {"method": "SUBSCRIBE", "params": names, "id": 7})) == {"result": None, "id": 7}
    assert text(desk.say(session, {"method": "LIST_SUBSCRIPTIONS", "id": "a1"})) == {"result": names, "id": "a1"}
    # Only a lowercase depth stream can ever bring a frame; NOSUCH never does, because it is not listed.
    assert {topic.native for topic in session.topics} == {"BTCUSDT", "NOSUCH"}
    text(desk.say(session, {"method": "UNSUBSCRIBE", "params": names[:2], "id": None}))
    assert session.topics == frozenset()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not json", 3),
        ({"method": "SUBSCRIBE", "params": ["a@depth"], "id": 1, "extra": 1}, 0),
        ({"method": "SUBSCRIBE", "params": "a@depth", "id": 1}, 1),
        ({"method": "SUBSCRIBE", "params": [5], "id": 1}, 1),
        ({"method": "NOPE", "params": [], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [], "id": 1.5}, 2),
        ({"method": "SUBSCRIBE", "params": [f"s{n}@depth" for n in range(1025)], "id": 1}, 2),
        ([1], 2),
    ],
)
def test_binance_refuses_by_code(message: object, code: int) -> None:
    desk = Desk("binance_spot")
    answer = text(desk.say(desk.open("/ws"), message))
    assert answer["code"] == code
    assert "result" not in answer


def test_binance_frames_have_the_documented_shape() -> None:
    spot, future = Desk("binance_spot"), Desk("binance_future")
    for desk, path in ((spot, "/stream"), (future, "/public/stream")):
        session = desk.open(path, streams="btcusdt@depth@100ms")
        (topic,) = session.topics
        change = desk.emit("BTCUSDT")
        listing = desk.market.listing("BTCUSDT")
        assert listing is not None
        frame = json.loads(desk.emulator.render(topic, listing, change, None))
        assert frame["stream"] == "btcusdt@depth@100ms"
        event = frame["data"]
        assert list(event)[:3] == (["e", "E", "s"] if desk is spot else ["e", "E", "T"])
        assert (event["U"], event["u"]) == (change.first_seq, change.last_seq)
        assert event.get("pu") == (None if desk is spot else change.prev_seq)
        pattern = r"\d+\.\d{8}" if desk is spot else r"\d+\.\d{2}"
        assert all(re.fullmatch(pattern, price) for price, _ in event["b"] + event["a"])
        bids = [Decimal(price) for price, _ in event["b"]]
        asks = [Decimal(price) for price, _ in event["a"]]
        assert bids == sorted(bids, reverse=desk is spot)
        assert asks == sorted(asks)


def test_binance_raw_streams_microseconds_and_partial_books() -> None:
    desk = Desk("binance_spot")
    session = desk.open("/ws/btcusdt@depth@100ms", timeUnit="MICROSECOND")
    (topic,) = session.topics
    change = desk.emit("BTCUSDT")
    listing = desk.market.listing("BTCUSDT")
    assert listing is not None
    assert json.loads(desk.emulator.render(topic, listing, change, None))["E"] == change.time_ms * 1000
    (partial,) = desk.open("/ws/btcusdt@depth5@100ms").topics
    assert desk.emulator.wants_book(partial) == 5
    book = json.loads(desk.emulator.render(partial, listing, change, desk.market.book("BTCUSDT")))
    assert list(book) == ["lastUpdateId", "bids", "asks"]
    assert len(book["bids"]) == 5
    (slow,) = desk.open("/ws/btcusdt@depth").topics
    assert (slow.interval_ms, topic.interval_ms) == (1000, 0)
    (slow_future,) = Desk("binance_future").open("/public/ws/btcusdt@depth").topics
    assert slow_future.interval_ms == 250


@pytest.mark.parametrize(("code", "allowed"), [("binance_spot", 5), ("binance_future", 10)])
def test_binance_cuts_who_says_too_much_in_a_second(code: str, allowed: int) -> None:
    desk = Desk(code)
    session = desk.open("/ws")
    request = '{"method":"LIST_SUBSCRIPTIONS","id":1}'
    for n in range(allowed):
        desk.now_s += 0.01
        answer = session.ping(b"", desk.stamp) if n % 2 else session.receive(request, desk.stamp)
        assert not any(isinstance(action, Close) for action in answer)
    assert isinstance(session.receive(request, desk.stamp)[-1], Close)
    fresh = desk.open("/ws")
    for _ in range(3 * allowed):
        desk.now_s += 1.0 / allowed
        assert not any(isinstance(action, Close) for action in fresh.receive(request, desk.stamp))


@pytest.mark.parametrize(("code", "every_s", "patience_s"), [("binance_spot", 20, 60), ("binance_future", 180, 600)])
def test_binance_pings_and_ends_a_link_that_does_not_answer(code: str, every_s: int, patience_s: int) -> None:
    desk = Desk(code)
    session = desk.open("/ws")
    desk.now_s += every_s - 1
    assert session.tick(desk.stamp) == []
    desk.now_s += 2
    (ping,) = session.tick(desk.stamp)
    assert isinstance(ping, Ping)
    assert session.pong(ping.data, desk.stamp) == []
    desk.now_s += every_s + 1
    (second,) = session.tick(desk.stamp)
    assert isinstance(second, Ping)
    session.pong(b"something else", desk.stamp)  # an unsolicited pong keeps nothing alive
    desk.now_s += patience_s + 1
    assert isinstance(session.tick(desk.stamp)[0], Close)


def test_binance_announces_a_shutdown_and_cuts_after_a_day() -> None:
    desk = Desk("binance_spot")
    raw, combined = desk.open("/ws"), desk.open("/stream")
    assert text(raw.shutdown(desk.stamp))["e"] == "serverShutdown"
    wrapped = text(combined.shutdown(desk.stamp))
    assert (wrapped["stream"], wrapped["data"]["e"]) == ("!serverShutdown", "serverShutdown")
    desk.now_s += 11
    assert isinstance(raw.tick(desk.stamp)[0], Close)
    patient = desk.open("/ws")
    for _ in range(24 * 60 - 1):
        desk.now_s += 60
        for action in patient.tick(desk.stamp):
            assert isinstance(action, Ping)
            patient.pong(action.data, desk.stamp)
    desk.now_s += 61
    assert isinstance(patient.tick(desk.stamp)[0], Close)


def test_binance_limits_connections_in_five_minutes() -> None:
    desk = Desk("binance_spot")
    for _ in range(300):
        desk.open("/ws")
    refused = desk.emulator.open(desk.call("/ws"))
    assert isinstance(refused, Answer)
    assert refused.status == 429
    desk.now_s += 301
    desk.open("/ws")


# --- Binance, REST


@pytest.mark.parametrize(
    ("code", "path", "weights"),
    [
        ("binance_spot", "/api/v3/depth", {"100": 5, "500": 25, "1000": 50, "5000": 250}),
        ("binance_future", "/fapi/v1/depth", {"50": 2, "100": 5, "500": 10, "1000": 20}),
    ],
)
def test_binance_depth_costs_its_weight_and_tells(code: str, path: str, weights: dict[str, int]) -> None:
    desk, used = Desk(code), 0
    for limit, weight in weights.items():
        answer = desk.get(path, symbol="BTCUSDT", limit=limit)
        used += weight
        assert answer.status == 200
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(used)
    desk.now_s += 61
    assert desk.get(path, symbol="BTCUSDT", limit="100").headers["X-MBX-USED-WEIGHT-1M"] == "5"


def test_binance_refuses_over_weight_then_bans_longer_each_time() -> None:
    desk = Desk("binance_spot")
    statuses = []
    for _ in range(40):
        answer = desk.get("/api/v3/depth", symbol="BTCUSDT", limit="5000")
        statuses.append(answer.status)
        if answer.status != 200:
            assert json.loads(answer.body)["code"] == -1003
            assert int(answer.headers["Retry-After"]) >= 1
    assert statuses[:24] == [200] * 24
    assert statuses[24:29] == [429] * 5
    assert set(statuses[29:]) == {418}
    assert desk.get("/api/v3/ping", client="b").status == 200  # another address is not concerned
    desk.now_s += 121
    assert desk.get("/api/v3/ping").status == 200
    desk.now_s = (desk.now_s // 60 + 1) * 60  # a whole minute ahead
    last = [desk.get("/api/v3/depth", symbol="BTCUSDT", limit="5000") for _ in range(30)][-1]
    assert last.status == 418
    assert int(last.headers["Retry-After"]) > 200


@pytest.mark.parametrize(
    ("code", "query", "error"),
    [
        ("binance_spot", {}, -1102),
        ("binance_spot", {"symbol": "NOPE"}, -1121),
        ("binance_spot", {"symbol": "btcusdt"}, -1100),
        ("binance_spot", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
        ("binance_spot", {"symbol": "BTCUSDT", "limit": "0"}, -1130),
        ("binance_future", {"symbol": "BTCUSDT", "limit": "7"}, -4021),
        ("binance_future", {"symbol": "NOPE"}, -1121),
    ],
)
def test_binance_errors_have_a_code(code: str, query: dict[str, str], error: int) -> None:
    desk = Desk(code)
    answer = desk.get("/fapi/v1/depth" if code == "binance_future" else "/api/v3/depth", **query)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, error)


def test_binance_snapshots_lag_lead_and_fall_on_a_frame() -> None:
    desk = Desk("binance_future")
    symbol = desk.market.symbols["BTCUSDT"]
    ends, spans, seen = set(), [], []
    now_ms = START_MS
    for _ in range(120):
        now_ms += 50
        change = symbol.emit()
        symbol.generate(now_ms, now_ms + 50)
        if change is not None:
            ends.add(change.last_seq)
            spans.append((change.first_seq, change.last_seq))
        desk.now_s = 1000 + (now_ms + 25 - START_MS) / 1000
        body = json.loads(desk.get("/fapi/v1/depth", symbol="BTCUSDT", limit="5").body)
        truth = desk.market.truth("BTCUSDT", seq=body["lastUpdateId"], depth=5)
        assert (body["bids"], body["asks"]) == (truth["bids"], truth["asks"])
        seen.append((body["lastUpdateId"], symbol.emitted_seq))
    lids = [lid for lid, _ in seen]
    assert any(lid in ends for lid in lids)
    assert any(first <= lid < last for lid in lids for first, last in spans)
    assert any(lid < sent for lid, sent in seen)
    assert any(lid > sent for lid, sent in seen)


@pytest.mark.parametrize("code", ["binance_spot", "binance_future"])
def test_binance_lists_name_assets_filters_and_turnover(code: str) -> None:
    desk = Desk(code)
    base = "/fapi/v1" if code == "binance_future" else "/api/v3"
    info = json.loads(desk.get(f"{base}/exchangeInfo").body)
    assert [symbol["symbol"] for symbol in info["symbols"]] == list(desk.market.symbols)
    assert {"币安人生USDT"} <= {symbol["symbol"] for symbol in info["symbols"]}
    if code == "binance_future":
        dated = next(symbol for symbol in info["symbols"] if symbol["symbol"] == "BTCUSDT_261225")
        assert (dated["contractType"], dated["pair"], dated["deliveryDate"]) == (
            "CURRENT_QUARTER", "BTCUSDT", 1798185600000,
        )  # fmt: skip
    tickers = {ticker["symbol"]: ticker for ticker in json.loads(desk.get(f"{base}/ticker/24hr").body)}
    assert Decimal(tickers["BTCUSDT"]["quoteVolume"]) > 100 * Decimal(tickers["币安人生USDT"]["quoteVolume"])
    desk.market.symbols["BTCUSDT"].phase = Phase.HALTED
    again = json.loads(desk.get(f"{base}/exchangeInfo").body)["symbols"][0]["status"]
    assert again == ("BREAK" if code == "binance_future" else "HALT")


# --- Upbit and Bithumb

TICKET = {"ticket": "t"}


def test_upbit_requests_replace_and_bring_a_snapshot_without_an_acknowledgement() -> None:
    desk = Desk("upbit")
    session = desk.open("/websocket/v1")
    first = desk.say(session, [TICKET, {"type": "orderbook", "codes": ["KRW-BTC", "KRW-NOPE"]}])
    assert [action.topic.native for action in first if isinstance(action, SendFirst)] == ["KRW-BTC", "KRW-NOPE"]
    assert desk.emulator.first(first[1].topic) is None  # unknown: silence
    second = [TICKET, {"type": "orderbook", "codes": ["KRW-ETH.5"], "is_only_realtime": True}, {"format": "SIMPLE"}]
    assert desk.say(session, second) == []
    assert [topic.native for topic in session.topics] == ["KRW-ETH"]
    snapshot_only = [TICKET, {"type": "orderbook", "codes": ["KRW-ETH"], "is_only_snapshot": True}]
    assert len(desk.say(session, snapshot_only)) == 1
    assert session.topics == frozenset()


def test_bithumb_knows_only_its_own_flags() -> None:
    desk = Desk("bithumb")
    session = desk.open("/websocket/v1")
    wanted = {"type": "orderbook", "codes": ["KRW-BTC.30"], "is_only_realtime": True}
    assert len(desk.say(session, [TICKET, wanted])) == 1
    assert desk.say(session, [TICKET, wanted | {"isOnlyRealtime": True}]) == []
    (topic,) = session.topics
    assert desk.emulator.wants_book(topic) == 15


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("nonsense", "WRONG_FORMAT"),
        ({"ticket": "x"}, "WRONG_FORMAT"),
        ([{"type": "orderbook", "codes": ["KRW-BTC"]}], "NO_TICKET"),
        ([TICKET], "NO_TYPE"),
        ([TICKET, {"codes": ["KRW-BTC"]}], "NO_TYPE"),
        ([TICKET, {"type": "orderbook"}], "NO_CODES"),
        ([TICKET, {"type": "orderbook", "codes": []}], "NO_CODES"),
        ([TICKET, {"type": "nope", "codes": ["KRW-BTC"]}], "INVALID_PARAM"),
        ([TICKET, {"type": "orderbook", "codes": ["KRW-BTC"]}, {"format": "X"}], "WRONG_FORMAT"),
    ],
)
@pytest.mark.parametrize("code", ["upbit", "bithumb"])
def test_a_wrong_ticket_request_is_named_and_closed(code: str, message: object, name: str) -> None:
    desk = Desk(code)
    error, close = desk.say(desk.open("/websocket/v1"), message)
    assert json.loads(error.data)["error"]["name"] == name
    assert isinstance(error.data, bytes)
    assert close == Close(1000)


@pytest.mark.parametrize("code", ["upbit", "bithumb"])
def test_a_client_keeps_alive_by_ping_or_is_cut(code: str) -> None:
    desk = Desk(code)
    session, silent = desk.open("/websocket/v1"), desk.open("/websocket/v1")
    assert session.receive("PING", desk.stamp) == [Send(b'{"status":"UP"}')]
    for _ in range(9):
        desk.now_s += 10.0
        assert session.tick(desk.stamp) == [Send(b'{"status":"UP"}')]
    desk.now_s += 20.0
    session.ping(b"", desk.stamp)
    desk.now_s += 101.0
    assert Close(1006, "idle") not in session.tick(desk.stamp)
    assert silent.tick(desk.stamp) == [Close(1006, "idle")]


@pytest.mark.parametrize(("code", "allowed"), [("upbit", 5), ("bithumb", 10)])
def test_connections_are_limited_by_the_second(code: str, allowed: int) -> None:
    desk = Desk(code)
    for _ in range(allowed):
        desk.open("/websocket/v1")
    refused = desk.emulator.open(desk.call("/websocket/v1"))
    assert isinstance(refused, Answer)
    assert refused.status == 429
    desk.now_s += 1.1
    desk.open("/websocket/v1")


def test_upbit_frames_are_whole_padded_and_have_exponents() -> None:
    desk = Desk("upbit")
    session = desk.open("/websocket/v1")
    desk.say(session, [TICKET, {"type": "orderbook", "codes": ["KRW-BTC", "BTC-ETH"]}])
    for topic in session.topics:
        frame = desk.emulator.first(topic)
        assert frame is not None
        book = json.loads(frame, parse_float=Decimal)
        assert list(book) == [
            "type", "code", "timestamp", "total_ask_size", "total_bid_size", "orderbook_units", "stream_type", "level",
        ]  # fmt: skip
        assert len(book["orderbook_units"]) == 30
        empty = [unit for unit in book["orderbook_units"] if not unit["bid_price"]]
        assert all(not unit["bid_size"] for unit in empty)
        assert bool(empty) == (topic.native == "BTC-ETH")
        assert (b"E8," in frame) == (topic.native == "KRW-BTC")
        assert book["total_bid_size"] == sum(unit["bid_size"] for unit in book["orderbook_units"])
        truth = desk.market.truth(topic.native, depth=30)
        bids = [[unit["bid_price"], unit["bid_size"]] for unit in book["orderbook_units"] if unit["bid_size"]]
        assert bids == [[Decimal(price), Decimal(size)] for price, size in truth["bids"]]


def test_upbit_simple_list_and_grouped_frames() -> None:
    desk = Desk("upbit")
    session = desk.open("/websocket/v1")
    request = {"type": "orderbook", "codes": ["KRW-BTC.5"], "level": 100000}
    desk.say(session, [TICKET, request, {"format": "SIMPLE_LIST"}])
    (topic,) = session.topics
    frame = desk.emulator.first(topic)
    assert frame is not None
    (book,) = json.loads(frame, parse_float=Decimal)
    assert set(book) == {"ty", "cd", "tms", "tas", "tbs", "obu", "st", "lv"}
    assert len(book["obu"]) == 5
    assert all(unit["ap"] % 100000 == 0 and unit["bp"] % 100000 == 0 for unit in book["obu"])
    best = Decimal(desk.market.truth("KRW-BTC", depth=1)["bids"][0][0])
    assert 0 <= best - book["obu"][0]["bp"] < 100000
    desk.say(session, [TICKET, request | {"level": 12345}])
    assert desk.emulator.first(next(iter(session.topics))) == b""  # an unsupported level is silence


def test_bithumb_times_are_micros_on_the_stream_and_millis_on_rest_and_sizes_have_four_decimals() -> None:
    desk = Desk("bithumb")
    desk.emit("KRW-BTC")
    session = desk.open("/websocket/v1")
    desk.say(session, [TICKET, {"type": "orderbook", "codes": ["KRW-BTC"]}])
    frame = desk.emulator.first(next(iter(session.topics)))
    assert frame is not None
    book = json.loads(frame, parse_float=str, parse_int=str)
    assert len(book["timestamp"]) == 16
    assert len(book["orderbook_units"]) == 15
    units = book["orderbook_units"]
    assert all(re.fullmatch(r"\d+\.\d{4}", unit[key]) for unit in units for key in ("ask_size", "bid_size"))
    assert all("E" not in unit[key] for unit in units for key in ("ask_price", "bid_price"))
    (rest,) = json.loads(desk.get("/v1/orderbook", markets="KRW-BTC").body)
    assert len(str(rest["timestamp"])) == 13
    assert len(rest["orderbook_units"]) == 30
    assert int(book["timestamp"]) // 1000 == rest["timestamp"]
    several = json.loads(desk.get("/v1/orderbook", markets="KRW-BTC,KRW-ETH").body)
    assert [len(entry["orderbook_units"]) for entry in several] == [15, 15]


def test_upbit_rest_counts_per_group_and_blocks_who_goes_on() -> None:
    desk = Desk("upbit")
    for left in range(9, -1, -1):
        answer = desk.get("/v1/market/all")
        assert answer.headers["Remaining-Req"] == f"group=market; min=600; sec={left}"
    statuses = [desk.get("/v1/market/all").status for _ in range(12)]
    assert statuses[0] == 429
    assert statuses[-1] == 418
    assert desk.get("/v1/ticker", markets="KRW-BTC").status == 200  # another group
    desk.now_s += 6
    assert desk.get("/v1/market/all").status == 200
    assert [desk.get("/v1/ticker", origin=True, markets="KRW-BTC").status for _ in range(2)] == [200, 429]


def test_one_unknown_market_fails_the_whole_call() -> None:
    upbit, bithumb = Desk("upbit"), Desk("bithumb")
    for desk, status in ((upbit, 404), (bithumb, 200)):
        for path in ("/v1/orderbook", "/v1/ticker"):
            answer = desk.get(path, markets="KRW-BTC,KRW-NOPE")
            assert answer.status == status
            assert json.loads(answer.body)["error"]["name"] == 404
    assert bithumb.get("/v1/ticker", markets=",".join(["KRW-BTC"] * 201)).status == 400
    assert bithumb.get("/v1/ticker", markets=",".join(["KRW-BTC"] * 600)).status == 414


def test_korean_lists_and_tickers() -> None:
    for code in ("upbit", "bithumb"):
        desk = Desk(code)
        markets = json.loads(desk.get("/v1/market/all").body)
        assert [market["market"] for market in markets] == list(desk.market.symbols)
        assert markets[0]["korean_name"] == "비트코인"
        figures = json.loads(desk.get("/v1/ticker", markets="KRW-BTC,KRW-SHIB").body)
        assert figures[0]["acc_trade_price_24h"] > 20 * figures[1]["acc_trade_price_24h"]
        shift = figures[0]["timestamp"] - desk.stamp.wall_ns // 1_000_000
        assert shift == (9 * 3_600_000 if code == "bithumb" else 0)
    upbit = Desk("upbit")
    quotes = json.loads(upbit.get("/v1/ticker/all", quote_currencies="BTC,USDT").body)
    assert {figure["market"].partition("-")[0] for figure in quotes} == {"BTC", "USDT"}
    (policy,) = json.loads(upbit.get("/v1/orderbook/instruments", markets="KRW-BTC").body)
    assert policy["tick_size"] == "1000"
    assert policy["supported_levels"][0] == "0"
