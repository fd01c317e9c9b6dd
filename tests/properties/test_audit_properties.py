"""Promises of the audit: a sound book is never contradicted, a level that is wrong and stands still always is.

The stream is that of an exchange which keeps so many levels for us (or all); a snapshot may be of any moment between
the beginning of the watch and its end, and of limited depth.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hoga.domain.audit import GRACE_NS, LEAD_NS, Audit, Outcome
from hoga.domain.books import new_book
from hoga.domain.types import Level, Stamp, Update
from hoga.testing.histories import FIRST_ID, NATIVE, History, histories

Side = list[tuple[int, int]]


@dataclass(frozen=True)
class Window:
    """One watch: it begins at a frame, is answered with the snapshot of a moment, and judges at a later frame."""

    begin: int
    moment: int
    answered: int
    end: int


class Stream:
    """The best `kept` levels of a history as frames, one for each of its steps, and the book that follows them."""

    def __init__(self, history: History, kept: int) -> None:
        self.history = history
        self.kept = kept
        self.told = 0
        self.book = new_book()
        self.book.replace(*self.levels(0, kept))

    @property
    def frames(self) -> int:
        return len(self.history.changes)

    def levels(self, told: int, depth: int) -> tuple[list[Level], list[Level]]:
        bids, asks = self.sides(told, depth)
        return _texts(bids), _texts(asks)

    def sides(self, told: int, depth: int) -> tuple[Side, Side]:
        bids, asks = self.history.at(FIRST_ID + told)
        return bids[: depth or None], asks[: depth or None]

    def still(self, moments: range, depth: int) -> list[tuple[bool, int, int, bool]]:
        """(bid, price, size, whether it is the last one at some moment) of what is the same at all these moments and
        always among the best `depth` levels; also prices at which there is nothing."""
        found = []
        for bid in (True, False):
            spans = [self.sides(told, depth)[0 if bid else 1] for told in moments]
            if not all(spans):
                continue
            low = max(min(price for price, _ in span) for span in spans)
            high = min(max(price for price, _ in span) for span in spans)
            for price in range(low, high + 1):
                sizes = {dict(span).get(price, 0) for span in spans}
                if len(sizes) == 1:
                    found.append((bid, price, sizes.pop(), price == (low if bid else high)))
        return found

    def next(self, audit: Audit) -> None:
        """One frame: what left the range is deleted, what entered it is told."""
        before, after = self.sides(self.told, self.kept), self.sides(self.told + 1, self.kept)
        self.told += 1
        bids, asks = (_texts(_moves(old, new)) for old, new in zip(before, after, strict=True))
        self.book.apply(bids, asks)
        audit.touch(bids, asks)

    def watch(self, audit: Audit, window: Window, limit: int) -> Outcome | None:
        """Plays one watch, from where the stream stands; how it ended."""
        while self.told < window.begin:
            self.next(audit)
        audit.begin(self.book, Stamp(0, 0))
        while self.told < window.answered:
            self.next(audit)
        audit.tick(Stamp(LEAD_NS, 0))
        snapshot = Update(NATIVE, True, *self.levels(window.moment, limit))
        audit.answer(snapshot, limit, Stamp(LEAD_NS, 0))
        while self.told < window.end:
            self.next(audit)
        _, outcome = audit.tick(Stamp(LEAD_NS + GRACE_NS, 0))
        if audit.running:  # it watches again at once; here the next window says when
            audit._phase = type(audit._phase)(0)
        return outcome


def _texts(levels: Side) -> list[Level]:
    return [(str(price), str(size)) for price, size in levels]


def _moves(old: Side, new: Side) -> Side:
    before, after = dict(old), dict(new)
    gone = [(price, 0) for price in before if price not in after]
    return gone + [level for level in new if before.get(level[0]) != level[1]]


@st.composite
def windows(draw: st.DrawFn, frames: int, count: int) -> list[Window]:
    """Watches one after the other."""
    marks = sorted(draw(st.lists(st.integers(0, frames), min_size=3 * count, max_size=3 * count)))
    found = []
    for begin, answered, end in zip(marks[::3], marks[1::3], marks[2::3], strict=True):
        found.append(Window(begin, draw(st.integers(begin, end)), answered, end))
    return found


DEPTHS = st.sampled_from([0, 3, 6])


@settings(max_examples=400, deadline=None)
@given(histories(min_changes=8, max_changes=60), DEPTHS, DEPTHS, st.data())
def test_a_sound_book_is_not_even_suspected(history: History, kept: int, limit: int, data: st.DataObject) -> None:
    stream, audit = Stream(history, kept), Audit(kept)
    for window in data.draw(windows(stream.frames, 4)):
        assert stream.watch(audit, window, limit) in (Outcome.AGREED, Outcome.OPEN)


@settings(max_examples=400, deadline=None)
@given(histories(min_changes=8, max_changes=60), DEPTHS, DEPTHS, st.data())
def test_a_level_that_is_wrong_and_stands_still_is_found_by_two_snapshots_that_reach_it(
    history: History, kept: int, limit: int, data: st.DataObject
) -> None:
    stream, audit = Stream(history, kept), Audit(kept)
    first, second = data.draw(windows(stream.frames, 2))
    while stream.told < first.begin:
        stream.next(audit)
    moments = range(first.begin, second.end + 1)
    still = stream.still(moments, min(kept or 10_000, limit or 10_000))
    assume(still)
    bid, price, true, last = data.draw(st.sampled_from(still))
    # Of a level that is missing at the very end of what is kept for us nothing is said.
    size = data.draw(st.sampled_from([size for size in (0, 4, 77) if size != true and (size or not (kept and last))]))
    stream.book.apply(*(([(str(price), str(size))], []) if bid else ([], [(str(price), str(size))])))
    stream.watch(audit, first, limit)
    assert stream.watch(audit, second, limit) is Outcome.DISAGREED
    assert audit.detail
