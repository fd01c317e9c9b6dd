"""Deltas that wait for a snapshot, and the proof that the two fit together.

1. deltas are kept in order from a moment before the snapshot is asked for; they form one unbroken chain:
   where an id is missing, what came before it is useless and is dropped;
2. a snapshot at `lid` fits when the chain begins at or before it: nothing between them can be missing (a snapshot
   ahead of the chain holds what the stream is about to bring);
3. deltas up to `lid` are in the snapshot; the rest is applied to it;
4. with no delta at hand nothing shows that the snapshot is not an old cached one: it is held until a delta proves
   it, or a second snapshot says the same;
5. where the exchange may have begun to count anew, a snapshot ahead of the chain may be of the old count: it is held
   until the chain reaches it, which has to be soon.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from hoga.domain.sequencer import Sequencer, Verdict
from hoga.domain.types import Update

MAX_LEVELS = 20_000
"""Levels that one chain may hold in memory, however few updates bring them."""


class Fit(Enum):
    FITS = "fits"
    TOO_OLD = "too old"
    UNPROVEN = "unproven"


class JoinBuffer:
    """An unbroken chain of deltas of one symbol, at most `limit` long and `age_ns` old: hundreds of symbols may wait
    for minutes until the request budget allows their snapshots, and what is older than any answer is of no use."""

    def __init__(self, limit: int, age_ns: int) -> None:
        self._limit = limit
        self._age_ns = age_ns
        self._sequencer = Sequencer()
        self._levels = 0
        self.updates: deque[tuple[str, Update]] = deque()
        self._times: deque[int] = deque()
        self.overflowed = 0

    def add(self, link: str, update: Update, mono_ns: int) -> Verdict:
        """Keeps a delta. On GAP the chain starts anew with it, on REVERSAL after it."""
        if update.seq < update.prev_seq:  # the exchange counts anew: no chain leads over that
            self.restart()
            return Verdict.APPLY
        if self.last is not None and update.prev_seq > self.last and not self._sequencer.knows(link):
            self.restart()  # another link begins further on: nothing is lost, and its chain is as good
        verdict = self._sequencer.judge(link, update.prev_seq, update.seq)
        if verdict is Verdict.STALE:
            return verdict
        if verdict is Verdict.REVERSAL:  # no chain holds it; the next delta begins one
            self.restart()
            return verdict
        if verdict is Verdict.GAP:
            self._clear()
        self.updates.append((link, update))
        self._times.append(mono_ns)
        self._levels += len(update.bids) + len(update.asks)
        while len(self.updates) > 1 and self._too_much(mono_ns):
            _, oldest = self.updates.popleft()
            self._times.popleft()
            self._levels -= len(oldest.bids) + len(oldest.asks)
            self.overflowed += 1
        return verdict

    def restart(self) -> None:
        """Forgets the chain; the next delta begins one."""
        self._clear()
        self._sequencer = Sequencer()

    def _clear(self) -> None:
        self.updates.clear()
        self._times.clear()
        self._levels = 0

    def _too_much(self, mono_ns: int) -> bool:
        too_many = len(self.updates) > self._limit or self._levels > MAX_LEVELS
        return too_many or mono_ns - self._times[0] > self._age_ns

    @property
    def last(self) -> int | None:
        return self._sequencer.last

    def fit(self, lid: int, *, renumbered: bool = False) -> Fit:
        """Whether a snapshot at `lid` can be joined to the chain. `renumbered`: ids have gone backwards, so a
        snapshot ahead of the chain proves nothing."""
        last = self._sequencer.last
        if not self.updates or last is None:
            return Fit.UNPROVEN
        if self.updates[0][1].prev_seq > lid:
            return Fit.TOO_OLD
        return Fit.UNPROVEN if renumbered and lid > last else Fit.FITS
