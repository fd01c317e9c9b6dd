"""Async iterators over the bus: `async for book in client.books(...)`.

- A stream subscribes when it is first iterated (or entered with `async with`) and unsubscribes when it is closed,
  left, or simply forgotten: nothing in the bus keeps it alive.
- Closing a stream, or its client, ends the iteration.
- Nothing here waits on the consumer: what it does not take in time is conflated or dropped, and counted.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

from google.protobuf.message import DecodeError, Message

from hoga.client.book import BookView
from hoga.client.inbox import BookInbox
from hoga.runtime.bus import MessageHandler, Subscription

T = TypeVar("T")
M = TypeVar("M", bound=Message)

Opener = Callable[[MessageHandler], Awaitable[Subscription]]
"""Subscribes a handler on the bus."""


class Stream(ABC, Generic[T], AsyncIterator[T]):
    """One subscription of one consumer."""

    def __init__(self, opener: Opener, handler: MessageHandler, ready: asyncio.Event) -> None:
        self._opener = opener
        self._handler = handler
        self._ready = ready
        self._opening = asyncio.Lock()
        self._subscription: Subscription | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @abstractmethod
    def _take(self) -> T | None:
        """The next thing that waits, None where nothing does."""

    async def open(self) -> None:
        """Subscribes; iterating does it by itself. BusError where the bus is away."""
        async with self._opening:
            if self._subscription is None and not self._closed:
                self._loop = asyncio.get_running_loop()
                self._subscription = await self._opener(self._handler)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._subscription is None:
            await self.open()
        while not self._closed:
            item = self._take()
            if item is not None:
                return item
            self._ready.clear()
            await self._ready.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Unsubscribes and ends the iteration; what still waits is discarded."""
        self._closed = True
        self._ready.set()
        async with self._opening:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.unsubscribe()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        subscription = getattr(self, "_subscription", None)
        if subscription is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_unsubscribe_later, self._loop, subscription)


class BookStream(Stream[BookView]):
    """Books of one or many symbols: the current ones first, then every change."""

    def __init__(self, opener: Opener, inbox: BookInbox, clock: Callable[[], int], ready: asyncio.Event) -> None:
        self._inbox = inbox
        super().__init__(opener, lambda _subject, payload: inbox.offer(payload, clock()), ready)

    def _take(self) -> BookView | None:
        return self._inbox.take()

    @property
    def lost(self) -> int:
        """Books that were published and never arrived, so far."""
        return self._inbox.lost

    @property
    def skipped(self) -> int:
        """Books that arrived and were passed over because the consumer was busy, so far."""
        return self._inbox.skipped

    @property
    def unreadable(self) -> int:
        """Messages that were no books."""
        return self._inbox.unreadable

    @property
    def waiting(self) -> int:
        """Books that wait to be taken."""
        return self._inbox.waiting


class MessageBox(Generic[M]):
    """The newest `limit` messages of a subscription, oldest first."""

    def __init__(self, kind: type[M], wake: Callable[[], None], limit: int) -> None:
        self._kind = kind
        self._wake = wake
        self._waiting: deque[M] = deque()
        self._limit = limit
        self.dropped = 0
        self.unreadable = 0

    def offer(self, _subject: str, payload: bytes) -> None:
        try:
            message = self._kind.FromString(payload)
        except DecodeError:
            self.unreadable += 1
            return
        if len(self._waiting) == self._limit:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(message)
        self._wake()

    def take(self) -> M | None:
        return self._waiting.popleft() if self._waiting else None


class MessageStream(Stream[M]):
    """Messages as published (`hoga.wire.pb`): events, links, health."""

    def __init__(self, opener: Opener, box: MessageBox[M], ready: asyncio.Event) -> None:
        self._box = box
        super().__init__(opener, box.offer, ready)

    def _take(self) -> M | None:
        return self._box.take()

    @property
    def dropped(self) -> int:
        """Messages that arrived and were thrown away because the consumer was busy."""
        return self._box.dropped


def _unsubscribe_later(loop: asyncio.AbstractEventLoop, subscription: Subscription) -> None:
    task = loop.create_task(_quietly(subscription))
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)


async def _quietly(subscription: Subscription) -> None:
    # Nobody is left to tell, and the subscription ends with its connection anyway.
    with suppress(Exception):
        await subscription.unsubscribe()


_leaving: set[asyncio.Task[None]] = set()
"""Strong references: the loop itself keeps none to running tasks."""
