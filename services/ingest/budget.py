"""How many requests a link may send in an hour, and who goes first where they run short. Pure: times come in.

1. No hour holds more requests than the exchange allows on one connection: half of them may go at once, the other half
   comes back evenly. Where it documents no such limit, its limit of frames a second is one, too.
2. A new symbol takes what is there. A subscription taken anew is two requests, and the more often a symbol wants
   that, the fuller the budget has to be: what never heals gets only what would overflow, and costs no other symbol.
"""

from __future__ import annotations

from math import ceil

from hoga.domain.bucket import TokenBucket
from hoga.exchanges.base import Limits

HOUR_S = 3600.0
AT_ONCE = 0.5
"""Share of the hour's requests that may go at once."""
RENEWAL = 2
"""Requests: one that unsubscribes, one that subscribes."""


class RequestBudget:
    """The requests of one link. Seconds of any one monotonic clock."""

    def __init__(self, limits: Limits) -> None:
        most = limits.requests_per_hour or limits.messages_per_s * HOUR_S
        self._bucket = TokenBucket(most * AT_ONCE, ceil(HOUR_S * 1e9 / (most - most * AT_ONCE)))
        self._renewed: dict[str, tuple[int, float]] = {}
        """Native id -> how often it was renewed without an hour's rest, and when last."""

    def allows(self, now_s: float) -> bool:
        """Whether one more request may go out."""
        return self._bucket.wait_ns(_ns(now_s)) == 0

    def allows_renewal(self, native: str, now_s: float) -> bool:
        fullness = self._bucket.capacity * (1.0 - 0.5 ** self._renewals(native, now_s))
        return self._bucket.wait_ns(_ns(now_s), max(RENEWAL, fullness)) == 0

    def renewed(self, native: str, now_s: float) -> None:
        self._renewed[native] = (self._renewals(native, now_s) + 1, now_s)

    def take(self, now_s: float) -> None:
        """One request goes out."""
        self._bucket.take(_ns(now_s))

    def _renewals(self, native: str, now_s: float) -> int:
        times, last_s = self._renewed.get(native, (0, now_s))
        return times if now_s - last_s < HOUR_S else 0


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
