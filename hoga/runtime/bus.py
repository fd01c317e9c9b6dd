"""The message bus as a small port: plain callbacks in, bytes out.

Services know only `Bus`. `hoga.runtime.nats_bus` carries it over NATS, `hoga.testing` has a fake one.
Live data is sent at most once: `publish` never waits, never buffers while the bus is away, and counts
what it could not send. Whoever reads sees a lost message as a jump in a sequence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

MessageHandler = Callable[[str, bytes], None]
"""(subject, payload); runs on the read loop: it must be quick and must not raise."""
RequestHandler = Callable[[str, bytes], Awaitable[bytes]]
"""(subject, payload) -> reply payload."""


class Subscription(Protocol):
    async def unsubscribe(self) -> None: ...


class Bus(Protocol):
    @property
    def connected(self) -> bool: ...

    @property
    def dropped(self) -> int:
        """Messages thrown away by `publish` because the bus was away, full, or they were too large."""

    @property
    def slow_dropped(self) -> int:
        """Messages that arrived and were thrown away, because our handlers were too slow."""

    def publish(self, subject: str, payload: bytes) -> bool:
        """Hands a message over; False (and counted) where it was dropped. Never blocks, never raises."""

    async def subscribe(self, subject: str, handler: MessageHandler, *, queue: str = "") -> Subscription:
        """Calls `handler` for every message; survives reconnects."""

    async def subscribe_last(self, stream: str, subject: str, handler: MessageHandler) -> Subscription:
        """First the stream's last value of every matching subject, then live, without a race between them."""

    async def last(self, stream: str, subject: str) -> bytes | None:
        """The stream's last value of a subject, or the newest of all that match its wildcards; None where there is
        none. BusError when away."""

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = 5.0) -> bytes:
        """BusError when nobody answers in time, naming the subject."""

    async def serve(self, subject: str, handler: RequestHandler, *, queue: str = "") -> Subscription:
        """Answers requests; what the handler raises is logged and leaves the request unanswered."""

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, max_age_s: float = 0.0) -> None:
        """Creates or updates a memory stream that keeps the last value of each subject."""

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        """Calls `handler(True)` on every connect or reconnect and `handler(False)` when the bus goes away."""

    async def close(self) -> None:
        """Sends what was handed over, then closes."""
