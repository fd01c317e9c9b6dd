"""One link's account of a symbol: its rules are those of one ordered connection."""

from __future__ import annotations

import zlib

import pytest

from hoga.domain.books import Book, new_book
from hoga.domain.chain import MAX_LEVELS, Chain, Fit
from hoga.domain.checks import EventTimes, TimeBudget
from hoga.domain.checksum import Checksum
from hoga.domain.errors import FrameError
from hoga.domain.rules import BookRules, Kind
from hoga.domain.stream import REMEMBERED_STEPS, WENT_BACK, Count, Stage, Stream, Took
from hoga.domain.types import Level, State, Update
from tests.support.lines import ASKS, delta, snapshot, step

RULE = Checksum(2, lambda bids, asks: zlib.crc32(repr((bids, asks)).encode()))


def stream(*, keep: bool = False, **kind) -> Stream:
    made = Stream("a", BookRules(), Kind(**({"in_band": True} | kind)), EventTimes(TimeBudget()))
    made.keep = keep
    return made


def at(seq: int = 10, **kind) -> Stream:
    """One whose book stands at `seq`."""
    made = stream(**kind)
    assert made.start(snapshot(seq), 1, 1) is Took.APPLIED
    return made


def ahead(seq: int = 20, heard: int = 10) -> Stream:
    """One that was joined to a book which lies ahead of what its link has brought."""
    made = stream()
    made.take(step(heard), 1)
    made.settle(book_of(seq), seq, snapshot(seq), 0, 2, 2)
    return made


def book_of(seq: int) -> Book:
    made = new_book()
    made.replace(snapshot(seq).bids, ASKS)
    return made


def best(made: Stream) -> Level:
    return made.book.texts(1)[0][0]


class TestTake:
    def test_a_delta_that_builds_on_where_the_book_stands_is_applied(self) -> None:
        made = at(10)
        assert made.take(delta(10, 15, [("99", "7")]), 2) is Took.APPLIED
        assert (made.last, made.heard, best(made), made.moved_ns) == (15, 15, ("99", "7"), 2)

    def test_one_that_leads_no_further_is_old(self) -> None:
        made = at(10)
        assert made.take(delta(10, 10, [("99", "7")]), 2) is Took.OLD
        assert (made.last, best(made), made.moved_ns, made.heard_ns) == (10, ("99", "1"), 1, 2)

    def test_one_that_builds_on_a_later_id_leaves_the_book_standing(self) -> None:
        made = at(10)
        assert made.take(step(13, "7"), 2) is Took.GAP
        assert (made.last, made.heard, best(made)) == (10, 13, ("99", "1"))
        assert (made.stage, made.sound) == (Stage.RECOVERING, False)
        assert made.take(step(14), 3) is Took.HELD
        assert (made.chain.begins, made.chain.ends, made.stuck_ns) == (12, 14, 2)

    def test_a_second_gap_is_for_others_to_decide(self) -> None:
        made = at(10)
        made.take(step(13), 2)
        assert made.take(step(20), 3) is Took.GAP
        assert (made.chain.begins, made.chain.ends) == (12, 13)

    def test_deltas_are_kept_where_there_is_no_book(self) -> None:
        made = stream()
        assert [made.take(step(n), n) for n in (10, 11, 15)] == [Took.HELD] * 3
        assert (made.stage, made.chain.begins, made.chain.ends) == (Stage.WAITING, 14, 15)

    def test_and_where_a_snapshot_is_on_its_way(self) -> None:
        made = at(10)
        made.take(step(11), 2)
        assert not made.chain
        made.keep = True
        assert made.take(step(12), 3) is Took.APPLIED
        assert (made.chain.begins, made.chain.ends) == (11, 12)

    @pytest.mark.parametrize("lower", [step(9), delta(9, 11), delta(3, 3)])
    def test_an_id_below_what_the_link_brought_is_a_reversal(self, lower: Update) -> None:
        made = at(10)
        count = made.count
        assert made.take(lower, 2) is Took.REVERSAL
        assert (made.grade, made.reason, made.reversed, made.before) == (State.SYNCING, WENT_BACK, True, 10)
        assert not made.chain
        assert made.count is not count
        assert not made.count.follows(count), "it may be two frames that were swapped"
        assert not made.count.fresh

    def test_not_where_deltas_overlap(self) -> None:
        made = at(10, in_band=False, overlaps=True)
        assert made.take(delta(7, 12, [("99", "7")]), 2) is Took.APPLIED
        assert made.take(delta(7, 12), 3) is Took.OLD
        assert made.take(delta(7, 11), 4) is Took.REVERSAL

    def test_a_reversal_goes_by_what_the_link_brought_not_by_where_the_book_stands(self) -> None:
        made = ahead(20, heard=10)
        assert made.take(step(11), 3) is Took.OLD
        assert made.take(delta(11, 19), 4) is Took.OLD
        assert made.take(delta(19, 21, [("99", "7")]), 5) is Took.APPLIED
        assert (made.last, best(made)) == (21, ("99", "7"))

    def test_a_frame_that_cannot_be_read_leaves_the_book_as_it_was(self) -> None:
        made = at(10)
        with pytest.raises(FrameError):
            made.take(delta(10, 11, [("99", "7"), ("98", "-1")]), 2)
        assert (made.last, best(made), made.grade, made.moved_ns) == (10, ("99", "1"), State.LIVE, 1)

    def test_a_book_that_crosses_is_told_of(self) -> None:
        assert at(10).take(delta(10, 11, [("101", "1")]), 2) is Took.CROSSED

    def test_a_side_is_cut_where_the_exchange_expects_it(self) -> None:
        made = at(10, kept=2, truncates=True)
        made.take(delta(10, 11, [("98.5", "3")]), 2)
        assert [price for price, _ in made.book.texts(9)[0]] == ["99", "98.5"]


