"""Puts books on the bus: every applied update, or the newest where there are more than can be sent.

1. A book that changed is published at the end of the event-loop turn that changed it; changes that come together
   are one message and counted as conflated.
2. With `min_interval_ms` a book is published at most so often; a change of state never waits.
3. Every message has the next revision, also one that the bus did not take: readers see the hole.
4. A quiet book is repeated every few seconds, so that silence is never mistaken for currentness and the last value
   in the stream may expire when its publisher dies.
5. After the bus was away everything is published anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from hoga.domain.actions import FactKind, Note
from hoga.runtime.bus import Bus
from hoga.runtime.logs import RateLimited
from hoga.wire import books
from services.validator.entry import Entry
from services.validator.metrics import Meters

INSPECTED_BYTES = 64 << 10
"""Of a rejected frame, what is kept for inspection."""
REPEAT_AFTER_NS = 5_000_000_000
LAST_VALUE_AGE_S = 20.0
"""How long the stream keeps a last value whose publisher has gone."""

log = logging.getLogger(__name__)


class Publisher:
    def __init__(self, bus: Bus, meters: Meters, *, depth: int, min_interval_ns: int) -> None:
        self._bus = bus
        self._meters = meters
        self._depth = depth
        self._min_interval_ns = min_interval_ns
        self._dirty: dict[Entry, None] = {}
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._limited = RateLimited(log, interval_s=10.0)
        self.tap: Callable[[str, str, bytes], None] | None = None
        """Sees (exchange code, symbol, payload) of every book published."""

    def changed(self, entry: Entry) -> None:
        """The book or its state changed."""
        if entry in self._dirty:
            entry.conflated += 1
            self._meters.of(entry.exchange.code).conflated()
        self._dirty[entry] = None
        if self._timer is not None and entry.published_state != entry.builder.state:
            self._timer.cancel()  # it waits for the least interval; a change of state does not
            self._timer = None
        if not self._scheduled and self._timer is None:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def forget(self, entry: Entry) -> None:
        """The entry publishes nothing any more."""
        self._dirty.pop(entry, None)

    def announce(self, entry: Entry, note: Note, frame: bytes = b"") -> None:
        """Publishes a fact, with the frame where one was rejected, unless this book has announced too many of late."""
        if not entry.may_announce(time.monotonic_ns()):
            self._meters.of(entry.exchange.code).event_suppressed()
            return
        message = books.event(note, entry.builder, entry.exchange.code, entry.symbol, time.time_ns())
        if note.kind is FactKind.REJECTED:
            message.frame = frame[:INSPECTED_BYTES]
        self._bus.publish(entry.event_subject, message.SerializeToString())

    def repeat_quiet(self, entries: Iterable[Entry], now_ns: int) -> None:
        """Publishes again what has not been published for a while."""
        for entry in entries:
            if entry.published_at_ns and now_ns - entry.published_at_ns > REPEAT_AFTER_NS and entry not in self._dirty:
                self._publish(entry, now_ns)

    def publish_now(self, entries: Iterable[Entry]) -> None:
        """Publishes without waiting for the end of the turn."""
        now_ns = time.monotonic_ns()
        for entry in entries:
            self._dirty.pop(entry, None)
            self._publish(entry, now_ns)

    def _flush(self) -> None:
        self._scheduled = False
        self._timer = None
        now_ns = time.monotonic_ns()
        dirty, self._dirty = self._dirty, {}
        wait_ns = 0
        for entry in dirty:
            due_ns = entry.published_at_ns + self._min_interval_ns
            if self._min_interval_ns and now_ns < due_ns and entry.published_state == entry.builder.state:
                self._dirty[entry] = None
                wait_ns = min(wait_ns or due_ns - now_ns, due_ns - now_ns)
            else:
                self._publish(entry, now_ns)
        if self._dirty:
            self._timer = asyncio.get_running_loop().call_later(wait_ns / 1e9, self._flush)

    def _publish(self, entry: Entry, now_ns: int) -> None:
        """Never raises: one book that cannot be written is no other's trouble."""
        try:
            self._send(entry, now_ns)
        except Exception as error:
            self._limited.log(logging.ERROR, entry.book_subject, "cannot publish %s: %r", entry.book_subject, error)

    def _send(self, entry: Entry, now_ns: int) -> None:
        entry.revision += 1
        entry.published_at_ns = now_ns
        entry.published_state = entry.builder.state
        publish_ns = time.time_ns()
        payload = entry.payload(self._depth, publish_ns)
        self._bus.publish(entry.book_subject, payload)
        self._meters.of(entry.exchange.code).published(publish_ns - entry.builder.receive_wall_ns)
        if self.tap is not None:
            self.tap(entry.exchange.code, entry.symbol, payload)
