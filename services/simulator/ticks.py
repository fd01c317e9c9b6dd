"""Tick tables: every price an exchange allows, numbered.

A price is a mantissa with the table's `decimals`; its index counts the allowed prices from zero upwards. Books are
kept by index, so that one step up is one tick up whatever the tick is there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from decimal import Decimal


class TickTable:
    """`bands`: (lowest price of the band, tick) as decimal text, lowest first, the first one from 0."""

    def __init__(self, decimals: int, bands: Sequence[tuple[str, str]]) -> None:
        self.decimals = decimals
        self._unit = float(f"1e{decimals}")
        self._prices = [_mantissa(lowest, decimals) for lowest, _ in bands]
        self._steps = [_mantissa(tick, decimals) for _, tick in bands]
        self._indexes = [0]
        for n in range(1, len(bands)):
            span = self._prices[n] - self._prices[n - 1]
            if span % self._steps[n - 1]:
                raise ValueError(f"band {bands[n - 1]} does not end on a tick")
            self._indexes.append(self._indexes[-1] + span // self._steps[n - 1])
        self.price: Callable[[int], int] = (
            self._steps[0].__mul__ if len(bands) == 1 else _Known(self._compute).__getitem__
        )
        """The mantissa of the price with an index (>= 0); asked for every level of every frame."""

    def _compute(self, index: int) -> int:
        band = bisect_right(self._indexes, index) - 1
        return self._prices[band] + (index - self._indexes[band]) * self._steps[band]

    def index(self, price: float) -> float:
        """Where a price (in quote units) lies between the indexes."""
        mantissa = price * self._unit
        band = bisect_right(self._prices, mantissa) - 1
        return self._indexes[band] + (mantissa - self._prices[band]) / self._steps[band]

    def step(self, index: int) -> int:
        """The tick just above this index, as a mantissa."""
        return self._steps[bisect_right(self._indexes, index) - 1]


class _Known(dict[int, int]):
    """Prices computed once."""

    def __init__(self, compute: Callable[[int], int]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, index: int) -> int:
        price = self[index] = self._compute(index)
        return price


def flat(tick: str, decimals: int) -> TickTable:
    """One tick for every price; `decimals` as the exchange writes prices."""
    return TickTable(decimals, [("0", tick)])


def banded(bands: Sequence[tuple[str, str]]) -> TickTable:
    """A table by price, with the decimals that its finest tick needs."""
    return TickTable(max(len(tick.partition(".")[2]) for _, tick in bands), bands)


def _mantissa(text: str, decimals: int) -> int:
    scaled = Decimal(text).scaleb(decimals)
    if scaled != int(scaled):
        raise ValueError(f"{text} has more than {decimals} decimals")
    return int(scaled)