class TestNewCounts:
    def test_a_delta_from_the_last_id_to_a_lower_one_begins_one(self) -> None:
        made = at(1000)
        before = made.count
        assert made.take(delta(1000, 7, [("99", "3")]), 2) is Took.TURNED
        assert (made.last, made.heard, best(made), made.grade) == (7, 7, ("99", "3"), State.LIVE)
        assert made.count.follows(before)
        assert made.take(step(8), 3) is Took.APPLIED

    def test_ids_that_are_missing_before_it_are_a_gap_of_so_many(self) -> None:
        made = at(1000)
        assert made.take(delta(1003, 7, [("99", "3")]), 2) is Took.LEAPT
        assert (made.last, made.grade, made.missing) == (7, State.GAPPED, 3)

    def test_one_that_comes_while_ids_are_missing_already_leaves_no_book(self) -> None:
        made = at(1000)
        before = made.count
        made.take(step(1003), 2)
        assert made.take(delta(1003, 7), 3) is Took.LOST
        assert (made.grade, made.count.follows(before), bool(made.chain)) == (State.SYNCING, True, False)

    def test_nor_does_one_that_begins_before_where_the_book_was_joined(self) -> None:
        made = ahead(20, heard=10)
        assert made.take(delta(12, 5), 3) is Took.LOST

    def test_without_a_book_only_the_chain_begins_anew(self) -> None:
        made = stream()
        made.take(step(1000), 1)
        before = made.count
        assert made.take(delta(1000, 7), 2) is Took.HELD
        assert not made.chain
        assert made.count.follows(before)
        made.take(step(8), 3)
        assert made.chain.begins == 7

    def test_a_snapshot_below_what_the_link_brought_begins_one(self) -> None:
        made = at(1000)
        before = made.count
        made.start(snapshot(5), 2, 2)
        assert (made.last, made.count.follows(before)) == (5, True)

    def test_one_above_does_not(self) -> None:
        made = at(1000)
        before = made.count
        made.start(snapshot(2000), 2, 2)
        assert made.count is before

    def test_a_joined_book_behind_where_it_stood_is_of_a_new_count(self) -> None:
        made = at(1000)
        before = made.count
        made.settle(book_of(7), 7, snapshot(7), 0, 2, 2)
        assert made.count.follows(before)
        same = made.count
        made.settle(book_of(9), 9, snapshot(9), 0, 3, 3)
        assert made.count is same


class TestCount:
    def test_it_follows_what_came_before_it_directly_or_not(self) -> None:
        first = Count()
        second = Count(first)
        third = Count(second)
        assert second.follows(first)
        assert third.follows(first)
        assert not first.follows(second)
        assert not first.follows(first)
        assert not third.follows(Count())

    def test_only_one_of_which_nothing_is_known_is_fresh(self) -> None:
        assert Count().fresh
        assert not Count(Count()).fresh
        assert not Count(fresh=False).fresh

    def test_the_oldest_are_forgotten(self) -> None:
        first = newest = Count()
        for _ in range(3):
            newest = Count(newest)
        assert not newest.follows(first)
        assert newest.before is not None
        assert newest.follows(newest.before)


