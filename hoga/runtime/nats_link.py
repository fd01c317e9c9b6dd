"""One connection to NATS, used once: when it fails it is thrown away with all that it still held.

nats-py would reconnect by itself, but it then sends what was published while it was away (stale data),
hangs on half-open connections, stops reading after an odd error, and gives up for ever on any `-ERR`. So
its own reconnecting is off, and `NatsBus` opens a fresh link instead. Rules kept here:

1. `lost` is set exactly once, with the reason, whatever way the connection ends.
2. A connection on which nothing at all arrives for two pings of a second is aborted, not closed politely.
3. Nothing waits on a link longer than the link lives: `run` ends with BusError when it is lost.
4. A permission that the server denies is said with its subject, not as a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from nats import errors as nats_errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from hoga.domain.errors import BusError, snippet
from hoga.runtime.nats_lean import LeanClient
from hoga.runtime.settings import NatsSettings

PING_PERIOD_S = 1.0
PING_PATIENCE_S = 1.0
PINGS_MISSED = 2
CONNECT_TIMEOUT_S = 2
CLIENT_PENDING_BYTES = 256 << 10
"""What nats-py may hold before more waits; the bounded queue is ours, in front of it."""
PENDING_MESSAGES = 1 << 18
PENDING_BYTES = 64 << 20
"""What may wait for one subscription's handler; beyond, messages are dropped and counted."""

_DENIED = re.compile(r"permissions violation for (publish|subscription) to \"?([^\s\"]+)")
_NEVER_S = 86400
T = TypeVar("T")
log = logging.getLogger(__name__)


