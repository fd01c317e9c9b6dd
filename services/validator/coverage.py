"""Which symbols a live link carries, by what ingest reports. Pure: time comes in as an argument.

A link counts as live while its status says CONNECTED, the status itself is fresh, the link's last frame of any sort
(heartbeats included) is younger than the exchange's idle timeout, and it answers without undue delay. Quiet symbols on
a live link are fine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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
    clock: str = ""
    """Whose monotonic clock its frames are stamped with."""
    carried: frozenset[str] = frozenset()
    """Those of the symbols whose subscription is in effect."""


class Carriers:
    """The ids of the live links that carry one symbol; up to date for good."""

    __slots__ = ("_carried", "_symbol")

    def __init__(self, carried: Mapping[str, frozenset[str]], symbol: str) -> None:
        """`carried`: live link -> its symbols."""
        self._carried = carried
        self._symbol = symbol

    def __contains__(self, link: object) -> bool:
        return self._symbol in self._carried.get(str(link), ())


@dataclass(frozen=True, slots=True)
class Change:
    """What a status, or the lack of one, changed."""

    covered: frozenset[str] = frozenset()
    """Symbols that have a live link from now on."""
    moved: frozenset[str] = frozenset()
    """Symbols that another live link carries on without a break: their link was replaced as planned."""
    fewer: frozenset[str] = frozenset()
    """Symbols that have lost one of several live links."""
    broken: dict[str, str] = field(default_factory=dict)
    """Symbols that are covered but missed something: frames were thrown away, or a break went unreported."""
    lost: dict[str, str] = field(default_factory=dict)
    """Symbols that have none any more, with the reason."""
    dropped: frozenset[str] = frozenset()
    """Symbols that no link is meant to carry any more."""


NOTHING = Change()


class Coverage:
    """The links of one exchange."""

    def __init__(self, *, silent_after_ns: int, idle_after_ns: int, clock: str = "") -> None:
        """`clock`: whose monotonic clock is ours."""
        self._clock = clock
        self._silent_after_ns = silent_after_ns
        self._idle_after_ns = idle_after_ns
        self._slots: dict[str, Slot] = {}
        self._carried: dict[str, frozenset[str]] = {}
        """Live link -> its symbols; one object for good."""
        self._same_clock: set[str] = set()
        """Live links whose frames are stamped with our own monotonic clock."""

    @property
    def live_links(self) -> set[str]:
        return set(self._carried)

    def carriers(self, symbol: str) -> Carriers:
        return Carriers(self._carried, symbol)

    def shares_clock(self, link: str) -> bool:
        """Whether a live link stamps its frames with the monotonic clock that is ours, too."""
        return link in self._same_clock

    def covers(self, symbol: str) -> bool:
        """Whether a live link carries the symbol."""
        return any(slot.live and symbol in slot.carried for slot in self._slots.values())

    def settled(self, symbol: str) -> bool:
        """Whether every live link that carries the symbol has done so for a while."""
        ages = [slot.age_ns for slot in self._slots.values() if slot.live and symbol in slot.carried]
        return bool(ages) and min(ages) > SETTLED_NS

    def status(self, message: pb.LinkStatus, now_ns: int) -> Change:
        """Takes one report."""
        name = message.slot or message.link
        symbols = frozenset(message.symbols)
        told_ns = min(now_ns, message.mono_ns) if message.clock and message.clock == self._clock else now_ns
        live, reason = self._judge(message, now_ns - told_ns)
        known = self._slots.get(name)
        age_ns = message.time_ns - message.connected_time_ns if message.connected_time_ns else 0
        carried = symbols.difference(message.waiting)
        fresh = Slot(
            message.link,
            symbols,
            live,
            reason,
            told_ns,
            reconnects=message.reconnects,
            dropped=message.dropped,
            instance=message.instance,
            age_ns=age_ns,
            clock=message.clock,
            carried=carried,
        )
        stays = known is not None and known.live and live
        if known is not None and stays and (known.symbols, known.carried) == (symbols, carried):
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
        return replace(change, moved=also.moved, fewer=change.fewer | also.fewer, broken=also.broken)

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
            return Change(fewer=twice, broken=dict.fromkeys(symbols - twice, "the link was lost and replaced"))
        return Change(moved=symbols)

    def _carried_by_others(self, slot: Slot) -> frozenset[str]:
        """The symbols that another live slot carries."""
        others = [other.carried for other in self._slots.values() if other is not slot and other.live]
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

    def _judge(self, message: pb.LinkStatus, age_ns: int) -> tuple[bool, str]:
        """`age_ns`: how long the report was on its way."""
        if message.state != pb.LinkState.LINK_STATE_CONNECTED:
            return False, message.reason or "the link is down"
        if message.last_frame_age_ns > self._idle_after_ns:
            return False, f"nothing arrived on the link for {message.last_frame_age_ns / 1e9:.0f} s"
        if age_ns > self._silent_after_ns:
            return False, f"the reports on the link arrive {age_ns / 1e9:.1f} s late"
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
                live.update(slot.carried)
        return live, meant

    def _difference(self, before: tuple[Counter[str], set[str]]) -> Change:
        self._note_links()
        live_before, meant_before = before
        live, meant = self._view()
        return Change(
            covered=frozenset(live.keys() - live_before.keys()),
            fewer=frozenset(symbol for symbol, count in live.items() if count < live_before[symbol]),
            lost={symbol: self._why(symbol) for symbol in (live_before.keys() & meant) - live.keys()},
            dropped=frozenset(meant_before - meant),
        )

    def _note_links(self) -> None:
        self._carried.clear()
        live = [slot for slot in self._slots.values() if slot.live]
        self._carried.update((slot.link, slot.carried) for slot in live)
        self._same_clock = {slot.link for slot in live if slot.clock and slot.clock == self._clock}

    def _why(self, symbol: str) -> str:
        slots = [slot for slot in self._slots.values() if symbol in slot.symbols]
        reasons = [slot.reason for slot in slots if slot.reason]
        if any(slot.live and symbol not in slot.carried for slot in slots):
            reasons.append("its subscription was refused for now and is asked for again")
        return reasons[0] if reasons else "no live link carries the symbol"
