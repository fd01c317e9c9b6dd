"""The keeper for exchanges whose deltas carry ids and whose snapshots come by REST.

1. Deltas are buffered, a snapshot is asked for, and both are joined by proof (see `joining`). It is asked for when the
   first delta is there, since an earlier one may be too old for it; a quiet market has `PROOF_NS` to speak.
2. A snapshot that nothing proves yet is held until a delta, or a second snapshot, does.
3. When the proven levels no longer cover the published depth with margin, a snapshot re-centres the book while it
   stays LIVE.
4. A book that is replaced while it is LIVE is compared with its replacement: a silent audit.
"""

from __future__ import annotations

from hoga.domain.actions import Action, FactKind, Note
from hoga.domain.asking import BACKGROUND
from hoga.domain.audit import Outcome, differences
from hoga.domain.book import Book
from hoga.domain.errors import FrameError
from hoga.domain.joining import Fit
from hoga.domain.keeper import AGREED, KeeperRules
from hoga.domain.sequenced import SequencedKeeper, refuse_crossed
from hoga.domain.sequencer import Sequencer, Verdict
from hoga.domain.steps import AHEAD_NS, FROZEN_NS
from hoga.domain.types import Stamp, State, Update

PROOF_NS = 500_000_000
"""How long a snapshot is put off for a delta that it can be joined to."""


