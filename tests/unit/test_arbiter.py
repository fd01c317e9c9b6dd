"""Which of the streams of a symbol is published, and which of them count the same."""

from __future__ import annotations

import pytest

from hoga.domain.arbiter import AHEAD_NS, PATIENCE_NS, Arbiter
from hoga.domain.checks import EventTimes, TimeBudget
from hoga.domain.rules import BookRules, Kind
from hoga.domain.stream import Count, Stream
from hoga.domain.types import State, Update
from tests.support.lines import delta, snapshot, step

LIVE, GAPPED, CROSSED, SYNCING = State.LIVE, State.GAPPED, State.CROSSED, State.SYNCING


class Court:
    """An arbiter and streams that stand where the test puts them."""

    def __init__(self, *, ordered: bool = True) -> None:
        self.arbiter = Arbiter(ordered=ordered)
        self.kind = Kind(in_band=True, ordered=ordered)

    def stream(self, link: str, seq: int = 10, grade: State = LIVE, count: Count | None = None) -> Stream:
        made = Stream(link, BookRules(), self.kind, EventTimes(TimeBudget()))
        if grade is not SYNCING:
            made.start(snapshot(seq), 1, 1)
        made.grade, made.open = grade, True
        made.count = count or made.count
        self.arbiter.streams[link] = made
        return made

    def chosen(self, now_ns: int = 1) -> str:
        self.arbiter.choose(now_ns)
        front = self.arbiter.front
        assert front is not None
        self.arbiter.sequence = front.last
        return front.link


class TestChoice:
    @pytest.mark.parametrize("worse", [GAPPED, CROSSED, SYNCING])
    def test_the_better_grade_first(self, worse: State) -> None:
        court = Court()
        court.stream("a", grade=worse)
        court.stream("b")
        assert court.chosen() == "b"

    def test_each_grade_is_better_than_the_next(self) -> None:
        court = Court()
        for link, grade in (("a", SYNCING), ("b", CROSSED), ("c", GAPPED), ("d", LIVE)):
            court.stream(link, grade=grade)
            assert court.chosen() == link

    def test_among_equals_the_choice_is_kept(self) -> None:
        court = Court()
        court.stream("a")
        assert court.chosen() == "a"
        court.stream("b", 50)
        assert court.chosen() == "a", "nobody knows whether 50 of the one is later than 10 of the other"

    def test_of_one_count_the_one_that_is_ahead_leads(self) -> None:
        court = Court()
        first, second = court.stream("a", 10), court.stream("b", 10)
        second.count = first.count
        assert court.chosen() == "a"
        second.last = 11
        assert court.chosen() == "b"
        first.last = 11
        assert court.chosen() == "b"
        first.last = 12
        assert court.chosen() == "a"

    def test_of_two_counts_the_newer_one_leads(self) -> None:
        court = Court()
        first = court.stream("a", 1000)
        assert court.chosen() == "a"
        court.stream("b", 5, count=Count(first.count))
        assert court.chosen() == "b"
        first.last = 2000
        assert court.chosen() == "b", "never into a count that was left"

    def test_not_even_where_it_is_better(self) -> None:
        court = Court()
        first = court.stream("a", 1000)
        second = court.stream("b", 5, count=Count(first.count))
        assert court.chosen() == "b"
        for grade in (GAPPED, SYNCING):
            second.grade = grade
            assert court.chosen(10 * PATIENCE_NS) == "b"

    def test_a_newer_count_takes_over_wherever_it_stands(self) -> None:
        court = Court()
        first = court.stream("a", 1000, GAPPED)
        assert court.chosen() == "a"
        court.stream("b", 5, count=Count(first.count))
        assert court.chosen() == "b"

    @pytest.mark.parametrize("grade", [CROSSED, SYNCING])
    def test_one_that_is_worth_little_does_not_lead_by_being_ahead(self, grade: State) -> None:
        court = Court()
        first, second = court.stream("a", 10, grade), court.stream("b", 20, grade)
        second.count = first.count
        assert court.chosen() == "a"

    def test_one_without_its_link_is_worth_nothing_and_is_shown_until_another_takes_its_place(self) -> None:
        court = Court()
        first = court.stream("a", 10)
        assert court.chosen() == "a"
        first.open = False
        del court.arbiter.streams["a"]
        assert court.chosen() == "a"
        assert (court.arbiter.orphaned, court.arbiter.covered) == (True, False)
        assert court.arbiter.sources == [first]
        court.stream("b", 10)
        assert court.chosen() == "b"
        assert (court.arbiter.orphaned, court.arbiter.covered) == (False, True)

    def test_whether_it_is_another_one_is_told(self) -> None:
        court = Court()
        court.stream("a", grade=SYNCING)
        assert court.arbiter.choose(1)
        assert not court.arbiter.choose(2)


