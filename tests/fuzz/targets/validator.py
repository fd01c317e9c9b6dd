"""The validator with bytes from the bus. A script of messages:

R  RawFrame    I  InstrumentList    Q  a request for a book    A  what requests are answered with
T  a tick      c, C  the bus goes, comes back
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterator
from functools import cache, partial

from hoga.exchanges import registry
from hoga.runtime.config import load_settings
from hoga.runtime.health import HealthBoard
from hoga.runtime.service import ServiceContext
from hoga.wire import packing, pb, subjects
from services.validator.service import Validator
from tests.fuzz import promises
from tests.fuzz.harness import OpenBus, in_loop, turns
from tests.fuzz.inputs import messages, script, seeds
from tests.fuzz.target import Target, promise

SECOND_NS = 10**9
_EXTRA = [(what, b"") for what in (b"T", b"T", b"c", b"C")]


def targets() -> Iterator[Target]:
    kinds = {
        b"R": pb.RawFrame, b"I": pb.InstrumentList, b"Q": pb.BookRequest, b"A": pb.RpcReply,
    }  # fmt: skip
    mutator = script.mutator({what: messages.mutator(kind) for what, kind in kinds.items()}, _EXTRA)
    for code in registry.EXCHANGES:
        yield Target(f"validator:{code}", run, partial(scripts, code), mutator, suite_runs=15)


def context(name: str, bus: OpenBus) -> ServiceContext:
    settings = load_settings(env={})
    return ServiceContext(name, settings, bus, HealthBoard(name, "i"), "i", asyncio.Event(), argparse.Namespace())


def run(data: bytes) -> Hashable:
    return in_loop(_run(data))


async def _run(data: bytes) -> Hashable:
    bus = OpenBus()
    ctx = context("validator", bus)
    validator = Validator(ctx)
    bus.on_connection(validator._on_connection)
    bus.answer = pb.RpcReply().SerializeToString()
    for what, payload in script.read(data):
        await _play(validator, bus, ctx, what, payload)
    await turns()
    for code, desk in validator.desks.items():
        desk.state_counts()
        for symbol, builder in desk.shelf.builders.items():
            promise(symbol in desk.entries, f"{code}: a book that nobody publishes")
            promises.builder(builder)
    return _check_published(bus)


async def _play(validator: Validator, bus: OpenBus, ctx: ServiceContext, what: bytes, payload: bytes) -> None:
    match what:
        case b"R":
            validator._on_raw("ob.v1.raw.x.y", payload)
        case b"I":
            validator._on_instruments("ob.v1.instruments.x", payload)
        case b"Q":
            reply = pb.BookReply.FromString(await validator._on_book_request("ob.v1.rpc.book.x", payload))
            promises.published(reply.book)
        case b"A":
            bus.answer = payload
        case b"T":
            await turns()
            stamp = ctx.now()
            later = stamp._replace(mono_ns=stamp.mono_ns + 30 * SECOND_NS)
            for desk in validator.desks.values():
                desk.tick(later)
        case b"c":
            bus.go_away()
        case b"C":
            bus.come_back()


def _check_published(bus: OpenBus) -> Hashable:
    revisions: dict[str, int] = defaultdict(int)
    states = set()
    for subject, payload in bus.published:
        if subjects.split(subject)[0] == "book":
            book = pb.OrderBook.FromString(payload)
            promises.published(book)
            promise(book.revision > revisions[subject], f"revision {book.revision} after {revisions[subject]}")
            promise(subjects.book(book.exchange, book.symbol) == subject, f"a book of {book.symbol} on {subject}")
            revisions[subject] = book.revision
            states.add(book.state)
    return tuple(sorted(states)), min(len(revisions), 3), len(bus.published).bit_length()


@cache
def scripts(code: str) -> list[bytes]:
    """A link that is reported and brings its frames, the list of the exchange, requests for a book."""
    exchange, seed = registry.get(code), seeds.of(code)
    symbols = {native: exchange.handler.normalize_symbol(native) for native in seed.natives}
    told = [
        pb.RawFrame(exchange=code, kind=pb.RawFrame.KIND_LINK_BEAT, link_beat=pb.LinkBeat(slot="s0", symbols=["A-B"])),
        _event(code, 1, pb.LinkEvent.KIND_OPENED, [*symbols.values()]),
        _event(code, 2, pb.LinkEvent.KIND_SETTLED, [*symbols.values()]),
    ]
    listed = pb.InstrumentList(exchange=code, revision=1, time_ns=1, instance="i")
    for native, symbol in symbols.items():
        listed.instruments.add(symbol=symbol, native_symbol=native, trading=True, base="A", quote="B", status="on")
    events: list[script.Event] = [(b"R", frame.SerializeToString()) for frame in told]
    events.append((b"I", listed.SerializeToString()))
    numbers: dict[str, int] = defaultdict(int)
    for kind, data in seed.stream[:90]:
        for native in _natives(code, kind, data):
            numbers[kind + native] += 1
            frame = pb.RawFrame(
                exchange=code, symbol=symbols.get(native, ""), native_symbol=native, link="L",
                link_seq=numbers[kind + native], receive_time_ns=1_790_000_000 * SECOND_NS, payload=data,
                kind=pb.RawFrame.KIND_STREAM if kind == "recv" else pb.RawFrame.KIND_REST_SNAPSHOT,
                encoding=pb.RawFrame.ENCODING_IDENTITY,
            )  # fmt: skip
            if len(events) % 7 == 0:
                frame.encoding, frame.payload = pb.RawFrame.ENCODING_ZSTD, packing.compress(data)
            events.append((b"R", frame.SerializeToString()))
    events = events[:70]
    standing = pb.RawFrame(
        exchange=code,
        kind=pb.RawFrame.KIND_LINK_BEAT,
        link_beat=pb.LinkBeat(
            slot="s0", symbols=symbols.values(), links=[pb.LinkBeat.Link(link="L", events=3, without=["A-B"])]
        ),
    ).SerializeToString()
    answered = pb.RpcReply(error="no").SerializeToString()
    asked = pb.BookRequest(exchange=code, symbol=symbols[seed.natives[0]], depth=5).SerializeToString()
    return [
        script.write([*events[:6], (b"A", answered), (b"T", b""), (b"T", b"")]),
        script.write([*events, (b"Q", asked), (b"T", b""), (b"R", standing), (b"c", b""), (b"C", b""), (b"Q", asked)]),
    ]


def _event(code: str, number: int, kind: pb.LinkEvent.Kind, symbols: list[str]) -> pb.RawFrame:
    event = pb.LinkEvent(kind=kind, slot="s0", symbols=symbols)
    return pb.RawFrame(exchange=code, kind=pb.RawFrame.KIND_LINK_EVENT, link="L", link_seq=number, link_event=event)


def _natives(code: str, kind: str, data: bytes) -> list[str]:
    """The markets that a record of the simulated stream is about; one without a name for a frame of the link itself."""
    seed = seeds.of(code)
    if kind == "recv":
        routed = [native for native in registry.get(code).strategy.route(data).symbols if native in seed.natives]
        return routed or [""]
    return [native for native in seed.natives if kind == seeds.snapshot_kind(native)]
