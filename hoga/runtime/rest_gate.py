"""What keeps us from being banned: the budget of weight, and the gate that closes when the exchange says no.

No I/O; times are monotonic.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from math import ceil

from hoga.domain.backoff import Backoff
from hoga.domain.bucket import TokenBucket

MINUTE_NS = 60_000_000_000
BURST_SHARE = 0.25
"""Share of a minute's budget that may go at once; the rest is spread over the minute."""
MAX_GATE_S = 3 * 86400.0
"""The longest ban any exchange documents."""


class Budget(TokenBucket):
    """A bucket of weight: holds BURST_SHARE of the minute's, refilled with the rest over a minute.

    A request heavier than the bucket waits for a full one and leaves a debt.
    """

    def __init__(self, weight_per_minute: float) -> None:
        self.per_minute = weight_per_minute
        burst = weight_per_minute * BURST_SHARE
        super().__init__(burst, ceil(MINUTE_NS / (weight_per_minute - burst)))

    def reported(self, now_ns: int, used: int) -> None:
        """The exchange counts `used` in its minute: never believe to have more than what that leaves.

        A minute later it has forgotten all of it, so the debt is at most what a minute refills, whatever it says.
        """
        self.leave(now_ns, max(self.per_minute - used, -MINUTE_NS / self.interval_ns))


class Gate:
    """Open, or closed until a moment of the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.status = 0
        self._until = 0.0
        self._row = 0

    @property
    def reason(self) -> str:
        return f"status {self.status}"

    def remaining_s(self) -> float:
        return max(0.0, self._until - self._clock())

    def close(self, status: int, asked_s: float | None, default_s: float) -> float:
        """Closes for `asked_s`, or `default_s` doubled each time in a row; never shortens. Gives the seconds.

        Refusals that come while it is closed were on their way already: they count only where they ask for more.
        """
        seconds = asked_s or 0.0
        if self.remaining_s() == 0:
            self._row += 1
            seconds = seconds or Backoff(default_s, 64 * default_s).after(self._row)
        self.status = status
        self._until = max(self._until, self._clock() + min(seconds, MAX_GATE_S))
        return self.remaining_s()

    def opened(self) -> None:
        """A request succeeded: the next closing starts small again, unless the gate has closed meanwhile."""
        if self.remaining_s() == 0:
            self._row = 0


def retry_after_s(text: str, now_wall_s: float) -> float | None:
    """Seconds that a Retry-After header asks for (a number or an HTTP date); None where it says nothing."""
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now_wall_s
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return seconds if 0 <= seconds < float("inf") else None
