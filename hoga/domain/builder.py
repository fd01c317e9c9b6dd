"""The book of one symbol and the truth about it: what every way of building it has in common.

A builder is pure: events in, decisions out, time comes in as a `Stamp`. Frames of a symbol and what happens to the
links that carry it (`on_link`) come in one order. Decisions pile up in `out`, which the service drains after every
event. The state that is published is a function of facts (`status`). Nothing is LIVE that was not checked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum

from hoga.domain.actions import PUBLISH, Action, FactKind
from hoga.domain.audit import AGREED, Audit, Outcome
from hoga.domain.books import Book, new_book
from hoga.domain.checks import EventTimes
from hoga.domain.errors import FrameError
from hoga.domain.ledger import Ledger
from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.domain.rules import BookRules, Counters, Kind
from hoga.domain.stream import Stream
from hoga.domain.types import RawDelta, Stamp, State, Update

MAX_STREAMS = 8
BACK = "the link is back; nothing has arrived for this symbol yet"


class Step(Enum):
    """What became of a delta on the short way."""

    REFUSED = 0
    """Nothing: it has to be read and received."""
    DONE = 1
    LOOK = 2
    """It was taken; it has to be read, for something follows from it."""


class BookBuilder(ABC):
    def __init__(self, rules: BookRules, kind: Kind) -> None:
        self.ledger = Ledger(rules, kind)
        self.out = self.ledger.out
        self.book: Book = new_book()
        """What is published."""
        self.exchange_time_ns = 0
        self.receive_wall_ns = 0
        self.shape: object | None = None
        """How raw levels look to the class of book in use (`raw_shape`); None where it reads none."""
        self.steady: Stream | None = None
        """The one stream of a book for which the usual delta is all that is due: it may take the short way (`step`)."""
        self.version = 0
        """Changes with everything that is said of the book but its levels, ids and times."""
        self._announced: State | None = None
        self._numbers: dict[str, int] = {}
        """Link -> the number of its newest frame of this symbol."""
        self._audit = Audit(kind.kept)
        self._audited: Stream | None = None

    @property
    def rules(self) -> BookRules:
        return self.ledger.rules

    @property
    def counters(self) -> Counters:
        return self.ledger.counters

    @property
    def state(self) -> State:
        return self.ledger.state

    @property
    def reason(self) -> str:
        """Why the state is not LIVE, for people; empty where it is."""
        return self.ledger.reason

    @property
    def sequence(self) -> int:
        """The exchange's last id that the book includes; 0 where it gives none."""
        return self.ledger.arbiter.sequence

    @property
    def missing(self) -> int:
        front = self.ledger.arbiter.front
        return front.missing if front is not None else 0

    @property
    def verified(self) -> bool:
        """Whether what the exchange sends to check the book by is believed."""
        return True

    @property
    def wanting(self) -> bool:
        """Whether a snapshot would be of use now."""
        return self.state is not State.LIVE

    @property
    def auditing(self) -> bool:
        return self._audit.running

    def drain(self) -> list[Action]:
        """What was decided since the last time."""
        return self.out.drain()

    # --- events

    @abstractmethod
    def receive(self, update: Update, link: str, stamp: Stamp) -> None:
        """One update of the stream."""

    @abstractmethod
    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> None:
        """A REST snapshot; `limit` is how many levels a side were asked for (0: all)."""

    @abstractmethod
    def reject(self, error: FrameError, link: str, stamp: Stamp) -> None:
        """A frame of this symbol, which came over `link`, could not be read."""

    @abstractmethod
    def tick(self, stamp: Stamp) -> None:
        """Time passes; call a few times a second."""

    @abstractmethod
    def _opened(self, stream: Stream, stamp: Stamp) -> None: ...

    @abstractmethod
    def _closed(self, stream: Stream, event: LinkEvent, stamp: Stamp) -> None: ...

    def refuse_snapshot(self, error: FrameError, stamp: Stamp) -> None:
        """A REST snapshot could not be read: the book stays as it is and the request is repeated in time."""
        self.ledger.reject(error)
        self._finish()

    def on_link(self, event: LinkEvent, stamp: Stamp) -> None:
        """Something happened to a link, in the order of its frames."""
        arbiter, status = self.ledger.arbiter, self.ledger.status
        stream = arbiter.streams.get(event.link)
        match event.kind:
            case LinkEventKind.OPENED | LinkEventKind.SETTLED:
                stream = stream or self._begin(event.link)
                stream.settled = event.kind is LinkEventKind.SETTLED
                if not stream.open:
                    stream.open, stream.opened_ns = True, stamp.mono_ns
                    stream.doubted = stream.grade is not State.SYNCING  # it has to show itself
                    if status.uncovered and status.doubt:
                        status.doubt = BACK
                    status.uncovered = ""
                    self._opened(stream, stamp)
            case LinkEventKind.CLOSED if stream is not None:
                self._close_link(stream, event, stamp)
            case _:
                pass
        self._finish()

    def _close_link(self, stream: Stream, event: LinkEvent, stamp: Stamp) -> None:
        arbiter = self.ledger.arbiter
        del arbiter.streams[stream.link]
        was_open, stream.open = stream.open, False
        if stream is self._audited:
            self._stop_audit()
        if was_open and not arbiter.covered:
            self.ledger.status.uncovered = event.reason or "no live link carries the symbol"
            self.ledger.doubt(self.ledger.status.uncovered)
            self.out.note(FactKind.STALE, self.ledger.status.uncovered)
        self._closed(stream, event, stamp)

    def halt(self, reason: str, *, matching: bool = True) -> None:
        """The symbol is not traded, or not collected; an empty reason resumes. `matching`: whether the exchange matches
        orders all the same; where it does not a crossed book is right."""
        ledger = self.ledger
        if reason == ledger.status.halt and matching is ledger.matching:
            return
        ledger.status.halt, ledger.matching = reason, matching
        self.out.note(FactKind.HALTED, reason or "resumed")
        self._finish()

    def outdate(self, reason: str, link: str) -> None:
        """What was just received over a link is known to be old already; the next frame says otherwise."""
        front = self.ledger.arbiter.front
        if front is not None and front.link == link:
            self.ledger.doubt(reason)
        self._finish()

    def retire(self, reason: str, stamp: Stamp) -> None:
        """Whoever brings the frames, or takes them, ends."""
        for link in list(self.ledger.arbiter.streams):
            self.on_link(LinkEvent(LinkEventKind.CLOSED, link, reason=reason), stamp)

    def lost_before(self, link: str, number: int) -> int:
        """How many frames of this symbol and link, as ingest counts them, are missing before this one; -1 where it is
        not new. A link that was not heard of for a while goes on counting where it was."""
        last = self._numbers.pop(link, None)
        if last is None and len(self._numbers) >= MAX_STREAMS:
            del self._numbers[next(iter(self._numbers))]
        self._numbers[link] = number if last is None else max(number, last)
        return 0 if last is None else max(number - last - 1, -1)

    def bus_loss(self, count: int, link: str, stamp: Stamp) -> None:
        """`count` frames of this symbol, read from `link`, never arrived over the bus."""
        self.counters.bus_lost += count
        self.out.note(FactKind.BUS_LOSS, f"{count} frames lost between ingest and here", count=count)

    def connection_gap(self, link: str, missing: int, stamp: Stamp) -> None:  # noqa: B027  only some kinds heed it
        """`missing` frames of a connection, of whatever symbol, are missing before the newest one; it goes on."""

    def connection_reversal(self, link: str, stamp: Stamp) -> None:  # noqa: B027  as above
        """The numbers of a connection went backwards; its newest frame was dropped."""

    def audit(self, stamp: Stamp) -> None:
        """Begins to compare the book with an independent snapshot; does nothing where that is not possible now."""
        if self.state is State.LIVE and not self._audit.running:
            self._audited = self.ledger.arbiter.front
            self._audit.begin(self.book, stamp)

    # --- for those that build

    def _begin(self, link: str) -> Stream:
        """The account of a link. One that was not heard of for a while, and whose account is still the published one,
        goes on there: whether anything is missing its ids or numbers tell."""
        arbiter = self.ledger.arbiter
        streams = arbiter.streams
        if len(streams) >= MAX_STREAMS:
            oldest = min(streams.values(), key=lambda one: (one.open, one is arbiter.front, one.heard_ns))
            del streams[oldest.link]
        stream = self._account(link) or Stream(link, self.rules, self.ledger.kind, EventTimes(self.rules.time))
        streams[link] = stream
        return stream

    def _account(self, link: str) -> Stream | None:
        """What is known of a link, though it may not be open; None where nothing is."""
        front = self.ledger.arbiter.front
        return self.ledger.arbiter.streams.get(link) or (front if front is not None and front.link == link else None)

    def _check_time(self, stream: Stream, update: Update, stamp: Stamp) -> None:
        note = stream.times.check(update.exchange_time_ns, stamp.wall_ns)
        if note is not None:
            self.out.append(note)

    def _show(self, front: Stream) -> None:
        self.book, self.ledger.arbiter.sequence = front.book, front.last
        if front.newest is not None:
            self.exchange_time_ns = front.newest.exchange_time_ns or self.exchange_time_ns
        self.receive_wall_ns = front.wall_ns

    def _finish(self, *, changed: bool = False) -> None:
        """The end of every event: a book or a state that is another now is published."""
        front = self.ledger.arbiter.front
        if front is not None and not front.open and not self.ledger.status.doubt and not self.ledger.prove_by_ns:
            self.ledger.doubt(BACK)
        state = self.state
        if changed or state is not self._announced:
            self._announced = state
            self.out.append(PUBLISH)
        self.ledger.anew = False
        self.version += 1
        self.steady = self._steadied()

    def _steadied(self) -> Stream | None:
        """The stream that may take the short way."""
        return None

    def step(self, delta: RawDelta, link: str, stamp: Stamp) -> Step:
        """The short way of a book, where `steady` says that there is one: the next delta, and nothing else due."""
        return Step.REFUSED

    def look(self, update: Update, stamp: Stamp) -> None:  # noqa: B027  only where there is a short way
        """The delta that `step` took last, read, where more than usual follows from it."""

    def _tick_audit(self, stamp: Stamp) -> str:
        """Why the audited book is wrong, where that was found."""
        if self._audit.running and self.state is not State.LIVE:
            self._stop_audit()
        actions, outcome = self._audit.tick(stamp)
        self.out += actions
        self._count_audit(outcome)
        if outcome is Outcome.AGREED:
            self.out.note(FactKind.AUDIT_AGREED, AGREED)
        elif outcome is Outcome.DISAGREED:
            self.out.note(FactKind.AUDIT_MISMATCH, self._audit.detail)
            return f"an audit contradicts the book: {self._audit.detail}"
        return ""

    def _stop_audit(self) -> None:
        self._count_audit(self._audit.stop())

    def _count_audit(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        self.counters.audits_agreed += outcome is Outcome.AGREED
        self.counters.audits_disagreed += outcome is Outcome.DISAGREED
        self.counters.audits_open += outcome is Outcome.OPEN
        if not self._audit.running:
            self._audited = None
