"""What one of two lines has told of is not unsaid by the silence of the other: a book behind it does not stay LIVE."""

from __future__ import annotations

import pytest

from hoga.domain.actions import FactKind
from hoga.domain.types import State
from tests.support.driver import Driver, at, in_band, rest
from tests.support.lines import Links, snapshot, step

BOTH = pytest.mark.parametrize("make", [rest, in_band])


def in_step(make) -> Links:
    """Two lines of one count at 101; "a" is published."""
    keeper: Driver = make()
    lines = Links(keeper, "a", "b")
    for link in ("a", "b"):
        if make is in_band:
            lines.send(link, snapshot(100))
        lines.send(link, step(101))
    lines.take(keeper.snapshot(snapshot(101, "5"), 0, at(lines.ms)))
    lines.wait(1000)
    assert (lines.state, keeper.sequence) == (State.LIVE, 101)
    lines.actions.clear()
    return lines


@BOTH
@pytest.mark.parametrize("line", ["a", "b"])
@pytest.mark.parametrize("quiet_ms", [0, 5000])
def test_an_id_beyond_a_loss_that_nobody_fills(make, line: str, quiet_ms: int) -> None:
    lines = in_step(make)
    lines.wait(quiet_ms)
    lines.send(line, step(103))
    lines.wait(10_000)
    assert lines.state in (State.GAPPED, State.STALE)
    assert lines.keeper.wanting


@BOTH
@pytest.mark.parametrize("planned", [True, False])
def test_ids_that_died_with_the_link_that_brought_them(make, planned: bool) -> None:
    lines = in_step(make)
    lines.send("a", step(102), step(103, "8"))
    lines.moved("b", planned=planned)
    lines.wait(10_000)
    assert (lines.state, lines.best) == (State.STALE, ("99", "8"))
    assert lines.keeper.wanting
    assert FactKind.RENUMBERED not in lines.facts
    lines.send("b", step(102), step(103, "8"))
    assert lines.state is State.LIVE


@BOTH
def test_a_late_line_that_loses_the_last_frame_is_no_other_count(make) -> None:
    lines = in_step(make)
    lines.send("a", step(102), step(103, "8"))
    lines.send("b", step(102))
    lines.wait(60_000)
    assert (lines.state, lines.keeper.sequence, lines.facts) == (State.LIVE, 103, [])


def test_an_answer_that_joins_the_line_that_is_ahead_is_published() -> None:
    keeper = rest()
    lines = Links(keeper, "a")
    lines.send("a", step(100))
    lines.take(keeper.snapshot(snapshot(100, "5"), 0, at(lines.ms)))
    lines.up("a", "b")
    lines.send("b", step(102, "8"))
    lines.wait(1500)
    assert (lines.state, keeper.wanting) == (State.STALE, True)
    lines.take(keeper.snapshot(snapshot(101, "5"), 0, at(lines.ms)))
    assert (lines.state, keeper.sequence, lines.best) == (State.LIVE, 102, ("99", "8"))
