"""Kraken's emulator: it answers as documented; what it says is understood by our side and by a naive client alike."""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from hoga.domain.phases import Phase
from hoga.domain.rules import BookRules
from hoga.domain.types import Stamp, State
from hoga.exchanges import registry
from hoga.exchanges.base import RouteKind
from services.simulator.venues.base import (
    Action,
    Answer,
    BookView,
    Call,
    Change,
    Close,
    Day,
    IntLevel,
    Listing,
    Send,
    SendFirst,
    Session,
    Topic,
)
from services.simulator.venues.kraken import HEARTBEAT, KrakenEmulator, rfc3339
from tests.support.naive_kraken import KrakenBook
from tests.support.shelf import OpenShelf

KRAKEN = registry.get("kraken")
START_MS = 1_790_000_000_123
LISTINGS = [
    Listing("BTC/USD", "BTC", "USD", price_decimals=1, size_decimals=8, tick=1, size_step=1),
    Listing("DOGE/USD", "DOGE", "USD", price_decimals=7, size_decimals=8, tick=10, size_step=10**6),
    Listing("ETH/BTC", "ETH", "BTC", price_decimals=5, size_decimals=8, tick=1, size_step=1),
    Listing("ADA/EUR", "ADA", "EUR", price_decimals=0, size_decimals=5, tick=1, size_step=1),
]


class FakeMarket:
    """The `MarketPort` of four markets whose books breathe: levels come and go at the best prices and far out."""

    def __init__(self, seed: int = 1, levels: int = 40) -> None:
        self.dice = Random(seed)
        self.halted: set[str] = set()
        self.time_ms = START_MS
        self.seq = 1
        self.sides: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
        for listing in LISTINGS:
            middle = 5000 * listing.tick
            bids = {middle - n * listing.tick: self._size() for n in range(1, levels)}
            asks = {middle + n * listing.tick: self._size() for n in range(1, levels)}
            self.sides[listing.native] = (bids, asks)

    def listings(self) -> list[Listing]:
        return LISTINGS

    def listing(self, native: str) -> Listing | None:
        return next((listing for listing in LISTINGS if listing.native == native), None)

    maintained = False

    def phase(self, native: str) -> Phase:
        return Phase.HALTED if native in self.halted else Phase.TRADING

    def book(self, native: str, at_ms: int | None = None) -> BookView:
        bids, asks = self.sides[native]
        return BookView(self.seq, self.time_ms, sorted(bids.items(), reverse=True), sorted(asks.items()))

    def day(self, native: str) -> Day:
        return Day(last=50_000, open=1, high=2, low=1, volume=4 * 10**8, turnover=20_000 * 10**8, trades=5)

    def step(self, native: str) -> None:
        """One frame: a few levels of either side are set, resized, or taken, anywhere in reach of the best."""
        tick = LISTINGS[[listing.native for listing in LISTINGS].index(native)].tick
        middle = 5000 * tick
        for side, outwards in zip(self.sides[native], (-tick, tick), strict=True):
            for _ in range(self.dice.randrange(4)):
                price = middle + outwards * self.dice.randrange(1, 60)
                size = self._size() if self.dice.random() < 0.45 else 0
                if size:
                    side[price] = size
                elif len(side) > 3:
                    side.pop(price, None)
        self.time_ms += self.dice.randrange(1, 900)
        self.seq += 1

    def _size(self) -> int:
        return self.dice.randrange(1, 10**6)


