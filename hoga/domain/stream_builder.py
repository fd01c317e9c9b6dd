"""The builder for exchanges that send deltas: one stream for each link, of which the best one is published.

After every event, in this order: a held snapshot is offered anew, streams are joined from siblings, the published one
is chosen, it is doubted or believed, a needless request is ended, the book is shown, the next snapshot is asked for.
How a snapshot is had tells the recovery: by REST, or in the stream.
"""

from __future__ import annotations

from hoga.domain.actions import FactKind
from hoga.domain.audit import differences
from hoga.domain.books import Status
from hoga.domain.builder import BookBuilder, Step
from hoga.domain.doubts import Doubts
from hoga.domain.episode import BACKGROUND, URGENT
from hoga.domain.errors import FrameError
from hoga.domain.in_band_recovery import InBandRecovery
from hoga.domain.links import LinkEvent
from hoga.domain.rest_recovery import RestRecovery
from hoga.domain.rules import SECOND_NS, BookRules, Kind
from hoga.domain.siblings import Siblings
from hoga.domain.stream import Stream, Took
from hoga.domain.troubles import Troubles
from hoga.domain.types import NO_SEQ, RawDelta, Stamp, State, Update

RESUMED_NS = 3 * SECOND_NS
"""How long after trading went on a book may still be crossed."""
STUBBORN = "snapshots keep failing, and are asked for less and less often"


