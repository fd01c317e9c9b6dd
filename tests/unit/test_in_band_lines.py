"""The builder where snapshots come in the stream, when two lines bring it."""

from __future__ import annotations

import pytest

from hoga.domain.actions import FactKind, Publish
from hoga.domain.types import State
from tests.support.driver import at
from tests.support.lines import delta, snapshot, step
from tests.unit.test_in_band import Lines


def two(seq: int = 100) -> Lines:
    """Two lines in step at `seq`; the first led."""
    lines = Lines("a", "b")
    lines.send("a", snapshot(seq - 1), step(seq))
    lines.send("b", snapshot(seq - 1), step(seq))
    assert lines.state is State.LIVE
    return lines


class TestTwoLines:
    def test_either_may_die_without_a_blink(self) -> None:
        for dying, other in (("a", "b"), ("b", "a")):
            lines = two()
            lines.send("a", step(101, "6"))
            published = []
            published += lines.keeper.report({other}, at(lines.ms))
            lines.send("b", step(101, "6"))
            lines.send(other, step(102, "7"))
            lines.wait(20_000)
            assert not any(isinstance(action, Publish) for action in published), dying
            assert (lines.state, lines.best) == (State.LIVE, ("99", "7"))
            assert lines.false_alarms() == []
            assert lines.asked == []

    def test_a_line_that_returns_begins_with_a_snapshot_ahead_of_or_behind_the_other(self) -> None:
        for seq in (99, 100, 101, 102):
            lines = two()
            lines.moved("a")
            lines.moved("a", "b2")
            lines.send("b2", snapshot(seq, "5"), *[step(n) for n in range(seq + 1, 104)])
            lines.send("a", *[step(n) for n in range(101, 106)])
            lines.send("b2", step(104), step(105))
            assert (lines.state, lines.keeper.sequence) == (State.LIVE, 105)
            assert lines.false_alarms() == []

    @pytest.mark.parametrize("first", ["a", "b"])
    @pytest.mark.parametrize("dying", ["a", "b"])
    def test_both_cross_into_a_new_count_one_after_the_other_by_snapshots(self, first: str, dying: str) -> None:
        second = "b" if first == "a" else "a"
        lines = two(1000)
        lines.send(first, snapshot(1, "3"), step(2, "4"), step(3, "5"))
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 3)
        lines.send(second, step(1001, "9"), step(1002, "9"))
        assert lines.best == ("99", "5"), "ids of the old count are no news"
        lines.send(second, snapshot(1, "3"), step(2, "4"), step(3, "5"))
        other = "b" if dying == "a" else "a"
        lines.moved(other)
        lines.send(other, step(4, "6"))
        lines.wait(20_000)
        assert (lines.state, lines.best) == (State.LIVE, ("99", "6"))
        assert lines.false_alarms() == []
        assert lines.asked == []

    @pytest.mark.parametrize("first", ["a", "b"])
    @pytest.mark.parametrize("dying", ["a", "b"])
    def test_both_cross_into_a_new_count_one_after_the_other_by_deltas(self, first: str, dying: str) -> None:
        second = "b" if first == "a" else "a"
        lines = two(1000)
        lines.send(first, delta(1000, 7, [("99", "3")]), step(8, "4"))
        lines.send(second, delta(1000, 1000), delta(1000, 7, [("99", "3")]), step(8, "4"))
        other = "b" if dying == "a" else "a"
        lines.moved(other)
        lines.send(other, step(9, "6"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "6"))
        assert lines.false_alarms() == []
        assert lines.facts.count(FactKind.RENUMBERED) == 1

    def test_a_line_whose_crossing_was_lost_is_found_by_its_steps_and_disturbs_nothing(self) -> None:
        """It went backwards without saying so: nobody knows where it stands, until it brings what the other brought."""
        lines = two(1000)
        lines.send("a", snapshot(1, "3"), step(2))
        lines.send("b", step(2))
        assert lines.state is State.LIVE
        lines.send("a", step(3), step(4))
        lines.send("b", step(3), step(4))
        lines.moved("b")
        lines.send("b", step(5, "8"))
        lines.wait(20_000)
        assert (lines.state, lines.best, lines.asked) == (State.LIVE, ("99", "8"), [])
        assert lines.false_alarms() == []

    def test_one_that_goes_backwards_into_what_the_other_does_not_know_is_asked_for_a_snapshot(self) -> None:
        lines = two(1000)
        lines.send("b", delta(500, 501, [("99", "6")]))
        lines.send("a", step(1001), step(1002))
        lines.wait(1500)
        assert (lines.state, lines.asked) == (State.LIVE, ["b"])
        lines.send("b", snapshot(1002))
        lines.moved("b")
        lines.send("b", step(1003, "8"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "8"))
        assert lines.false_alarms() == []

    def test_a_line_whose_first_frame_is_the_crossing_of_the_others_is_no_gap(self) -> None:
        lines = two(1000)
        lines.moved("a", "b2")
        lines.send("a", delta(1000, 7), step(8), step(9))
        lines.send("b2", delta(1000, 7), step(8), step(9))
        lines.moved("b2")
        lines.send("b2", step(10, "8"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "8"))
        assert lines.false_alarms() == []

    def test_a_book_that_only_a_line_astray_could_lead_on_does_not_stay_live(self) -> None:
        lines = two(1000)
        lines.send("a", snapshot(1, "3"))
        lines.send("b", step(1001))
        lines.moved("b")
        lines.wait(2900)
        assert lines.state is State.LIVE, "it may cross over, too"
        lines.wait(2500)
        assert (lines.state, set(lines.asked)) == (State.STALE, {"b"})

    def test_a_resynced_book_heals_though_another_line_crossed_meanwhile(self) -> None:
        """The line that crossed while there was no book must not reverse whatever a snapshot brings."""
        lines = two(1000)
        lines.send("a", step(1003), step(1002))
        assert lines.state is State.LIVE, "the other line is sound"
        lines.send("b", snapshot(1000), delta(1000, 7))
        lines.send("a", delta(1003, 7), step(8), step(9))
        for _ in range(3):
            lines.send("b", snapshot(9))
            lines.send("a", *[step(n) for n in range(10, 12)])
        lines.wait(3200)
        lines.send("a", snapshot(11))
        lines.send("a", step(12, "8"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "8"))

    def test_a_gap_is_filled_by_a_snapshot_over_the_slower_line_before_it_is_one(self) -> None:
        """It lies beyond what is missing, and what came since leads on from it."""
        lines = two()
        lines.send("a", step(103), step(104), step(105, "8"))
        assert (lines.state, lines.keeper.sequence, lines.asked) == (State.LIVE, 100, [])
        lines.send("b", snapshot(103))
        lines.send("b", step(104))
        assert (lines.state, lines.keeper.sequence, lines.best) == (State.LIVE, 105, ("99", "8"))
        lines.send("a", step(106))
        lines.send("b", step(105, "8"), step(106), step(107))
        lines.wait(5000)
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 107)
        assert (lines.false_alarms(), lines.asked) == ([], [])

    def test_one_that_has_gone_over_it_is_healed_once_the_steps_of_both_are_seen_to_be_the_same(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot(100), step(103), step(104), step(105, "8"))
        assert (lines.state, lines.keeper.missing, lines.asked) == (State.GAPPED, 2, ["a"])
        lines.send("b", snapshot(103))
        assert lines.state is State.GAPPED
        lines.send("b", step(104), step(105, "8"))
        assert (lines.state, lines.keeper.sequence, lines.keeper.missing) == (State.LIVE, 105, 0)
        assert lines.facts.count(FactKind.GAP) == 1

    def test_one_that_is_older_than_the_gap_heals_nothing(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot(100), step(103), step(104))
        lines.send("b", snapshot(101))
        assert lines.state is State.GAPPED
        lines.wait(2100)
        assert (lines.state, lines.asked) == (State.GAPPED, ["a", "a"])
        lines.send("a", snapshot(104))
        assert lines.state is State.LIVE

    def test_a_quiet_book_is_proven_by_a_snapshot_over_either_line(self) -> None:
        for link in ("a", "b"):
            lines = two()
            lines.down()
            lines.up("a", "b")
            assert lines.state is State.STALE
            lines.send(link, snapshot(100, "5"))
            assert lines.state is State.LIVE

    def test_a_line_that_takes_over_and_has_brought_nothing_proves_nothing_and_is_asked(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot(100))
        lines.moved("b")
        assert lines.state is State.STALE
        lines.wait(2100)
        assert lines.asked == ["b"]
        lines.send("b", snapshot(100))
        assert lines.state is State.LIVE

    def test_one_that_is_a_few_steps_behind_has_a_moment_to_come_up(self) -> None:
        for planned, until_ms in ((True, 3000), (False, 1500)):
            lines = two()
            lines.send("a", step(101))
            lines.moved("b", planned=planned)
            lines.wait(until_ms - 100)
            assert (lines.state, lines.keeper.sequence) == (State.LIVE, 101)
            lines.wait(100)
            assert lines.state is State.STALE
            lines.wait(2100)
            assert set(lines.asked) == {"b"}
            lines.send("b", step(101), step(102, "8"))
            assert (lines.state, lines.best) == (State.LIVE, ("99", "8"))

    def test_a_line_that_is_late_by_seconds_is_no_other_count(self) -> None:
        lines = two()
        for n in range(101, 120):
            lines.send("a", step(n), ms=300)
        for n in range(101, 121):
            lines.send("b", step(n), ms=300)
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 120)
        assert lines.false_alarms() == []

    def test_a_new_connection_that_is_faster_than_the_other_line_is_no_gap(self) -> None:
        lines = two()
        lines.moved("b", "a2")
        lines.send("a2", step(103))
        assert lines.state is State.LIVE
        lines.send("b", *[step(n) for n in range(101, 105)])
        lines.send("a2", step(104), step(105))
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 105)
        assert lines.false_alarms() == []

    def test_nor_are_two_lines_on_both_sides_of_a_new_count_before_anything_is_reported(self) -> None:
        lines = Lines()
        lines.send("a", step(1001), snapshot(5))
        lines.send("b", step(1001), snapshot(5), step(6))
        lines.up("a", "b")
        lines.send("b", step(7))
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 7)
        assert lines.false_alarms() == []

    def test_but_the_book_is_not_current_where_the_other_line_brings_nothing_for_a_second(self) -> None:
        lines = two()
        lines.moved("b", "a2")
        lines.send("a2", step(103))
        lines.wait(900)
        assert lines.state is State.LIVE
        lines.wait(200)
        assert lines.state is State.STALE
        lines.send("b", step(101))
        assert lines.state is State.LIVE
        lines.send("b", step(102), step(103))
        lines.send("a2", step(104))
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 104)
        assert lines.false_alarms() == []

    def test_nor_while_the_slower_line_leads_the_book_on(self) -> None:
        lines = two()
        lines.moved("b", "a2")
        lines.send("a2", step(104), ms=10)
        for n in (101, 102, 103):
            lines.send("b", step(n), ms=600)
            lines.send("a2", step(n + 4), ms=100)
        lines.send("b", step(104), step(105), step(106), step(107))
        lines.send("a2", step(108))
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 108)
        assert lines.false_alarms() == []

    def test_nor_where_the_faster_one_began_the_new_count_before_there_was_a_book(self) -> None:
        lines = Lines("a", "b")
        lines.send("b", step(101), delta(101, 50, [("99", "3")]), *[step(n) for n in range(51, 56)])
        lines.send("a", step(95), snapshot(96), *[step(n) for n in range(97, 102)], delta(101, 50, [("99", "3")]))
        lines.send("b", step(56))
        lines.send("a", *[step(n) for n in range(51, 57)])
        lines.send("b", step(57))
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 57)
        assert lines.false_alarms() == []

    def test_what_was_kept_for_a_snapshot_is_compared_too(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", step(101, "6"))
        lines.send("b", snapshot(100, "1"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "1")), "nobody knows yet whether both count the same"
        lines.send("b", step(101, "7"))
        assert (lines.state, FactKind.DISAGREEMENT in lines.facts) == (State.SYNCING, True)

    def test_different_levels_under_one_id_are_a_disagreement(self) -> None:
        lines = two()
        lines.send("a", step(101, "6"))
        lines.send("b", step(101, "7"))
        assert FactKind.DISAGREEMENT in lines.facts
        assert (lines.state, lines.asked) == (State.SYNCING, ["b"])
        lines.wait(1100)
        assert lines.asked == ["b", "a"]
        lines.send("b", snapshot(101, "7"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "7"))

    def test_the_same_id_of_another_count_is_no_disagreement(self) -> None:
        lines = two(1000)
        lines.send("a", step(1001, "1"), delta(1001, 995, [("99", "3")]))
        lines.send("a", *[step(n, "3") for n in range(996, 1002)])
        lines.send("b", step(1001, "1"), delta(1001, 995, [("99", "3")]), *[step(n, "3") for n in range(996, 1003)])
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 1002)
        assert lines.false_alarms() == []

    def test_two_lines_that_begin_in_the_middle_are_no_gap(self) -> None:
        """The validator was restarted: the first frame of the slower line comes first."""
        lines = Lines("a", "b")
        lines.send("b", step(98))
        lines.send("a", step(101), step(102))
        lines.send("b", step(99), step(100), step(101))
        lines.wait(2100)
        lines.send("b", snapshot(101, "1"))
        lines.send("a", step(103, "9"))
        assert (lines.state, lines.keeper.sequence, lines.best) == (State.LIVE, 103, ("99", "9"))
        assert lines.false_alarms() == []

    def test_what_the_faster_line_brought_is_applied_to_the_snapshot_of_the_slower_one(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", step(101, "6"), step(102, "7"))
        lines.send("b", snapshot(101, "6"), step(102, "7"))
        lines.send("a", step(103, "8"))
        assert (lines.state, lines.keeper.sequence, lines.best) == (State.LIVE, 103, ("99", "8"))

    def test_but_not_what_is_of_an_earlier_count(self) -> None:
        lines = Lines("a")
        lines.send("a", step(2, "9"), step(3, "9"), snapshot(1, "3"))
        assert (lines.state, lines.keeper.sequence, lines.best) == (State.LIVE, 1, ("99", "3"))

    def test_what_is_left_of_a_dead_link_does_not_lead_back_while_another_goes_on(self) -> None:
        lines = two()
        lines.send("a", step(101))
        lines.moved("b")
        lines.send("old", snapshot(98), step(99))
        lines.send("b", step(101), step(102, "8"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "8"))
        assert lines.false_alarms() == []

    def test_a_book_does_not_follow_a_fresh_line_into_an_old_count(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(1000), delta(1000, 7, [("99", "3")]))
        lines.moved("a", "b")
        lines.send("b", snapshot(999, "1"), step(1000, "2"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "3"))
        lines.send("b", delta(1000, 7, [("99", "3")]))
        lines.send("a", step(8, "4"))
        lines.wait(3500)
        lines.send("b", step(8, "4"))
        lines.moved("b")
        lines.send("b", step(9, "5"))
        assert (lines.state, lines.best, lines.asked) == (State.LIVE, ("99", "5"), [])
        assert lines.false_alarms() == []

    def test_a_fresh_line_that_is_ahead_is_in_step_as_soon_as_the_other_gets_there(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(100))
        lines.moved("a", "b")
        lines.send("b", snapshot(102), step(103))
        lines.send("a", step(101), step(102), step(103))
        lines.send("b", step(104))
        lines.moved("b")
        lines.send("b", step(105, "8"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "8"))
        assert lines.false_alarms() == []
        assert lines.asked == []

    def test_a_fresh_line_leads_where_the_other_has_been_quiet(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot(100))
        lines.wait(5000)
        lines.send("b", snapshot(102, "7"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "7"))

    def test_a_connection_that_takes_over_may_be_ahead_before_it_is_reported(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(100))
        lines.send("a2", snapshot(101), step(102))
        lines.send("a", step(101), step(102), step(103))
        lines.send("a2", step(103))
        lines.moved("a2")
        lines.send("a2", step(104, "8"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "8"))
        assert lines.false_alarms() == []
        assert lines.asked == []

    def test_a_late_snapshot_of_a_dead_link_does_not_end_the_wish_for_a_fresh_one(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(10))
        lines.down()
        lines.up("b")
        lines.send("old", snapshot(10))
        assert lines.state is State.STALE
        lines.wait(1900)
        assert lines.asked == []
        lines.wait(200)
        assert lines.asked == ["b"]

    def test_what_came_over_a_link_is_not_live_without_it(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(103), step(105), step(104))
        assert lines.state is State.SYNCING
        lines.moved("a", "b")
        lines.send("a", snapshot(105))
        assert lines.state is State.LIVE
        lines.moved("b")
        assert lines.state is State.STALE
        lines.send("b", snapshot(106))
        assert lines.state is State.LIVE
