"""REST snapshots on demand, published on the raw subject between the stream's frames.

1. A symbol is queued once, however often it is asked for; a more urgent request moves it forward.
2. The queue is bounded; the requests leave through the exchange's one REST client, which keeps the budget and
   the cooldown. At most `PARALLEL` are on their way, so that urgency decides at the last moment.
3. A failed fetch is tried again, as late as the exchange wants and later each time, while the symbol is still
   collected; where trying again is pointless it is reported and given up.
4. The body is published as received, at the moment it is here: after every frame that was read before it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hoga.domain.backoff import Backoff
from hoga.domain.errors import FrameError, RestError
from hoga.domain.types import Update
from hoga.exchanges.base import Exchange
from hoga.runtime.logs import RateLimited
from hoga.runtime.rest import RestClient
from hoga.wire import pb
from services.ingest.lane import REST_LINK, Lane, Publish
from services.ingest.observers import Observers

MAX_QUEUED = 4096
RETRY = Backoff(1.0, 60.0)
PARALLEL = 3
"""Enough to use the budget at any round trip; fewer than the client lets fly, so the instrument list never waits."""
MAX_PRIORITY = 1000

log = logging.getLogger(__name__)
limited = RateLimited(log)


@dataclass(slots=True)
class Entry:
    symbol: str
    native: str
    priority: int
    order: int
    failures: int = 0
    not_before_s: float = 0.0
    in_flight: bool = False


class Snapshots:
    """The queue and its workers. `ask` from anywhere, `run` as a task."""

    def __init__(
        self,
        exchange: Exchange,
        rest: RestClient,
        publish: Publish,
        observers: Observers,
        still_wanted: Callable[[str], bool],
    ) -> None:
        """`still_wanted(symbol)`: whether a symbol is still collected."""
        self.counts: Counter[str] = Counter()
        """Fetches by result: published, failed, given_up, dropped."""
        self._exchange = exchange
        self._rest = rest
        self._publish = publish
        self._observers = observers
        self._still_wanted = still_wanted
        self._entries: dict[str, Entry] = {}
        self._lanes: dict[str, Lane] = {}
        self._order = itertools.count()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def ask(self, symbol: str, native: str, priority: int) -> bool:
        """Queues the snapshot of a symbol; smaller priorities go first. False where the queue is full."""
        priority = min(priority, MAX_PRIORITY)
        entry = self._entries.get(symbol)
        if entry is not None:
            entry.priority = min(entry.priority, priority)
        elif len(self._entries) >= MAX_QUEUED:
            return False
        else:
            self._entries[symbol] = Entry(symbol, native, priority, next(self._order))
        self._changed.set()
        return True

    async def fetch(self, native: str, *, priority: int) -> tuple[bytes, Update]:
        """Body and meaning of one snapshot, at once. RestError, or FrameError where it cannot be read."""
        body = await self._rest.get(self._exchange.strategy.snapshot_request(native), priority=priority)
        return body, self._exchange.handler.parse_snapshot(native, body)

    async def run(self) -> None:
        await asyncio.gather(*(self._work() for _ in range(PARALLEL)))

    async def _work(self) -> None:
        while True:
            entry = await self._next()
            entry.in_flight = True
            try:
                await self._serve(entry)
            except Exception as error:
                self._entries.pop(entry.symbol, None)
                log.error("snapshot of %s: internal error: %r", entry.symbol, error, exc_info=error)
            finally:
                entry.in_flight = False
                self._changed.set()

    async def _next(self) -> Entry:
        """The most urgent entry that may go now."""
        while True:
            now_s = time.monotonic()
            idle = [entry for entry in self._entries.values() if not entry.in_flight]
            ready = [entry for entry in idle if entry.not_before_s <= now_s]
            if ready:
                return min(ready, key=lambda entry: (entry.priority, entry.order))
            self._changed.clear()
            timeout_s = min((entry.not_before_s for entry in idle), default=now_s + 3600.0) - now_s
            try:
                await asyncio.wait_for(self._changed.wait(), timeout_s)
            except TimeoutError:
                continue

    async def _serve(self, entry: Entry) -> None:
        if not self._still_wanted(entry.symbol):
            del self._entries[entry.symbol]
            return
        request = self._exchange.strategy.snapshot_request(entry.native)
        try:
            body = await self._rest.get(request, priority=1 + entry.priority)
        except RestError as error:
            self._failed(entry, error)
            return
        receive_time_ns = time.time_ns()
        self._entries.pop(entry.symbol, None)
        if self._still_wanted(entry.symbol):
            self._deliver(entry, body, receive_time_ns)

    def _deliver(self, entry: Entry, body: bytes, receive_time_ns: int) -> None:
        lane = self._lanes.get(entry.symbol)
        if lane is None or lane.native != entry.native:
            code, kind = self._exchange.code, pb.RawFrame.KIND_REST_SNAPSHOT
            start = lane.seq if lane is not None else 0
            lane = Lane(code, entry.symbol, entry.native, REST_LINK, self._publish, kind, start)
            self._lanes[entry.symbol] = lane
        try:
            taken = lane.send(body, receive_time_ns)
        except FrameError as error:
            taken = False
            limited.error("unsendable", "%s: snapshot thrown away: %s", self._exchange.code, error)
        self.counts["published" if taken else "dropped"] += 1
        if self._observers.wants_books:
            self._tell(entry, body)

    def _tell(self, entry: Entry, body: bytes) -> None:
        try:
            self._observers.update(entry.symbol, self._exchange.handler.parse_snapshot(entry.native, body))
        except FrameError as error:
            limited.warning(f"parse {error.reason}", "snapshot of %s rejected: %s", entry.symbol, error)

    def _failed(self, entry: Entry, error: RestError) -> None:
        if error.retry_after_s is None:
            self.counts["given_up"] += 1
            self._entries.pop(entry.symbol, None)
            limited.error(f"given up {error.status}", "snapshot of %s given up: %s", entry.symbol, error)
            return
        self.counts["failed"] += 1
        entry.failures += 1
        pause_s = max(error.retry_after_s, RETRY.drawn(entry.failures, random.random))
        entry.not_before_s = time.monotonic() + pause_s
        limited.warning(
            f"failed {error.status}", "snapshot of %s: %s; next attempt in %.1f s", entry.symbol, error, pause_s
        )
