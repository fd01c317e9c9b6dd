"""What goes wrong in a stream, what is said of it, and what is wanted then.

1. a gap: by policy CONTINUE the stream goes over it as GAPPED while a snapshot is on its way; IGNORE goes on without
   healing; RESYNC withholds the book until a snapshot has come. A gap of one line is no gap of the book: only the
   published stream leaps, and only then it is said;
2. a LIVE book that crosses has lost something nobody saw: CROSSED, and a snapshot. A GAPPED one is repaired by removing
   what the newer update contradicts. A book that the exchange itself sends crossed, or that crosses while orders do not
   match, is right: it is kept as sent, and nothing is asked for;
3. different levels of two streams under one step: nobody knows which is right;
4. where the exchange's own snapshots contradict their own checksums, several in a row, the checksum is not believed any
   more: the book goes on, and is not called verified until the sums come out again.
"""

from __future__ import annotations

from hoga.domain.actions import FactKind
from hoga.domain.episode import LOW, NORMAL, URGENT
from hoga.domain.errors import FrameError
from hoga.domain.ledger import Ledger
from hoga.domain.recovery import Recovery
from hoga.domain.rules import SECOND_NS
from hoga.domain.stream import Stream, Took, crossing
from hoga.domain.types import GapPolicy, Stamp, State, Update

BEREFT_NS = 3 * SECOND_NS // 2
BAD_SUMS = 5
"""So many snapshots in a row whose own checksum is wrong: nothing can be missing in them, so it is the checksum."""
GOOD_SUMS = 3


