"""The bus over NATS.

1. `publish` only queues (`nats_outbox`); nothing is ever sent late.
2. A connection is used once (`nats_link`); after a loss a fresh one is opened within 0.1-0.5 s, for ever, and
   everything this process subscribed, serves and ensured is made again on it, before anyone hears of it.
3. Each loss has a count: `dropped` (ours, before sending), `slow_dropped` (arrived faster than our handlers
   took it), `uncertain` (handed over, connection lost before the server confirmed it), `unanswered` requests.
4. Handlers are called as the bytes are read (`nats_lean`): while they are too slow messages wait in the socket, and a
   server that cannot get rid of them ends the connection. `slow_dropped` is of what waits in nats-py instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import urlparse

from nats.aio.msg import Msg

from hoga.domain.errors import BusError, ConfigError, snippet
from hoga.runtime import nats_streams
from hoga.runtime.bus import MessageHandler, RequestHandler, Subscription
from hoga.runtime.logs import RateLimited
from hoga.runtime.nats_last_values import LastValues
from hoga.runtime.nats_link import NatsLink, open_link
from hoga.runtime.nats_outbox import Outbox
from hoga.runtime.nats_plain import PlainSubscription
from hoga.runtime.nats_streams import StreamSpec
from hoga.runtime.settings import NatsSettings

RECONNECT_MIN_S = 0.1
RECONNECT_MAX_S = 0.5
CLOSE_PATIENCE_S = 2.0
SETUP_PATIENCE_S = 2.0
RETRY_S = 1.0
MAX_HANDLERS = 256
"""Requests answered at the same time; beyond, a request is left unanswered and counted."""

log = logging.getLogger(__name__)


async def connect_nats(settings: NatsSettings, *, name: str, timeout_s: float | None = 5.0) -> NatsBus:
    """A bus that is connected. BusError when NATS is not reached within `timeout_s`; None waits for ever,
    with a log line every few seconds."""
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
    """See `hoga.runtime.bus.Bus` for what the calls promise. Made by `connect_nats`."""

    def __init__(self, settings: NatsSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._outbox = Outbox(settings.pending_bytes)
        self._link: NatsLink | None = None
        self._up = False
        self._closing = False
        self._keeper: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._plain: dict[PlainSubscription, None] = {}
        self._last_values: dict[LastValues, None] = {}
        self._streams: dict[str, StreamSpec] = {}
        self._listeners: list[Callable[[bool], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering = 0
        self.slow_dropped = 0
        self.uncertain = 0
        self.unanswered = 0
        self._failure = ""
        self._limited = RateLimited(log, interval_s=5.0)

    @property
    def connected(self) -> bool:
        return self._up

    @property
    def dropped(self) -> int:
        return self._outbox.dropped

    @property
    def max_payload(self) -> int:
        """Bytes the server takes in one message; 0 before the first connection."""
        return self._outbox.max_payload

    # --- publish, subscribe

    def publish(self, subject: str, payload: bytes) -> bool:
        return self._outbox.put(subject, payload)

    async def subscribe(self, subject: str, handler: MessageHandler, *, queue: str = "") -> Subscription:
        """BusError where the server denies it."""
        receive = partial(self._deliver, handler)
        return await self._add_plain(
            PlainSubscription(subject, lambda link: link.listen(subject, receive, queue=queue), self._plain)
        )

    async def serve(self, subject: str, handler: RequestHandler, *, queue: str = "") -> Subscription:
        """BusError where the server denies it."""

        async def receive(message: Msg) -> None:
            if self._answering >= MAX_HANDLERS:
                self.unanswered += 1
                self._limited.warning("busy", "%d requests in hand: %s left unanswered", MAX_HANDLERS, message.subject)
                return
            self._answering += 1
            self._spawn(self._answer(handler, message))

        return await self._add_plain(
            PlainSubscription(subject, lambda link: link.subscribe(subject, receive, queue=queue), self._plain)
        )

    async def subscribe_last(self, stream: str, subject: str, handler: MessageHandler) -> Subscription:
        """A stream that does not exist yet is waited for in the background; BusError where the server refuses.

        After a reconnect only values that are newer than the last one seen are delivered, or, where the
        server lost the stream, again the last of every subject.
        """

        def deliver(message_subject: str, payload: bytes) -> None:
            self._deliver(handler, message_subject, payload)

        values = LastValues(stream, subject, deliver, self._last_values)
        self._last_values[values] = None
        await self._on_link(values.attach, lambda: self._last_values.pop(values, None))
        return values

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = 5.0) -> bytes:
        return (await self._live_link().request(subject, payload, timeout_s)).data

    # --- streams

    async def last(self, stream: str, subject: str) -> bytes | None:
        return await nats_streams.last(self._live_link(), stream, subject)

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, max_age_s: float = 0.0) -> None:
        """Also remembers it: where the bus is away now, or comes back without it, the stream is made then."""
        spec = StreamSpec(name, tuple(subjects), max_bytes, max_age_s)
        self._streams[name] = spec
        await self._on_link(lambda link: nats_streams.ensure(link, spec), lambda: self._streams.pop(name, None))

    # --- connection

    async def start(self, timeout_s: float | None) -> None:
        """Connects and stays connected; BusError where the first connection takes longer than `timeout_s`."""
        self._keeper = asyncio.create_task(self._keep_connected())
        both = {self._first, self._keeper}
        done, _ = await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise BusError(self._failure or f"NATS at {self._settings.address} does not answer")
        if self._keeper in done:
            self._keeper.result()

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        self._listeners.append(handler)

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        link = self._link
        if link is not None and self._up:
            with contextlib.suppress(TimeoutError, BusError):
                await asyncio.wait_for(link.run(self._outbox.drained()), CLOSE_PATIENCE_S)
            await link.close(CLOSE_PATIENCE_S)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for values in list(self._last_values):
            values.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
        """Lives on `link` until it is lost."""
        self._link = link
        reason = "closed"
        try:
            await self._set_up(link)
            self._go_up(link)
            reason = await link.end()
        except BusError as error:
            reason = str(error)
        finally:
            self._link = None
            link.lose(reason)
            self._go_down(link)
            self._spawn(link.buried())
        if not self._closing:
            self._failure = f"lost NATS: {reason}"
            log.warning("lost NATS: %s; reconnecting", reason)

    async def _set_up(self, link: NatsLink) -> None:
        """Makes everything again that existed before. Only a lost link is an error here."""
        for plain in list(self._plain):
            await plain.attach(link)
        await link.settle()
        for spec in list(self._streams.values()):
            try:
                await asyncio.wait_for(nats_streams.ensure(link, spec), SETUP_PATIENCE_S)
            except (BusError, TimeoutError) as error:
                if not link.alive:
                    raise BusError(f"the message bus went away again ({error})") from None
                self._limited.error(spec.name, "stream %s: %s; trying again", spec.name, error or "no answer")
                self._spawn(self._until_done(link, partial(nats_streams.ensure, link, spec)))
        for values in list(self._last_values):
            self._spawn(self._until_done(link, partial(values.attach, link)))

    async def _until_done(self, link: NatsLink, work: Callable[[], Awaitable[None]]) -> None:
        while link.alive:
            try:
                await work()
            except BusError as error:
                self._limited.warning("again", "%s; trying again", error)
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _go_up(self, link: NatsLink) -> None:
        self._outbox.open(link)
        self._up = True
        log.info("connected to NATS at %s", self._settings.address)
        if not self._first.done():
            self._first.set_result(None)
        self._tell(True)

    def _go_down(self, link: NatsLink) -> None:
        waited = self._outbox.close()
        self.uncertain += link.handed - link.confirmed
        if waited:
            log.warning("%d messages waited for NATS and were dropped", waited)
        if self._up:
            self._up = False
            self._tell(False)

    def _tell(self, up: bool) -> None:
        for listener in list(self._listeners):
            try:
                listener(up)
            except Exception:
                log.exception("a connection listener failed")

    # --- inside

    def _live_link(self) -> NatsLink:
        if self._link is None or not self._up:
            raise BusError(f"the message bus is away ({self._failure or self._settings.address})")
        return self._link

    async def _add_plain(self, plain: PlainSubscription) -> Subscription:
        self._plain[plain] = None
        await self._on_link(plain.attach_now, lambda: self._plain.pop(plain, None))
        return plain

    async def _on_link(self, work: Callable[[NatsLink], Awaitable[None]], undo: Callable[[], object]) -> None:
        """Does `work` on the link there is; what a lost link prevents is done on the next one."""
        link = self._link
        if link is None:
            return
        try:
            await work(link)
        except BusError:
            if link.alive:
                undo()
                raise

    async def _answer(self, handler: RequestHandler, message: Msg) -> None:
        try:
            reply = await handler(message.subject, message.data)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            self._limited.error(f"serve {message.subject}", "request on %s failed: %s", message.subject, what)
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
                log.debug("the handler of %s failed", subject, exc_info=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_slow(self, subject: str) -> None:
        self.slow_dropped += 1
        self._limited.warning("slow", "messages of %s arrive faster than they are handled: dropped", subject)

    def _on_denied(self, what: str) -> None:
        self._limited.error(what, "NATS: %s", what)


def _check_url(url: str) -> None:
    try:
        parsed = urlparse(url)
        ok = parsed.hostname is not None and (parsed.port is None or parsed.port > 0)
    except ValueError:
        ok = False
    if not ok:
        raise ConfigError(f"nats.url = {snippet(url)}: allowed is an address such as nats://127.0.0.1:4222")
