"""Deltas of one stream in unbroken order, kept until a book can be joined to them, and the proof that the two fit.

1. deltas are kept from a moment before a snapshot is asked for; where an id is missing, what came before it is
   useless and is dropped;
2. a book at `seq` fits when the chain begins at or before it: nothing between them can be missing (a book ahead of the
   chain holds what the stream is about to bring);
3. deltas up to `seq` are in that book, and it must show their levels (`contradiction`); the rest is applied to it;
4. with no delta at hand nothing shows that a book is not an old cached one.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from hoga.domain.books import UNIT_DECIMALS, Book
from hoga.domain.numbers import scale, text_of
from hoga.domain.types import Level, Update

MAX_LEVELS = 20_000
"""Levels that one chain may hold in memory, however few updates bring them."""


class Fit(Enum):
    FITS = "fits"
    TOO_OLD = "too old"
    UNPROVEN = "unproven"


class Chain:
    """At most `limit` deltas, at most `age_ns` old: hundreds of symbols may wait for minutes until the request budget
    allows their snapshots, and what is older than any answer is of no use."""

    __slots__ = ("_age_ns", "_levels", "_limit", "items")

    def __init__(self, limit: int, age_ns: int) -> None:
        self._limit = limit
        self._age_ns = age_ns
        self._levels = 0
        self.items: deque[tuple[int, Update]] = deque()
        """(when it came, monotonic; the delta)."""

    def __bool__(self) -> bool:
        return bool(self.items)

    @property
    def begins(self) -> int:
        return self.items[0][1].prev_seq

    @property
    def ends(self) -> int:
        return self.items[-1][1].seq

    @property
    def since_ns(self) -> int:
        return self.items[0][0]

    def add(self, update: Update, mono_ns: int) -> None:
        """Keeps a delta; where it does not follow on the one before, the chain begins with it."""
        if self.items and update.prev_seq > self.ends:
            self.clear()
        self.items.append((mono_ns, update))
        self._levels += len(update.bids) + len(update.asks)
        while len(self.items) > 1 and (
            len(self.items) > self._limit or self._levels > MAX_LEVELS or mono_ns - self.since_ns > self._age_ns
        ):
            _, oldest = self.items.popleft()
            self._levels -= len(oldest.bids) + len(oldest.asks)

    def extend(self, other: Chain) -> None:
        for mono_ns, update in other.items:
            self.add(update, mono_ns)

    def copy(self) -> Chain:
        twin = Chain(self._limit, self._age_ns)
        twin.items, twin._levels = self.items.copy(), self._levels
        return twin

    def clear(self) -> None:
        self.items.clear()
        self._levels = 0

    def after(self, seq: int) -> list[Update]:
        return [update for _, update in self.items if update.seq > seq]

    def names(self, seq: int) -> bool:
        """Whether an id is the beginning or the end of a delta."""
        return any(seq in (update.prev_seq, update.seq) for _, update in self.items)

    def fit(self, seq: int, *, doubtful: bool = False) -> Fit:
        """Whether a book at `seq` can be joined. `doubtful`: ids have gone backwards, so that a book ahead of the chain
        may be of the count before."""
        if not self.items:
            return Fit.UNPROVEN
        if self.begins > seq:
            return Fit.TOO_OLD
        return Fit.UNPROVEN if doubtful and seq > self.ends else Fit.FITS

    def contradiction(self, book: Book, seq: int) -> str:
        """Where a book at `seq` does not show what the chain says of that id; empty where it does, or the chain does
        not reach it. What the delta that leads over `seq` names may have changed at an id on either side of it."""
        if not self.items or self.ends < seq or self.items[0][1].seq > seq:
            return ""
        known: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for _, update in self.items:
            for side, levels in zip(known, (update.bids, update.asks), strict=True):
                if update.seq <= seq:
                    side.update(_units(level) for level in levels)
                elif update.prev_seq < seq:
                    for level in levels:
                        side.pop(_units(level)[0], None)
        for name, side, shown in zip(("bid", "ask"), known, book.values(), strict=True):
            for price, size in side.items():
                beyond = book.low is not None and price < book.low if name == "bid" else _above(price, book.high)
                if not beyond and shown.get(price, 0) != size:
                    told, found = text_of(size, UNIT_DECIMALS), text_of(shown.get(price, 0), UNIT_DECIMALS)
                    return f"{name} {text_of(price, UNIT_DECIMALS)} is {told}, not {found}"
        return ""


def _above(price: int, high: int | None) -> bool:
    return high is not None and price > high


def _units(level: Level) -> tuple[int, int]:
    return scale(level[0], UNIT_DECIMALS), scale(level[1], UNIT_DECIMALS)
