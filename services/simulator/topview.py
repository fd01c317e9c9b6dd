"""The best N levels of a book as a topic last told them, and how they differ from what is now.

Rules it keeps:
1. A difference costs what was touched and what crossed the edge of the window, not the size of the book.
2. What falls out of the window is deleted (size 0), what moves in is set; applied in full, a difference turns the old
   view into the new one, whatever happened in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from services.simulator.book import ASK, BID, Sides, TrueBook
from services.simulator.generator import Touched
from services.simulator.symbol import best

_END = 1 << 62
"""Beyond every rank: the side is shorter than the window."""


class TopView:
    def __init__(self, limit: int, sides: Sides) -> None:
        self.limit = limit
        self.lots: Touched = ({}, {})
        """Tick index -> lots of what is in the window."""
        self._edges = [_END, _END]
        """Rank of the last level in the window, by side."""
        for side, lots in ((BID, sides.bids), (ASK, sides.asks)):
            chosen = best(lots, side, limit)
            self.lots[side].update((index, lots[index]) for index in chosen)
            if len(chosen) == limit:
                self._edges[side] = chosen[-1] if side else -chosen[-1]

    def refine(self, ticks: int, sizes: int) -> None:
        """Numbers ticks and lots anew, each by its multiple; it shows the same."""
        for side in (BID, ASK):
            levels = {index * ticks: lots * sizes for index, lots in self.lots[side].items()}
            self.lots[side].clear()
            self.lots[side].update(levels)
            if self._edges[side] != _END:
                self._edges[side] *= ticks

    def difference(self, true: TrueBook, touched: Touched) -> Touched:
        """What must change to show the best levels of `true`; `touched` holds at least every level that has changed
        since the last difference (its sizes do not matter). The view is then the new one."""
        found: Touched = ({}, {})
        for side in (BID, ASK):
            ranks, lots, shown, changed = true.ranks[side], true.lots[side], self.lots[side], found[side]
            old = self._edges[side]
            new = ranks[self.limit - 1] if len(ranks) >= self.limit else _END
            for index in touched[side]:
                size = lots.get(index, 0) if (index if side else -index) <= new else 0
                if shown.get(index, 0) != size:
                    changed[index] = size
            if new > old:
                for index in _indexes(ranks[bisect_right(ranks, old) : self.limit], side):
                    if shown.get(index) != lots[index]:
                        changed[index] = lots[index]
            elif new < old:
                for index in _indexes(ranks[self.limit : bisect_right(ranks, old)], side):
                    if index in shown:
                        changed[index] = 0
            self._edges[side] = new
            for index, size in changed.items():
                if size:
                    shown[index] = size
                else:
                    del shown[index]
        return found


def _indexes(ranks: Iterable[int], side: int) -> Iterable[int]:
    return ranks if side else (-rank for rank in ranks)
