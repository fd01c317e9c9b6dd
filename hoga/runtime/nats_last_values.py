"""The subscription that starts with the last value of every subject and goes on live, without a race.

It is an ordered push consumer: deliveries are numbered, so a loss is seen at the next message or heartbeat,
and the consumer is made again from the first stream sequence not yet seen. Where the stream is another one
than before (the server lost its memory), it starts over with the last value of every subject.

Because the stream keeps one value per subject, one that is replaced before it could be delivered is skipped:
under bursts and for slow receivers values jump to the newest, they never repeat and never go back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from hoga.domain.errors import BusError
from hoga.runtime.bus import MessageHandler
from hoga.runtime.logs import RateLimited
from hoga.runtime.nats_link import NatsLink
from hoga.runtime.nats_streams import NS_PER_S, NoStreamError, api

HEARTBEAT_S = 2.0
SILENT_HEARTBEATS = 3
RETRY_S = 0.25
FAILED_RETRY_S = 1.0

log = logging.getLogger(__name__)
_limited = RateLimited(log)


class LastValues:
    """One `subscribe_last`: survives links, streams and its own losses."""

    def __init__(self, stream: str, subject: str, deliver: MessageHandler, owner: dict[LastValues, None]) -> None:
        self._stream = stream
        self._subject = subject
        self._deliver = deliver
        self._owner = owner
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
        if self._link is link and self._task is not None and not self._task.done():
            return
        self.stop()
        self._link = link
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._follow(link, first))
        self._task.add_done_callback(self._ended)
        await first

    async def unsubscribe(self) -> None:
        self._owner.pop(self, None)
        consumer = self._consumer
        self.stop()
        if self._link is not None:
            await self._drop(self._link, consumer)

    def stop(self) -> None:
        """Delivers nothing any more, at once."""
        self._consumer = ""
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("last values of %s: gave up", self._subject, exc_info=error)

    # --- the consumer's life

    async def _follow(self, link: NatsLink, first: asyncio.Future[None]) -> None:
        try:
            while link.alive:
                await self._follow_once(link, first)
        except BusError as error:
            if not first.done():
                first.set_exception(error)
        finally:
            _resolve(first)

    async def _follow_once(self, link: NatsLink, first: asyncio.Future[None]) -> None:
        """One consumer from its making to its loss; BusError only before `first` is resolved."""
        try:
            await self._create(link)
        except NoStreamError as error:
            _limited.info(self._stream, "%s; waiting for it", error)
            _resolve(first)
            await asyncio.sleep(RETRY_S)
        except BusError as error:
            if not first.done() or not link.alive:
                raise
            _limited.warning(self._subject, "last values of %s: %s; trying again", self._subject, error)
            await asyncio.sleep(FAILED_RETRY_S)
        else:
            _resolve(first)
            await self._until_broken(link)
            await self._drop(link, self._consumer)

    async def _create(self, link: NatsLink) -> None:
        info = await api(link, f"STREAM.INFO.{self._stream}")
        if info["created"] != self._created or info["state"]["last_seq"] < self._sequence:
            self._created, self._sequence = info["created"], 0
        inbox = link.client.new_inbox()
        self._consumer = f"hoga-{secrets.token_hex(6)}"
        self._delivered = 0
        self._broken.clear()
        self._seen_at = time.monotonic()
        self._inbox = await link.subscribe(inbox, self._receiver(link, self._consumer))
        call = f"CONSUMER.CREATE.{self._stream}.{self._consumer}.{self._subject}"
        try:
            await api(link, call, {"stream_name": self._stream, "config": self._config(inbox)})
        except BusError:
            await self._drop(link, self._consumer)
            raise

    def _config(self, inbox: str) -> dict[str, Any]:
        start: dict[str, Any] = {"deliver_policy": "last_per_subject"}
        if self._sequence:
            start = {"deliver_policy": "by_start_sequence", "opt_start_seq": self._sequence + 1}
        return start | {
            "name": self._consumer,
            "deliver_subject": inbox,
            "filter_subject": self._subject,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT_S * NS_PER_S),
            "mem_storage": True,
            "num_replicas": 1,
        }

    async def _until_broken(self, link: NatsLink) -> None:
        while link.alive and not self._broken.is_set():
            try:
                await asyncio.wait_for(self._broken.wait(), HEARTBEAT_S)
            except TimeoutError:
                if time.monotonic() - self._seen_at > SILENT_HEARTBEATS * HEARTBEAT_S:
                    self._break("nothing arrives any more, not even heartbeats")

    async def _drop(self, link: NatsLink, consumer: str) -> None:
        """Ends the consumer; the server would forget it by itself, but later."""
        inbox, self._inbox = self._inbox, None
        if inbox is None or not link.alive:
            return
        try:
            await link.run(inbox.unsubscribe())
            if consumer:
                await link.run(link.client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{consumer}"))
        except BusError as error:
            log.debug("ending consumer %s: %s", consumer, error)

    # --- messages

    def _receiver(self, link: NatsLink, consumer: str) -> Callable[[Msg], Awaitable[None]]:
        async def receive(message: Msg) -> None:
            if self._consumer != consumer or self._broken.is_set():
                return
            self._seen_at = time.monotonic()
            if message.headers is not None and not message.data:
                await self._control(link, message.headers, message.reply)
                return
            sequence, delivered = _numbers(message.reply)
            if delivered != self._delivered + 1:
                self._break(f"delivery {delivered} came after {self._delivered}")
            elif sequence <= self._sequence:
                self._sequence = 0
                self._break(f"stream sequence {sequence} came again")
            else:
                self._delivered, self._sequence = delivered, sequence
                self._deliver(message.subject, message.data)

        return receive

    async def _control(self, link: NatsLink, headers: dict[str, str], reply: str) -> None:
        status = headers.get("Status", "")
        if status != "100":
            self._break(f"status {status} {headers.get('Description', '')}")
            return
        flow = reply or headers.get("Nats-Consumer-Stalled", "")
        if flow:
            await link.client.publish(flow)
        elif headers.get("Nats-Last-Consumer", str(self._delivered)) != str(self._delivered):
            self._break(f"delivery {headers['Nats-Last-Consumer']} did not arrive, {self._delivered} was the last")

    def _break(self, why: str) -> None:
        _limited.warning("broken", "last values of %s: %s; asking again", self._subject, why)
        self._broken.set()


def _numbers(reply: str) -> tuple[int, int]:
    """(stream sequence, delivery) from `$JS.ACK.[domain.account.]stream.consumer.tries.sequence.delivery…`."""
    parts = reply.split(".")
    at = 5 if len(parts) < 11 else 7
    return int(parts[at]), int(parts[at + 1])


def _resolve(first: asyncio.Future[None]) -> None:
    if not first.done():
        first.set_result(None)
