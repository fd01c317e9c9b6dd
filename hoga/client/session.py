"""The client's side of the bus: one connection, the publishers' signs of life, and the streams that hang on it."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakSet

import msgspec
from google.protobuf.message import DecodeError, Message

from hoga.client.inbox import BookInbox
from hoga.client.publishers import Life, Publishers
from hoga.client.streams import BookStream, MessageBox, MessageStream, Stream
from hoga.domain.errors import BusError
from hoga.runtime.bus import Bus, MessageHandler, Subscription
from hoga.runtime.config import NatsSettings, load_settings
from hoga.runtime.nats_bus import connect_nats
from hoga.wire import pb, subjects

M = TypeVar("M", bound=Message)

_REVIEW_S = 0.5
"""How often time alone may turn a book STALE."""
_KEPT_QUIET_S = 0.3
"""The kept values come in one rush: when no new subject came for so long, it is over."""
_KEPT_PATIENCE_S = 5.0
log = logging.getLogger(__name__)
_BUS_AWAY = "the message bus is away"
_SILENT = "its publisher is silent"


class Session:
    """Opened once, closed once. `bus`: given, already connected, and left open; else made from `settings`."""

    def __init__(
        self,
        *,
        bus: Bus | None,
        settings: NatsSettings | None,
        url: str | None,
        name: str,
        timeout_s: float,
        stale_after_s: float,
    ) -> None:
        self._bus = bus
        self._own_bus = bus is None
        self._settings = settings
        self._url = url
        self._name = name
        self._timeout_s = timeout_s
        self._publishers = Publishers(round(stale_after_s * 1e9))
        self._streams: WeakSet[Stream[Any]] = WeakSet()
        self._inboxes: WeakSet[BookInbox] = WeakSet()
        self._kept_values: WeakSet[_LiveAndKept] = WeakSet()
        self._sign_of_life = asyncio.Event()
        self._watch: Subscription | None = None
        self._reviews: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """BusError where the bus cannot be reached, ConfigError for a wrong setting."""
        if self._closed:
            raise BusError("this client is closed; make a new one")
        if self._watch is not None:
            return
        if self._bus is None:
            settings = self._settings or load_settings().nats
            if self._url is not None:
                settings = msgspec.structs.replace(settings, url=self._url)
            self._bus = await connect_nats(settings, name=self._name, timeout_s=self._timeout_s)
        self._watch = await self._bus.subscribe(subjects.health("*"), self._on_health)
        self._bus.on_connection(self._on_connection)
        self._reviews = asyncio.create_task(self._review_in_time(), name="hoga client review")

    async def close(self) -> None:
        """Ends every stream, and the connection unless it was given."""
        self._closed = True
        for stream in list(self._streams):
            with suppress(BusError):
                await stream.aclose()
        if self._reviews is not None:
            self._reviews.cancel()
            await asyncio.gather(self._reviews, return_exceptions=True)
        if self._watch is not None:
            with suppress(BusError):
                await self._watch.unsubscribe()
        if self._bus is not None and self._own_bus:
            await self._bus.close()

    @property
    def connected(self) -> bool:
        return self._bus is not None and self._watch is not None and not self._closed and self._bus.connected

    @property
    def bus(self) -> Bus:
        """BusError where the session is not open."""
        if self._bus is None or self._watch is None or self._closed:
            raise BusError("the client is not connected: use it inside `async with Client(...)`")
        return self._bus

    def book_stream(self, subject: str, *, conflate: bool, limit: int) -> BookStream:
        ready = asyncio.Event()
        inbox = BookInbox(self._publishers, conflate=conflate, limit=limit, wake=ready.set)

        async def opener(handler: MessageHandler) -> Subscription:
            subscription = await self._live_and_kept(subject, handler)
            self._inboxes.add(inbox)
            return subscription

        stream = BookStream(opener, inbox, time.monotonic_ns, ready)
        self._streams.add(stream)
        return stream

    def message_stream(self, kind: type[M], subject: str, *, limit: int) -> MessageStream[M]:
        ready = asyncio.Event()

        async def opener(handler: MessageHandler) -> Subscription:
            return await self.bus.subscribe(subject, handler)

        stream = MessageStream(opener, MessageBox(kind, ready.set, limit), ready)
        self._streams.add(stream)
        return stream

    async def _live_and_kept(self, subject: str, handler: MessageHandler) -> Subscription:
        """Every message from now on, and the values kept so far. The inbox sorts out which is newer.

        The stream alone would not do: it keeps one value a subject, so in a burst it passes over revisions that the
        plain subscription delivers."""
        both = _LiveAndKept(self.bus, subject, handler)
        await both.open()
        self._kept_values.add(both)
        return both

    def _on_connection(self, connected: bool) -> None:
        """What was published while the bus was away from us is had from the stream."""
        if connected:
            for both in self._kept_values:
                both.refresh()

    async def kept(self, subject: str) -> list[bytes]:
        """The last value of every matching subject of the books' stream; BusError where the bus is away."""
        if not self.bus.connected:
            raise BusError("the message bus is away")
        found: dict[str, bytes] = {}
        arrived = asyncio.Event()

        def keep_first(name: str, payload: bytes) -> None:
            if name not in found:
                found[name] = payload
                arrived.set()

        subscription = await self.bus.subscribe_last(subjects.BOOKS_STREAM, subject, keep_first)
        await _end_after_rush(subscription, arrived)
        return list(found.values())

    async def doubt(self, epoch: int) -> str:
        """Why books of `epoch` are not to be trusted, empty where they are. Where its publisher has not been
        heard yet, waits for a sign of life, at most as long as silence is tolerated."""
        while (life := self._publishers.life(epoch, time.monotonic_ns())) is Life.UNKNOWN:
            self._sign_of_life.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sign_of_life.wait(), _REVIEW_S)
        return "" if life is Life.ALIVE else self._why

    @property
    def _why(self) -> str:
        return _SILENT if self.connected else _BUS_AWAY

    def _on_health(self, _subject: str, payload: bytes) -> None:
        try:
            health = pb.Health.FromString(payload)
        except DecodeError:
            return
        if health.epoch == 0:
            return
        now_ns = time.monotonic_ns()
        before = self._publishers.life(health.epoch, now_ns)
        self._publishers.heard(health.epoch, now_ns)
        self._sign_of_life.set()
        if before is not Life.ALIVE:
            self._review(now_ns)

    async def _review_in_time(self) -> None:
        while True:
            await asyncio.sleep(_REVIEW_S)
            self._review(time.monotonic_ns())

    def _review(self, now_ns: int) -> None:
        for inbox in list(self._inboxes):
            inbox.review(now_ns, self._why)