class JoinedKeeper(SequencedKeeper):
    def __init__(self, rules: KeeperRules, *, kept: int = 0) -> None:
        """`kept`: levels a side that the exchange keeps correct for us; 0 where a snapshot proves only its own price
        range."""
        super().__init__(rules, kept=kept, retry_ns=rules.retry_ns, in_band=False)
        self._bounded = not kept
        self._auditing = False
        self._candidate: tuple[Update, int] | None = None
        """A snapshot that nothing proves yet, with its limit."""
        self._held_at_ns = 0
        self._recentre_after_ns = 0
        self._limit = 0
        """Levels a side that the joined snapshot was asked for."""

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        self.counters.snapshots += 1
        if not self.wanting or update.seq < 0:
            return []
        actions: list[Action] = []
        if self._led_astray(stamp) and update.seq < self.sequence and self.base is not State.SYNCING:
            # The snapshot agrees with the stream: it is the book that is of another count.
            self._count_anew(self.sequence)
            actions = self._resync("an id went backwards", None, stamp)
        return actions + self._try_join(update, limit if self._bounded else 0, stamp)

    def reject(self, error: FrameError, stamp: Stamp, link: str = "") -> list[Action]:
        self._candidate = None
        return super().reject(error, stamp, link)

    def audit(self, stamp: Stamp) -> list[Action]:
        if self.state is not State.LIVE or self.wanting:
            return []
        self._auditing = True  # the snapshot is joined like any other, and compared at its id
        return self._asking.begin(BACKGROUND, stamp)

    @property
    def auditing(self) -> bool:
        return self._auditing or super().auditing

    def _replace(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        return self.reject(FrameError("shape", "a snapshot in a stream that has none"), stamp, link)

    def _patience_ns(self) -> int:
        return PROOF_NS

    def _tick_request(self, stamp: Stamp) -> list[Action]:
        actions: list[Action] = []
        if self._auditing and self.state is not State.LIVE:
            self._stop_auditing(Outcome.OPEN)
        ahead = self._candidate is not None and self._candidate[0].seq > self.sequence
        if ahead and self.state is State.LIVE and stamp.mono_ns - self._held_at_ns > FROZEN_NS:
            actions += self.outdate("a snapshot is ahead of the stream, which brings nothing")
        return actions + super()._tick_request(stamp)

    def _collected(self, stamp: Stamp) -> list[Action]:
        actions = self._try_join(*self._candidate, stamp) if self._candidate is not None else []
        return actions + self._hurry(stamp)

    def _went_on(self, link: str, stamp: Stamp) -> list[Action]:
        actions: list[Action] = []
        if self._candidate is not None and self.wanting:
            actions += self._try_join(*self._candidate, stamp)
            if not self.wanting:
                return actions
        if self.base is State.LIVE:
            actions += self._recentre(stamp)
        return actions + super()._went_on(link, stamp)

    def _hurry(self, stamp: Stamp) -> list[Action]:
        """Asks at once where there is a delta that a snapshot can be joined to."""
        return self._asking.hurry(stamp) if self._buffer.updates else []

    def _stop_wanting(self) -> None:
        if self._auditing:
            self._stop_auditing(Outcome.OPEN)
        self._candidate = None
        super()._stop_wanting()

    def _recentre(self, stamp: Stamp) -> list[Action]:
        book, need = self.book, min(2 * self.rules.depth, max(self._limit * 4 // 5, 1))
        if book.low is None and book.high is None:
            return []
        if (book.low is None or book.bids_known >= need) and (book.high is None or book.asks_known >= need):
            return []
        if self.wanting or stamp.mono_ns < self._recentre_after_ns:
            return []
        self._recentre_after_ns = stamp.mono_ns + self.rules.recentre_ns
        known = f"{book.bids_known} bids and {book.asks_known} asks are still proven"
        return [Note(FactKind.RECENTRE, known), *self._want(BACKGROUND, stamp)]

    def _try_join(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        fit = self._buffer.fit(update.seq, renumbered=self._renumbered)
        held = self._candidate is not None and self._candidate[0] is update
        if fit is Fit.FITS and held and self._renumbered and stamp.mono_ns - self._held_at_ns > AHEAD_NS:
            fit = Fit.TOO_OLD  # of the count before, which the new one has reached by now
        if fit is Fit.UNPROVEN and self._renumbered and self._of_the_count_before(update.seq):
            fit = Fit.TOO_OLD
        if fit is Fit.FITS:
            return self._join(update, limit, stamp)
        if fit is Fit.TOO_OLD:
            self._candidate = None
            self._asking.again_soon(stamp)
            return []
        same_as_book = self.state is State.LIVE and self.sequence == update.seq and self._heard_live()
        confirmed = (
            not self._buffer.updates
            and self._candidate is not None
            and self._candidate[0] is not update
            and self._candidate[0].seq == update.seq
            and stamp.mono_ns - self._held_at_ns >= self.rules.confirm_ns // 2
        )
        if same_as_book or confirmed:
            return self._join(update, limit, stamp)
        return self._hold(update, limit, stamp)

    def _of_the_count_before(self, seq: int) -> bool:
        """Whether a snapshot ahead of a chain that counts anew is nearer to where the ids were before."""
        last = self._buffer.last
        return last is not None and abs(seq - self._count_before) < seq - last

    def _hold(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        """Keeps a snapshot that nothing proves yet; it is shown, as SYNCING, where there is no other book."""
        if self._candidate is not None and self._candidate[0].seq == update.seq:
            return []  # the same again, too soon to prove anything
        self._candidate = (update, limit)
        self._held_at_ns = stamp.mono_ns
        self._asking.again_in(self.rules.confirm_ns, stamp)
        if self.base is not State.SYNCING:
            return []
        book = Book()
        try:
            book.replace(update.bids, update.asks, limit)
            refuse_crossed(book, "the snapshot")
        except FrameError as error:
            self._candidate = None
            return [self._rejected(error)]
        self.book = book
        self.sequence = update.seq
        self._took(update, "", stamp)
        self.base_reason = "the snapshot waits for a delta that proves it current"
        return self._published()

    def _join(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        """Builds the new book beside the old one and puts it in its place."""
        book, sequencer = Book(), Sequencer(update.seq)
        applied = 0
        last, last_link = update, ""
        try:
            book.replace(update.bids, update.asks, limit)
            refuse_crossed(book, "the snapshot")
            for link, delta in self._buffer.updates:
                last_link = link
                if sequencer.judge(link, delta.prev_seq, delta.seq) is Verdict.APPLY:
                    book.apply(delta.bids, delta.asks)
                    refuse_crossed(book, "the joined book")  # now, for it may not stay so
                    applied += 1
                    last = delta
        except FrameError as error:
            self._candidate = None
            self._buffer.restart()
            self.counters.crossed += error.reason == "crossed"
            return [self._rejected(error)]
        if self.base is not State.SYNCING and not self._renumbered and (sequencer.last or 0) < self.sequence:
            self._candidate = None  # the book is ahead: a delta of a link that proved nothing led it on
            self._asking.again_soon(stamp)
            return []
        self._limit = limit
        known = set() if self._renumbered or self.base is State.SYNCING else self._steps.in_step
        reached = (self._buffer.last or 0) >= update.seq  # else nothing shows that the links count as the snapshot does
        self._steps.begin(known | {link for link, _ in self._buffer.updates} if reached else known)
        audited = self._auditing and self.base is State.LIVE
        notes = self._compare(book, sequencer)
        quiet = audited and all(note.kind is FactKind.AUDIT_AGREED for note in notes)
        return self._install(book, sequencer, last, last_link, applied, stamp, notes=notes, quiet=quiet)

    def _compare(self, book: Book, sequencer: Sequencer) -> list[Note]:
        """Compares a LIVE book with the one that takes its place, where both stand at the same id."""
        comparable = self.state is State.LIVE and (sequencer.last or 0) == self.sequence and self.sequence > 0
        if not comparable:
            self._stop_auditing(Outcome.OPEN)
            return []
        found, audited = differences(self.book, book), self._auditing
        self._stop_auditing(Outcome.DISAGREED if found else Outcome.AGREED)
        if not found:
            return [Note(FactKind.AUDIT_AGREED, AGREED, found=self.sequence)] if audited else []
        return [Note(FactKind.AUDIT_MISMATCH, "; ".join(found), found=self.sequence)]

    def _stop_auditing(self, outcome: Outcome) -> None:
        """Counts the audit under way, if any; a disagreement counts however it was found."""
        if self._auditing or outcome is Outcome.DISAGREED:
            self._audited(outcome)
        self._auditing = False
