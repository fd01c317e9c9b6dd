"""What one link sends: paced, most urgent first, bounded.

1. Everything counts against the exchange's messages per second: pongs, heartbeats, questions, requests.
2. A pong copies the payload of the latest ping; older pings need no answer of their own (RFC 6455, 5.5.3).
3. The order: pongs, the exchange's greeting, a question to a link that fell silent, heartbeats, messages of the
   user's, subscription requests, and last the first question of a link.
4. Heartbeats go out at their interval; where they are spelled like the question, either serves as both. However low
   the limit, messages and requests have at least every other turn.
5. What to send is decided when its turn comes, so that nothing waits in a queue behind the pacing; only
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
from services.ingest.probing import Probing
from services.ingest.subscriptions import Subscriptions

MAX_MESSAGES = 64


class Socket(Protocol):
    """The part of aiohttp's websocket that the outbox uses."""

    async def send_str(self, data: str) -> None: ...

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None: ...


class Outbox:
    """Sends for one link until cancelled; a failing send raises what the socket raised."""

    def __init__(
        self,
        strategy: ConnectionStrategy,
        subscriptions: Subscriptions,
        probing: Probing,
        last_s: Callable[[], float],
        on_request: Callable[[], None],
    ) -> None:
        """`last_s()` is when the last frame arrived; `on_request` is called after every subscription request sent."""
        self.writing_s: float | None = None
        """Since when a write is under way."""
        self._strategy = strategy
        self._subscriptions = subscriptions
        self._probing = probing
        self._last_s = last_s
        self._on_request = on_request
        self._pacer = Pacer(strategy.limits.messages_per_s)
        self._pong: bytes | None = None
        self._greeting = deque(strategy.greeting(time.time_ns()))
        self._messages: deque[str] = deque()
        self._put_last = False
        self._wake = asyncio.Event()
        self._beat_due_s = time.monotonic() + strategy.heartbeat_s if strategy.heartbeat_s else float("inf")

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
            self.writing_s = time.monotonic()
            try:
                await self._send_next(socket, self.writing_s)
            finally:
                self.writing_s = None

    def _has_work(self) -> bool:
        waiting = self._pong is not None or self._greeting or self._messages or self._probing.first
        return bool(waiting) or self._subscriptions.has_work or time.monotonic() >= self._due_s()

    def _due_s(self) -> float:
        """When a heartbeat or a question falls due."""
        return min(self._beat_due_s, self._probing.due_s(self._last_s()))

    async def _rest(self) -> None:
        """Until there is work: woken, or something falls due."""
        self._wake.clear()
        if self._has_work():
            return
        handle = None
        if (due_s := self._due_s()) < float("inf"):
            handle = asyncio.get_running_loop().call_later(max(0.001, due_s - time.monotonic()), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if handle is not None:
                handle.cancel()

    async def _send_next(self, socket: Socket, now_s: float) -> None:
        if self._pong is not None:
            payload, self._pong = self._pong, None
            await socket.send_frame(payload, WSMsgType.PONG)
        elif self._greeting:
            await socket.send_str(self._greeting.popleft())
        elif now_s >= self._due_s() and not (self._put_last and (self._messages or self._subscriptions.has_work)):
            asks = not self._strategy.heartbeat_s or now_s >= self._probing.due_s(self._last_s())
            await self._put(socket, now_s, asks=asks)
        elif self._messages:
            self._put_last = False
            await socket.send_str(self._messages.popleft())
        elif self._subscriptions.has_work:
            self._put_last = False
            request = self._subscriptions.next_frame(now_s, time.time_ns())
            if request is not None:
                await socket.send_str(request)
                self._on_request()
        elif self._probing.first:
            await self._put(socket, now_s, asks=True)

    async def _put(self, socket: Socket, now_s: float, *, asks: bool) -> None:
        """Sends the question, or else the heartbeat; a text of None is a ping frame."""
        now_ns, interval_s = time.time_ns(), self._strategy.heartbeat_s
        question, beat = self._strategy.probe(now_ns), self._strategy.heartbeat(now_ns)
        text = question if asks or not interval_s else beat
        self._put_last = True
        if text == question:
            self._probing.asked(now_s)
        if interval_s and text == beat:
            self._beat_due_s = now_s + interval_s
        if text is None:
            await socket.send_frame(b"", WSMsgType.PING)
        else:
            await socket.send_str(text)
