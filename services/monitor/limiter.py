"""How often the monitor may ask for a reconnect: a remedy must never become the illness.

Rules:
1. One link is asked about at most every `first_s`, and each further request doubles that wait up to `longest_s`.
2. A link that has been well for `longest_s` starts afresh.
3. All links together are asked about at most `per_minute` times in any minute.
Pure: time (monotonic nanoseconds) comes in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from hoga.domain.backoff import Backoff

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


class ReconnectLimiter:
    def __init__(self, *, first_s: float = 30.0, longest_s: float = 600.0, per_minute: int = 6) -> None:
        self._backoff = Backoff(int(first_s * SECOND), int(longest_s * SECOND))
        self._per_minute = per_minute
        self._recent: deque[int] = deque()
        self._asked: dict[Hashable, tuple[int, int]] = {}
        """key -> (when it was last asked about, how often since it was well)."""

    def allow(self, key: Hashable, mono_ns: int) -> bool:
        """True, and remembered, where a request about `key` may leave now."""
        self._forget(mono_ns)
        at_ns, times = self._asked.get(key, (0, 0))
        too_soon = times and mono_ns - at_ns < self._backoff.after(times)
        if too_soon or len(self._recent) >= self._per_minute:
            return False
        self._asked[key] = (mono_ns, times + 1)
        self._recent.append(mono_ns)
        return True

    def _forget(self, mono_ns: int) -> None:
        while self._recent and mono_ns - self._recent[0] >= MINUTE:
            self._recent.popleft()
        for key, (at_ns, times) in list(self._asked.items()):
            if mono_ns - at_ns >= self._backoff.after(times) + self._backoff.longest:
                del self._asked[key]
