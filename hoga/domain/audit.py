"""Comparing a LIVE book with an independent snapshot of the exchange: the book checks itself against the source.

Where a snapshot carries the stream's own id, both are compared at that id, level by level (`differences`). Elsewhere
nothing says at which moment of the stream a snapshot was taken, but some levels stood still all the time:

1. for a while before the snapshot is asked for, and for a while after it has come, every price that the stream
   touches is written down;
2. a level that was not touched in that time was the same at every moment of it, so the snapshot must show it, and
   what the snapshot shows at a price that was not touched must be in the book;
3. what contradicts this counts as a disagreement when a second snapshot says the same of the same price: exchanges
   gather changes, so a size that came and went between two frames may be caught once, not twice;
4. both are compared only as deep as both are proven; where the exchange keeps so many levels for us, only as deep as
   they reached at every moment of that time: what lay deeper came and went unseen.
"""

from __future__ import annotations

from enum import Enum

from hoga.domain.actions import Action, RequestSnapshot
from hoga.domain.books import UNIT_DECIMALS, Book, new_book
from hoga.domain.errors import FrameError
from hoga.domain.numbers import scale, text_of
from hoga.domain.types import Level, Stamp, Update

PRIORITY = 9
"""After everything that mends a book."""
LEAD_NS = 2_000_000_000
GRACE_NS = 2_000_000_000
PATIENCE_NS = 30_000_000_000
"""An answer that has not come by then is not waited for: the request budget had better uses."""


AGREED = "a fresh snapshot shows the same levels"


class Outcome(Enum):
    AGREED = "agreed"
    DISAGREED = "disagreed"
    OPEN = "open"
    """Nothing was proven, either way."""


class _Phase(Enum):
    IDLE = 0
    WATCHING = 1
    ASKED = 2
    ANSWERED = 3


