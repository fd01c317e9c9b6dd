"""Which symbols a live link carries, by what ingest reports. Pure: time comes in as an argument.

A link counts as live while its status says CONNECTED, the status itself is fresh, the link's last frame of any sort
(heartbeats included) is younger than the exchange's idle timeout, and it answers without undue delay. Quiet symbols on
a live link are fine.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from hoga.wire import pb

THROWN_AWAY = "ingest threw frames away: the bus did not take them"
LATE_NS = 2_000_000_000
"""With what frames may wait on the bus, a book is not later than five seconds."""
SETTLED_NS = 3_000_000_000
"""A link that is up for so long has brought the snapshots of its subscriptions."""


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
    instance: str = ""
    age_ns: int = 0
    """How long it has been connected."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a status, or the lack of one, changed."""

    covered: frozenset[str] = frozenset()
    """Symbols that have a live link from now on."""
    moved: frozenset[str] = frozenset()
    """Symbols that another live link carries on without a break."""
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

    def settled(self, symbol: str) -> bool:
        """Whether every live link that carries the symbol has done so for a while."""
        ages = [slot.age_ns for slot in self._slots.values() if slot.live and symbol in slot.symbols]
        return bool(ages) and min(ages) > SETTLED_NS

    def status(self, message: pb.LinkStatus, now_ns: int) -> Change:
        """Takes one report."""
        name = message.slot or message.link
        symbols = frozenset(message.symbols)
        live, reason = self._judge(message)
        known = self._slots.get(name)
        age_ns = message.time_ns - message.connected_time_ns if message.connected_time_ns else 0
        counts = (message.reconnects, message.dropped)
        fresh = Slot(message.link, symbols, live, reason, now_ns, *counts, message.instance, age_ns)
        stays = known is not None and known.live and live
        if known is not None and stays and known.symbols == symbols:
            self._slots[name] = fresh
            return self._continued(known, fresh, symbols)
        before = self._view()
        if message.state == pb.LinkState.LINK_STATE_CLOSED and not symbols:
            self._slots.pop(name, None)
        else:
            self._slots[name] = fresh
        change = self._difference(before)
        returned = known is not None and live and not stays and fresh.instance == known.instance
        if known is not None and returned and fresh.dropped > known.dropped:
            return replace(change, broken=dict.fromkeys(symbols, THROWN_AWAY))
        if known is None or not stays:
            return change
        also = self._continued(known, fresh, known.symbols & symbols)
        return replace(change, moved=change.moved | also.moved, broken=also.broken)

    def _continued(self, known: Slot, fresh: Slot, symbols: frozenset[str]) -> Change:
        """A live slot that stays live with these symbols: did its link change, did it lose anything?"""
        if (known.link, known.reconnects, known.dropped) == (fresh.link, fresh.reconnects, fresh.dropped):
            return NOTHING
        self._note_links()
        restarted = fresh.instance != known.instance
        if fresh.dropped > (0 if restarted else known.dropped):
            return Change(broken=dict.fromkeys(symbols, THROWN_AWAY))
        if fresh.link == known.link:
            return NOTHING  # the end of a planned reconnect
        if restarted or fresh.reconnects > known.reconnects:
            twice = symbols & self._carried_by_others(fresh)
            return Change(moved=twice, broken=dict.fromkeys(symbols - twice, "the link was lost and replaced"))
        return Change(moved=symbols)

    def _carried_by_others(self, slot: Slot) -> frozenset[str]:
        """The symbols that another live slot carries."""
        others = [other.symbols for other in self._slots.values() if other is not slot and other.live]
        return frozenset[str]().union(*others)

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
        if message.behind_ns > LATE_NS:
            return False, f"frames arrive at least {message.behind_ns / 1e9:.1f} s late"
        return True, ""

    def _view(self) -> tuple[Counter[str], set[str]]:
        """(symbol -> live slots that carry it, symbols that any slot is meant to carry)."""
        live: Counter[str] = Counter()
        meant: set[str] = set()
        for slot in self._slots.values():
            meant |= slot.symbols
            if slot.live:
                live.update(slot.symbols)
        return live, meant

    def _difference(self, before: tuple[Counter[str], set[str]]) -> Change:
        self._note_links()
        live_before, meant_before = before
        live, meant = self._view()
        return Change(
            covered=frozenset(live.keys() - live_before.keys()),
            moved=frozenset(symbol for symbol, count in live.items() if count < live_before[symbol]),
            lost={symbol: self._why(symbol) for symbol in (live_before.keys() & meant) - live.keys()},
            dropped=frozenset(meant_before - meant),
        )

    def _note_links(self) -> None:
        self.live_links.clear()
        self.live_links.update(slot.link for slot in self._slots.values() if slot.live)

    def _why(self, symbol: str) -> str:
        reasons = [slot.reason for slot in self._slots.values() if symbol in slot.symbols and slot.reason]
        return reasons[0] if reasons else "no live link carries the symbol"