class TestSnapshots:
    def test_it_is_the_book_and_what_was_kept_before_it_is_dropped(self) -> None:
        made = at(10)
        made.take(step(15), 2)
        made.missing = 4
        assert made.start(snapshot(20, "7"), 3, 4) is Took.APPLIED
        assert (made.stage, made.last, made.missing, best(made)) == (Stage.SYNCED, 20, 0, ("99", "7"))
        assert (made.moved_ns, made.wall_ns, bool(made.chain)) == (3, 4, False)

    def test_one_that_cannot_be_read_leaves_the_book_as_it_was(self) -> None:
        made = at(10)
        with pytest.raises(FrameError):
            made.start(Update("X", True, [("99", "x")], ASKS, seq=20), 2, 2)
        assert (made.last, best(made), made.heard) == (10, ("99", "1"), 10)

    def test_one_without_an_id_says_nothing_of_where_the_link_is(self) -> None:
        made = stream(ordered=False)
        made.start(Update("X", True, [("99", "1")], ASKS), 1, 1)
        assert (made.last, made.heard, made.grade) == (0, None, State.LIVE)

    def test_a_crossed_one_is_kept_as_sent_until_it_uncrosses(self) -> None:
        made = stream()
        made.start(Update("X", True, [("105", "1"), ("99", "1")], ASKS, seq=10), 1, 1)
        assert (made.grade, made.crossed_as_sent, made.sound) == (State.CROSSED, True, False)
        assert made.take(delta(10, 11, [("105", "2")]), 2) is Took.CROSSED
        assert made.take(delta(11, 12, [("105", "0")]), 3) is Took.APPLIED
        assert (made.grade, made.reason, made.crossed_as_sent) == (State.LIVE, "", False)

    def test_checksums_must_come_out_over_the_texts_as_received(self) -> None:
        made = stream(checksum=RULE)
        bids = [("99", "1.0"), ("98", "2")]
        right = RULE.compute(bids, ASKS)
        assert made.start(Update("X", True, bids, ASKS, seq=10, checksum=right), 1, 1) is Took.APPLIED
        bids = [("99", "5.00"), ("98", "2")]
        good, bad = RULE.compute(bids, ASKS), RULE.compute([("99", "5"), ("98", "2")], ASKS)
        assert made.take(Update("X", False, bids[:1], [], prev_seq=10, seq=11, checksum=good), 2) is Took.APPLIED
        assert made.take(Update("X", False, [], [], prev_seq=11, seq=12, checksum=bad), 3) is Took.BAD_SUM
        assert made.found_sum == good
        assert made.start(Update("X", True, bids, ASKS, seq=13, checksum=7), 4, 4) is Took.BAD_SUM

    def test_a_book_that_is_known_to_lack_something_is_not_summed_up(self) -> None:
        made = stream(checksum=RULE)
        bids = [("99", "1"), ("98", "2")]
        made.start(Update("X", True, bids, ASKS, seq=10, checksum=RULE.compute(bids, ASKS)), 1, 1)
        made.flaw(State.GAPPED, "frames are missing")
        assert made.take(Update("X", False, [], [], prev_seq=10, seq=11, checksum=7), 2) is Took.APPLIED


