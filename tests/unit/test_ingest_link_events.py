"""What is told of one link, and that no frame of it comes behind its end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import WSMsgType

from hoga.exchanges.registry import EXCHANGES
from hoga.wire import pb
from services.ingest import link as ingest_link
from services.ingest.line import EndKind, Shared
from services.ingest.link import Link
from services.ingest.link_events import MAX_SYMBOLS, LinkEvents
from services.ingest.observers import Observers
from tests.support.told_links import CLOSED, OPENED, SETTLED, Order


class Told:
    def __init__(self) -> None:
        self.frames: list[pb.RawFrame] = []
        self.takes = True
        self.events = LinkEvents("x", "x-0", "x-0.i1", self.publish)

    def publish(self, _subject: str, payload: bytes) -> bool:
        if self.takes:
            self.frames.append(pb.RawFrame.FromString(payload))
        return self.takes

    def taken(self) -> list[tuple[int, int, list[str]]]:
        found = [(frame.link_seq, frame.link_event.kind, list(frame.link_event.symbols)) for frame in self.frames]
        self.frames.clear()
        return found


def never(symbol: str) -> str:
    raise AssertionError(f"{symbol} is carried")


def test_only_what_changes_is_told_and_each_event_has_its_number() -> None:
    told = Told()
    told.events.update({"A": False, "B": True}, never)
    assert told.taken() == [(1, OPENED, ["A", "B"]), (2, SETTLED, ["B"])]
    told.events.update({"A": False, "B": False}, never)
    assert told.taken() == [], "what has settled stays so while it is open"
    told.events.update({"C": False}, {"A": "given up", "B": "refused"}.__getitem__)
    assert told.taken() == [(3, CLOSED, ["A"]), (4, CLOSED, ["B"]), (5, OPENED, ["C"])], "each with its own reason"
    told.events.close("over", planned=False)
    assert told.taken() == [(6, CLOSED, ["C"])]
    told.events.close("over", planned=False)
    assert told.taken() == []


def test_a_symbol_with_a_lost_frame_is_closed_once_and_opened_at_the_next_look() -> None:
    told = Told()
    told.events.update({"A": True, "B": True}, never)
    told.taken()
    for _ in range(3):
        told.events.lost("A")
    assert told.taken() == [(3, CLOSED, ["A"])]
    told.events.update({"A": True, "B": True}, never)
    assert told.taken() == [(4, OPENED, ["A"]), (5, SETTLED, ["A"])]
    told.events.lost()
    assert told.taken() == [(6, CLOSED, ["B", "A"])]


def test_an_event_that_the_bus_refuses_has_its_number_all_the_same() -> None:
    told = Told()
    told.events.update({"A": False}, never)
    told.takes = False
    told.events.lost("A")
    told.events.missed()
    told.takes = True
    state = told.events.state(["A", "B"])
    assert (state.events, list(state.without), list(state.unsettled)) == (3, ["A", "B"], [])


def test_many_symbols_are_told_in_several_events() -> None:
    told, many = Told(), {f"S{number}": False for number in range(2 * MAX_SYMBOLS + 1)}
    told.events.update(many, never)
    assert [(number, len(symbols)) for number, _, symbols in told.taken()] == [
        (1, MAX_SYMBOLS), (2, MAX_SYMBOLS), (3, 1),
    ]  # fmt: skip


class Socket:
    """Brings what a test puts in."""

    closed = False

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(self) -> SimpleNamespace:
        return SimpleNamespace(type=WSMsgType.TEXT, data=await self.messages.get(), extra=None)

    async def send_str(self, data: str) -> None: ...

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None: ...

    async def close(self, **_: object) -> bool:
        return True


@pytest.mark.parametrize("kind", [EndKind.REPLACED, EndKind.SILENT])
async def test_a_frame_that_is_there_when_the_link_ends_is_not_published_behind_the_end(monkeypatch, kind) -> None:
    exchange, socket, told = EXCHANGES["upbit"], Socket(), Told()

    async def connect(_shared: Shared) -> Socket:
        return socket

    monkeypatch.setattr(ingest_link, "connect", connect)
    shared = Shared(exchange, "ws://nowhere", None, told.publish, Observers(exchange))  # type: ignore[arg-type]
    link = Link(shared, "upbit-0.i1", lambda _why: None, slot="upbit-0")
    await link.open()
    link.want({"KRW-BTC": "BTC-KRW"})
    frame = b'{"type":"orderbook","code":"KRW-BTC","timestamp":1,"orderbook_units":[]}'
    socket.messages.put_nowait(frame)
    while not any(one.kind == pb.RawFrame.KIND_STREAM for one in told.frames):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    socket.messages.put_nowait(frame)
    link.end(kind, "over")
    await link.closed()
    order = Order()
    for one in told.frames:
        order.take(one)
    assert order.ends == {link.name: (kind is EndKind.REPLACED, "over")}
    assert [one.kind for one in told.frames][-1] == pb.RawFrame.KIND_LINK_EVENT
