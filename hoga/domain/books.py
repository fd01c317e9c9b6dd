"""What a book can do, and which class of book is in use.

There are two: `hoga.domain.book.PythonBook`, the reference, and the native one (the folder `native/`), where it was
built. Everything takes its books from `new_book` and knows nothing of the class: mantissas of columns, lists and
chunks are a book's own affair. The native one is in use where it is there; the edge of a process may say otherwise
(`use`), once, before the first book is made.

Values that are compared across books are integers in units of 10**-18 (`UNIT_DECIMALS`): the same for every book.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol, Self

import msgspec

from hoga.domain.book import UNIT_DECIMALS, PythonBook
from hoga.domain.errors import ConfigError
from hoga.domain.level_shape import LevelShape
from hoga.domain.types import Level, Side

__all__ = ["UNIT_DECIMALS", "Book", "RawBook", "Status", "in_use", "new_book", "raw_shape", "use"]


class Book(Protocol):
    """Bids and asks of one symbol; the rules are those of `PythonBook`, and so is what each method means."""

    orphan_deletes: int

    def replace(self, bids: list[Level], asks: list[Level], limit: int = 0) -> None: ...
    def apply(self, bids: list[Level], asks: list[Level]) -> None: ...
    def truncate(self, depth: int) -> None: ...
    def remove_contradicted(self, bids: list[Level], asks: list[Level]) -> int: ...
    def copy(self) -> Self: ...

    @property
    def crossed(self) -> bool: ...
    @property
    def bid_count(self) -> int: ...
    @property
    def ask_count(self) -> int: ...
    @property
    def bids_known(self) -> int: ...
    @property
    def asks_known(self) -> int: ...
    @property
    def low(self) -> int | None: ...
    @property
    def high(self) -> int | None: ...
    @property
    def bid_range(self) -> tuple[int, int] | None: ...
    @property
    def ask_range(self) -> tuple[int, int] | None: ...

    @property
    def price_decimals(self) -> int: ...
    @property
    def size_decimals(self) -> int: ...
    def top_bids(self, count: int) -> tuple[list[int], list[int]]: ...
    def top_asks(self, count: int) -> tuple[list[int], list[int]]: ...
    def texts(self, depth: int) -> tuple[list[Level], list[Level]]: ...
    def values(self) -> tuple[dict[int, int], dict[int, int]]: ...
    def size_at(self, side: Side, price: str) -> str: ...
    def equals(self, other: Book, depth: int = 0) -> bool: ...
    def digest_of(self, bids: list[Level], asks: list[Level]) -> int: ...


Raw = bytes | msgspec.Raw
"""The bytes of a JSON value."""


class Status(IntEnum):
    """What became of raw levels; up to THIN they were taken."""

    TAKEN = 0
    CROSSED = 1
    """The best bid is at or above the best ask."""
    THIN = 2
    """Fewer levels of a side are known than were asked for."""
    SHAPE = 3
    """Not of the strict shape; may be right all the same."""
    NUMBER = 4
    """As SHAPE, for a number."""


class RawBook(Book, Protocol):
    """A book that also reads levels from the bytes of a frame, of a shape that `raw_shape` made (the native one).

    The bytes have to be JSON that a decoder has accepted. What is refused leaves the book as it was and is to be read
    again as texts, by the exchange's own parser: the refusal is no verdict. Of a shape with one list, `asks` is b"".
    """

    @property
    def digest(self) -> int:
        """Of the newest raw levels that were taken; as `digest_of`."""
        ...

    @property
    def refused(self) -> tuple[int, int]:
        """Side (of lists of their own) and place of the level that was refused last."""
        ...

    def apply_raw(self, shape: object, bids: Raw, asks: Raw, need: int = 0) -> int:
        """Status. THIN: fewer than `need` levels of a side that is not known to its end are known."""
        ...

    def replace_raw(self, shape: object, bids: Raw, asks: Raw, limit: int = 0) -> int:
        """Status; `limit` as for `replace`."""
        ...

    def digest_raw(self, shape: object, bids: Raw, asks: Raw) -> int | None:
        """`digest_of` from bytes; None where they are refused. The book stays as it is."""
        ...

    def message(
        self,
        head: bytes,
        revision: int,
        sequence: int,
        exchange_ns: int,
        receive_ns: int,
        publish_ns: int,
        depth: int,
    ) -> bytes | None:
        """An `OrderBook`: `head` and, behind it, fields 7 to 19 (0: all known levels). None where a value does not fit
        64 bits."""
        ...


CLASSES: dict[str, Callable[[], Book]] = {"python": PythonBook}
"""By the word that chooses it."""
try:
    import hoga_native as _native
except ImportError:
    _native = None
else:
    CLASSES["native"] = _native.Book

_used = max(CLASSES, key=lambda word: word == "native")


def new_book() -> Book:
    """An empty book of the class in use."""
    return CLASSES[_used]()


def raw_shape(shape: LevelShape) -> object | None:
    """What a `RawBook` is told of how levels look; None where the books in use read no bytes."""
    return _native.Shape.make(**shape._asdict()) if in_use() == "native" and _native else None


def in_use() -> str:
    """The word for the class in use: "native" or "python"."""
    return _used


def use(word: str) -> None:
    """Chooses the class of every book that is made from now on; an empty word leaves the choice as it is."""
    global _used
    if word and word not in CLASSES:
        raise ConfigError(f"HOGA_BOOK={word!r}: {' or '.join(CLASSES)} is there; the native book is built by `make`")
    _used = word or _used
