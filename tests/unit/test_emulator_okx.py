"""OKX's simulated side and our side of its protocol, driven against each other over a small market."""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from hoga.domain.actions import Resubscribe
from hoga.domain.phases import Phase
from hoga.domain.rules import BookRules
from hoga.domain.types import Stamp, State
from hoga.exchanges import registry
from hoga.exchanges.base import RouteKind
from services.simulator.venues.base import (
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
from services.simulator.venues.numbers import fixed
from services.simulator.venues.okx import OkxEmulator, OkxSpotEmulator, OkxSwapEmulator
from tests.support.shelf import OpenShelf

START_MS = 1_790_000_000_000
WINDOW = 400
EMULATED = {"okx_spot": OkxSpotEmulator, "okx_swap": OkxSwapEmulator}
both = pytest.mark.parametrize("code", EMULATED)


def listings(code: str) -> list[Listing]:
    if code == "okx_spot":
        usual = {"price_decimals": 1, "size_decimals": 8, "size_step": 1000}
        return [Listing("BTC-USDT", "BTC", "USDT", **usual), Listing("ETH-BTC", "ETH", "BTC", **usual)]
    usual = {"price_decimals": 1, "size_decimals": 2, "contract_size": "0.01"}
    return [
        Listing("BTC-USDT-SWAP", "BTC", "USDT", "perpetual", **usual),
        Listing("BTC-USDT-261225", "BTC", "USDT", "dated", delivery_ms=1798185600000, **usual),
    ]


class FakeMarket:
    """A `MarketPort` of deep random books, each change with an id of its own."""

    def __init__(self, code: str, levels: int = 450) -> None:
        self.dice = Random(f"{code}:{levels}")
        self.listed = {listing.native: listing for listing in listings(code)}
        self.halted: set[str] = set()
        self.now_ms = START_MS
        self.books: dict[str, BookView] = {}
        for native in self.listed:
            bids = [(500_000 - n, self.dice.randrange(1, 10**6)) for n in range(1, levels)]
            asks = [(500_000 + n, self.dice.randrange(1, 10**6)) for n in range(1, levels)]
            self.books[native] = BookView(self.dice.randrange(10**9), START_MS, bids, asks)

    def listings(self) -> list[Listing]:
        return list(self.listed.values())

    def listing(self, native: str) -> Listing | None:
        return self.listed.get(native)

    maintained = False

    def phase(self, native: str) -> Phase:
        return Phase.HALTED if native in self.halted else Phase.TRADING

    def book(self, native: str, at_ms: int | None = None) -> BookView:
        return self.books[self.listed[native].native]

    def day(self, native: str) -> Day:
        return Day(500_000, 490_000, 510_000, 480_000, 0, 123_456_789_012_345_678, 1000)

    def step(self, native: str, *, seq: int | None = None) -> Change:
        """Some changes anywhere in the book; what they are to who keeps the best `WINDOW` levels."""
        before, book = top(self.books[native]), self.books[native]
        bids, asks = dict(book.bids), dict(book.asks)
        count = self.dice.randrange(1, 12)
        for _ in range(count):
            side, sign = (bids, -1) if self.dice.random() < 0.5 else (asks, 1)
            price = 500_000 + sign * (1 + int(self.dice.expovariate(1 / 150)))
            side[price] = 0 if self.dice.random() < 0.4 else self.dice.randrange(1, 10**6)
        self.now_ms += 100
        after = BookView(
            book.seq + count if seq is None else seq,
            self.now_ms,
            sorted(((p, s) for p, s in bids.items() if s), reverse=True),
            sorted((p, s) for p, s in asks.items() if s),
        )
        self.books[native] = after
        differ = [difference(old, new) for old, new in zip(before, top(after), strict=True)]
        return Change(book.seq + 1, after.seq, book.seq, self.now_ms, *differ)


def top(book: BookView) -> tuple[list[IntLevel], list[IntLevel]]:
    return book.bids[:WINDOW], book.asks[:WINDOW]


def difference(old: list[IntLevel], new: list[IntLevel]) -> list[IntLevel]:
    gone = {price: 0 for price, _ in set(old) - set(new)}
    return sorted((gone | dict(set(new) - set(old))).items())


class Stage:
    """The exchange, a client of ours, and a clock that the test turns."""

    def __init__(self, code: str) -> None:
        self.code, self.market = code, FakeMarket(code)
        self.exchange = registry.get(code)
        self.emulator: OkxEmulator = EMULATED[code](self.market)
        self.shelf = OpenShelf(self.exchange, BookRules())
        self.natives = list(self.market.listed)
        self.told: dict[str, int] = {}
        """The id of the last frame of each topic."""
        self.routes: list[Any] = []
        self.wishes: list[Any] = []
        self.now_s = 1000.0

    @property
    def stamp(self) -> Stamp:
        return Stamp(int(self.now_s * 1e9), self.market.now_ms * 1_000_000)

    def call(self, path: str, **query: str) -> Call:
        return Call(path, query, "a", self.stamp)

    def open(self) -> Session:
        opened = self.emulator.open(self.call("/ws/v5/public"))
        assert isinstance(opened, Session)
        return opened

    def hear(self, payload: str | bytes) -> None:
        """A frame arrives at our side."""
        frame = payload.encode() if isinstance(payload, str) else payload
        route = self.exchange.strategy.route(frame)
        self.routes.append(route)
        if route.kind is RouteKind.BOOK:
            (native,) = route.symbols
            self.shelf.frame(native, native, frame, "link", self.stamp)
            for action in self.shelf.builders[native].drain():
                if isinstance(action, Resubscribe):
                    self.wishes.append(action)

    def say(self, session: Session, text: str) -> list[Any]:
        """Our side says something and hears the answers, first frames included."""
        actions = session.receive(text, self.stamp)
        for action in actions:
            match action:
                case Send(data=data):
                    self.hear(data)
                case SendFirst(topic=topic):
                    self.told[topic.native] = self.market.books[topic.native].seq
                    self.hear(self.emulator.first(topic) or b"")
        return actions

    def subscribe(self, *natives: str) -> Session:
        session = self.open()
        self.say(session, self.exchange.strategy.subscribe(natives, 1, 0))
        return session

    def emit(self, session: Session, native: str) -> bytes:
        """The next frame of a topic; what moves only outside its window makes none."""
        (topic,) = [topic for topic in session.topics if topic.native == native]
        while True:
            change = self.market.step(native)._replace(prev_seq=self.told[native])
            frame = self.emulator.render(topic, self.market.listed[native], change, None)
            if frame:
                self.told[native] = change.last_seq
                return frame

    def check(self, native: str) -> None:
        """Our book is LIVE and the exchange's best levels, to the last digit."""
        keeper, listing = self.shelf.builders[native], self.market.listed[native]
        assert keeper.state is State.LIVE
        assert keeper.sequence == self.market.books[native].seq
        for found, true in zip(keeper.book.texts(10_000), top(self.market.books[native]), strict=True):
            texts = [(fixed(p, listing.price_decimals), fixed(s, listing.size_decimals)) for p, s in true]
            assert [(Decimal(p), Decimal(s)) for p, s in found] == [(Decimal(p), Decimal(s)) for p, s in texts]


def text(actions: list[Any]) -> dict[str, Any]:
    assert len(actions) == 1
    return json.loads(actions[0].data)


# --- books


@both
def test_differences_of_the_window_keep_the_book_equal_to_the_truth_at_every_frame(code: str) -> None:
    stage = Stage(code)
    session = stage.subscribe(*stage.natives)
    jumps = set()
    for _ in range(120):
        for native in stage.natives:
            before = stage.market.books[native].seq
            stage.hear(stage.emit(session, native))
            stage.check(native)
            jumps.add(stage.market.books[native].seq - before)
    assert len(jumps) > 3, "ids jump"
    for keeper in stage.shelf.builders.values():
        counters = keeper.counters
        assert counters.applied == counters.updates == 121
        assert (counters.gaps, counters.reversals, counters.rejected, counters.crossed) == (0, 0, 0, 0)


@both
def test_a_quiet_topic_says_so_and_changes_nothing(code: str) -> None:
    stage = Stage(code)
    native = stage.natives[0]
    session = stage.subscribe(native)
    (topic,) = session.topics
    book = stage.market.books[native]
    alive = stage.emulator.keep_alive(topic, stage.market.listed[native], book.seq, stage.market.now_ms)
    assert alive is not None
    data = json.loads(alive)["data"][0]
    assert (data["asks"], data["bids"], data["seqId"], data["prevSeqId"]) == ([], [], book.seq, book.seq)
    stage.hear(alive)
    stage.check(native)
    stage.hear(stage.emit(session, native))
    stage.check(native)


@both
def test_ids_that_begin_anew_are_neither_gap_nor_reversal(code: str) -> None:
    stage = Stage(code)
    native = stage.natives[0]
    session = stage.subscribe(native)
    (topic,) = session.topics
    change = stage.market.step(native, seq=17)
    assert change.last_seq < change.prev_seq
    anew = stage.emulator.renumbered(topic, stage.market.listed[native], change, stage.market.books[native])
    assert anew is not None
    stage.hear(anew)
    stage.check(native)
    again = Change(5, 5, 17, stage.market.now_ms, [], [])
    empty = stage.emulator.renumbered(topic, stage.market.listed[native], again, stage.market.books[native])
    assert empty is not None, "also where nothing has changed"
    stage.market.books[native] = stage.market.books[native]._replace(seq=5)
    stage.told[native] = 5
    stage.hear(empty)
    stage.check(native)
    for _ in range(3):
        stage.hear(stage.emit(session, native))
        stage.check(native)
    counters = stage.shelf.builders[native].counters
    assert (counters.gaps, counters.reversals) == (0, 0)


def test_frames_have_the_documented_shape() -> None:
    stage = Stage("okx_spot")
    session = stage.subscribe("BTC-USDT")
    (topic,) = session.topics
    assert (topic.form, topic.interval_ms, stage.emulator.window(topic)) == ("books", 0, WINDOW)
    first = json.loads(stage.emulator.first(topic) or b"")
    assert list(first) == ["arg", "action", "data"]
    assert (first["arg"], first["action"]) == ({"channel": "books", "instId": "BTC-USDT"}, "snapshot")
    (data,) = first["data"]
    assert list(data) == ["asks", "bids", "ts", "checksum", "seqId", "prevSeqId"]
    assert (data["ts"], data["checksum"], data["prevSeqId"]) == (str(START_MS), 0, -1)
    change = Change(6, 9, 5, START_MS + 1, [(499_990, 0), (499_995, 150_000_000)], [(500_010, 1), (500_020, 5)])
    update = json.loads(stage.emulator.render(topic, stage.market.listed["BTC-USDT"], change, None))
    assert update["action"] == "update"
    assert update["data"][0] == {
        "asks": [["50001", "0.00000001", "0", "2"], ["50002", "0.00000005", "0", "6"]],
        "bids": [["49999.5", "1.5", "0", "7"], ["49999", "0", "0", "0"]],
        "ts": str(START_MS + 1),
        "checksum": 0,
        "seqId": 9,
        "prevSeqId": 5,
    }


def test_what_happened_outside_the_window_is_no_frame() -> None:
    stage = Stage("okx_spot")
    (topic,) = stage.subscribe("BTC-USDT").topics
    idle = Change(6, 9, 5, START_MS + 1, [], [])
    assert stage.emulator.render(topic, stage.market.listed["BTC-USDT"], idle, None) == b""


def test_whole_books_and_silent_channels_are_no_books_of_ours() -> None:
    stage = Stage("okx_spot")
    session = stage.open()
    args = [{"channel": name, "instId": "BTC-USDT"} for name in ("books5", "bbo-tbt", "tickers")]
    answers = session.receive(json.dumps({"op": "subscribe", "args": args}), stage.stamp)
    assert [json.loads(answer.data)["event"] for answer in answers[:3]] == ["subscribe"] * 3
    assert "id" not in json.loads(answers[0].data)
    levels = {}
    for topic in session.topics:
        book, listing = stage.market.books["BTC-USDT"], stage.market.listed["BTC-USDT"]
        levels[topic.form] = stage.emulator.wants_book(topic)
        assert stage.emulator.keep_alive(topic, listing, 1, 1) is None
        assert stage.emulator.renumbered(topic, listing, Change(1, 1, 5, 1, [], []), book) is None
        for frame in (stage.emulator.first(topic), stage.emulator.render(topic, listing, None, book)):
            if topic.form == "tickers":
                assert not frame
                continue
            assert frame is not None
            assert stage.exchange.strategy.route(frame).kind is RouteKind.OTHER
            (data,) = json.loads(frame)["data"]
            assert (len(data["bids"]), data["seqId"]) == (levels[topic.form], book.seq)
    assert levels == {"books5": 5, "bbo-tbt": 1, "tickers": 0}


# --- the conversation


@both
def test_an_unknown_instrument_is_refused_by_name_and_the_others_are_served(code: str) -> None:
    stage = Stage(code)
    session = stage.subscribe(stage.natives[0], "NO-SUCH", stage.natives[1])
    kinds = [(route.kind, route.symbols) for route in stage.routes]
    assert kinds[:3] == [
        (RouteKind.ACK, (stage.natives[0],)),
        (RouteKind.REFUSED, ("NO-SUCH",)),
        (RouteKind.ACK, (stage.natives[1],)),
    ]
    refused = stage.routes[1]
    assert refused.request_id == 1
    assert refused.detail.startswith("60018 Wrong URL or channel:books,instId:NO-SUCH doesn't exist.")
    assert {topic.native for topic in session.topics} == set(stage.natives)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", "60012"),
        ([1], "60012"),
        ({"args": []}, "60012"),
        ({"op": "subscribe", "args": [], "id": "not alnum!"}, "60012"),
        ({"op": "subscribe", "args": [], "id": "x" * 33}, "60012"),
        ({"op": "dance"}, "60019"),
        ({"op": "subscribe"}, "60013"),
        ({"op": "subscribe", "args": ["books"]}, "60013"),
        ({"op": "subscribe", "args": [{"channel": "books-l2-tbt", "instId": "BTC-USDT"}]}, "64003"),
        ({"op": "subscribe", "args": [{"channel": "book", "instId": "BTC-USDT"}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "books"}]}, "60018"),
        ({"op": "unsubscribe", "args": [{"channel": "books", "instId": "btc-usdt"}]}, "60018"),
    ],
)
def test_requests_are_refused_by_code(message: object, code: str) -> None:
    stage = Stage("okx_spot")
    session = stage.open()
    error = text(stage.say(session, message if isinstance(message, str) else json.dumps(message)))
    assert (error["event"], error["code"]) == ("error", code)
    assert len(error["connId"]) == 8
    assert stage.routes[-1].kind is RouteKind.REFUSED
    assert session.topics == frozenset()