class Line:
    """One link to the emulator and everything that was sent over it."""

    def __init__(self, market: FakeMarket | None = None) -> None:
        self.market = market or FakeMarket()
        self.emulator = KrakenEmulator(self.market)
        self.now_s = 1000.0
        self.frames: list[str] = []
        self.closed: Close | None = None
        opened = self.emulator.open(self.call("/v2"))
        assert isinstance(opened, Session)
        self.session = opened

    @property
    def stamp(self) -> Stamp:
        return Stamp(int(self.now_s * 1e9), self.market.time_ms * 1_000_000)

    def call(self, path: str, client: str = "a", **query: str) -> Call:
        return Call(path, query, client, self.stamp)

    def say(self, message: object) -> list[Any]:
        """What a request brings at once, as JSON."""
        text = message if isinstance(message, str) else json.dumps(message)
        return self._carry_out(self.session.receive(text, self.stamp))

    def wait(self, seconds: float) -> list[Any]:
        self.now_s += seconds
        return self._carry_out(self.session.tick(self.stamp))

    def step(self, native: str) -> list[bytes]:
        """One frame of a market in every topic of this link; empty where a topic has nothing to say."""
        before = self.market.book(native)
        self.market.step(native)
        after, sent = self.market.book(native), []
        listing = self.market.listing(native)
        assert listing is not None
        for topic in sorted(topic for topic in self.session.topics if topic.native == native):
            depth = self.emulator.window(topic)
            bids, asks = differ(before.bids, after.bids, depth), differ(before.asks, after.asks, depth)
            change = Change(after.seq, after.seq, before.seq, after.time_ms, bids, asks)
            wanted = self.emulator.wants_book(topic)
            top = BookView(after.seq, after.time_ms, after.bids[:wanted], after.asks[:wanted])
            frame = self.emulator.render(topic, listing, change, top)
            sent.append(self.session.stamp(frame) if frame else b"")
        return sent

    def rest(self, path: str, **query: str) -> Any:
        self.now_s += 1.1  # politely
        answer = self.emulator.rest(self.call(path, **query))
        assert answer.status == 200
        return json.loads(answer.body)

    def _carry_out(self, actions: list[Action]) -> list[Any]:
        start = len(self.frames)
        for action in actions:
            if isinstance(action, Send):
                assert isinstance(action.data, str)
                self.frames.append(action.data)
            elif isinstance(action, SendFirst):
                first = self.emulator.first(action.topic)
                assert first is not None
                self.frames.append(first.decode())
            else:
                assert isinstance(action, Close)
                self.closed = action
        return [json.loads(frame) for frame in self.frames[start:]]


def differ(before: list[IntLevel], after: list[IntLevel], depth: int) -> list[IntLevel]:
    """The best levels' difference as the simulator makes it: what fell out deleted, what moved in set."""
    old, new = dict(before[:depth]), dict(after[:depth])
    gone = [(price, 0) for price in old if price not in new]
    return sorted(gone + [(price, size) for price, size in new.items() if old.get(price) != size])


def subscribe(*symbols: str, **params: Any) -> dict[str, Any]:
    return {"method": "subscribe", "params": {"channel": "book", "symbol": list(symbols), **params}, "req_id": 5}


# --- the conversation


def test_a_link_opens_with_the_status_then_answers_each_symbol_by_itself() -> None:
    line = Line()
    (status,) = line.wait(0.02)
    assert (status["channel"], status["data"][0]["system"]) == ("status", "online")
    assert line.wait(0.02) == []
    answers = line.say(KRAKEN.strategy.subscribe(["BTC/USD", "XYZ/USD", "DOGE/USD"], 9, 0))
    ack, first, refusal, *_ = answers
    assert ack["result"] == {"channel": "book", "depth": 100, "snapshot": True, "symbol": "BTC/USD"}
    assert (ack["success"], ack["req_id"], ack["method"]) == (True, 9, "subscribe")
    assert (first["type"], first["data"][0]["symbol"]) == ("snapshot", "BTC/USD")
    assert refusal["error"] == "Currency pair not supported XYZ/USD"
    assert (refusal["success"], refusal["symbol"], refusal["req_id"]) == (False, "XYZ/USD", 9)
    assert line.session.topics == {Topic("BTC/USD", "100"), Topic("DOGE/USD", "100")}
    routes = [KRAKEN.strategy.route(frame.encode()) for frame in line.frames]
    assert [(route.kind, route.symbols) for route in routes] == [
        (RouteKind.PHASE, ()),
        (RouteKind.ACK, ("BTC/USD",)),
        (RouteKind.BOOK, ("BTC/USD",)),
        (RouteKind.REFUSED, ("XYZ/USD",)),
        (RouteKind.ACK, ("DOGE/USD",)),
        (RouteKind.BOOK, ("DOGE/USD",)),
    ]
    assert {route.request_id for route in routes if route.kind in (RouteKind.ACK, RouteKind.REFUSED)} == {9}
    (ended,) = line.say(KRAKEN.strategy.unsubscribe(["BTC/USD"], 10, 0) or "")
    assert (ended["method"], ended["success"], ended["req_id"]) == ("unsubscribe", True, 10)
    assert line.session.topics == {Topic("DOGE/USD", "100")}


