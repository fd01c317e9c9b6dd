"""Bybit's emulator, the websocket: against its strategy and handler, an independent book, and the documents."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from hoga.domain.types import Stamp
from hoga.exchanges import registry
from hoga.exchanges.base import RouteKind
from services.simulator.venues.base import Answer, Call, Close, Topic
from services.simulator.venues.bybit import dated_native
from tests.support import naive_bybit
from tests.support.market_bybit import START_MS, FakeMarket, Line, world

CODES = ("bybit_spot", "bybit_future")
both = pytest.mark.parametrize("code", CODES)


def link(code: str, **options: Any) -> tuple[registry.Exchange, FakeMarket, Line]:
    exchange, market, emulator = world(code, **options)
    return exchange, market, Line(emulator, market)


def subscribe(*names: str, req_id: object = "7", op: str = "subscribe") -> str:
    return json.dumps({"req_id": req_id, "op": op, "args": list(names)}, ensure_ascii=False)


# --- the two halves against each other


@both
def test_a_frame_below_the_window_is_an_empty_delta_that_keeps_ids_consecutive(code: str) -> None:
    exchange, market, line = link(code)
    line.say(subscribe("orderbook.50.BTCUSDT", "orderbook.1000.BTCUSDT"))
    for _ in range(5):
        frames = {json.loads(frame)["topic"]: frame for frame in line.step("BTCUSDT", deep_only=True)}
        (shallow,) = exchange.handler.parse(frames["orderbook.50.BTCUSDT"])
        (deep,) = exchange.handler.parse(frames["orderbook.1000.BTCUSDT"])
        assert (shallow.bids, shallow.asks) == ([], [])
        assert deep.bids
        assert deep.asks
        assert shallow.seq == shallow.prev_seq + 1 == deep.seq == market.seq["BTCUSDT"]


@both
def test_a_restart_begins_a_new_book_with_id_one(code: str) -> None:
    exchange, market, line = link(code)
    line.say(subscribe("orderbook.200.BTCUSDT", "orderbook.1.BTCUSDT"))
    line.step("BTCUSDT")
    restarted = line.restart("BTCUSDT")
    assert [json.loads(frame)["data"]["u"] for frame in restarted] == [1, 1]
    updates = [exchange.handler.parse(frame)[0] for frame in restarted]
    assert all(update.snapshot and update.seq == 1 for update in updates)
    (_, after) = [exchange.handler.parse(frame)[0] for frame in line.step("BTCUSDT")]
    assert (after.snapshot, after.prev_seq, after.seq) == (False, 1, 2)
    naive = naive_bybit.follow(frame for frame in line.frames if b"orderbook.1." not in frame)
    truth = market.book("BTCUSDT")
    assert len(naive["BTCUSDT"].bids) == 200
    assert naive["BTCUSDT"].last == truth.seq == 2


# --- conversations


def test_the_book_comes_before_the_word_for_contracts_and_after_it_for_spot() -> None:
    for code, kinds, word in (
        ("bybit_spot", [RouteKind.ACK, RouteKind.BOOK], "subscribe"),
        ("bybit_future", [RouteKind.BOOK, RouteKind.ACK], ""),
    ):
        exchange, _, line = link(code)
        frames = line.say(exchange.strategy.subscribe(["BTCUSDT"], 31, 0))
        assert [exchange.strategy.route(frame).kind for frame in frames] == kinds
        ack = json.loads(frames[kinds.index(RouteKind.ACK)])
        assert (ack["success"], ack["ret_msg"], ack["req_id"], ack["op"]) == (True, word, "31", "subscribe")
        assert list(ack) == ["success", "ret_msg", "conn_id", "req_id", "op"]


@pytest.mark.parametrize(
    ("code", "names", "said"),
    [
        ("bybit_future", ["orderbook.50.BTCUSDT", "orderbook.1.NO"], "error:handler not found,topic:orderbook.1.NO"),
        ("bybit_future", ["orderbook.7.BTCUSDT"], "error:handler not found,topic:orderbook.7.BTCUSDT"),
        ("bybit_future", ["orderbook.200.btcusdt"], "error:handler not found,topic:orderbook.200.btcusdt"),
        ("bybit_future", ["order"], "error:handler not found,topic:order"),
        ("bybit_spot", ["orderbook.200.BTCUSDT", "orderbook.50.NOPE"], "Invalid symbol :[orderbook.50.NOPE]"),
        ("bybit_spot", [f"orderbook.{n}.BTCUSDT" for n in range(11)], "args size >10"),
        ("bybit_spot", ["orderbook.500.BTCUSDT"], "error:handler not found,topic:orderbook.500.BTCUSDT"),
    ],
)  # fmt: skip
def test_one_bad_topic_refuses_the_whole_request(code: str, names: list[str], said: str) -> None:
    exchange, _, line = link(code)
    (refusal,) = line.say(subscribe(*names))
    route = exchange.strategy.route(refusal)
    assert (route.kind, route.symbols, route.request_id, route.detail) == (RouteKind.REFUSED, (), 7, said)
    assert line.session.topics == frozenset()
    line.say(subscribe("orderbook.200.BTCUSDT"))
    assert len(line.session.topics) == 1, "the link lives on"


@both
def test_a_topic_that_the_link_has_is_refused_and_keeps_coming(code: str) -> None:
    exchange, _, line = link(code)
    line.say(subscribe("orderbook.200.BTCUSDT"))
    other = "ETHBTC" if code == "bybit_spot" else "BTCPERP"
    (refusal,) = line.say(subscribe(f"orderbook.200.{other}", "orderbook.200.BTCUSDT", req_id="8"))
    route = exchange.strategy.route(refusal)
    assert (route.kind, route.symbols, route.request_id) == (RouteKind.ACK, ("BTCUSDT",), 8)
    assert json.loads(refusal)["success"] is False
    assert {topic.native for topic in line.session.topics} == {"BTCUSDT"}
    assert len(line.step("BTCUSDT")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello", "Failed to decode"),
        ("[" * 100_000, "Failed to decode"),
        ("[1]", "Failed to decode"),
        (b"\xff\xfe", "Failed to decode"),
        ('{"op":"nope"}', "error:invalid op"),
        ("{}", "error:invalid op"),
        ('{"op":"subscribe","args":[]}', "error:args is empty"),
        ('{"op":"subscribe","args":[5]}', "Failed to decode"),
        ('{"op":"subscribe","args":"orderbook.200.BTCUSDT"}', "Failed to decode"),
        (subscribe("orderbook.200.BTCUSDT", req_id=7), "Failed to decode"),
    ],
)
@both
def test_what_is_no_request_is_refused_and_the_link_lives_on(code: str, text: str | bytes, said: str) -> None:
    exchange, _, line = link(code)
    (refusal,) = line.say(text)
    assert exchange.strategy.route(refusal).kind is RouteKind.REFUSED
    assert json.loads(refusal)["ret_msg"].startswith(said)
    assert line.session.topics == frozenset()


@both
def test_topics_of_other_data_are_accepted_and_silent(code: str) -> None:
    _, _, line = link(code)
    (ack,) = line.say(subscribe("publicTrade.BTCUSDT", "kline.5.BTCUSDT"))
    assert json.loads(ack)["success"] is True
    assert line.step("BTCUSDT") == []


def test_the_names_of_a_links_topics_fit_into_21_000_characters() -> None:
    _, _, line = link("bybit_future")
    line.emulator.rules.characters = 60
    line.say(subscribe("orderbook.200.BTCUSDT", "orderbook.200.BTCPERP"))
    (refusal,) = line.say(subscribe("orderbook.200.BTCUSDT-25DEC26"))
    assert json.loads(refusal)["success"] is False
    line.say(subscribe("orderbook.200.BTCUSDT", op="unsubscribe"))
    line.say(subscribe("orderbook.50.BTCPERP"))
    assert len(line.session.topics) == 2


@both
def test_a_client_that_says_nothing_is_cut_after_ten_minutes(code: str) -> None:
    exchange, _, line = link(code)
    line.say(subscribe("orderbook.200.BTCUSDT"))
    assert exchange.strategy.heartbeat_s is not None
    for _ in range(60):
        line.now_s += exchange.strategy.heartbeat_s
        assert line.session.tick(line.stamp) == []
        line.say(exchange.strategy.heartbeat(0) or "")
    line.now_s += 599
    assert line.session.tick(line.stamp) == []
    line.now_s += 2
    assert line.session.tick(line.stamp) == [Close(1006, "idle")]
    line.session.ping(b"", line.stamp)
    assert line.session.tick(line.stamp) == []


@both
def test_connections_are_limited_in_five_minutes(code: str) -> None:
    _, _, emulator = world(code)

    def knock(client: str, at_s: float, path: str = "") -> Any:
        path = path or f"/v5/public/{emulator.rules.category}"
        return emulator.open(Call(path, {}, client, Stamp(int(at_s * 1e9), START_MS * 1_000_000)))

    assert knock("a", 1, "/v5/public/option").status == 404
    assert not any(isinstance(knock("a", 1), Answer) for _ in range(500))
    assert knock("a", 2).status == 403
    assert not isinstance(knock("b", 2), Answer)
    assert not isinstance(knock("a", 303), Answer)
    emulator.unlimited()
    assert not any(isinstance(knock("a", 304), Answer) for _ in range(1200))


# --- frames


def test_frames_have_the_recorded_shape() -> None:
    for code, keys, price, size in (
        ("bybit_spot", ["topic", "ts", "type", "data", "cts"], r"\d+(\.\d*[1-9])?", r"0|\d+(\.\d*[1-9])?"),
        ("bybit_future", ["topic", "type", "ts", "data", "cts"], r"\d+\.\d{2}", r"0|\d+\.\d{3}"),
    ):
        _, _, line = link(code)
        line.say(subscribe("orderbook.200.BTCUSDT"))
        frames = [json.loads(frame) for frame in [*line.frames, *line.step("BTCUSDT"), *line.step("BTCUSDT")]]
        books = [frame for frame in frames if "topic" in frame]
        assert [book["type"] for book in books] == ["snapshot", "delta", "delta"]
        for book in books:
            assert list(book) == keys
            assert list(book["data"]) == ["s", "b", "a", "u", "seq"]
            assert 0 < book["ts"] - book["cts"] < 10
            bids, asks = book["data"]["b"], book["data"]["a"]
            assert all(re.fullmatch(price, p) and re.fullmatch(size, s) for p, s in bids + asks)
            assert [Decimal(p) for p, _ in bids] == sorted((Decimal(p) for p, _ in bids), reverse=True)
            assert [Decimal(p) for p, _ in asks] == sorted(Decimal(p) for p, _ in asks)
        sequence = [book["data"]["seq"] for book in books]
        assert sequence == sorted(set(sequence))
        assert any(s == "0" for book in books[1:] for _, s in book["data"]["b"])


def test_the_best_prices_are_always_whole_and_repeated_for_contracts() -> None:
    for code, repeats in (("bybit_spot", False), ("bybit_future", True)):
        exchange, market, line = link(code)
        line.say(subscribe("orderbook.1.BTCUSDT"))
        line.step("BTCUSDT")
        updates = [
            update
            for frame in line.frames
            if exchange.strategy.route(frame).kind is RouteKind.BOOK
            for update in exchange.handler.parse(frame)
        ]
        assert [(update.snapshot, len(update.bids), len(update.asks), update.channel) for update in updates] == [
            (True, 1, 1, "orderbook.1")
        ] * 2
        listing = market.listing("BTCUSDT")
        assert listing is not None
        again = line.emulator.keep_alive(Topic("BTCUSDT", "1"), listing, market.seq["BTCUSDT"], market.time_ms + 3000)
        assert (again is not None) == repeats
        if again is not None:
            (update,) = exchange.handler.parse(again)
            assert (update.bids, update.asks, update.seq) == (updates[-1].bids, updates[-1].asks, updates[-1].seq)
        assert line.emulator.keep_alive(Topic("BTCUSDT", "200"), listing, 1, market.time_ms) is None


def test_the_catalogue_names_markets_as_the_exchange_does() -> None:
    assert dated_native("BTC", "USDT", "") == "BTCUSDT"
    assert dated_native("BTC", "USDT", "261225") == "BTCUSDT-25DEC26"
    assert dated_native("ETH", "USDT", "260102") == "ETHUSDT-02JAN26"
    for code, crosses, dated in (("bybit_spot", ("BTC",), False), ("bybit_future", (), True)):
        exchange, _, emulator = world(code)
        catalogue = emulator.catalogue
        assert (catalogue.crosses, catalogue.dated, catalogue.quote) == (crosses, dated, "USDT")
        delivery = "261225" if dated else ""
        native = emulator.catalogue.native("BTC", "USDT", delivery)
        assert exchange.handler.normalize_symbol(native) == ("BTC-USDT-261225" if dated else "BTC-USDT")
