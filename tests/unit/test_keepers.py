"""The builder that joins deltas to REST snapshots, rule by rule."""

from __future__ import annotations

import pytest

from hoga.domain.actions import FactKind, RequestSnapshot
from hoga.domain.errors import FrameError
from hoga.domain.rules import BookRules
from hoga.domain.types import GapPolicy, Stamp, State, Update
from tests.support.driver import Driver, at, rest
from tests.support.lines import kinds

BIDS, ASKS = [("99", "1"), ("98", "2")], [("101", "1"), ("102", "2")]


def delta(prev: int, seq: int, bids=(), asks=(), time_ms: int = 0) -> Update:
    return Update("X", False, list(bids), list(asks), prev_seq=prev, seq=seq, exchange_time_ns=time_ms * 10**6)


def snapshot(seq: int, bids=BIDS, asks=ASKS) -> Update:
    return Update("X", True, list(bids), list(asks), seq=seq)


def live(**rules) -> Driver:
    keeper = rest(BookRules(**rules))
    keeper.open("a", at(0))
    keeper.receive(delta(9, 10), "a", at(1))
    keeper.snapshot(snapshot(10), 0, at(2))
    assert keeper.state is State.LIVE
    return keeper


def lose_link(keeper) -> None:
    keeper.report(set(), at(3))


def regain_link(keeper):
    return keeper.report({"b"}, at(4))


def asks_for_snapshot(actions) -> bool:
    return any(isinstance(action, RequestSnapshot) for action in actions)


