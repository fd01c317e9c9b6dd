"""Evenly spaced sends and connects: at most `burst` at once, then one per `1 / rate` seconds.

A turn is taken before the wait, so any number of callers may wait without a lock. `hold` closes it for everybody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import ceil

from hoga.domain.bucket import TokenBucket


class Pacer:
    def __init__(self, rate: float, burst: int = 1, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """`rate` turns a second; `clock` gives monotonic nanoseconds."""
        if rate <= 0 or burst < 1:
            raise ValueError(f"a pacer needs a rate above 0 and a burst of at least 1, not {rate} and {burst}")
        self.bucket = TokenBucket(burst, ceil(1e9 / rate))
        self._clock = clock
        self._held_until_ns = 0

    def take(self) -> float:
        """Takes the next turn and says how many seconds to wait for it."""
        now_ns = self._clock()
        wait_ns = self.bucket.wait_ns(now_ns)
        self.bucket.take(now_ns)
        return wait_ns / 1e9

    async def wait(self) -> None:
        while True:
            delay = self.take()
            if delay > 0:
                await asyncio.sleep(delay)
            if self._clock() >= self._held_until_ns:
                return

    def hold(self, seconds: float) -> None:
        """Nobody gets a turn for so long, not even who waits already; a longer hold in force stays."""
        self._held_until_ns = max(self._held_until_ns, self._clock() + ceil(seconds * 1e9))
        self.bucket.leave(self._held_until_ns, 1)

    @property
    def held_s(self) -> float:
        """Seconds that the hold in force still lasts."""
        return max(0, self._held_until_ns - self._clock()) / 1e9
