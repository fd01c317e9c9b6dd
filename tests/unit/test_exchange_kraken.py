"""Kraken: requests, routing, exact texts, checksums, times, lists, names, each against what its documentation says."""

from __future__ import annotations

import json
from fractions import Fraction
from zlib import crc32

import pytest

from hoga.domain.errors import FrameError
from hoga.domain.phases import Phase
from hoga.domain.rules import BookRules
from hoga.domain.types import NO_SEQ, Instrument, Stamp, State, Update
from hoga.exchanges import registry
from hoga.exchanges.base import RestKind, RestMatch, Route, RouteKind
from hoga.exchanges.kraken.names import native_of, native_of_key
from hoga.exchanges.times import rfc3339_ns, seconds_ns
from tests.contract.samples import SAMPLES
from tests.support.shelf import OpenShelf

KRAKEN = registry.get("kraken")
STRATEGY, HANDLER = KRAKEN.strategy, KRAKEN.handler
BOOKS = SAMPLES["kraken"].books
AT = Stamp(1_787_610_118 * 10**9, 1_787_610_118 * 10**9)


def v2(kind: str, bids: str, asks: str, checksum: int, symbol: str = "BTC/USD") -> bytes:
    """`bids` and `asks`: "price qty price qty"."""
    sides = []
    for text in (bids, asks):
        words = iter(text.split())
        sides.append(",".join(f'{{"price":{price},"qty":{next(words)}}}' for price in words))
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{sides[0]}],"asks":[{sides[1]}],'
        f'"checksum":{checksum},"timestamp":"2026-08-24T22:21:58.343688Z"}}]}}'
    ).encode()


# --- requests


def test_requests_name_the_symbols_the_depth_and_an_id() -> None:
    assert json.loads(STRATEGY.subscribe(["BTC/USD", "DOGE/EUR"], 41, 0)) == {
        "method": "subscribe",
        "params": {"channel": "book", "symbol": ["BTC/USD", "DOGE/EUR"], "depth": 100, "snapshot": True},
        "req_id": 41,
    }
    assert json.loads(STRATEGY.unsubscribe(["BTC/USD"], 42, 0) or "") == {
        "method": "unsubscribe",
        "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 100},
        "req_id": 42,
    }
    assert json.loads(STRATEGY.probe(0) or "") == {"method": "ping"}
    with pytest.raises(ValueError, match="at least one symbol"):
        STRATEGY.unsubscribe([], 1, 0)


def test_connecting_stays_below_the_150_in_ten_minutes() -> None:
    assert 600 * KRAKEN.limits.connects_per_s + KRAKEN.limits.connect_burst < 150


def test_the_snapshot_is_asked_for_where_volumes_are_not_rounded() -> None:
    request = STRATEGY.snapshot_request("BTC/USD")
    assert request.path == "/0/public/GroupedBook?pair=BTC%2FUSD&depth=100&grouping=1"
    assert KRAKEN.traits.snapshot_depth == KRAKEN.traits.depth == 100


# --- routing


