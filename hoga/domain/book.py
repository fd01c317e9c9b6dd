"""The book of one symbol: exact integers, sorted, with the range in which it is proven.

Rules:
1. prices and sizes are integers, `mantissa / 10**decimals`, one `decimals` for each column, which widens when a
   finer value arrives; so `61800.20` and `61800.2` are one key and nothing is rounded;
2. an update is converted and checked as a whole before anything is changed: it applies wholly or not at all;
3. deleting a level that is not there is normal and counted (`orphan_deletes`);
4. `low` and `high` bound what a snapshot proved: bids below `low` and asks above `high` are known only where
   they have changed since. None means known to the end.

This is the reference implementation of `hoga.domain.books.Book`; it favours being obviously right.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NoReturn, Protocol

from hoga.domain.errors import FrameError
from hoga.domain.numbers import MAX_DECIMALS, POW10, FinerError, scale, text_of
from hoga.domain.types import Level, Side

UNIT_DECIMALS = MAX_DECIMALS
"""Integers "in units" are multiples of 10**-18, the finest value there is: the same whatever a book's decimals."""

MAX_SIDE_LEVELS = 60_000
TRIMMED_SIDE_LEVELS = 50_000
"""An overgrown side is cut back to this; the largest whole book seen has 27 236 levels (Coinbase BTC-USD)."""
MANY = 500
"""Changes of one side from which merging is cheaper than inserting."""


class BookSide:
    """Levels of one side in two parallel lists, price ascending."""

    __slots__ = ("prices", "sizes")

    def __init__(self) -> None:
        self.prices: list[int] = []
        self.sizes: list[int] = []

    def replace(self, levels: Iterable[tuple[int, int]]) -> None:
        """Takes exactly `levels`; of one price the last counts; size zero is no level."""
        ordered = sorted(dict(levels).items())
        self.prices = [price for price, size in ordered if size]
        self.sizes = [size for _, size in ordered if size]

    def apply(self, changes: list[tuple[int, int]]) -> int:
        """Sets or deletes levels; returns how many deletes met no level."""
        if len(changes) > MANY:
            return self._apply_many(changes)
        prices, sizes = self.prices, self.sizes
        orphans = 0
        for price, size in changes:
            index = bisect_left(prices, price)
            present = index < len(prices) and prices[index] == price
            if size:
                if present:
                    sizes[index] = size
                else:
                    prices.insert(index, price)
                    sizes.insert(index, size)
            elif present:
                del prices[index], sizes[index]
            else:
                orphans += 1
        return orphans

    def _apply_many(self, changes: list[tuple[int, int]]) -> int:
        """The same by merging: inserting one by one costs the square of a very large update."""
        merged = dict(zip(self.prices, self.sizes, strict=True))
        orphans = 0
        for price, size in changes:
            if size:
                merged[price] = size
            elif merged.pop(price, None) is None:
                orphans += 1
        self.replace(merged.items())
        return orphans

    def cut(self, start: int, stop: int) -> int:
        """Removes the levels of a slice; returns how many there were."""
        count = len(self.prices[start:stop])
        del self.prices[start:stop], self.sizes[start:stop]
        return count

    def copy(self) -> BookSide:
        twin = BookSide()
        twin.prices, twin.sizes = self.prices[:], self.sizes[:]
        return twin


class _Comparable(Protocol):
    @property
    def bid_count(self) -> int: ...
    @property
    def ask_count(self) -> int: ...
    def texts(self, depth: int) -> tuple[list[Level], list[Level]]: ...


