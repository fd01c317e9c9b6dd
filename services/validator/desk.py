"""The desk of one exchange: its books, who covers them, and carrying out what their builders decide."""

from __future__ import annotations

import logging
from collections import Counter

from hoga.domain.actions import FactKind, Note, Publish, RequestSnapshot, Resubscribe
from hoga.domain.errors import FrameError, snippet
from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.domain.phases import MarketPhases, Phase, Told
from hoga.domain.rules import BookRules
from hoga.domain.types import Stamp, State
from hoga.exchanges.base import Exchange, RouteKind
from hoga.runtime.books import BookShelf
from hoga.runtime.logs import RateLimited
from hoga.wire import packing, pb
from hoga.wire.envelope import AnyFrame
from services.validator.coverage import Coverage, News
from services.validator.entry import Entry
from services.validator.mender import Mender
from services.validator.metrics import Meters
from services.validator.publisher import Publisher

MAX_BOOKS = 10_000
REMEMBERED_PROCESSES = 16
INSTANCE_CHARS = 6
"""Links are called `slot.instance` and a number; each process has an instance of its own."""
CLOCK_STEP_NS = 100_000_000
"""What waits may seem to grow by so much more than time passes, without a clock having been set."""
FORGET_AFTER_NS = 60_000_000_000
"""A book that nobody collects is shown as HALTED for so long, then forgotten."""
LOGGED = {
    FactKind.GAP: logging.WARNING,
    FactKind.REVERSAL: logging.WARNING,
    FactKind.CROSSED: logging.WARNING,
    FactKind.REJECTED: logging.WARNING,
    FactKind.CHECKSUM_MISMATCH: logging.WARNING,
    FactKind.AUDIT_MISMATCH: logging.ERROR,
    FactKind.DISAGREEMENT: logging.ERROR,
    FactKind.RENUMBERED: logging.INFO,
    FactKind.STALE: logging.INFO,
    FactKind.HALTED: logging.INFO,
}
"""Facts that are worth a line; of each kind and exchange one in ten seconds, the others are counted."""
log = logging.getLogger(__name__)
_limited = RateLimited(log, interval_s=10.0)


class Lag:
    """How far behind frames of another host are by the time they are taken from the bus.

    The least difference seen between ingest's clock and ours stands for the clocks; what is more is waiting. The frames
    of one process come in order, so what waits cannot grow faster than time passes: a difference that does is a clock
    that was set, and moves the measure. Without that, frames that were on their way while a clock was set back would
    make all later ones look late for ever."""

    def __init__(self) -> None:
        self._least_ns: int | None = None
        self._last: dict[str, tuple[int, int]] = {}
        """Process of ingest -> the difference of its newest frame, and when that was taken."""

    def behind(self, link: str, difference_ns: int, mono_ns: int) -> int:
        process = link.rpartition(".")[2][:INSTANCE_CHARS]
        last = self._last.pop(process, None)
        if last is None and len(self._last) >= REMEMBERED_PROCESSES:
            del self._last[next(iter(self._last))]
        self._last[process] = difference_ns, mono_ns
        least = difference_ns if self._least_ns is None else self._least_ns
        if last is not None:
            excess_ns = difference_ns - last[0] - (mono_ns - last[1])
            if excess_ns > CLOCK_STEP_NS:
                least += excess_ns
        self._least_ns = least = min(least, difference_ns)
        return difference_ns - least