class NatsLink:
    """A live connection; made by `open_link`."""

    def __init__(
        self, client: Client, user: str, on_slow: Callable[[str], None], on_denied: Callable[[str], None]
    ) -> None:
        self.client = client
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.handed = 0
        """Messages given to nats-py."""
        self.confirmed = 0
        """Of those, the ones that the server had before its last answer."""
        self._lean = client if isinstance(client, LeanClient) else None
        self._user = user
        self._on_slow = on_slow
        self._on_denied = on_denied
        self._waiters: dict[str, list[asyncio.Future[str]]] = {}
        self._last_denial = ""
        self._watchdog: asyncio.Task[None] | None = None
        self._burial: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return not self.lost.done()

    @property
    def max_payload(self) -> int:
        return int(self.client.max_payload)

    def start(self) -> None:
        self._watchdog = asyncio.create_task(self._watch())

    # --- doing things on the link

    async def run(self, work: Coroutine[Any, Any, T], *, subject: str = "") -> T:
        """Awaits `work`; BusError when it fails, the link is lost meanwhile or the server denies `subject`."""
        try:
            return await self._run(work, subject)
        except (nats_errors.Error, OSError) as error:
            raise BusError(f"the message bus failed: {_text(error)}") from None

    async def subscribe(
        self, subject: str, receive: Callable[[Msg], Awaitable[None]], *, queue: str = ""
    ) -> NatsSubscription:
        """Asks for a subject; whether the server allows it is known after `settle`."""
        return await self.run(
            self.client.subscribe(
                subject,
                queue=queue,
                cb=receive,
                pending_msgs_limit=PENDING_MESSAGES,
                pending_bytes_limit=PENDING_BYTES,
            ),
            subject=subject,
        )

    async def listen(self, subject: str, receive: Callable[[str, bytes], None], *, queue: str = "") -> NatsSubscription:
        """As `subscribe`, for a handler that wants no replies and never raises."""
        if self._lean is not None:
            return await self.run(self._lean.listen(subject, queue, receive), subject=subject)

        async def unpack(message: Msg) -> None:
            receive(message.subject, message.data)

        return await self.subscribe(subject, unpack, queue=queue)

    @property
    def pending_bytes(self) -> int:
        """What nats-py holds back."""
        return self.client.pending_data_size

    def put(self, subject: str, payload: bytes) -> bool:
        """Hands a message over at once; False where it has to wait for `hand`."""
        if self._lean is None or self._lean.pending_data_size >= CLIENT_PENDING_BYTES:
            return False
        self.handed += 1
        self._lean.put(subject, payload)
        return True

    async def room(self) -> None:
        """Returns when `hand` need not wait."""
        while self._lean is not None and self.alive and self._lean.pending_data_size >= CLIENT_PENDING_BYTES:
            await self._lean.flushed()

    async def hand(self, subject: str, payload: bytes) -> None:
        """Hands a message over."""
        if not self.put(subject, payload):
            self.handed += 1
            await self.client.publish(subject, payload)

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> Msg:
        """The answer; BusError naming the subject where there is none."""
        if len(payload) > self.max_payload:
            raise BusError(f"request on {subject} is {len(payload)} bytes; the server allows {self.max_payload}")
        try:
            return await self._run(self.client.request(subject, payload, timeout=timeout_s), subject)
        except nats_errors.NoRespondersError:
            raise NobodyError(f"nobody answers on {subject}") from None
        except (nats_errors.TimeoutError, TimeoutError):
            hint = f" (NATS said before: {self._last_denial})" if self._last_denial else ""
            raise BusError(f"no answer on {subject} within {timeout_s:g} s{hint}") from None
        except (nats_errors.Error, OSError) as error:
            raise BusError(f"request on {subject} failed: {_text(error)}") from None

    async def settle(self, subject: str = "") -> None:
        """Returns once the server has processed all that was sent before; BusError when it denies `subject`."""
        await self.run(self.client.rtt(_NEVER_S), subject=subject)

    async def _run(self, work: Coroutine[Any, Any, T], subject: str) -> T:
        task = asyncio.ensure_future(work)
        denied: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        key = subject.lower()
        self._waiters.setdefault(key, []).append(denied)
        waited: set[asyncio.Future[Any]] = {task, self.lost, denied}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if denied.done():
                raise BusError(denied.result())
            if task.done():
                return task.result()
            raise BusError(f"the message bus went away ({self.lost.result()})")
        finally:
            self._waiters[key].remove(denied)
            if not self._waiters[key]:
                del self._waiters[key]
            if not task.done():
                task.cancel()
            task.add_done_callback(_consume)

    # --- the end

    async def end(self) -> str:
        """Waits for the end; why it came."""
        await asyncio.wait({self.lost})
        return self.lost.result()

    def lose(self, reason: str) -> None:
        """Ends the link now; what it still held is gone."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        _abort(self.client)
        self._burial = asyncio.create_task(self._bury())

    async def close(self, patience_s: float) -> None:
        """Waits for the server to have everything, then closes."""
        with contextlib.suppress(BusError, TimeoutError):
            await asyncio.wait_for(self.settle(), patience_s)
            self.confirmed = self.handed
        self.lose("closed")
        await self.buried()

    async def buried(self) -> None:
        """Waits until nothing of the lost connection runs any more."""
        if self._burial is not None:
            await asyncio.wait({self._burial})

    async def _bury(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        # nats-py closes the subscriptions' tasks last, and not at all where its socket is already gone.
        tasks = [sub._wait_for_msgs_task for sub in self.client._subs.values()]
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.client.close(), 2.0)
        for task in tasks:
            if task is not None and not task.done():
                task.cancel()

    # --- what nats-py tells

    async def on_closed(self) -> None:
        error = self.client.last_error
        self.lose(_text(error) if error else "the server closed the connection")

    async def on_error(self, error: Exception) -> None:
        if isinstance(error, nats_errors.SlowConsumerError):
            self._on_slow(error.subject)
            return
        text = _text(error)
        found = _DENIED.search(text.lower())
        if found is None:
            log.debug("nats: %s", text)
            return
        user = f" for user {self._user}" if self._user else ""
        self._last_denial = f"permission denied{user}: {found[1]} to {found[2]}"
        self._on_denied(self._last_denial)
        for waiter in self._waiters.get(found[2], []):
            if not waiter.done():
                waiter.set_result(self._last_denial)

    # --- the watchdog

    async def _watch(self) -> None:
        while self.alive:
            await asyncio.sleep(PING_PERIOD_S)
            if self.client.is_closed:
                self.lose("the connection was closed")
            elif not await self._answers():
                self.lose(f"no answer to a ping for {PINGS_MISSED * PING_PATIENCE_S:g} s")

    async def _answers(self) -> bool:
        """Whether the server answers a ping, or anything else arrives, before patience ends.

        The one ping is never cancelled: nats-py stops reading when an answer meets a cancelled ping.
        """
        handed = self.handed
        ping = asyncio.ensure_future(self.client.rtt(_NEVER_S))
        ping.add_done_callback(_consume)
        missed, seen = 0, self._arrived()
        while missed < PINGS_MISSED:
            await asyncio.wait({ping}, timeout=PING_PATIENCE_S)
            if ping.done():
                if ping.cancelled() or ping.exception() is not None:
                    return False
                self.confirmed = handed
                return True
            missed = 0 if self._arrived() != seen else missed + 1
            seen = self._arrived()
        return False

    def _arrived(self) -> int:
        return self.client.stats["in_msgs"]


class NobodyError(BusError):
    """A request on a subject that nobody serves."""


async def open_link(
    settings: NatsSettings, name: str, on_slow: Callable[[str], None], on_denied: Callable[[str], None]
) -> NatsLink:
    """A fresh connection; BusError saying why where there is none."""
    client = LeanClient() if settings.lean else Client()
    link = NatsLink(client, settings.user, on_slow, on_denied)
    failure = ""

    async def on_error(error: Exception) -> None:
        nonlocal failure
        failure = _text(error)
        await link.on_error(error)

    options: dict[str, Any] = {
        "servers": settings.url.split(","),
        "name": name,
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": 0.05,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "ping_interval": 5,
        "max_outstanding_pings": 3,
        "pending_size": CLIENT_PENDING_BYTES,
        "flush_timeout": PINGS_MISSED * PING_PATIENCE_S + 1,
        "skip_subject_validation": True,
        "error_cb": on_error,
        "closed_cb": link.on_closed,
    }
    if settings.user or settings.password:
        options |= {"user": settings.user, "password": settings.password}
    try:
        await client.connect(**options)
    except (nats_errors.Error, OSError, TimeoutError, ValueError) as error:
        _abort(client)
        raise BusError(_refusal(settings, failure or _text(error))) from None
    except asyncio.CancelledError:
        _abort(client)
        raise
    link.start()
    return link


def _refusal(settings: NatsSettings, reason: str) -> str:
    if "authorization" in reason.lower():
        user = settings.user or "(none)"
        return f"NATS at {settings.address} refuses user {user}: check HOGA_NATS_USER and HOGA_NATS_PASSWORD"
    return f"NATS at {settings.address} does not answer ({reason})"


def _abort(client: Client) -> None:
    """Cuts the socket at once. nats-py has no such call, so this reaches into its transport."""
    transport = getattr(client, "_transport", None)
    writer = getattr(transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


def _text(error: Exception) -> str:
    if isinstance(error, TimeoutError | nats_errors.TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "connection refused"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return snippet(str(error).removeprefix("nats: ").strip("'\" ") or type(error).__name__)


def _consume(task: asyncio.Future[Any]) -> None:
    """Looks at the outcome so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()
