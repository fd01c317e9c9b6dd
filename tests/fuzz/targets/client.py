"""The client: books, events and signs of life that a consumer's program reads off the bus. A script:

B  OrderBook    E  BookEvent    L  LinkStatus    H  Health    u  Universe    r  BookReply    T  a second passes
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any

from hoga.client.book import BookView
from hoga.client.client import Client
from hoga.client.inbox import BookInbox
from hoga.client.publishers import Publishers
from hoga.client.streams import MessageBox
from hoga.domain.errors import HogaError
from hoga.domain.types import State
from hoga.wire import pb, subjects
from tests.fuzz.harness import OpenBus, in_loop
from tests.fuzz.inputs import messages, script
from tests.fuzz.target import Target, promise
from tests.unit import monitor_support as support

SECOND_NS = 10**9
_BOXES: dict[bytes, Any] = {b"E": pb.BookEvent, b"L": pb.LinkStatus}
_KINDS: dict[bytes, Any] = _BOXES | {b"B": pb.OrderBook, b"H": pb.Health, b"u": pb.Universe, b"r": pb.BookReply}


def targets() -> Iterator[Target]:
    mutator = script.mutator({what: messages.mutator(kind) for what, kind in _KINDS.items()}, [(b"T", b"")])
    yield Target("client", lambda data: in_loop(_run(data)), scripts, mutator, suite_runs=250)


async def _run(data: bytes) -> Hashable:
    publishers = Publishers(3 * SECOND_NS)
    inboxes = [BookInbox(publishers, conflate=True), BookInbox(publishers, conflate=False, limit=3)]
    boxes = {what: MessageBox(kind, lambda: None, 3) for what, kind in _BOXES.items()}
    bus = OpenBus()
    client = Client(bus=bus, stale_after_s=0)
    met: set[str] = set()
    now_ns = SECOND_NS
    async with client:
        for what, payload in script.read(data):
            now_ns += SECOND_NS if what == b"T" else 10**7
            if what == b"B":
                for inbox in inboxes:
                    inbox.offer(payload, now_ns)
                await _ask(
                    bus, subjects.BOOKS_STREAM, subjects.book("x", "y"), payload, lambda: client.book("x", "y"), met
                )
            elif what == b"H":
                client._session._on_health("ob.v1.health.a.b", payload)
                _hear(publishers, payload, now_ns)
            elif what in boxes:
                boxes[what].offer("", payload)
                boxes[what].take()
            elif what == b"u":
                await _ask(
                    bus, subjects.UNIVERSE_STREAM, subjects.universe("x"), payload, lambda: client.universe("x"), met
                )
            elif what == b"r":
                bus.answer = payload
                await _ask(bus, "", "", b"", lambda: client.full_book("x", "y"), met)
            for inbox in inboxes:
                inbox.review(now_ns, "")
                while (view := inbox.take()) is not None:
                    look(view)
                    met.add(view.state.name)
    promise(all(inbox.waiting == 0 for inbox in inboxes), "books wait that cannot be taken")
    return frozenset(met), inboxes[0].unreadable > 0, inboxes[0].lost > 0


async def _ask(bus: OpenBus, stream: str, subject: str, payload: bytes, question: Any, met: set[str]) -> None:
    """What the client is asked while the bus holds this; only its own errors may come out."""
    if stream:
        await bus.ensure_stream(stream, [subject], max_bytes=1)
        bus.streams[stream].values[subject] = payload
    try:
        found = await question()
    except HogaError as error:
        met.add(f"{question.__code__.co_names[-1]} {type(error).__name__}")
        return
    if isinstance(found, BookView):
        look(found)


def look(view: BookView) -> None:
    """Everything that a consumer may read."""
    promise(view.state in State, f"state {view.state!r}")
    promise(len(view.bids) == len(view.to_floats()[0]), "levels differ by their spelling")
    _ = view.best_bid, view.best_ask, view.mid, view.spread, view.age_ns(0), repr(view), view.reason, view.live
    _ = view.to_numpy(), view.lost, view.skipped, view.bids_known, view.asks_known, view.verified


def _hear(publishers: Publishers, payload: bytes, now_ns: int) -> None:
    try:
        publishers.heard(pb.Health.FromString(payload).epoch, now_ns)
    except Exception as error:
        promise(type(error).__name__ == "DecodeError", f"{error!r}")


@cache
def scripts() -> list[bytes]:
    health = support.health("validator", epoch=support.EPOCH)
    universe = pb.Universe(exchange="x", revision=1)
    universe.entries.add(symbol="A-B", native_symbol="AB")
    listed: list[tuple[bytes, Any]] = [
        (b"B", support.book()), (b"H", health), (b"B", support.book(2)), (b"B", support.book(5)),
        (b"E", pb.BookEvent(exchange="x", symbol="A-B", kind=pb.BookEvent.KIND_GAP, detail="x")),
        (b"L", support.status()), (b"u", universe), (b"r", pb.BookReply(book=support.book(9))),
        (b"r", pb.BookReply(error="no such book")), (b"B", support.book(1, epoch=support.EPOCH + 1)),
        (b"B", support.wide_book(6)), (b"r", pb.BookReply(book=support.wide_book(7))),
    ]  # fmt: skip
    events = [(what, message.SerializeToString()) for what, message in listed]
    return [script.write(events), script.write([*events[:3], *[(b"T", b"")] * 5, events[1]])]
