"""Two lines of one market of which one is faster, late, mute or of another count than the other."""

from __future__ import annotations

import pytest

from hoga.domain.actions import FactKind
from hoga.domain.rules import BookRules
from hoga.domain.types import State, Update
from tests.support.driver import Driver, at, by_connection, rest, whole_frames
from tests.support.lines import ASKS, delta, kinds, snapshot, step
from tests.unit.test_in_band_lines import Lines, two


def joined(*links: str) -> Driver:
    """A book that a REST snapshot started at 100, with these links in step."""
    keeper = rest(BookRules())
    keeper.report(set(links), at(0))
    keeper.open("a", at(0))
    for link in links:
        keeper.receive(step(100), link, at(1))
    keeper.snapshot(snapshot(100, "5"), 0, at(2))
    assert keeper.state is State.LIVE
    return keeper


def priced(prev: int, seq: int, price: int) -> Update:
    """A delta that leaves its mark at a price of its own."""
    return delta(prev, seq, [(str(price), "7")])


def prices(lines: Lines) -> list[str]:
    return [price for price, _ in lines.keeper.book.texts(9)[0]]


class TestFaster:
    """What a faster line brings before its turn is kept until the slower one has come to where it began."""

    def test_no_gap_when_the_slower_one_falls_silent(self) -> None:
        keeper, facts = joined("a"), []
        keeper.report({"a", "b"}, at(10))
        for n in range(101, 160):
            facts += kinds(keeper.receive(step(n + 2), "b", at(100 * n - 10_000)))
            if n < 140:
                facts += kinds(keeper.receive(step(n), "a", at(100 * n - 9950)))
        assert (keeper.state, keeper.sequence) == (State.LIVE, 161)
        assert FactKind.GAP not in facts

    def test_nor_when_the_slower_one_is_gone_before_the_faster_one_is_reported(self) -> None:
        keeper = joined("a")
        facts = kinds(keeper.receive(step(102), "b", at(10)))
        facts += kinds(keeper.receive(step(101), "a", at(20)))
        keeper.report(set(), at(30))
        facts += kinds(keeper.receive(step(103), "b", at(40)))
        keeper.report({"b"}, at(50))
        facts += kinds(keeper.receive(step(104), "b", at(60)))
        assert (keeper.state, keeper.sequence) == (State.LIVE, 104)
        assert FactKind.GAP not in facts

    def test_nor_at_a_planned_replacement_by_a_faster_link(self) -> None:
        keeper, facts = joined("a"), []
        keeper.open("a2", at(50))
        for i in range(100):
            ms = 100 + 100 * i
            facts += kinds(keeper.receive(step(104 + i), "a2", at(ms)))
            if i < 5:
                facts += kinds(keeper.receive(step(101 + i), "a", at(ms + 50)))
            if i == 5:
                facts += kinds(keeper.close("a", at(ms + 55), planned=True))
            facts += kinds(keeper.tick(at(ms + 60)))
            assert keeper.state is State.LIVE
        assert (keeper.sequence, facts) == (203, [])

    def test_in_a_stream_with_snapshots_it_is_not_asked_again_and_takes_over_without_a_blink(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(100))
        lines.moved("a", "b")
        lines.send("b", snapshot(102))
        for n in range(101, 301):
            lines.send("b", step(n + 2), ms=60)
            lines.send("a", step(n), ms=40)
            lines.take(lines.keeper.tick(at(lines.ms)))
        assert lines.asked == []
        lines.moved("b")
        for n in range(303, 340):
            lines.send("b", step(n), ms=100)
            lines.take(lines.keeper.tick(at(lines.ms)))
            assert lines.state is State.LIVE
        assert lines.false_alarms() == []

    def test_nor_is_it_a_reversal_when_the_slower_one_falls_silent(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(100))
        lines.moved("a", "b")
        lines.send("b", snapshot(102))
        for n in range(101, 150):
            lines.send("b", step(n + 2), ms=90)
            if n < 110:
                lines.send("a", step(n), ms=10)
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 151)
        assert lines.false_alarms() == []

    def test_a_line_that_is_seconds_late_leads_only_until_it_has_come_to_where_the_other_began(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(100))
        lines.moved("a", "b")
        lines.send("b", snapshot(180))
        for n in range(101, 301):
            lines.send("b", step(n + 80), ms=90)
            lines.send("a", step(n), ms=10)
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 380)
        assert lines.false_alarms() == []

    def test_what_a_link_brought_before_it_was_reported_is_not_missing(self) -> None:
        lines = Lines("a", "b")
        lines.down()
        lines.send("b", step(101))
        lines.send("a", snapshot(100))
        lines.up("b")
        lines.send("b", step(102))
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 102)
        assert lines.false_alarms() == []

    def test_different_levels_in_what_was_kept_are_a_disagreement(self) -> None:
        keeper = joined("a")
        keeper.report({"a", "b"}, at(0))
        facts = kinds(keeper.receive(delta(101, 102, [("99", "7")]), "b", at(10)))
        facts += kinds(keeper.receive(step(101), "a", at(20)))
        facts += kinds(keeper.receive(delta(101, 102, [("99", "8")]), "a", at(30)))
        assert FactKind.DISAGREEMENT in facts

    def test_ids_that_nobody_brings_any_more_are_a_gap_of_just_those(self) -> None:
        keeper = joined("a")
        keeper.report({"a", "b"}, at(0))
        for n in (103, 104, 105):
            keeper.receive(step(n), "b", at(n))
        keeper.report({"b"}, at(200), planned=False)
        keeper.receive(step(106), "b", at(5000))
        assert (keeper.state, keeper.missing, keeper.sequence) == (State.GAPPED, 2, 106)