class TestNeverBack:
    def test_a_better_one_that_is_behind_takes_over_when_it_gets_there(self) -> None:
        court = Court()
        first, second = court.stream("a", 15), court.stream("b", 10)
        second.count = first.count
        assert court.chosen() == "a"
        first.grade = GAPPED
        assert court.chosen(2) == "a"
        second.last = 14
        assert court.chosen(3) == "a"
        second.last = 15
        assert court.chosen(4) == "b"

    def test_or_after_a_while_without_a_sound_one(self) -> None:
        court = Court()
        first = court.stream("a", 15)
        court.stream("b", 10)
        assert [court.chosen(1), court.chosen(2)] == ["a", "a"]
        first.grade = GAPPED
        assert court.chosen(100) == "a"
        assert court.chosen(100 + PATIENCE_NS) == "a"
        assert court.chosen(101 + PATIENCE_NS) == "b"

    def test_the_while_begins_anew_with_a_sound_one(self) -> None:
        court = Court()
        first = court.stream("a", 15)
        court.stream("b", 10)
        assert court.chosen() == "a"
        for now, grade in ((100, GAPPED), (PATIENCE_NS, LIVE), (PATIENCE_NS + 1, GAPPED), (PATIENCE_NS + 200, GAPPED)):
            first.grade = grade
            assert court.chosen(now) == "a"

    def test_where_the_ids_of_the_published_one_went_backwards_it_says_nothing_of_other_counts(self) -> None:
        court = Court()
        first = court.stream("a", 1000)
        second = court.stream("b", 5)
        assert court.chosen() == "a"
        first.grade = SYNCING
        second.count = first.count
        assert court.chosen() == "a"
        second.count = Count()
        assert court.chosen() == "b"


class TestUnordered:
    def test_the_better_grade_at_once_and_the_choice_is_kept(self) -> None:
        court = Court(ordered=False)
        first = court.stream("a")
        court.stream("b")
        assert court.chosen() == "a"
        first.grade = GAPPED
        assert court.chosen() == "b"
        first.grade = LIVE
        assert court.chosen() == "b"

    def test_one_that_was_silent_while_another_went_on_is_worth_nothing(self) -> None:
        court = Court(ordered=False)
        first, second = court.stream("a"), court.stream("b")
        assert court.chosen() == "a"
        second.moved_ns = court.arbiter.newest_ns = first.moved_ns + PATIENCE_NS
        assert court.chosen() == "a"
        second.moved_ns = court.arbiter.newest_ns = first.moved_ns + PATIENCE_NS + 1
        assert not court.arbiter.current(first)
        assert court.chosen() == "b"


