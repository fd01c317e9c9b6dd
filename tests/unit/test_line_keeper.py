"""One book for each link: whose is published, what proves it, and how it heals."""

from __future__ import annotations

import zlib

import pytest

from hoga.domain.actions import FactKind
from hoga.domain.checksum import Checksum
from hoga.domain.errors import FrameError
from hoga.domain.rules import BookRules
from hoga.domain.types import GapPolicy, Level, State, Update
from tests.support.driver import at, by_connection
from tests.support.lines import ASKS, Links

RULE = Checksum(2, lambda bids, asks: zlib.crc32(repr((bids, asks)).encode()))


def snapshot(size: str = "1", **fields) -> Update:
    return Update("X", True, [("99", size), ("98", "2")], ASKS, **fields)


def delta(size: str = "5", price: str = "99", **fields) -> Update:
    return Update("X", False, [(price, size)], [], **fields)


class Lines(Links):
    def __init__(
        self, *links: str, numbered: bool = True, depth: int = 0, checksum: Checksum | None = None,
        policy: GapPolicy = GapPolicy.CONTINUE,
    ) -> None:  # fmt: skip
        rules = BookRules(gap_policy=policy)
        super().__init__(by_connection(rules, numbered=numbered, depth=depth, checksum=checksum), *links)

    def count(self, kind: FactKind) -> int:
        return self.facts.count(kind)


