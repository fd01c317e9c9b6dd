"""The true book of one market, and its past.

Rules it keeps:
1. A side is a map from tick index to lots; a level with no lots is not there. The book is never crossed.
2. Every change is written down with its id, its time and what stood there before, so that the book at any earlier
   id or time is the present one with the later changes undone, newest first. Nothing is ever re-derived.
3. Where ids begin anew a new life begins. An id alone means the newest life that has seen it; with `life` it means
   that life, so that two lives with the same ids are never taken for each other.
4. The past is bounded by `history_s`; asking for more is a LookupError, not a guess.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

BID, ASK = 0, 1
_WIDTH = 4
_CHUNK = 2048 * _WIDTH
_LIFE_BITS = 48
_ID_MASK = (1 << _LIFE_BITS) - 1


class Sides(NamedTuple):
    """A book by tick index, unsorted. `seq`, `time_ms` and `life` are those of the last change in it."""

    seq: int
    time_ms: int
    bids: dict[int, int]
    asks: dict[int, int]
    life: int = 1


class TrueBook:
    def __init__(self, history_s: float = 60.0, life: int = 1) -> None:
        self.history_s = history_s
        self.lots: tuple[dict[int, int], dict[int, int]] = ({}, {})
        # Best first on both sides: bids are ranked by the negated index.
        self.ranks: tuple[list[int], list[int]] = ([], [])
        self.seq = 0
        self.time_ms = 0
        self.life = life
        """Counts from 1; one more each time ids begin anew."""
        self._spans: dict[int, tuple[int, int]] = {}
        """Life -> its first and last id; of the present one only the first counts."""
        self._log: deque[array[int]] = deque()
        """(life and id, time, index and side, lots before), in chunks."""
        self._forgotten = (0, 0)
        """Life and id, and time, of the newest change that can no longer be undone."""

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
        self._spans[self.life] = (seq, seq)
        self._forgotten = (self._stamp(seq), time_ms)

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
        log[-1].extend((self._stamp(seq), time_ms, index << 1 | side, before))

    def idle(self, seq: int, time_ms: int) -> None:
        """An id that changes nothing."""
        index = self.best(BID)
        self.change(seq, time_ms, BID, index, self.lots[BID][index])

    def renumber(self, last: int, seq: int, time_ms: int) -> None:
        """Ids begin anew with `seq`, which changes nothing; `last` ends the old life."""
        self._spans[self.life] = (self._spans[self.life][0], last)
        self.life += 1
        self._spans[self.life] = (seq, seq)
        self.idle(seq, time_ms)

    def refine(self, ticks: int, sizes: int) -> None:
        """Numbers ticks and lots anew, each by its multiple, in the past as well; the book is the same."""
        for side in (BID, ASK):
            levels = {index * ticks: lots * sizes for index, lots in self.lots[side].items()}
            self.lots[side].clear()
            self.lots[side].update(levels)
            self.ranks[side][:] = [rank * ticks for rank in self.ranks[side]]
        for chunk in self._log:
            for start in range(2, len(chunk), _WIDTH):
                chunk[start] = (chunk[start] >> 1) * ticks << 1 | chunk[start] & 1
                chunk[start + 1] *= sizes

    def life_of(self, seq: int, newest: int) -> int | None:
        """The newest life that has seen an id, where `newest` is the newest id of this life; None where none has."""
        for life in sorted(self._spans, reverse=True):
            first, last = self._spans[life]
            if first <= seq <= (newest if life == self.life else last):
                return life
        return None

    def at(self, *, seq: int | None = None, time_ms: int | None = None, life: int | None = None) -> Sides:
        """The book after the last change with an id <= `seq` (or a time <= `time_ms`); LookupError where that
        is beyond the kept past."""
        wanted = None if seq is None else self._wanted(seq, life)
        bids, asks = dict(self.lots[BID]), dict(self.lots[ASK])
        for chunk in reversed(self._log):
            for start in range(len(chunk) - _WIDTH, -1, -_WIDTH):
                stamp, change_ms = chunk[start], chunk[start + 1]
                if (wanted is None or stamp <= wanted) and (time_ms is None or change_ms <= time_ms):
                    return Sides(stamp & _ID_MASK, change_ms, bids, asks, stamp >> _LIFE_BITS)
                key, before = chunk[start + 2], chunk[start + 3]
                side = asks if key & 1 else bids
                if before:
                    side[key >> 1] = before
                else:
                    side.pop(key >> 1, None)
        stamp, forgotten_ms = self._forgotten
        if (wanted is not None and wanted < stamp) or (time_ms is not None and time_ms < forgotten_ms):
            raise LookupError(f"the past before id {stamp & _ID_MASK} (time {forgotten_ms}) is not kept")
        return Sides(stamp & _ID_MASK, forgotten_ms, bids, asks, stamp >> _LIFE_BITS)

    def _wanted(self, seq: int, life: int | None) -> int:
        """Rule 3. An id between two changes stands for the earlier one, also above the newest."""
        if life is None:
            life = self.life_of(seq, self.seq) or (self.life if seq > self.seq else 0)
        first, last = self._spans.get(life, (seq + 1, 0))
        if seq < first or (life != self.life and seq > last):
            raise LookupError(f"the past at id {seq} is not kept" + (f" of life {life}" if life else ""))
        return self._stamp(seq, life)

    def _stamp(self, seq: int, life: int | None = None) -> int:
        """Life and id as one number that only rises."""
        return (life or self.life) << _LIFE_BITS | seq

    def _forget(self, now_ms: int) -> None:
        while len(self._log) > 1 and self._log[0][-_WIDTH + 1] < now_ms - self.history_s * 1000:
            gone = self._log.popleft()
            self._forgotten = (gone[-_WIDTH], gone[-_WIDTH + 1])
        oldest = self._forgotten[0] >> _LIFE_BITS
        self._spans = {life: span for life, span in self._spans.items() if life >= oldest}