class StreamBuilder(BookBuilder):
    def __init__(self, rules: BookRules, kind: Kind) -> None:
        super().__init__(rules, kind)
        self.recovery = InBandRecovery(self.ledger) if kind.in_band else RestRecovery(self.ledger)
        self._troubles = Troubles(self.ledger, self.recovery)
        self._siblings = Siblings(self.ledger, self.recovery, self._troubles)
        self._doubts = Doubts(self.ledger, self.recovery)
        self._recentre_after_ns = 0
        self._calm = False
        """Nothing is under way that time decides."""
        self._thin = False
        """Fewer levels are proven than have to be, and it is too early to ask."""
        self._need = 0
        """Levels a side below which the short way ends."""
        self._unmatched_ns = 0
        """When orders were last known not to match; 0: never."""
        self._told_as_sent = False
        """It was said that the exchange sends the book crossed."""

    @property
    def wanting(self) -> bool:
        """Whether a snapshot is on its way."""
        return self.recovery.wanting

    @property
    def reason(self) -> str:
        reason = self.ledger.reason
        return f"{reason}; {STUBBORN}" if reason and self.recovery.stubborn else reason

    @property
    def verified(self) -> bool:
        return self._troubles.sums_believed

    # --- frames

    def receive(self, update: Update, link: str, stamp: Stamp) -> None:
        self.counters.updates += 1
        stream = self.ledger.arbiter.streams.get(link) or self._begin(link)
        self._check_time(stream, update, stamp)
        try:
            took = self._take(stream, update, stamp)
        except FrameError as error:
            self._troubles.spoil(stream, error, stamp)
            took = None
        self._follow(stamp, stream, took)

    def step(self, delta: RawDelta, link: str, stamp: Stamp) -> Step:
        """The short way of a LIVE book with one stream: the next delta, and nothing else due. What it leaves undone is
        what does not change then."""
        stream = self.steady
        if stream is None or stream.link != link or delta.prev_seq != stream.last or delta.seq <= delta.prev_seq:
            return Step.REFUSED
        if not stream.times.usual(delta.exchange_time_ns, stamp.wall_ns):
            return Step.REFUSED
        status = stream.book.apply_raw(self.shape, delta.bids, delta.asks, self._need)  # type: ignore[attr-defined]
        if status > Status.THIN:
            return Step.REFUSED
        stream.heard = stream.last = self.ledger.arbiter.sequence = delta.seq
        stream.heard_ns = stream.moved_ns = stamp.mono_ns
        stream.wall_ns = self.receive_wall_ns = stamp.wall_ns
        stream.newest = None
        self.exchange_time_ns = delta.exchange_time_ns
        counters = self.ledger.counters
        counters.updates += 1
        if status == Status.TAKEN:
            counters.applied += 1
            return Step.DONE
        return Step.LOOK

    def look(self, update: Update, stamp: Stamp) -> None:
        """The delta that `step` took last, read, where more than usual follows from it."""
        stream = self.steady
        if stream is not None:
            took = Took.CROSSED if stream.book.crossed else Took.APPLIED
            self._applied(stream, update, took, update.prev_seq, stamp)
            self._follow(stamp, stream, took)

    def _steadied(self) -> Stream | None:
        front, kind = self.ledger.arbiter.front, self.ledger.kind
        self._calm = front is not None and self._is_calm(front)
        if front is None or not self._calm or self.shape is None:
            return None
        if not kind.ordered or kind.truncates or front.texts is not None:
            return None
        bounded = not kind.kept and not kind.in_band
        self._need = self._least(front) if bounded else 0
        return front

    def _is_calm(self, front: Stream) -> bool:
        """Whether the book is LIVE over one stream, and nothing is under way that time decides."""
        if len(self.ledger.arbiter.streams) != 1 or self.state is not State.LIVE or not front.open or front.doubted:
            return False
        if front.stuck_ns or self.recovery.wanting or self._audit.running or self.ledger.prove_by_ns:
            return False
        return front.heard is None or front.heard >= front.last  # else it has to come to where it was joined

    def _take(self, stream: Stream, update: Update, stamp: Stamp) -> Took | None:
        """What became of an update; None where its levels are not to be relied on."""
        if update.snapshot:
            return self._start(stream, update, stamp)
        if not self.ledger.kind.ordered:
            return self._unordered(stream, update, stamp)
        if update.seq < 0 or update.prev_seq == NO_SEQ:
            raise FrameError("shape", "a delta without ids")
        return self._delta(stream, update, stamp)

    def _delta(self, stream: Stream, update: Update, stamp: Stamp) -> Took | None:
        arbiter, before = self.ledger.arbiter, stream.last
        took = stream.take(update, stamp.mono_ns)
        if len(arbiter.streams) > 1:
            liar = arbiter.compare(stream, update)
            if liar is not None:
                self._troubles.disagree(stream, liar, update, stamp)
                return None
        match took:
            case Took.OLD:
                self.counters.stale += 1
            case Took.APPLIED | Took.TURNED | Took.LEAPT | Took.CROSSED | Took.BAD_SUM:
                self._applied(stream, update, took, before, stamp)
            case Took.GAP if stream.chain.ends != update.seq:
                return self._second_gap(stream, update, stamp)
            case Took.REVERSAL | Took.LOST:
                self._troubles.went_back(stream, before, update, stamp)
            case _:
                pass
        return took

    def _applied(self, stream: Stream, update: Update, took: Took, before: int, stamp: Stamp) -> None:
        self._troubles.applied(stream, update, took, stamp)
        if stream is self._audited:
            self._audit.touch(update.bids, update.asks)
        if took is Took.LEAPT:
            self._troubles.went_over(stream, before, update, stamp)
        elif took is Took.TURNED and stream is self.ledger.arbiter.front:
            self.ledger.renumbered(update.prev_seq, update.seq)

    def _second_gap(self, stream: Stream, update: Update, stamp: Stamp) -> Took | None:
        """Ids are missing again, while what was missing before was waited for."""
        if stream is not self.ledger.arbiter.front:
            stream.chain.add(update, stamp.mono_ns)  # its chain begins anew
            return Took.GAP
        self._troubles.leap(stream, stream, stamp)
        stream.heard = None
        return self._delta(stream, update, stamp)

    def _unordered(self, stream: Stream, update: Update, stamp: Stamp) -> Took | None:
        """A delta that only its own connection puts in order."""
        stream.heard_ns = stamp.mono_ns
        if stream.grade is State.SYNCING:
            self.counters.stale += 1
            return Took.OLD
        took = stream.apply(update, stamp.mono_ns)
        self.ledger.arbiter.newest_ns = stamp.mono_ns
        self._applied(stream, update, took, stream.last, stamp)
        return took

    def _start(self, stream: Stream, update: Update, stamp: Stamp) -> Took | None:
        """A snapshot in the stream."""
        ledger = self.ledger
        if not ledger.kind.in_band:
            raise FrameError("shape", "a snapshot in a stream that has none")
        before, count = stream.last, stream.count
        if stream is self._audited:
            self._stop_audit()
        took = stream.start(update, stamp.mono_ns, stamp.wall_ns)
        if not ledger.kind.ordered:
            stream.moved_ns = max(ledger.arbiter.newest_ns, 1)  # as far as any other
        if took is Took.BAD_SUM:
            self._troubles.bad_sum(stream, update, stamp)
            if stream.grade is State.SYNCING:
                return None
        elif stream.texts is not None and update.checksum is not None:
            self._troubles.right_sum()
        self.counters.applied += 1
        self.counters.resyncs += 1
        self.recovery.joined(stream, stamp)
        if stream is ledger.arbiter.front and stream.count is not count:
            ledger.renumbered(before, update.seq)
        self.out.note(FactKind.RESYNC_FINISHED, f"a snapshot over {stream.link}", found=max(update.seq, 0))
        if ledger.kind.ordered and update.seq >= 0:
            self._place(stream)
        return Took.APPLIED

    def _place(self, stream: Stream) -> None:
        """Siblings that stand at the same id with the same book count the same."""
        arbiter = self.ledger.arbiter
        for other in list(arbiter.others(stream)):
            same_id = other.grade is State.LIVE and other.last == stream.last
            if same_id and other.count is not stream.count and not differences(stream.book, other.book):
                arbiter.agree(stream, other)

    def _begin(self, link: str) -> Stream:
        stream = super()._begin(link)
        streams = self.ledger.arbiter.streams
        if self.ledger.kind.ordered and len(streams) > 1:
            for other in streams.values():  # from now on what they bring is compared
                other.remember_lately()
        stream.keep = not self.ledger.kind.in_band and self.recovery.wanting
        return stream

    # --- what else happens

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> None:
        self.counters.snapshots += 1
        if self._audit.asked and self.state is State.LIVE:
            self._audit.answer(update, limit, stamp)
        else:
            self.recovery.snapshot(update, limit, stamp)
        self._follow(stamp)

    def reject(self, error: FrameError, link: str, stamp: Stamp) -> None:
        stream = self._account(link)
        if stream is not None:
            self._troubles.spoil(stream, error, stamp)
        else:
            self.ledger.reject(error)
        self._follow(stamp)

    def bus_loss(self, count: int, link: str, stamp: Stamp) -> None:
        super().bus_loss(count, link, stamp)
        kind, stream = self.ledger.kind, self._account(link)
        told = kind.numbered and (stream is None or stream.grade is not State.LIVE)
        if not kind.ordered and not told:
            self._troubles.miss(stream, count, "were lost on the way here", stamp)
        self._follow(stamp)

    def connection_gap(self, link: str, missing: int, stamp: Stamp) -> None:
        if not self.ledger.kind.ordered:
            self._troubles.miss(self._account(link), missing, "of the connection are missing", stamp)
            self._follow(stamp)

    def connection_reversal(self, link: str, stamp: Stamp) -> None:
        stream = self._account(link)
        if self.ledger.kind.ordered or stream is None or stream.grade is State.SYNCING:
            return
        self.counters.reversals += 1
        reason = "the numbers of the connection went backwards"
        self.out.note(FactKind.REVERSAL, f"시퀀스 역전 감지: {reason}, 새 스냅샷 요청")
        self.recovery.lose(stream, reason, stamp)
        self._follow(stamp)

    def audit(self, stamp: Stamp) -> None:
        if isinstance(self.recovery, InBandRecovery):
            super().audit(stamp)
        elif self.state is State.LIVE and not self.wanting:
            self.recovery.audit(stamp)
        self._finish()

    @property
    def auditing(self) -> bool:
        return self._audit.running or (isinstance(self.recovery, RestRecovery) and self.recovery.auditing)

    def tick(self, stamp: Stamp) -> None:
        if self._calm and not self._thin:
            return
        self._audit_follows_front()
        audited = self._audited
        contradiction = self._tick_audit(stamp)
        if contradiction and audited is not None:
            self.recovery.lose(audited, contradiction, stamp)
        front = self.ledger.arbiter.front
        if front is not None:
            self._siblings.heal(stamp)
            self._doubts.tick(stamp)
            if not self.ledger.matching:
                self._unmatched_ns = stamp.mono_ns
            elif front.crossed_as_sent and 0 < self._unmatched_ns < stamp.mono_ns - RESUMED_NS:
                self._troubles.still_crossed(front, stamp)
        if self.ledger.arbiter.covered:
            self.recovery.tick(stamp)
        self._follow(stamp)

    def _audit_follows_front(self) -> None:
        """An audit ends open when its stream is joined anew, stands still, or is not what is published."""
        stream, front = self._audited, self.ledger.arbiter.front
        if stream is None or front is None:
            return
        behind = stream is not front and (stream.count is not front.count or stream.last < front.last)
        if behind or not stream.sound:
            self._stop_audit()  # what it did not take is not known to be touched

    def _opened(self, stream: Stream, stamp: Stamp) -> None:
        self.recovery.opened(stream, stamp)
        self._follow(stamp)

    def _closed(self, stream: Stream, event: LinkEvent, stamp: Stamp) -> None:
        arbiter = self.ledger.arbiter
        self.recovery.closed(stream, stamp)
        was_front = stream is arbiter.front
        self._siblings.heal(stamp)
        arbiter.choose(stamp.mono_ns)
        if was_front and arbiter.front is stream and arbiter.covered:
            self._doubts.orphaned(event.reason, planned=event.planned, stamp=stamp)
        self._follow(stamp)

    # --- the end of every event

    def _follow(self, stamp: Stamp, stream: Stream | None = None, took: Took | None = None) -> None:
        """What follows from an event for the published book."""
        arbiter = self.ledger.arbiter
        before = arbiter.front
        moved = took is Took.APPLIED or took is Took.TURNED
        if stream is not None:
            self.recovery.arrived(stamp)
        if not (moved and stream is before and len(arbiter.streams) == 1):
            self._settle(stamp, stream, took)
        front = arbiter.front
        changed = False
        if front is not None:
            self._judge(front, stream, took)
            whole = self.recovery.wanting and front.open and not front.stuck_ns and self._as_sent(front)
            if whole and self.recovery.needless(front, stamp):
                words = f"the stream goes on at {front.last}"
                self.out.note(FactKind.RESYNC_FINISHED, words, found=front.last)
            changed = self._show_front(front, moved=moved and stream is front)
            self._recentre(front, stamp)
        self.recovery.hurry(stamp)  # only now: what came may have made it needless
        self._finish(changed=changed)

    def _as_sent(self, front: Stream) -> bool:
        """Whether nothing is wrong with the published book: it is LIVE, or would be if orders matched."""
        ledger = self.ledger
        if ledger.matching or ledger.status.uncovered or ledger.status.doubt:
            return ledger.state is State.LIVE
        return front.grade is State.LIVE or front.crossed_as_sent

    def _settle(self, stamp: Stamp, stream: Stream | None, took: Took | None) -> None:
        arbiter, before = self.ledger.arbiter, self.ledger.arbiter.front
        self._siblings.heal(stamp)
        arbiter.choose(stamp.mono_ns)
        front = arbiter.front
        if front is None or front.grade is State.SYNCING:
            if arbiter.covered and not self.wanting and not self.ledger.kind.in_band:
                self.recovery.want(front, URGENT, stamp)
        elif front is not before and before is not None and front.count.follows(before.count):
            self.ledger.renumbered(before.last, front.last)
        if stream is not None and took is not None:
            self._doubts.heard(stream, took, stamp)

    def _judge(self, front: Stream, stream: Stream | None, took: Took | None) -> None:
        """Ends a doubt where what came, or another choice, answers it."""
        if stream is not None and took is not None and self._doubts.proves(stream, took):
            self.ledger.believe()
        else:
            self._doubts.settle()

    def _show_front(self, front: Stream, *, moved: bool) -> bool:
        """Whether what is published is another book now. Every step back is announced."""
        arbiter = self.ledger.arbiter
        back = front.last < arbiter.sequence and front.grade is not State.SYNCING
        if back and not self.ledger.anew and self._announced is not State.SYNCING:
            self.ledger.renumbered(arbiter.sequence, front.last)
        if front.crossed_as_sent is not self._told_as_sent:
            self._told_as_sent = front.crossed_as_sent
            if front.crossed_as_sent:
                self.out.note(FactKind.CROSSED, front.reason)
        changed = moved or front.last != arbiter.sequence or front.book is not self.book
        if changed:
            self._show(front)
        return changed

    def _least(self, front: Stream) -> int:
        """Levels a side that have to be proven."""
        return min(2 * self.rules.depth, max(front.limit * 4 // 5, 1))

    def _recentre(self, front: Stream, stamp: Stamp) -> None:
        """A background snapshot where the proven range no longer covers what is published, with margin."""
        book, kind = front.book, self.ledger.kind
        if kind.kept or kind.in_band or front.grade is not State.LIVE or (book.low is None and book.high is None):
            return
        need = self._least(front)
        self._thin = (book.low is not None and book.bids_known < need) or (
            book.high is not None and book.asks_known < need
        )
        if not self._thin:
            return
        if self.wanting or stamp.mono_ns < self._recentre_after_ns:
            return
        self._recentre_after_ns = stamp.mono_ns + self.rules.recentre_ns
        words = f"{book.bids_known} bids and {book.asks_known} asks are still proven"
        self.out.note(FactKind.RECENTRE, words)
        self.recovery.want(front, BACKGROUND, stamp)
