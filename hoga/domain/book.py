"""The book of one symbol: exact integers, sorted, with the range in which it is proven.

Rules:
1. prices and sizes are integers, `mantissa / 10**decimals`, one `decimals` for each column, which widens when a
   finer value arrives; so `61800.20` and `61800.2` are one key and nothing is rounded;
2. an update is converted and checked as a whole before anything is changed: it applies wholly or not at all;
3. deleting a level that is not there is normal and counted (`orphan_deletes`);
4. `low` and `high` bound what a snapshot proved: bids below `low` and asks above `high` are known only where
   they have changed since. None means known to the end.

This is the reference implementation; it favours being obviously right.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from hoga.domain.errors import FrameError
from hoga.domain.numbers import POW10, FinerError, scale, text_of
from hoga.domain.types import Level

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


class Book:
    """Bids and asks of one symbol."""

    __slots__ = ("asks", "bids", "high", "low", "orphan_deletes", "price_decimals", "size_decimals")

    def __init__(self) -> None:
        self.bids = BookSide()
        self.asks = BookSide()
        self.price_decimals = 0
        self.size_decimals = 0
        self.low: int | None = None
        self.high: int | None = None
        self.orphan_deletes = 0

    def replace(self, bids: list[Level], asks: list[Level], limit: int = 0) -> None:
        """Takes a snapshot. `limit` is how many levels a side were asked for: a side that holds as many may go
        on beyond them unseen; 0 where what is there is all there is. FrameError leaves the book as it was."""
        new_bids, new_asks = self._integers(bids, asks)
        self.bids.replace(new_bids)
        self.asks.replace(new_asks)
        self.low = self.bids.prices[0] if limit and len(bids) >= limit and self.bids.prices else None
        self.high = self.asks.prices[-1] if limit and len(asks) >= limit and self.asks.prices else None

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

    @property
    def crossed(self) -> bool:
        """Best bid at or above best ask."""
        bids, asks = self.bids.prices, self.asks.prices
        return bool(bids) and bool(asks) and bids[-1] >= asks[0]

    @property
    def bids_known(self) -> int:
        """Bid levels that are proven, from the best down."""
        prices = self.bids.prices
        return len(prices) if self.low is None else len(prices) - bisect_left(prices, self.low)

    @property
    def asks_known(self) -> int:
        """Ask levels that are proven, from the best up."""
        prices = self.asks.prices
        return len(prices) if self.high is None else bisect_right(prices, self.high)

    def top_bids(self, count: int) -> tuple[list[int], list[int]]:
        """(prices, sizes) of the best `count` bids, best first."""
        if count <= 0:
            return [], []
        return self.bids.prices[: -count - 1 : -1], self.bids.sizes[: -count - 1 : -1]

    def top_asks(self, count: int) -> tuple[list[int], list[int]]:
        """(prices, sizes) of the best `count` asks, best first."""
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
        self.low = None if self.low is None else self.low * factor
        self.high = None if self.high is None else self.high * factor
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
            self.low = self.bids.prices[0] if self.low is None else max(self.low, self.bids.prices[0])
        if len(self.asks.prices) > TRIMMED_SIDE_LEVELS:
            self.asks.cut(TRIMMED_SIDE_LEVELS, len(self.asks.prices))
            self.high = self.asks.prices[-1] if self.high is None else min(self.high, self.asks.prices[-1])

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
