"""The requests that ingest answers for its exchange; each handler is one short method.

    snapshot      fetch the REST snapshot of a symbol; it arrives on the raw subject
    resubscribe   drop and take again the subscription of a symbol
    reconnect     replace a link by a fresh connection, overlapping
    listing       the exchange's own answers about what it lists and trades

An answer says what is wrong in one line; empty means accepted.

Two processes may collect one exchange, a line each. Then `snapshot` and `listing` are done by either (a queue group),
`resubscribe` and `reconnect` by the one that owns the link that is meant: the other one answers too, since the owner
may not be there, but late, so that the owner's answer is the one that is heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import zstandard
from google.protobuf.message import DecodeError, Message

from hoga.domain.errors import RestError, snippet
from hoga.runtime.bus import Bus, Subscription
from hoga.wire import pb, subjects
from hoga.wire.packing import MESSAGE_BYTES
from services.ingest.connector import ExchangeConnector

TICKERS_PRIORITY = 4
NOT_OURS_S = 0.5
"""How much later a process answers about what is not its own."""

_BY_EITHER = ("snapshot", "listing")

log = logging.getLogger(__name__)

Method = Callable[[str, bytes], Awaitable[bytes]]
_Request = TypeVar("_Request", bound=Message)


class Rpc:
    """Serves the four methods on the bus."""

    def __init__(self, connector: ExchangeConnector) -> None:
        self._connector = connector
        self._code = connector.exchange.code
        self._not_ours_s = NOT_OURS_S if connector.settings.ingest.line else 0.0
        self._listing = asyncio.Lock()

    async def serve(self, bus: Bus) -> list[Subscription]:
        methods: dict[str, Method] = {
            "snapshot": self._snapshot,
            "resubscribe": self._resubscribe,
            "reconnect": self._reconnect,
            "listing": self._list,
        }
        return [
            await bus.serve(
                subjects.rpc(name, self._code),
                self._while_started(method),
                queue="ingest" if name in _BY_EITHER else "",
            )
            for name, method in methods.items()
        ]

    def _while_started(self, method: Method) -> Method:
        async def answer(subject: str, payload: bytes) -> bytes:
            if not self._connector.started:  # every reply has its error in the same place
                return _reply(f"ingest of {self._code} is not running (any more)")
            return await method(subject, payload)

        return answer

    async def _snapshot(self, _subject: str, payload: bytes) -> bytes:
        request = _decode(pb.SnapshotRequest, payload)
        if request is None:
            return _reply("this is no SnapshotRequest")
        return _reply(self._connector.ask_snapshot(request.symbol, request.priority))

    async def _resubscribe(self, _subject: str, payload: bytes) -> bytes:
        request = _decode(pb.ResubscribeRequest, payload)
        if request is None:
            return _reply("this is no ResubscribeRequest")
        native, pool = self._connector.native(request.symbol), self._connector.parts.pool
        slots = pool.carrying(native) if native else []
        if native is None or not slots:
            return await self._not_ours(f"{self._code} does not collect {snippet(request.symbol)!r}")
        if request.link:
            slots = [slot for slot in slots if slot.owns(request.link)]
            if not slots:
                return await self._not_ours(f"{self._code} has no link {snippet(request.link)!r} with it (any more)")
        renewed = [slot.renew(native, request.link) for slot in slots]
        if not any(renewed):
            return _reply(f"{slots[0].name} is not connected; {request.symbol} is subscribed when it is")
        return _reply("")

    async def _reconnect(self, _subject: str, payload: bytes) -> bytes:
        request = _decode(pb.ReconnectRequest, payload)
        if request is None:
            return _reply("this is no ReconnectRequest")
        slot = next((slot for slot in self._connector.parts.pool if slot.reports(request.link)), None)
        if slot is None:
            return await self._not_ours(f"{self._code} has no link or slot {snippet(request.link)!r} (any more)")
        slot.replace(snippet(request.reason) or "a reconnect was asked for")
        return _reply("")

    async def _not_ours(self, error: str) -> bytes:
        await asyncio.sleep(self._not_ours_s)
        return _reply(error)

    async def _list(self, _subject: str, payload: bytes) -> bytes:
        request = _decode(pb.ListingRequest, payload)
        if request is None:
            return pb.ListingReply(error="this is no ListingRequest").SerializeToString()
        try:
            reply = await self._gather(request)
        except RestError as error:
            reply = pb.ListingReply(error=str(error))
        packed = reply.SerializeToString()
        if len(packed) > MESSAGE_BYTES:
            return pb.ListingReply(error=f"the listing of {len(packed)} bytes exceeds a message").SerializeToString()
        return packed

    async def _gather(self, request: pb.ListingRequest) -> pb.ListingReply:
        parts, strategy = self._connector.parts, self._connector.exchange.strategy
        if not parts.directory.loaded:
            return pb.ListingReply(error=f"the instruments of {self._code} are not known: {parts.directory.problem}")
        parts.directory.ask(urgent=request.phases)  # whoever asks next is told of today's listings and halts
        instruments = parts.directory.bodies if request.instruments else []
        tickers = []
        if request.tickers:
            natives = [instrument.native_symbol for instrument in parts.directory.trading]
            requests = strategy.tickers_requests(natives)
            async with self._listing:
                tickers = [await parts.rest.get(wanted, priority=TICKERS_PRIORITY) for wanted in requests]
        packed = await asyncio.to_thread(_pack, [*instruments, *tickers])
        return pb.ListingReply(instruments=packed[: len(instruments)], tickers=packed[len(instruments) :])


def _pack(bodies: list[bytes]) -> list[bytes]:
    compressor = zstandard.ZstdCompressor(level=3)
    return [compressor.compress(body) for body in bodies]


def _decode(kind: type[_Request], payload: bytes) -> _Request | None:
    try:
        return kind.FromString(payload)
    except DecodeError:
        return None


def _reply(error: str) -> bytes:
    return pb.RpcReply(error=error).SerializeToString()