class TestOutdated:
    """A LIVE book that a live link shows to be old does not stay LIVE."""

    def test_not_where_what_lies_before_a_newer_id_does_not_come(self) -> None:
        keeper = joined("a")
        keeper.report({"a", "b"}, at(100), planned=False)
        keeper.receive(step(102), "b", at(200))
        for ms in range(300, 2000, 100):
            keeper.tick(at(ms))
        assert (keeper.state, keeper.wanting) == (State.STALE, True)
        keeper.snapshot(snapshot(101), 0, at(2100))
        assert (keeper.state, keeper.sequence) == (State.LIVE, 102)

    def test_a_newer_snapshot_is_passed_over_for_a_second_only(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(100), step(101))
        lines.ms = 2900
        lines.moved("a", "b")
        lines.send("b", snapshot(130))
        lines.wait(900)
        assert lines.keeper.sequence == 101
        lines.wait(200)
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 130)

    @pytest.mark.parametrize("in_band", [False, True])
    def test_not_where_the_line_that_is_left_was_mute_for_long(self, in_band: bool) -> None:
        keeper = two(100).keeper if in_band else joined("a", "b")
        for link in "ab":
            keeper.receive(step(101), link, at(50))
        for n in range(102, 400):
            keeper.receive(step(n), "a", at(100 * n - 10_000))
        keeper.report({"b"}, at(30_000), planned=False)
        for ms in range(30_000, 32_000, 100):
            keeper.tick(at(ms))
        assert (keeper.state, keeper.wanting) == (State.STALE, True)


class TestBooksOfLines:
    def book(self, n: int, *, whole: bool = False) -> Update:
        """What a line brings `n` tenths of a second after the beginning."""
        bids = [("99", str(n)), ("98", "2")]
        return Update("X", whole, bids, ASKS if whole else [], exchange_time_ns=n * 100_000_000)

    def both(self) -> Driver:
        keeper = by_connection(BookRules(), numbered=True)
        keeper.report({"a", "b"}, at(0))
        keeper.open("a", at(0))
        for link in "ab":
            keeper.receive(self.book(1, whole=True), link, at(1))
            keeper.receive(self.book(2), link, at(2))
        return keeper

    def test_the_book_of_a_line_that_was_mute_for_long_is_not_elected(self) -> None:
        keeper = self.both()
        for n in range(3, 600):
            keeper.receive(self.book(n), "a", at(100 * n))
        keeper.report({"b"}, at(60_000), planned=False)
        for ms in range(60_000, 63_000, 100):
            keeper.tick(at(ms))
        assert keeper.state is not State.LIVE

    def test_a_line_that_falls_mute_does_not_stay_elected(self) -> None:
        keeper = self.both()
        for n in range(3, 60):
            keeper.receive(self.book(n), "b", at(100 * n))
            keeper.tick(at(100 * n))
        assert (keeper.state, keeper.exchange_time_ns) == (State.LIVE, 5_900_000_000)


class TestWholeBooks:
    def whole(self, n: int) -> Update:
        return Update("X", True, [("99", str(n))], ASKS, exchange_time_ns=n * 100_000_000)

    @pytest.mark.parametrize(("mute", "state"), [(True, State.STALE), (False, State.LIVE)])
    def test_a_line_that_was_mute_for_long_proves_nothing_when_the_other_is_gone(
        self, mute: bool, state: State
    ) -> None:
        keeper = whole_frames(BookRules())
        keeper.report({"a", "b"}, at(0))
        for n in range(1, 100):
            keeper.receive(self.whole(n), "a", at(100 * n))
            if n < 3 or not mute:
                keeper.receive(self.whole(n), "b", at(100 * n))
        keeper.report({"b"}, at(10_000), planned=False)
        for ms in range(10_000, 12_000, 100):
            keeper.tick(at(ms))
        assert keeper.state is state


class TestSmallNewCounts:
    """Ids that fall back by less than the lines are apart."""

    def test_a_crossing_beyond_the_book_is_not_passed_over_as_merely_faster(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(999), priced(999, 1000, 90))
        lines.moved("a", "b")
        lines.send("b", priced(1002, 1003, 87), priced(1003, 1000, 80), priced(1000, 1001, 60))
        assert lines.keeper.sequence != 1001 or "80" in prices(lines)

    def test_ids_of_both_counts_are_not_compared(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(990), *[step(n) for n in range(991, 1001)])
        lines.moved("a", "b")
        lines.send("b", step(1003), delta(1003, 998, [("80", "8")]), delta(998, 999, [("70", "9")]))
        assert FactKind.DISAGREEMENT not in lines.facts

    def test_a_line_that_has_crossed_is_not_placed_where_it_was_before(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(1000), priced(1000, 1001, 89))
        lines.moved("a", "b")
        lines.send("b", snapshot(1003), *[priced(n, n + 1, 89 - n % 1000) for n in range(1003, 1006)])
        lines.send("b", priced(1006, 1004, 80))
        lines.send("a", priced(1001, 1002, 88), priced(1002, 1003, 87), priced(1003, 1004, 86))
        lines.send("b", priced(1004, 1005, 60))
        assert "60" not in prices(lines) or "80" in prices(lines)

    def test_a_snapshot_of_the_count_before_is_not_joined_to_what_came_after(self) -> None:
        lines = two(990)
        lines.send("b", priced(990, 992, 50), priced(990, 991, 50))
        assert lines.state is State.LIVE, "the other line is sound"
        lines.send("a", priced(990, 1000, 51), priced(1000, 1001, 89), priced(1001, 1003, 87))
        lines.send("a", priced(1003, 998, 80), priced(998, 1000, 70), priced(1000, 1001, 60))
        lines.send("b", snapshot(1000))
        assert lines.state is not State.LIVE or "60" not in prices(lines) or "80" in prices(lines)