class Desk:
    def __init__(
        self,
        exchange: Exchange,
        rules: BookRules,
        coverage: Coverage,
        *,
        epoch: int,
        late_ns: int,
        audit_every_ns: int = 0,
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
        self._audit_every_ns = audit_every_ns
        """0: never."""
        self._audit_at_ns = 0
        self._lag = Lag()
        self._instruments: dict[str, pb.Instrument] = {}
        self._phases = MarketPhases()

    def raw(self, frame: AnyFrame, stamp: Stamp, time_ns: int) -> None:
        """One raw frame of this exchange, or what is told among them, taken from the bus at the wall time `time_ns`."""
        if not frame.symbol:
            self._between(frame, stamp)
            return
        entry = self._entry(frame.symbol, stamp)
        if entry is None:
            return
        snapshot = frame.kind == pb.RawFrame.KIND_REST_SNAPSHOT
        self._meters.frame(snapshot)
        if not entry.native:
            entry.native = frame.native_symbol
            entry.instrument = self._instruments.get(frame.symbol)
        elif entry.native != frame.native_symbol:
            self._meters.foreign()  # another market under this symbol: its ids and levels are not ours
            return
        try:
            payload = packing.unpack(frame)
        except FrameError as error:
            if snapshot:
                entry.builder.refuse_snapshot(error, stamp)
            else:
                entry.builder.reject(error, frame.link, stamp)
            self._carry_out(entry, frame.payload)
            return
        if snapshot:
            limit = self.exchange.traits.snapshot_depth
            self.shelf.snapshot(frame.symbol, frame.native_symbol, payload, limit, stamp)
            self._carry_out(entry, payload)
            return
        lost = entry.builder.lost_before(frame.link, frame.link_seq)
        readable = self._connection(frame, payload, stamp)
        if lost > 0:
            entry.builder.bus_loss(lost, frame.link, stamp)
            self._carry_out(entry)
        if not readable or (lost < 0 and self.exchange.traits.by_link):
            return  # nothing else tells a delta of the past from a new one
        if self.shelf.frame(frame.symbol, frame.native_symbol, payload, frame.link, stamp):
            self._publisher.changed(entry)
        else:
            self._carry_out(entry, payload)
        self._look_at_the_clock(entry, frame, stamp, time_ns)

    def _look_at_the_clock(self, entry: Entry, frame: AnyFrame, stamp: Stamp, time_ns: int) -> None:
        """A frame that waited for too long is no news: its book is not current."""
        if self.coverage.shares_clock(frame.link) and frame.receive_mono_ns > 0:
            behind_ns = stamp.mono_ns - frame.receive_mono_ns
        else:
            behind_ns = self._lag.behind(frame.link, time_ns - stamp.wall_ns, stamp.mono_ns)
        if behind_ns > self._late_ns:
            reason = f"frames reach the validator {behind_ns / 1e9:.1f} s late"
            entry.builder.outdate(reason, frame.link)
            self._carry_out(entry)

    def _between(self, frame: AnyFrame, stamp: Stamp) -> None:
        """What is told of links, or a frame of a connection that is of no symbol: its number counts, and what it says
        of markets."""
        if frame.kind == pb.RawFrame.KIND_LINK_EVENT:
            self._links(self.coverage.event(frame.link, frame.link_seq, frame.link_event), stamp)
            return
        if frame.kind == pb.RawFrame.KIND_LINK_BEAT:
            news, dropped = self.coverage.beat(frame.link_beat, stamp.mono_ns)
            self._links(news, stamp)
            self._drop(dropped, stamp)
            return
        try:
            payload = packing.unpack(frame)
        except FrameError:
            return  # the next number tells that this one is missing
        route = self.exchange.strategy.route(payload)
        if route.kind is RouteKind.UNKNOWN:
            return  # as above: it may have held levels
        if route.kind is RouteKind.PHASE:
            self._hear_phases(payload, stamp)
        if route.kind is RouteKind.BOOK and not {entry.native for entry in self.entries.values()}.issuperset(
            route.symbols
        ):
            return  # levels of a market that nobody followed: whose were they?
        self._connection(frame, payload, stamp)

    def _hear_phases(self, payload: bytes, stamp: Stamp) -> None:
        """A message of the exchange on the phases of its markets."""
        try:
            every = self.exchange.handler.parse_phases(payload)
        except FrameError as error:
            _limited.log(logging.WARNING, self.exchange.code, "%s: not understood: %s", self.exchange.code, error)
            every = []
        for told in every:
            self._phases.heard(told, stamp.wall_ns)
            if told.phase is Phase.UNKNOWN:
                self._meters.unknown_phase()
                where = f"{self.exchange.code} {told.word[:40]}"
                text = "%s: what this word says of a market is not known: %s"
                _limited.log(logging.WARNING, where, text, self.exchange.code, snippet(told.word))
        natives = {told.native_symbol for told in every}
        for entry in self.entries.values():
            if "" in natives or entry.native in natives:
                self._take_phase(entry, stamp)

    def _connection(self, frame: AnyFrame, payload: bytes, stamp: Stamp) -> bool:
        """Whether a frame is to be read, by the number that its connection gave it."""
        if not self.shelf.numbered:
            return True
        readable = self.shelf.connection(payload, frame.link, stamp)
        self._carry_out_all()
        return readable

    def instruments(self, message: pb.InstrumentList, stamp: Stamp) -> None:
        """What the exchange lists now: phases, contract sizes, and symbols that moved to another market."""
        self._instruments = {one.symbol: one for one in message.instruments}
        self._phases.listed(map(_told, message.instruments), message.time_ns)
        for symbol, entry in list(self.entries.items()):
            if symbol in self._forget_at_ns:
                continue  # nobody collects it: that is why it is halted
            listed = self._instruments.get(symbol)
            if listed is not None and entry.native and listed.native_symbol != entry.native:
                self._rename(entry, listed.native_symbol, stamp)
                continue
            entry.instrument = listed
            self._take_phase(entry, stamp)

    def _take_phase(self, entry: Entry, stamp: Stamp) -> None:
        """What the exchange does with a symbol's orders now, where that is news. A book that nobody collects is halted
        whatever it is."""
        listed = self._instruments.get(entry.symbol)
        told = self._phases.of(listed.native_symbol if listed is not None else entry.native, stamp.wall_ns)
        if told == entry.told or entry.symbol in self._forget_at_ns:
            return
        changed = told.phase is not entry.told.phase
        entry.told = told
        entry.builder.halt(told.reason, matching=told.phase.matches)
        self._carry_out(entry)
        if changed:
            self._publisher.changed(entry)

    def _rename(self, entry: Entry, native: str, stamp: Stamp) -> None:
        """The symbol is another market now: its book begins anew, and what is left of the old one is not ours."""
        log.info("%s %s is %s now, it was %s", self.exchange.code, entry.symbol, native, entry.native)
        self._forget(entry.symbol)
        fresh = self._entry(entry.symbol, stamp)
        if fresh is not None:
            fresh.native, fresh.instrument = native, self._instruments.get(entry.symbol)
            self._publisher.changed(fresh)

    def deafened(self, reason: str, stamp: Stamp) -> None:
        """Frames may be lost that no later frame will ever betray; the next beats begin anew."""
        self._links(self.coverage.deafened(reason, stamp.mono_ns), stamp)

    def tick(self, stamp: Stamp) -> None:
        """Time passes."""
        self._links(self.coverage.tick(stamp.mono_ns), stamp)
        self.shelf.tick(stamp)
        self._carry_out_all()
        for entry in self.entries.values():
            if entry.told.until_ns:
                self._take_phase(entry, stamp)
        self._audit_next(stamp)
        self._publisher.repeat_quiet(self.entries.values(), stamp.mono_ns)
        for symbol in [symbol for symbol, at_ns in self._forget_at_ns.items() if stamp.mono_ns >= at_ns]:
            self._forget(symbol)

    def _audit_next(self, stamp: Stamp) -> None:
        """One book of the exchange at a time is compared with a fresh snapshot, each in its turn."""
        if not self._audit_every_ns or stamp.mono_ns < self._audit_at_ns:
            return
        self._audit_at_ns = stamp.mono_ns + self._audit_every_ns
        live = [entry for entry in self.entries.values() if entry.builder.state is State.LIVE]
        if not live or any(entry.builder.auditing for entry in live):
            return
        entry = min(live, key=lambda one: one.audited_at_ns)
        entry.audited_at_ns = stamp.mono_ns
        entry.builder.audit(stamp)
        self._carry_out(entry)

    def state_counts(self) -> Counter[State]:
        counts = Counter(entry.builder.state for entry in self.entries.values())
        self._meters.states(counts)
        self._meters.carry_over(entry.builder.counters for entry in self.entries.values())
        return counts

    def retire(self, reason: str, stamp: Stamp) -> list[Entry]:
        """Every book is STALE from now on, because this process ends; the entries to publish."""
        for entry in self.entries.values():
            entry.builder.retire(reason, stamp)
        return list(self.entries.values())

    def _entry(self, symbol: str, stamp: Stamp) -> Entry | None:
        entry = self.entries.get(symbol)
        if entry is None and symbol and len(self.entries) < MAX_BOOKS:
            builder = self.shelf.builder(symbol)
            entry = Entry(self.exchange, symbol, builder, self._epoch, self._last_revisions.pop(symbol, 0))
            self.entries[symbol] = entry
            self._take_phase(entry, stamp)
            for event in self.coverage.standing(symbol):
                self._link(entry, event, stamp)
        return entry

    def _forget(self, symbol: str) -> None:
        """Everything but the revision, which goes on where it was if the symbol returns."""
        self._forget_at_ns.pop(symbol, None)
        self.shelf.builders.pop(symbol, None)
        entry = self.entries.pop(symbol)
        self._publisher.forget(entry)
        if len(self._last_revisions) < MAX_BOOKS:
            self._last_revisions[symbol] = entry.revision

    def _links(self, news: News, stamp: Stamp) -> None:
        """What happened to links, symbol by symbol."""
        for symbol, event in news:
            if event.kind is not LinkEventKind.CLOSED and symbol in self._forget_at_ns:
                self._forget(symbol)  # collected again: nothing of before counts
            entry = self._entry(symbol, stamp)
            if entry is not None:
                self._link(entry, event, stamp)

    def _link(self, entry: Entry, event: LinkEvent, stamp: Stamp) -> None:
        entry.builder.on_link(event, stamp)
        self._carry_out(entry)

    def _drop(self, symbols: frozenset[str], stamp: Stamp) -> None:
        """Symbols that no link is meant to carry any more."""
        for symbol in symbols & self.entries.keys():
            entry = self.entries[symbol]
            self._forget_at_ns[symbol] = stamp.mono_ns + FORGET_AFTER_NS
            entry.builder.halt("the symbol is no longer collected")
            self._carry_out(entry)

    def _carry_out_all(self) -> None:
        for symbol, _ in self.shelf.decided():
            self._carry_out(self.entries[symbol])

    def _carry_out(self, entry: Entry, frame: bytes = b"") -> None:
        """Carries out what a builder decided; `frame`: what it was told last."""
        for action in entry.builder.drain():
            match action:
                case Publish():
                    self._publisher.changed(entry)
                case Note(kind=kind, count=count):
                    self._meters.fact(kind, count)
                    self._publisher.announce(entry, action, frame)
                    self._log(entry, action)
                    if entry.told.phase.matches and _is_crossed(action):
                        self._mender.phases(self.exchange.code)
                case RequestSnapshot(priority=priority):
                    self._mender.snapshot(self.exchange.code, entry.symbol, priority)
                case Resubscribe(link=link):
                    self._mender.resubscribe(self.exchange.code, entry.symbol, link)

    def _log(self, entry: Entry, note: Note) -> None:
        level = LOGGED.get(note.kind)
        if level is not None:
            where = f"{self.exchange.code} {note.kind.name}"
            _limited.log(level, where, "%s %s: %s", self.exchange.code, entry.symbol, note.detail)


def _is_crossed(note: Note) -> bool:
    """A book, or a snapshot that was not taken for it, has a bid at or above an ask."""
    return note.kind is FactKind.CROSSED or (note.kind is FactKind.REJECTED and note.detail.startswith("crossed:"))


def _told(listed: pb.Instrument) -> Told:
    """The phase of a market in a list; an older ingest only says whether it trades."""
    phase = Phase(listed.phase)
    if phase is Phase.UNKNOWN and not listed.trading:
        phase = Phase.HALTED
    return Told(phase, listed.status, listed.native_symbol, listed.phase_until_ns)
