"""The deeds of the fault control, on every kind of exchange, in virtual time."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from hoga.domain.phases import Phase
from hoga.exchanges import registry
from hoga.exchanges.base import BookStart, Continuity, RouteKind
from services.simulator.actions import ACTIONS
from services.simulator.manglers import MANGLERS, off_by_one
from services.simulator.venues.registry import emulated
from tests.support.memory_link import Client, Room

ALL = emulated()
KEEP_ALIVE = ("okx_spot", "okx_swap")
SUMMED = [code for code in ALL if registry.get(code).traits.checksum is not None]


def listening(code: str, **options: Any) -> tuple[Room, Client, str]:
    """A room with one client that has its first frames of one market."""
    room = Room(code, symbols=2, **options)
    native = room.world.venues[code].natives()[0]
    client = room.client(code)
    client.subscribe(native)
    room.run(1.0)
    assert books(client, native)
    client.raw.clear()
    return room, client, native


def books(client: Client, native: str) -> list[bytes]:
    """The book frames of a market, as the exchange module routes them."""
    return [
        frame
        for frame in client.raw
        if (route := client.exchange.strategy.route(frame)).kind is RouteKind.BOOK and native in route.symbols
    ]


@pytest.mark.parametrize("code", ALL)
def test_a_quiet_market_trades_and_changes_nothing(code: str) -> None:
    room, client, native = listening(code, keep_alive_s=1000.0)
    room.world.faults.quiet(code, native)
    room.run(0.2)
    client.raw.clear()
    truth = room.world.truth(code, native)
    room.run(5.0)
    assert books(client, native) == []
    assert room.world.truth(code, native) == truth
    assert room.world.market.exchanges[code].phase(native) is Phase.TRADING
    room.world.faults.wake(code, native)
    room.run(1.0)
    assert len(books(client, native)) > 5


@pytest.mark.parametrize("code", ALL)
def test_delayed_frames_come_late_in_order_and_complete(code: str) -> None:
    room, client, native = listening(code)
    room.world.faults.delay(code, native, 1.0)
    room.run(0.9)
    assert books(client, native) == []
    room.run(1.0)
    late = books(client, native)
    assert len(late) > 20
    times = [client.exchange.handler.parse(frame)[0].exchange_time_ns for frame in late]
    assert times == sorted(times)
    ids = [(update.prev_seq, update.seq) for frame in late for update in client.exchange.handler.parse(frame)]
    if client.exchange.traits.continuity in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS):
        assert all(before[1] == after[0] for before, after in pairwise(ids))
    assert room.world.faults.report()[code]["struck"]["delay"] > 10
    numbers = [number for frame in client.raw if (number := client.exchange.handler.link_seq(frame)) is not None]
    assert all(before + 1 == after for before, after in pairwise(numbers)), (
        "held frames get their number when they leave"
    )


def test_who_subscribes_again_does_not_get_what_was_held_back_before() -> None:
    room, client, native = listening("bybit_spot")
    room.world.faults.delay("bybit_spot", native, 0.5)
    room.run(0.2)
    client.say(str(client.exchange.strategy.unsubscribe([native], 2, client.now().wall_ns)))
    client.raw.clear()
    client.subscribe(native)
    room.run(1.0)
    snapshot, *deltas = [json.loads(frame) for frame in books(client, native)]
    first = snapshot["data"]["u"]
    assert (snapshot["type"], len(deltas) > 10) == ("snapshot", True)
    assert [delta["data"]["u"] for delta in deltas] == list(range(first + 1, first + 1 + len(deltas)))


def test_clear_lets_go_what_is_held_back() -> None:
    room, client, native = listening("binance_spot")
    room.world.faults.delay("binance_spot", native, 1000.0)
    room.run(1.0)
    room.world.faults.clear()
    client.hear()
    assert len(books(client, native)) > 10


@pytest.mark.parametrize("code", ALL)
def test_a_crossing_frame_is_valid_in_itself_and_unknown_to_the_truth(code: str) -> None:
    room, client, native = listening(code)
    handler = client.exchange.handler
    room.world.faults.cross(code, native)
    room.run(0.5)
    assert room.world.faults.report()[code]["struck"]["cross"] == 1
    found = []
    for frame in books(client, native):
        (update,) = handler.parse(frame)
        where: dict[str, Any] = {"time_ms": update.exchange_time_ns // 1_000_000}
        if client.exchange.traits.continuity in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS):
            where = {"seq": update.seq}
        truth = room.world.truth(code, native, depth=1, **where)
        best_ask = Decimal(truth["asks"][0][0])
        assert Decimal(truth["bids"][0][0]) < best_ask, "the truth is never crossed"
        if any(Decimal(price) >= best_ask and Decimal(size) for price, size in update.bids):
            found.append(update)
    assert len(found) == 1
    if client.exchange.traits.continuity in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS):
        ids = [(u.prev_seq, u.seq) for frame in books(client, native) for u in handler.parse(frame)]
        assert all(before[1] == after[0] for before, after in pairwise(ids)), "its id is one of the chain"


@pytest.mark.parametrize("code", SUMMED)
def test_a_corrupt_checksum_is_off_by_one_and_nothing_else(code: str) -> None:
    room, client, native = listening(code)
    twin = room.client(code)
    twin.subscribe(native)
    venue = room.world.venues[code]
    real: list[bytes] = []
    deliver = venue._send

    def noting(name: str, package: Any) -> None:
        real.extend(payload for _, payload in package[:1])
        deliver(name, package)

    setattr(venue, "_send", noting)  # noqa: B010
    client.raw.clear()
    assert room.world.faults.corrupt_checksum(code, native, 2) == {"armed": 2}
    room.run(0.5)
    sent = books(client, native)
    different = [(was, now) for was, now in zip(real, sent, strict=True) if was != now]
    assert len(different) == 2
    assert all(now == off_by_one(was) for was, now in different)
    parse = client.exchange.handler.parse
    sums = [(parse(was)[0].checksum or 0, parse(now)[0].checksum) for was, now in different]
    assert all(now == was + 1 for was, now in sums)
    assert sent[2:] == real[2:]


@pytest.mark.parametrize("name", [name for name, found in ACTIONS.items() if found.takes_exchange])
def test_an_exchange_that_is_not_simulated_is_a_key_that_is_none(name: str) -> None:
    faults, action = Room("upbit", symbols=1).world.faults, ACTIONS[name]
    given: dict[str, Any] = {"native": "KRW-BTC"} if action.takes_symbol else {}
    given |= {argument.name: "x" for argument in action.arguments.values() if argument.required}
    for code in ("kraken", "nowhere", ""):
        with pytest.raises(KeyError, match=f"'{code}'"):
            getattr(faults, name)(code, **given)


def test_what_has_no_checksum_cannot_be_corrupted_so() -> None:
    room = Room("binance_spot", symbols=1)
    with pytest.raises(ValueError, match="binance_spot sends no checksums"):
        room.world.faults.corrupt_checksum("binance_spot", "BTCUSDT")
    with pytest.raises(ValueError, match="count is 0"):
        room.world.faults.drop("binance_spot", "BTCUSDT", 0)


@pytest.mark.parametrize("code", ALL)
def test_a_topic_that_was_quiet_sends_its_keep_alive(code: str) -> None:
    room, client, native = listening(code, keep_alive_s=3.0)
    room.world.faults.quiet(code, native)
    room.run(0.5)
    client.raw.clear()
    room.run(10.0)
    said = books(client, native)
    if code not in KEEP_ALIVE:
        assert said == []
        return
    assert 2 <= len(said) <= 4
    for frame in said:
        (update,) = client.exchange.handler.parse(frame)
        assert (update.prev_seq, update.bids, update.asks) == (update.seq, [], [])


def test_numbers_of_a_connection_show_what_a_fault_lost_on_it() -> None:
    room, client, native = listening("coinbase")
    other = room.client("coinbase")
    other.subscribe(native)
    room.run(0.2)
    room.world.faults.drop("coinbase", native, 2)
    room.run(1.0)
    for one in (client, other):
        numbers = [json.loads(frame)["sequence_num"] for frame in one.raw]
        gaps = [after - before - 1 for before, after in pairwise(numbers) if after != before + 1]
        assert sum(gaps) == 2, "both links have lost two frames, by their own count"
    first = json.loads(other.raw[0])
    assert first["sequence_num"] == 0, "a new link counts for itself"


@pytest.mark.parametrize("code", ALL)
@pytest.mark.parametrize("kind", sorted(MANGLERS))
def test_every_way_to_spoil_a_frame_spoils_those_of_every_exchange(code: str, kind: str) -> None:
    room, client, native = listening(code)
    frame = max(books_of(room, client, native), key=len)
    spoiled = MANGLERS[kind](frame, native)
    assert spoiled != frame


def books_of(room: Room, client: Client, native: str) -> list[bytes]:
    room.run(0.3)
    return books(client, native)


@pytest.mark.parametrize("code", ALL)
def test_an_in_band_start_is_the_first_thing_a_subscriber_gets(code: str) -> None:
    room = Room(code, symbols=3)
    natives = room.world.venues[code].natives()
    client = room.client(code)
    client.subscribe(*natives)
    room.run(1.0)
    for native in natives:
        (first, *_) = books(client, native)
        (update,) = client.exchange.handler.parse(first)
        assert update.snapshot is (client.exchange.traits.start is not BookStart.REST)
