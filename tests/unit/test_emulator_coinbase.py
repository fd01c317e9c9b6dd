"""Coinbase's emulator speaks as documented, and the live half understands it: each is driven against the other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from hoga.exchanges import registry
from hoga.exchanges.base import RouteKind
from services.simulator.venues.base import Answer, BookView, Change, IdStyle, Listing
from services.simulator.venues.coinbase import CoinbaseEmulator
from services.simulator.venues.numbers import plain
from services.simulator.venues.registry import EMULATORS
from tests.support.market_coinbase import START_MS, Desk, FakeLink

COINBASE = registry.get("coinbase")
STRATEGY, HANDLER = COINBASE.strategy, COINBASE.handler
(HEARTBEATS,) = STRATEGY.greeting(0)
API = "/api/v3/brokerage/market"


def numbers(frames: list[bytes]) -> list[int]:
    return [json.loads(frame)["sequence_num"] for frame in frames]


def ask(kind: str, channel: str, *products: str) -> str:
    return json.dumps({"type": kind, "channel": channel, "product_ids": products})


def texts(book: BookView, listing: Listing) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    price, size = listing.price_decimals, listing.size_decimals
    bids, asks = ([(plain(p, price), plain(s, size)) for p, s in side] for side in (book.bids, book.asks))
    return bids, asks


def test_it_is_named_as_the_catalogue_says() -> None:
    emulator = EMULATORS["coinbase"](Desk().market, seed=3)
    assert isinstance(emulator, CoinbaseEmulator)
    assert (emulator.code, emulator.per_link, emulator.ids) == ("coinbase", True, IdStyle.CHANGE)
    assert (emulator.catalogue.quote, emulator.catalogue.crosses) == ("USD", ("BTC",))
    assert emulator.catalogue.native("BTC", "USD", "") == "BTC-USD"
    assert not emulator.binary
    assert not emulator.whole_frames


# --- a conversation


def test_every_link_counts_for_itself() -> None:
    desk = Desk()
    early, late = desk.connect("a"), desk.connect("b")
    assert len(desk.say(early, STRATEGY.subscribe(["BTC-USD"], 1, 0))) == 2
    for _ in range(5):
        early.publish("BTC-USD", desk.market.step("BTC-USD"))
    desk.say(late, HEARTBEATS)
    desk.say(late, STRATEGY.subscribe(["BTC-USD"], 1, 0))
    change = desk.market.step("BTC-USD")
    for link in (early, late):
        link.publish("BTC-USD", change)
    assert numbers(early.frames) == list(range(8))
    assert numbers(late.frames) == list(range(4))
    one, other = early.frames[-1], late.frames[-1]
    assert one.replace(b'"sequence_num":7', b"") == other.replace(b'"sequence_num":3', b""), "else the same bytes"


# --- subscriptions


def test_data_comes_before_the_answer_and_the_answer_lists_all() -> None:
    desk = Desk()
    link = desk.connect()
    (greeted,) = desk.say(link, HEARTBEATS)
    assert json.loads(greeted)["events"] == [{"subscriptions": {"heartbeats": ["heartbeats"]}}]
    bitcoin, first_answer = desk.say(link, STRATEGY.subscribe(["BTC-USD"], 1, 0))
    assert json.loads(bitcoin)["events"][0]["type"] == "snapshot"
    assert STRATEGY.route(first_answer).symbols == ("BTC-USD",)
    ether, second_answer = desk.say(link, STRATEGY.subscribe(["ETH-USD", "BTC-USD"], 2, 0))
    assert json.loads(ether)["events"][0]["product_id"] == "ETH-USD", "no second snapshot of what runs already"
    assert STRATEGY.route(second_answer).symbols == ("BTC-USD", "ETH-USD")
    assert {topic.native for topic in link.session.topics} == {"BTC-USD", "ETH-USD"}
    ended = STRATEGY.unsubscribe(["BTC-USD"], 3, 0)
    assert ended is not None
    (third_answer,) = desk.say(link, ended)
    assert STRATEGY.route(third_answer).symbols == ("ETH-USD",)
    (fourth_answer,) = desk.say(link, ask("unsubscribe", "level2"))
    assert json.loads(fourth_answer)["events"] == [{"subscriptions": {"heartbeats": ["heartbeats"]}}]
    assert link.session.topics == frozenset()
    again = desk.say(link, STRATEGY.subscribe(["BTC-USD"], 4, 0))[0]
    assert json.loads(again)["events"][0]["type"] == "snapshot", "a subscription that was ended begins anew"


def test_the_first_frame_is_the_whole_book_and_frames_are_spelled_as_recorded() -> None:
    desk = Desk()
    link = desk.connect()
    snapshot, _ = desk.say(link, STRATEGY.subscribe(["BTC-USD"], 1, 0))
    link.publish("BTC-USD", Change(5, 5, 4, START_MS + 60_000, [(7_885_605, 0)], [(7_885_600, 801_158)]))
    body, update = json.loads(snapshot), json.loads(link.frames[-1])
    assert list(body) == ["channel", "client_id", "timestamp", "sequence_num", "events"]
    levels = body["events"][0]["updates"]
    assert list(levels[0]) == ["side", "event_time", "price_level", "new_quantity"]
    assert [level["side"] for level in levels] == ["bid"] * 39 + ["offer"] * 29
    changes = [(c["side"], c["price_level"], c["new_quantity"]) for c in update["events"][0]["updates"]]
    assert changes == [("bid", "78856.05", "0"), ("offer", "78856", "0.00801158")]
    for text in (body["timestamp"], update["timestamp"], levels[0]["event_time"]):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z", text), text
    link.publish("BTC-USD", Change(6, 6, 5, START_MS + 60_050, [], []))
    assert json.loads(link.frames[-1])["events"][0]["updates"] == []
    (empty,) = HANDLER.parse(link.frames[-1])
    assert (empty.bids, empty.asks) == ([], [])


def test_an_alias_brings_the_data_of_the_other_name() -> None:
    desk = Desk()
    link = desk.connect()
    snapshot, answer = desk.say(link, STRATEGY.subscribe(["BTC-USDC"], 1, 0))
    assert STRATEGY.route(answer).symbols == ("BTC-USDC",)
    assert STRATEGY.route(snapshot).symbols == ("BTC-USD",)
    own, _ = desk.say(link, STRATEGY.subscribe(["USDT-USDC"], 2, 0))
    assert STRATEGY.route(own).symbols == ("USDT-USDC",), "a USDC market with a book of its own is no alias"
    both, _ = desk.say(link, STRATEGY.subscribe(["BTC-USD"], 3, 0))
    assert STRATEGY.route(both).symbols == ("BTC-USD",)
    before = len(link.frames)
    link.publish("BTC-USD", desk.market.step("BTC-USD"))
    assert len(link.frames) == before + 1, "one book, one stream"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (STRATEGY.subscribe(["BTC-USD", "NO-PE"], 1, 0), "failure to subscribe"),
        (ask("subscribe", "level2"), "failure to subscribe"),
        (ask("subscribe", "level3", "BTC-USD"), "authentication failure"),
        (ask("subscribe", "user"), "authentication failure"),
        (ask("shout", "level2", "BTC-USD"), "unknown message type"),
        ('{"type":"subscribe","channel":"level2","product_ids":"BTC-USD"}', "product_ids must be an array of strings"),
        ('{"type":"subscribe","channel":"level2","product_ids":[1]}', "product_ids must be an array of strings"),
        ("[]", "unknown message type"),
        ("{", "failed to parse the message"),
    ],
)
def test_what_is_refused_is_refused_as_a_whole_and_takes_no_number(text: str, message: str) -> None:
    desk = Desk()
    link = desk.connect()
    (refusal,) = desk.say(link, text)
    assert json.loads(refusal) == {"type": "error", "message": message}
    assert (STRATEGY.route(refusal).kind, STRATEGY.route(refusal).detail) == (RouteKind.REFUSED, message)
    assert HANDLER.link_seq(refusal) is None
    assert link.session.topics == frozenset()
    (greeted,) = desk.say(link, HEARTBEATS)
    assert numbers([greeted]) == [0]


def test_other_channels_are_accepted_and_silent() -> None:
    desk = Desk()
    link = desk.connect()
    for channel, products in (("ticker", ["BTC-USD"]), ("status", [])):
        (answer,) = desk.say(link, ask("subscribe", channel, *products))
        assert STRATEGY.route(answer).kind is RouteKind.OTHER
    assert link.session.topics == frozenset()


# --- time and limits


def wait(desk: Desk, link: FakeLink, seconds: float, step: float = 0.25) -> None:
    """Ticks until the time is over or the link is closed."""
    until = desk.now_s + seconds
    while desk.now_s < until and link.closed is None:
        desk.now_s += step
        link.tick(desk.stamp)


def test_a_link_that_says_nothing_is_closed_after_five_seconds() -> None:
    desk = Desk()
    silent, greeted = desk.connect(), desk.connect()
    desk.say(greeted, HEARTBEATS)
    desk.say(silent, "{")  # nonsense is no subscribe
    wait(desk, silent, 4.0)
    assert silent.closed is None
    wait(desk, silent, 2.0)
    assert silent.closed is not None
    wait(desk, greeted, 10.0)
    assert greeted.closed is None


def test_without_heartbeats_a_quiet_link_is_closed_between_60_and_90_seconds() -> None:
    desk = Desk()
    quiet, beating, busy = desk.connect(), desk.connect(), desk.connect()
    desk.say(beating, HEARTBEATS)
    for link in (quiet, beating, busy):
        desk.say(link, STRATEGY.subscribe(["BTC-USD"], 1, 0))
    began = desk.now_s
    for second in range(120):
        desk.now_s += 1.0
        if second % 30 == 0:
            busy.publish("BTC-USD", desk.market.step("BTC-USD"))
        for link in (quiet, beating, busy):
            link.tick(desk.stamp)
        if quiet.closed is not None:
            break
    assert 60 <= desk.now_s - began <= 90
    assert quiet.closed is not None
    assert beating.closed is None
    assert busy.closed is None


def test_heartbeats_come_every_second_until_they_are_ended() -> None:
    desk = Desk()
    link = desk.connect()
    desk.say(link, HEARTBEATS)
    wait(desk, link, 10.0, step=0.04)
    beats = [json.loads(frame) for frame in link.frames if STRATEGY.route(frame).kind is RouteKind.ALIVE]
    assert len(beats) in (9, 10)
    counters = [beat["events"][0]["heartbeat_counter"] for beat in beats]
    assert counters == list(range(counters[0], counters[0] + len(beats)))
    assert numbers(link.frames) == list(range(len(link.frames)))
    desk.now_s += 7.0  # late: those that were missed are not made up for
    link.tick(desk.stamp)
    link.tick(desk.stamp)
    assert len(link.frames) == len(beats) + 2
    ended = desk.say(link, ask("unsubscribe", "heartbeats"))
    wait(desk, link, 5.0)
    assert link.frames[-1] == ended[-1]
    assert json.loads(ended[-1])["events"] == [{"subscriptions": {}}]
    assert STRATEGY.route(ended[-1]).kind is RouteKind.OTHER


def test_an_address_may_send_eight_messages_a_second_over_all_its_links() -> None:
    desk = Desk()
    one, other, stranger = desk.connect("a"), desk.connect("a"), desk.connect("b")
    for turn in range(8):
        (one if turn % 2 else other).say(HEARTBEATS, desk.stamp)
    assert one.closed is None
    assert other.closed is None
    other.say(HEARTBEATS, desk.stamp)
    assert other.closed is not None
    stranger.say(HEARTBEATS, desk.stamp)
    assert stranger.closed is None
    desk.now_s += 1.01
    one.say(HEARTBEATS, desk.stamp)
    assert one.closed is None


def test_an_address_may_open_eight_connections_a_second() -> None:
    desk = Desk()
    for _ in range(8):
        desk.connect()
    refused = desk.emulator.open(desk.call())
    assert isinstance(refused, Answer)
    assert refused.status == 429
    desk.connect("b")
    desk.now_s += 1.01
    desk.connect()
    elsewhere = desk.emulator.open(desk.call("/ws"))
    assert isinstance(elsewhere, Answer)
    assert elsewhere.status == 404


# --- REST


def get(desk: Desk, path: str, **query: str) -> Any:
    answer = desk.emulator.rest(desk.call(path, **query))
    assert answer.status == 200
    return json.loads(answer.body)


def test_products_tell_aliases_and_halts() -> None:
    desk = Desk()
    desk.market.halted.add("ETH-USD")
    body = get(desk, f"{API}/products", product_type="SPOT")
    products = {product["product_id"]: product for product in body["products"]}
    assert list(products) == ["BTC-USD", "BTC-USDC", "ETH-USD", "ETH-USDC", "ETH-BTC", "USDT-USDC"]
    assert body["num_products"] == 6
    assert [products["BTC-USD"][key] for key in ("alias", "alias_to")] == ["", ["BTC-USDC"]]
    assert [products["BTC-USDC"][key] for key in ("alias", "alias_to")] == ["BTC-USD", []]
    assert products["USDT-USDC"]["alias"] == ""
    assert {name for name, product in products.items() if product["trading_disabled"]} == {"ETH-USD", "ETH-USDC"}
    assert get(desk, f"{API}/products", product_type="FUTURE")["products"] == []
    assert len(get(desk, f"{API}/products", limit="2")["products"]) == 2


def test_a_product_book_is_cut_to_its_limit_and_up_to_a_second_old() -> None:
    desk = Desk()
    true = {START_MS: desk.market.book("BTC-USD")}
    ages = set()
    for _ in range(200):
        change = desk.market.step("BTC-USD")
        desk.now_s = 1000.0 + (change.time_ms - START_MS) / 1000
        true[change.time_ms] = desk.market.book("BTC-USD")
        desk.emulator.web.budgets.clear()
        book = get(desk, f"{API}/product_book", product_id="BTC-USD", limit="3")["pricebook"]
        listing = desk.market.listing("BTC-USD")
        assert listing is not None
        update = HANDLER.parse_snapshot("BTC-USD", json.dumps({"pricebook": book}).encode())
        of_ms = update.exchange_time_ns // 1_000_000
        ages.add(change.time_ms - of_ms)
        bids, asks = texts(true[of_ms], listing)
        assert (update.bids, update.asks) == (bids[:3], asks[:3])
    assert min(ages) <= 50
    assert 900 <= max(ages) <= 1050


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("product_book", {}, 404),
        ("product_book", {"product_id": "NO-PE"}, 404),
        ("product_book", {"product_id": "BTC-USD", "limit": "x"}, 400),
        ("product_book", {"product_id": "BTC-USD", "limit": "0"}, 400),
        ("product_book", {"product_id": "BTC-USD", "limit": "9" * 5000}, 400),
        ("nothing", {}, 404),
    ],
)
def test_errors_have_a_body(path: str, query: dict[str, str], status: int) -> None:
    answer = Desk().emulator.rest(Desk().call(f"{API}/{path}", **query))
    assert answer.status == status
    assert STRATEGY.rest_error(answer.body)


def test_more_than_ten_requests_a_second_are_refused() -> None:
    desk = Desk()
    statuses = [desk.emulator.rest(desk.call(f"{API}/products")).status for _ in range(40)]
    assert statuses == [200] * 10 + [429] * 30, "and never banned"
    refused = desk.emulator.rest(desk.call(f"{API}/products"))
    assert STRATEGY.rest_error(refused.body) == "rate_limit_exceeded Too many requests"
    assert desk.emulator.rest(desk.call(f"{API}/products", client="b")).status == 200
    desk.now_s += 1.0
    assert desk.emulator.rest(desk.call(f"{API}/products")).status == 200
