"""The queue between `publish` and the connection: bounded in bytes, emptied when the connection ends.

`put` hands over what the link takes at once and appends the rest, for one writer per link. What does not fit, comes
while the bus is away, or still waits when the connection ends is dropped and counted: never sent late.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque

from nats import errors as nats_errors

from hoga.domain.errors import snippet
from hoga.runtime.logs import RateLimited
from hoga.runtime.nats_link import NatsLink

MESSAGE_OVERHEAD = 64
"""What a queued message counts beside its payload, so that empty messages are bounded too."""
_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*\Z")
_KNOWN_SUBJECTS = 65536
log = logging.getLogger(__name__)


class Outbox:
    def __init__(self, limit_bytes: int) -> None:
        self.dropped = 0
        """Messages not sent: away, full, too large, or waiting when the connection ended."""
        self.max_payload = 0
        self._limit_bytes = limit_bytes
        self._link: NatsLink | None = None
        """Open while there is one."""
        self._bytes = 0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._subjects: set[str] = set()
        self._limited = RateLimited(log, interval_s=5.0)

    def put(self, subject: str, payload: bytes) -> bool:
        """Queues a message; False where it was dropped instead."""
        link = self._link
        if link is None:
            self.dropped += 1
            return False
        size = len(payload)
        if size > self.max_payload:
            return self._drop("size", f"{subject}: {size} bytes, but the server allows {self.max_payload}")
        waiting = self._bytes + link.pending_bytes
        if waiting + size + MESSAGE_OVERHEAD > self._limit_bytes:
            return self._drop("full", f"{subject}: the queue to NATS is full ({waiting} bytes wait)")
        if subject not in self._subjects and not self._accept(subject):
            return self._drop("subject", f"not a subject: {snippet(subject)!r}")
        if not self._waiting and link.put(subject, payload):
            return True
        self._waiting.append((subject, payload))
        self._bytes += size + MESSAGE_OVERHEAD
        self._wake.set()
        return True

    def open(self, link: NatsLink) -> None:
        """From now on messages go to `link`."""
        self.max_payload = link.max_payload
        self._link = link
        self._writer = asyncio.create_task(self._write(link))

    def close(self) -> int:
        """Drops what waits, and everything that comes; gives how many waited."""
        self._link = None
        if self._writer is not None:
            self._writer.cancel()
            self._writer = None
        waited = len(self._waiting)
        self.dropped += waited
        self._waiting = deque()
        self._bytes = 0
        return waited

    async def drained(self) -> None:
        """Returns when nothing waits any more."""
        while self._link is not None and self._waiting:
            self._idle.clear()
            await self._idle.wait()

    async def _write(self, link: NatsLink) -> None:
        # nats-py swallows cancellation, so each turn checks that this is still the queue and the link is alive.
        waiting = self._waiting
        try:
            while link.alive and waiting is self._waiting:
                self._idle.set()
                await self._wake.wait()
                self._wake.clear()
                while waiting and link.alive:
                    await link.room()  # it waits in the queue: nothing may overtake it
                    if waiting is self._waiting:
                        subject, payload = waiting.popleft()
                        self._bytes -= len(payload) + MESSAGE_OVERHEAD
                        await link.hand(subject, payload)
        except (nats_errors.Error, OSError) as error:
            link.lose(snippet(str(error) or type(error).__name__))
        finally:
            self._idle.set()

    def _accept(self, subject: str) -> bool:
        if not _SUBJECT.match(subject):
            return False
        if len(self._subjects) >= _KNOWN_SUBJECTS:
            self._subjects.clear()
        self._subjects.add(subject)
        return True

    def _drop(self, key: str, why: str) -> bool:
        self.dropped += 1
        self._limited.error(key, "message dropped: %s", why)
        return False
