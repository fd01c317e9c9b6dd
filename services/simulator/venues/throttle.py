"""The limits an exchange enforces, from its side: a weight budget with bans, and a message meter. Pure.

Used by emulators only. Times are monotonic seconds that come in as arguments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple


class Verdict(NamedTuple):
    """`status` 200 lets the request pass; otherwise 429 or 418 with the seconds to stay away."""

    status: int
    used: int
    remaining: int
    retry_after_s: int


@dataclass(slots=True)
class Budget:
    """Weight per window for one client. Who goes on after `patience` refusals is banned for `ban_s`, then
    twice as long, and so on; requests during a ban are refused and counted."""

    limit: int
    window_s: float
    patience: int = 5
    ban_s: float = 120.0
    window: int = -1
    used: int = 0
    refusals: int = 0
    bans: int = 0
    banned_until_s: float = 0.0
    calls_while_banned: int = 0

    def spend(self, weight: int, now_s: float) -> Verdict:
        if now_s < self.banned_until_s:
            self.calls_while_banned += 1
            return Verdict(418, self.used, 0, _up(self.banned_until_s - now_s))
        window = int(now_s // self.window_s)
        if window != self.window:
            self.window, self.used = window, 0
            self.refusals = 0
        if self.used + weight <= self.limit:
            self.used += weight
            return Verdict(200, self.used, self.limit - self.used, 0)
        self.refusals += 1
        if self.refusals > self.patience:
            self.refusals = 0
            self.bans += 1
            self.banned_until_s = now_s + self.ban_s * 2 ** (self.bans - 1)
            return Verdict(418, self.used, 0, _up(self.banned_until_s - now_s))
        return Verdict(429, self.used, 0, _up((window + 1) * self.window_s - now_s))


@dataclass(slots=True)
class Meter:
    """At most `limit` events in any `window_s`."""

    limit: int
    window_s: float
    times: deque[float]

    def hit(self, now_s: float) -> bool:
        """Counts one event; False where it is one too many."""
        while self.times and self.times[0] <= now_s - self.window_s:
            self.times.popleft()
        self.times.append(now_s)
        return len(self.times) <= self.limit


def meter(limit: int, window_s: float) -> Meter:
    return Meter(limit, window_s, deque())


def _up(seconds: float) -> int:
    return max(1, int(seconds) + (seconds > int(seconds)))
