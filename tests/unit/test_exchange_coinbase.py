"""Coinbase: requests, whose frame is whose, what frames and bodies mean, at any size and in any spelling."""

from __future__ import annotations

import calendar
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.domain.books import new_book
from hoga.domain.errors import FrameError
from hoga.domain.types import NO_SEQ
from hoga.exchanges import registry
from hoga.exchanges.base import BookStart, Continuity, RestKind, RouteKind
from hoga.exchanges.times import rfc3339_ns
from services.simulator.venues.coinbase_rest import rfc3339

COINBASE = registry.get("coinbase")
STRATEGY, HANDLER = COINBASE.strategy, COINBASE.handler
AT = "2026-08-24T22:34:13.793075885Z"
AT_NS = calendar.timegm((2026, 8, 24, 22, 34, 13)) * 10**9 + 793_075_885


def change(side: str, price: str, size: str) -> dict[str, str]:
    return {"side": side, "event_time": "1970-01-01T00:00:00.000000Z", "price_level": price, "new_quantity": size}


def event(kind: str, product: str, *changes: dict[str, str]) -> dict[str, Any]:
    return {"type": kind, "product_id": product, "updates": list(changes)}


def frame(*events: dict[str, Any], seq: Any = 7, at: Any = AT, **more: Any) -> bytes:
    body = {"channel": "l2_data", "client_id": "", "timestamp": at, "sequence_num": seq, "events": list(events), **more}
    return json.dumps(body, separators=(",", ":")).encode()


@pytest.fixture(scope="module")
def huge() -> bytes:
    """As the largest book recorded: 18 764 bids and 27 236 asks."""
    bids = [change("bid", f"{78_856 - n}.05" if n < 78_000 else "0.01", "0.04868907") for n in range(18_764)]
    asks = [change("offer", f"{78_857 + n}.06", "0.0801158") for n in range(27_236)]
    return frame(event("snapshot", "BTC-USD", *bids, *asks), seq=0)


# --- requests


def test_asks_in_the_documented_words() -> None:
    assert [json.loads(text) for text in STRATEGY.greeting(0)] == [{"type": "subscribe", "channel": "heartbeats"}]
    wanted = {"product_ids": ["BTC-USD", "ETH-USD"], "channel": "level2"}
    assert json.loads(STRATEGY.subscribe(["BTC-USD", "ETH-USD"], 3, 0)) == {"type": "subscribe"} | wanted
    ended = STRATEGY.unsubscribe(["BTC-USD", "ETH-USD"], 3, 0)
    assert ended is not None
    assert json.loads(ended) == {"type": "unsubscribe"} | wanted
    with pytest.raises(ValueError, match="at least one symbol"):
        STRATEGY.unsubscribe([], 1, 0)  # it would end the whole channel


def test_stays_within_what_is_documented() -> None:
    limits = COINBASE.limits
    assert limits.messages_per_s <= 8
    assert limits.connects_per_s * (1 + len(STRATEGY.greeting(0))) <= 8
    assert 1.0 < limits.idle_timeout_s <= 5.0, "heartbeats come every second"
    assert limits.max_frame_bytes >= 32 << 20
    assert limits.symbols_per_request <= limits.symbols_per_link <= 20
    assert limits.rest_min_interval_s >= 0.1


def test_says_what_it_can_prove() -> None:
    traits = COINBASE.traits
    assert (traits.continuity, traits.start, traits.depth) == (Continuity.CONNECTION_IDS, BookStart.IN_BAND, None)
    assert traits.by_link
    assert traits.verified
    assert traits.proven_levels == 0, "all known levels are proven"


# --- whose frame it is


def test_a_huge_frame_is_routed_without_being_parsed(huge: bytes) -> None:
    assert len(huge) > 5_000_000
    assert STRATEGY.route(huge).symbols == ("BTC-USD",)
    assert STRATEGY.route(huge[:-1000]).symbols == ("BTC-USD",), "only a parse could notice the missing end"
    assert HANDLER.link_seq(huge) == 0
    assert HANDLER.link_seq(huge[:-1000]) == 0


def test_a_huge_frame_is_parsed_whole(huge: bytes) -> None:
    (update,) = HANDLER.parse(huge)
    assert (len(update.bids), len(update.asks)) == (18_764, 27_236)
    assert (update.bids[0], update.asks[-1]) == (("78856.05", "0.04868907"), ("106092.06", "0.0801158"))
    assert (update.snapshot, update.prev_seq, update.seq, update.exchange_time_ns) == (True, -1, 0, AT_NS)