class Audit:
    """One audit at a time of one book."""

    __slots__ = (
        "_answer",
        "_asks",
        "_bids",
        "_book",
        "_due_ns",
        "_high",
        "_kept",
        "_limit",
        "_low",
        "_phase",
        "_suspects",
        "detail",
    )

    def __init__(self, kept: int = 0) -> None:
        """`kept`: levels a side that the exchange keeps for us; what lies deeper is not in the book. 0: no limit."""
        self._kept = kept
        self._phase = _Phase.IDLE
        self._book: Book | None = None
        self._due_ns = 0
        self._bids: set[int] = set()
        self._asks: set[int] = set()
        self._answer: Update | None = None
        self._limit = 0
        self._low: int | None = None
        self._high: int | None = None
        """The least range that the kept levels reached in that time; None where they reach to the end."""
        self._suspects: frozenset[tuple[str, str]] = frozenset()
        self.detail = ""
        """What was found, of the last disagreement."""

    @property
    def running(self) -> bool:
        return self._phase is not _Phase.IDLE

    @property
    def asked(self) -> bool:
        """Whether the next snapshot is the audit's."""
        return self._phase is _Phase.ASKED

    def begin(self, book: Book, stamp: Stamp) -> None:
        """Watches the book from now on; `tick` asks for the snapshot when the time has come."""
        if self.running:
            return
        self._book = book
        self._bids, self._asks, self._answer = set(), set(), None
        self._low = self._high = None
        self._reach(book)
        self._phase, self._due_ns = _Phase.WATCHING, stamp.mono_ns + LEAD_NS

    def stop(self) -> Outcome | None:
        """The book is not the same any more, or not LIVE."""
        self._suspects = frozenset()
        return self._end(Outcome.OPEN) if self.running else None

    def touch(self, bids: list[Level], asks: list[Level]) -> None:
        """The levels of a delta that the book has taken; cheap while no audit runs."""
        if not self.running or self._book is None:
            return
        self._reach(self._book)
        self._bids.update(scale(price, UNIT_DECIMALS) for price, _ in bids)
        self._asks.update(scale(price, UNIT_DECIMALS) for price, _ in asks)

    def replaced(self, book: Book) -> None:
        """A whole frame took the place of the book: what differs was touched."""
        if not self.running or self._book is None:
            return
        old, self._book = self._book, book
        for touched, before, after in zip((self._bids, self._asks), old.values(), book.values(), strict=True):
            touched.update(price for price, _ in before.items() ^ after.items())
        self._reach(book)

    def _reach(self, book: Book) -> None:
        """Narrows the range to what the book reaches now. Fewer levels than are kept may be all there are, or some may
        be too small to be shown: nothing is said of what lies beyond the last one."""
        if self._kept and (bids := book.bid_range):
            self._low = bids[0] if self._low is None else max(self._low, bids[0])
        if self._kept and (asks := book.ask_range):
            self._high = asks[1] if self._high is None else min(self._high, asks[1])

    def answer(self, update: Update, limit: int, stamp: Stamp) -> None:
        """The snapshot that was asked for; `limit` levels a side at most."""
        self._answer, self._limit = update, limit
        self._phase, self._due_ns = _Phase.ANSWERED, stamp.mono_ns + GRACE_NS

    def tick(self, stamp: Stamp) -> tuple[list[Action], Outcome | None]:
        """What is to be asked for, and how the audit ended, where it did."""
        if not self.running or stamp.mono_ns < self._due_ns:
            return [], None
        if self._phase is _Phase.WATCHING:
            self._phase, self._due_ns = _Phase.ASKED, stamp.mono_ns + PATIENCE_NS
            return [RequestSnapshot(PRIORITY, 1)], None
        if self._phase is _Phase.ASKED:
            return [], self._end(Outcome.OPEN)
        return [], self._judge(stamp)

    def _judge(self, stamp: Stamp) -> Outcome | None:
        book, answer, snapshot = self._book, self._answer, new_book()
        if book is None or answer is None:
            return self._end(Outcome.OPEN)
        try:
            snapshot.replace(answer.bids, answer.asks, self._limit)
        except FrameError:
            return self._end(Outcome.OPEN)
        reach = (self._low, self._high)
        compared, found = _contradictions(book, snapshot, self._bids, self._asks, reach)
        again = self._suspects & found.items()
        first_time = bool(found) and not again
        self._suspects = frozenset(found.items())
        if again:
            self.detail = "; ".join(words for _, words in sorted(again)[:3])
            self._suspects = frozenset()
            return self._end(Outcome.DISAGREED)
        self._phase = _Phase.IDLE
        if first_time:
            self.begin(book, stamp)  # once more, to be sure
            return None
        return Outcome.AGREED if compared else Outcome.OPEN

    def _end(self, outcome: Outcome) -> Outcome:
        self._phase, self._book, self._answer = _Phase.IDLE, None, None
        return outcome


def differences(one: Book, other: Book) -> list[str]:
    """Where two books of the same moment differ, as deep as both are proven; at most a few, for people."""
    _, found = _contradictions(one, other, set(), set(), (None, None))
    return list(found.values())[:3]


def _contradictions(
    book: Book,
    snapshot: Book,
    touched_bids: set[int],
    touched_asks: set[int],
    reach: tuple[int | None, int | None],
) -> tuple[int, dict[str, str]]:
    """(levels compared, side and price -> what differs). Touched prices and the reach are in units."""
    low = max((bound for bound in (book.low, snapshot.low, reach[0]) if bound is not None), default=0)
    high = min((bound for bound in (book.high, snapshot.high, reach[1]) if bound is not None), default=None)
    (our_bids, our_asks), (their_bids, their_asks) = book.values(), snapshot.values()
    compared, found = 0, {}
    for name, ours, theirs, touched in (
        ("bid", our_bids, their_bids, touched_bids),
        ("ask", our_asks, their_asks, touched_asks),
    ):
        for price in ours.keys() | theirs.keys():
            beyond = price < low if name == "bid" else high is not None and price > high
            if beyond or price in touched:
                continue
            compared += 1
            our_size, their_size = ours.get(price, 0), theirs.get(price, 0)
            if our_size != their_size:
                key = f"{name} {text_of(price, UNIT_DECIMALS)}"
                sizes = text_of(our_size, UNIT_DECIMALS), text_of(their_size, UNIT_DECIMALS)
                found[key] = f"{key}: the book has {sizes[0]}, the snapshot {sizes[1]}"
    return compared, found
