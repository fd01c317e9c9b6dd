"""Synthetic tapes of every registered exchange replay, by the path of production, to exactly the truth."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hoga.domain.types import State
from hoga.exchanges import registry
from hoga.exchanges.base import BookStart
from hoga.runtime.replay import Replay, replay
from services.simulator.market import Truth
from services.simulator.venues.registry import emulated
from services.simulator.world import World
from tests.support import simtape

Levels = list[tuple[Decimal, Decimal]]
WHOLE = 1 << 20


def played(code: str, tmp_path: Path, **given: Any) -> tuple[Replay, dict[str, Truth]]:
    records, truth = simtape.record(code, **given)
    return replay(simtape.write(tmp_path / f"{code}.jsonl", records), registry.get(code)), truth


def exact(side: Any) -> Levels:
    return [(Decimal(price), Decimal(size)) for price, size in side]


def check(run: Replay, truth: dict[str, Truth]) -> None:
    """Every level of every book, and nothing that was ever in doubt."""
    assert (run.unknown, run.troubles, run.damage) == (0, [], "")
    assert set(run.shelf.builders) == set(truth)
    for native, keeper in run.shelf.builders.items():
        counters = keeper.counters
        assert keeper.state is State.LIVE, (native, keeper.state, keeper.reason)
        assert (counters.gaps, counters.reversals, counters.crossed, counters.rejected) == (0, 0, 0, 0), native
        assert counters.checksum_bad == 0, native
        if run.exchange.traits.checksum is not None and run.exchange.traits.proven_levels:
            assert counters.checksum_ok == counters.updates
        bids, asks = keeper.book.texts(WHOLE)
        assert exact(bids) == exact(truth[native]["bids"]), native
        assert exact(asks) == exact(truth[native]["asks"]), native


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("code", emulated())
def test_every_exchange_replays_to_the_truth_at_every_level(code: str, seed: int, tmp_path: Path) -> None:
    run, truth = played(code, tmp_path, seconds=10.0, seed=seed, symbols=10)
    assert len(truth) == 10
    check(run, truth)
    applied = sum(keeper.counters.applied for keeper in run.shelf.builders.values())
    repeats = sum(keeper.counters.repeated for keeper in run.shelf.builders.values())
    assert applied + repeats > 1000
    assert len(run.symbols.by_native) == 10, "the instrument list stands at the beginning"


@pytest.mark.parametrize("code", emulated())
def test_deep_books_and_fast_prices_move_levels_through_the_edge_of_the_window(code: str, tmp_path: Path) -> None:
    run, truth = played(code, tmp_path, seconds=6.0, seed=5, symbols=2, max_levels=950, drift=40.0, changes=30.0)
    check(run, truth)
    depth = run.exchange.traits.depth
    if depth is not None and run.exchange.traits.start is not BookStart.WHOLE_FRAME:
        assert any(len(book["bids"]) == depth for book in truth.values()), "no window was full"


@pytest.mark.parametrize("code", emulated())
def test_a_link_that_is_cut_is_opened_again_and_the_books_are_right(code: str, tmp_path: Path) -> None:
    cut: list[float] = []

    def faults(world: World, seconds: float) -> None:
        if seconds > 4 and not cut:
            cut.append(seconds)
            world.faults.abort(code)

    records, truth = simtape.record(code, seconds=10.0, seed=3, symbols=3, faults=faults)
    assert len([one for one in records if one["kind"] == "connect"]) == 2
    run = replay(simtape.write(tmp_path / "t.jsonl", records), registry.get(code))
    for native, keeper in run.shelf.builders.items():
        assert keeper.state is State.LIVE, (native, keeper.reason)
        bids, asks = keeper.book.texts(WHOLE)
        assert (exact(bids), exact(asks)) == (exact(truth[native]["bids"]), exact(truth[native]["asks"])), native


@pytest.mark.parametrize("code", emulated())
def test_late_frames_quiet_spells_and_new_ids_are_no_gaps(code: str, tmp_path: Path) -> None:
    exchange = registry.get(code)
    in_band = exchange.traits.start is BookStart.IN_BAND and not exchange.traits.by_link
    done: set[float] = set()

    def faults(world: World, seconds: float) -> None:
        moment = seconds // 1
        if moment in done:
            return
        done.add(moment)
        for native in world.venues[code].natives():
            if moment == 2:
                world.faults.delay(code, native, 0.7)
            elif moment in (4, 6):
                getattr(world.faults, "quiet" if moment == 4 else "wake")(code, native)
            elif moment in (3, 7) and in_band:
                world.faults.reset(code, native)

    run, truth = played(code, tmp_path, seconds=9.0, seed=6, symbols=3, faults=faults, keep_alive_s=0.5)
    check(run, truth)
    assert {book["life"] for book in truth.values()} == ({3} if in_band else {1})


def test_equal_seeds_give_equal_tapes() -> None:
    for code in emulated():
        first, second = (simtape.record(code, seconds=2.0, seed=4, symbols=2)[0] for _ in range(2))
        assert first == second, code
        assert simtape.record(code, seconds=2.0, seed=9, symbols=2)[0] != first, code
