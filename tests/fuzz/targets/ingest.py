"""Ingest: what it reads from a socket, and what it is asked over the bus.

`reader:…` is one link. A script of what its socket brings:
    F, B  a text or binary frame    p, P  a ping or a pong    n  the next request is due    T  five seconds pass
`ingest:…` is the service. A script of messages:
    U  Universe    s, r, c, l  a request for a snapshot, a resubscription, a reconnect, the listing
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Hashable, Iterator
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import msgspec
from aiohttp import WSMsgType

from hoga.domain.errors import RestError
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Instrument
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RestRequest
from hoga.runtime.config import ExchangeSettings
from hoga.wire import packing, pb, subjects
from services.ingest.line import EndKind, Shared
from services.ingest.link import Link
from services.ingest.observers import Observers, Oddities
from services.ingest.rpc import Rpc
from services.ingest.service import Ingest
from tests.fuzz import promises
from tests.fuzz.harness import OpenBus, in_loop, turns
from tests.fuzz.inputs import messages, script, seeds
from tests.fuzz.inputs.mutate import mutate
from tests.fuzz.target import Target, promise
from tests.fuzz.targets.validator import context

NOWHERE = "127.0.0.1:1"
_KINDS = {b"F": WSMsgType.TEXT, b"B": WSMsgType.BINARY, b"p": WSMsgType.PING, b"P": WSMsgType.PONG}
_REQUESTS: dict[bytes, tuple[str, Any, Any]] = {
    b"s": ("snapshot", pb.SnapshotRequest, pb.RpcReply),
    b"r": ("resubscribe", pb.ResubscribeRequest, pb.RpcReply),
    b"c": ("reconnect", pb.ReconnectRequest, pb.RpcReply),
    b"l": ("listing", pb.ListingRequest, pb.ListingReply),
}
_EXTRA = [(what, b"") for what in (b"n", b"T", b"p", b"P")]


def targets() -> Iterator[Target]:
    frames = script.mutator({b"F": mutate, b"B": mutate}, _EXTRA)
    kinds: dict[bytes, Any] = {what: kind for what, (_, kind, _) in _REQUESTS.items()} | {b"U": pb.Universe}
    requests = script.mutator({what: messages.mutator(kind) for what, kind in kinds.items()})
    for code, exchange in registry.EXCHANGES.items():
        yield Target(f"reader:{code}", partial(read, exchange), partial(_streams, code), frames, suite_runs=40)
        yield Target(f"ingest:{code}", partial(serve, exchange), partial(_requests, code), requests, suite_runs=10)


def read(exchange: Exchange, data: bytes) -> Hashable:
    return in_loop(_read(exchange, data))


async def _read(exchange: Exchange, data: bytes) -> Hashable:
    sent: list[tuple[str, bytes]] = []
    observers, oddities = Observers(exchange), _Strict()
    observers.add_book(lambda update: promises.encodable(update["symbol"]))

    def publish(subject: str, payload: bytes) -> bool:
        sent.append((subject, payload))
        return len(sent) % 5 != 0

    shared = Shared(exchange, "ws://nowhere", None, publish, observers, oddities=oddities)  # type: ignore[arg-type]
    link = Link(shared, "L1", promises.short)
    link.want({native: exchange.handler.normalize_symbol(native) for native in seeds.of(exchange.code).natives})
    frames = [payload for what, payload in script.read(data) if what in (b"F", b"B")]
    end = await link._reader.run(_Socket(script.read(data), link))  # type: ignore[arg-type]
    promise(end.kind is EndKind.LOST, f"{end}")
    promises.short(end.detail)
    for refused in link.refused.values():
        promises.short(refused)
    for _, payload in sent:
        frame = pb.RawFrame.FromString(payload)
        promise(packing.unpack(frame) in frames, "another payload than was received")
    return tuple(sorted(oddities.counts)), len(sent).bit_length(), link.settled, bool(link.refused)


class _Strict(Oddities):
    """A frame that fails is kept by ingest, which goes on; here it is the finding."""

    def note(self, kind: str, where: str, frame: bytes) -> None:
        super().note(kind, where, frame)
        if kind == "failed" and (error := sys.exception()) is not None:
            raise error


class _Socket:
    """Brings the events of a script, then ends."""

    def __init__(self, events: list[script.Event], link: Link) -> None:
        self._events = iter(events)
        self._link = link
        self._now_s = 1000.0

    async def receive(self) -> Any:
        for what, payload in self._events:
            subscriptions = self._link._subscriptions
            self._now_s += 0.1
            if what == b"n":
                subscriptions.next_frame(self._now_s, 0)
            elif what == b"T":
                self._now_s += 5.0
                subscriptions.check(self._now_s)
            elif what in _KINDS:
                return SimpleNamespace(type=_KINDS[what], data=payload, extra=None)
        return SimpleNamespace(type=WSMsgType.CLOSED, data=None, extra=None)


def serve(exchange: Exchange, data: bytes) -> Hashable:
    return in_loop(_serve(exchange, data))


async def _serve(exchange: Exchange, data: bytes) -> Hashable:
    bus = OpenBus()
    ctx = context("ingest", bus)
    nowhere = ExchangeSettings(ws_url=f"ws://{NOWHERE}", rest_url=f"http://{NOWHERE}")
    ctx.settings = msgspec.structs.replace(ctx.settings, exchanges={exchange.code: nowhere})
    service = Ingest(ctx, exchange)
    await service.connector.start()
    try:
        directory = service.connector.parts.directory
        directory.symbols, directory.fetched_s = SymbolMap(_listed(exchange)), 1.0
        service.connector.parts.rest.get = _refuse  # type: ignore[method-assign, assignment]
        await Rpc(service.connector).serve(bus)
        outcomes = [await _ask(service, bus, exchange.code, *event) for event in script.read(data)]
        await turns()
        for slot in service.connector.parts.pool:
            service._publish_status(slot)
        for subject, payload in bus.published:
            if subjects.split(subject)[0] == "link":
                pb.LinkStatus.FromString(payload)
    finally:
        await service.stop()
    return tuple(sorted(set(outcomes)))


async def _ask(service: Ingest, bus: OpenBus, code: str, what: bytes, payload: bytes) -> tuple[str, bool]:
    if what == b"U":
        service._on_universe(subjects.universe(code), payload)
        return "universe", bool(len(service.connector.parts.pool))
    if what not in _REQUESTS:
        return "", False
    method, _, kind = _REQUESTS[what]
    async with asyncio.timeout(30):
        reply = kind.FromString(await bus.handlers[subjects.rpc(method, code)]("", payload))
    promises.short(reply.error)
    return method, bool(reply.error)


async def _refuse(request: RestRequest, *, priority: int) -> bytes:
    """Instead of a network."""
    raise RestError(f"{request.path} leads nowhere (priority {priority})", retry_after_s=60.0)


def _listed(exchange: Exchange) -> list[Instrument]:
    return exchange.handler.parse_instruments(seeds.of(exchange.code).samples.instruments)


@cache
def _streams(code: str) -> list[bytes]:
    """Requests, answers and frames as the simulated exchange gives them; and every sample of a control frame."""
    seed = seeds.of(code)
    received = [data for kind, data in seed.stream if kind == "recv"]
    whole: list[script.Event] = [(b"n", b""), *((b"F", data) for data in received[:40]), (b"T", b""), (b"p", b"x")]
    samples: list[script.Event] = [event for data in seed.frames for event in ((b"n", b""), (b"F", data), (b"T", b""))]
    return [script.write(whole), script.write(samples), script.write(samples[:12])]


@cache
def _requests(code: str) -> list[bytes]:
    exchange = registry.get(code)
    listed = _listed(exchange)
    universe = pb.Universe(exchange=code, revision=1, time_ns=1, common_currency="USDT", listed=len(listed))
    for instrument in listed:
        universe.entries.add(symbol=instrument.symbol, native_symbol=instrument.native_symbol, reason="top")
    universe.entries.add(symbol="NO-SUCH", native_symbol="NOSUCH", reason="kept")
    symbol = listed[0].symbol
    messages_of: list[tuple[bytes, Any]] = [
        (b"U", universe),
        (b"s", pb.SnapshotRequest(symbol=symbol, priority=3)),
        (b"r", pb.ResubscribeRequest(symbol=symbol)),
        (b"r", pb.ResubscribeRequest(symbol=symbol, link=f"{code}-0")),
        (b"c", pb.ReconnectRequest(link=f"{code}-0", reason="because")),
        (b"l", pb.ListingRequest(instruments=True)),
        (b"U", pb.Universe(exchange=code)),
    ]
    return [script.write([(what, message.SerializeToString()) for what, message in messages_of])]