def test_the_products_of_all_events_are_found_however_far_apart(huge: bytes) -> None:
    big = json.loads(huge)["events"][0]
    several = frame(
        event("update", "ETH-USD"), big, event("update", "XRP-USD", change("bid", "1", "2")), event("update", "ETH-USD")
    )
    assert STRATEGY.route(several).symbols == ("ETH-USD", "BTC-USD", "XRP-USD")
    assert [update.native_symbol for update in HANDLER.parse(several)] == ["ETH-USD", "BTC-USD", "XRP-USD"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(json.loads(frame(event("update", "BTC-USD"))), separators=(" , ", " : ")),
        frame(event("update", "BTC-USD")).decode().replace("BTC-USD", "BTC\\u002dUSD"),
        frame(event("update", "BTC-USD")).decode().replace('"product_id":', '"note":"product_id","product_id":'),
        frame(event("update", "BTC-USD")).decode().replace('"product_id":', '"product_id" :'),
        json.dumps({"events": [event("update", "BTC-USD")], "sequence_num": 7, "timestamp": AT, "channel": "l2_data"}),
    ],
)
def test_other_spellings_mean_the_same(text: str) -> None:
    data = text.encode()
    assert STRATEGY.route(data).kind is RouteKind.BOOK
    assert STRATEGY.route(data).symbols == ("BTC-USD",)
    assert [(update.native_symbol, update.seq) for update in HANDLER.parse(data)] == [("BTC-USD", 7)]
    assert HANDLER.link_seq(data) == 7


def test_acknowledgements_name_the_books_that_the_link_now_has() -> None:
    ack = (
        b'{"channel":"subscriptions","timestamp":"2026-09-07T23:37:22Z","sequence_num":2,"events":[{"subscriptions":'
        b'{"heartbeats":["heartbeats"],"ticker":["XRP-USD"],"level2":["BTC-USD","ETH-USD"]}}]}'
    )
    route = STRATEGY.route(ack)
    assert (route.kind, route.symbols, route.request_id) == (RouteKind.ACK, ("BTC-USD", "ETH-USD"), None)
    nothing = ack.replace(b'["BTC-USD","ETH-USD"]', b"[]")
    assert STRATEGY.route(nothing).kind is RouteKind.OTHER, "an acknowledgement without symbols would mean all"
    old = b'{"type":"subscriptions","channels":[{"name":"level2","product_ids":["A-B"]},{"name":"matches"}]}'
    assert STRATEGY.route(old).symbols == ("A-B",)
    assert STRATEGY.route(old.replace(b"level2", b"ticker")).kind is RouteKind.OTHER


def test_refusals_say_why() -> None:
    old = b'{"type":"error","message":"Failed to subscribe","reason":"X-Y is not a valid product"}'
    assert STRATEGY.route(old).detail == "Failed to subscribe: X-Y is not a valid product"
    assert STRATEGY.route(b'{"type":"error","message":"authentication failure"}').detail == "authentication failure"
    assert STRATEGY.route(old).symbols == ()


def test_a_book_frame_that_names_no_product_is_unknown() -> None:
    assert STRATEGY.route(frame({"type": "update", "updates": []})).kind is RouteKind.UNKNOWN
    assert STRATEGY.route(b'{"type":"l2update","changes":[]}').kind is RouteKind.UNKNOWN