class PythonBook:
    """Bids and asks of one symbol."""

    __slots__ = ("_high", "_low", "asks", "bids", "orphan_deletes", "price_decimals", "size_decimals")

    def __init__(self) -> None:
        self.bids = BookSide()
        self.asks = BookSide()
        self.price_decimals = 0
        self.size_decimals = 0
        self._low: int | None = None
        self._high: int | None = None
        self.orphan_deletes = 0

    def replace(self, bids: list[Level], asks: list[Level], limit: int = 0) -> None:
        """Takes a snapshot. `limit` is how many levels a side were asked for: a side that holds as many may go
        on beyond them unseen; 0 where what is there is all there is. FrameError leaves the book as it was."""
        new_bids, new_asks = self._integers(bids, asks)
        self.bids.replace(new_bids)
        self.asks.replace(new_asks)
        self._low = self.bids.prices[0] if limit and len(bids) >= limit and self.bids.prices else None
        self._high = self.asks.prices[-1] if limit and len(asks) >= limit and self.asks.prices else None

    def apply(self, bids: list[Level], asks: list[Level]) -> None:
        """Sets levels to absolute sizes, zero deletes. FrameError leaves the book as it was."""
        new_bids, new_asks = self._integers(bids, asks)
        self.orphan_deletes += self.bids.apply(new_bids) + self.asks.apply(new_asks)
        if len(self.bids.prices) > MAX_SIDE_LEVELS or len(self.asks.prices) > MAX_SIDE_LEVELS:
            self._trim()

    def truncate(self, depth: int) -> None:
        """Cuts each side to its best `depth` levels, as an exchange that keeps so many expects of its clients."""
        self.bids.cut(0, max(len(self.bids.prices) - depth, 0))
        self.asks.cut(depth, len(self.asks.prices))

    def copy(self) -> PythonBook:
        """A book that is equal in everything and goes its own way."""
        twin = PythonBook()
        twin.bids, twin.asks = self.bids.copy(), self.asks.copy()
        twin.price_decimals, twin.size_decimals = self.price_decimals, self.size_decimals
        twin._low, twin._high, twin.orphan_deletes = self._low, self._high, self.orphan_deletes
        return twin

    @property
    def crossed(self) -> bool:
        """Best bid at or above best ask."""
        bids, asks = self.bids.prices, self.asks.prices
        return bool(bids) and bool(asks) and bids[-1] >= asks[0]

    @property
    def bids_known(self) -> int:
        """Bid levels that are proven, from the best down."""
        prices = self.bids.prices
        return len(prices) if self._low is None else len(prices) - bisect_left(prices, self._low)

    @property
    def asks_known(self) -> int:
        """Ask levels that are proven, from the best up."""
        prices = self.asks.prices
        return len(prices) if self._high is None else bisect_right(prices, self._high)

    @property
    def bid_count(self) -> int:
        """Bid levels, proven or not."""
        return len(self.bids.prices)

    @property
    def ask_count(self) -> int:
        """Ask levels, proven or not."""
        return len(self.asks.prices)

    @property
    def low(self) -> int | None:
        """Down to which price bids are proven, in units; None: to the end."""
        return None if self._low is None else self._low * self._price_unit

    @property
    def high(self) -> int | None:
        """Up to which price asks are proven, in units; None: to the end."""
        return None if self._high is None else self._high * self._price_unit

    @property
    def bid_range(self) -> tuple[int, int] | None:
        """(worst, best) bid price in units; None where there is none."""
        prices = self.bids.prices
        return (prices[0] * self._price_unit, prices[-1] * self._price_unit) if prices else None

    @property
    def ask_range(self) -> tuple[int, int] | None:
        """(best, worst) ask price in units; None where there is none."""
        prices = self.asks.prices
        return (prices[0] * self._price_unit, prices[-1] * self._price_unit) if prices else None

    def values(self) -> tuple[dict[int, int], dict[int, int]]:
        """Every bid and every ask, price -> size, both in units."""
        price_unit, size_unit = self._price_unit, POW10[UNIT_DECIMALS - self.size_decimals]
        bids, asks = (
            {price * price_unit: size * size_unit for price, size in zip(side.prices, side.sizes, strict=True)}
            for side in (self.bids, self.asks)
        )
        return bids, asks

    def size_at(self, side: Side, price: str) -> str:
        """The size at a price as exact decimal text; "0" where there is no level."""
        levels = self.bids if side is Side.BID else self.asks
        try:
            key = scale(price, self.price_decimals)
        except FinerError:
            return "0"
        index = bisect_left(levels.prices, key)
        present = index < len(levels.prices) and levels.prices[index] == key
        return text_of(levels.sizes[index], self.size_decimals) if present else "0"

    def equals(self, other: _Comparable, depth: int = 0) -> bool:
        """Whether the best `depth` levels a side are those of another book (0: all)."""
        count = depth or max(self.bid_count, self.ask_count, other.bid_count, other.ask_count)
        return self.texts(count) == other.texts(count)

    def digest_of(self, bids: list[Level], asks: list[Level]) -> int:
        """What two readings of one update have in common however its numbers are spelled. Good within one process
        and one class of book. FrameError where the book would not take the update."""
        read = [[_units(price, size) for price, size in side] for side in (bids, asks)]
        return hash((tuple(read[0]), tuple(read[1])))

    def top_bids(self, count: int) -> tuple[list[int], list[int]]:
        """(prices, sizes) of the best `count` bids, best first."""
        if count <= 0:
            return [], []
        return self.bids.prices[: -count - 1 : -1], self.bids.sizes[: -count - 1 : -1]

    def top_asks(self, count: int) -> tuple[list[int], list[int]]:
        """(prices, sizes) of the best `count` asks, best first."""
        count = max(count, 0)
        return self.asks.prices[:count], self.asks.sizes[:count]

    def texts(self, depth: int) -> tuple[list[Level], list[Level]]:
        """The best `depth` bids and asks as exact decimal text, best first."""
        return self._texts(*self.top_bids(depth)), self._texts(*self.top_asks(depth))

    def remove_contradicted(self, bids: list[Level], asks: list[Level]) -> int:
        """Uncrosses the book by removing what the update just applied contradicts: asks at or below its bids,
        bids at or above its asks, where the update itself did not set them. Returns how many were removed.

        Only for a book that goes on after a gap: the older side missed its deletes."""
        new_bids, new_asks = self._integers(bids, asks)
        set_bids = {price for price, size in new_bids if size}
        set_asks = {price for price, size in new_asks if size}
        removed = 0
        if set_bids:
            reach = bisect_right(self.asks.prices, max(set_bids))
            for index in range(reach - 1, -1, -1):
                if self.asks.prices[index] not in set_asks:
                    removed += self.asks.cut(index, index + 1)
        if set_asks:
            reach = bisect_left(self.bids.prices, min(set_asks))
            for index in range(len(self.bids.prices) - 1, reach - 1, -1):
                if self.bids.prices[index] not in set_bids:
                    removed += self.bids.cut(index, index + 1)
        return removed

    @property
    def _price_unit(self) -> int:
        return POW10[UNIT_DECIMALS - self.price_decimals]

    def _integers(self, bids: list[Level], asks: list[Level]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        while True:
            price_decimals, size_decimals = self.price_decimals, self.size_decimals
            try:
                return _column(bids, price_decimals, size_decimals), _column(asks, price_decimals, size_decimals)
            except _FinerPriceError as finer:
                self._widen_prices(finer.decimals)
            except FinerError as finer:
                self._widen_sizes(finer.decimals)

    def _widen_prices(self, decimals: int) -> None:
        factor = POW10[decimals - self.price_decimals]
        for side in (self.bids, self.asks):
            side.prices = [price * factor for price in side.prices]
        self._low = None if self._low is None else self._low * factor
        self._high = None if self._high is None else self._high * factor
        self.price_decimals = decimals

    def _widen_sizes(self, decimals: int) -> None:
        factor = POW10[decimals - self.size_decimals]
        for side in (self.bids, self.asks):
            side.sizes = [size * factor for size in side.sizes]
        self.size_decimals = decimals

    def _trim(self) -> None:
        """Forgets the farthest levels of an overgrown side; what is left bounds what is known."""
        surplus = len(self.bids.prices) - TRIMMED_SIDE_LEVELS
        if surplus > 0:
            self.bids.cut(0, surplus)
            self._low = self.bids.prices[0] if self._low is None else max(self._low, self.bids.prices[0])
        if len(self.asks.prices) > TRIMMED_SIDE_LEVELS:
            self.asks.cut(TRIMMED_SIDE_LEVELS, len(self.asks.prices))
            self._high = self.asks.prices[-1] if self._high is None else min(self._high, self.asks.prices[-1])

    def _texts(self, prices: list[int], sizes: list[int]) -> list[Level]:
        return [
            (text_of(price, self.price_decimals), text_of(size, self.size_decimals))
            for price, size in zip(prices, sizes, strict=True)
        ]


class _FinerPriceError(FinerError):
    """As FinerError, of the price column."""


def _column(levels: list[Level], price_decimals: int, size_decimals: int) -> list[tuple[int, int]]:
    column = []
    price = 0
    try:
        for price_text, size_text in levels:
            price = 0  # tells below which of the two was being read
            price = scale(price_text, price_decimals)
            if not price:
                raise FrameError("number", f"price zero (size {size_text[:40]!r})")
            column.append((price, scale(size_text, size_decimals)))
    except FinerError as finer:
        if not price:
            raise _FinerPriceError(finer.decimals) from None
        raise
    return column


def _units(price_text: str, size_text: str) -> tuple[int, int]:
    price = scale(price_text, UNIT_DECIMALS)
    if not price:
        raise FrameError("number", f"price zero (size {size_text[:40]!r})")
    return price, scale(size_text, UNIT_DECIMALS)


def refuse(ask: bool, index: int, price: str, size: str) -> NoReturn:
    """Words the refusal of a level that another reader of numbers did not take: FrameError, always."""
    try:
        _units(price, size)
    except FrameError as error:
        raise FrameError(error.reason, f"{'ask' if ask else 'bid'} {index}: {error}") from None
    raise FrameError("number", f"{'ask' if ask else 'bid'} {index} is not taken: ({price[:48]!r}, {size[:48]!r})")
