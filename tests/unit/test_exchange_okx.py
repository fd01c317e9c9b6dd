"""OKX: requests, routing, ids, checksums, lists, symbols, each against what its documentation says."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from hoga.domain.errors import FrameError
from hoga.domain.rules import BookRules
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import NO_SEQ, Stamp, State
from hoga.exchanges import registry
from hoga.exchanges.base import RestKind, RestMatch, Route, RouteKind
from hoga.exchanges.okx.common import signed_crc32
from tests.contract.samples import SAMPLES
from tests.support.naive_okx import crc32
from tests.support.shelf import OpenShelf

SPOT, SWAP = registry.get("okx_spot"), registry.get("okx_swap")
BOTH = pytest.mark.parametrize("exchange", [SPOT, SWAP], ids=["spot", "swap"])


def frame(prev: int | None = 10, seq: int | None = 15, *, action: str = "update", **fields: object) -> bytes:
    data = {"asks": [], "bids": [], "ts": "1787612486207", "seqId": seq, "prevSeqId": prev} | fields
    data = {key: value for key, value in data.items() if value is not None}
    arg = {"channel": "books", "instId": "BTC-USDT"}
    return json.dumps({"arg": arg, "action": action, "data": [data]}, separators=(",", ":")).encode()


# --- requests


@BOTH
def test_a_link_full_of_symbols_is_one_request_within_the_limits(exchange) -> None:
    limits = exchange.limits
    assert limits.symbols_per_link < 30
    natives = [f"{'LONGNAME' * 2}{n}-USDT-SWAP" for n in range(limits.symbols_per_request)]
    for text, operation in (
        (exchange.strategy.subscribe(natives, 41, 0), "subscribe"),
        (exchange.strategy.unsubscribe(natives, 41, 0), "unsubscribe"),
    ):
        assert len(text.encode()) < 64 * 1024
        request = json.loads(text)
        assert (request["op"], request["id"]) == (operation, "41")
        assert request["args"] == [{"channel": "books", "instId": native} for native in natives]


@BOTH
def test_it_keeps_alive_well_within_the_thirty_seconds(exchange) -> None:
    strategy = exchange.strategy
    assert strategy.heartbeat_s is not None
    assert (strategy.heartbeat(0), strategy.probe(0)) == ("ping", "ping")
    assert strategy.heartbeat_s < exchange.limits.idle_timeout_s < 30
    assert strategy.route(b"pong").kind is RouteKind.ALIVE


# --- routing


def test_a_book_frame_is_routed_without_reading_it_to_its_end() -> None:
    assert SPOT.strategy.route(frame()[:120]) == Route(RouteKind.BOOK, ("BTC-USDT",))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            '{"id":"41","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"connId":"a4d3ae55"}',
            Route(RouteKind.ACK, ("BTC-USDT-SWAP",), 41),
        ),
        ('{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}', Route(RouteKind.ACK, ("BTC-USDT",))),
        (
            '{"id":"b5","event":"unsubscribe","arg":{"channel":"books","instId":"BTC-USDT"}}',
            Route(RouteKind.ACK, ("BTC-USDT",)),
        ),
        (
            '{"event":"error","msg":"Wrong URL or channel:books,instId:NOPE-USDT doesn\'t exist. Please use the '
            'correct URL, channel and parameters referring to API document.","code":"60018","connId":"a4d3ae55"}',
            Route(RouteKind.REFUSED, ("NOPE-USDT",), None, "60018 Wrong URL or channel:books,instId:NOPE-USDT doesn't"),
        ),
        (
            '{"event":"error","msg":"channel:books,instId:NOPE-USDT","code":"60018"}',
            Route(RouteKind.REFUSED, ("NOPE-USDT",), None, "60018 channel:books,instId:NOPE-USDT"),
        ),
        (
            r'{"id":"9","event":"error","code":"60012","msg":"Invalid request: {\"op\": \"subscribe\", \"argss\":'
            r'[{ \"channel\" : \"books\", \"instId\" : \"A-B\"},{\"instId\":\"C-D\"},{\"instId\":\"A-B\"}]}"}',
            Route(RouteKind.REFUSED, ("A-B", "C-D"), 9, '60012 Invalid request: {"op": "subscribe"'),
        ),
        (
            '{"event":"error","code":"64004","msg":"Subscribe to both books and books-l2-tbt for BTC-USDT is not '
            'allowed. Unsubscribe books-l2-tbt first."}',
            Route(RouteKind.REFUSED, ("BTC-USDT",), None, "64004 Subscribe to both books and books-l2-tbt"),
        ),
        (
            '{"id":"12","event":"error","code":"60014","msg":"Requests too frequent","connId":"x"}',
            Route(RouteKind.REFUSED, (), 12, "60014 Requests too frequent"),
        ),
        (
            '{"event":"error","code":60013,"msg":"Invalid args","arg":{"channel":"books","instId":"A-B"}}',
            Route(RouteKind.REFUSED, ("A-B",), None, "60013 Invalid args"),
        ),
        (
            '{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please '
            'reconnect.","connId":"a4d3ae55"}',
            Route(RouteKind.CLOSING, (), None, "The connection will soon be closed for a service upgrade."),
        ),
        ('{"event":"nobody knows"}', Route(RouteKind.UNKNOWN)),
        ('{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[]}', Route(RouteKind.OTHER)),
    ],
)
def test_control_frames_name_whom_they_concern(message: str, expected: Route) -> None:
    found = SPOT.strategy.route(message.encode())
    assert (found.kind, found.symbols, found.request_id) == (expected.kind, expected.symbols, expected.request_id)
    assert found.detail.startswith(expected.detail)
    assert bool(found.detail) == bool(expected.detail)


# --- updates


def test_ids_are_passed_on_as_they_are() -> None:
    """The example of the documentation: snapshot, normal, no update, reset, normal."""
    chain = [("snapshot", -1, 10), ("update", 10, 15), ("update", 15, 15), ("update", 15, 3), ("update", 3, 5)]
    for action, prev, seq in chain:
        (update,) = SPOT.handler.parse(frame(prev, seq, action=action))
        assert (update.snapshot, update.prev_seq, update.seq) == (action == "snapshot", prev, seq)
        assert update.exchange_time_ns == 1787612486207 * 10**6


def test_the_documented_chain_is_one_live_book() -> None:
    shelf = OpenShelf(SPOT, BookRules())
    chain = [
        frame(-1, 10, action="snapshot", bids=[["1", "1", "0", "1"]], asks=[["9", "1", "0", "1"]]),
        frame(10, 15, bids=[["2", "1", "0", "1"]]),
        frame(15, 15),
        frame(15, 3, bids=[["3", "1", "0", "1"]]),
        frame(3, 5, bids=[["1", "0", "0", "0"]], asks=[["8", "0", "0", "0"]]),
    ]
    for second, one in enumerate(chain):
        stamp = Stamp(second * 10**9, 1787612486207 * 10**6)
        shelf.frame("BTC-USDT", "BTC-USDT", one, "link", stamp)
        assert shelf.builders["BTC-USDT"].state is State.LIVE
    keeper = shelf.builders["BTC-USDT"]
    assert keeper.book.texts(5) == ([("3", "1"), ("2", "1")], [("9", "1")])
    counters = keeper.counters
    assert (keeper.sequence, counters.gaps, counters.reversals, counters.rejected) == (5, 0, 0, 0)


def test_a_missing_frame_is_a_gap() -> None:
    shelf = OpenShelf(SPOT, BookRules())
    for one in (frame(-1, 10, action="snapshot", bids=[["1", "1"]], asks=[["9", "1"]]), frame(15, 20)):
        shelf.frame("BTC-USDT", "BTC-USDT", one, "link", Stamp(10**9, 1787612486207 * 10**6))
    assert (shelf.builders["BTC-USDT"].state, shelf.builders["BTC-USDT"].counters.gaps) == (State.GAPPED, 1)


def test_levels_keep_their_texts_and_lose_what_stands_behind() -> None:
    levels = [["3366.10", "7.0", "0", "3"], ["3366", "6"], ["3365", "5", "1"], ["3364", "0", "0", "0", "new", None]]
    (update,) = SPOT.handler.parse(frame(bids=levels))
    assert update.bids == [("3366.10", "7.0"), ("3366", "6"), ("3365", "5"), ("3364", "0")]
    assert update.asks == []


@pytest.mark.parametrize(
    "broken",
    [
        frame(bids=[["3366.1"]]),
        frame(bids=[[3366.1, "7", "0", "1"]]),
        frame(bids=None),
        frame(prev=None),
        frame(seq=None),
        frame(seq=-1),
        frame(prev=-2),
        frame(ts=None),
        frame(action="replace"),
        frame().replace(b'"books"', b'"books5"'),
        frame().replace(b'"action":"update",', b""),
        frame().replace(b'"BTC-USDT"', b'""'),
    ],
)
def test_what_is_not_documented_is_refused(broken: bytes) -> None:
    with pytest.raises(FrameError) as error:
        SPOT.handler.parse(broken)
    assert error.value.reason == "shape"


def test_recordings_from_before_the_ids_carry_a_checksum_instead() -> None:
    (update,) = SPOT.handler.parse(frame(None, None, checksum=-914047754))
    assert (update.prev_seq, update.seq, update.checksum) == (NO_SEQ, NO_SEQ, -914047754)
    for absent in (frame(checksum=0), frame()):
        assert SPOT.handler.parse(absent)[0].checksum is None
    (both,) = SPOT.handler.parse(frame(checksum=1054815633))
    assert (both.prev_seq, both.seq, both.checksum) == (10, 15, 1054815633)


def test_frames_say_of_which_channel_they_are() -> None:
    fifty = frame().replace(b'"books"', b'"books50-l2-tbt"')
    assert SPOT.strategy.route(fifty) == Route(RouteKind.BOOK, ("BTC-USDT",))
    channels = [SPOT.channel_of(SPOT.handler.parse(one)[0]) for one in (frame(), fifty)]
    assert [(one.name, one.depth) for one in channels] == [("books", 400), ("books50-l2-tbt", 50)]


@pytest.mark.parametrize(
    ("bids", "asks", "text"),
    [
        ([("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")], "3366.1:7:3366.8:9:3366:6:3368:8"),
        ([("3366.1", "7")], [("3366.8", "9"), ("3368", "8"), ("3372", "8")], "3366.1:7:3366.8:9:3368:8:3372:8"),
        ([("1.10", "7.0"), ("1", "2")], [], "1.10:7.0:1:2"),
        ([], [], ""),
    ],
)
def test_the_checksum_alternates_and_is_signed(bids, asks, text: str) -> None:
    value = crc32(text.encode())
    assert signed_crc32(bids, asks) == (value if value < 2**31 else value - 2**32)
    assert -(2**31) <= signed_crc32(bids, asks) < 2**31


def test_the_checksum_covers_25_levels() -> None:
    assert SPOT.traits.checksum is not None
    assert SPOT.traits.checksum.levels == SWAP.traits.checksum.levels == 25
    assert signed_crc32([("1", "1")], [("2", "5")]) != signed_crc32([("2", "5")], [("1", "1")])
    assert {signed_crc32([(str(n), "1")], []) < 0 for n in range(20)} == {True, False}, "both signs occur"


# --- REST


def test_each_code_asks_for_its_own_kinds() -> None:
    assert [one.path for one in SPOT.strategy.instruments_requests()] == ["/api/v5/public/instruments?instType=SPOT"]
    assert [one.path for one in SWAP.strategy.tickers_requests([])] == [
        "/api/v5/market/tickers?instType=SWAP",
        "/api/v5/market/tickers?instType=FUTURES",
    ]
    assert SWAP.strategy.snapshot_request("BTC-USDT-SWAP").path == "/api/v5/market/books?instId=BTC-USDT-SWAP&sz=400"


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/api/v5/market/books?instId=BTC-USDT", RestMatch(RestKind.SNAPSHOT, "BTC-USDT", 1)),
        ("/api/v5/market/books?instId=BTC-USDT&sz=x", RestMatch(RestKind.SNAPSHOT, "BTC-USDT", 1)),
        ("/api/v5/market/books?instId=BTC-USD-SWAP&sz=400", RestMatch(RestKind.SNAPSHOT, "BTC-USD-SWAP", 400)),
        ("/api/v5/public/instruments?instType=FUTURES", RestMatch(RestKind.INSTRUMENTS)),
        ("/api/v5/public/instruments?instType=OPTION&uly=BTC-USD", None),
        ("/api/v5/market/tickers?instType=SPOT", RestMatch(RestKind.TICKERS)),
        ("/api/v5/market/trades?instId=BTC-USDT", None),
        ("/api/v5/market/books", None),
    ],
)
@BOTH
def test_recorded_addresses_are_read_by_either_code(exchange, path: str, match: RestMatch | None) -> None:
    assert exchange.strategy.match_rest(f"https://www.okx.com{path}") == match


@BOTH
def test_errors_inside_an_answer_are_found_whatever_the_order_of_its_keys(exchange) -> None:
    error = exchange.strategy.rest_error
    assert error(b'{"code":"0","msg":"","data":[]}') is None
    assert error(b'{"msg":"","data":[],"code":"0"}') is None
    assert error(b'{"data":[],"msg":"Parameter sz error","code":"51000"}') == "51000 Parameter sz error"
    assert error(b"<html>403</html>") is None


def test_a_rest_book_carries_the_id_of_the_stream() -> None:
    update = SPOT.handler.parse_snapshot("BTC-USDT", SAMPLES["okx_spot"].snapshot)
    assert (update.seq, update.bids) == (80632135948, [("77927.4", "0.39772851")])
    without = SAMPLES["okx_spot"].snapshot.replace(b',"seqId":80632135948', b"")
    assert SPOT.handler.parse_snapshot("BTC-USDT", without).seq == NO_SEQ
    with pytest.raises(FrameError, match="0 books"):
        SPOT.handler.parse_snapshot("BTC-USDT", b'{"code":"51001","data":[],"msg":"no"}')


# --- lists


def test_contracts_say_what_they_stand_for() -> None:
    found = SymbolMap(SWAP.handler.parse_instruments(SAMPLES["okx_swap"].instruments)).by_native
    linear, inverse, dated = found["BTC-USDT-SWAP"], found["BTC-USD-SWAP"], found["BTC-USDT-251226"]
    assert (linear.kind, linear.contract_size, linear.contract_currency) == ("perpetual", "0.01", "BTC")
    assert (inverse.contract_size, inverse.contract_currency) == ("100", "USD")
    assert (inverse.trading, inverse.status, linear.trading, linear.status) == (False, "suspend", True, "live")
    assert (dated.kind, dated.symbol, dated.base, dated.quote) == ("dated", "BTC-USDT-251226", "BTC", "USDT")
    margined = found["BTC-USD_UM-SWAP"]
    assert (margined.symbol, margined.base, margined.quote) == ("BTC-USD_UM", "BTC", "USD")
    (spot,) = SPOT.handler.parse_instruments(SAMPLES["okx_spot"].instruments)
    assert (spot.kind, spot.contract_size, spot.contract_currency) == ("spot", "", "")
    assert (spot.base, spot.quote, spot.price_tick, spot.size_step) == ("BTC", "USDT", "0.1", "0.00000001")


def listed(**fields: str) -> bytes:
    usual = {"instId": "A-B-SWAP", "instType": "SWAP", "uly": "A-B", "ctVal": "10", "ctMult": "1", "ctValCcy": "A"}
    return json.dumps({"code": "0", "msg": "", "data": [usual | {"state": "live"} | fields]}).encode()


def test_the_contract_value_is_multiplied_exactly() -> None:
    for value, times, size in (
        ("0.1", "0.1", "0.01"),
        ("1", "0.10", "0.1"),
        ("1000000", "100", "100000000"),
        ("0.000000000123456789123456789", "0.000000001", "0.000000000000000000123456789123456789"),
        ("10", "", "10"),
    ):
        (found,) = SWAP.handler.parse_instruments([listed(ctVal=value, ctMult=times)])
        assert found.contract_size == size


def test_base_and_quote_of_a_contract_are_those_of_its_family_or_its_underlying() -> None:
    for fields in ({"instFamily": "A-B_UM", "uly": ""}, {"uly": "A-B"}):
        (found,) = SWAP.handler.parse_instruments([listed(**fields)])
        assert (found.base, found.quote) == ("A", "B")


def test_a_contract_whose_value_is_unreadable_is_not_traded() -> None:
    for fields in ({"ctVal": ""}, {"ctVal": "ten"}, {"ctVal": "1e5"}, {"ctMult": "NaN"}, {"ctValCcy": ""}):
        (found,) = SWAP.handler.parse_instruments([listed(**fields)])
        assert (found.trading, found.contract_size, found.contract_currency) == (False, "", "")
        assert found.status == "live, contract value unreadable"


@BOTH
def test_a_recording_that_mixes_all_kinds_is_a_bijection_under_either_code(exchange) -> None:
    mixed = [*SAMPLES["okx_spot"].instruments, *SAMPLES["okx_swap"].instruments]
    symbols = SymbolMap(exchange.handler.parse_instruments(mixed))
    assert len(symbols) == 5
    assert not symbols.collisions
    for native, instrument in symbols.by_native.items():
        assert exchange.handler.normalize_symbol(native) == instrument.symbol


def test_each_code_gives_the_plain_symbol_to_its_own_kind() -> None:
    assert SPOT.handler.normalize_symbol("BTC-USDT") == SWAP.handler.normalize_symbol("BTC-USDT-SWAP") == "BTC-USDT"
    assert SPOT.handler.normalize_symbol("BTC-USDT-SWAP") == "BTC-USDT-SWAP"
    assert SWAP.handler.normalize_symbol("BTC-USDT") == "BTC-USDT-SPOT"
    assert SWAP.handler.normalize_symbol("BTC-USD-SWAP") == "BTC-USD"


@BOTH
def test_options_and_events_are_left_out(exchange) -> None:
    for kind in ("OPTION", "EVENTS", "MARGIN", ""):
        assert exchange.handler.parse_instruments([listed(instType=kind)]) == []


def tickers(*rows: dict[str, str]) -> bytes:
    return json.dumps({"code": "0", "msg": "", "data": rows}).encode()


def test_turnover_is_in_the_quote_currency_and_exact() -> None:
    (spot,) = SPOT.handler.parse_tickers(SAMPLES["okx_spot"].tickers)
    assert (spot.last_price, spot.quote_turnover) == ("77927.4", "468000000.25")
    (swap,) = SWAP.handler.parse_tickers(SAMPLES["okx_swap"].tickers)
    assert Decimal(swap.quote_turnover) == Decimal("120000.0123") * Decimal("77927.4")
    body = tickers(
        {"instId": "X", "instType": "FUTURES", "last": "0.00000000123", "volCcy24h": "123456789012345678.123456789"}
    )
    assert SWAP.handler.parse_tickers([body])[0].quote_turnover == "151851850.48518518409185185047"


def test_what_never_traded_has_no_figures_and_garbage_is_refused() -> None:
    quiet = tickers(
        {"instId": "A-B-SWAP", "instType": "SWAP", "last": "", "volCcy24h": ""},
        {"instId": "C-D-SWAP", "instType": "SWAP", "last": "5", "volCcy24h": ""},
        {"instId": "E-F-C", "instType": "OPTION", "last": "5", "volCcy24h": "5"},
    )
    assert [(one.native_symbol, one.quote_turnover) for one in SWAP.handler.parse_tickers([quiet])] == [
        ("C-D-SWAP", "0")
    ]
    for bad in ("NaN", "1e999999999", "-5", "5,0"):
        with pytest.raises(FrameError) as error:
            SWAP.handler.parse_tickers([tickers({"instId": "A", "instType": "SWAP", "last": "5", "volCcy24h": bad})])
        assert error.value.reason == "number"
