"""Checks of event time: backwards, in the future, late. Announced when they begin.

Exchange and local clocks are never merged: an offset between them is a fact to show, not to correct.
"""

from __future__ import annotations

from dataclasses import dataclass

from hoga.domain.actions import FactKind, Note


@dataclass(frozen=True, slots=True)
class TimeBudget:
    late_after_ns: int = 10_000_000_000
    future_after_ns: int = 5_000_000_000


class EventTimes:
    """The event times of one symbol over one link (one line may be later than the other)."""

    __slots__ = ("_budget", "_troubles", "last_ns")

    def __init__(self, budget: TimeBudget) -> None:
        self._budget = budget
        self._troubles: set[FactKind] = set()
        """What is wrong with it now."""
        self.last_ns = 0
        """The newest."""

    def check(self, exchange_time_ns: int, wall_ns: int) -> Note | None:
        """The fact that begins with this event, None where nothing new is wrong. Epoch nanoseconds, 0: no time."""
        if exchange_time_ns == 0:
            return None
        if exchange_time_ns < self.last_ns:
            return self._begin(FactKind.TIME_REVERSAL, self.last_ns - exchange_time_ns)
        self.last_ns = exchange_time_ns
        age_ns = wall_ns - exchange_time_ns
        if age_ns > self._budget.late_after_ns:
            return self._begin(FactKind.TIME_LATE, age_ns)
        if -age_ns > self._budget.future_after_ns:
            return self._begin(FactKind.TIME_FUTURE, -age_ns)
        if self._troubles:
            self._troubles.clear()
        return None

    def usual(self, exchange_time_ns: int, wall_ns: int) -> bool:
        """Whether nothing is wrong with a time, nor was with the one before: then it is the newest."""
        age_ns = wall_ns - exchange_time_ns
        budget = self._budget
        if exchange_time_ns < self.last_ns or self._troubles:
            return False
        if not -budget.future_after_ns <= age_ns <= budget.late_after_ns:
            return False
        self.last_ns = exchange_time_ns
        return True

    def _begin(self, kind: FactKind, count_ns: int) -> Note | None:
        if kind in self._troubles:
            return None
        self._troubles.add(kind)
        return Note(kind, f"event time is off by {count_ns / 1e6:.0f} ms", count=count_ns)
