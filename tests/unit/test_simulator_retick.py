"""A market whose price tick and size step become finer while it trades: the same book on a finer grid, in the truth,
the list and the stream."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.domain.types import State
from hoga.exchanges import registry
from hoga.exchanges.base import Continuity
from hoga.runtime.replay import replay
from services.simulator.book import ASK, BID, TrueBook
from services.simulator.market import Truth
from services.simulator.venues.base import Call
from services.simulator.venues.registry import EMULATORS, emulated
from services.simulator.world import World
from tests.support import simtape
from tests.support.memory_link import Room

BY_PRICE = [code for code, emulator in EMULATORS.items() if emulator.catalogue.quote in emulator.catalogue.bands]
OWN_TICKS = [code for code in emulated() if code not in BY_PRICE]
SUMMED = [code for code in OWN_TICKS if registry.get(code).traits.continuity is Continuity.CHECKSUM]
WHOLE = 1 << 20
RETICK_S = 4.0

changes = st.lists(st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 6), st.integers(0, 3)), max_size=20)


@settings(max_examples=200, deadline=None)
@given(changes, changes, st.sampled_from([1, 10, 1000]), st.sampled_from([1, 10, 100]))
def test_a_refined_book_is_the_old_one_at_multiples_at_every_id(
    before: Any, after: Any, ticks: int, sizes: int
) -> None:
    plain, refined = TrueBook(), TrueBook()
    for book in (plain, refined):
        book.start(1, 1, {1: 1}, {9: 1})
    for changed, factors in ((before, (1, 1)), (after, (ticks, sizes))):
        refined.refine(*factors)
        for side, place, lots in changed:
            seq, index = plain.seq + 1, place if side == BID else 8 + place
            plain.change(seq, seq, side, index, lots)
            refined.change(seq, seq, side, index * factors[0], lots * factors[1])
    for seq in range(1, plain.seq + 1):
        old, new = plain.at(seq=seq), refined.at(seq=seq)
        for coarse, fine in ((old.bids, new.bids), (old.asks, new.asks)):
            assert fine == {index * ticks: lots * sizes for index, lots in coarse.items()}
    assert refined.ranks == tuple([rank * ticks for rank in ranks] for ranks in plain.ranks)


def numbers(truth: Truth) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for side in ("bids", "asks") for price, size in truth[side]]


def listed(world: World, code: str, native: str) -> tuple[Decimal, Decimal]:
    """(price tick, size step) as the exchange's list says and its module reads."""
    exchange, emulator = registry.get(code), world.market.exchanges[code].emulator
    bodies = []
    for request in exchange.strategy.instruments_requests():
        path, _, query = request.path.partition("?")
        asked = dict(part.split("=") for part in query.split("&") if part)
        bodies.append(emulator.rest(Call(path, asked, "t", world.now())).body)
    (found,) = [one for one in exchange.handler.parse_instruments(bodies) if one.native_symbol == native]
    return Decimal(found.price_tick), Decimal(found.size_step)


@pytest.mark.parametrize("code", OWN_TICKS)
@pytest.mark.parametrize("digits", [1, 2])
def test_list_truth_and_past_change_at_one_moment(code: str, digits: int) -> None:
    room = Room(code, symbols=2)
    native, other = room.world.venues[code].natives()
    room.run(1.0)
    before, past = listed(room.world, code, native), room.world.truth(code, native)
    told = room.world.faults.retick(code, native, digits)
    assert listed(room.world, code, native) == before, "the pending frame still belongs to the old tick"
    room.run(0.2)
    tick, step = listed(room.world, code, native)
    assert tick == Decimal(told["tick"]) == before[0].scaleb(-digits)
    if code in SUMMED:
        assert step == before[1], "the list tells the decimals of a size, which stay"
    else:
        assert step == Decimal(told["size_step"]) == before[1].scaleb(-digits)
    assert listed(room.world, code, other)[0] > 0
    again = room.world.truth(code, native, seq=past["seq"])
    assert again["seq"] == past["seq"]
    assert numbers(again) == numbers(past)
    room.run(5.0)
    now = numbers(room.world.truth(code, native))
    assert all(not price % tick and not size % step for price, size in now)
    assert any(price % before[0] for price, _ in now), "no level stands between the old ticks"
    assert code in SUMMED or any(size % before[1] for _, size in now)
    assert room.world.faults.report()[code]["struck"]["retick"] == 1
    room.world.faults.delist(code, native)
    room.world.faults.relist(code, native)
    assert listed(room.world, code, native) == (tick, step), "a market that comes back has kept its tick"