class Troubles:
    def __init__(self, ledger: Ledger, recovery: Recovery) -> None:
        self._ledger = ledger
        self._recovery = recovery
        self._told = (0, 0)
        """The gap that was announced last: another stream may have gone over it already."""
        self._bad_sums = 0
        self._good_sums = 0

    @property
    def sums_believed(self) -> bool:
        return self._bad_sums < BAD_SUMS

    def leap(self, stream: Stream, source: Stream, stamp: Stamp) -> None:
        """Nobody brings the ids that are missing between the book of `source` and the chain of a stream."""
        ledger = self._ledger
        gap = source.last, stream.chain.begins
        if gap != self._told:
            self._told = gap
            ledger.missed(*gap)
        if ledger.rules.gap_policy is GapPolicy.RESYNC:
            kept = stream.chain.copy()
            if source is not stream:
                stream.book, stream.last = source.book, source.last
                source.lose("ids are missing")
            self._recovery.lose(stream, "ids are missing", stamp)
            stream.chain.extend(kept)
        else:
            stream.leap(source)
            deltas = stream.chain.after(stream.last)
            self.mend_gap(stream, stamp)
            for update in deltas:
                if stream.grade is State.SYNCING:
                    break
                self.apply(stream, update, stamp)
        ledger.arbiter.front = stream

    def went_over(self, stream: Stream, before: int, update: Update, stamp: Stamp) -> None:
        """A new count began, and ids are missing before it."""
        if stream is self._ledger.arbiter.front:
            self._ledger.missed(before, update.prev_seq)
        if self._ledger.rules.gap_policy is GapPolicy.RESYNC:
            self._recovery.lose(stream, "ids are missing", stamp)
        else:
            self.mend_gap(stream, stamp)

    def mend_gap(self, stream: Stream, stamp: Stamp) -> None:
        if self._ledger.rules.gap_policy is GapPolicy.IGNORE:
            stream.chain.clear()
        else:
            self._recovery.want(stream, LOW, stamp)

    def apply(self, stream: Stream, update: Update, stamp: Stamp) -> Took | None:
        """Applies a delta, and sees to what is wrong with it."""
        try:
            took = stream.apply(update, stamp.mono_ns)
        except FrameError as error:
            self.spoil(stream, error, stamp)
            return None
        self.applied(stream, update, took, stamp)
        return took

    def applied(self, stream: Stream, update: Update, took: Took, stamp: Stamp) -> None:
        stream.wall_ns = stamp.wall_ns
        self._ledger.counters.applied += 1
        if took is Took.CROSSED:
            self._crossed(stream, update, stamp)
        elif took is Took.BAD_SUM:
            self.bad_sum(stream, update, stamp)
            if stream.grade is not State.SYNCING and stream.book.crossed:
                self._crossed(stream, update, stamp)
        elif update.checksum is not None and stream.texts is not None and stream.grade is State.LIVE:
            self.right_sum()

    def right_sum(self) -> None:
        self._ledger.counters.checksum_ok += 1
        self._good_sums += 1
        if self.sums_believed or self._good_sums >= GOOD_SUMS:
            self._bad_sums = 0

    def bad_sum(self, stream: Stream, update: Update, stamp: Stamp) -> None:
        ledger, expected = self._ledger, update.checksum or 0
        ledger.counters.checksum_bad += 1
        self._bad_sums += update.snapshot
        self._good_sums = 0
        detail = f"the checksum is {expected}, that of the book {stream.found_sum}"
        if self._bad_sums <= BAD_SUMS:
            ledger.out.note(FactKind.CHECKSUM_MISMATCH, detail, expected, stream.found_sum)
        if not self.sums_believed:
            return
        stream.lose(detail)
        self._recovery.failed(stream, stamp)

    def _crossed(self, stream: Stream, update: Update, stamp: Stamp) -> None:
        ledger = self._ledger
        if stream.crossed_as_sent or (not ledger.matching and stream.grade is State.LIVE):
            stream.take_as_sent()
            return
        if not ledger.matching:
            return  # it is being mended already
        if stream.grade is State.GAPPED:
            removed = stream.book.remove_contradicted(update.bids, update.asks)
            ledger.counters.repaired_levels += removed
            if not stream.book.crossed:
                words = f"{removed} older levels contradicted the update"
                ledger.out.note(FactKind.REPAIRED, words, count=removed)
                return
        if stream.grade is State.CROSSED:
            return
        ledger.counters.crossed += 1
        detail = f"{crossing(stream.book)}: something was lost that nobody saw"
        ledger.out.note(FactKind.CROSSED, detail)
        stream.flaw(State.CROSSED, detail)
        stream.chain.clear()
        if ledger.kind.ordered and update.prev_seq >= 0:
            stream.chain.add(update, stamp.mono_ns)
        self._recovery.want(stream, NORMAL, stamp)

    def still_crossed(self, stream: Stream, stamp: Stamp) -> None:
        """Orders match again, and the book is crossed all the same."""
        stream.crossed_as_sent = False
        detail = f"{crossing(stream.book)}, though orders match again"
        stream.grade, stream.reason = State.CROSSED, detail
        self._ledger.counters.crossed += 1
        self._ledger.out.note(FactKind.CROSSED, detail)
        self._recovery.want(stream, NORMAL, stamp)

    def went_back(self, stream: Stream, before: int, update: Update, stamp: Stamp) -> None:
        ledger, front = self._ledger, self._ledger.arbiter.front
        if front is None or stream is front or front.grade is State.SYNCING:
            ledger.went_back(before, update.seq)
            ledger.prove_within(BEREFT_NS, stamp.mono_ns)  # the others have to show that the count goes on
        self._recovery.forget_answer()
        self._recovery.want(stream, URGENT, stamp)

    def disagree(self, stream: Stream, other: Stream, update: Update, stamp: Stamp) -> None:
        ledger = self._ledger
        ledger.counters.disagreements += 1
        detail = f"two lines brought different levels under the id {update.seq}"
        ledger.out.note(FactKind.DISAGREEMENT, detail, found=update.seq)
        self._recovery.forget_answer()
        count = stream.count
        for one in ledger.arbiter.sources:
            if one in (stream, other) or one.count is count:
                one.digests.clear()
                self._recovery.lose(one, detail, stamp)

    def spoil(self, stream: Stream, error: FrameError, stamp: Stamp) -> None:
        """A frame of a stream could not be read: no chain goes over it."""
        self._ledger.reject(error)
        self._recovery.forget_answer()
        stream.chain.clear()
        if stream.grade is State.SYNCING:
            return
        stream.stuck_ns = 0
        stream.flaw(State.GAPPED, f"a frame was rejected ({error.reason})")
        if self._ledger.kind.ordered or self._ledger.rules.gap_policy is not GapPolicy.IGNORE:
            self._recovery.want(stream, NORMAL, stamp)

    def miss(self, stream: Stream | None, count: int, words: str, stamp: Stamp) -> None:
        """Frames without ids are missing in a stream."""
        if stream is None or stream.grade is State.SYNCING:
            return
        self._ledger.counters.gaps += 1
        stream.missing += count
        detail = f"{stream.missing} frames {words}"
        self._ledger.out.note(FactKind.GAP, detail, count=count)
        if self._ledger.rules.gap_policy is GapPolicy.RESYNC:
            self._recovery.lose(stream, detail, stamp)
            return
        stream.flaw(State.GAPPED, detail)
        if self._ledger.rules.gap_policy is not GapPolicy.IGNORE:
            self._recovery.want(stream, LOW, stamp)