class TestJoining:
    def test_a_book_is_brought_to_where_the_chain_ends(self) -> None:
        made = stream()
        for n in (11, 12, 13):
            made.take(step(n, str(n)), n)
        book = book_of(11)
        assert made.joined(book, 11) == (13, 2, made.chain.items[-1][1])
        assert book.texts(1)[0] == [("99", "13")]
        assert made.joined(book_of(13), 13) == (13, 0, None)

    def test_one_that_crosses_when_it_is_joined_is_none_unless_it_is_as_sent(self) -> None:
        made = stream()
        made.take(delta(10, 11, [("101", "1")]), 1)
        with pytest.raises(FrameError, match="best bid 101 is not below"):
            made.joined(book_of(10), 10)
        assert made.joined(book_of(10), 10, crossed=True)[0] == 11

    def test_one_that_lacks_ids_is_repaired(self) -> None:
        made = stream()
        made.take(delta(10, 11, [("101", "1")]), 1)
        book = book_of(10)
        made.joined(book, 10, gapped=True)
        assert book.texts(1) == ([("101", "1")], [("102", "2")])

    def test_the_book_of_a_sibling_is_copied_with_its_grade_and_its_count(self) -> None:
        source, made = at(12), stream()
        source.limit = 50
        for n in (12, 13):
            made.take(step(n, str(n)), n)
        assert made.inherit(source, 20, 21) == 1
        assert (made.last, best(made), made.grade, made.limit) == (13, ("99", "13"), State.LIVE, 50)
        assert (made.count, made.moved_ns, made.wall_ns) == (source.count, 20, 21)
        assert (source.last, best(source)) == (12, ("99", "1")), "what is taken is a copy"

    def test_one_that_lacks_ids_is_taken_with_what_it_lacks_and_the_chain_is_kept(self) -> None:
        source, made = at(10), stream()
        source.take(step(13), 2)
        source.leap(source)
        source.apply(step(13), 3)
        made.take(step(13), 4)
        made.take(step(14), 5)
        made.inherit(source, 6, 6)
        assert (made.last, made.grade, made.missing, made.reason) == (14, State.GAPPED, 2, source.reason)
        assert (made.chain.begins, made.chain.ends) == (12, 14), "a snapshot is still to come"

    def test_what_cannot_be_taken_leaves_the_stream_as_it_was(self) -> None:
        source, made = at(10), stream()
        made.take(delta(10, 11, [("101", "1")]), 1)
        count = made.count
        with pytest.raises(FrameError):
            made.inherit(source, 2, 2)
        assert (made.grade, made.last, made.chain.ends) == (State.SYNCING, 0, 11)
        assert made.count is count

    def test_a_gap_is_leapt_over_and_adds_to_what_is_missing(self) -> None:
        made = at(10)
        made.take(step(13), 2)
        assert made.leap(made) == 2
        assert (made.grade, made.missing, made.stage) == (State.GAPPED, 2, Stage.SYNCED)
        made.apply(step(13), 3)
        made.take(step(20), 4)
        assert (made.leap(made), made.missing) == (6, 8)

    def test_or_from_the_book_of_another(self) -> None:
        source, made = at(10), stream()
        made.take(step(15), 2)
        assert made.leap(source) == 4
        assert (made.last, made.count, made.grade) == (10, source.count, State.GAPPED)
        made.apply(step(15, "7"), 3)
        assert best(source) == ("99", "1")

    def test_a_worse_flaw_is_not_hidden_by_a_lesser_one(self) -> None:
        made = at(10)
        made.flaw(State.CROSSED, "crossed")
        made.flaw(State.GAPPED, "gapped")
        assert (made.grade, made.reason) == (State.CROSSED, "crossed")

    def test_what_is_lost_is_only_shown(self) -> None:
        made = at(10)
        made.take(step(13), 2)
        count = made.count
        made.lose("a frame is missing")
        assert (made.grade, made.stage, made.reason, bool(made.chain)) == (
            State.SYNCING, Stage.WAITING, "a frame is missing", False)  # fmt: skip
        assert (best(made), made.count) == (("99", "1"), count)


class TestSteps:
    def test_the_newest_are_remembered_and_the_oldest_that_met_none_yet(self) -> None:
        made = at(100)
        for n in range(101, 301):
            made.remember(n, n - 1, n)
        assert len(made.digests) == REMEMBERED_STEPS
        assert made.digests[101] == (100, 101), "the anchor"
        assert min(seq for seq in made.digests if seq != 101) == 301 - REMEMBERED_STEPS + 1

    def test_what_is_at_hand_is_remembered_when_a_sibling_appears(self) -> None:
        made = stream()
        made.take(step(11), 1)
        made.take(step(12), 2)
        made.remember_lately()
        assert list(made.digests) == [11, 12]
        made = at(10)
        made.remember_lately()
        assert not made.digests, "a snapshot is no step"
        made.take(step(11), 2)
        made.remember_lately()
        assert list(made.digests) == [11]

    def test_those_of_a_count_that_is_gone_are_forgotten(self) -> None:
        for gone in (delta(1000, 7), delta(500, 501)):
            made = at(1000)
            made.remember(1000, 999, 1)
            made.take(gone, 2)
            assert not made.digests