@pytest.mark.parametrize(
    ("frame", "native"),
    [
        (BOOKS[0][:90], "BTC/USD"),
        (b'[... this is not looked at ...,"book-1000","XDG/EUR"]', "DOGE/EUR"),
    ],
)
def test_a_book_frame_is_routed_without_being_parsed(frame: bytes, native: str) -> None:
    assert STRATEGY.route(frame) == Route(RouteKind.BOOK, (native,))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (SAMPLES["kraken"].acks[0], Route(RouteKind.ACK, ("BTC/USD",), 7)),
        (SAMPLES["kraken"].acks[1], Route(RouteKind.ACK, ("BTC/USD",), 7)),
        (SAMPLES["kraken"].acks[2], Route(RouteKind.ACK, ("BTC/USD",))),
        (
            SAMPLES["kraken"].refusals[0],
            Route(RouteKind.REFUSED, ("XYZ/USD",), 7, "Currency pair not supported XYZ/USD"),
        ),
        (SAMPLES["kraken"].refusals[1], Route(RouteKind.REFUSED, detail="Malformed request")),
        (SAMPLES["kraken"].refusals[2], Route(RouteKind.REFUSED, detail="Exceeded msg rate")),
        (
            SAMPLES["kraken"].refusals[3],
            Route(RouteKind.REFUSED, ("XYZ/USD",), detail="Currency pair not supported XYZ/USD"),
        ),
        (b'{"event":"error","errorMessage":"Malformed request"}', Route(RouteKind.REFUSED, detail="Malformed request")),
        (b'{"method":"subscribe","success":false,"symbol":"XYZ/USD"}', Route(RouteKind.REFUSED, ("XYZ/USD",))),
        (b'{"channel":"book","type":"update","data":[]}', Route(RouteKind.UNKNOWN)),
        (b'{"channel":"book","type":"update","data":[{"symbol":""}]}', Route(RouteKind.UNKNOWN)),
        (b'[1,{},"ohlc-5","XBT/USD"]', Route(RouteKind.OTHER)),
        (b'[1,{},"ownTrades",{"sequence":1}]', Route(RouteKind.UNKNOWN)),
        (b'{"method":"subscribe"}', Route(RouteKind.UNKNOWN)),
    ],
)
def test_what_is_no_book_is_told_apart(message: bytes, expected: Route) -> None:
    assert STRATEGY.route(message) == expected


def test_a_message_of_two_books_is_routed_to_both_and_read_whole() -> None:
    two = BOOKS[0].replace(b"}]}", b'},{"symbol":"ETH/USD","bids":[],"asks":[],"checksum":0}]}')
    assert STRATEGY.route(two) == Route(RouteKind.BOOK, ("BTC/USD", "ETH/USD"))
    assert [update.native_symbol for update in HANDLER.parse(two)] == ["BTC/USD", "ETH/USD"]


# --- depths of recordings


@pytest.mark.parametrize(
    ("bids", "asks", "name"),
    [
        *[(10, 10, "book-10"), (25, 25, "book-25"), (100, 100, "book"), (500, 500, "book-500")],
        *[(7, 7, "book"), (10, 9, "book"), (60, 100, "book"), (300, 420, "book-500"), (2000, 3, "book")],
    ],
)
def test_a_snapshot_tells_by_its_size_how_deep_a_recording_is(bids: int, asks: int, name: str) -> None:
    sides = {"bids": [("1", "1")] * bids, "asks": [("2", "1")] * asks}
    assert KRAKEN.channel_of(Update("BTC/USD", snapshot=True, **sides)).name == name
    assert KRAKEN.channel_of(Update("BTC/USD", snapshot=False, **sides)).name == "book"


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(FrameError, match="book-77"):
        KRAKEN.channel_of(Update("BTC/USD", snapshot=True, bids=[], asks=[], channel="book-77"))


# --- frames


def test_numbers_keep_their_trailing_zeros() -> None:
    snapshot, update, odd = (HANDLER.parse(frame)[0] for frame in BOOKS[:3])
    assert (snapshot.snapshot, snapshot.bids, snapshot.asks) == (
        True,
        [("78871.5", "0.01266503")],
        [("78871.6", "4.21103066")],
    )
    assert (update.snapshot, update.bids, update.asks) == (
        False,
        [("78858.8", "0.00000000"), ("78857.0", "0.34775324")],
        [],
    )
    assert (snapshot.checksum, update.checksum, odd.checksum) == (1406471562, 2416540570, None)
    assert (update.prev_seq, update.seq, update.channel) == (NO_SEQ, NO_SEQ, "")
    assert update.exchange_time_ns == 1787610118343688000
    assert odd.asks == [("78858", "1")]


