"""Which links carry which symbols, by what ingest tells among the frames. Pure: time comes in as an argument.

1. Events and beats of a link come in the order of its frames. An event counts where all before it are known.
2. A beat names the newest event of every link of a slot. Where that is another than the newest one heard, something
   was lost: what was known of the link is CLOSED, and the beat tells what holds. So it does of links that are new here.
3. A slot without a fresh beat has no links: ingest is gone, or what it sends is late. The next fresh one tells them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.wire import pb

GONE = "the link is gone"
LOST = "reports on the link were lost"
News = list[tuple[str, LinkEvent]]
"""(symbol, what happened to a link that carries it), in order."""


@dataclass(slots=True)
class Link:
    """One link as told."""

    events: int = 0
    """The number of the newest event."""
    symbols: dict[str, bool] = field(default_factory=dict)
    """What it carries -> whether it is SETTLED."""


@dataclass(slots=True)
class Slot:
    """One place for a connection."""

    symbols: frozenset[str] = frozenset()
    """What it is meant to carry."""
    links: dict[str, Link] = field(default_factory=dict)
    beat_ns: int | None = None
    """When its newest beat was made; None where that says nothing any more."""
    our_clock: bool = False
    """Its frames are stamped with the monotonic clock that is ours, too."""


class Coverage:
    """The links of one exchange."""

    def __init__(self, *, silent_after_ns: int, clock: str = "") -> None:
        """`clock`: whose monotonic clock is ours."""
        self._clock = clock
        self._silent_after_ns = silent_after_ns
        self._slots: dict[str, Slot] = {}
        self._same_clock: set[str] = set()
        """Links whose frames are stamped with our own monotonic clock."""
        self._deaf_until_ns = 0

    def shares_clock(self, link: str) -> bool:
        """Whether a link stamps its frames with the monotonic clock that is ours, too."""
        return link in self._same_clock

    def standing(self, symbol: str) -> Iterator[LinkEvent]:
        """What somebody who begins with a symbol now has to hear."""
        for slot in self._slots.values():
            for name, link in slot.links.items():
                if symbol in link.symbols:
                    yield _opened(name, settled=link.symbols[symbol])

    def event(self, name: str, number: int, event: pb.LinkEvent) -> News:
        """The `number`-th event of a link."""
        slot = self._slots.get(event.slot)
        if slot is None or slot.beat_ns is None:
            return []
        link = slot.links.get(name)
        if link is None and number == 1:
            link = self._add(slot, name, Link())
        if link is None or number <= link.events:
            return []
        if number != link.events + 1:
            return self._close(slot, [name], LOST)
        link.events = number
        return [(symbol, told) for symbol in event.symbols if (told := _happens(name, link, symbol, event)) is not None]

    def beat(self, beat: pb.LinkBeat, now_ns: int) -> tuple[News, frozenset[str]]:
        """What is new by one beat, and the symbols that no link is meant to carry any more."""
        ours = bool(beat.clock) and beat.clock == self._clock
        told_ns = min(now_ns, beat.mono_ns) if ours else now_ns
        slot = self._slots.setdefault(beat.slot, Slot())
        before, slot.symbols = slot.symbols, frozenset(beat.symbols)
        if now_ns - told_ns > self._silent_after_ns:
            news = self._silence([slot], f"the reports on the link arrive {(now_ns - told_ns) / 1e9:.1f} s late")
        elif told_ns < self._deaf_until_ns:
            news = []
        else:
            slot.beat_ns, slot.our_clock = told_ns, ours
            news = self._compare(slot, beat)
        if not slot.symbols and not beat.links:
            del self._slots[beat.slot]
        dropped = before.difference(*(one.symbols for one in self._slots.values()))
        return news, dropped

    def tick(self, now_ns: int) -> News:
        """Links of slots whose beats have stopped are no longer open."""
        silent = [
            slot
            for slot in self._slots.values()
            if slot.beat_ns is not None and now_ns - slot.beat_ns > self._silent_after_ns
        ]
        return self._silence(silent, "ingest no longer reports on the link") if silent else []

    def deafened(self, reason: str, now_ns: int) -> News:
        """What was sent until now may be lost: no link is open until a beat that was made later tells so."""
        self._deaf_until_ns = now_ns
        return self._silence(self._slots.values(), reason)

    def _compare(self, slot: Slot, beat: pb.LinkBeat) -> News:
        told = {one.link: one for one in beat.links}
        news = self._close(slot, [name for name in slot.links if name not in told], GONE)
        news += self._close(slot, [name for name, link in slot.links.items() if told[name].events != link.events], LOST)
        for name in [name for name in told if name not in slot.links]:
            without, unsettled = set(told[name].without), set(told[name].unsettled)
            symbols = {symbol: symbol not in unsettled for symbol in beat.symbols if symbol not in without}
            self._add(slot, name, Link(told[name].events, symbols))
            news += [(symbol, _opened(name, settled=settled)) for symbol, settled in symbols.items()]
        return news

    def _silence(self, slots: Iterable[Slot], reason: str) -> News:
        news: News = []
        for slot in slots:
            slot.beat_ns = None
            news += self._close(slot, list(slot.links), reason)
        return news

    def _add(self, slot: Slot, name: str, link: Link) -> Link:
        slot.links[name] = link
        if slot.our_clock:
            self._same_clock.add(name)
        return link

    def _close(self, slot: Slot, names: list[str], reason: str) -> News:
        """Forgets links."""
        news: News = []
        for name in names:
            self._same_clock.discard(name)
            closed = LinkEvent(LinkEventKind.CLOSED, name, reason=reason)
            news += [(symbol, closed) for symbol in slot.links.pop(name).symbols]
        return news


def _opened(name: str, *, settled: bool) -> LinkEvent:
    return LinkEvent(LinkEventKind.SETTLED if settled else LinkEventKind.OPENED, name)


def _happens(name: str, link: Link, symbol: str, event: pb.LinkEvent) -> LinkEvent | None:
    """Notes what happens to a symbol; None where that is nothing new."""
    known = link.symbols.get(symbol)
    match event.kind:
        case pb.LinkEvent.KIND_OPENED if known is None:
            link.symbols[symbol] = False
        case pb.LinkEvent.KIND_SETTLED if known is False:
            link.symbols[symbol] = True
        case pb.LinkEvent.KIND_CLOSED if known is not None:
            del link.symbols[symbol]
        case _:
            return None
    return LinkEvent(LinkEventKind(event.kind), name, event.planned, event.reason)
