"""What is Bybit's own: routes, ids, times, lists, symbols, addresses, limits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hoga.domain.errors import FrameError
from hoga.domain.phases import Phase
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import NO_SEQ, Instrument, Update
from hoga.exchanges import registry
from hoga.exchanges.base import BookStart, Continuity, RestKind, RestMatch, RouteKind

SPOT, FUTURE = registry.get("bybit_spot"), registry.get("bybit_future")
both = pytest.mark.parametrize("exchange", [SPOT, FUTURE], ids=["spot", "future"])


def frame(**changed: object) -> bytes:
    """A delta of BTCUSDT; `u`, `s`, `b`, `a` go into its data."""
    data = {"s": "BTCUSDT", "b": [["10", "1"]], "a": [["11", "0"]], "u": 7, "seq": 70}
    data |= {key: changed.pop(key) for key in list(changed) if key in data}
    message = {
        "topic": "orderbook.200.BTCUSDT",
        "type": "delta",
        "ts": 1786310818130,
        "data": data,
        "cts": 1786310818128,
    }
    return json.dumps(message | changed, ensure_ascii=False, separators=(",", ":")).encode()


def parsed(**changed: object) -> Update:
    (update,) = FUTURE.handler.parse(frame(**changed))
    return update


# --- frames


def test_a_delta_builds_on_the_id_before_its_own() -> None:
    update = parsed()
    assert (update.snapshot, update.prev_seq, update.seq) == (False, 6, 7)
    assert (update.bids, update.asks) == ([("10", "1")], [("11", "0")])


@pytest.mark.parametrize("changed", [{"type": "snapshot"}, {"u": 1}, {"u": 1, "type": "snapshot"}])
def test_a_snapshot_and_whatever_has_id_one_replaces_the_book(changed: dict[str, object]) -> None:
    update = parsed(**changed)
    assert (update.snapshot, update.prev_seq, update.seq) == (True, NO_SEQ, changed.get("u", 7))


def test_the_matching_engines_time_goes_before_the_time_of_sending() -> None:
    assert parsed().exchange_time_ns == 1786310818128 * 10**6
    assert parsed(cts=0).exchange_time_ns == 1786310818130 * 10**6
    older = json.loads(frame())
    del older["cts"]
    (update,) = SPOT.handler.parse(json.dumps(older).encode())
    assert update.exchange_time_ns == 1786310818130 * 10**6


@pytest.mark.parametrize("depth", [1, 50, 200, 500, 1000])
def test_the_topic_says_how_deep_it_is_kept(depth: int) -> None:
    text = frame(topic=f"orderbook.{depth}.BTCUSDT")
    assert FUTURE.strategy.route(text).symbols == ("BTCUSDT",)
    assert FUTURE.channel_of(FUTURE.handler.parse(text)[0]).depth == depth


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "whole"},
        {"u": "7"},
        {"u": -1},
        {"u": 2**63},
        {"b": [["10"]]},
        {"b": [["10"], ["10", "1"]]},
        {"b": ["10"]},
        {"b": [{"10": "1"}]},
        {"a": 5},
        {"s": None},
        {"topic": "orderbook.rpi.BTCUSDT"},
        {"topic": "publicTrade.BTCUSDT"},
        {"topic": "orderbook.200."},
    ],
)
def test_what_is_not_documented_is_refused_as_shape(changed: dict[str, object]) -> None:
    with pytest.raises(FrameError) as caught:
        parsed(**changed)
    assert caught.value.reason == "shape"


def test_absurdly_many_levels_are_refused() -> None:
    with pytest.raises(FrameError, match="100001 levels"):
        parsed(b=[["1", "1"]] * 100_001)


# --- routes


@both
@pytest.mark.parametrize("native", ["BTCUSDT", "BTCUSDT-26DEC25", "1000000BABYDOGEUSDT", "币安人生USDT", 'A"B\\USDT'])
def test_a_route_and_a_parse_name_the_same_market(exchange: registry.Exchange, native: str) -> None:
    for text in (
        frame(topic=f"orderbook.200.{native}", s=native),
        json.dumps({"ts": 1} | json.loads(frame(topic=f"orderbook.200.{native}", s=native))).encode(),
    ):
        assert exchange.strategy.route(text).kind is RouteKind.BOOK
        assert exchange.strategy.route(text).symbols == (native,)
        assert exchange.handler.parse(text)[0].native_symbol == native


@both
def test_other_topics_are_none_of_ours(exchange: registry.Exchange) -> None:
    for topic in (
        "publicTrade.BTCUSDT",
        "tickers.BTCUSDT",
        "orderbook.rpi.BTCUSDT",
        "orderbook.full.BTCUSDT",
        "orderbook",
    ):
        assert exchange.strategy.route(frame(topic=topic)).kind is RouteKind.OTHER


def answer(**fields: object) -> bytes:
    return json.dumps(
        {"success": True, "ret_msg": "", "conn_id": "c", "req_id": "12", "op": "subscribe"} | fields
    ).encode()


def test_a_request_id_comes_back_as_a_number() -> None:
    for req_id, known in (("12", 12), ("", None), ("x1", None), (None, None), ("9" * 30, None)):
        route = SPOT.strategy.route(answer(req_id=req_id))
        assert (route.kind, route.symbols, route.request_id) == (RouteKind.ACK, (), known)


def test_a_refusal_concerns_the_whole_request_whichever_topic_it_names() -> None:
    for said in ("error:handler not found,topic:orderbook.200.X", "Invalid symbol :[orderbook.200.X]", "args size >10"):
        route = SPOT.strategy.route(answer(success=False, ret_msg=said))
        assert (route.kind, route.symbols, route.request_id, route.detail) == (RouteKind.REFUSED, (), 12, said)
    assert SPOT.strategy.route(answer(success=False, ret_msg=None)).detail


def test_already_subscribed_is_what_was_wanted() -> None:
    said = "error:already subscribed,topic:orderbook.200.ETHUSDT"
    route = FUTURE.strategy.route(answer(success=False, ret_msg=said))
    assert (route.kind, route.symbols, route.request_id) == (RouteKind.ACK, ("ETHUSDT",), 12)
    other = answer(success=False, ret_msg="error:already subscribed,topic:publicTrade.ETHUSDT")
    assert FUTURE.strategy.route(other).kind is RouteKind.REFUSED


@both
def test_requests_are_as_documented(exchange: registry.Exchange) -> None:
    strategy = exchange.strategy
    topics = ["orderbook.200.BTCUSDT", "orderbook.200.ETHUSDT"]
    for op, text in (
        ("subscribe", strategy.subscribe(["BTCUSDT", "ETHUSDT"], 12, 0)),
        ("unsubscribe", strategy.unsubscribe(["BTCUSDT", "ETHUSDT"], 12, 0)),
    ):
        assert json.loads(text or "") == {"req_id": "12", "op": op, "args": topics}
    assert strategy.heartbeat_s is not None
    assert json.loads(strategy.heartbeat(0) or "") == json.loads(strategy.probe(0) or "") == {"op": "ping"}
    with pytest.raises(ValueError, match="at least one symbol"):
        strategy.unsubscribe([], 1, 0)


def test_the_two_markets_have_an_address_each() -> None:
    assert SPOT.strategy.ws_url(SPOT.strategy.endpoints) == "wss://stream.bybit.com/v5/public/spot"
    assert FUTURE.strategy.ws_url(FUTURE.strategy.endpoints) == "wss://stream.bybit.com/v5/public/linear"
    assert SPOT.strategy.snapshot_request("A&B").path == "/v5/market/orderbook?category=spot&symbol=A%26B&limit=200"
    assert FUTURE.strategy.snapshot_request("BTCUSDT").path == (
        "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=200"
    )


# --- limits


@both
def test_the_documented_limits_are_never_in_danger(exchange: registry.Exchange) -> None:
    limits = exchange.limits
    longest = "orderbook.200." + "X" * 40 + '",'
    assert limits.symbols_per_link * len(longest) < 21_000
    assert limits.symbols_per_request <= 10
    # Two markets, one address: 500 connections in 5 minutes, 600 requests in 5 seconds, a burst of a whole minute's.
    assert 2 * (limits.connects_per_s * 300 + limits.connect_burst) < 500
    assert 2 * limits.rest_weight_per_minute * 5 / 60 < 600
    assert 2 * (5 / limits.rest_min_interval_s + 1) < 600


@both
def test_it_proves_what_the_design_says(exchange: registry.Exchange) -> None:
    traits = exchange.traits
    assert (traits.continuity, traits.start) == (Continuity.CONSECUTIVE_IDS, BookStart.IN_BAND)
    assert (traits.depth, traits.truncates, traits.checksum) == (200, False, None)


# --- lists


def listed(**changed: object) -> Instrument:
    market = {"symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC"}
    market |= {"quoteCoin": "USDT", "deliveryTime": "0", "priceFilter": {"tickSize": "0.10"}}
    market |= {"lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001"}} | changed
    body = {"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": [market], "nextPageCursor": ""}}
    (instrument,) = FUTURE.handler.parse_instruments([json.dumps(body).encode()])
    return instrument


def test_a_contract_is_taken_from_the_list() -> None:
    found = listed()
    assert (found.symbol, found.kind, found.trading, found.status) == ("BTC-USDT", "perpetual", True, "Trading")
    assert (found.price_tick, found.size_step) == ("0.10", "0.001")
    assert (found.contract_size, found.contract_currency) == ("", ""), "sizes are in units of the base"


@pytest.mark.parametrize("status", ["PreLaunch", "Delivering", "Closed"])
def test_only_trading_is_trading(status: str) -> None:
    found = listed(status=status)
    assert (found.trading, found.status) == (False, status)


@pytest.mark.parametrize("status", ["Settling", ""])
def test_a_word_that_nobody_knows_takes_no_book_away(status: str) -> None:
    found = listed(status=status)
    assert (found.phase, found.trading, found.status) == (Phase.UNKNOWN, True, status)


@pytest.mark.parametrize(
    ("native", "quote", "delivery", "symbol"),
    [
        ("BTCUSDT-26DEC25", "USDT", "1766736000000", "BTC-USDT-251226"),
        ("BTC-26DEC25", "USDC", "1766736000000", "BTC-USDC-251226"),
        ("BTCUSDT-09OCT26", "USDT", "0", "BTC-USDT-261009"),
        ("BTCUSDT-2JAN26", "USDT", "", "BTC-USDT-260102"),
    ],
)
def test_a_dated_contract_carries_its_day(native: str, quote: str, delivery: str, symbol: str) -> None:
    found = listed(symbol=native, quoteCoin=quote, contractType="LinearFutures", deliveryTime=delivery)
    assert (found.symbol, found.kind) == (symbol, "dated")
    assert FUTURE.handler.normalize_symbol(native) == symbol


def test_the_day_comes_from_the_delivery_not_from_the_id() -> None:
    found = listed(symbol="BTCUSDZ26", quoteCoin="USD", contractType="InverseFutures", deliveryTime="1798185600000")
    assert (found.symbol, found.contract_size, found.contract_currency) == ("BTC-USD-261225", "1", "USD")


def test_a_perpetual_about_to_be_delisted_is_not_dated() -> None:
    assert listed(deliveryTime="1798185600000").symbol == "BTC-USDT"


def test_usdt_and_usdc_contracts_keep_symbols_of_their_own() -> None:
    symbols = SymbolMap(
        [
            listed(),
            listed(symbol="BTCPERP", quoteCoin="USDC"),
            listed(symbol="BTCUSDT-25DEC26", contractType="LinearFutures", deliveryTime="1798185600000"),
            listed(symbol="BTC-25DEC26", quoteCoin="USDC", contractType="LinearFutures", deliveryTime="1798185600000"),
        ]
    )
    assert not symbols.collisions
    assert list(symbols.by_symbol) == ["BTC-USDT", "BTC-USDC", "BTC-USDT-261225", "BTC-USDC-261225"]


def test_a_spot_market_has_its_precision_as_step() -> None:
    market = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "Trading"}
    market |= {"lotSizeFilter": {"basePrecision": "0.000001"}, "priceFilter": {"tickSize": "0.1"}}
    body = json.dumps({"retCode": 0, "result": {"category": "spot", "list": [market]}}).encode()
    (found,) = SPOT.handler.parse_instruments([body])
    assert (found.kind, found.price_tick, found.size_step, found.trading) == ("spot", "0.1", "0.000001", True)


@pytest.mark.parametrize(
    ("exchange", "native", "symbol"),
    [
        (SPOT, "ETHBTC", "ETH-BTC"),
        (SPOT, "USDCUSDT", "USDC-USDT"),
        (SPOT, "BTCUSDC", "BTC-USDC"),
        (SPOT, "METHETH", "METH-ETH"),
        (SPOT, "USDTEUR", "USDT-EUR"),
        (SPOT, "BTC", "BTC"),
        (FUTURE, "1000PEPEUSDT", "1000PEPE-USDT"),
        (FUTURE, "ETHBTCUSDT", "ETHBTC-USDT"),
        (FUTURE, "PERPUSDT", "PERP-USDT"),
        (FUTURE, "HPERP", "H-USDC"),
        (FUTURE, "PERP", "PERP"),
        (FUTURE, "SOL-02JAN26", "SOL-USDC-260102"),
        (FUTURE, "BTCUSD", "BTC-USD"),
        (FUTURE, "BTCUSDT-WEEKLY", "BTC-USDT-WEEKLY"),
    ],
)
def test_ids_are_read_without_a_list(exchange: registry.Exchange, native: str, symbol: str) -> None:
    assert exchange.handler.normalize_symbol(native) == symbol


@both
def test_an_error_is_never_an_empty_list(exchange: registry.Exchange) -> None:
    body = b'{"retCode":10001,"retMsg":"params error","result":{"category":"","list":[],"nextPageCursor":""},"time":1}'
    assert exchange.strategy.rest_error(body) == "10001 params error"
    for parse in (exchange.handler.parse_instruments, exchange.handler.parse_tickers):
        with pytest.raises(FrameError, match="answered 10001 params error"):
            parse([body])
    assert exchange.strategy.rest_error(b"access too frequent") is None, "no body of this exchange: its parser says so"


def test_a_rest_book_has_no_id_of_the_stream() -> None:
    book = {"s": "BTCUSDT", "b": [["1", "2"]], "a": [["3", "4"]], "ts": 1786310817733, "u": 99, "seq": 5}
    body = json.dumps({"retCode": 0, "retMsg": "OK", "result": book, "time": 1}).encode()
    found = SPOT.handler.parse_snapshot("BTCUSDT", body)
    assert (found.snapshot, found.seq, found.prev_seq) == (True, NO_SEQ, NO_SEQ)
    assert (found.bids, found.asks, found.exchange_time_ns) == ([("1", "2")], [("3", "4")], 1786310817733 * 10**6)
    with pytest.raises(FrameError, match="asked for 'ETHUSDT', got the book of 'BTCUSDT'"):
        SPOT.handler.parse_snapshot("ETHUSDT", body)


def test_turnover_is_the_quote_turnover() -> None:
    row = {"symbol": "BTCUSDT", "lastPrice": "65095.90", "turnover24h": "5084303164.0286", "volume24h": "77894.58"}
    body = json.dumps({"retCode": 0, "result": {"list": [row]}}).encode()
    (found,) = FUTURE.handler.parse_tickers([body])
    assert (found.native_symbol, found.last_price, found.quote_turnover) == ("BTCUSDT", "65095.90", "5084303164.0286")


# --- recorded addresses


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("wss://stream.bybit.com/v5/public/spot", "bybit_spot"),
        ("wss://stream.bybit.com/v5/public/linear", "bybit_future"),
        ("wss://stream-testnet.bybit.com/v5/public/linear", "bybit_future"),
        ("wss://stream.bybit.com/v5/public/inverse", "bybit_future"),
        ("https://api.bybit.com/v5/market/orderbook?category=spot&symbol=BTCUSDT", "bybit_spot"),
        ("https://api.bybit.com/v5/market/instruments-info?&category=linear&status=Trading&limit=1000", "bybit_future"),
        ("https://api.bytick.com/v5/market/tickers?symbol=X&category=linear", "bybit_future"),
        ("wss://stream.bybit.com/v5/public/option", None),
        ("wss://stream.bybit.com/v5/private", None),
        ("https://api.bybit.com/v5/market/time", "bybit_spot"),  # names no market: the first registered
        ("https://api.bybit.com/x?other=category=linear", "bybit_spot"),
        ("https://stream.bybit.com/x?other=category=linear", None),
        ("https://api.notbybit.com/x?category=linear", None),
        ("https://bybit.com.example.org/v5/public/spot", None),
        ("wss://[broken/v5/public/spot", None),
    ],
)
def test_a_recording_tells_its_market_by_path_or_category(url: str, code: str | None) -> None:
    found = registry.detect(url)
    assert (found and found.code) == code


def test_an_address_without_a_market_fits_both_and_a_stream_only_its_own() -> None:
    assert registry.fits(SPOT, "https://api.bybit.com/v5/market/time")
    assert registry.fits(FUTURE, "https://api.bybit.com/v5/market/time")
    for exchange, other in ((SPOT, FUTURE), (FUTURE, SPOT)):
        address = exchange.strategy.ws_url(exchange.strategy.endpoints)
        assert registry.fits(exchange, address)
        assert not registry.fits(other, address)


def test_the_longest_address_wins_and_of_equals_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "wide": replace(SPOT, code="wide", hosts=("api.x.com",)),
        "narrow": replace(SPOT, code="narrow", hosts=("api.x.com/v5", "api.x.com?category=a")),
        "late": replace(SPOT, code="late", hosts=("api.x.com",)),
        "narrower": replace(SPOT, code="narrower", hosts=("other.com", "api.x.com/v5/public")),
    }
    for order in (list(known), ["narrower", "narrow", "wide", "late"]):
        monkeypatch.setattr(registry, "EXCHANGES", {code: known[code] for code in order})
        for url, code in (
            ("wss://api.x.com/v5/public/a", "narrower"),
            ("wss://api.x.com/v5/private", "narrow"),
            ("https://api.x.com/v4?b=1&category=a", "narrow"),
            ("https://api.x.com/v4?category=ab", "wide"),
        ):
            found = registry.detect(url)
            assert found is not None
            assert found.code == code


@pytest.mark.parametrize(
    ("exchange", "query", "match"),
    [
        (SPOT, "orderbook?category=spot&symbol=BTCUSDT&limit=50", RestMatch(RestKind.SNAPSHOT, "BTCUSDT", 50)),
        (SPOT, "orderbook?category=spot&symbol=BTCUSDT", RestMatch(RestKind.SNAPSHOT, "BTCUSDT", 1)),
        (FUTURE, "orderbook?category=linear&symbol=BTCUSDT&limit=x", RestMatch(RestKind.SNAPSHOT, "BTCUSDT", 25)),
        (FUTURE, "instruments-info?&category=linear&limit=1000", RestMatch(RestKind.INSTRUMENTS)),
        (FUTURE, "instruments-info?category=inverse", RestMatch(RestKind.INSTRUMENTS)),
        (SPOT, "tickers?category=spot", RestMatch(RestKind.TICKERS)),
        (SPOT, "orderbook?category=linear&symbol=BTCUSDT", None),
        (FUTURE, "orderbook?category=spot&symbol=BTCUSDT", None),
        (FUTURE, "orderbook?category=linear", None),
        (FUTURE, "instruments-info", None),
        (FUTURE, "kline?category=linear&symbol=BTCUSDT", None),
    ],
)
def test_a_recorded_answer_is_read_by_its_own_market(
    exchange: registry.Exchange, query: str, match: RestMatch | None
) -> None:
    assert exchange.strategy.match_rest(f"https://api.bybit.com/v5/market/{query}") == match
