"""The desk of one exchange: its books, who covers them, and carrying out what their keepers decide."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from hoga.domain.actions import Action, FactKind, Note, Publish, RequestSnapshot, Resubscribe
from hoga.domain.errors import FrameError
from hoga.domain.keeper import KeeperRules
from hoga.domain.types import Stamp, State
from hoga.exchanges.base import Exchange
from hoga.runtime.books import BookShelf
from hoga.runtime.logs import RateLimited
from hoga.wire import packing, pb
from services.validator.coverage import Change, Coverage
from services.validator.entry import Entry
from services.validator.mender import Mender
from services.validator.metrics import Meters
from services.validator.publisher import Publisher

MAX_BOOKS = 10_000
FORGET_AFTER_NS = 60_000_000_000
"""A book that nobody collects is shown as HALTED for so long, then forgotten."""
LOGGED = {
    FactKind.GAP: logging.WARNING,
    FactKind.REVERSAL: logging.WARNING,
    FactKind.CROSSED: logging.WARNING,
    FactKind.REJECTED: logging.WARNING,
    FactKind.CHECKSUM_MISMATCH: logging.WARNING,
    FactKind.STALE: logging.INFO,
    FactKind.HALTED: logging.INFO,
}
"""Facts that are worth a line; of each kind and exchange one in ten seconds, the others are counted."""
_limited = RateLimited(logging.getLogger(__name__), interval_s=10.0)


class Lag:
    """How far behind frames are by the time they are taken from the bus.

    The least difference seen between ingest's clock and ours stands for the clocks; what is more is waiting."""

    def __init__(self) -> None:
        self._least_ns: int | None = None

    def behind(self, difference_ns: int) -> int:
        if self._least_ns is None or difference_ns < self._least_ns:
            self._least_ns = difference_ns
        return difference_ns - self._least_ns


