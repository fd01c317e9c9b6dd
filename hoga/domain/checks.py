"""Checks of event time: backwards, in the future, late. Counted always, announced when they begin.

Exchange and local clocks are never merged: an offset between them is a fact to show, not to correct.
"""

from __future__ import annotations

from dataclasses import dataclass

from hoga.domain.actions import FactKind, Note
from hoga.domain.sequencer import REMEMBERED_LINKS


@dataclass(frozen=True, slots=True)
class TimeBudget:
    late_after_ns: int = 10_000_000_000
    future_after_ns: int = 5_000_000_000


class TimeWatch:
    """Follows the event times of one symbol: over each link its own, for one line may be later than the other."""

    __slots__ = ("_budget", "_links", "backwards", "future", "late")

    def __init__(self, budget: TimeBudget) -> None:
        self._budget = budget
        self._links: dict[str, _Seen] = {}
        self.backwards = 0
        self.future = 0
        self.late = 0

    def check(self, exchange_time_ns: int, wall_ns: int, link: str = "") -> Note | None:
        """The fact that begins with this event, None where nothing new is wrong. Times in epoch nanoseconds."""
        if exchange_time_ns == 0:
            return None
        seen = self._links.get(link)
        if seen is None:
            if len(self._links) >= REMEMBERED_LINKS:
                del self._links[next(iter(self._links))]
            seen = self._links[link] = _Seen()
        age_ns = wall_ns - exchange_time_ns
        if exchange_time_ns < seen.last_ns:
            self.backwards += 1
            return seen.begin(FactKind.TIME_REVERSAL, seen.last_ns - exchange_time_ns)
        seen.last_ns = exchange_time_ns
        if age_ns > self._budget.late_after_ns:
            self.late += 1
            return seen.begin(FactKind.TIME_LATE, age_ns)
        if -age_ns > self._budget.future_after_ns:
            self.future += 1
            return seen.begin(FactKind.TIME_FUTURE, -age_ns)
        if seen.troubles:
            seen.troubles.clear()
        return None


class _Seen:
    """The newest event time over one link, and what was wrong with it so far."""

    __slots__ = ("last_ns", "troubles")

    def __init__(self) -> None:
        self.last_ns = 0
        self.troubles: set[FactKind] = set()

    def begin(self, kind: FactKind, count_ns: int) -> Note | None:
        if kind in self.troubles:
            return None
        self.troubles.add(kind)
        return Note(kind, f"event time is off by {count_ns / 1e6:.0f} ms", count=count_ns)