class TestChain:
    def chain(self, *updates: Update, limit: int = 100, age_ns: int = 10**12) -> Chain:
        made = Chain(limit, age_ns)
        for n, update in enumerate(updates):
            made.add(update, n)
        return made

    def test_it_begins_anew_where_an_id_is_missing(self) -> None:
        made = self.chain(step(11), step(12), step(14), step(15))
        assert (made.begins, made.ends, len(made.items)) == (13, 15, 2)

    def test_what_is_too_much_or_too_old_is_dropped_at_its_beginning(self) -> None:
        made = self.chain(*[step(n) for n in range(11, 21)], limit=3)
        assert (made.begins, made.ends) == (17, 20)
        made = self.chain(*[step(n) for n in range(11, 21)], age_ns=4)
        assert (made.begins, made.since_ns) == (15, 5)
        many = [("99", "1")] * (MAX_LEVELS // 2)
        assert self.chain(*[delta(n, n + 1, many) for n in range(10, 15)]).begins == 13

    def test_the_newest_is_kept_however_big(self) -> None:
        assert self.chain(step(11), delta(11, 12, [("99", "1")] * (MAX_LEVELS + 1))).begins == 11

    @pytest.mark.parametrize(
        ("seq", "fit", "doubtful"),
        [
            (9, Fit.TOO_OLD, Fit.TOO_OLD),
            (10, Fit.FITS, Fit.FITS),
            (11, Fit.FITS, Fit.FITS),
            (12, Fit.FITS, Fit.FITS),
            (13, Fit.FITS, Fit.UNPROVEN),
        ],
    )
    def test_a_book_fits_where_the_chain_begins_at_or_before_it(self, seq: int, fit: Fit, doubtful: Fit) -> None:
        made = self.chain(step(11), step(12))
        assert (made.fit(seq), made.fit(seq, doubtful=True)) == (fit, doubtful)

    def test_an_empty_one_proves_nothing(self) -> None:
        made = self.chain()
        assert (made.fit(10), bool(made), made.after(0)) == (Fit.UNPROVEN, False, [])

    def test_what_follows_on_a_book_and_which_ids_are_named(self) -> None:
        made = self.chain(delta(10, 15), delta(15, 20))
        assert [update.seq for update in made.after(15)] == [20]
        assert [seq for seq in range(9, 22) if made.names(seq)] == [10, 15, 20]

    def test_a_copy_goes_its_own_way_and_one_extends_another(self) -> None:
        made = self.chain(step(11))
        twin = made.copy()
        made.add(step(12), 5)
        assert (made.ends, twin.ends) == (12, 11)
        twin.extend(made)
        assert twin.ends == 12


class TestContradictions:
    def found(self, seq: int, *updates: Update, limit: int = 0, bids=(("99", "1"), ("98", "2"))) -> str:
        chain = Chain(100, 10**12)
        for update in updates:
            chain.add(update, 1)
        book = new_book()
        book.replace(list(bids), ASKS, limit)
        return chain.contradiction(book, seq)

    def test_a_book_must_show_what_the_chain_says_of_its_id(self) -> None:
        assert self.found(11, delta(10, 11, [("99", "1.0")])) == ""
        assert self.found(11, delta(10, 11, [("99", "5")])) == "bid 99 is 5, not 1"
        assert self.found(11, delta(10, 11, [("97", "5")])) == "bid 97 is 5, not 0"
        assert self.found(11, delta(10, 11, [("98", "0")])) == "bid 98 is 0, not 2"
        assert self.found(11, delta(10, 11, [], [("102", "3")])) == "ask 102 is 3, not 2"

    def test_the_last_word_before_it_counts(self) -> None:
        assert self.found(12, delta(10, 11, [("99", "5")]), delta(11, 12, [("99", "1")])) == ""
        assert self.found(12, delta(10, 11, [("99", "1")]), delta(11, 12, [("99", "5")])) != ""
        assert self.found(11, delta(10, 11, [("99", "1")]), delta(11, 12, [("99", "5")])) == ""

    def test_what_a_delta_across_it_names_is_not_judged(self) -> None:
        first, across = delta(10, 11, [("99", "5"), ("98", "9")]), delta(11, 15, [("99", "7")])
        assert self.found(13, first, across, bids=[("99", "6"), ("98", "9")]) == ""
        assert self.found(13, first, across) == "bid 98 is 9, not 2"

    def test_what_lies_beyond_the_proven_range_is_not_judged(self) -> None:
        assert self.found(11, delta(10, 11, [("90", "5")], [("110", "5")]), limit=2) == ""
        assert self.found(11, delta(10, 11, [("98.5", "5")]), limit=2) != ""

    def test_a_chain_that_does_not_reach_it_says_nothing(self) -> None:
        wrong = delta(10, 11, [("99", "5")])
        assert self.found(12, wrong) == ""
        assert self.found(10, wrong) == ""
        assert self.found(10) == ""