def test_v1_keeps_the_order_of_its_levels_and_tells_its_depth() -> None:
    snapshot, both, _ = (HANDLER.parse(frame)[0] for frame in BOOKS[3:])
    assert (snapshot.native_symbol, snapshot.snapshot, snapshot.checksum, snapshot.channel) == (
        "BTC/USD",
        True,
        None,
        "book-100",
    )
    assert snapshot.exchange_time_ns == 1787610117110183000
    assert (both.bids, both.asks) == ([("78857.00000", "0.34775324")], [("78871.60000", "0.00000000")])
    assert (both.snapshot, both.checksum, both.channel) == (False, 974947235, "book-1000")
    assert both.exchange_time_ns == 1787610118343688000, "the newest of its levels"
    twice = b'[0,{"b":[["1.0","2","1.5"],["1.0","0","1.4"]],"c":"7"},"book-25","XDG/EUR"]'
    (update,) = HANDLER.parse(twice)
    assert (update.bids, update.native_symbol) == ([("1.0", "2"), ("1.0", "0")], "DOGE/EUR")
    (empty,) = HANDLER.parse(b'[0,{"as":[],"bs":[]},"book-10","XBT/USD"]')
    assert (empty.snapshot, empty.exchange_time_ns) == (True, 0)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (BOOKS[1].replace(b'"update"', b'"delta"'), "shape"),
        (BOOKS[1].replace(b'"book"', b'"level3"'), "shape"),
        (BOOKS[1].replace(b"BTC/USD", b""), "symbol"),
        (BOOKS[1].replace(b"2416540570", b"4294967296"), "shape"),
        (BOOKS[1].replace(b"2416540570", b"-1"), "shape"),
        (b'[0,{"a":[["1","2","3"]],"as":[["1","2","3"]]},"book-10","XBT/USD"]', "shape"),
        (b'[0,{"c":"7"},"book-10","XBT/USD"]', "shape"),
        (b'[0,{"a":[["1","2","3"]],"c":"-7"},"book-10","XBT/USD"]', "shape"),
        (b'[0,{"a":[["1","2"]],"c":"7"},"book-10","XBT/USD"]', "shape"),
        (b'[0,{"a":[["1","2","3"]],"c":"7"},"trade","XBT/USD"]', "shape"),
        (b'[0,{"a":[["1","2","3"]],"c":"7"},"book-0","XBT/USD"]', "shape"),
    ],
)
def test_what_is_not_documented_is_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        HANDLER.parse(frame)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-24T22:21:57.110183Z", 1787610117110183000),
        ("2024-02-29T23:59:59Z", 1709251199000000000),
        ("2026-08-24T22:21:57.123456789Z", 1787610117123456789),
        ("2026-08-24T22:21:57.5+00:00", 1787610117500000000),
        ("2026-08-25T07:51:57.5+09:30", 1787610117500000000),
        ("2026-08-24t17:21:57.5-05:00", 1787610117500000000),
    ],
)
def test_times_are_exact_nanoseconds(text: str, expected: int) -> None:
    assert rfc3339_ns(text) == expected


def test_times_of_v1_are_exact_nanoseconds() -> None:
    assert seconds_ns("1618678133.365913") == 1618678133365913000
    assert seconds_ns("1618678133") == 1618678133000000000
    for text in ("", "1e9", "1618678133.", "-1", "99999999999999", "9999999999", "١"):
        with pytest.raises(FrameError, match=r"time|range"):
            seconds_ns(text)


# --- checksums


def test_the_checksum_is_over_the_digits_of_asks_then_bids() -> None:
    rule = KRAKEN.traits.checksum
    assert rule is not None
    assert (rule.levels, KRAKEN.traits.proven_levels) == (10, 10)
    bids = [("0.05000", "0.00000500"), ("0.04765", "12.30000000")]
    asks = [("0.05005", "0.00000500"), ("45285.2", "10")]
    assert rule.compute(bids, asks) == crc32(b"500550045285210500050047651230000000")
    assert rule.compute([], []) == 0


