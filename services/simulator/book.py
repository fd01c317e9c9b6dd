"""The true book of one market, and its past.

Rules it keeps:
1. A side is a map from tick index to lots; a level with no lots is not there. The book is never crossed.
2. Every change is written down with its id, its time and what stood there before, so that the book at any earlier
   id or time is the present one with the later changes undone, newest first. Nothing is ever re-derived.
3. The past is bounded by `history_s`; asking for more is a LookupError, not a guess.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

BID, ASK = 0, 1
_WIDTH = 4
_CHUNK = 2048 * _WIDTH


class Sides(NamedTuple):
    """A book by tick index, unsorted. `seq` and `time_ms` are those of the last change in it."""

    seq: int
    time_ms: int
    bids: dict[int, int]
    asks: dict[int, int]


class TrueBook:
    def __init__(self, history_s: float = 60.0) -> None:
        self.history_s = history_s
        self.lots: tuple[dict[int, int], dict[int, int]] = ({}, {})
        # Best first on both sides: bids are ranked by the negated index.
        self.ranks: tuple[list[int], list[int]] = ([], [])
        self.seq = 0
        self.time_ms = 0
        self._log: deque[array[int]] = deque()
        self._forgotten = (0, 0)
        """Id and time of the newest change that can no longer be undone."""

    def best(self, side: int) -> int:
        """Tick index of the best level; IndexError on an empty side."""
        rank = self.ranks[side][0]
        return rank if side else -rank

    def start(self, seq: int, time_ms: int, bids: dict[int, int], asks: dict[int, int]) -> None:
        """Fills an empty book; its past begins here."""
        self.lots[BID].update(bids)
        self.lots[ASK].update(asks)
        self.ranks[BID][:] = sorted(-index for index in bids)
        self.ranks[ASK][:] = sorted(asks)
        self.seq, self.time_ms = seq, time_ms
        self._forgotten = (seq, time_ms)

    def change(self, seq: int, time_ms: int, side: int, index: int, lots: int) -> None:
        """Sets one level to `lots` (0 deletes, also where nothing stands) under a new id."""
        levels = self.lots[side]
        before = levels.get(index, 0)
        if lots:
            if not before:
                insort(self.ranks[side], index if side else -index)
            levels[index] = lots
        elif before:
            del levels[index]
            ranks, rank = self.ranks[side], index if side else -index
            del ranks[bisect_left(ranks, rank)]
        self.seq, self.time_ms = seq, time_ms
        log = self._log
        if not log or len(log[-1]) >= _CHUNK:
            self._forget(time_ms)
            log.append(array("q"))
        log[-1].extend((seq, time_ms, index << 1 | side, before))

    def at(self, *, seq: int | None = None, time_ms: int | None = None) -> Sides:
        """The book after the last change with an id <= `seq` (or a time <= `time_ms`); LookupError where that
        is beyond the kept past."""
        bids, asks = dict(self.lots[BID]), dict(self.lots[ASK])
        for chunk in reversed(self._log):
            for start in range(len(chunk) - _WIDTH, -1, -_WIDTH):
                change_seq, change_ms = chunk[start], chunk[start + 1]
                if (seq is None or change_seq <= seq) and (time_ms is None or change_ms <= time_ms):
                    return Sides(change_seq, change_ms, bids, asks)
                key, before = chunk[start + 2], chunk[start + 3]
                side = asks if key & 1 else bids
                if before:
                    side[key >> 1] = before
                else:
                    side.pop(key >> 1, None)
        if (seq is not None and seq < self._forgotten[0]) or (time_ms is not None and time_ms < self._forgotten[1]):
            raise LookupError(f"the past before id {self._forgotten[0]} (time {self._forgotten[1]}) is not kept")
        return Sides(*self._forgotten, bids, asks)

    def _forget(self, now_ms: int) -> None:
        while len(self._log) > 1 and self._log[0][-_WIDTH + 1] < now_ms - self.history_s * 1000:
            gone = self._log.popleft()
            self._forgotten = (gone[-_WIDTH], gone[-_WIDTH + 1])
