"""A book compared with an independent snapshot: what counts, what does not, and when it ends."""

from __future__ import annotations

from hoga.domain.actions import RequestSnapshot
from hoga.domain.audit import GRACE_NS, LEAD_NS, PATIENCE_NS, Audit, Outcome, differences
from hoga.domain.books import Book, new_book
from hoga.domain.types import Level, Stamp, Update

BIDS = [("99", "1"), ("98", "2"), ("97", "3")]
ASKS = [("101", "1"), ("102", "2"), ("103", "3")]


def book_of(bids: list[Level], asks: list[Level], limit: int = 0) -> Book:
    made = new_book()
    made.replace(bids, asks, limit)
    return made


class Room:
    """An audit of one book, with the clock in the test's hand."""

    def __init__(self, bids=BIDS, asks=ASKS, kept: int = 0, *, audit: Audit | None = None) -> None:
        self.book = book_of(bids, asks)
        self.audit = audit or Audit(kept)
        self.now_ns = 0
        self.audit.begin(self.book, Stamp(0, 0))

    def wait(self, ns: int) -> Outcome | None:
        self.now_ns += ns
        _, outcome = self.audit.tick(Stamp(self.now_ns, 0))
        return outcome

    def change(self, bids=(), asks=(), depth: int = 0) -> None:
        self.book.apply(list(bids), list(asks))
        if depth:
            self.book.truncate(depth)
        self.audit.touch(list(bids), list(asks))

    def answer(self, bids, asks, limit: int = 0) -> Outcome | None:
        """The snapshot comes when it is asked for; how the audit stands after the time of grace."""
        self.wait(LEAD_NS)
        assert self.audit.asked
        self.audit.answer(Update("X", True, list(bids), list(asks)), limit, Stamp(self.now_ns, 0))
        return self.wait(GRACE_NS)


def test_it_watches_for_a_while_then_asks_once() -> None:
    room = Room()
    assert room.audit.tick(Stamp(LEAD_NS - 1, 0)) == ([], None)
    actions, _ = room.audit.tick(Stamp(LEAD_NS, 0))
    assert actions == [RequestSnapshot(9, 1)]
    assert room.audit.tick(Stamp(LEAD_NS + 1, 0)) == ([], None)


def test_equal_books_agree_however_their_numbers_are_spelled() -> None:
    room = Room()
    assert room.answer([("99.0", "1.00"), ("98", "2"), ("97", "3")], ASKS) is Outcome.AGREED
    assert not room.audit.running


def test_a_wrong_missing_or_ghost_level_is_a_disagreement_when_it_is_seen_twice() -> None:
    for bids in ([("99", "1"), ("98", "5"), ("97", "3")], [*BIDS, ("96", "1")], BIDS[:1]):
        room = Room()
        assert room.answer(bids, ASKS) is None
        assert room.answer(bids, ASKS) is Outcome.DISAGREED
        assert "bid 9" in room.audit.detail


def test_what_is_seen_once_is_none() -> None:
    room = Room()
    assert room.answer([("99", "1"), ("98", "5"), ("97", "3")], ASKS) is None
    assert room.answer(BIDS, ASKS) is Outcome.AGREED


def test_nor_what_is_seen_twice_with_different_sizes() -> None:
    """A size that flickers between two frames may be caught twice; a level that stood still looks the same twice."""
    room = Room()
    assert room.answer([("99", "1"), ("98", "5"), ("97", "3")], ASKS) is None
    assert room.answer([("99", "1"), ("98", "6"), ("97", "3")], ASKS) is None
    assert room.answer([("99", "1"), ("98", "6"), ("97", "3")], ASKS) is Outcome.DISAGREED


def test_what_the_stream_touched_meanwhile_is_left_out() -> None:
    room = Room()
    room.change([("98", "7")])
    assert room.answer([("99", "1"), ("98", "2"), ("97", "3")], ASKS) is Outcome.AGREED


def test_finer_prices_meanwhile_do_not_confuse_it() -> None:
    room = Room()
    room.change([("98", "7")])
    room.change([("98.5", "1")])
    assert room.answer([("99", "1"), ("98", "2"), ("97", "3")], ASKS) is Outcome.AGREED


def test_beyond_the_depth_of_the_snapshot_nothing_is_compared() -> None:
    room = Room()
    assert room.answer(BIDS[:2], ASKS[:2], limit=2) is Outcome.AGREED
    room = Room()
    assert room.answer(BIDS[:2], ASKS[:2], limit=3) is None, "it shows two levels of three asked for: all there is"


def test_beyond_what_the_exchange_keeps_for_us_nothing_is_compared() -> None:
    room = Room(kept=3)
    assert room.answer([*BIDS, ("96", "9")], [*ASKS, ("104", "9")]) is Outcome.AGREED


def test_nor_beyond_what_it_kept_at_any_moment_of_that_time() -> None:
    """A level beyond the range went before the range grew to hold its price: no frame ever spoke of it."""
    room = Room(kept=3)
    room.change([("98", "0"), ("95", "1")])
    assert room.answer([*BIDS, ("96", "9")], ASKS) is Outcome.AGREED


def test_an_answer_that_does_not_come_ends_it_open() -> None:
    room = Room()
    room.wait(LEAD_NS)
    assert room.wait(PATIENCE_NS) is Outcome.OPEN


def test_an_answer_that_cannot_be_read_or_has_nothing_to_compare_ends_it_open() -> None:
    assert Room().answer([("x", "1")], ASKS) is Outcome.OPEN
    assert Room([], []).answer([], []) is Outcome.OPEN


def test_stopping_forgets_what_was_suspected() -> None:
    room = Room()
    wrong = [("99", "1"), ("98", "5"), ("97", "3")]
    assert room.answer(wrong, ASKS) is None
    assert room.audit.stop() is Outcome.OPEN
    assert room.audit.stop() is None
    room = Room(audit=room.audit)
    assert room.answer(wrong, ASKS) is None


def test_what_a_whole_frame_changed_was_touched_also_where_it_brought_finer_numbers() -> None:
    room = Room()
    fresh = new_book()
    fresh.replace([("99.25", "1"), ("98", "2.5")], ASKS)
    room.audit.replaced(fresh)
    assert room.answer(BIDS, ASKS) is Outcome.AGREED
    room = Room()
    room.audit.replaced(book_of([("99", "1"), ("98", "4"), ("97", "3")], ASKS))
    assert room.answer(BIDS, ASKS) is Outcome.AGREED
    room.audit.begin(room.book, Stamp(room.now_ns, 0))
    room.audit.replaced(book_of(BIDS, ASKS))
    assert room.answer([*BIDS[:2], ("97", "4")], ASKS) is None


def test_two_books_of_one_moment_differ_only_where_both_are_proven() -> None:
    deep, shallow = book_of(BIDS, ASKS), book_of(BIDS[:2], ASKS[:2], limit=2)
    assert differences(deep, shallow) == []
    assert differences(deep, book_of([("99", "2")], ASKS[:1], limit=1)) == [
        "bid 99: the book has 1, the snapshot 2",
    ]
