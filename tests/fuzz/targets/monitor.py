"""The monitor: everything it takes off the bus, shown on the page after every second. A script:

B  OrderBook    L  LinkStatus    H  Health    T  a second passes    c, C  the bus goes, comes back
s  the subject of the next message (else the one that the message names)    P  a message of an open page
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import msgspec
from aiohttp import WSMsgType
from google.protobuf.message import DecodeError

from hoga.wire import pb, subjects
from services.monitor.connections import ConnectionManager
from services.monitor.watch import Watch
from services.monitor.web import MAX_REQUEST_BYTES, _Page
from tests.fuzz.harness import in_loop
from tests.fuzz.inputs import messages, script
from tests.fuzz.inputs.mutate import edit_bytes, mutate
from tests.fuzz.target import Target, promise
from tests.unit import monitor_support as support

_KINDS: dict[bytes, Any] = {b"B": pb.OrderBook, b"L": pb.LinkStatus, b"H": pb.Health}
_EXTRA = [(what, b"") for what in (b"T", b"T", b"c", b"C")]


def targets() -> Iterator[Target]:
    payloads = {what: messages.mutator(kind) for what, kind in _KINDS.items()} | {b"s": edit_bytes, b"P": mutate}
    yield Target("monitor", lambda data: in_loop(_run(data)), scripts, script.mutator(payloads, _EXTRA), suite_runs=250)


async def _run(data: bytes) -> Hashable:
    clock = support.Clock()
    watch = Watch(clock, ConnectionManager())
    watch.books._clock = lambda: clock().mono_ns
    subject = ""
    page: list[bytes] = []
    for what, payload in script.read(data):
        clock.forward(0.05)
        if what == b"s":
            subject = payload.decode("utf-8", "replace")
        elif what in _KINDS:
            _take(watch, what, subject or _subject(what, payload), payload)
            subject = ""
        elif what == b"T":
            _second(watch, clock)
        elif what in (b"c", b"C"):
            watch.bus_changed(what == b"C")
        elif what == b"P":
            page.append(payload[:MAX_REQUEST_BYTES])
    _second(watch, clock)
    closed = await _read_page(watch, page)
    states = sorted({book.state for book in watch.books.all()})
    return (
        tuple(states),
        watch.unreadable > 0,
        watch.books.ignored > 0,
        closed,
        len(watch.alerts.current()).bit_length(),
    )


def _take(watch: Watch, what: bytes, subject: str, payload: bytes) -> None:
    take = {b"B": watch.books.take, b"L": watch.take_link, b"H": watch.take_health}[what]
    take(subject, payload)


def _second(watch: Watch, clock: support.Clock) -> None:
    """As once a second: what is found, and what the page is told."""
    clock.forward(1.0)
    watch.settle(watch.manager.check(clock()))
    for since in (0, watch.tick):
        msgspec.json.encode(watch.state(since))
    for book in watch.books.all():
        msgspec.json.encode(watch.ladder(book.exchange, book.symbol))
    for exchange in watch.manager.exchanges:
        watch.manager.get_connection_status(exchange, clock())


async def _read_page(watch: Watch, sent: list[bytes]) -> bool:
    """Whether the page was told to go."""
    socket = _Socket(sent)
    page = _Page(socket, watch, lambda _since: b"")  # type: ignore[arg-type]
    await page.read()
    if page._choice is not None:
        await page._send_ladder(page._choice)
    return socket.closed


class _Socket:
    def __init__(self, sent: list[bytes]) -> None:
        self._sent = sent
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[Any]:
        for payload in self._sent:
            yield SimpleNamespace(type=WSMsgType.TEXT, data=payload.decode("utf-8", "replace"))
            if self.closed:
                return

    async def close(self, *, code: int, message: bytes) -> None:
        promise(not self.closed, "closed twice")
        self.closed = True

    async def send_str(self, text: str) -> None:
        await asyncio.sleep(0)


def _subject(what: bytes, payload: bytes) -> str:
    """Where a message belongs by what it says of itself."""
    try:
        message = _KINDS[what].FromString(payload)
        if what == b"B":
            return subjects.book(message.exchange, message.symbol)
        if what == b"L":
            return subjects.link(message.exchange, message.slot)
        return subjects.health(message.service, message.instance)
    except (DecodeError, ValueError):
        return "ob.v1.book.x.y"


@cache
def scripts() -> list[bytes]:
    book, link = support.book().SerializeToString(), support.status().SerializeToString()
    validator = support.health("validator", epoch=support.EPOCH)
    ingest = support.health("ingest-upbit", healthy=False, reason="links")
    for service in (validator, ingest):
        service.exchanges.add(exchange="upbit", raw_messages=10, book_messages=9, dropped=1)
    events: list[script.Event] = [
        (b"H", validator.SerializeToString()), (b"H", ingest.SerializeToString()), (b"L", link), (b"B", book),
        (b"T", b""), (b"B", support.book(2).SerializeToString()), (b"B", support.wide_book(3).SerializeToString()),
        (b"L", support.status(frames=5, reconnects=1, reason="x").SerializeToString()), (b"T", b""),
        (b"P", b'{"watch":{"exchange":"upbit","symbol":"BTC-KRW"}}'), (b"P", b'{"watch":null}'),
    ]  # fmt: skip
    named: list[script.Event] = [(b"s", b"ob.v1.book.upbit.BTC-KRW"), (b"B", book), (b"T", b"")]
    return [script.write(events), script.write(named), script.write([*events[:5], *[(b"T", b"")] * 20, (b"c", b"")])]
