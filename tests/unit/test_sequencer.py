"""Where a book stands in its stream: one link, several links, and ids that begin anew."""

from __future__ import annotations

from hoga.domain.sequencer import REMEMBERED_LINKS, Sequencer, Verdict

APPLY, STALE, GAP, REVERSAL = Verdict.APPLY, Verdict.STALE, Verdict.GAP, Verdict.REVERSAL


def started(seq: int = 1000, *links: str) -> Sequencer:
    """A book at `seq`, which a snapshot over the first link began; the others stand there too."""
    first, *others = links or ("a",)
    made = Sequencer()
    made.start(first, seq)
    for link in others:
        made.behind(link, seq)
    return made


class TestOneLink:
    def test_the_four_verdicts(self) -> None:
        made = started()
        assert made.judge("a", 1000, 1001) is APPLY
        assert made.judge("a", 1001, 1001) is STALE
        assert made.judge("a", 1005, 1006) is GAP
        assert made.last == 1006
        assert made.judge("a", 1003, 1004) is REVERSAL
        assert made.last == 1006

    def test_a_delta_that_builds_on_less_than_its_own_link_led_to_is_a_reversal(self) -> None:
        made = started()
        assert made.judge("a", 1000, 1010) is APPLY
        assert made.judge("a", 1005, 1020) is REVERSAL

    def test_a_delta_that_leads_below_what_it_builds_on_begins_anew(self) -> None:
        made = started()
        assert made.judge("a", 1000, 5) is APPLY
        assert made.judge("a", 5, 6) is APPLY
        assert made.last == 6

    def test_the_same_beginning_twice_is_one(self) -> None:
        made = started()
        assert made.judge("a", 1000, 5) is APPLY
        assert made.judge("a", 1000, 5) is STALE
        assert made.judge("a", 5, 6) is APPLY
        assert made.hear("a", 6, 2)
        assert made.hear("a", 6, 2)
        made.start("b", 3)
        assert not made.astray("a"), "it crossed once, as the other did"

    def test_what_is_missing_before_a_new_beginning_is_a_gap(self) -> None:
        made = started()
        assert made.judge("a", 1004, 5) is GAP
        assert made.judge("a", 5, 6) is APPLY

    def test_a_new_beginning_that_builds_on_less_than_its_link_led_to_is_a_reversal(self) -> None:
        made = started()
        made.judge("a", 1000, 1010)
        assert made.judge("a", 1005, 5) is REVERSAL

    def test_a_snapshot_below_begins_anew_and_late_frames_of_a_dead_link_bring_nothing(self) -> None:
        made = started()
        made.start("b", 3)
        assert made.judge("a", 1000, 1001) is STALE
        assert made.judge("b", 3, 4) is APPLY


class TestTwoLinks:
    def test_first_arrival_counts_and_ids_interleave(self) -> None:
        made = started(1000, "a", "b")
        assert made.judge("a", 1000, 1005) is APPLY
        assert made.judge("b", 1000, 1003) is STALE
        assert made.judge("b", 1003, 1007) is APPLY, "it spans the other line's cut"
        assert made.judge("a", 1005, 1007) is STALE
        assert made.judge("a", 1007, 1009) is APPLY

    def test_each_crosses_into_a_new_count_at_a_moment_of_its_own(self) -> None:
        made = started(1000, "a", "b")
        assert made.judge("a", 1000, 5) is APPLY
        assert made.judge("a", 5, 6) is APPLY
        assert made.judge("b", 1000, 1000) is STALE
        assert made.astray("b")
        assert made.judge("b", 1000, 5) is STALE
        assert not made.astray("b")
        assert made.judge("b", 5, 6) is STALE
        assert made.judge("b", 6, 7) is APPLY

    def test_ids_of_the_old_count_are_never_taken_for_ids_of_the_new_one(self) -> None:
        """The new count begins just below: the late line's old ids look as if they were next."""
        made = started(998, "b", "a")
        made.judge("a", 998, 1000)
        assert made.judge("a", 1000, 998) is APPLY
        assert made.judge("b", 998, 999) is STALE
        assert made.judge("b", 999, 1000) is STALE
        assert made.judge("b", 1000, 998) is STALE
        assert made.judge("b", 998, 999) is APPLY

    def test_a_line_that_crosses_elsewhere_than_the_book_is_not_believed(self) -> None:
        """All links begin anew at one id: this one was in another count all the time."""
        made = started(1000, "a", "b")
        assert made.judge("a", 1000, 5) is APPLY
        assert made.judge("b", 998, 10) is STALE
        assert made.strays() == ["b"]
        made = started(1000, "a", "b")
        made.judge("a", 1000, 1002)
        assert made.judge("b", 1000, 5) is STALE
        assert made.strays() == ["b"]

    def test_a_snapshot_that_begins_anew_over_either_line_is_seen_as_such(self) -> None:
        made = started(1000, "a", "b")
        assert made.newer("b", 1) is True
        made.start("b", 1)
        assert made.newer("a", 1) is None, "the other line follows"
        made.behind("a", 1)
        assert made.judge("b", 1, 2) is APPLY
        assert made.judge("a", 1, 2) is STALE
        assert made.judge("a", 2, 3) is APPLY

    def test_a_line_may_be_several_beginnings_behind(self) -> None:
        made = started(1000, "a", "b")
        made.start("a", 500)
        made.start("a", 250)
        made.behind("b", 500)
        assert made.astray("b")
        made.behind("b", 250)
        assert made.judge("b", 250, 251) is APPLY

    def test_a_snapshot_of_the_old_count_is_seen_as_such(self) -> None:
        made = started(1000, "a", "b")
        made.judge("a", 1000, 5)
        assert made.newer("b", 1001) is False

    def test_a_line_that_lags_an_era_and_goes_backwards_unannounced_is_astray_until_its_snapshot(self) -> None:
        """The frame that led it over was lost: no reversal of the book, which the other line leads."""
        made = started(1000, "a", "b")
        made.judge("a", 1000, 5)
        assert made.judge("b", 7, 8) is STALE
        assert made.judge("b", 8, 1005) is STALE
        assert made.strays() == ["b"]
        made.behind("b", 5)
        assert made.judge("b", 5, 6) is APPLY

    def test_a_link_whose_reversal_was_answered_by_a_snapshot_elsewhere_does_not_reverse_again(self) -> None:
        made = started(1000, "a", "b")
        assert made.judge("a", 7, 8) is REVERSAL
        made.start("b", 8)
        assert made.judge("a", 8, 9) is STALE
        assert made.judge("a", 9, 10) is STALE
        assert made.judge("b", 8, 9) is APPLY

    def test_where_other_links_stand_is_noted_while_there_is_no_book(self) -> None:
        made = started(1000, "a", "b")
        assert made.hear("a", 1000, 1001)
        assert made.hear("b", 1000, 5)
        assert not made.hear("a", 1001, 1002), "of an earlier era than the other link"
        made.start("b", 6)
        assert made.astray("a")
        assert made.judge("a", 1002, 5) is STALE
        assert not made.astray("a")

    def test_the_link_heard_of_longest_ago_is_forgotten_first(self) -> None:
        made = started(1000, "a")
        for n in range(1000, 1000 + 3 * REMEMBERED_LINKS):
            assert made.judge("a", n, n + 1) is APPLY
            made.judge(f"old{n}", n, n + 1)
        assert made.knows("a")
        assert made.judge("a", 1, 2) is REVERSAL