@pytest.mark.parametrize("code", OWN_TICKS)
def test_a_stream_whose_tick_changes_replays_to_the_truth_at_every_level(code: str, tmp_path: Path) -> None:
    due = [RETICK_S, *([RETICK_S + 2.0] if code in SUMMED else [])]

    def faults(world: World, seconds: float) -> None:
        if due and seconds >= due[0]:
            if due.pop(0) > RETICK_S:
                world.faults.abort(code)
                return
            for native in world.venues[code].natives():
                world.faults.retick(code, native, 2)

    records, truth = simtape.record(code, seconds=10.0, seed=5, symbols=3, faults=faults)
    run = replay(simtape.write(tmp_path / "t.jsonl", records), registry.get(code))
    assert (run.unknown, run.troubles, run.damage) == (0, [], "")
    for native, keeper in run.shelf.builders.items():
        counters = keeper.counters
        assert keeper.state is State.LIVE, (native, keeper.reason)
        assert (counters.gaps, counters.reversals, counters.crossed, counters.rejected) == (0, 0, 0, 0)
        # What the checksum covers is written with the new decimals, what a client holds was written with the old ones.
        assert counters.checksum_bad == (1 if code in SUMMED else 0)
        bids, asks = keeper.book.texts(WHOLE)
        held = {"bids": bids, "asks": asks}
        assert numbers(held) == numbers(truth[native])


def test_what_waits_to_be_merged_is_sent_under_the_old_tick() -> None:
    room = Room("binance_future", symbols=1)
    (native,) = room.world.venues["binance_future"].natives()
    client = room.client("binance_future")
    client.say(f'{{"method":"SUBSCRIBE","params":["{native.lower()}@depth@500ms"],"id":1}}')
    room.run(1.3)
    room.world.faults.retick("binance_future", native, 2)
    room.run(4.0)
    found = [
        update for frame in client.raw if b"depthUpdate" in frame for update in client.exchange.handler.parse(frame)
    ]
    held: list[dict[Decimal, Decimal]] = [
        {Decimal(price): Decimal(size) for price, size in side}
        for truth in [room.world.truth("binance_future", native, seq=found[0].prev_seq)]
        for side in (truth["bids"], truth["asks"])
    ]
    for update in found:
        for side, levels in zip(held, (update.bids, update.asks), strict=True):
            side.update((Decimal(price), Decimal(size)) for price, size in levels)
    true = room.world.truth("binance_future", native, seq=found[-1].seq)
    assert {level for side in held for level in side.items() if level[1]} == set(numbers(true))


def test_where_ticks_follow_the_price_or_cannot_be_finer_it_is_refused() -> None:
    room = Room(*emulated(), symbols=10)
    for code in BY_PRICE:
        for native in room.world.venues[code].natives():
            with pytest.raises(ValueError, match="ticks follow the price here"):
                room.world.faults.retick(code, native)
    with pytest.raises(ValueError, match=r"SHIBUSDT: a tick of 0\.00000001 cannot be finer"):
        room.world.faults.retick("binance_spot", "SHIBUSDT")
    for digits in (0, 5, -1, 1.5):
        with pytest.raises(ValueError, match=r"digits is .*; allowed is 1 to 4"):
            room.world.faults.retick("binance_spot", "BTCUSDT", digits)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        room.world.faults.retick("binance_spot", "NOPE")