# --- the number of the connection


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (b'{"channel":"heartbeats","timestamp":"x","sequence_num":35,"events":[{"heartbeat_counter":41691}]}', 35),
        (b'{"channel":"subscriptions","sequence_num": 3 ,"events":[{"subscriptions":{}}]}', 3),
        (b'{"channel":"ticker","sequence_num":9,"events":[{"tickers":[{"sequence_num":5}]}]}', 9),
        (b'{"channel":"ticker","events":[{"sequence_num":5}],"sequence_num":9}', 9),
        (b'{"channel":"ticker","events":[{"sequence_num":5}]}', None),
        (b'{"channel":"x","pad":"' + b"-" * 2000 + b'","sequence_num":4}', 4),
        (b'{"sequence_num":9223372036854775807,"events":[]}', 2**63 - 1),
        (b'{"sequence_num":9223372036854775808,"events":[]}', None),
        (b'{"sequence_num":"9","events":[]}', None),
        (b'{"sequence_num":-1,"events":[]}', None),
        (b'{"sequence_num":1.5,"events":[]}', None),
        (b'{"sequence_num":12', None),
        (b'{"type":"error","message":"no \\"sequence_num\\":5, here"}', None),
        (b'{"type":"l2update","product_id":"A-B","changes":[],"time":"2021-04-17T16:43:37Z"}', None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_every_numbered_frame_tells_its_number(data: bytes, number: int | None) -> None:
    assert HANDLER.link_seq(data) == number


@given(
    st.permutations(["channel", "client_id", "timestamp", "sequence_num", "events"]),
    st.integers(0, 2**63 - 1),
    st.lists(st.sampled_from(["BTC-USD", "ETH-USD", "A-B"]), max_size=4),
    st.sampled_from([(",", ":"), (", ", ": "), (",\n", ":\t")]),
)
def test_the_number_and_the_products_are_found_wherever_they_stand(
    order: list[str], number: int, products: list[str], separators: tuple[str, str]
) -> None:
    body = json.loads(frame(*[event("update", product, change("bid", "1", "1")) for product in products], seq=number))
    data = json.dumps({key: body[key] for key in order}, separators=separators).encode()
    assert HANDLER.link_seq(data) == number
    route, updates = STRATEGY.route(data), HANDLER.parse(data)
    assert route.symbols == tuple(dict.fromkeys(products)) == tuple(update.native_symbol for update in updates)
    assert route.kind is (RouteKind.BOOK if products else RouteKind.OTHER)
    assert all((update.prev_seq, update.seq) == (number - 1, number) for update in updates)


# --- what frames mean


def test_sides_sizes_order_and_time() -> None:
    (update,) = HANDLER.parse(
        frame(
            event("update", "BTC-USD", change("offer", "2.50", "0"), change("bid", "1", "3"), change("bid", "1.0", "0"))
        )
    )
    assert (update.snapshot, update.prev_seq, update.seq) == (False, 6, 7)
    assert update.bids == [("1", "3"), ("1.0", "0")], "as sent, in the order sent"
    assert update.asks == [("2.50", "0")]
    assert update.exchange_time_ns == AT_NS
    assert update.checksum is None


@pytest.mark.parametrize(
    ("events", "snapshot", "bids"),
    [
        ([("update", "1", "5"), ("update", "1", "6")], False, [("1", "5"), ("1", "6")]),
        ([("update", "1", "5"), ("update", "1", "0")], False, [("1", "5"), ("1", "0")]),
        ([("snapshot", "1", "5"), ("update", "1", "0")], True, [("1", "5"), ("1", "0")]),
        ([("update", "1", "5"), ("snapshot", "2", "6")], True, [("2", "6")]),
        ([("snapshot", "1", "5"), ("snapshot", "2", "6"), ("update", "3", "1")], True, [("2", "6"), ("3", "1")]),
    ],
)
def test_events_of_one_product_become_one_update_in_their_order(
    events: list[tuple[str, str, str]], snapshot: bool, bids: list[tuple[str, str]]
) -> None:
    between = event("update", "ETH-USD", change("offer", "9", "9"))
    frames = [event(kind, "BTC-USD", change("bid", price, size)) for kind, price, size in events]
    updates = HANDLER.parse(frame(frames[0], between, *frames[1:]))
    assert [update.native_symbol for update in updates] == ["BTC-USD", "ETH-USD"]
    assert (updates[0].snapshot, updates[0].bids, updates[0].asks) == (snapshot, bids, [])
    # The book that one update makes is the book that its events make one after the other.
    one, step_by_step = new_book(), new_book()
    for book in (one, step_by_step):
        book.replace([("1", "1"), ("7", "7")], [])
    (one.replace if snapshot else one.apply)(updates[0].bids, updates[0].asks)
    for kind, price, size in events:
        (step_by_step.replace if kind == "snapshot" else step_by_step.apply)([(price, size)], [])
    assert one.texts(9) == step_by_step.texts(9)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(event("update", "BTC-USD", change("ask", "1", "1"))), "shape"),
        (frame(event("partial", "BTC-USD")), "shape"),
        (frame(event("update", "BTC-USD"), seq=None), "shape"),
        (frame(event("update", "BTC-USD"), seq=-1), "shape"),
        (frame(event("update", "BTC-USD"), seq="7"), "shape"),
        (frame(event("update", "BTC-USD", change("bid", "1", "1") | {"new_quantity": 5})), "shape"),  # type: ignore[arg-type]
        (frame({"type": "update", "updates": []}), "shape"),
        (frame(event("update", "BTC-USD"))[:-1], "json"),
        (b'{"type":"l2update","product_id":"A-B","changes":[["bid","1","1"]]}', "shape"),
        (b'{"type":"l2update","product_id":"A-B","changes":[["buy","1"]]}', "shape"),
        (b'{"type":"snapshot","product_id":"A-B","bids":[]}', "shape"),
        (b'{"type":"match","product_id":"A-B"}', "shape"),
        (frame(event("update", "A-B", *[change("bid", "1", "1")] * 100_001)), "levels"),
    ],
)
def test_what_is_not_documented_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        HANDLER.parse(data)
    assert caught.value.reason == reason


