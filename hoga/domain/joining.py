"""Deltas that wait for a snapshot, and the proof that the two fit together.

1. deltas are kept in order from a moment before the snapshot is asked for; they form one unbroken chain:
   where an id is missing, what came before it is useless and is dropped;
2. a snapshot at `lid` fits when the chain begins at or before it: nothing between them can be missing;
3. deltas up to `lid` are in the snapshot; the rest is applied to it;
4. with no delta at hand nothing shows that the snapshot is not an old cached one: it is held unproven until
   a delta arrives that builds on it, or a second snapshot says the same.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from hoga.domain.sequencer import Sequencer, Verdict
from hoga.domain.types import Update


class Fit(Enum):
    FITS = "fits"
    TOO_OLD = "too old"
    UNPROVEN = "unproven"


class JoinBuffer:
    """An unbroken chain of deltas of one symbol, at most `limit` long."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sequencer = Sequencer()
        self.updates: deque[tuple[str, Update]] = deque()
        self.overflowed = 0

    def add(self, link: str, update: Update) -> Verdict:
        """Keeps a delta. On GAP the chain starts anew with it, on REVERSAL after it."""
        verdict = self._sequencer.judge(link, update.prev_seq, update.seq)
        if verdict is Verdict.STALE:
            return verdict
        if verdict is Verdict.REVERSAL:  # no chain holds it; the next delta begins one
            self.updates.clear()
            self._sequencer = Sequencer()
            return verdict
        if verdict is Verdict.GAP:
            self.updates.clear()
        self.updates.append((link, update))
        if len(self.updates) > self._limit:
            self.updates.popleft()
            self.overflowed += 1
        return verdict

    @property
    def last(self) -> int | None:
        return self._sequencer.last

    def fit(self, lid: int) -> Fit:
        """Whether a snapshot at `lid` can be joined to the chain."""
        if not self.updates:
            return Fit.UNPROVEN
        first = self.updates[0][1]
        return Fit.FITS if first.prev_seq <= lid else Fit.TOO_OLD
