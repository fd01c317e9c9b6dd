"""Ids that begin anew, markets that come back and are renamed: lives are counted and never mixed up."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.exchanges import registry
from hoga.exchanges.base import Continuity
from services.simulator.book import ASK, BID, TrueBook
from services.simulator.venues.registry import emulated
from tests.support.memory_link import Room

BY_ID = (Continuity.CONSECUTIVE_IDS, Continuity.LINKED_IDS)
WITH_IDS = [code for code in emulated() if registry.get(code).traits.continuity in BY_ID]
RENAMED = [code for code in emulated() if Room(code, symbols=1).world.market.exchanges[code].emulator.catalogue.renamed]

changes = st.lists(st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 6), st.integers(0, 3)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(changes, min_size=1, max_size=5), st.sampled_from([1, 40, 1000]))
def test_every_id_of_every_life_is_the_copy_taken_then(lives: list[Any], first: int) -> None:
    true, now = TrueBook(), 1
    true.start(500, now, {1: 1}, {9: 1})
    copies = {(1, 500): (dict(true.lots[BID]), dict(true.lots[ASK]))}
    for number, life in enumerate(lives, start=1):
        for side, index, lots in life:
            now += 1
            true.change(true.seq + 1, now, side, index if side == BID else 8 + index, lots)
            copies[number, true.seq] = (dict(true.lots[BID]), dict(true.lots[ASK]))
        now += 1
        if true.lots[BID]:
            true.renumber(true.seq, first, now)
            copies[number + 1, first] = (dict(true.lots[BID]), dict(true.lots[ASK]))
        else:
            break
    for (life, seq), (bids, asks) in copies.items():
        sides = true.at(seq=seq, life=life)
        assert (sides.life, sides.seq, sides.bids, sides.asks) == (life, seq, bids, asks)
    newest = {seq: max(life for life, other in copies if other == seq) for _, seq in copies}
    for seq, life in newest.items():
        assert true.at(seq=seq).life == life
        assert true.life_of(seq, true.seq) == life
    with pytest.raises(LookupError, match="not kept of life 77"):
        true.at(seq=500, life=77)
    assert true.life_of(10**9, true.seq) is None


@pytest.mark.parametrize("code", WITH_IDS)
def test_ids_begin_anew_below_while_the_book_stays(code: str) -> None:
    room = Room(code, symbols=2)
    (native, other) = room.world.venues[code].natives()
    symbol = room.world.market.exchanges[code].symbols[native]
    client = room.client(code)
    client.subscribe(native)
    room.run(1.0)
    before = symbol.emitted_seq
    told = room.world.faults.reset(code, native)
    assert told == {"reset": native, "life": 2}
    assert symbol.lives == 1, "the pending frame still belongs to the old ids"
    room.run(0.2)
    assert symbol.lives == 2
    assert symbol.emitted_seq < before
    assert room.world.faults.report()[code]["struck"]["reset"] >= 1
    old = room.world.truth(code, native, seq=before)
    assert (old["seq"], old["life"]) == (before, 1)
    new = room.world.truth(code, native, seq=symbol.emitted_seq)
    assert (new["seq"], new["life"]) == (symbol.emitted_seq, 2)
    with pytest.raises(LookupError, match="not happened"):
        room.world.truth(code, native, seq=symbol.newest + 1)
    room.run(0.5)
    room.world.faults.reset(code, native)
    room.run(0.2)
    assert symbol.lives == 3
    assert room.world.truth(code, native, seq=symbol.emitted_seq)["life"] == 3
    assert room.world.truth(code, native, seq=before, life=1) == old
    assert room.world.market.exchanges[code].symbols[other].lives == (3 if code == "binance_future" else 1)


def test_a_reset_keeps_every_level() -> None:
    room = Room("bybit_spot", symbols=1)
    (native,) = room.world.venues["bybit_spot"].natives()
    symbol = room.world.market.exchanges["bybit_spot"].symbols[native]
    room.run(1.0)
    room.world.faults.reset("bybit_spot", native)
    room.run(0.06)
    first = symbol.true.at(seq=1, life=2)
    end = symbol.true._spans[1][1]
    last = symbol.true.at(seq=end, life=1)
    assert (first.bids, first.asks) == (last.bids, last.asks)
    assert first.time_ms > last.time_ms


def test_bybit_sends_the_whole_book_as_number_one_and_goes_on_from_there() -> None:
    room = Room("bybit_future", symbols=1)
    (native,) = room.world.venues["bybit_future"].natives()
    client = room.client("bybit_future")
    client.subscribe(native)
    room.run(1.0)
    room.world.faults.reset("bybit_future", native)
    room.run(1.0)
    books = [frame for frame in client.heard if "data" in frame]
    (place,) = [n for n, frame in enumerate(books) if frame["data"]["u"] == 1]
    assert (books[0]["type"], books[place]["type"]) == ("snapshot", "snapshot")
    assert len(books[place]["data"]["b"]) > 100
    ids = [frame["data"]["u"] for frame in books]
    assert ids[:place] == list(range(ids[0], ids[0] + place))
    assert ids[place:] == list(range(1, 1 + len(books) - place))
    assert {frame["type"] for frame in books[place + 1 :]} == {"delta"}


def test_okx_links_the_new_ids_to_the_old_ones() -> None:
    room = Room("okx_spot", symbols=1)
    (native,) = room.world.venues["okx_spot"].natives()
    client = room.client("okx_spot")
    client.subscribe(native)
    room.run(1.0)
    room.world.faults.reset("okx_spot", native)
    room.run(1.0)
    books = [frame["data"][0] for frame in client.heard if "data" in frame]
    links = [(book["prevSeqId"], book["seqId"]) for book in books]
    assert all(after[0] == before[1] for before, after in pairwise(links))
    (reset,) = [n for n, (prev, seq) in enumerate(links) if seq < prev]
    assert books[reset]["bids"] == books[reset]["asks"] == []


def test_binance_says_nothing_and_counts_from_below() -> None:
    room = Room("binance_spot", "binance_future", symbols=2)
    for code in ("binance_spot", "binance_future"):
        client = room.client(code)
        client.subscribe(*room.world.venues[code].natives())
        room.run(1.0)
        room.world.faults.reset(code, "BTCUSDT")
        room.run(1.0)
        events = [frame["data"] for frame in client.heard if "data" in frame]
        falls = {
            native: sum(after["u"] < before["U"] for before, after in pairwise(e for e in events if e["s"] == native))
            for native in room.world.venues[code].natives()
        }
        assert falls == {"BTCUSDT": 1, "ETHUSDT": int(code == "binance_future")}


@pytest.mark.parametrize("code", [code for code in emulated() if code not in WITH_IDS])
def test_what_has_no_ids_of_its_markets_cannot_reset_them(code: str) -> None:
    room = Room(code, symbols=1)
    (native,) = room.world.venues[code].natives()
    with pytest.raises(ValueError, match=f"{code}: frames carry no ids of their market"):
        room.world.faults.reset(code, native)


def test_a_market_listed_again_has_a_new_life_and_begins_with_its_book() -> None:
    room = Room("bybit_spot", symbols=2)
    native, _ = room.world.venues["bybit_spot"].natives()
    client = room.client("bybit_spot")
    client.subscribe(native)
    room.run(1.0)
    room.world.faults.delist("bybit_spot", native)
    room.run(1.0)
    client.take()
    room.run(1.0)
    assert client.take() == []
    room.world.faults.relist("bybit_spot", native)
    room.run(1.0)
    frames = client.take()
    assert [frame["type"] for frame in frames[:2]] == ["snapshot", "delta"]
    assert frames[1]["data"]["u"] == frames[0]["data"]["u"] + 1
    assert room.world.truth("bybit_spot", native)["life"] == 2


def test_a_market_that_left_and_came_back_between_two_frames_keeps_its_pace() -> None:
    room = Room("binance_spot", symbols=1)
    client = room.client("binance_spot")
    client.subscribe("BTCUSDT")
    for _ in range(10):
        room.world.faults.delist("binance_spot", "BTCUSDT")
        room.world.faults.relist("binance_spot", "BTCUSDT")
    client.take()
    room.run(5.0)
    assert 80 <= len(client.take()) <= 110


@pytest.mark.parametrize("code", RENAMED)
def test_a_renamed_market_is_the_same_market_under_another_id(code: str) -> None:
    room = Room(code, symbols=8)
    exchange = registry.get(code)
    market = room.world.market.exchanges[code]
    for native in room.world.venues[code].natives():
        before = market.symbols[native].listing
        told = room.world.faults.rename(code, native)
        other = told["listed"]
        after = market.symbols[other].listing
        assert (after.base, after.quote, after.delivery_ms) == (before.base, before.quote, before.delivery_ms)
        assert other != native
        assert native not in room.world.venues[code].natives()
        with pytest.raises(KeyError):
            room.world.faults.relist(code, native)
    client = room.client(code)
    client.subscribe(other)
    room.run(1.0)
    assert any(exchange.strategy.route(frame).symbols == (other,) for frame in client.raw)
    assert room.world.faults.rename(code, other)["listed"] == native


def test_where_an_id_is_spelled_from_base_and_quote_there_is_no_other() -> None:
    room = Room("upbit", symbols=1)
    with pytest.raises(ValueError, match="upbit spells a native id from base and quote"):
        room.world.faults.rename("upbit", "KRW-BTC")
    assert room.world.venues["upbit"].natives() == ["KRW-BTC"]
