"""What a book can do, and which class of book is in use.

There are two: `hoga.domain.book.PythonBook`, the reference, and the native one (the folder `native/`), where it was
built. Everything takes its books from `new_book` and knows nothing of the class: mantissas of columns, lists and
chunks are a book's own affair. The native one is in use where it is there; the edge of a process may say otherwise
(`use`), once, before the first book is made.

Values that are compared across books are integers in units of 10**-18 (`UNIT_DECIMALS`): the same for every book.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from hoga.domain.book import UNIT_DECIMALS, PythonBook
from hoga.domain.errors import ConfigError
from hoga.domain.types import Level, Side

__all__ = ["UNIT_DECIMALS", "Book", "in_use", "new_book", "use"]


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


CLASSES: dict[str, Callable[[], Book]] = {"python": PythonBook}
"""By the word that chooses it."""
try:
    from hoga_native import Book as _NativeBook
except ImportError:
    pass
else:
    CLASSES["native"] = _NativeBook

_used = max(CLASSES, key=lambda word: word == "native")


def new_book() -> Book:
    """An empty book of the class in use."""
    return CLASSES[_used]()


def in_use() -> str:
    """The word for the class in use: "native" or "python"."""
    return _used


def use(word: str) -> None:
    """Chooses the class of every book that is made from now on; an empty word leaves the choice as it is."""
    global _used
    if word and word not in CLASSES:
        raise ConfigError(f"HOGA_BOOK={word!r}: {' or '.join(CLASSES)} is there; the native book is built by `make`")
    _used = word or _used
