"""Exponential back-off: how long to wait after failures in a row. A value; who uses it counts the failures.

The first wait doubles with each further failure, up to the longest. Where many wait for the same thing the wait is
drawn at random below that, so that they do not come back together. Any unit of time: what goes in comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", int, float)
_MOST_DOUBLINGS = 60


@dataclass(frozen=True, slots=True)
class Backoff(Generic[T]):
    first: T
    longest: T

    def after(self, failures: int) -> T:
        """The wait after so many failures in a row; the first one where there was none."""
        return min(self.first * (1 << min(max(failures - 1, 0), _MOST_DOUBLINGS)), self.longest)

    def drawn(self, failures: int, random: Callable[[], float], least: float = 0.0) -> float:
        """The same, drawn evenly between its share `least` and all of it; `random()` is in [0, 1)."""
        return self.after(failures) * (least + (1.0 - least) * random())