def test_a_second_subscription_of_the_same_is_acknowledged_without_another_first_frame() -> None:
    stage = Stage("okx_spot")
    session = stage.subscribe("BTC-USDT")
    again = stage.say(session, stage.exchange.strategy.subscribe(["BTC-USDT"], 2, 0))
    assert text(again)["event"] == "subscribe"


def test_too_many_requests_in_an_hour_are_refused_and_pings_do_not_count() -> None:
    stage = Stage("okx_spot")
    session = stage.open()
    request = stage.exchange.strategy.subscribe(["BTC-USDT"], 1, 0)
    for _ in range(480):
        stage.say(session, request)
        stage.say(session, "ping")
    assert RouteKind.REFUSED not in {route.kind for route in stage.routes}
    stage.say(session, request)
    assert stage.routes[-1].detail == "60014 Requests too frequent"
    stage.now_s += 3601
    stage.say(session, request)
    assert stage.routes[-1].kind is RouteKind.ACK


def test_a_request_above_64_kb_ends_the_link() -> None:
    stage = Stage("okx_spot")
    request = json.dumps({"op": "subscribe", "args": [{"channel": "books", "instId": "X" * 70_000}]})
    assert stage.say(stage.open(), request) == [Close(1009, "Request message exceeds the maximum frame length")]


