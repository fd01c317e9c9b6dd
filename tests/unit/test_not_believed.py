"""What is not believed: a snapshot that the stream contradicts, the book of a dead link beside one that has none."""

from __future__ import annotations

import pytest

from hoga.domain.actions import FactKind
from hoga.domain.rules import BookRules
from hoga.domain.types import State
from tests.support.driver import at, in_band, rest
from tests.support.lines import Links, snapshot, step


def test_a_snapshot_that_is_not_what_the_stream_said_of_its_id() -> None:
    lines = Links(rest(BookRules()), "a")
    lines.send("a", step(11, "5"), step(12, "6"))
    lines.take(lines.keeper.snapshot(snapshot(11, "4"), 0, at(lines.ms)))
    assert lines.state is not State.LIVE
    assert FactKind.REJECTED in lines.facts
    lines.wait(1000)
    lines.take(lines.keeper.snapshot(snapshot(11, "5"), 0, at(lines.ms)))
    assert (lines.state, lines.best, lines.keeper.sequence) == (State.LIVE, ("99", "6"), 12)


@pytest.mark.parametrize("make", [rest, in_band])
@pytest.mark.parametrize("planned", [True, False])
def test_the_book_of_a_dead_link_beside_one_that_goes_on_without_a_book(make, planned: bool) -> None:
    lines = Links(make(BookRules()), "a")
    if lines.keeper.builder.ledger.kind.in_band:
        lines.send("a", snapshot(10))
    lines.send("a", step(11))
    if not lines.keeper.builder.ledger.kind.in_band:
        lines.take(lines.keeper.snapshot(snapshot(10), 0, at(lines.ms)))
    assert lines.state is State.LIVE
    lines.take(lines.keeper.open("b", at(lines.ms)))
    lines.send("b", step(500))  # ids that the dead one never reached
    lines.take(lines.keeper.close("a", at(lines.ms), planned=planned))
    assert lines.state is not State.LIVE