def test_coinbase_pro_frames_carry_no_number() -> None:
    (snapshot,) = HANDLER.parse(
        b'{"type":"snapshot","product_id":"SKL-BTC","asks":[["0.2","660.5"]],"bids":[["0.1","5"],["0.05","1"]]}'
    )
    assert (snapshot.snapshot, snapshot.prev_seq, snapshot.seq, snapshot.exchange_time_ns) == (True, NO_SEQ, NO_SEQ, 0)
    assert (snapshot.bids, snapshot.asks) == ([("0.1", "5"), ("0.05", "1")], [("0.2", "660.5")])
    (update,) = HANDLER.parse(
        b'{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.2","0"],["buy","0.1","1"],["sell","0.3","2"]],'
        b'"time":"2021-04-17T16:43:37.075687Z"}'
    )
    assert (update.snapshot, update.prev_seq, update.seq) == (False, NO_SEQ, NO_SEQ)
    assert (update.bids, update.asks) == ([("0.1", "1")], [("0.2", "0"), ("0.3", "2")])
    assert update.exchange_time_ns == calendar.timegm((2021, 4, 17, 16, 43, 37)) * 10**9 + 75_687_000


# --- times


@given(st.integers(1, 2**63 - 1))
def test_times_are_exact_to_the_nanosecond(moment: int) -> None:
    seconds, fraction = divmod(moment, 10**9)
    text = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09d}Z"
    assert rfc3339_ns(text) == rfc3339_ns(rfc3339(moment)) == moment


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z"])
def test_times_that_mean_none_are_none(text: str) -> None:
    assert rfc3339_ns(text) == 0
    (update,) = HANDLER.parse(frame(event("update", "BTC-USD"), at=text))
    assert update.exchange_time_ns == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-08-24T22:34:13",
        "2026-08-24T22:34:13.Z",
        "2026-08-24T22:34:13.1234567891Z",
        "2026-08-24T22:34:60Z",
        "2026-08-24T22:34:13+0000",
        "2026-08-24T22:34:13+00:60",
        "2026-08-24 22:34:13Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-08-24T22:34:13Z\n",
        "٢٠٢٦-08-24T22:34:13Z",
        "0000-01-01T00:00:00Z",
        "2262-04-11T23:47:16.854775808Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(FrameError) as caught:
        rfc3339_ns(text)
    assert caught.value.reason == "time"


# --- REST


def product(native: str, **more: Any) -> dict[str, Any]:
    base, _, quote = native.partition("-")
    usual = {"product_id": native, "product_type": "SPOT", "base_currency_id": base, "quote_currency_id": quote}
    return usual | {"status": "online", "alias": "", "price": "2", "approximate_quote_24h_volume": "10"} | more


def products(*listed: dict[str, Any]) -> bytes:
    return json.dumps({"products": listed, "num_products": len(listed), "pagination": None}).encode()


def test_an_alias_is_not_listed_for_it_has_no_book_of_its_own() -> None:
    body = products(
        product("BTC-USD", alias_to=["BTC-USDC"]),
        product("BTC-USDC", alias="BTC-USD", alias_to=[]),
        product("USDC-EUR", alias=None),
        product("BIP-20DEC30-CDE", product_type="FUTURE", base_currency_id="", status=""),
    )
    assert [listed.native_symbol for listed in HANDLER.parse_instruments([body])] == ["BTC-USD", "USDC-EUR"]
    assert [figure.native_symbol for figure in HANDLER.parse_tickers([body])] == ["BTC-USD", "USDC-EUR"]


