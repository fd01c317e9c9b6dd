"""Every book on the bus: its last message as bytes, decoded only when somebody needs to know.

500 books at 10 messages a second must cost next to nothing, so
1. the bus handler `take` stores the bytes and counts, no more;
2. `refresh`, once a second, decodes the last message of each book that moved;
3. lost messages are found without decoding each: between two refreshes the revision must have grown by
   exactly as many messages as arrived. (A message that the stream delivers twice hides one loss.)

A book's state is the one its validator published, as long as that validator is heard of. When it falls silent
nobody vouches for its books any more, and they are UNKNOWN here, whatever their last message claims.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from hoga.domain.errors import FrameError
from hoga.domain.types import Stamp
from hoga.wire import pb, subjects
from hoga.wire.columns import Columns, read

SECOND = 1_000_000_000
MAX_BOOKS = 20_000
LATE_NS = 2 * SECOND
"""A message is taken for old on arrival only beyond this: clocks of two hosts differ a little."""

LIVE = "LIVE"
HALTED = "HALTED"
UNKNOWN = "UNKNOWN"
STATES = (LIVE, "SYNCING", "GAPPED", "STALE", "CROSSED", HALTED, UNKNOWN)
Doubt = Callable[[int], str]
"""epoch -> why its publisher cannot be relied on; empty where it can."""

_STATE_NAMES = {number: name.removeprefix("BOOK_STATE_") for name, number in pb.BookState.items() if number}


@dataclass(slots=True)
class Book:
    """One book subject. The first four fields are all that the bus handler touches."""

    exchange: str
    symbol: str
    payload: bytes = b""
    messages: int = 0
    arrived_ns: int = 0
    """Monotonic."""
    book: pb.OrderBook = field(default_factory=pb.OrderBook)
    """The last decoded message."""
    columns: Columns = field(default_factory=lambda: read(pb.OrderBook()))
    """Its levels."""
    published_state: str = UNKNOWN
    published_reason: str = "nothing received yet"
    state: str = UNKNOWN
    reason: str = "nothing received yet"
    since_ns: int = 0
    """Monotonic; when `state` began."""
    rate: float = 0.0
    """Messages a second, smoothed."""
    lost: int = 0
    """Messages that the bus did not bring."""
    late_ns: int = 0
    """How old the last message was when it arrived, where that is beyond doubt."""
    changed: int = 0
    """The number of the refresh that last changed anything here."""
    _decoded: int = 0
    """`messages` at the last decode."""

    def age_ns(self, mono_ns: int) -> int:
        """Time since the validator published the last message."""
        return max(0, mono_ns - self.arrived_ns) + self.late_ns

    def decode(self, now: Stamp) -> None:
        """Reads the newest message, if there is one that was not read yet."""
        fresh = self.messages - self._decoded
        if fresh <= 0:
            return
        self._decoded = self.messages
        try:
            book = pb.OrderBook.FromString(self.payload)
            columns = read(book)
        except (DecodeError, FrameError):
            self.published_state, self.published_reason = UNKNOWN, "the message cannot be decoded"
            return
        if (book.exchange, book.symbol) != (self.exchange, self.symbol):
            self.published_state, self.published_reason = UNKNOWN, "the message names another book than its subject"
            return
        before = self.book
        if book.epoch == before.epoch and before.revision:
            self.lost += max(0, book.revision - before.revision - fresh)
        arrived_wall_ns = now.wall_ns - (now.mono_ns - self.arrived_ns)
        late_ns = arrived_wall_ns - book.publish_time_ns if book.publish_time_ns else 0
        self.late_ns = late_ns if late_ns > LATE_NS else 0
        self.book, self.columns = book, columns
        self.published_state = _STATE_NAMES.get(book.state, UNKNOWN)
        self.published_reason = book.reason

    def judge(self, now: Stamp, doubt: Doubt) -> bool:
        """Settles `state` and `reason` from the last decoded message; whether anything changed."""
        state, reason = self.published_state, self.published_reason
        if state not in (HALTED, UNKNOWN) and (why := doubt(self.book.epoch)):
            state, reason = UNKNOWN, why
        if state == self.state and reason == self.reason and self.since_ns:
            return False
        if state != self.state or not self.since_ns:
            self.since_ns = now.mono_ns
        self.state, self.reason = state, reason
        return True


class BookTable:
    """All books by subject. `refresh` is to be called about once a second."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._books: dict[str, Book] = {}
        self._before: dict[str, int] = {}
        self._refreshed_ns = 0
        self.refreshes = 0
        self.messages = 0
        self.ignored = 0
        """Messages of subjects that are not ours or beyond MAX_BOOKS."""

    def take(self, subject: str, payload: bytes) -> None:
        """The bus handler."""
        book = self._books.get(subject)
        if book is None:
            book = self._admit(subject)
            if book is None:
                self.ignored += 1
                return
        book.payload = payload
        book.messages += 1
        book.arrived_ns = self._clock()
        self.messages += 1

    def get(self, exchange: str, symbol: str) -> Book | None:
        """The book of a symbol, None where none was ever seen."""
        try:
            return self._books.get(subjects.book(exchange, symbol))
        except ValueError:
            return None

    def all(self) -> list[Book]:
        """Every book that was judged: one seen for the first time since the last refresh is not there yet."""
        return [book for book in self._books.values() if book.since_ns]

    def __len__(self) -> int:
        return len(self._books)

    def refresh(self, now: Stamp, doubt: Doubt) -> dict[tuple[str, str], int]:
        """Brings every book up to date and returns how many messages each one that moved had."""
        self.refreshes += 1
        elapsed_ns = now.mono_ns - self._refreshed_ns if self._refreshed_ns else 0
        self._refreshed_ns = now.mono_ns
        moved: dict[tuple[str, str], int] = {}
        for subject, book in self._books.items():
            fresh = book.messages - self._before.get(subject, 0)
            if fresh:
                self._before[subject] = book.messages
                moved[book.exchange, book.symbol] = fresh
            book.decode(now)
            rate = _smooth(book.rate, fresh, elapsed_ns)
            if book.judge(now, doubt) or fresh or rate != book.rate:
                book.changed = self.refreshes
            book.rate = rate
        return moved

    def _admit(self, subject: str) -> Book | None:
        if len(self._books) >= MAX_BOOKS:
            return None
        try:
            kind, exchange, symbol = subjects.split(subject)
        except ValueError:
            return None
        if kind != "book":
            return None
        book = self._books[subject] = Book(exchange, symbol)
        return book


def _smooth(rate: float, fresh: int, elapsed_ns: int) -> float:
    """The rate after another period: quick to rise, down to exactly zero when nothing comes any more."""
    if elapsed_ns <= 0:
        return rate
    now = fresh * SECOND / elapsed_ns
    smoothed = now if rate == 0 else 0.7 * rate + 0.3 * now
    return smoothed if smoothed >= 0.005 else 0.0
