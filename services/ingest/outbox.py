"""What one link sends: paced, most urgent first, bounded.

1. Everything counts against the exchange's messages per second: pongs, heartbeats, requests.
2. A pong copies the payload of the latest ping; older pings need no answer of their own (RFC 6455, 5.5.3).
3. What to send is decided when its turn comes, so that nothing waits in a queue behind the pacing; only
   messages of `send_message` queue, at most `MAX_MESSAGES`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from aiohttp import WSMsgType

from hoga.exchanges.base import ConnectionStrategy
from services.ingest.pacing import Pacer
from services.ingest.subscriptions import Subscriptions

MAX_MESSAGES = 64


class Socket(Protocol):
    """The part of aiohttp's websocket that the outbox uses."""

    async def send_str(self, data: str) -> None: ...

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None: ...


class Outbox:
    """Sends for one link until cancelled; a failing send raises what the socket raised."""

    def __init__(
        self, strategy: ConnectionStrategy, subscriptions: Subscriptions, on_request: Callable[[], None]
    ) -> None:
        """`on_request` is called after every subscription request sent."""
        self._heartbeat = strategy.heartbeat
        self._subscriptions = subscriptions
        self._on_request = on_request
        self._pacer = Pacer(strategy.limits.messages_per_s)
        self._pong: bytes | None = None
        self._messages: deque[str] = deque()
        self._wake = asyncio.Event()
        self._beat_due_s = time.monotonic() + (self._heartbeat.interval_s if self._heartbeat else 0.0)

    def pong(self, payload: bytes) -> None:
        self._pong = payload
        self._wake.set()

    def message(self, text: str) -> bool:
        """Queues a text of the user's; False where too many wait."""
        if len(self._messages) >= MAX_MESSAGES:
            return False
        self._messages.append(text)
        self._wake.set()
        return True

    def wake(self) -> None:
        """The subscriptions may have something to ask."""
        self._wake.set()

    async def run(self, socket: Socket) -> None:
        while True:
            if not self._has_work():
                await self._rest()
                continue
            await self._pacer.wait()
            await self._send_next(socket)

    def _has_work(self) -> bool:
        return self._pong is not None or bool(self._messages) or self._beat_is_due() or self._subscriptions.has_work

    def _beat_is_due(self) -> bool:
        return self._heartbeat is not None and time.monotonic() >= self._beat_due_s

    async def _rest(self) -> None:
        """Until there is work: woken, or a heartbeat falls due."""
        self._wake.clear()
        if self._has_work():
            return
        if self._heartbeat is None:
            await self._wake.wait()
            return
        handle = asyncio.get_running_loop().call_later(max(0.001, self._beat_due_s - time.monotonic()), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            handle.cancel()

    async def _send_next(self, socket: Socket) -> None:
        if self._pong is not None:
            payload, self._pong = self._pong, None
            await socket.send_frame(payload, WSMsgType.PONG)
        elif self._heartbeat is not None and self._beat_is_due():
            self._beat_due_s = time.monotonic() + self._heartbeat.interval_s
            if self._heartbeat.text is None:
                await socket.send_frame(b"", WSMsgType.PING)
            else:
                await socket.send_str(self._heartbeat.text)
        elif self._messages:
            await socket.send_str(self._messages.popleft())
        else:
            request = self._subscriptions.next_frame(time.monotonic())
            if request is not None:
                await socket.send_str(request)
                self._on_request()
