"""Which symbols a live link carries, by what ingest reports. Pure: time comes in as an argument.

A link counts as live while its status says CONNECTED, the status itself is fresh, and the link's last frame of any
sort (heartbeats included) is younger than the exchange's idle timeout. Quiet symbols on a live link are fine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hoga.wire import pb


@dataclass(slots=True)
class Slot:
    """One place for a connection, as its newest status describes it."""

    link: str
    symbols: frozenset[str]
    live: bool
    reason: str
    heard_ns: int
    reconnects: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What a status, or the lack of one, changed."""

    covered: frozenset[str] = frozenset()
    """Symbols that have a live link from now on."""
    moved: frozenset[str] = frozenset()
    """Symbols that another live link took over without a break."""
    broken: dict[str, str] = field(default_factory=dict)
    """Symbols that are covered but missed something: frames were thrown away, or a break went unreported."""
    lost: dict[str, str] = field(default_factory=dict)
    """Symbols that have none any more, with the reason."""
    dropped: frozenset[str] = frozenset()
    """Symbols that no link is meant to carry any more."""


NOTHING = Change()


class Coverage:
    """The links of one exchange."""

    def __init__(self, *, silent_after_ns: int, idle_after_ns: int) -> None:
        self._silent_after_ns = silent_after_ns
        self._idle_after_ns = idle_after_ns
        self._slots: dict[str, Slot] = {}
        self.live_links: set[str] = set()
        """Ids of the links that are live; one object for good."""

    def covers(self, symbol: str) -> bool:
        """Whether a live link carries the symbol."""
        return any(slot.live and symbol in slot.symbols for slot in self._slots.values())

    def status(self, message: pb.LinkStatus, now_ns: int) -> Change:
        """Takes one report."""
        name = message.slot or message.link
        symbols = frozenset(message.symbols)
        live, reason = self._judge(message)
        known = self._slots.get(name)
        if known is not None and known.live and live and known.symbols == symbols:
            return self._same(known, message, reason, now_ns)
        before = self._view()
        if message.state == pb.LinkState.LINK_STATE_CLOSED and not symbols:
            self._slots.pop(name, None)
        else:
            self._slots[name] = Slot(message.link, symbols, live, reason, now_ns, message.reconnects, message.dropped)
        return self._difference(before)

    def _same(self, known: Slot, message: pb.LinkStatus, reason: str, now_ns: int) -> Change:
        """A live slot that stays live: did its link change, did it lose anything?"""
        before = (known.link, known.reconnects, known.dropped)
        known.link, known.reconnects, known.dropped = message.link, message.reconnects, message.dropped
        known.reason, known.heard_ns = reason, now_ns
        if before == (known.link, known.reconnects, known.dropped):
            return NOTHING
        self._note_links()
        if known.dropped > before[2]:
            return Change(broken=dict.fromkeys(known.symbols, "ingest threw frames away: the bus did not take them"))
        if known.link == before[0]:
            return NOTHING  # the end of a planned reconnect
        if known.reconnects > before[1]:
            return Change(broken=dict.fromkeys(known.symbols, "the link was lost and replaced"))
        return Change(moved=known.symbols)

    def tick(self, now_ns: int) -> Change:
        """Links whose reports have stopped are no longer live."""
        silent = [slot for slot in self._slots.values() if slot.live and now_ns - slot.heard_ns > self._silent_after_ns]
        return self._fail(silent, "ingest no longer reports on the link")

    def fail(self, reason: str) -> Change:
        """No link is live until it is reported again."""
        return self._fail([slot for slot in self._slots.values() if slot.live], reason)

    def _fail(self, slots: list[Slot], reason: str) -> Change:
        if not slots:
            return NOTHING
        before = self._view()
        for slot in slots:
            slot.live, slot.reason = False, reason
        return self._difference(before)

    def _judge(self, message: pb.LinkStatus) -> tuple[bool, str]:
        if message.state != pb.LinkState.LINK_STATE_CONNECTED:
            return False, message.reason or "the link is down"
        if message.last_frame_age_ns > self._idle_after_ns:
            return False, f"nothing arrived on the link for {message.last_frame_age_ns / 1e9:.0f} s"
        return True, ""

    def _view(self) -> tuple[set[str], set[str]]:
        live: set[str] = set()
        meant: set[str] = set()
        for slot in self._slots.values():
            meant |= slot.symbols
            if slot.live:
                live |= slot.symbols
        return live, meant

    def _difference(self, before: tuple[set[str], set[str]]) -> Change:
        self._note_links()
        live_before, meant_before = before
        live, meant = self._view()
        return Change(
            covered=frozenset(live - live_before),
            lost={symbol: self._why(symbol) for symbol in (live_before & meant) - live},
            dropped=frozenset(meant_before - meant),
        )

    def _note_links(self) -> None:
        self.live_links.clear()
        self.live_links.update(slot.link for slot in self._slots.values() if slot.live)

    def _why(self, symbol: str) -> str:
        reasons = [slot.reason for slot in self._slots.values() if symbol in slot.symbols and slot.reason]
        return reasons[0] if reasons else "no live link carries the symbol"
