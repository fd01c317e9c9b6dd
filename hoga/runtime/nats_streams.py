"""Last values: the JetStream calls of the bus, and the subscription that starts with them.

A stream here is a memory stream that keeps one message per subject. The subscription is an ordered push
consumer: deliveries are numbered, so a loss is seen at the next message or heartbeat, and the consumer is
made again from the first stream sequence not yet seen. Where the stream is another one than before (the
server lost its memory), it starts over with the last value of every subject.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from nats import errors as nats_errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from hoga.domain.errors import BusError, snippet
from hoga.runtime.bus import MessageHandler
from hoga.runtime.logs import RateLimited
from hoga.runtime.nats_link import NatsLink

API_TIMEOUT_S = 3.0
HEARTBEAT_S = 2.0
SILENT_HEARTBEATS = 3
RETRY_S = 0.25
PENDING_MESSAGES = 1 << 18
PENDING_BYTES = 64 << 20

_STREAM_NOT_FOUND = 10059
_STREAM_EXISTS = 10058
_NS = 1_000_000_000
log = logging.getLogger(__name__)
_repeated = RateLimited(log)


class NoStreamError(BusError):
    """The stream does not exist (yet)."""


class RefusedError(BusError):
    """JetStream said no; `code` is its own number for why."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream this process wants to exist."""

    name: str
    subjects: tuple[str, ...]
    max_bytes: int
    max_age_s: float

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "storage": "memory",
            "retention": "limits",
            "discard": "old",
            "max_msgs_per_subject": 1,
            "max_bytes": self.max_bytes,
            "max_age": int(self.max_age_s * _NS),
            "allow_direct": True,
            "num_replicas": 1,
        }


