"""What is wrong, in words that every part of the monitor shares.

A `Problem` is what a check found this second. It carries no history: `alerts` knows since when. Its `key`
names the same trouble across checks, so its text may change (a count, an age) without becoming a new alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad. INFO is worth knowing, WARNING heals or should, CRITICAL means that data is missing now."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Problem:
    """One trouble, now. `subject` says whose, `text` what, `began_ns` (monotonic) since when, 0 where unknown."""

    key: str
    severity: Severity
    subject: str
    text: str
    began_ns: int = 0


def seconds(age_ns: int) -> str:
    """An age for people: `4 s`, `3 min`, `2 h`."""
    whole = max(0, age_ns) // 1_000_000_000
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h"


def some(names: list[str], limit: int = 3) -> str:
    """The first few of `names` and how many more there are."""
    shown = ", ".join(names[:limit])
    more = len(names) - limit
    return f"{shown} and {more} more" if more > 0 else shown