class TestJoin:
    def test_a_snapshot_is_asked_for_when_there_is_a_delta_to_join_it_to(self) -> None:
        keeper = rest(BookRules())
        assert not asks_for_snapshot(keeper.open("a", at(0)) + keeper.tick(at(100)))
        assert asks_for_snapshot(keeper.receive(delta(9, 10), "a", at(101)))
        assert not asks_for_snapshot(keeper.receive(delta(10, 11), "a", at(102)) + keeper.tick(at(600)))

    def test_a_quiet_market_is_not_waited_for(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        assert [ms for ms in range(0, 1_000, 100) if asks_for_snapshot(keeper.tick(at(ms)))] == [500]

    def test_a_snapshot_that_nothing_proves_is_shown_but_not_live(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.snapshot(snapshot(10), 0, at(1))
        assert keeper.state is State.SYNCING
        assert keeper.book.texts(1)[0] == [("99", "1")]
        keeper.receive(delta(10, 12, [("99", "5")]), "a", at(2))
        assert keeper.state is State.LIVE
        assert keeper.book.texts(1)[0] == [("99", "5")]

    def test_a_quiet_book_is_confirmed_by_a_second_equal_snapshot_and_not_too_soon(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.snapshot(snapshot(10), 0, at(1))
        keeper.snapshot(snapshot(10), 0, at(100))
        assert keeper.state is State.SYNCING
        assert asks_for_snapshot(keeper.tick(at(11_000)))
        keeper.snapshot(snapshot(10), 0, at(11_200))
        assert keeper.state is State.LIVE

    def test_a_different_second_snapshot_proves_nothing(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.snapshot(snapshot(10), 0, at(1))
        keeper.snapshot(snapshot(11), 0, at(11_200))
        assert keeper.state is State.SYNCING

    def test_a_snapshot_older_than_the_first_delta_is_asked_for_again(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.receive(delta(20, 21), "a", at(1))
        keeper.snapshot(snapshot(15), 0, at(2))
        assert keeper.state is State.SYNCING
        assert keeper.tick(at(3)) == []
        assert asks_for_snapshot(keeper.tick(at(1500)))
        keeper.snapshot(snapshot(20), 0, at(1600))
        assert keeper.state is State.LIVE

    def test_futures_ids_between_two_events_belong_to_other_symbols(self) -> None:
        """lid lies after pu and before U of the next event: the snapshot holds everything up to pu."""
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.receive(delta(100, 150), "a", at(1))
        keeper.snapshot(snapshot(160), 0, at(2))
        keeper.receive(delta(150, 190, [("99", "7")]), "a", at(3))
        assert keeper.state is State.LIVE
        assert keeper.sequence == 190

    def test_a_snapshot_ahead_of_the_stream_holds_what_is_on_its_way(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.receive(delta(9, 10), "a", at(1))
        keeper.snapshot(snapshot(12), 0, at(2))
        assert keeper.state is State.LIVE
        for prev in (10, 11, 12):
            keeper.receive(delta(prev, prev + 1, [("99", str(prev))]), "a", at(3))
        assert keeper.book.texts(1)[0] == [("99", "12")]

    def test_after_a_reversal_a_snapshot_of_the_old_count_is_not_joined(self) -> None:
        keeper = live()
        keeper.receive(delta(10, 1000), "a", at(3))
        keeper.receive(delta(4, 5), "a", at(4))
        keeper.receive(delta(5, 6), "a", at(5))
        keeper.snapshot(snapshot(1000), 0, at(6))
        assert keeper.state is State.SYNCING
        keeper.snapshot(snapshot(6), 0, at(7))
        assert keeper.state is State.LIVE

    def test_a_stream_that_only_brings_old_ids_is_another_count(self) -> None:
        keeper = live()
        keeper.receive(delta(10, 1000), "a", at(3))
        keeper.open("b", at(3))
        facts = []
        for n in range(50):
            facts += kinds(keeper.receive(delta(n, n + 1), "b", at(100 * n)) + keeper.tick(at(100 * n)))
        assert FactKind.REVERSAL in facts
        assert keeper.state is State.SYNCING
        keeper.snapshot(snapshot(49), 0, at(5000))
        assert keeper.state is State.LIVE
        assert keeper.sequence == 50

    @pytest.mark.parametrize(("sent_ms", "late"), [(-10_000, True), (1, False)])
    def test_a_line_in_step_with_only_older_ids_is_late_unless_they_were_sent_later(self, sent_ms, late) -> None:
        keeper = live()
        keeper.report({"a", "b"}, at(0))
        for link in ("b", "a"):  # both are in step
            keeper.receive(delta(10, 11, [("99", "3")], time_ms=1_000), link, at(3))
        keeper.receive(delta(11, 1_000, time_ms=1_000), "a", at(4))  # "a" leads, then it is silent
        facts = []
        for ms in range(1_100, 6_000, 100):
            facts += keeper.receive(delta(ms // 100, ms // 100 + 1, time_ms=ms + sent_ms + 1_000), "b", at(ms))
            facts += keeper.tick(at(ms))
        assert (keeper.state, keeper.sequence) == (State.LIVE, 1_000 if late else 60)
        assert (FactKind.RENUMBERED in kinds(facts)) is not late

    def test_an_unanswered_request_is_repeated_less_and_less_often(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        asked = [ms for ms in range(0, 200_000, 100) if asks_for_snapshot(keeper.tick(at(ms)))]
        assert asked == [500, 5_500, 15_500, 35_500, 75_500, 135_500, 195_500]

    def test_a_buffer_that_overflows_forgets_its_oldest_and_refuses_what_it_cannot_bridge(self) -> None:
        keeper = rest(BookRules(buffer_updates=3))
        keeper.open("a", at(0))
        for seq in range(10, 20):
            keeper.receive(delta(seq - 1, seq), "a", at(seq))
        keeper.snapshot(snapshot(12), 0, at(30))
        assert keeper.state is State.SYNCING
        keeper.snapshot(snapshot(17), 0, at(31))
        assert keeper.state is State.LIVE
        assert keeper.sequence == 19

    def test_deltas_too_old_for_any_snapshot_to_come_are_forgotten(self) -> None:
        keeper = rest(BookRules(buffer_age_ns=10_000_000_000))
        keeper.open("a", at(0))
        for second in range(60):
            keeper.receive(delta(second + 9, second + 10), "a", at(1000 * second))
        keeper.snapshot(snapshot(50), 0, at(60_000))
        assert keeper.state is State.SYNCING
        keeper.snapshot(snapshot(65), 0, at(60_500))
        assert keeper.state is State.LIVE
        assert keeper.sequence == 69


class TestPolicies:
    def test_continue_goes_on_as_gapped_and_heals(self) -> None:
        keeper = live()
        actions = keeper.receive(delta(15, 16, [("99", "3")]), "a", at(3))
        assert keeper.state is State.GAPPED
        assert keeper.missing == 5
        assert keeper.book.texts(1)[0] == [("99", "3")]
        assert asks_for_snapshot(actions)
        keeper.snapshot(snapshot(16, [("99", "3"), ("98", "2")]), 0, at(4))
        assert keeper.state is State.LIVE

    def test_ignore_is_flagged_and_never_healed(self) -> None:
        keeper = live(gap_policy=GapPolicy.IGNORE)
        assert not asks_for_snapshot(keeper.receive(delta(15, 16), "a", at(3)))
        assert not keeper.tick(at(10**7))
        assert keeper.state is State.GAPPED

    def test_resync_withholds_the_book(self) -> None:
        keeper = live(gap_policy=GapPolicy.RESYNC)
        before = keeper.book.texts(10)
        assert asks_for_snapshot(keeper.receive(delta(15, 16, [("99", "3")]), "a", at(3)))
        assert keeper.state is State.SYNCING
        assert keeper.book.texts(10) == before
        assert keeper.receive(delta(16, 17, [("99", "4")]), "a", at(4)) == []
        keeper.snapshot(snapshot(16, [("99", "3"), ("98", "2")]), 0, at(5))
        assert keeper.state is State.LIVE
        assert keeper.book.texts(1)[0] == [("99", "4")]

    def test_two_gaps_add_up_and_a_snapshot_between_them_does_not_heal(self) -> None:
        keeper = live()
        keeper.receive(delta(15, 16), "a", at(3))
        keeper.receive(delta(20, 21), "a", at(4))
        assert keeper.missing == 9
        keeper.snapshot(snapshot(17), 0, at(5))
        assert keeper.state is State.GAPPED
        keeper.snapshot(snapshot(21), 0, at(6))
        assert keeper.state is State.LIVE


class TestCrossing:
    def test_a_live_book_that_crosses_is_announced_and_mended(self) -> None:
        keeper = live()
        actions = keeper.receive(delta(10, 11, [("101", "1")]), "a", at(3))
        assert keeper.state is State.CROSSED
        assert FactKind.CROSSED in kinds(actions)
        assert asks_for_snapshot(actions)
        keeper.receive(delta(11, 12, [("101", "0")]), "a", at(4))
        assert keeper.state is State.CROSSED, "uncrossing by itself proves nothing"
        keeper.snapshot(snapshot(12), 0, at(5))
        assert keeper.state is State.LIVE

    def test_a_gapped_book_is_repaired_on_the_older_side(self) -> None:
        keeper = live()
        actions = keeper.receive(delta(15, 16, [("101.5", "1")]), "a", at(3))
        assert FactKind.REPAIRED in kinds(actions)
        assert keeper.state is State.GAPPED
        assert keeper.book.texts(1) == ([("101.5", "1")], [("102", "2")])

    def test_a_locked_book_is_crossed(self) -> None:
        keeper = live()
        keeper.receive(delta(10, 11, [("101", "1")]), "a", at(3))
        assert keeper.state is State.CROSSED

    def test_an_empty_side_is_no_crossing(self) -> None:
        keeper = live()
        keeper.receive(delta(10, 11, [("99", "0"), ("98", "0")]), "a", at(3))
        assert keeper.state is State.LIVE


class TestStaleness:
    def test_a_lost_link_makes_the_book_stale_and_a_chaining_delta_restores_it(self) -> None:
        keeper = live()
        lose_link(keeper)
        assert (keeper.state, keeper.reason) == (State.STALE, "the link is down")
        regain_link(keeper)
        assert keeper.state is State.STALE
        keeper.receive(delta(10, 11), "b", at(5))
        assert keeper.state is State.LIVE

    def test_after_a_reconnect_that_lost_deltas_the_book_is_gapped(self) -> None:
        keeper = live()
        lose_link(keeper)
        regain_link(keeper)
        keeper.receive(delta(30, 31), "b", at(5))
        assert keeper.state is State.GAPPED

    def test_a_frame_over_a_link_that_is_not_open_proves_nothing_until_it_is(self) -> None:
        keeper = live()
        lose_link(keeper)
        keeper.receive(delta(10, 11), "a", at(4))
        assert keeper.state is State.STALE
        regain_link(keeper)
        keeper.receive(delta(11, 12), "a", at(6))
        assert keeper.state is State.STALE
        keeper.open("a", at(7))
        assert keeper.state is State.STALE
        keeper.receive(delta(12, 13), "a", at(8))
        assert (keeper.state, keeper.sequence) == (State.LIVE, 13)

    def test_a_frame_of_the_new_link_counts_though_its_report_comes_later(self) -> None:
        keeper = live()
        lose_link(keeper)
        keeper.receive(delta(10, 11), "b", at(4))
        assert keeper.state is State.STALE
        regain_link(keeper)
        assert keeper.state is State.LIVE

    def test_a_snapshot_asked_for_before_the_link_died_does_not_make_it_live(self) -> None:
        keeper = live()
        keeper.receive(delta(15, 16), "a", at(3))
        lose_link(keeper)
        regain_link(keeper)
        keeper.snapshot(snapshot(16), 0, at(5))
        assert keeper.state is not State.LIVE
        keeper.receive(delta(16, 17), "b", at(6))
        assert keeper.state is State.LIVE

    def test_a_quiet_book_after_a_reconnect_needs_two_equal_snapshots(self) -> None:
        keeper = live()
        lose_link(keeper)
        assert not asks_for_snapshot(regain_link(keeper))
        assert asks_for_snapshot(keeper.tick(at(600)))
        keeper.snapshot(snapshot(10), 0, at(605))
        assert keeper.state is State.STALE
        keeper.snapshot(snapshot(10), 0, at(11_000))
        assert keeper.state is State.LIVE

    def test_a_delta_that_fits_after_a_reconnect_makes_a_snapshot_needless(self) -> None:
        keeper = live()
        lose_link(keeper)
        regain_link(keeper)
        actions = keeper.receive(delta(10, 11), "b", at(100))
        assert keeper.state is State.LIVE
        assert FactKind.RESYNC_FINISHED in kinds(actions)
        assert not any(asks_for_snapshot(keeper.tick(at(ms))) for ms in range(100, 10_000, 100))

    def test_and_one_that_does_not_fit_asks_for_one_at_once(self) -> None:
        keeper = live()
        lose_link(keeper)
        regain_link(keeper)
        assert asks_for_snapshot(keeper.receive(delta(11, 12), "b", at(100)))
        keeper.snapshot(snapshot(12), 0, at(101))
        assert keeper.state is State.LIVE

    def test_a_crossed_snapshot_that_a_delta_proves_is_rejected_and_the_delta_is_not_lost(self) -> None:
        keeper = live()
        lose_link(keeper)
        regain_link(keeper)
        keeper.snapshot(snapshot(12, BIDS, [("98", "1")]), 0, at(100))
        actions = keeper.receive(delta(10, 13, [("99", "7")]), "b", at(101))
        assert FactKind.REJECTED in kinds(actions)
        assert (keeper.state, keeper.sequence, keeper.counters.rejected) == (State.LIVE, 13, 1)
        assert keeper.book.texts(1)[0] == [("99", "7")]

    def test_a_planned_takeover_is_no_gap_though_the_new_link_is_faster(self) -> None:
        keeper = live()
        keeper.open("a2", at(3))
        keeper.receive(delta(12, 13), "a2", at(4))
        assert keeper.state is State.LIVE
        for prev in (10, 11, 12, 13):
            keeper.receive(delta(prev, prev + 1), "a", at(5))
        keeper.close("a", at(6), planned=True)
        keeper.receive(delta(13, 14), "a2", at(6))
        keeper.receive(delta(14, 15), "a2", at(6))
        assert (keeper.state, keeper.sequence, keeper.counters.gaps) == (State.LIVE, 15, 0)

    def test_nor_is_it_while_a_snapshot_is_awaited(self) -> None:
        """What the old link still brings leads on to where the new one begins."""
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.receive(delta(9, 10), "a", at(1))
        keeper.open("a2", at(2))
        for prev in (10, 11):
            keeper.receive(delta(prev, prev + 1), "a", at(3))
        keeper.receive(delta(12, 13, [("99", "7")]), "a2", at(4))
        keeper.snapshot(snapshot(10), 0, at(5))
        keeper.close("a", at(6), planned=True)
        assert (keeper.state, keeper.sequence, keeper.counters.gaps) == (State.LIVE, 13, 0)

    def test_halting_is_stronger_and_resumes(self) -> None:
        keeper = live()
        lose_link(keeper)
        keeper.halt("delisted")
        assert (keeper.state, keeper.reason) == (State.HALTED, "delisted")
        keeper.halt("")
        assert keeper.state is State.STALE


class TestTwoLines:
    """Lines that bring different levels under one id: nobody knows which is right."""

    def test_the_first_delta_after_a_join_is_compared(self) -> None:
        keeper = live()
        keeper.receive(delta(10, 11, [("99", "7")]), "a", at(3))
        assert kinds(keeper.receive(delta(10, 11, [("99", "8")]), "b", at(4)))[0] is FactKind.DISAGREEMENT
        assert (keeper.state, keeper.counters.disagreements) == (State.SYNCING, 1)

    def test_so_is_what_was_kept_for_the_snapshot(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.receive(delta(9, 10, [("99", "7")]), "a", at(1))
        keeper.snapshot(snapshot(9), 0, at(2))
        assert (keeper.state, keeper.sequence) == (State.LIVE, 10)
        keeper.receive(delta(9, 10, [("99", "8")]), "b", at(3))
        assert keeper.state is State.SYNCING

    def test_and_what_comes_while_a_snapshot_is_awaited(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.receive(delta(9, 10, [("99", "7")]), "a", at(1))
        assert FactKind.DISAGREEMENT in kinds(keeper.receive(delta(9, 10, [("99", "8")]), "b", at(2)))
        keeper.receive(delta(10, 11), "a", at(3))
        keeper.snapshot(snapshot(9), 0, at(4))
        assert keeper.state is State.SYNCING  # 10 is not to be had from the stream any more
        keeper.snapshot(snapshot(10), 0, at(400))
        assert (keeper.state, keeper.sequence) == (State.LIVE, 11)

    def test_the_same_levels_agree_however_often_they_come(self) -> None:
        keeper = live()
        for link in ("a", "b", "c", "b"):
            assert keeper.receive(delta(10, 11, [("99", "7")]), link, at(3)) is not None
        assert (keeper.state, keeper.counters.disagreements) == (State.LIVE, 0)

    def test_an_id_that_a_faster_link_brought_before_its_turn_is_compared_when_its_turn_comes(self) -> None:
        keeper = live()
        keeper.report({"a", "b"}, at(0))
        keeper.receive(delta(9, 10), "b", at(3))
        keeper.audit(at(4))
        keeper.report({"a", "b2"}, at(0))
        keeper.receive(delta(11, 12, [("99", "7")]), "b2", at(5))
        keeper.receive(delta(10, 11), "a", at(6))
        assert FactKind.DISAGREEMENT in kinds(keeper.receive(delta(11, 12, [("99", "8")]), "a", at(7)))


class TestRecentre:
    def test_when_few_proven_levels_are_left_a_snapshot_is_asked_for_and_the_book_stays_live(self) -> None:
        keeper = rest(BookRules(depth=2))
        keeper.open("a", at(0))
        keeper.receive(delta(9, 10), "a", at(1))
        bids = [(str(100 - n), "1") for n in range(5)]
        asks = [(str(101 + n), "1") for n in range(5)]
        keeper.snapshot(snapshot(10, bids, asks), 5, at(2))
        actions = keeper.receive(delta(10, 11, [("100", "0"), ("99", "0")]), "a", at(3))
        assert keeper.state is State.LIVE
        assert keeper.book.bids_known == 3
        assert FactKind.RECENTRE in kinds(actions)
        assert asks_for_snapshot(keeper.receive(delta(11, 12, [("98", "9")]), "a", at(4)))
        fresh = [(str(98 - n), "1") for n in range(5)]
        keeper.snapshot(snapshot(11, fresh, asks), 5, at(5))
        assert keeper.state is State.LIVE
        assert keeper.book.bids_known == 5
        assert keeper.book.texts(1)[0] == [("98", "9")]


class TestRejection:
    def test_a_rejected_frame_marks_the_book_and_asks_for_a_snapshot(self) -> None:
        keeper = live()
        keeper.reject(FrameError("json", "broken"), "a", at(3))
        assert keeper.state is State.GAPPED
        assert asks_for_snapshot(keeper.receive(delta(11, 12), "a", at(4)))
        keeper.snapshot(snapshot(12), 0, at(5))
        assert keeper.state is State.LIVE

    def test_values_that_cannot_be_read_leave_the_levels_as_they_were(self) -> None:
        keeper = live()
        before = keeper.book.texts(10)
        keeper.receive(delta(10, 11, [("99", "5"), ("98", "-1")]), "a", at(3))
        assert keeper.state is State.GAPPED
        assert keeper.book.texts(10) == before
        keeper.snapshot(snapshot(11), 0, at(4))
        assert keeper.state is State.GAPPED, "no delta follows yet, the snapshot is unproven"
        keeper.receive(delta(11, 12), "a", at(5))
        assert keeper.state is State.LIVE

    def test_a_crossed_snapshot_is_not_joined(self) -> None:
        keeper = rest(BookRules())
        keeper.open("a", at(0))
        keeper.receive(delta(9, 10), "a", at(1))
        keeper.snapshot(snapshot(10, [("105", "1")], ASKS), 0, at(2))
        assert keeper.state is State.SYNCING
        assert keeper.counters.rejected == 1


class TestTime:
    def test_event_times_that_are_off_are_counted_and_announced_once(self) -> None:
        keeper = live()
        now = Stamp(0, 1_700_000_000_000 * 10**6)
        facts = []
        for n, offset_ms in enumerate((0, -20_000, -15_000, 9000, 9500, -50_000, 10)):
            update = delta(10 + n, 11 + n, time_ms=1_700_000_000_000 + offset_ms)
            facts += kinds(keeper.receive(update, "a", now))
        assert facts == [FactKind.TIME_REVERSAL, FactKind.TIME_FUTURE]
        assert keeper.state is State.LIVE

    def test_a_second_line_that_is_later_is_no_reversal_of_time(self) -> None:
        keeper = live()
        now = Stamp(0, 1_700_000_000_000 * 10**6)
        facts = []
        for n in range(10):
            for link, offset_ms in (("a", 100 * n), ("b", 100 * n - 12_000)):
                update = delta(10 + n, 11 + n, time_ms=1_700_000_000_000 + offset_ms)
                facts += kinds(keeper.receive(update, link, now))
        assert facts == [FactKind.TIME_LATE]