async def api(link: NatsLink, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One JetStream call; BusError with the server's words, NoStreamError where the stream is missing."""
    subject = f"$JS.API.{call}"
    try:
        answer = await link.request(subject, msgspec.json.encode(body) if body else b"", API_TIMEOUT_S)
    except BusError as error:
        if str(error).startswith("nobody answers"):
            raise BusError(f"JetStream is not enabled on this NATS server (nobody answers on {subject})") from None
        raise
    reply: dict[str, Any] = msgspec.json.decode(answer.data)
    problem = reply.get("error")
    if problem:
        text = f"JetStream refuses {call}: {snippet(str(problem.get('description', problem)))}"
        code = int(problem.get("err_code", 0))
        raise NoStreamError(f"there is no stream {call.split('.')[2]} (yet)") if code == _STREAM_NOT_FOUND else RefusedError(text, code)
    return reply


async def ensure(link: NatsLink, spec: StreamSpec) -> None:
    """Creates the stream, or makes the one that is there what it should be."""
    try:
        await api(link, f"STREAM.CREATE.{spec.name}", spec.config())
    except RefusedError as error:
        if error.code != _STREAM_EXISTS:
            raise
        await api(link, f"STREAM.UPDATE.{spec.name}", spec.config())


async def last(link: NatsLink, stream: str, subject: str) -> bytes | None:
    """Direct get of one subject's last value."""
    try:
        answer = await link.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", API_TIMEOUT_S)
    except BusError as error:
        if str(error).startswith("nobody answers"):
            raise NoStreamError(f"there is no stream {stream} on this NATS server (yet)") from None
        raise
    status = (answer.headers or {}).get("Status")
    if status == "404":
        return None
    if status is not None:
        raise BusError(f"direct get of {subject} from {stream} failed with status {status}")
    return answer.data


class LastValues:
    """One `subscribe_last`: survives links, streams and its own losses."""

    def __init__(
        self, stream: str, subject: str, deliver: MessageHandler, on_end: Callable[[LastValues], None]
    ) -> None:
        self._stream = stream
        self._subject = subject
        self._deliver = deliver
        self._on_end = on_end
        self._task: asyncio.Task[None] | None = None
        self._link: NatsLink | None = None
        self._inbox: NatsSubscription | None = None
        self._consumer = ""
        self._broken = asyncio.Event()
        self._seen_at = 0.0
        self._delivered = 0
        self._sequence = 0
        self._created = ""

    async def attach(self, link: NatsLink) -> None:
        """Follows the stream over `link` until that is lost. The first attempt's BusError is raised,
        except that a stream that does not exist yet is waited for in the background."""
        if self._link is link:
            return
        self._link = link
        if self._task is not None:
            self._task.cancel()
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._follow(link, first))
        await first

    async def unsubscribe(self) -> None:
        self._on_end(self)
        if self._task is not None:
            self._task.cancel()
        if self._link is not None and self._link.alive:
            await self._drop(self._link)

    # --- the consumer's life

    async def _follow(self, link: NatsLink, first: asyncio.Future[None]) -> None:
        while link.alive:
            try:
                await self._create(link)
            except NoStreamError as error:
                _repeated.info(self._stream, "%s; waiting for it", error)
                _resolve(first)
                await asyncio.sleep(RETRY_S)
                continue
            except BusError as error:
                if not first.done():
                    first.set_exception(error)
                    return
                _repeated.warning(self._subject, "last values of %s: %s", self._subject, error)
                await asyncio.sleep(RETRY_S * 4)
                continue
            _resolve(first)
            await self._until_broken(link)
            await self._drop(link)
        _resolve(first)

    async def _create(self, link: NatsLink) -> None:
        info = await api(link, f"STREAM.INFO.{self._stream}")
        if info["created"] != self._created or info["state"]["last_seq"] < self._sequence:
            self._created, self._sequence = info["created"], 0
        start: dict[str, Any] = {"deliver_policy": "last_per_subject"}
        if self._sequence:
            start = {"deliver_policy": "by_start_sequence", "opt_start_seq": self._sequence + 1}
        inbox = link.client.new_inbox()
        self._consumer = f"hoga-{secrets.token_hex(6)}"
        self._delivered = 0
        self._broken.clear()
        self._seen_at = time.monotonic()
        self._inbox = await link.run(
            link.client.subscribe(
                inbox,
                cb=self._receiver(link, self._consumer),
                pending_msgs_limit=PENDING_MESSAGES,
                pending_bytes_limit=PENDING_BYTES,
            ),
            subject=inbox,
        )
        config = start | {
            "name": self._consumer,
            "deliver_subject": inbox,
            "filter_subject": self._subject,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT_S * _NS),
            "mem_storage": True,
            "num_replicas": 1,
        }
        try:
            call = f"CONSUMER.CREATE.{self._stream}.{self._consumer}.{self._subject}"
            await api(link, call, {"stream_name": self._stream, "config": config})
        except BusError:
            await self._drop(link)
            raise

    async def _until_broken(self, link: NatsLink) -> None:
        while link.alive:
            try:
                await asyncio.wait_for(self._broken.wait(), HEARTBEAT_S)
                return
            except TimeoutError:
                if time.monotonic() - self._seen_at > SILENT_HEARTBEATS * HEARTBEAT_S:
                    return

    async def _drop(self, link: NatsLink) -> None:
        inbox, self._inbox = self._inbox, None
        if inbox is None or not link.alive:
            return
        try:
            await link.run(inbox.unsubscribe())
            await link.client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}")
        except (BusError, nats_errors.Error, OSError):
            return  # the server forgets a consumer without interest by itself

    # --- messages

    def _receiver(self, link: NatsLink, consumer: str) -> Callable[[Msg], Any]:
        async def on_message(message: Msg) -> None:
            if self._consumer != consumer or self._broken.is_set():
                return
            self._seen_at = time.monotonic()
            if message.headers is not None and not message.data:
                await self._control(link, message.headers, message.reply)
                return
            sequence, delivered = _numbers(message.reply)
            if delivered != self._delivered + 1 or sequence <= self._sequence:
                self._break(delivered)
                return
            self._delivered, self._sequence = delivered, sequence
            self._deliver(message.subject, message.data)

        return on_message

    async def _control(self, link: NatsLink, headers: dict[str, str], reply: str) -> None:
        status = headers.get("Status")
        if status != "100":
            self._break(0)
            return
        stalled = reply or headers.get("Nats-Consumer-Stalled", "")
        if stalled:
            await link.client.publish(stalled)
        elif int(headers.get("Nats-Last-Consumer", self._delivered)) != self._delivered:
            self._break(int(headers["Nats-Last-Consumer"]))

    def _break(self, delivered: int) -> None:
        if delivered and delivered <= self._delivered:
            self._sequence = 0
        _repeated.warning(
            "lost", "last values of %s: delivery %d came after %d; asking again", self._subject, delivered, self._delivered
        )
        self._broken.set()


def _numbers(reply: str) -> tuple[int, int]:
    """(stream sequence, delivery) from `$JS.ACK.[domain.account.]stream.consumer.tries.sequence.delivery…`."""
    parts = reply.split(".")
    at = 5 if len(parts) < 11 else 7
    return int(parts[at]), int(parts[at + 1])


def _resolve(first: asyncio.Future[None]) -> None:
    if not first.done():
        first.set_result(None)