def test_a_ping_is_answered_and_keeps_a_link() -> None:
    stage = Stage("okx_spot")
    session, silent = stage.open(), stage.open()
    for _ in range(10):
        stage.now_s += 20
        stage.market.now_ms += 20_000
        assert session.tick(stage.stamp) == []
        assert stage.say(session, "ping") == [Send("pong")]
        assert stage.routes[-1].kind is RouteKind.ALIVE
    assert silent.tick(stage.stamp) == [Close(4004, "No data received in 30s")]


def test_what_is_pushed_keeps_a_link_of_a_silent_client_until_nothing_is() -> None:
    stage = Stage("okx_spot")
    session = stage.subscribe("BTC-USDT")
    for _ in range(5):
        stage.now_s += 25
        stage.market.now_ms += 25_000 - 100
        stage.market.step("BTC-USDT")
        assert session.tick(stage.stamp) == []
    stage.now_s += 29.9
    stage.market.now_ms += 29_900
    assert session.tick(stage.stamp) == []
    stage.now_s += 0.2
    stage.market.now_ms += 200
    assert session.tick(stage.stamp) == [Close(4004, "No data received in 30s")]
    del stage.market.listed["BTC-USDT"]
    assert session.tick(stage.stamp) == [Close(4004, "No data received in 30s")], "a delisted market pushes nothing"