@pytest.mark.parametrize(
    ("more", "trading", "status"),
    [
        ({}, True, "online"),
        ({"trading_disabled": True}, False, "online, trading disabled"),
        ({"is_disabled": True}, False, "online, is disabled"),
        ({"cancel_only": True}, False, "online, cancel only"),
        ({"limit_only": True}, True, "online, limit only"),
        ({"post_only": True}, False, "online, post only"),
        ({"limit_only": True, "auction_mode": True}, False, "online, auction mode, limit only"),
        ({"auction_mode": True, "cancel_only": True}, False, "online, cancel only, auction mode"),
        ({"status": "offline"}, False, "offline"),
        ({"status": "delisted", "trading_disabled": True}, False, "delisted, trading disabled"),
    ],
)
def test_a_halt_is_told(more: dict[str, Any], trading: bool, status: str) -> None:
    (listed,) = HANDLER.parse_instruments([products(product("ETH-BTC", **more))])
    assert (listed.trading, listed.status) == (trading, status)
    assert (listed.symbol, listed.base, listed.quote, listed.kind) == ("ETH-BTC", "ETH", "BTC", "spot")


def test_steps_are_told_in_either_list() -> None:
    new = product("BTC-USD", price_increment="0.01", quote_increment="0.001", base_increment="0.00000001")
    old: dict[str, Any] = {"id": "BTC-GBP", "base_currency": "BTC", "quote_currency": "GBP", "status": "online"}
    old |= {"quote_increment": "0.01", "base_increment": "0.00000001", "trading_disabled": True}
    found = HANDLER.parse_instruments([products(new), json.dumps([old]).encode()])
    assert [(listed.price_tick, listed.size_step) for listed in found] == [("0.01", "0.00000001")] * 2
    assert [listed.trading for listed in found] == [True, False]
    assert [listed.symbol for listed in found] == ["BTC-USD", "BTC-GBP"]


def test_turnover_is_the_quote_volume() -> None:
    (figure,) = HANDLER.parse_tickers([products(product("BTC-USD", volume_24h="5"))])
    assert (figure.last_price, figure.quote_turnover) == ("2", "10")


def test_a_product_book_has_no_id_and_must_be_the_one_asked_for() -> None:
    body = (
        b'{"pricebook":{"product_id":"BTC-USD","bids":[{"price":"1","size":"2"}],"asks":[{"price":"3","size":"4"}],'
        b'"time":"2026-08-24T22:34:13.793075885Z"},"last":"1"}'
    )
    snapshot = HANDLER.parse_snapshot("BTC-USD", body)
    assert (snapshot.bids, snapshot.asks) == ([("1", "2")], [("3", "4")])
    assert (snapshot.seq, snapshot.prev_seq, snapshot.exchange_time_ns) == (NO_SEQ, NO_SEQ, AT_NS)
    with pytest.raises(FrameError) as caught:
        HANDLER.parse_snapshot("ETH-USD", body)
    assert caught.value.reason == "symbol"


@pytest.mark.parametrize(
    ("url", "kind", "native", "limit"),
    [
        ("https://api.coinbase.com/api/v3/brokerage/market/product_book?product_id=A-B&limit=9", "snapshot", "A-B", 9),
        ("https://api.coinbase.com/api/v3/brokerage/product_book?product_id=A-B", "snapshot", "A-B", 1),
        ("https://api.coinbase.com/api/v3/brokerage/market/products", "instruments", "", 0),
        ("https://api.pro.coinbase.com/products", "instruments", "", 0),
        ("https://api.exchange.coinbase.com/products", "instruments", "", 0),
    ],
)
def test_recorded_addresses_are_understood(url: str, kind: str, native: str, limit: int) -> None:
    found = STRATEGY.match_rest(url)
    assert found is not None
    assert (found.kind, found.native_symbol, found.limit) == (RestKind(kind), native, limit)
    assert registry.detect(url) is COINBASE


def test_the_old_rest_book_and_other_addresses_are_left_aside() -> None:
    for path in ("/products/BTC-USD/book?level=2", "/products/BTC-USD/trades", "/api/v3/brokerage/time", "/"):
        assert STRATEGY.match_rest("https://api.exchange.coinbase.com" + path) is None
    assert registry.detect("wss://ws-feed.exchange.coinbase.com") is COINBASE
    assert registry.detect("wss://ws-feed.pro.coinbase.com") is COINBASE
    assert registry.detect("wss://ws-feed.prime.coinbase.com") is None


def test_error_bodies_say_what_is_wrong() -> None:
    for body, said in (
        (b'{"error":"NOT_FOUND","error_details":"x","message":"no such product"}', "NOT_FOUND no such product"),
        (b'{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}', "rate_limit_exceeded Too many"),
        (b'{"message":"NotFound"}', "NotFound"),
    ):
        assert (STRATEGY.rest_error(body) or "").startswith(said)
    for body in (products(product("A-B")), b'{"error":', b'{"error":""}', b"[]", b""):
        assert STRATEGY.rest_error(body) is None
