"""Follows one exchange: asks its ingest for the listing every period, and again sooner where that failed.

What fails here is said and retried here: the exchange's last universe stands, the other exchanges go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable

from hoga.domain.backoff import Backoff
from hoga.domain.errors import BusError, FrameError, HogaError
from hoga.runtime.logs import RateLimited
from hoga.runtime.service import ServiceContext
from hoga.wire import subjects
from services.aggregator import listing
from services.aggregator.desk import Desk
from services.aggregator.metrics import DeskMeters

RETRY = Backoff(1.0, 30.0)
"""Seconds, and never more than a refresh period."""
RESTORE_ATTEMPTS = 3
REMEMBERED_INGESTS = 4
HEARD_S = 5.0
"""An ingest whose health was published within this time is running; it publishes it each second."""
LATE_PERIODS = 3
"""A listing older than so many refresh periods is late, while ingest runs."""
PATIENCE_S = 60.0
"""And never earlier than after this long."""

log = logging.getLogger(__name__)


class Follower:
    def __init__(self, ctx: ServiceContext, desk: Desk, on_listing: Callable[[Follower], None]) -> None:
        """`on_listing(self)` is called whenever `desk.listing` is a fresh one."""
        self.desk = desk
        self.meters = DeskMeters(desk.code)
        self._ctx = ctx
        self._on_listing = on_listing
        self._refresh_s = ctx.settings.universe.refresh_s
        self._limited = RateLimited(log, interval_s=60.0)
        self._wake = asyncio.Event()
        self._failures = 0
        self._restores_left = RESTORE_ATTEMPTS
        self._ingests: deque[str] = deque(maxlen=REMEMBERED_INGESTS)
        self._heard_ns: int | None = None
        self._running_since_ns = 0
        self._fresh_ns: int | None = None

    async def run(self) -> None:
        """Until cancelled, or told to stop."""
        while True:
            try:
                await self._refresh()
            except HogaError as error:
                delay_s = self._failed(str(error))
            except Exception as error:  # a bug in one exchange's module stays with that exchange
                log.debug("%s: refresh failed", self.desk.code, exc_info=True)
                delay_s = self._failed(f"{type(error).__name__}: {error}")
            else:
                self._failures = 0
                self._wake.clear()
                delay_s = self._refresh_s
            if self._ctx.stopping.is_set():
                return
            # Not wait_for: before Python 3.12 it can lose a cancellation that comes as the time runs out.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            self._wake.clear()

    def heard(self, instance: str) -> None:
        """Ingest's process `instance` lives. One that has just come up is asked at once where an answer is owed."""
        now_ns = self._ctx.now().mono_ns
        if not self.running(now_ns):
            self._running_since_ns = now_ns
        self._heard_ns = now_ns
        if instance not in self._ingests:  # two lines may have a process each
            self._ingests.append(instance)
            if self._failures or self._fresh_ns is None:
                self._wake.set()

    def running(self, now_ns: int) -> bool:
        """Whether ingest was heard lately."""
        return self._heard_ns is not None and now_ns - self._heard_ns <= HEARD_S * 1e9

    def overdue(self, now_ns: int) -> str:
        """Why this exchange's universe is not what it should be; empty where it is, or where no ingest runs."""
        if not self.running(now_ns):
            return ""
        since_ns = self._running_since_ns if self._fresh_ns is None else max(self._fresh_ns, self._running_since_ns)
        age_s = (now_ns - since_ns) / 1e9
        if age_s <= max(LATE_PERIODS * self._refresh_s, PATIENCE_S):
            return ""
        return f"no listing for {age_s:.0f} s"

    async def _refresh(self) -> None:
        desk = self.desk
        reply = await listing.ask(self._ctx.bus, desk.code)
        if self._restores_left:
            await self._restore()
        now = self._ctx.now()
        # Megabytes of JSON: read on a thread, so that the other exchanges and the health answers go on.
        desk.listing = await asyncio.to_thread(listing.read, desk.exchange, reply, now.mono_ns)
        self._fresh_ns = now.mono_ns
        self.meters.refreshed.inc()
        self.meters.last_refresh.set(now.wall_ns / 1e9)
        self.meters.listed.set(desk.listing.trading)
        self._on_listing(self)

    async def _restore(self) -> None:
        """Once: takes up the universe of an earlier run, so that its symbols keep their place and its revision
        goes on. Without it after a few attempts."""
        code = self.desk.code
        self._restores_left -= 1
        try:
            payload = await self._ctx.bus.last(subjects.UNIVERSE_STREAM, subjects.universe(code))
            if payload is not None:
                self.desk.restore(payload)
        except FrameError as error:
            log.warning("%s: the last universe cannot be read, starting anew: %s", code, error)
        except BusError as error:
            if self._restores_left:
                raise
            log.warning("%s: the last universe cannot be had, starting anew: %s", code, error)
        self._restores_left = 0

    def _failed(self, why: str) -> float:
        """Says so, and gives the seconds until the next attempt."""
        self._failures += 1
        self.meters.failed.inc()
        level = logging.WARNING if self.running(self._ctx.now().mono_ns) else logging.INFO
        members = len(self.desk.members)
        stands = f"; its universe of {members} symbols stands" if self.desk.revision else ""
        self._limited.log(level, "failed", "%s: no listing: %s; trying again%s", self.desk.code, why, stands)
        return min(RETRY.drawn(self._failures, random.random, 0.5), self._refresh_s)