class Desk:
    def __init__(
        self,
        exchange: Exchange,
        rules: KeeperRules,
        coverage: Coverage,
        *,
        epoch: int,
        late_ns: int,
        publisher: Publisher,
        mender: Mender,
        meters: Meters,
    ) -> None:
        self.exchange = exchange
        self.shelf = BookShelf(exchange, rules)
        self.entries: dict[str, Entry] = {}
        self.coverage = coverage
        self._epoch = epoch
        self._publisher = publisher
        self._mender = mender
        self._meters = meters.of(exchange.code)
        self._forget_at_ns: dict[str, int] = {}
        self._last_revisions: dict[str, int] = {}
        self._late_ns = late_ns
        self._lag = Lag()

    def raw(self, frame: pb.RawFrame, stamp: Stamp, time_ns: int) -> None:
        """One raw frame of this exchange, taken from the bus at the wall time `time_ns`."""
        entry = self._entry(frame.symbol)
        if entry is None:
            return
        snapshot = frame.kind == pb.RawFrame.KIND_REST_SNAPSHOT
        self._meters.frame(snapshot)
        if not entry.native:
            entry.native = frame.native_symbol
        elif entry.native != frame.native_symbol:
            self._meters.foreign()  # another market under this symbol: its ids and levels are not ours
            return
        try:
            payload = packing.unpack(frame)
        except FrameError as error:
            refuse = entry.keeper.refuse_snapshot(error) if snapshot else entry.keeper.reject(error, stamp)
            self._carry_out(entry, refuse, frame.payload)
            return
        if snapshot:
            limit = self.exchange.traits.snapshot_depth
            actions = self.shelf.snapshot(frame.symbol, frame.native_symbol, payload, limit, stamp)
            self._carry_out(entry, actions, payload)
            return
        lost = entry.lost_before(frame.link, frame.link_seq)
        if lost:
            self._carry_out(entry, entry.keeper.bus_loss(lost))
        actions = self.shelf.frame(frame.symbol, frame.native_symbol, payload, frame.link, stamp)
        self._carry_out(entry, actions, payload)
        behind_ns = self._lag.behind(time_ns - stamp.wall_ns)
        if behind_ns > self._late_ns:
            reason = f"frames reach the validator {behind_ns / 1e9:.1f} s late"
            self._carry_out(entry, entry.keeper.outdate(reason))

    def status(self, message: pb.LinkStatus, stamp: Stamp) -> None:
        """One report on a link of this exchange."""
        self._cover(self.coverage.status(message, stamp.mono_ns), stamp)

    def deafened(self, reason: str, stamp: Stamp) -> None:
        """Frames may be lost that no later frame will ever betray; the next reports begin anew."""
        self._cover(self.coverage.fail(reason), stamp)
        for entry in self.entries.values():
            self._carry_out(entry, entry.keeper.link_down(reason, stamp))

    def tick(self, stamp: Stamp) -> None:
        """Time passes."""
        self._cover(self.coverage.tick(stamp.mono_ns), stamp)
        for symbol, actions in self.shelf.tick(stamp):
            self._carry_out(self.entries[symbol], actions)
        self._publisher.repeat_quiet(self.entries.values(), stamp.mono_ns)
        for symbol in [symbol for symbol, at_ns in self._forget_at_ns.items() if stamp.mono_ns >= at_ns]:
            self._forget(symbol)

    def state_counts(self) -> Counter[State]:
        counts = Counter(entry.keeper.state for entry in self.entries.values())
        self._meters.states(counts)
        return counts

    def retire(self, reason: str, stamp: Stamp) -> list[Entry]:
        """Every book is STALE from now on, because this process ends; the entries to publish."""
        for entry in self.entries.values():
            entry.keeper.link_down(reason, stamp)
        return list(self.entries.values())

    def _entry(self, symbol: str) -> Entry | None:
        entry = self.entries.get(symbol)
        if entry is None and symbol and len(self.entries) < MAX_BOOKS:
            keeper = self.shelf.keeper(symbol)
            keeper.live_links = self.coverage.live_links
            if not self.coverage.covers(symbol):
                keeper.uncovered_reason = "nothing is reported yet on the link that carries it"
            entry = Entry(self.exchange, symbol, keeper, self._epoch, self._last_revisions.pop(symbol, 0))
            self.entries[symbol] = entry
        return entry

    def _forget(self, symbol: str) -> None:
        """Everything but the revision, which goes on where it was if the symbol returns."""
        self._forget_at_ns.pop(symbol, None)
        self.shelf.keepers.pop(symbol, None)
        entry = self.entries.pop(symbol)
        self._publisher.forget(entry)
        if len(self._last_revisions) < MAX_BOOKS:
            self._last_revisions[symbol] = entry.revision

    def _cover(self, change: Change, stamp: Stamp) -> None:
        for symbol in change.covered:
            if symbol in self._forget_at_ns:
                self._forget(symbol)  # collected again: nothing of before counts
            entry = self._entry(symbol)
            if entry is not None:
                self._cover_one(entry, stamp)
        for symbol in change.moved & self.entries.keys():
            self._carry_out(self.entries[symbol], self.entries[symbol].keeper.link_moved(stamp))
        for symbol, reason in change.broken.items():
            entry = self.entries.get(symbol)
            if entry is not None:
                self._carry_out(entry, entry.keeper.link_down(reason, stamp))
                self._cover_one(entry, stamp)
        for symbol, reason in change.lost.items():
            entry = self.entries.get(symbol)
            if entry is not None:
                self._carry_out(entry, entry.keeper.link_down(reason, stamp))
        for symbol in change.dropped:
            entry = self.entries.get(symbol)
            if entry is not None:
                self._forget_at_ns[symbol] = stamp.mono_ns + FORGET_AFTER_NS
                self._carry_out(entry, entry.keeper.link_down("no link carries the symbol", stamp))
                self._carry_out(entry, entry.keeper.halt("the symbol is no longer collected"))

    def _cover_one(self, entry: Entry, stamp: Stamp) -> None:
        self._carry_out(entry, entry.keeper.link_up(stamp))
        self._carry_out(entry, entry.keeper.open(stamp))

    def _carry_out(self, entry: Entry, actions: Iterable[Action], frame: bytes = b"") -> None:
        for action in actions:
            match action:
                case Publish():
                    self._publisher.changed(entry)
                case Note(kind=kind, count=count):
                    self._meters.fact(kind, count)
                    self._publisher.announce(entry, action, frame)
                    self._log(entry, action)
                case RequestSnapshot(priority=priority):
                    self._mender.snapshot(self.exchange.code, entry.symbol, priority)
                case Resubscribe():
                    self._mender.resubscribe(self.exchange.code, entry.symbol)

    def _log(self, entry: Entry, note: Note) -> None:
        level = LOGGED.get(note.kind)
        if level is not None:
            where = f"{self.exchange.code} {note.kind.name}"
            _limited.log(level, where, "%s %s: %s", self.exchange.code, entry.symbol, note.detail)
