"""A bus that is never there: what a service gets that asked to run without one."""

from __future__ import annotations

from collections.abc import Callable

from hoga.domain.errors import BusError
from hoga.runtime.bus import MessageHandler, RequestHandler, Subscription


class NoBus:
    """Drops and counts what is published; everything else is a BusError."""

    def __init__(self) -> None:
        self._dropped = 0
        self.slow_dropped = 0
        self.uncertain = 0
        self.unanswered = 0

    @property
    def connected(self) -> bool:
        return False

    @property
    def dropped(self) -> int:
        return self._dropped

    def publish(self, subject: str, payload: bytes) -> bool:
        self._dropped += 1
        return False

    async def subscribe(self, subject: str, handler: MessageHandler, *, queue: str = "") -> Subscription:
        raise _refusal()

    async def subscribe_last(self, stream: str, subject: str, handler: MessageHandler) -> Subscription:
        raise _refusal()

    async def last(self, stream: str, subject: str) -> bytes | None:
        raise _refusal()

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = 5.0) -> bytes:
        raise _refusal()

    async def serve(self, subject: str, handler: RequestHandler, *, queue: str = "") -> Subscription:
        raise _refusal()

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, max_age_s: float = 0.0) -> None:
        raise _refusal()

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        """Never calls."""

    async def close(self) -> None:
        """Nothing to close."""


def _refusal() -> BusError:
    return BusError("this process runs without the message bus")
