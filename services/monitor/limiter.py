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

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


class ReconnectLimiter:
    def __init__(self, *, first_s: float = 30.0, longest_s: float = 600.0, per_minute: int = 6) -> None:
        self._first_ns = int(first_s * SECOND)
        self._longest_ns = int(longest_s * SECOND)
        self._per_minute = per_minute
        self._recent: deque[int] = deque()
        self._asked: dict[Hashable, tuple[int, int]] = {}
        """key -> (when it was last asked about, how long to wait after that)."""

    def allow(self, key: Hashable, mono_ns: int) -> bool:
        """True, and remembered, where a request about `key` may leave now."""
        self._forget(mono_ns)
        asked = self._asked.get(key)
        too_soon = asked is not None and mono_ns - asked[0] < asked[1]
        if too_soon or len(self._recent) >= self._per_minute:
            return False
        wait_ns = self._first_ns if asked is None else min(2 * asked[1], self._longest_ns)
        self._asked[key] = (mono_ns, wait_ns)
        self._recent.append(mono_ns)
        return True

    def _forget(self, mono_ns: int) -> None:
        while self._recent and mono_ns - self._recent[0] >= MINUTE:
            self._recent.popleft()
        for key, (at_ns, wait_ns) in list(self._asked.items()):
            if mono_ns - at_ns >= wait_ns + self._longest_ns:
                del self._asked[key]
