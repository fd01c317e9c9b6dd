"""The bus over NATS.

1. `publish` only queues; one writer hands the queue to the connection, batched per loop tick. The queue is
   bounded in bytes, and emptied when the connection ends: what was not sent then is counted, never sent late.
2. A connection is used once (`nats_link`); after a loss a fresh one is opened within 0.1-0.5 s, for ever, and
   everything this process subscribed, serves and ensured is made again on it.
3. Each loss has a count: `dropped` (ours, before sending), `slow_dropped` (arrived faster than our handlers
   took it), `uncertain` (handed over, connection lost before the server confirmed it).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable
from urllib.parse import urlparse

from nats import errors as nats_errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from hoga.domain.errors import BusError, ConfigError, snippet
from hoga.runtime import nats_streams
from hoga.runtime.bus import MessageHandler, RequestHandler, Subscription
from hoga.runtime.logs import RateLimited
from hoga.runtime.nats_link import NatsLink, open_link
from hoga.runtime.nats_streams import PENDING_BYTES, PENDING_MESSAGES, LastValues, StreamSpec
from hoga.runtime.settings import NatsSettings

RECONNECT_MIN_S = 0.1
RECONNECT_MAX_S = 0.5
CLOSE_PATIENCE_S = 2.0
SETUP_PATIENCE_S = 2.0
MAX_HANDLERS = 256
"""Requests answered at the same time; beyond, a request is left unanswered and counted."""
MESSAGE_OVERHEAD = 64
"""What a queued message counts beside its payload, so that empty messages are bounded too."""

_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*\Z")
_MAX_SUBJECTS = 65536
log = logging.getLogger(__name__)


async def connect_nats(settings: NatsSettings, *, name: str, timeout_s: float | None = 5.0) -> NatsBus:
    """A bus that is connected. BusError when NATS is not reached within `timeout_s`; None waits for ever."""
    for url in settings.url.split(","):
        _check_url(url)
    bus = NatsBus(settings, name)
    try:
        await bus.start(timeout_s)
    except BaseException:
        await bus.close()
        raise
    return bus


class NatsBus:
    """See `hoga.runtime.bus.Bus` for what the calls promise."""

    def __init__(self, settings: NatsSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._link: NatsLink | None = None
        self._up = False
        self._closing = False
        self._keeper: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._outbox_bytes = 0
        self._wake = asyncio.Event()
        self._max_payload = 0
        self._subjects: set[str] = set()
        self._plain: dict[int, _Plain] = {}
        self._last_values: set[LastValues] = set()
        self._streams: dict[str, StreamSpec] = {}
        self._listeners: list[Callable[[bool], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering = 0
        self._dropped = 0
        self.slow_dropped = 0
        self.uncertain = 0
        self.unanswered = 0
        """Requests left unanswered because too many were in hand."""
        self._failure = ""
        self._limited = RateLimited(log, interval_s=5.0)

    # --- connection

    async def start(self, timeout_s: float | None) -> None:
        """Connects and keeps connected; BusError where the first connection takes longer than `timeout_s`."""
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep_connected())
        done, _ = await asyncio.wait({self._first, self._keeper}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise BusError(self._failure or f"NATS at {self._settings.url} does not answer")
        if self._keeper in done:
            self._keeper.result()

    @property
    def connected(self) -> bool:
        return self._up

    @property
    def dropped(self) -> int:
        return self._dropped

    @property
    def max_payload(self) -> int:
        """Bytes the server takes in one message."""
        return self._max_payload

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        self._listeners.append(handler)

    async def _keep_connected(self) -> None:
        while not self._closing:
            try:
                link = await open_link(self._settings, self._name, self._on_slow, self._on_denied)
            except BusError as error:
                self._failure = str(error)
                self._limited.warning("connect", "%s; trying again", error)
            else:
                await self._use(link)
            await asyncio.sleep(random.uniform(RECONNECT_MIN_S, RECONNECT_MAX_S))

    async def _use(self, link: NatsLink) -> None:
        self._link = link
        try:
            await self._set_up(link)
            self._go_up(link)
            reason = await link.lost
        except BusError as error:
            reason = str(error)
        finally:
            lost, self._link = link, None
            self._go_down(lost)
        link.lose(reason)
        if not self._closing:
            log.warning("lost NATS: %s; reconnecting", reason)

    async def _set_up(self, link: NatsLink) -> None:
        """Everything that existed before exists again; only a lost link is an error here."""
        for plain in list(self._plain.values()):
            await plain.attach(link)
        for spec in list(self._streams.values()):
            await self._ensure_again(link, spec)
        for values in list(self._last_values):
            self._spawn(self._attach_again(values, link))
        await link.settle()

    async def _ensure_again(self, link: NatsLink, spec: StreamSpec) -> None:
        try:
            await asyncio.wait_for(nats_streams.ensure(link, spec), SETUP_PATIENCE_S)
        except (BusError, TimeoutError) as error:
            if not link.alive:
                raise BusError("the message bus went away again") from None
            self._limited.error(f"stream {spec.name}", "stream %s: %s; trying again", spec.name, error or "timeout")
            self._spawn(self._ensure_later(link, spec))

    async def _ensure_later(self, link: NatsLink, spec: StreamSpec) -> None:
        while link.alive:
            await asyncio.sleep(1.0)
            with contextlib.suppress(BusError):
                await nats_streams.ensure(link, spec)
                return

    async def _attach_again(self, values: LastValues, link: NatsLink) -> None:
        while link.alive and values in self._last_values:
            try:
                await values.attach(link)
                return
            except BusError as error:
                self._limited.warning("last values", "%s; trying again", error)
                await asyncio.sleep(1.0)

    def _go_up(self, link: NatsLink) -> None:
        self._max_payload = link.max_payload
        self._up = True
        self._wake.clear()
        self._writer = asyncio.create_task(self._write(link))
        log.info("connected to NATS at %s", self._settings.url)
        if not self._first.done():
            self._first.set_result(None)
        self._tell(True)

    def _go_down(self, link: NatsLink) -> None:
        was_up, self._up = self._up, False
        if self._writer is not None:
            self._writer.cancel()
            self._writer = None
        unsent = len(self._outbox)
        self._dropped += unsent
        self._outbox.clear()
        self._outbox_bytes = 0
        self.uncertain += link.handed - link.confirmed
        if unsent and not self._closing:
            log.warning("%d messages waited for NATS and were dropped", unsent)
        if was_up:
            self._tell(False)

    def _tell(self, up: bool) -> None:
        for listener in self._listeners:
            try:
                listener(up)
            except Exception:
                log.exception("a connection listener failed")

    # --- publishing

    def publish(self, subject: str, payload: bytes) -> bool:
        size = len(payload)
        if not self._up:
            self._dropped += 1
            return False
        if size > self._max_payload:
            return self._refuse("size", f"{size} bytes for {subject}: the server allows {self._max_payload}")
        if self._outbox_bytes + size + MESSAGE_OVERHEAD > self._settings.pending_bytes:
            return self._refuse("full", f"the queue to NATS is full ({self._outbox_bytes} bytes wait)")
        if subject not in self._subjects and not self._accept(subject):
            return self._refuse("subject", f"not a subject: {snippet(subject)!r}")
        self._outbox.append((subject, payload))
        self._outbox_bytes += size + MESSAGE_OVERHEAD
        self._wake.set()
        return True

    def _accept(self, subject: str) -> bool:
        if not _SUBJECT.match(subject):
            return False
        if len(self._subjects) >= _MAX_SUBJECTS:
            self._subjects.clear()
        self._subjects.add(subject)
        return True

    def _refuse(self, key: str, why: str) -> bool:
        self._dropped += 1
        self._limited.error(key, "message dropped: %s", why)
        return False

    async def _write(self, link: NatsLink) -> None:
        """Hands the queue over until the link is lost. nats-py swallows cancellation, hence the checks."""
        outbox, publish = self._outbox, link.client.publish
        try:
            while link.alive:
                await self._wake.wait()
                self._wake.clear()
                while outbox and link.alive and self._link is link:
                    subject, payload = outbox.popleft()
                    self._outbox_bytes -= len(payload) + MESSAGE_OVERHEAD
                    link.handed += 1
                    await publish(subject, payload)
        except (nats_errors.Error, OSError) as error:
            link.lose(snippet(str(error) or type(error).__name__))

    # --- subscribing

    async def subscribe(self, subject: str, handler: MessageHandler, *, queue: str = "") -> Subscription:
        async def receive(message: Msg) -> None:
            self._deliver(handler, message.subject, message.data)

        return await self._add_plain(subject, queue, receive)

    async def serve(self, subject: str, handler: RequestHandler, *, queue: str = "") -> Subscription:
        async def receive(message: Msg) -> None:
            if self._answering >= MAX_HANDLERS:
                self.unanswered += 1
                self._limited.warning("busy", "%d requests in hand: %s left unanswered", MAX_HANDLERS, message.subject)
                return
            self._answering += 1
            self._spawn(self._answer(handler, message))

        return await self._add_plain(subject, queue, receive)

    async def _add_plain(self, subject: str, queue: str, receive: Callable[[Msg], Awaitable[None]]) -> Subscription:
        plain = _Plain(subject, queue, receive, self._plain)
        self._plain[id(plain)] = plain
        if self._link is not None:
            with contextlib.suppress(BusError):
                await plain.attach(self._link)
                await self._link.settle()
        return plain

    async def _answer(self, handler: RequestHandler, message: Msg) -> None:
        try:
            reply = await handler(message.subject, message.data)
        except Exception as error:
            self._limited.error(
                f"serve {message.subject}", "request on %s failed: %s: %s", message.subject, type(error).__name__, error
            )
            log.debug("request on %s failed", message.subject, exc_info=True)
        else:
            if message.reply:
                self.publish(message.reply, reply)
        finally:
            self._answering -= 1

    def _deliver(self, handler: MessageHandler, subject: str, payload: bytes) -> None:
        try:
            handler(subject, payload)
        except Exception as error:
            if self._limited.error("handler", "the handler of %s failed: %s: %s", subject, type(error).__name__, error):
                log.exception("here")

    # --- requests and streams

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = 5.0) -> bytes:
        return (await self._live_link().request(subject, payload, timeout_s)).data

    async def last(self, stream: str, subject: str) -> bytes | None:
        return await nats_streams.last(self._live_link(), stream, subject)

    async def subscribe_last(self, stream: str, subject: str, handler: MessageHandler) -> Subscription:
        def deliver(message_subject: str, payload: bytes) -> None:
            self._deliver(handler, message_subject, payload)

        values = LastValues(stream, subject, deliver, self._last_values.discard)
        self._last_values.add(values)
        if self._link is not None:
            link = self._link
            try:
                await values.attach(link)
            except BusError:
                if link.alive:
                    self._last_values.discard(values)
                    raise
        return values

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, max_age_s: float = 0.0) -> None:
        """Also remembers it: where the bus is away now, or comes back without it, the stream is made then."""
        spec = StreamSpec(name, tuple(subjects), max_bytes, max_age_s)
        self._streams[name] = spec
        if self._link is not None:
            link = self._link
            try:
                await nats_streams.ensure(link, spec)
            except BusError:
                if link.alive:
                    raise

    def _live_link(self) -> NatsLink:
        if self._link is None or not self._up:
            raise BusError(f"the message bus is away ({self._failure or self._settings.url})")
        return self._link

    # --- the rest

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        link = self._link
        if link is not None and self._up:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained(link), CLOSE_PATIENCE_S)
            await link.close(CLOSE_PATIENCE_S)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drained(self, link: NatsLink) -> None:
        while self._outbox and link.alive:
            await asyncio.sleep(0.005)

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[assignment]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_slow(self, subject: str) -> None:
        self.slow_dropped += 1
        self._limited.warning("slow", "messages of %s arrive faster than they are handled: dropped", subject)

    def _on_denied(self, what: str) -> None:
        self._limited.error(what, "NATS: %s", what)


class _Plain:
    """One plain subscription, made again on every link."""

    def __init__(
        self, subject: str, queue: str, receive: Callable[[Msg], Awaitable[None]], owner: dict[int, _Plain]
    ) -> None:
        self._subject = subject
        self._queue = queue
        self._receive = receive
        self._owner = owner
        self._link: NatsLink | None = None
        self._nats: NatsSubscription | None = None

    async def attach(self, link: NatsLink) -> None:
        if self._link is link:
            return
        self._link = link
        self._nats = await link.run(
            link.client.subscribe(
                self._subject,
                queue=self._queue,
                cb=self._receive,
                pending_msgs_limit=PENDING_MESSAGES,
                pending_bytes_limit=PENDING_BYTES,
            ),
            subject=self._subject,
        )

    async def unsubscribe(self) -> None:
        self._owner.pop(id(self), None)
        subscription, self._nats = self._nats, None
        if subscription is not None and self._link is not None and self._link.alive:
            with contextlib.suppress(BusError, nats_errors.Error):
                await self._link.run(subscription.unsubscribe())


def _check_url(url: str) -> None:
    try:
        parsed = urlparse(url)
        ok = parsed.hostname is not None and (parsed.port is None or parsed.port > 0)
    except ValueError:
        ok = False
    if not ok:
        raise ConfigError(f"nats.url = {snippet(url)}: allowed is an address such as nats://127.0.0.1:4222")
