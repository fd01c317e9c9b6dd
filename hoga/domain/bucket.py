"""A token bucket: so many at once, and then one per interval. A value; the time comes in, monotonic nanoseconds.

All of its state is the moment when it is full again: taking moves that moment away, time brings it nearer. A bucket
begins full. What is taken beyond what it holds is a debt, which is waited for before the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(slots=True)
class TokenBucket:
    capacity: float
    interval_ns: int
    """After which one more token is there."""
    full_ns: int = 0

    def level(self, now_ns: int) -> float:
        """Tokens it holds; below zero a debt."""
        return self.capacity - max(0, self.full_ns - now_ns) / self.interval_ns

    def wait_ns(self, now_ns: int, tokens: float = 1) -> int:
        """How long until it holds so many, or is full where it cannot."""
        return max(0, self.full_ns - now_ns - self._span_ns(self.capacity - min(tokens, self.capacity)))

    def take(self, now_ns: int, tokens: float = 1) -> None:
        """Takes them, there or not."""
        self.full_ns = max(self.full_ns, now_ns) + self._span_ns(tokens)

    def try_take(self, now_ns: int, tokens: float = 1) -> bool:
        """Takes them where they are there."""
        if self.wait_ns(now_ns, tokens):
            return False
        self.take(now_ns, tokens)
        return True

    def leave(self, now_ns: int, tokens: float) -> None:
        """Holds no more than so many from now on."""
        self.full_ns = max(self.full_ns, now_ns + self._span_ns(self.capacity - tokens))

    def _span_ns(self, tokens: float) -> int:
        return ceil(tokens * self.interval_ns)