def test_a_wrong_checksum_withholds_the_book_until_a_fresh_snapshot() -> None:
    shelf = OpenShelf(KRAKEN, BookRules())
    first, second = crc32(b"10111250999200"), crc32(b"10111250999300")

    def feed(*frames: bytes) -> None:
        for frame in frames:
            shelf.frame("BTC/USD", "BTC/USD", frame, "kraken-0", AT)

    feed(v2("snapshot", "99.9 2.00", "101.1 12.50", first))
    keeper = shelf.builders["BTC/USD"]
    assert (keeper.state, keeper.counters.checksum_ok) == (State.LIVE, 1)
    feed(v2("update", "99.9 3.00", "", second))
    assert (keeper.state, keeper.counters.checksum_ok) == (State.LIVE, 2)
    feed(v2("update", "99.9 4.00", "", second))
    assert (keeper.state, keeper.counters.checksum_bad) == (State.SYNCING, 1)
    feed(v2("update", "99.9 3.00", "", second), v2("snapshot", "99.9 2.00", "101.1 12.50", first))
    assert (keeper.state, keeper.counters.checksum_ok) == (State.LIVE, 3)


def test_the_book_is_cut_to_the_depth_of_the_subscription() -> None:
    shelf = OpenShelf(KRAKEN, BookRules())
    levels = " ".join(f"{1000 + n}.0 1" for n in range(100))
    best = "".join(f"{1000 + n}01" for n in range(10)).encode()
    shelf.frame("BTC/USD", "BTC/USD", v2("snapshot", "", levels, crc32(best)), "a", AT)
    better = crc32(b"99951" + best[: -len(b"100901")])
    shelf.frame("BTC/USD", "BTC/USD", v2("update", "", "999.5 1", better), "a", AT)
    keeper = shelf.builders["BTC/USD"]
    _, asks = keeper.book.texts(200)
    assert (keeper.state, len(asks), asks[0][0], asks[-1][0]) == (State.LIVE, 100, "999.5", "1098")


# --- lists


def test_instruments_take_their_names_from_wsname_and_their_steps_from_the_decimals() -> None:
    found = HANDLER.parse_instruments(SAMPLES["kraken"].instruments)
    assert found == [
        Instrument(
            "BTC-USD", "BTC/USD", "BTC", "USD", Phase.TRADING, price_tick="0.1", size_step="0.00000001", status="online"
        ),
        Instrument(
            "DOGE-EUR", "DOGE/EUR", "DOGE", "EUR", Phase.HALTED, price_tick="0.0000001", size_step="0.00000001",
            status="cancel_only",
        ),
    ]  # fmt: skip


def test_the_turnover_is_volume_times_average_price_exactly() -> None:
    (ticker,) = HANDLER.parse_tickers(SAMPLES["kraken"].tickers)
    assert (ticker.native_symbol, ticker.last_price) == ("BTC/USD", "78871.50000")
    assert Fraction(ticker.quote_turnover) == Fraction(112731321000855204 * 781234567891, 10 ** (8 + 7))
    big = SAMPLES["kraken"].tickers[0].replace(b"1127313210.00855204", b"987654321098765.12345678")
    (ticker,) = HANDLER.parse_tickers([big])
    assert ticker.quote_turnover == "77158969676927273555.745879151425098"


@pytest.mark.parametrize("volume", [b"NaN", b"-1", b"1e5", b"1_0", b"", b"1" * 60])
def test_a_volume_that_is_no_number_is_refused(volume: bytes) -> None:
    with pytest.raises(FrameError, match="not a decimal number"):
        HANDLER.parse_tickers([SAMPLES["kraken"].tickers[0].replace(b"1127313210.00855204", volume)])


