"""Counts raw frames on the bus, for an exchange under suspicion only, and without decoding them.

The raw traffic is as heavy as everything else together, so nobody listens to it for statistics: the services'
own counts do. Only while the manager doubts them does the monitor subscribe and count for itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hoga.domain.errors import BusError
from hoga.runtime.bus import Bus, Subscription
from hoga.wire import subjects

log = logging.getLogger(__name__)


class Probes:
    def __init__(self, bus: Bus, count: Callable[[str, int], None]) -> None:
        """`count(exchange, frames)` is told what came since it was told last."""
        self._bus = bus
        self._count = count
        self._open: dict[str, Subscription] = {}
        self._frames: dict[str, int] = {}
        self._turning: asyncio.Task[None] | None = None

    @property
    def open(self) -> frozenset[str]:
        return frozenset(self._open)

    def want(self, exchanges: frozenset[str]) -> None:
        """Reports the counts, and makes it so that exactly these exchanges are probed."""
        for exchange, frames in self._frames.items():
            self._count(exchange, frames)
        self._frames = dict.fromkeys(self._open, 0)
        idle = self._turning is None or self._turning.done()
        if idle and exchanges != self._open.keys():
            self._turning = asyncio.create_task(self._turn(exchanges))

    async def stop(self) -> None:
        if self._turning is not None:
            self._turning.cancel()
            await asyncio.gather(self._turning, return_exceptions=True)

    async def _turn(self, exchanges: frozenset[str]) -> None:
        try:
            for exchange in exchanges - self._open.keys():
                self._frames[exchange] = 0
                self._open[exchange] = await self._bus.subscribe(subjects.raw(exchange), self._counter(exchange))
            for exchange in self._open.keys() - exchanges:
                await self._open.pop(exchange).unsubscribe()
                self._frames.pop(exchange, None)
        except BusError as error:
            log.warning("cannot probe the raw frames: %s", error)

    def _counter(self, exchange: str) -> Callable[[str, bytes], None]:
        of_links = subjects.raw_link(exchange)

        def on_frame(subject: str, _payload: bytes) -> None:
            if exchange in self._frames and subject != of_links:
                self._frames[exchange] += 1

        return on_frame
