"""What ingest tells of links among the frames, as messages for tests."""

from __future__ import annotations

from collections.abc import Iterable

from hoga.wire import pb

OPENED, SETTLED, CLOSED = pb.LinkEvent.KIND_OPENED, pb.LinkEvent.KIND_SETTLED, pb.LinkEvent.KIND_CLOSED


def event(kind: pb.LinkEvent.Kind, symbols: Iterable[str], *, slot: str = "s0", **fields) -> pb.LinkEvent:
    return pb.LinkEvent(kind=kind, slot=slot, symbols=symbols, **fields)


def beat(symbols: Iterable[str], *links: pb.LinkBeat.Link, slot: str = "s0", **fields) -> pb.LinkBeat:
    return pb.LinkBeat(slot=slot, symbols=symbols, links=links, **fields)


def link(name: str, events: int, *, without: Iterable[str] = (), unsettled: Iterable[str] = ()) -> pb.LinkBeat.Link:
    return pb.LinkBeat.Link(link=name, events=events, without=without, unsettled=unsettled)


class Order:
    """Holds raw messages, in the order in which one subscriber gets them, against what is told of links among them."""

    def __init__(self) -> None:
        self.open: dict[str, dict[str, bool]] = {}
        """Link -> symbol -> whether it is SETTLED."""
        self.ends: dict[str, tuple[bool, str]] = {}
        """Link -> (planned, reason) of its newest CLOSED."""
        self._numbers: dict[str, int] = {}

    def take(self, frame: pb.RawFrame) -> None:
        if frame.kind == pb.RawFrame.KIND_LINK_EVENT:
            self._event(frame.link, frame.link_seq, frame.link_event)
        elif frame.kind == pb.RawFrame.KIND_LINK_BEAT:
            self._beat(frame.link_beat)
        elif frame.kind == pb.RawFrame.KIND_STREAM and frame.symbol:
            carried = self.open.get(frame.link, {})
            assert frame.symbol in carried, f"{frame.symbol} over {frame.link}, which carries {list(carried)}"

    def _event(self, name: str, number: int, told: pb.LinkEvent) -> None:
        assert number == self._numbers.get(name, 0) + 1, f"event {number} of {name} after {self._numbers.get(name)}"
        self._numbers[name] = number
        carried = self.open.setdefault(name, {})
        for symbol in told.symbols:
            if told.kind == CLOSED:
                del carried[symbol]
                self.ends[name] = (told.planned, told.reason)
            else:
                assert carried.get(symbol) is (None if told.kind == OPENED else False)
                carried[symbol] = told.kind == SETTLED

    def _beat(self, told: pb.LinkBeat) -> None:
        for one in told.links:
            assert one.events == self._numbers.get(one.link, 0), f"{one.link}: event {one.events} never came"
            settled = {symbol: symbol not in one.unsettled for symbol in told.symbols if symbol not in one.without}
            assert settled == self.open.get(one.link, {})
        named = {one.link for one in told.links}
        slot = f"{told.slot}."
        assert not any(carried for name, carried in self.open.items() if name.startswith(slot) and name not in named)