def test_a_request_that_comes_before_the_first_tick_is_answered_after_the_status() -> None:
    line = Line()
    assert [message.get("channel", message.get("method")) for message in line.say({"method": "ping"})] == [
        "status",
        "pong",
    ]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ("nonsense", "Malformed request"),
        ("[]", "Malformed request"),
        ({"method": "subscribe"}, "Method(s) not found"),
        ({"method": "nope", "params": {}}, "Method(s) not found"),
        ({"method": "ping", "req_id": "x"}, "Malformed request"),
        ({"method": "subscribe", "params": {"channel": "l3", "symbol": ["BTC/USD"]}}, "Channel not supported"),
        (subscribe(), "Symbol(s) not found"),
        (subscribe("BTC/USD", depth=50), "Subscription depth not supported"),
        (subscribe("XBT/USD"), "Currency pair not supported XBT/USD"),
        ({"method": "unsubscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}}, "Subscription Not Found"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_and_nothing_is_subscribed(request_: object, error: str) -> None:
    line = Line()
    line.wait(0)
    (answer,) = line.say(request_)
    assert (answer["error"], answer["success"]) == (error, False)
    assert KRAKEN.strategy.route(line.frames[-1].encode()).kind is RouteKind.REFUSED
    assert line.session.topics == frozenset()


def test_depth_defaults_to_ten_one_subscription_a_symbol_and_a_snapshot_can_be_declined() -> None:
    line = Line()
    line.wait(0)
    (ack,) = line.say(subscribe("BTC/USD", snapshot=False))
    assert (ack["result"]["depth"], ack["result"]["snapshot"]) == (10, False)
    (refusal,) = line.say(subscribe("BTC/USD", depth=25))
    assert refusal["error"] == "Already subscribed"
    assert line.session.topics == {Topic("BTC/USD", "10")}


def test_heartbeats_fill_the_seconds_in_which_nothing_else_is_sent() -> None:
    line = Line()
    line.wait(0)
    assert [line.wait(0.6) for _ in range(4)] == [[]] * 4, "none without a subscription"
    line.say(subscribe("BTC/USD"))
    found = []
    for _ in range(6):
        found.append(len(line.wait(0.5)))
    assert found == [0, 1, 0, 1, 0, 1]
    assert line.frames[-1] == HEARTBEAT
    assert KRAKEN.strategy.route(HEARTBEAT.encode()).kind is RouteKind.ALIVE
    for _ in range(8):  # market frames take their place
        while not any(line.step("BTC/USD")):
            pass
        assert line.wait(0.6) == []


def test_a_minute_of_silence_ends_a_link_without_subscriptions_only() -> None:
    idle, asking, busy = Line(), Line(), Line()
    busy.say(subscribe("BTC/USD"))
    for line in (idle, asking, busy):
        line.wait(50)
    asking.say({"method": "ping"})
    for line in (idle, asking, busy):
        line.wait(11)
    assert (idle.closed, asking.closed, busy.closed) == (Close(1000, "inactive"), None, None)


def test_connections_and_messages_are_limited() -> None:
    line = Line()
    for _ in range(149):
        assert isinstance(line.emulator.open(line.call("/v2")), Session)
    refused = line.emulator.open(line.call("/v2"))
    assert isinstance(refused, Answer)
    assert refused.status == 429
    assert isinstance(line.emulator.open(line.call("/v2", client="b")), Session)
    line.wait(0)
    answers = [line.say({"method": "ping"})[0] for _ in range(25)]
    assert answers[-1] == {"Error": "Exceeded msg rate"}
    assert KRAKEN.strategy.route(line.frames[-1].encode()).kind is RouteKind.REFUSED
    line.emulator.unlimited()
    assert isinstance(line.emulator.open(line.call("/v2")), Session)
    wrong = line.emulator.open(line.call("/"))
    assert isinstance(wrong, Answer)
    assert wrong.status == 404


# --- books


def test_frames_have_the_documented_shape_and_fixed_decimals() -> None:
    line = Line()
    line.wait(0)
    line.say(subscribe("DOGE/USD"))
    text = line.frames[-1]
    frame = json.loads(text, parse_float=str, parse_int=str)
    assert list(frame) == ["channel", "type", "data"]
    (data,) = frame["data"]
    assert list(data) == ["symbol", "bids", "asks", "checksum", "timestamp"]
    assert data["timestamp"] == rfc3339(START_MS * 1000) == "2026-09-21T14:13:20.123000Z"
    assert len(data["bids"]) == len(data["asks"]) == 10
    for side, better in (("bids", -1), ("asks", 1)):
        prices = [Decimal(level["price"]) for level in data[side]]
        assert prices == sorted(prices, reverse=better < 0)
        assert all(len(level["price"].partition(".")[2]) == 7 for level in data[side])
        assert all(len(level["qty"].partition(".")[2]) == 8 for level in data[side])


@pytest.mark.parametrize("depth", [10, 25, 100])
def test_a_client_that_follows_the_documents_has_exactly_the_best_levels_and_every_checksum_is_right(
    depth: int,
) -> None:
    """A naive client and our own path, against the market itself, after every single frame."""
    line = Line(FakeMarket(seed=depth))
    line.wait(0)
    natives = [listing.native for listing in LISTINGS]
    naive = {native: KrakenBook(depth) for native in natives}
    shelf = OpenShelf(KRAKEN, BookRules())
    channel = next(one for one in KRAKEN.channels if one.depth == depth)
    for native in natives:
        shelf.builder(native, channel)
    line.say(subscribe(*natives, depth=depth))
    frames = [frame for frame in line.frames if '"type":"snapshot"' in frame]
    silent = deletes = 0
    for native, first in zip(natives, frames, strict=True):
        naive[native].take(first)
        shelf.frame(native, native, first.encode(), "kraken-0", line.stamp)
    for n in range(800):
        native = natives[n % len(natives)]
        (frame,) = line.step(native)
        silent += not frame
        if frame:
            deletes += frame.count(b'"qty":0.00000000')
            naive[native].take(frame.decode())
            for symbol in KRAKEN.strategy.route(frame).symbols:
                shelf.frame(symbol, symbol, frame, "kraken-0", line.stamp)
        listing, book = line.market.listing(native), line.market.book(native)
        assert listing is not None
        truth = tuple(
            [
                (Decimal(price).scaleb(-listing.price_decimals), Decimal(size).scaleb(-listing.size_decimals))
                for price, size in side[:depth]
            ]
            for side in (book.bids, book.asks)
        )
        assert naive[native].top(depth + 50) == truth
        keeper = shelf.builders[native]
        found = tuple(
            [(Decimal(price), Decimal(size)) for price, size in side] for side in keeper.book.texts(depth + 50)
        )
        assert found == truth
        assert keeper.state is State.LIVE
    assert sum(book.sums_wrong for book in naive.values()) == 0
    assert sum(keeper.counters.checksum_ok for keeper in shelf.builders.values()) == 804 - silent
    assert deletes > 50, "levels were taken"
    assert silent > 0, "some frames hold nothing for this depth"


def test_no_delete_is_sent_for_what_falls_out_of_the_depth() -> None:
    line = Line()
    line.wait(0)
    line.say(subscribe("BTC/USD"))
    (topic,) = line.session.topics
    listing, book = line.market.listing("BTC/USD"), line.market.book("BTC/USD")
    assert listing is not None
    bids, asks = book.bids[:10], book.asks[:10]
    bid, ask = (bids[0][0] + 1, 555), (asks[0][0] - 1, 777)
    after = BookView(2, book.time_ms + 5, [bid, *bids][:10], [ask, *asks][:10])
    fallen_bid, fallen_ask = (bids[9][0], 0), (asks[9][0], 0)
    change = Change(2, 2, 1, after.time_ms, [fallen_bid, bid], [ask, fallen_ask])
    (data,) = json.loads(line.emulator.render(topic, listing, change, after), parse_float=str)["data"]
    assert [[level["qty"] for level in data[side]] for side in ("bids", "asks")] == [["0.00000555"], ["0.00000777"]]
    only_deletes = Change(2, 2, 1, after.time_ms, [fallen_bid], [fallen_ask])
    assert line.emulator.render(topic, listing, only_deletes, after) == b""
    short = BookView(2, after.time_ms, bids[:9], asks[:8])
    change = Change(2, 2, 1, after.time_ms, [fallen_bid], [(asks[8][0], 0), fallen_ask])
    (data,) = json.loads(line.emulator.render(topic, listing, change, short))["data"]
    assert [len(data["bids"]), len(data["asks"])] == [1, 2], "a side that has grown shorter loses levels for good"


# --- REST


def test_pairs_have_many_names_and_answers_old_keys() -> None:
    line = Line()
    pairs = line.rest("/0/public/AssetPairs")["result"]
    assert list(pairs) == ["XXBTZUSD", "XDGUSD", "XETHXXBT", "ADAEUR"]
    assert (pairs["XDGUSD"]["wsname"], pairs["XXBTZUSD"]["altname"]) == ("XDG/USD", "XBTUSD")
    for name in ("BTC/USD", "XBT/USD", "XBTUSD", "BTCUSD", "XXBTZUSD"):
        for path in ("Depth", "Ticker", "AssetPairs"):
            assert list(line.rest(f"/0/public/{path}", pair=name)["result"]) == ["XXBTZUSD"]
    tickers = json.dumps(line.rest("/0/public/Ticker")).encode()
    assert [ticker.native_symbol for ticker in KRAKEN.handler.parse_tickers([tickers])] == [
        listing.native for listing in LISTINGS
    ]


def test_depth_rounds_volumes_to_three_decimals_and_pads_prices() -> None:
    line = Line()
    body = line.rest("/0/public/Depth", pair="XBTUSD", count="2")
    book = line.market.book("BTC/USD")
    (depth,) = body["result"].values()
    assert len(depth["asks"]) == len(depth["bids"]) == 2
    price, volume, time_s = depth["asks"][0]
    assert price == f"{book.asks[0][0] // 10}.{book.asks[0][0] % 10}0000"
    assert len(volume.partition(".")[2]) == 3
    assert abs(Decimal(volume) - Decimal(book.asks[0][1]).scaleb(-8)) <= Decimal("0.0005")
    assert time_s == START_MS // 1000
    update = KRAKEN.handler.parse_snapshot("BTC/USD", json.dumps(body).encode())
    assert update.exchange_time_ns == START_MS // 1000 * 10**9
    assert line.rest("/0/public/Depth", pair="ADAEUR", count="1")["result"]["ADAEUR"]["bids"][0][0] == "4999.00000"


@pytest.mark.parametrize(
    ("path", "query", "error"),
    [
        ("/0/public/Depth", {"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ("/0/public/Depth", {}, "EGeneral:Invalid arguments"),
        ("/0/public/Depth", {"pair": "XBTUSD", "count": "0"}, "EGeneral:Invalid arguments:count"),
        ("/0/public/GroupedBook", {"pair": "BTC/USD", "depth": "7"}, "EGeneral:Invalid arguments"),
        ("/0/public/Nope", {}, "EGeneral:Unknown method"),
    ],
)
def test_errors_come_with_status_200(path: str, query: dict[str, str], error: str) -> None:
    body = Line().rest(path, **query)
    assert body == {"error": [error]}
    assert KRAKEN.strategy.rest_error(json.dumps(body).encode()) == error


def test_too_many_requests_are_refused_by_address() -> None:
    line = Line()
    answers = [json.loads(line.emulator.rest(line.call("/0/public/AssetPairs")).body) for _ in range(61)]
    assert [answer["error"] for answer in answers[:60]] == [[]] * 60
    assert answers[60]["error"] == ["EGeneral:Too many requests"]
    assert json.loads(line.emulator.rest(line.call("/0/public/AssetPairs", client="b")).body)["error"] == []
    line.now_s += 60
    assert line.rest("/0/public/AssetPairs")["error"] == []
    line.emulator.unlimited()
    answers = [json.loads(line.emulator.rest(line.call("/0/public/AssetPairs")).body) for _ in range(200)]
    assert not any(answer["error"] for answer in answers)
