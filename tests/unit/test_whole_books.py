"""The builder where every frame is the whole book."""

from __future__ import annotations

import pytest

from hoga.domain.rules import BookRules
from hoga.domain.types import State, Update
from tests.support.driver import at, whole_frames
from tests.support.lines import ASKS
from tests.unit.test_keepers import asks_for_snapshot, lose_link, regain_link

BIDS = [("99", "1"), ("98", "2")]


def whole(time_ms: int, bids=BIDS, asks=ASKS) -> Update:
    return Update("X", True, list(bids), list(asks), exchange_time_ns=time_ms * 10**6)


class TestWholeBooks:
    def test_each_frame_is_the_book(self) -> None:
        keeper = whole_frames(BookRules())
        keeper.receive(whole(1), "a", at(1))
        assert keeper.state is State.LIVE
        keeper.receive(whole(2, [("97", "1")]), "a", at(2))
        assert keeper.book.texts(9) == ([("97", "1")], ASKS)

    def test_an_older_frame_is_dropped_an_equal_time_replaces(self) -> None:
        keeper = whole_frames(BookRules())
        keeper.receive(whole(5), "a", at(1))
        keeper.receive(whole(4, [("90", "1")]), "a", at(2))
        assert keeper.book.texts(1)[0] == [("99", "1")]
        assert keeper.counters.stale == 1
        keeper.receive(whole(5, [("90", "1")]), "a", at(3))
        assert keeper.book.texts(1)[0] == [("90", "1")]

    def test_a_repeated_frame_is_counted_and_not_published(self) -> None:
        keeper = whole_frames(BookRules())
        assert keeper.receive(whole(5), "a", at(1))
        assert keeper.receive(whole(6), "a", at(2)) == []
        assert keeper.counters.repeated == 1

    @pytest.mark.parametrize("bad", [([("103", "1")], ASKS), ([("x", "1")], ASKS), ([("99", "-1")], ASKS)])
    def test_a_bad_frame_is_rejected_and_the_book_is_stale_until_the_next(self, bad) -> None:
        keeper = whole_frames(BookRules())
        keeper.receive(whole(5), "a", at(1))
        keeper.receive(whole(6, *bad), "a", at(2))
        assert keeper.state is State.STALE
        assert keeper.book.texts(1)[0] == [("99", "1")]
        assert keeper.counters.rejected == 1
        keeper.receive(whole(7), "a", at(3))
        assert keeper.state is State.LIVE

    def test_a_lost_link_makes_it_stale_until_the_next_frame(self) -> None:
        keeper = whole_frames(BookRules())
        keeper.receive(whole(5), "a", at(1))
        lose_link(keeper)
        assert keeper.state is State.STALE
        regain_link(keeper)
        assert keeper.state is State.STALE
        keeper.receive(whole(5), "b", at(5))
        assert keeper.state is State.LIVE

    def test_a_link_that_takes_over_and_has_brought_nothing_makes_it_stale(self) -> None:
        keeper = whole_frames(BookRules())
        keeper.report({"a"}, at(0))
        keeper.receive(whole(5), "a", at(1))
        keeper.report({"b"}, at(10))
        assert keeper.state is State.STALE
        assert asks_for_snapshot(keeper.tick(at(100)))
        keeper.snapshot(whole(6), 30, at(3700))
        assert keeper.state is State.LIVE

    def test_a_quiet_market_is_had_by_a_snapshot(self) -> None:
        keeper = whole_frames(BookRules())
        keeper.open("a", at(0))
        assert not asks_for_snapshot(keeper.tick(at(1000)))
        assert asks_for_snapshot(keeper.tick(at(3100)))
        keeper.snapshot(whole(5), 30, at(3200))
        assert keeper.state is State.LIVE
        assert not keeper.tick(at(10**6))

    def test_a_second_line_that_is_late_does_not_lead_back(self) -> None:
        keeper = whole_frames(BookRules())
        keeper.report({"a", "b"}, at(0))
        keeper.receive(whole(1000, [("95", "1")]), "a", at(1000))
        keeper.receive(whole(1500), "a", at(1500))
        for ms in (1000, 1200):
            keeper.receive(whole(ms, [("95", "1")]), "b", at(ms + 2000))
            assert keeper.book.texts(1)[0] == [("99", "1")]
        keeper.close("a", at(3400))
        keeper.receive(whole(1400, [("96", "1")]), "b", at(3500))
        assert keeper.book.texts(1)[0] == [("96", "1")], "there is nothing else any more"

    def test_but_one_whose_own_clock_was_set_back_does(self) -> None:
        keeper = whole_frames(BookRules())
        keeper.report({"a", "b"}, at(0))
        keeper.receive(whole(2000), "b", at(900))
        keeper.receive(whole(2001), "a", at(1000))
        keeper.receive(whole(1500, [("95", "1")]), "b", at(2500))
        assert keeper.book.texts(1)[0] == [("95", "1")]

    def test_a_clock_that_ran_ahead_is_not_believed_for_ever(self) -> None:
        keeper = whole_frames(BookRules())
        keeper.receive(whole(10**9), "a", at(1))
        keeper.receive(whole(5, [("97", "1")]), "a", at(100))
        assert keeper.book.texts(1)[0] == [("99", "1")]
        keeper.receive(whole(6, [("96", "1")]), "a", at(1200))
        assert keeper.book.texts(1)[0] == [("96", "1")]

    @pytest.mark.parametrize("snapshot_ms", [1_500, 2_000])
    def test_where_an_older_frame_is_the_last_to_arrive_a_snapshot_decides(self, snapshot_ms) -> None:
        keeper = whole_frames(BookRules())
        keeper.receive(whole(2_000), "a", at(1))
        keeper.receive(whole(1_500, [("90", "1")]), "a", at(100))  # swapped on its way, or the clock was set back
        assert keeper.tick(at(900)) == []
        assert asks_for_snapshot(keeper.tick(at(1_200)))
        assert keeper.state is State.STALE
        keeper.snapshot(whole(1_400), 30, at(1_350))
        assert keeper.state is State.STALE, "older than both"
        keeper.snapshot(whole(snapshot_ms, [("91", "1")]), 30, at(1_400))
        assert (keeper.state, keeper.book.texts(1)[0]) == (State.LIVE, [("91", "1")])

    def test_a_frame_that_came_out_of_turn_is_forgotten_with_the_next(self) -> None:
        keeper = whole_frames(BookRules())
        for ms, time_ms in ((1, 2_000), (100, 1_500), (900, 2_100)):
            keeper.receive(whole(time_ms), "a", at(ms))
        assert all(keeper.tick(at(ms)) == [] for ms in range(1_000, 9_000, 100))
        assert keeper.state is State.LIVE