class _LiveAndKept:
    """A plain subscription, and beside it one for the kept values that ends by itself when their rush is over."""

    def __init__(self, bus: Bus, subject: str, handler: MessageHandler) -> None:
        self._bus = bus
        self._subject = subject
        self._handler = handler
        self._seen: set[str] = set()
        """Subjects heard live since the kept values were asked for: theirs are older."""
        self._arrived = asyncio.Event()
        self._kept_any = False
        self._live: Subscription | None = None
        self._kept: Subscription | None = None
        self._rush: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """BusError where the bus refuses."""
        self._live = await self._bus.subscribe(self._subject, self._take_live)
        try:
            self._kept = await self._bus.subscribe_last(subjects.BOOKS_STREAM, self._subject, self._take_kept)
        except BusError:
            await self._live.unsubscribe()
            raise
        self._rush = asyncio.create_task(self._first(self._kept), name="hoga client kept values")

    def refresh(self) -> None:
        """Asks for the kept values again, unless they are just coming."""
        if self._rush is not None and self._rush.done():
            self._seen.clear()
            self._rush = asyncio.create_task(self._again(), name="hoga client kept values")

    async def unsubscribe(self) -> None:
        if self._rush is not None:
            self._rush.cancel()
            with suppress(asyncio.CancelledError):
                await self._rush
        for subscription in (self._kept, self._live):
            if subscription is not None:
                with suppress(BusError):
                    await subscription.unsubscribe()

    async def _first(self, kept: Subscription) -> None:
        await _end_after_rush(kept, self._arrived)
        if not self._seen and not self._kept_any:
            log.warning(
                "no book is published on %s: waiting for the first; is the name right, and is it collected?",
                self._subject,
            )

    async def _again(self) -> None:
        with suppress(BusError):  # away again: the next return asks anew
            self._kept = await self._bus.subscribe_last(subjects.BOOKS_STREAM, self._subject, self._take_kept)
            await _end_after_rush(self._kept, self._arrived)

    def _take_live(self, name: str, payload: bytes) -> None:
        self._seen.add(name)
        self._handler(name, payload)

    def _take_kept(self, name: str, payload: bytes) -> None:
        self._arrived.set()
        self._kept_any = True
        if name not in self._seen:
            self._handler(name, payload)


async def _end_after_rush(subscription: Subscription, arrived: asyncio.Event) -> None:
    """Ends a subscription of kept values when no more of them come."""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_KEPT_PATIENCE_S):
                while True:
                    async with asyncio.timeout(_KEPT_QUIET_S):
                        await arrived.wait()
                    arrived.clear()
    finally:
        with suppress(BusError):
            await subscription.unsubscribe()
