"""What every keeper of a book has in common: its state, its counters and what may be said about it.

A keeper is pure: events in (`receive`, `snapshot`, `reject`, `link_down`, `tick`), decisions out. Time comes in as
a `Stamp`. The state that is published has three layers, the strongest first:

    HALTED     nobody trades or collects the symbol
    STALE      nothing proves that the book is current: no live link carries it, or nothing arrived over the
               link since it came back, or the last frame could not be read
    base       LIVE, SYNCING, GAPPED or CROSSED, by what was received

Nothing is LIVE that was not checked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container
from dataclasses import dataclass, field

from hoga.domain.actions import PUBLISH, Action, FactKind, Note
from hoga.domain.audit import Audit, Outcome
from hoga.domain.book import Book
from hoga.domain.checks import TimeBudget, TimeWatch
from hoga.domain.checksum import Checksum, LevelTexts
from hoga.domain.errors import FrameError
from hoga.domain.sequencer import REMEMBERED_LINKS
from hoga.domain.types import GapPolicy, Stamp, State, Update

SECOND_NS = 1_000_000_000
AGREED = "a fresh snapshot shows the same levels"


@dataclass(frozen=True, slots=True)
class KeeperRules:
    """How a keeper behaves; the same for every book of an exchange."""

    depth: int = 20
    """Levels a side that are published, and so must stay proven."""
    gap_policy: GapPolicy = GapPolicy.CONTINUE
    buffer_updates: int = 4000
    buffer_age_ns: int = 60 * SECOND_NS
    """Deltas older than this cannot be older than a snapshot that is still to come."""
    retry_ns: int = 5 * SECOND_NS
    """An unanswered request for a snapshot is repeated after this, doubled up to `retry_limit_ns`."""
    retry_limit_ns: int = 60 * SECOND_NS
    confirm_ns: int = 10 * SECOND_NS
    """A snapshot that no delta proves is confirmed by a second one after this."""
    recentre_ns: int = 30 * SECOND_NS
    """Least time between two requests to re-centre the proven range."""
    time: TimeBudget = field(default_factory=TimeBudget)


@dataclass(slots=True)
class Counters:
    """Since the keeper began."""

    frames: int = 0
    updates: int = 0
    applied: int = 0
    snapshots: int = 0
    stale: int = 0
    repeated: int = 0
    gaps: int = 0
    reversals: int = 0
    crossed: int = 0
    repaired_levels: int = 0
    rejected: int = 0
    odd_times: int = 0
    resyncs: int = 0
    bus_lost: int = 0
    checksum_ok: int = 0
    checksum_bad: int = 0
    disagreements: int = 0
    audits_agreed: int = 0
    audits_disagreed: int = 0
    audits_open: int = 0
    """Audits that could prove nothing: the book moved on, or was resynced, or no answer came."""


class Keeper(ABC):
    """The book of one symbol and the truth about it."""

    def __init__(self, rules: KeeperRules, *, kept: int = 0) -> None:
        """`kept`: levels a side that the exchange keeps for us; 0: no limit."""
        self.rules = rules
        self.book = Book()
        self.base = State.SYNCING
        self.base_reason = "waiting for the first snapshot"
        self.uncovered_reason = ""
        """Why no live link carries the symbol; empty where one does."""
        self.stale_reason = ""
        self.halt_reason = ""
        self.live_links: Container[str] | None = None
        """The links that are known to be live; None where nobody watches them (a recording)."""
        self.settled_link = False
        """The link that carries the symbol has been up for a while: no snapshot will come over it by itself."""
        self.sequence = 0
        """The exchange's last id that the book includes; 0 where it gives none."""
        self.missing = 0
        self.exchange_time_ns = 0
        self.receive_wall_ns = 0
        self.counters = Counters()
        self._times = TimeWatch(rules.time)
        self._audit = Audit(kept)
        self._announced: State | None = None
        self._heard: set[str] = set()
        """Links that brought this symbol since the last break."""
        self._moved_ns = 0
        """When the book last went forward, monotonic."""

    @property
    def state(self) -> State:
        if self.halt_reason:
            return State.HALTED
        if (self.uncovered_reason or self.stale_reason) and self.base is not State.SYNCING:
            return State.STALE
        return self.base

    @property
    def reason(self) -> str:
        """Why the state is not LIVE, for people; empty where it is."""
        state = self.state
        if state is State.HALTED:
            return self.halt_reason
        if state is State.STALE:
            return self.uncovered_reason or self.stale_reason
        return "" if state is State.LIVE else self.base_reason

    @property
    def times(self) -> TimeWatch:
        return self._times

    @abstractmethod
    def open(self, stamp: Stamp) -> list[Action]:
        """The symbol is subscribed from now on."""

    @abstractmethod
    def receive(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """One update of the stream."""

    @abstractmethod
    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        """A REST snapshot; `limit` is how many levels a side were asked for (0: all)."""

    @abstractmethod
    def reject(self, error: FrameError, stamp: Stamp, link: str = "") -> list[Action]:
        """A frame of this symbol, which came over `link`, could not be read."""

    def refuse_snapshot(self, error: FrameError) -> list[Action]:
        """A REST snapshot could not be read: the book stays as it is and the request is repeated in time."""
        return [self._rejected(error)]

    @abstractmethod
    def tick(self, stamp: Stamp) -> list[Action]:
        """Time passes; call a few times a second."""

    def link_down(self, reason: str, stamp: Stamp) -> list[Action]:
        """No live link carries this symbol any more."""
        self._heard.clear()
        if self.uncovered_reason:
            return []
        self.uncovered_reason = self.stale_reason = reason
        return [Note(FactKind.STALE, reason), *self._changed()]

    def link_up(self, stamp: Stamp) -> list[Action]:
        """A live link carries this symbol again. What has arrived over that very link counts as proof, though its
        report came later than the frames; otherwise the book waits for the next frame."""
        self.uncovered_reason = ""
        if self.base is State.SYNCING or self._heard_live():
            self.stale_reason = ""
        elif not self.stale_reason:
            self.stale_reason = "the link is back; nothing has arrived for this symbol yet"
        return self._changed()

    @abstractmethod
    def link_moved(self, stamp: Stamp, *, planned: bool = True) -> list[Action]:
        """Another link took over without a break (a planned reconnect), or one of several is gone."""

    def outdate(self, reason: str) -> list[Action]:
        """What was received is known to be old already; the next frame says otherwise."""
        self.stale_reason = reason
        return self._changed()

    def halt(self, reason: str) -> list[Action]:
        """Trading or collecting ended; an empty reason resumes."""
        if reason == self.halt_reason:
            return []
        self.halt_reason = reason
        return [Note(FactKind.HALTED, reason or "resumed"), *self._changed()]

    def bus_loss(self, count: int, link: str, stamp: Stamp) -> list[Action]:
        """`count` frames of this symbol, read from `link`, never arrived over the bus."""
        self.counters.bus_lost += count
        return [Note(FactKind.BUS_LOSS, f"{count} frames lost between ingest and here", count=count)]

    def connection_gap(self, link: str, missing: int, stamp: Stamp) -> list[Action]:
        """`missing` frames of a connection, of whatever symbol, are missing before the newest one; it goes on."""
        return []

    def connection_reversal(self, link: str, stamp: Stamp) -> list[Action]:
        """The numbers of a connection went backwards; its newest frame was dropped."""
        return []

    def audit(self, stamp: Stamp) -> list[Action]:
        """Begins to compare the book with an independent snapshot; does nothing where that is not possible now."""
        if self.state is State.LIVE:
            self._audit.begin(self.book, stamp)
        return []

    @property
    def auditing(self) -> bool:
        return self._audit.running

    def _tick_audit(self, stamp: Stamp) -> list[Action]:
        if self._audit.running and self.state is not State.LIVE:
            self._audited(self._audit.stop())
        actions, outcome = self._audit.tick(stamp)
        if outcome is Outcome.DISAGREED:
            detail = self._audit.detail
            actions = [*actions, Note(FactKind.AUDIT_MISMATCH, detail), *self._contradicted(detail, stamp)]
        self._audited(outcome)
        return [*actions, Note(FactKind.AUDIT_AGREED, AGREED)] if outcome is Outcome.AGREED else actions

    def _audited(self, outcome: Outcome | None) -> None:
        self.counters.audits_agreed += outcome is Outcome.AGREED
        self.counters.audits_disagreed += outcome is Outcome.DISAGREED
        self.counters.audits_open += outcome is Outcome.OPEN

    def _contradicted(self, detail: str, stamp: Stamp) -> list[Action]:
        """The exchange's own snapshot says that the book is wrong."""
        return self.outdate(f"an audit contradicts the book: {detail}")

    def _sum_up(self, rule: Checksum, texts: LevelTexts, expected: int) -> Note | None:
        """Holds a book against the exchange's checksum of it; what differs, where something does."""
        found = texts.sum(rule)
        if found == expected:
            self.counters.checksum_ok += 1
            return None
        self.counters.checksum_bad += 1
        detail = f"the checksum is {expected}, that of the book {found}"
        return Note(FactKind.CHECKSUM_MISMATCH, detail, expected, found)

    def _set_base(self, state: State, reason: str = "") -> None:
        self.base = state
        self.base_reason = reason

    def _proves(self, link: str) -> bool:
        """Whether what arrives over a link shows that the book is current: not over one known to be dead."""
        return self.live_links is None or link in self.live_links

    def _heard_live(self) -> bool:
        """Whether a link that is live has brought this symbol since the last break."""
        return any(self._proves(link) for link in self._heard)

    def _hear(self, link: str) -> None:
        if link not in self._heard:
            if len(self._heard) >= REMEMBERED_LINKS:
                self._heard = {one for one in self._heard if self.live_links is not None and self._proves(one)}
            self._heard.add(link)

    def _took(self, update: Update, link: str, stamp: Stamp) -> None:
        """Remembers when the levels now in the book were sent and received, and over which link (empty: REST)."""
        if link:
            self._hear(link)
            if self._proves(link):
                self.stale_reason = ""
        self._moved_ns = stamp.mono_ns
        self.exchange_time_ns = update.exchange_time_ns or self.exchange_time_ns
        self.receive_wall_ns = stamp.wall_ns

    def _rejected(self, error: FrameError) -> Note:
        self.counters.rejected += 1
        return Note(FactKind.REJECTED, f"{error.reason}: {error}")

    def _published(self) -> list[Action]:
        """The book changed."""
        self._announced = self.state
        return [PUBLISH]

    def _changed(self) -> list[Action]:
        """Publishes where the state differs from the one published last."""
        if self.state is self._announced:
            return []
        return self._published()
