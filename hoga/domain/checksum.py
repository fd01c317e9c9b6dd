"""Checksums over the best levels: the texts exactly as the exchange sent them, and what it makes of them.

A book keeps integers; a checksum is over digits, trailing zeros included. The native book knows how many decimals were
sent; beside a Python book the texts are kept, by price, for exchanges that send checksums, and only once one has come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hoga.domain.books import UNIT_DECIMALS, Book
from hoga.domain.numbers import POW10, is_zero, scale
from hoga.domain.types import Level

SLACK = 256
"""Texts of levels that the book has cut off may pile up to so many before they are swept away."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """How an exchange sums up its best levels."""

    levels: int
    """Levels a side that the sum covers; what lies deeper is not covered."""
    compute: Callable[[list[Level], list[Level]], int]
    """(bids, asks), best first, at most `levels` a side, texts exactly as received -> the sum."""
    of_digits: Callable[[bytes], int] | None = None
    """The same from `KnowsSent.sent_digits`, where that is what the sum is over."""


@runtime_checkable
class KnowsSent(Protocol):
    """A book that knows its levels as they were sent (the native one)."""

    def sent_texts(self, depth: int) -> tuple[list[Level], list[Level]]: ...
    def sent_digits(self, depth: int) -> bytes:
        """Asks, then bids, best first, price and size of each in turn, without "." and leading zeros."""
        ...


class LevelTexts:
    """The texts of a book's levels. Feed it what the book was fed, after the book has taken it."""

    __slots__ = ("_asks", "_bids", "_book", "_sent")

    def __init__(self, book: Book) -> None:
        self._book = book
        self._sent = book if isinstance(book, KnowsSent) else None
        self._bids: dict[int, Level] = {}
        self._asks: dict[int, Level] = {}

    def apply(self, bids: list[Level], asks: list[Level]) -> None:
        """The levels of a snapshot (into a fresh object) or of a delta."""
        if self._sent is not None:
            return
        for texts, levels in ((self._bids, bids), (self._asks, asks)):
            for level in levels:
                price = scale(level[0], UNIT_DECIMALS)
                if is_zero(level[1]):
                    texts.pop(price, None)
                else:
                    texts[price] = level
        self._sweep()

    def sum(self, rule: Checksum) -> int:
        """The checksum of the book as it stands."""
        if self._sent is not None:
            if rule.of_digits is not None:
                return rule.of_digits(self._sent.sent_digits(rule.levels))
            return rule.compute(*self._sent.sent_texts(rule.levels))
        unit = POW10[UNIT_DECIMALS - self._book.price_decimals]
        bids, _ = self._book.top_bids(rule.levels)
        asks, _ = self._book.top_asks(rule.levels)
        return rule.compute([self._bids[price * unit] for price in bids], [self._asks[price * unit] for price in asks])

    def _sweep(self) -> None:
        if len(self._bids) <= self._book.bid_count + SLACK and len(self._asks) <= self._book.ask_count + SLACK:
            return
        for texts, standing in zip((self._bids, self._asks), self._book.values(), strict=True):
            for price in texts.keys() - standing.keys():
                del texts[price]
