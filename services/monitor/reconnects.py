"""Carries out the manager's advice: asks ingest over the bus to replace a link.

At most `MAX_IN_FLIGHT` requests wait for an answer; what comes on top is not sent and counted as "skipped".
Every request is logged with its reason and counted by its outcome.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from google.protobuf.message import DecodeError

from hoga.domain.errors import BusError
from hoga.runtime.bus import Bus
from hoga.wire import pb, subjects

from .connections import ConnectionManager, ReconnectAdvice

MAX_IN_FLIGHT = 8
TIMEOUT_S = 5.0
log = logging.getLogger(__name__)

Outcome = Callable[[ReconnectAdvice, str], None]
"""(advice, "accepted" | "refused" | "unanswered" | "skipped")."""


class BusConnector:
    """Reaches the links of one exchange through its ingest service."""

    def __init__(self, bus: Bus, exchange: str) -> None:
        self._bus = bus
        self._subject = subjects.rpc("reconnect", exchange)

    async def reconnect(self, link: str, reason: str) -> str:
        """BusError when ingest does not answer in time."""
        request = pb.ReconnectRequest(link=link, reason=reason)
        reply = await self._bus.request(self._subject, request.SerializeToString(), timeout_s=TIMEOUT_S)
        try:
            return pb.RpcReply.FromString(reply).error
        except DecodeError:
            return "the answer cannot be decoded"


class Reconnects:
    def __init__(self, bus: Bus, manager: ConnectionManager, count: Outcome) -> None:
        self._bus = bus
        self._manager = manager
        self._count = count
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, advice: ReconnectAdvice) -> None:
        """Sends the request in the background."""
        if len(self._tasks) >= MAX_IN_FLIGHT:
            self._count(advice, "skipped")
            log.warning("%s %s: not asked to reconnect, too many requests wait", advice.exchange, advice.slot)
            return
        task = asyncio.create_task(self._ask(advice))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, advice: ReconnectAdvice) -> None:
        connector = self._manager.connector(advice.exchange) or BusConnector(self._bus, advice.exchange)
        log.warning("%s %s: asks for a reconnect: %s", advice.exchange, advice.slot, advice.reason)
        try:
            error = await connector.reconnect(advice.link, advice.reason)
        except BusError as failure:
            self._count(advice, "unanswered")
            log.warning("%s %s: the reconnect was not answered: %s", advice.exchange, advice.slot, failure)
            return
        self._count(advice, "refused" if error else "accepted")
        if error:
            log.warning("%s %s: the reconnect was refused: %s", advice.exchange, advice.slot, error)
