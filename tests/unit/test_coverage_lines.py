"""Which symbols a live link carries, where two lines carry the same ones."""

from __future__ import annotations

from hoga.wire import pb
from services.validator.coverage import NOTHING, Coverage

S = 1_000_000_000
DOWN = pb.LinkState.LINK_STATE_BACKOFF


def report(link="A1", slot="x-0", symbols=("A", "B"), state=pb.LinkState.LINK_STATE_CONNECTED, **fields):
    return pb.LinkStatus(exchange="x", link=link, slot=slot, state=state, symbols=list(symbols), **fields)


def second(link="B1", **fields):
    return report(link, "x-0b", **fields)


def both() -> Coverage:
    watch = Coverage(silent_after_ns=3 * S, idle_after_ns=15 * S)
    watch.status(report(), 0)
    assert watch.status(second(), 0) == NOTHING
    assert watch.live_links == {"A1", "B1"}
    return watch


def test_either_line_may_die_and_its_symbols_only_move() -> None:
    for lost, left in ((report(state=DOWN), "B1"), (second(state=DOWN), "A1")):
        watch = both()
        change = watch.status(lost, S)
        assert (change.fewer, change.lost, change.broken) == ({"A", "B"}, {}, {})
        assert watch.live_links == {left}


def test_when_both_are_gone_the_symbols_are_lost_and_the_first_to_return_covers_them() -> None:
    watch = both()
    watch.status(report(state=DOWN, reason="reset"), S)
    assert watch.status(second(state=DOWN, reason="refused"), S).lost.keys() == {"A", "B"}
    assert watch.status(second("B2"), 2 * S).covered == {"A", "B"}
    assert watch.status(report("A2"), 2 * S) == NOTHING


def test_a_process_that_reports_no_more_leaves_its_symbols_to_the_other_line() -> None:
    watch = both()
    watch.status(second(), 2 * S)
    change = watch.tick(4 * S)
    assert (change.fewer, change.lost) == ({"A", "B"}, {})


def test_a_link_that_was_replaced_between_two_reports_moves_what_the_other_line_carries_and_breaks_the_rest() -> None:
    watch = Coverage(silent_after_ns=3 * S, idle_after_ns=15 * S)
    watch.status(report(), 0)
    watch.status(second(symbols=("A",)), 0)
    change = watch.status(report("A2", reconnects=1), S)
    assert (change.fewer, change.broken.keys()) == ({"A"}, {"B"})


def test_a_restart_of_ingest_between_two_reports_is_a_break() -> None:
    """Its counters begin at zero again: nothing but the instance tells it from a planned reconnect."""
    watch = Coverage(silent_after_ns=3 * S, idle_after_ns=15 * S)
    watch.status(report(instance="i1", reconnects=4, dropped=9), 0)
    change = watch.status(report("A2", instance="i2"), S)
    assert change.broken.keys() == {"A", "B"}
    assert watch.live_links == {"A2"}


def test_what_a_line_lost_while_its_symbols_changed_is_not_forgotten() -> None:
    watch = Coverage(silent_after_ns=3 * S, idle_after_ns=15 * S)
    watch.status(report(), 0)
    change = watch.status(report(symbols=("A", "C"), dropped=2), S)
    assert (change.covered, change.dropped, change.broken.keys()) == ({"C"}, {"B"}, {"A"})
    change = watch.status(report("A2", symbols=("A",), dropped=2, reconnects=1), S)
    assert change.broken.keys() == {"A"}
    change = watch.status(report("A3", symbols=("A", "D"), dropped=2, reconnects=1), S)
    assert (change.moved, change.covered, change.broken) == ({"A"}, {"D"}, {})


def test_frames_that_one_process_threw_away_break_its_symbols_whoever_else_carries_them() -> None:
    """The other line is often of the same process, and lost the same."""
    watch = both()
    assert watch.status(report(dropped=1), S).broken.keys() == {"A", "B"}


def test_a_symbol_that_one_line_is_refused_is_carried_by_the_other() -> None:
    watch = both()
    change = watch.status(report(symbols=("A",)), S)
    assert (change.fewer, change.lost, change.dropped) == ({"B"}, {}, frozenset())
    assert watch.covers("B")


def test_a_live_link_speaks_only_for_the_symbols_that_it_carries() -> None:
    watch = both()
    carriers = {symbol: watch.carriers(symbol) for symbol in ("A", "B")}
    assert "A1" in carriers["B"]
    change = watch.status(report(symbols=("A",)), S)  # the exchange refuses B on this link
    assert (change.fewer, change.lost) == ({"B"}, {})
    assert "A1" in carriers["A"]
    assert "A1" not in carriers["B"]
    assert "B1" in carriers["B"]