class TestOneLink:
    def test_the_snapshot_begins_the_book_and_what_comes_before_it_is_dropped(self) -> None:
        lines = Lines("a")
        lines.send("a", delta("9"), snapshot(), delta("5"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "5"))
        assert lines.keeper.counters.stale == 1

    def test_a_quiet_symbol_after_a_restart_of_the_validator_is_asked_for(self) -> None:
        lines = Lines("a")
        lines.wait(1900)
        assert lines.asked == []
        lines.wait(300)
        assert lines.asked == ["a"]
        lines.send("a", snapshot())
        assert lines.state is State.LIVE
        lines.wait(60_000)
        assert lines.asked == ["a"]

    def test_nothing_is_asked_where_no_link_is_reported_or_nobody_trades(self) -> None:
        lines = Lines()
        lines.wait(10_000)
        assert lines.asked == []
        lines = Lines("a")
        lines.take(lines.keeper.halt("delisted"))
        lines.wait(10_000)
        assert lines.asked == []

    def test_a_loss_on_the_connection_is_a_gap_and_healed_over_that_link(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.take(lines.keeper.connection_gap("a", 3, at(5)))
        assert (lines.state, lines.keeper.missing, lines.asked) == (State.GAPPED, 3, ["a"])
        lines.send("a", delta("7"))
        assert (lines.state, lines.best) == (State.GAPPED, ("99", "7"))
        lines.send("a", snapshot("8"))
        assert (lines.state, lines.keeper.missing) == (State.LIVE, 0)

    def test_the_policy_decides_what_becomes_of_a_gapped_book(self) -> None:
        for policy, state, asked in ((GapPolicy.IGNORE, State.GAPPED, []), (GapPolicy.RESYNC, State.SYNCING, ["a"])):
            lines = Lines("a", policy=policy)
            lines.send("a", snapshot())
            lines.take(lines.keeper.connection_gap("a", 3, at(5)))
            assert (lines.state, lines.asked) == (state, asked)

    def test_a_number_from_the_past_withholds_the_book(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.take(lines.keeper.connection_reversal("a", at(5)))
        assert (lines.state, lines.asked, lines.count(FactKind.REVERSAL)) == (State.SYNCING, ["a"], 1)

    def test_a_loss_on_the_bus_counts_once(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.take(lines.keeper.connection_gap("a", 1, at(5)))
        lines.take(lines.keeper.bus_loss(1, "a", at(5)))
        assert (lines.keeper.missing, lines.keeper.counters.gaps, lines.keeper.counters.bus_lost) == (1, 1, 1)

    def test_a_frame_lost_on_the_bus_of_which_another_symbols_copy_arrived_is_a_gap(self) -> None:
        """The number of the connection was seen with the copy; only our own counter tells."""
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.take(lines.keeper.bus_loss(1, "a", at(5)))
        assert (lines.state, lines.asked) == (State.GAPPED, ["a"])

    @pytest.mark.parametrize("numbered", [True, False])
    def test_a_loss_before_the_snapshot_is_no_gap(self, numbered: bool) -> None:
        lines = Lines("a", numbered=numbered)
        lines.send("a", delta())
        lines.take(lines.keeper.connection_gap("a", 1, at(5)))
        lines.take(lines.keeper.bus_loss(1, "a", at(5)))
        assert (lines.state, lines.count(FactKind.GAP)) == (State.SYNCING, 0)

    def test_a_book_that_crosses_lost_something(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(), delta("1", "101"))
        assert (lines.state, lines.count(FactKind.CROSSED), lines.asked) == (State.CROSSED, 1, ["a"])
        lines.send("a", delta("0", "101"))
        assert lines.state is State.CROSSED, "uncrossing by itself proves nothing"
        lines.send("a", snapshot())
        assert lines.state is State.LIVE

    def test_a_gapped_book_that_crosses_is_repaired(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.take(lines.keeper.connection_gap("a", 1, at(5)))
        lines.send("a", delta("1", "101"))
        assert (lines.state, lines.count(FactKind.REPAIRED)) == (State.GAPPED, 1)
        assert lines.keeper.book.texts(9)[1] == [("102", "2")]

    def test_a_rejected_frame_makes_its_book_gapped(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.take(lines.keeper.reject(FrameError("json", "broken"), "a", at(5)))
        assert (lines.state, lines.asked) == (State.GAPPED, ["a"])

    def test_after_a_break_the_same_link_goes_on_where_it_was(self) -> None:
        """What was lost between its numbers tell (`bus_loss`, `connection_gap`)."""
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.down()
        assert lines.state is State.STALE
        lines.up("a")
        assert lines.state is State.STALE
        lines.send("a", delta("7"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "7"))

    def test_a_quiet_symbol_after_a_break_is_asked_for(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.down()
        lines.up("a")
        lines.wait(2200)
        assert (lines.state, lines.asked) == (State.STALE, ["a"])
        lines.send("a", snapshot())
        assert lines.state is State.LIVE

    def test_a_delta_of_the_next_link_does_not_revive_the_book_of_the_dead_one(self) -> None:
        """Its snapshot is still to come; what it brings cannot be applied to the book that is shown."""
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.down()
        lines.send("b", delta("7"))
        lines.up("b")
        assert (lines.state, lines.best) == (State.STALE, ("99", "1"))
        lines.send("b", delta("8"))
        assert lines.state is State.STALE
        lines.send("b", snapshot("9"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "9"))

    def test_a_snapshot_may_come_before_the_report_on_its_link(self) -> None:
        lines = Lines()
        lines.send("a", snapshot())
        assert lines.state is State.STALE
        lines.up("a")
        assert lines.state is State.STALE, "it may have been on its way for long"
        lines.send("a", delta("7"))
        assert lines.state is State.LIVE


class TestTwoLinks:
    def both(self, **options) -> Lines:
        lines = Lines("a", "b", **options)
        lines.send("a", snapshot("3"))
        lines.send("b", snapshot("3"))
        assert lines.state is State.LIVE
        lines.states.clear()
        return lines

    @pytest.mark.parametrize("dying", ["a", "b"])
    def test_either_may_die_and_nothing_but_live_is_published(self, dying: str) -> None:
        lines = self.both()
        other = "b" if dying == "a" else "a"
        lines.moved(other)
        lines.send(other, delta("7"))
        lines.wait(20_000)
        assert set(lines.states) == {State.LIVE}
        assert (lines.best, lines.asked) == (("99", "7"), [])

    def test_a_book_whose_link_died_does_not_stay_live_where_the_other_has_none(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot())
        lines.send("b", delta())
        lines.moved("b")
        assert lines.state is State.STALE
        lines.wait(2100)
        assert "b" in lines.asked
        lines.send("b", snapshot("6"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "6"))

    def test_repeated_moves_do_not_prolong_that_moment(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot())
        for _ in range(4):
            lines.moved("b")
            lines.wait(1000)
        assert lines.state is State.STALE

    def test_a_line_that_has_never_brought_the_symbol_is_asked_when_it_has_to_take_over(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot())
        lines.moved("b")
        assert lines.state is State.STALE
        lines.wait(2300)
        assert (lines.state, lines.asked) == (State.STALE, ["b"])
        lines.send("b", snapshot("6"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "6"))

    def test_a_line_that_missed_something_hands_over_to_the_sound_one(self) -> None:
        lines = self.both()
        lines.take(lines.keeper.connection_gap("a", 2, at(10)))
        lines.send("b", delta("7"))
        assert (lines.state, lines.best, lines.keeper.missing) == (State.LIVE, ("99", "7"), 0)
        assert lines.asked == ["a"]
        assert set(lines.states) == {State.LIVE}

    def test_a_gapped_line_that_goes_on_is_better_than_a_dead_one(self) -> None:
        lines = self.both()
        lines.take(lines.keeper.connection_gap("b", 2, at(10)))
        lines.moved("b")
        assert lines.state is State.GAPPED

    def test_the_other_line_is_trusted_only_if_heard_since_the_break(self) -> None:
        """The bus was away: what both brought meanwhile is lost; one shows itself, then dies."""
        lines = self.both()
        lines.down()
        lines.up("a", "b")
        lines.send("a", snapshot("8"))
        assert lines.state is State.LIVE
        lines.moved("b")
        assert lines.state is State.STALE

    def test_a_line_that_was_gone_for_a_moment_has_to_show_itself(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot())
        lines.moved("b")
        lines.wait(500)
        lines.moved("a", "b")
        lines.wait(2200)
        assert lines.asked[-1] == "a"
        lines.wait(800)
        assert lines.state is State.STALE
        lines.send("a", snapshot())
        assert lines.state is State.LIVE

    def test_many_reconnects_of_one_line_do_not_make_the_quiet_other_one_doubtful(self) -> None:
        lines = self.both()
        for n in range(20):
            lines.moved("a", f"b{n}")
            lines.send(f"b{n}", snapshot("3"), delta("4"))
        lines.wait(1000)
        assert (lines.state, lines.best) == (State.LIVE, ("99", "3"))
        assert set(lines.states) <= {State.LIVE}

    def test_a_planned_reconnect_does_not_blink(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot("3"))
        lines.states.clear()
        lines.moved("a", "a2")
        lines.send("a2", snapshot("3"))
        lines.send("a", delta("4"))
        lines.moved("a2")
        lines.send("a2", delta("4"))
        lines.wait(5000)
        assert (set(lines.states), lines.best) == ({State.LIVE}, ("99", "4"))

    def test_without_anybody_watching_links_a_silent_one_is_left_for_one_that_goes_on(self) -> None:
        keeper = by_connection(BookRules())
        keeper.receive(snapshot("3"), "a", at(1))
        keeper.receive(snapshot("4"), "b", at(2000))
        assert keeper.book.texts(1)[0] == [("99", "3")]
        keeper.receive(delta("5"), "b", at(4000))
        assert keeper.book.texts(1)[0] == [("99", "5")]


class TestChecksums:
    def summed(self, bids: list[Level], asks: list[Level]) -> int:
        return RULE.compute(bids[:2], asks[:2])

    def test_a_right_one_is_counted_and_a_wrong_one_withholds_the_book(self) -> None:
        lines = Lines("a", numbered=False, checksum=RULE, depth=3)
        lines.send("a", snapshot(checksum=self.summed([("99", "1"), ("98", "2")], ASKS)))
        lines.send("a", delta("5.0", checksum=self.summed([("99", "5.0"), ("98", "2")], ASKS)))
        assert (lines.state, lines.keeper.counters.checksum_ok) == (State.LIVE, 2)
        lines.send("a", delta("5", checksum=7))
        assert (lines.state, lines.asked, lines.keeper.counters.checksum_bad) == (State.SYNCING, ["a"], 1)

    def test_a_snapshot_with_a_wrong_one_is_no_book(self) -> None:
        lines = Lines("a", numbered=False, checksum=RULE)
        lines.send("a", snapshot(checksum=7))
        assert lines.state is State.SYNCING

    def test_levels_beyond_the_depth_fall_out_and_come_back_only_by_the_exchange(self) -> None:
        lines = Lines("a", numbered=False, checksum=RULE, depth=2)
        bids = [("99", "1"), ("98.5", "3")]
        lines.send("a", snapshot(checksum=self.summed([("99", "1"), ("98", "2")], ASKS)))
        lines.send("a", delta("3", "98.5", checksum=self.summed(bids, ASKS)))
        assert lines.keeper.book.texts(9)[0] == bids
        gone = Update("X", False, [("98.5", "0"), ("98", "2.50")], [])
        lines.send("a", gone)
        assert lines.keeper.book.texts(9)[0] == [("99", "1"), ("98", "2.5")]

    def test_a_loss_on_the_bus_beyond_what_it_covers_is_a_gap_all_the_same(self) -> None:
        lines = Lines("a", numbered=False, checksum=RULE)
        lines.send("a", snapshot(checksum=self.summed([("99", "1"), ("98", "2")], ASKS)))
        lines.take(lines.keeper.bus_loss(1, "a", at(5)))
        deep = delta("1", "50", checksum=self.summed([("99", "1"), ("98", "2")], ASKS))
        lines.send("a", deep)
        assert lines.state is State.GAPPED

    def test_finer_prices_do_not_lose_the_texts_of_the_others(self) -> None:
        lines = Lines("a", numbered=False, checksum=RULE)
        lines.send("a", snapshot(checksum=self.summed([("99", "1"), ("98", "2")], ASKS)))
        bids = [("99.125", "1"), ("99", "1")]
        lines.send("a", delta("1", "99.125", checksum=self.summed(bids, ASKS)))
        assert lines.state is State.LIVE


class TestAudits:
    def test_a_contradicted_book_is_withheld_and_asked_for_over_its_link(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot("3"))
        lines.take(lines.keeper.audit(at(lines.ms)))
        for _ in range(2):
            lines.wait(2200)
            lines.take(lines.keeper.snapshot(snapshot("4"), 0, at(lines.ms)))
            lines.wait(2200)
        assert lines.count(FactKind.AUDIT_MISMATCH) == 1
        assert (lines.state, lines.asked) == (State.SYNCING, ["a"])

    def test_an_audit_ends_open_where_another_link_takes_over(self) -> None:
        lines = Lines("a", "b")
        lines.send("a", snapshot("3"))
        lines.send("b", snapshot("3"))
        lines.take(lines.keeper.audit(at(lines.ms)))
        lines.moved("b")
        assert not lines.keeper.auditing
        assert lines.keeper.counters.audits_open == 1


class TestGoingOn:
    """A link of which nothing was heard for a while goes on: what was lost between makes a hole in its book."""

    @pytest.mark.parametrize("opened", [False, True])
    @pytest.mark.parametrize("numbered", [False, True])
    def test_a_loss_that_is_told_before_its_next_frame_is_a_gap(self, numbered: bool, opened: bool) -> None:
        lines = Lines("a", numbered=numbered)
        lines.send("a", snapshot())
        lines.down()
        if opened:
            lines.up("a")
        lines.take(lines.keeper.bus_loss(1, "a", at(lines.ms)))
        lines.send("a", delta("7"))
        lines.up("a")
        lines.send("a", delta("8"))
        assert lines.state is State.GAPPED

    def test_a_frame_that_could_not_be_read_meanwhile_is_one_too(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot())
        lines.down()
        lines.take(lines.keeper.reject(FrameError("json", "broken"), "a", at(lines.ms)))
        lines.up("a")
        lines.send("a", delta("8"))
        assert lines.state is State.GAPPED
