"""The desk of one exchange: its books, who covers them, and carrying out what their keepers decide."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from hoga.domain.actions import Action, Note, Publish, RequestSnapshot, Resubscribe
from hoga.domain.errors import FrameError
from hoga.domain.keeper import KeeperRules
from hoga.domain.types import Stamp, State
from hoga.exchanges.base import Exchange
from hoga.runtime.books import BookShelf
from hoga.wire import packing, pb
from services.validator.coverage import Change, Coverage
from services.validator.entry import Entry
from services.validator.mender import Mender
from services.validator.metrics import Meters
from services.validator.publisher import Publisher

MAX_BOOKS = 10_000
FORGET_AFTER_NS = 60_000_000_000
"""A book that nobody collects is shown as HALTED for so long, then forgotten."""
log = logging.getLogger(__name__)


class Desk:
    def __init__(
        self,
        exchange: Exchange,
        rules: KeeperRules,
        coverage: Coverage,
        *,
        epoch: int,
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

    def raw(self, frame: pb.RawFrame, stamp: Stamp) -> None:
        """One raw frame of this exchange."""
        entry = self._entry(frame.symbol)
        if entry is None:
            return
        if entry.native != frame.native_symbol:
            entry.native = entry.message.native_symbol = frame.native_symbol
        snapshot = frame.kind == pb.RawFrame.KIND_REST_SNAPSHOT
        self._meters.frame(snapshot)
        try:
            payload = packing.unpack(frame)
        except FrameError as error:
            self._carry_out(entry, entry.keeper.reject(error, stamp))
            return
        if snapshot:
            limit = self.exchange.traits.snapshot_depth
            self._carry_out(entry, self.shelf.snapshot(frame.symbol, frame.native_symbol, payload, limit, stamp))
            return
        lost = entry.lost_before(frame.link, frame.link_seq)
        if lost:
            self._carry_out(entry, entry.keeper.bus_loss(lost))
        self._carry_out(entry, self.shelf.frame(frame.symbol, frame.native_symbol, payload, frame.link, stamp))

    def status(self, message: pb.LinkStatus, stamp: Stamp) -> None:
        """One report on a link of this exchange."""
        self._cover(self.coverage.status(message, stamp.mono_ns), stamp)

    def tick(self, stamp: Stamp) -> None:
        """Time passes."""
        self._cover(self.coverage.tick(stamp.mono_ns), stamp)
        for symbol, actions in self.shelf.tick(stamp):
            self._carry_out(self.entries[symbol], actions)
        self._publisher.repeat_quiet(self.entries.values(), stamp.mono_ns)
        for symbol in [symbol for symbol, at_ns in self._forget_at_ns.items() if stamp.mono_ns >= at_ns]:
            del self._forget_at_ns[symbol], self.entries[symbol], self.shelf.keepers[symbol]

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
            entry = self.entries[symbol] = Entry(self.exchange, symbol, keeper, self._epoch)
        return entry

    def _cover(self, change: Change, stamp: Stamp) -> None:
        for symbol in change.covered:
            entry = self._entry(symbol)
            if entry is None:
                continue
            self._forget_at_ns.pop(symbol, None)
            self._carry_out(entry, entry.keeper.halt(""))
            self._carry_out(entry, entry.keeper.link_up(stamp))
            self._carry_out(entry, entry.keeper.open(stamp))
        for symbol, reason in change.lost.items():
            entry = self.entries.get(symbol)
            if entry is not None:
                self._carry_out(entry, entry.keeper.link_down(reason, stamp))
        for symbol in change.dropped:
            entry = self.entries.get(symbol)
            if entry is not None:
                self._forget_at_ns[symbol] = stamp.mono_ns + FORGET_AFTER_NS
                self._carry_out(entry, entry.keeper.halt("the symbol is no longer collected"))

    def _carry_out(self, entry: Entry, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Publish():
                    self._publisher.changed(entry)
                case Note(kind=kind, count=count):
                    self._meters.fact(kind, count)
                    self._publisher.announce(entry, action)
                case RequestSnapshot(priority=priority):
                    self._mender.snapshot(self.exchange.code, entry.symbol, priority)
                case Resubscribe():
                    self._mender.resubscribe(self.exchange.code, entry.symbol)