def test_an_upgrade_is_announced_a_minute_before_the_end() -> None:
    stage = Stage("okx_swap")
    session = stage.open()
    (notice,) = session.shutdown(stage.stamp)
    assert isinstance(notice, Send)
    stage.hear(notice.data)
    assert stage.routes[-1].kind is RouteKind.CLOSING
    for _ in range(3):
        stage.now_s += 19
        stage.say(session, "ping")
        assert session.tick(stage.stamp) == []
    stage.now_s += 4
    assert session.tick(stage.stamp) == [Close(1001, "service upgrade")]


def test_three_connections_a_second_and_only_the_public_path() -> None:
    stage = Stage("okx_spot")
    answers = [stage.emulator.open(stage.call("/ws/v5/public")) for _ in range(4)]
    assert all(isinstance(answer, Session) for answer in answers[:3])
    assert isinstance(answers[3], Answer)
    assert answers[3].status == 429
    stage.now_s += 1.1
    stage.open()
    wrong = stage.emulator.open(stage.call("/ws/v5/private"))
    assert isinstance(wrong, Answer)
    assert wrong.status == 404


# --- REST


@both
def test_a_rest_book_is_the_best_levels_with_the_id_of_the_stream(code: str) -> None:
    stage = Stage(code)
    native = stage.natives[0]
    path, _, query = stage.exchange.strategy.snapshot_request(native).path.partition("?")
    answer = stage.emulator.rest(stage.call(path, **dict(pair.split("=") for pair in query.split("&"))))
    assert (answer.status, stage.exchange.strategy.rest_error(answer.body)) == (200, None)
    update = stage.exchange.handler.parse_snapshot(native, answer.body)
    book, listing = stage.market.books[native], stage.market.listed[native]
    assert (update.seq, update.exchange_time_ns) == (book.seq, book.time_ms * 10**6)
    for found, true in ((update.bids, book.bids), (update.asks, book.asks)):
        texts = [(fixed(p, listing.price_decimals), fixed(s, listing.size_decimals)) for p, s in true[:WINDOW]]
        assert [(Decimal(p), Decimal(s)) for p, s in found] == [(Decimal(p), Decimal(s)) for p, s in texts]


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/api/v5/market/books", {}, 400, "50014"),
        ("/api/v5/market/books", {"instId": "NOPE"}, 200, "51001"),
        ("/api/v5/market/books", {"instId": "BTC-USDT", "sz": "401"}, 400, "51000"),
        ("/api/v5/market/books", {"instId": "BTC-USDT", "sz": "0"}, 400, "51000"),
        ("/api/v5/market/tickers", {}, 400, "50014"),
        ("/api/v5/public/instruments", {"instType": "STOCKS"}, 400, "51000"),
        ("/api/v5/elsewhere", {}, 404, "404"),
    ],
)
def test_rest_errors_have_a_code_that_our_side_finds(path: str, query: dict[str, str], status: int, code: str) -> None:
    stage = Stage("okx_spot")
    answer = stage.emulator.rest(stage.call(path, **query))
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    found = stage.exchange.strategy.rest_error(answer.body)
    assert found is not None
    assert found.startswith(code)