def test_snapshots_of_both_sorts_are_read_and_a_foreign_or_grouped_one_is_refused() -> None:
    grouped = SAMPLES["kraken"].snapshot
    update = HANDLER.parse_snapshot("BTC/USD", grouped)
    assert (update.bids, update.asks) == ([("78871.5", "0.01266503")], [("78871.6", "4.21103066")])
    assert (update.seq, update.checksum) == (NO_SEQ, None)
    depth = (
        b'{"error":[],"result":{"XXBTZUSD":{"asks":[["78871.60000","4.211",1787610117]],'
        b'"bids":[["78871.50000","0.013",1787610118]]}}}'
    )
    update = HANDLER.parse_snapshot("BTC/USD", depth)
    assert (update.bids, update.exchange_time_ns) == ([("78871.50000", "0.013")], 1787610118 * 10**9)
    for body, reason in (
        (grouped.replace(b'"grouping":1', b'"grouping":5'), "shape"),
        (grouped.replace(b"BTC/USD", b"ETH/USD"), "symbol"),
        (depth.replace(b"XXBTZUSD", b"XETHZUSD"), "symbol"),
        (b'{"error":[],"result":{}}', "symbol"),
    ):
        with pytest.raises(FrameError) as caught:
            HANDLER.parse_snapshot("BTC/USD", body)
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":["EQuery:Unknown asset pair"]}', "EQuery:Unknown asset pair"),
        (b'{ "error" : ["EGeneral:Too many requests"], "result": {} }', "EGeneral:Too many requests"),
        (b'{"error":["WGeneral:Danger"],"result":{"BTC/USD":1}}', None),
        (b'{"error":[],"result":{}}', None),
        (b"<html>", None),
        (b"[" * 100_000, None),
    ],
)
def test_errors_come_in_a_list(body: bytes, expected: str | None) -> None:
    assert STRATEGY.rest_error(body) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/0/public/Depth?pair=XBTUSD&count=500", RestMatch(RestKind.SNAPSHOT, "BTC/USD", 500)),
        ("/0/public/Depth?pair=XXDGXXBT", RestMatch(RestKind.SNAPSHOT, "DOGE/BTC", 100)),
        ("/0/public/GroupedBook?pair=BTC%2FUSD", RestMatch(RestKind.SNAPSHOT, "BTC/USD", 10)),
        ("/0/public/GroupedBook?pair=BTC%2FUSD&grouping=5", None),
        ("/0/public/AssetPairs", RestMatch(RestKind.INSTRUMENTS)),
        ("/0/public/Ticker?pair=XBTUSD", RestMatch(RestKind.TICKERS)),
        ("/0/public/Depth", None),
        ("/0/public/Time", None),
    ],
)
def test_recorded_addresses_are_understood(url: str, expected: RestMatch | None) -> None:
    assert STRATEGY.match_rest(f"https://api.kraken.com{url}") == expected


# --- names


def test_old_names_are_looked_up_never_cut() -> None:
    assert [native_of(pair) for pair in ("XBT/USD", "XDG/XBT", "XTZ/XBT", "TBTC/EUR", "BTC/USD")] == [
        "BTC/USD", "DOGE/BTC", "XTZ/BTC", "TBTC/EUR", "BTC/USD",
    ]  # fmt: skip
    keys = (
        "XXBTZUSD",
        "XTZUSD",
        "USDTZUSD",
        "XDGUSD",
        "XETHXXBT",
        "ZEURZUSD",
        "ADAUSDT",
        "ETH2.SETH",
        "BTC/USD",
        "ABC",
    )
    assert [native_of_key(key) for key in keys] == [
        "BTC/USD", "XTZ/USD", "USDT/USD", "DOGE/USD", "ETH/BTC", "EUR/USD", "ADA/USDT", "ETH2.S/ETH", "BTC/USD", "ABC",
    ]  # fmt: skip
    assert [HANDLER.normalize_symbol(name) for name in ("BTC/USD", "XDG/USD")] == ["BTC-USD", "DOGE-USD"]
