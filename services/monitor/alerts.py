"""The list of current problems: since when each exists, worst first. Pure; time comes in.

`update` compares the problems of this second with those of the last and says what began and what ended, for
the log. At most `MAX_ALERTS` are kept; how many more there were is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hoga.domain.types import Stamp

from .problems import Problem, Severity

MAX_ALERTS = 200


@dataclass(frozen=True, slots=True)
class Alert:
    problem: Problem
    since: Stamp


@dataclass(frozen=True, slots=True)
class Change:
    """`raised` began or became worse, `cleared` ended with this check."""

    raised: tuple[Alert, ...]
    cleared: tuple[Alert, ...]


class Alerts:
    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}
        self.left_out = 0
        """Problems of the last check that did not fit."""

    def update(self, problems: Iterable[Problem], now: Stamp) -> Change:
        worst: dict[str, Problem] = {}
        for problem in problems:
            known = worst.get(problem.key)
            if known is None or problem.severity > known.severity:
                worst[problem.key] = problem
        ranked = sorted(worst.values(), key=lambda problem: -problem.severity)
        self.left_out = max(0, len(ranked) - MAX_ALERTS)
        before, after = self._alerts, {}
        for problem in ranked[:MAX_ALERTS]:
            known_alert = before.get(problem.key)
            after[problem.key] = Alert(problem, known_alert.since if known_alert else _began(problem, now))
        self._alerts = after
        raised = [alert for key, alert in after.items() if key not in before or _worse(alert, before[key])]
        cleared = [alert for key, alert in before.items() if key not in after]
        return Change(tuple(raised), tuple(cleared))

    def current(self) -> list[Alert]:
        """Worst first, and the oldest first among equals."""
        return sorted(self._alerts.values(), key=lambda alert: (-alert.problem.severity, alert.since.mono_ns))

    def count(self, severity: Severity) -> int:
        return sum(alert.problem.severity == severity for alert in self._alerts.values())


def _began(problem: Problem, now: Stamp) -> Stamp:
    if not 0 < problem.began_ns < now.mono_ns:
        return now
    return Stamp(problem.began_ns, now.wall_ns - (now.mono_ns - problem.began_ns))


def _worse(now: Alert, before: Alert) -> bool:
    return now.problem.severity > before.problem.severity
