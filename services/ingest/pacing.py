"""When we may act again: evenly spaced sends and connects, and growing random delays.

- `Pacer` hands out turns: at most `burst` at once, then one per `1 / rate` seconds. A turn is taken before
  the wait, so any number of callers may wait without a lock. `hold` closes it for everybody.
- `Backoff` doubles a ceiling with each failure and draws the delay evenly below it (full jitter), so that
  many links cut together do not come back together. It forgets the failures after lasting health.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

HEALTHY_S = 10.0
"""A connection that held for so long clears the record of failures; against haste there is the pacing of connects."""


class Pacer:
    """Turns at a sustained rate. Seconds of the monotonic clock throughout."""

    def __init__(self, rate: float, burst: int = 1, *, clock: Callable[[], float] = time.monotonic) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"a pacer needs a rate above 0 and a burst of at least 1, not {rate} and {burst}")
        self._interval = 1.0 / rate
        self._slack = self._interval * (burst - 1)
        self._clock = clock
        self._next = clock() - self._slack
        self._held_until = 0.0

    def take(self) -> float:
        """Takes the next turn and says how many seconds to wait for it."""
        now = self._clock()
        turn = max(self._next, now - self._slack)
        self._next = turn + self._interval
        return max(0.0, turn - now)

    async def wait(self) -> None:
        while True:
            delay = self.take()
            if delay > 0:
                await asyncio.sleep(delay)
            if self._clock() >= self._held_until:
                return

    def hold(self, seconds: float) -> None:
        """Nobody gets a turn for so long, not even who waits already; a longer hold in force stays."""
        self._held_until = max(self._held_until, self._clock() + seconds)
        self._next = max(self._next, self._held_until)

    @property
    def held_s(self) -> float:
        """Seconds that the hold in force still lasts."""
        return max(0.0, self._held_until - self._clock())


class Backoff:
    """The delay before the next attempt of one place that keeps failing."""

    def __init__(
        self,
        minimum_s: float,
        maximum_s: float,
        *,
        healthy_after_s: float = HEALTHY_S,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.minimum_s = minimum_s
        self.maximum_s = max(minimum_s, maximum_s)
        self.healthy_after_s = healthy_after_s
        self.failures = 0
        self._draw = draw

    @property
    def ceiling_s(self) -> float:
        """The longest delay the next `next_delay` may draw."""
        return min(self.maximum_s, self.minimum_s * 2.0 ** min(self.failures, 60))

    def next_delay(self) -> float:
        delay = self._draw(0.0, self.ceiling_s)
        self.failures += 1
        return delay

    def lasted(self, seconds: float) -> None:
        """A connection held for so long; only lasting health clears the record."""
        if seconds >= self.healthy_after_s:
            self.failures = 0
