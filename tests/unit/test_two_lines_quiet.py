"""Two lines of a quiet market, for days: each link is replaced now and then, and nothing is lost."""

from __future__ import annotations

import pytest

from hoga.domain.actions import FactKind, Note, RequestSnapshot, Resubscribe
from hoga.domain.rules import BookRules
from hoga.domain.types import State
from tests.support.driver import Driver, at, by_connection, in_band, rest
from tests.support.lines import Links, delta, snapshot, step

DAY_MS = 24 * 3_600_000


def begun(keeper: Driver) -> Links:
    """Two lines in step at 11."""
    lines = Links(keeper, "a", "b")
    for link in ("a", "b"):
        if keeper.builder.ledger.kind.in_band:
            lines.send(link, snapshot(10))
        lines.send(link, step(11))
    if not keeper.builder.ledger.kind.in_band:
        lines.take(keeper.snapshot(snapshot(10), 0, at(lines.ms)))
    assert (lines.state, keeper.sequence) == (State.LIVE, 11)
    lines.wait(1000)
    lines.actions.clear()
    lines.states.clear()
    return lines


def replaced(lines: Links, old: str, new: str, *, in_step: list[str]) -> None:
    """The new link opens beside the old one, which closes some seconds later."""
    lines.take(lines.keeper.open(new, at(lines.ms)))
    if lines.keeper.builder.ledger.kind.in_band:
        lines.send(new, snapshot(lines.keeper.sequence, "5"))
    lines.wait(10_000)
    lines.take(lines.keeper.close(old, at(lines.ms), planned=True))
    lines.wait(2000)
    assert lines.keeper.links == {new, *in_step}


def untouched(lines: Links) -> None:
    assert lines.state is State.LIVE
    assert set(lines.states) <= {State.LIVE}
    asked = [action for action in lines.actions if isinstance(action, RequestSnapshot | Resubscribe)]
    assert asked == []
    assert set(lines.facts) <= {FactKind.RESYNC_STARTED, FactKind.RESYNC_FINISHED}, "a link begins with a snapshot"


@pytest.mark.parametrize("make", [rest, in_band])
@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("lost", ["a3", "b"])
def test_a_link_a_day_is_replaced_and_one_is_lost_on_the_fourth(make, lost: str, planned: bool) -> None:
    lines = begun(make(BookRules()))
    for day in range(1, 4):
        lines.ms = day * DAY_MS
        replaced(lines, f"a{day - 1}" if day > 1 else "a", f"a{day}", in_step=["b"])
        untouched(lines)
    lines.ms = 4 * DAY_MS
    lines.take(lines.keeper.close(lost, at(lines.ms), planned=planned))
    lines.wait(10_000)
    untouched(lines)
    (left,) = lines.keeper.links
    lines.send(left, step(12, "8"))
    untouched(lines)
    assert (lines.keeper.sequence, lines.best) == (12, ("99", "8"))


@pytest.mark.parametrize("make", [rest, in_band])
def test_without_a_second_line_too(make) -> None:
    lines = begun(make(BookRules()))
    lines.take(lines.keeper.close("b", at(lines.ms), planned=True))
    for day in range(1, 4):
        lines.ms = day * DAY_MS
        replaced(lines, f"a{day - 1}" if day > 1 else "a", f"a{day}", in_step=[])
    untouched(lines)
    lines.send("a3", step(12, "8"))
    untouched(lines)
    assert lines.best == ("99", "8")


def test_where_only_the_connection_orders_deltas_too() -> None:
    lines = Links(by_connection(BookRules(), numbered=True), "a", "b")
    for link in ("a", "b"):
        lines.send(link, snapshot(-2))
    lines.states.clear()
    lines.actions.clear()
    for day in range(1, 4):
        lines.ms = day * DAY_MS
        new, old = f"a{day}", f"a{day - 1}" if day > 1 else "a"
        lines.take(lines.keeper.open(new, at(lines.ms)))
        lines.send(new, snapshot(-2))
        lines.wait(10_000)
        lines.take(lines.keeper.close(old, at(lines.ms), planned=True))
        lines.wait(2000)
    lines.take(lines.keeper.close("b", at(lines.ms)))
    lines.wait(10_000)
    untouched(lines)


@pytest.mark.parametrize("make", [rest, in_band])
def test_a_link_that_moved_while_it_was_replaced_is_followed(make) -> None:
    """The step that comes during the overlap comes over all."""
    lines = begun(make(BookRules()))
    lines.ms = DAY_MS
    lines.take(lines.keeper.open("a1", at(lines.ms)))
    if make is in_band:
        lines.send("a1", snapshot(11, "5"))
    for link in ("b", "a1", "a"):
        lines.send(link, delta(11, 12, [("99", "8")]))
    lines.take(lines.keeper.close("a", at(lines.ms), planned=True))
    lines.take(lines.keeper.close("b", at(lines.ms)))
    lines.wait(20_000)
    untouched(lines)
    assert lines.best == ("99", "8")
    assert not any(isinstance(action, Note) and action.kind is FactKind.GAP for action in lines.actions)


def test_a_link_that_has_just_opened_is_not_taken_for_a_quiet_one() -> None:
    """What its siblings brought may still be on its way."""
    for open_ms, state in ((500, State.STALE), (1500, State.LIVE)):
        lines = begun(rest(BookRules()))
        lines.take(lines.keeper.close("b", at(lines.ms), planned=True))
        lines.ms = DAY_MS
        lines.take(lines.keeper.open("a1", at(lines.ms)))
        lines.wait(open_ms)
        lines.take(lines.keeper.close("a", at(lines.ms), planned=True))
        assert lines.state is state