def test_rest_is_limited_by_endpoint_and_address_without_a_ban() -> None:
    stage = Stage("okx_spot")

    def ask() -> Answer:
        return stage.emulator.rest(stage.call("/api/v5/market/books", instId="BTC-USDT"))

    assert [ask().status for _ in range(42)] == [200] * 40 + [429] * 2
    assert stage.exchange.strategy.rest_error(ask().body) == "50011 Too Many Requests"
    lists = [stage.emulator.rest(stage.call("/api/v5/market/tickers", instType="SPOT")).status for _ in range(21)]
    assert lists == [200] * 20 + [429]
    other = Call("/api/v5/market/books", {"instId": "BTC-USDT"}, "b", stage.stamp)
    assert stage.emulator.rest(other).status == 200
    stage.now_s += 2.1
    assert ask().status == 200
    stage.emulator.unlimited()
    assert {ask().status for _ in range(200)} == {200}


@both
def test_the_catalogue_spells_the_ids_that_our_side_reads(code: str) -> None:
    catalogue, handler = EMULATED[code].catalogue, registry.get(code).handler
    assert EMULATED[code].code == code
    assert handler.normalize_symbol(catalogue.native("BTC", "USDT", "")) == "BTC-USDT"
    assert (catalogue.contracts, catalogue.dated) == (code == "okx_swap",) * 2
    if catalogue.dated:
        assert handler.normalize_symbol(catalogue.native("BTC", "USDT", "261225")) == "BTC-USDT-261225"
    emulator = EMULATED[code](FakeMarket(code), seed=7)
    assert isinstance(emulator, EMULATED[code])
    assert emulator.window(Topic("X", "books")) == WINDOW