class TestComparing:
    def two(self) -> tuple[Arbiter, Stream, Stream]:
        court = Court()
        return court.arbiter, court.stream("a"), court.stream("b")

    def test_the_same_step_with_the_same_levels_is_the_same_count(self) -> None:
        arbiter, first, second = self.two()
        assert arbiter.compare(first, step(11)) is None
        assert first.count is not second.count
        assert arbiter.compare(second, step(11)) is None
        assert first.count is second.count
        assert (first.anchor, second.anchor) == (0, 0)

    @pytest.mark.parametrize("other", [delta(9, 11, [("99", "5")]), delta(11, 12, [("99", "5")])])
    def test_another_step_says_nothing(self, other: Update) -> None:
        arbiter, first, second = self.two()
        arbiter.compare(first, step(11))
        assert arbiter.compare(second, other) is None
        assert first.count is not second.count

    def test_nor_does_one_without_levels(self) -> None:
        arbiter, first, second = self.two()
        for stream in (first, second):
            assert arbiter.compare(stream, delta(10, 11)) is None
        assert first.count is not second.count

    def test_the_count_that_is_published_is_kept_and_all_that_shared_the_other_follow(self) -> None:
        court = Court()
        first, second, third = court.stream("a"), court.stream("b"), court.stream("c")
        third.count = first.count
        court.arbiter.front = second
        kept = second.count
        court.arbiter.agree(first, second)
        assert first.count is second.count is third.count is kept

    def test_other_levels_under_one_step_are_a_disagreement(self) -> None:
        arbiter, first, second = self.two()
        arbiter.compare(first, step(11, "5"))
        assert arbiter.compare(second, step(11, "6")) is first

    def test_within_one_count_too(self) -> None:
        arbiter, first, second = self.two()
        second.count = first.count
        first.count.fresh = False
        arbiter.compare(first, step(11, "5"))
        assert arbiter.compare(second, step(11, "6")) is first

    @pytest.mark.parametrize("reversed_one", ["a", "b"])
    def test_not_where_one_is_known_to_count_otherwise(self, reversed_one: str) -> None:
        arbiter, first, second = self.two()
        arbiter.streams[reversed_one].count = Count(fresh=False)
        arbiter.compare(first, step(11, "5"))
        assert arbiter.compare(second, step(11, "6")) is None


class TestFilling:
    """Who may still bring what is missing before the chain of a stream."""

    def waiting(self, **of_sibling) -> bool:
        """Whether anybody may fill 11 and 12 for "a", at time 1000 after it began to wait at 0."""
        court = Court()
        first = court.stream("a", 10)
        second = court.stream("b", 10, of_sibling.pop("grade", LIVE))
        if of_sibling.pop("same", True):
            second.count = first.count
        second.heard_ns = 1
        for update in of_sibling.pop("chain", []):
            second.chain.add(update, 1)
        now_ns, own_count = of_sibling.pop("now_ns", 1000), of_sibling.pop("own_count", True)
        for name, value in of_sibling.items():
            setattr(second, name, value)
        return court.arbiter.may_fill(first, 10, now_ns, since_ns=0, own_count=own_count)

    def test_a_sound_sibling_of_the_same_count_for_a_second(self) -> None:
        assert self.waiting()
        assert self.waiting(now_ns=AHEAD_NS)
        assert not self.waiting(now_ns=AHEAD_NS + 1)

    def test_not_one_that_is_gone_stands_still_itself_or_was_not_heard_for_long(self) -> None:
        assert not self.waiting(open=False)
        assert not self.waiting(stuck_ns=1)
        assert not self.waiting(heard_ns=1000 - PATIENCE_NS - 1)

    def test_not_one_of_another_count_unless_that_does_not_matter(self) -> None:
        assert not self.waiting(same=False)
        assert self.waiting(same=False, own_count=False)

    def test_nor_one_whose_book_is_not_whole(self) -> None:
        assert not self.waiting(grade=GAPPED)
        assert not self.waiting(grade=SYNCING)

    def test_one_without_a_book_whose_chain_begins_early_enough(self) -> None:
        assert self.waiting(grade=SYNCING, chain=[step(11)])
        assert not self.waiting(grade=SYNCING, chain=[step(12)])

    def test_nobody_fills_for_itself(self) -> None:
        court = Court()
        first = court.stream("a", 10)
        first.heard_ns = 1
        assert not court.arbiter.may_fill(first, 10, 1000, since_ns=0)
