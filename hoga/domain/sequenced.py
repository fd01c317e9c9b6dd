"""The keeper for exchanges whose deltas carry ids, joined to a snapshot (by REST or in the stream).

1. Join: deltas are buffered, a snapshot is asked for, and both are joined by proof (see `joining`).
2. Reversal (an id goes backwards on its own link): the book is no longer LIVE, a fresh snapshot is joined.
3. Gap: by policy CONTINUE the delta is applied and the book goes on as GAPPED while a snapshot is on its way;
   IGNORE goes on without healing; RESYNC withholds the book until a snapshot joins.
4. A LIVE book that crosses has lost something nobody saw: CROSSED, and a snapshot. A GAPPED book that crosses is
   repaired by removing what the newer update contradicts, and stays GAPPED.
5. When the proven levels no longer cover the published depth with margin, a snapshot re-centres the book while
   it stays LIVE.
A snapshot replaces the book in one step: readers see the old book, then the new one.
"""

from __future__ import annotations

from hoga.domain.actions import Action, FactKind, Note
from hoga.domain.asking import BACKGROUND, LOW, NORMAL, URGENT, Asking
from hoga.domain.book import Book
from hoga.domain.errors import FrameError
from hoga.domain.joining import Fit, JoinBuffer
from hoga.domain.keeper import Keeper, KeeperRules
from hoga.domain.sequencer import Sequencer, Verdict
from hoga.domain.types import NO_SEQ, GapPolicy, Stamp, State, Update
from hoga.domain.whole import crossed_note

TOO_OLD_RETRY_NS = 300_000_000
FROZEN_NS = 3_000_000_000
"""A stream that brings only what is already known for so long is not the one the book was built from."""


class SequencedKeeper(Keeper):
    def __init__(self, rules: KeeperRules, *, in_band: bool = False, bounded: bool = True) -> None:
        """`in_band`: snapshots come in the stream and are had by subscribing again. `bounded`: a snapshot proves
        only its own price range (False where the exchange keeps a depth correct for us)."""
        super().__init__(rules)
        self._in_band = in_band
        self._bounded = bounded
        self._sequencer = Sequencer()
        self._buffer = JoinBuffer(rules.buffer_updates, rules.buffer_age_ns)
        self._asking = Asking(in_band=in_band, retry_ns=rules.retry_ns, retry_limit_ns=rules.retry_limit_ns)
        self._candidate: tuple[Update, int] | None = None
        """A snapshot that nothing proves yet, with its limit."""
        self._held_at_ns = 0
        self._catching_up: set[str] = set()
        """Links whose chain was joined to a snapshot, until they bring something newer."""
        self._renumbered = False
        """Ids have gone backwards since the book was last joined."""
        self._recentre_after_ns = 0
        self._limit = 0
        """Levels a side that the joined snapshot was asked for."""

    @property
    def wanting(self) -> bool:
        """Whether a snapshot is on its way; deltas are buffered meanwhile."""
        return self._asking.wanted

    def open(self, stamp: Stamp) -> list[Action]:
        actions = self._changed()
        if not self.wanting and self.base is State.SYNCING:
            actions += self._want(URGENT, stamp)
        return actions

    def receive(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        self.counters.updates += 1
        note = self._times.check(update.exchange_time_ns, stamp.wall_ns)
        actions: list[Action] = [] if note is None else [note]
        if update.snapshot:
            return actions + self._replace(update, link, stamp)
        if update.seq < 0 or update.prev_seq == NO_SEQ:
            return actions + self.reject(FrameError("shape", "a delta without ids"), stamp)
        if self.base is State.SYNCING:
            return actions + self._collect(update, link, stamp)
        return actions + self._follow(update, link, stamp)

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        self.counters.snapshots += 1
        if not self.wanting or update.seq < 0:
            return []
        return self._try_join(update, limit if self._bounded else 0, stamp)

    def reject(self, error: FrameError, stamp: Stamp) -> list[Action]:
        note = self._rejected(error)
        self._buffer.restart()  # no chain goes over a frame that could not be read
        self._candidate = None
        if self.base is State.SYNCING:
            return [note]
        if self.base is not State.CROSSED:
            self._set_base(State.GAPPED, f"a frame was rejected ({error.reason})")
        return [note, *self._want(NORMAL, stamp), *self._changed()]

    def tick(self, stamp: Stamp) -> list[Action]:
        if not self.wanting:
            return []
        actions: list[Action] = []
        ahead = self._candidate is not None and self._candidate[0].seq > self.sequence
        if ahead and self.state is State.LIVE and stamp.mono_ns - self._held_at_ns > FROZEN_NS:
            actions += self.outdate("a snapshot is ahead of the stream, which brings nothing")
        return actions + self._asking.tick(stamp)

    def link_down(self, reason: str, stamp: Stamp) -> list[Action]:
        self._stop_wanting()  # what was buffered leads nowhere: the next link begins a new chain
        return super().link_down(reason, stamp)

    def link_up(self, stamp: Stamp) -> list[Action]:
        self._stop_wanting()
        actions = super().link_up(stamp)
        gapped = self.base is State.GAPPED and self.rules.gap_policy is not GapPolicy.IGNORE
        if self.stale_reason or gapped or self.base is State.CROSSED:
            # A delta that builds on a sound book proves it; otherwise, or for a quiet symbol, a snapshot must.
            actions += self._want(LOW, stamp)
        return actions

    def link_moved(self, stamp: Stamp) -> list[Action]:
        return [] if self._heard_live() or self.base is State.SYNCING else self._want(LOW, stamp)

    def _collect(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A delta while there is no book to apply it to."""
        actions: list[Action] = []
        if not self._proves(link):
            self._hear(link)
            return actions
        if not self.wanting:
            actions += self._want(URGENT, stamp)
        before = self._buffer.last
        verdict = self._buffer.add(link, update, stamp.mono_ns)
        if verdict is Verdict.STALE and self._frozen(update, link, before, stamp):
            verdict = Verdict.REVERSAL
            self._buffer.restart()
        self._renumbered = self._renumbered or verdict is Verdict.REVERSAL
        if verdict is not Verdict.STALE:
            self._moved_ns = stamp.mono_ns
        self._hear(link)
        actions += self._count(verdict, update, before)
        if self._candidate is not None:
            actions += self._try_join(*self._candidate, stamp)
        return actions

    def _follow(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A delta for a book that stands."""
        before = self._sequencer.last
        verdict = self._sequencer.judge(link, update.prev_seq, update.seq)
        if verdict is Verdict.STALE and self._frozen(update, link, before, stamp):
            verdict = Verdict.REVERSAL
        actions = self._count(verdict, update, before)
        if verdict is Verdict.STALE:
            self._hear(link)
            return actions
        if verdict is Verdict.REVERSAL:
            self._renumbered = True
            return actions + self._resync("an id went backwards", None, stamp)
        if self.wanting and self._proves(link):
            self._buffer.add(link, update, stamp.mono_ns)
        if verdict is Verdict.GAP:
            if self.rules.gap_policy is GapPolicy.RESYNC:
                return actions + self._resync("ids are missing", (link, update), stamp)
            self.missing += update.prev_seq - (before or 0)
            self._set_base(State.GAPPED, f"{self.missing} ids are missing")
            if self.rules.gap_policy is GapPolicy.CONTINUE:
                actions += self._want(LOW, stamp, (link, update))
        try:
            self.book.apply(update.bids, update.asks)
        except FrameError as error:
            return actions + self.reject(error, stamp)
        self.counters.applied += 1
        self.sequence = update.seq
        self._catching_up.clear()
        self._took(update, link, stamp)
        if self.book.crossed:
            actions += self._uncross(update, link, stamp)
        if self._candidate is not None and self.wanting:
            joined = self._try_join(*self._candidate, stamp)
            if not self.wanting:
                return actions + joined
        if self.base is State.LIVE:
            actions += self._recentre(stamp)
        return actions + self._published()

    def _frozen(self, update: Update, link: str, last: int | None, stamp: Stamp) -> bool:
        """Whether only older ids arrive although nothing newer has for a while: the exchange began to count anew.
        A link that was joined to a snapshot ahead of it is merely catching up."""
        if last is None or update.seq >= last or link in self._catching_up:
            return False
        return stamp.mono_ns - self._moved_ns > FROZEN_NS

    def _count(self, verdict: Verdict, update: Update, before: int | None) -> list[Action]:
        found, prev = update.seq, update.prev_seq
        if verdict is Verdict.GAP and before is not None:
            self.counters.gaps += 1
            detail = f"{prev - before} ids between {before} and {prev} are missing"
            return [Note(FactKind.GAP, detail, before, prev, prev - before)]
        if verdict is Verdict.REVERSAL:
            self.counters.reversals += 1
            detail = f"시퀀스 역전 감지: {found} < {before}, 새 스냅샷 요청"
            return [Note(FactKind.REVERSAL, detail, before or 0, found)]
        if verdict is Verdict.STALE:
            self.counters.stale += 1
        return []

    def _uncross(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        if self.base is State.GAPPED:
            removed = self.book.remove_contradicted(update.bids, update.asks)
            self.counters.repaired_levels += removed
            if not self.book.crossed:
                return [Note(FactKind.REPAIRED, f"{removed} older levels contradicted the update", count=removed)]
        if self.base is State.CROSSED:
            return []
        self.counters.crossed += 1
        note = crossed_note(self.book, "something was lost that nobody saw")
        self._set_base(State.CROSSED, note.detail)
        return [note, *self._want(NORMAL, stamp, (link, update))]

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

    def _resync(self, reason: str, first: tuple[str, Update] | None, stamp: Stamp) -> list[Action]:
        """The book is not to be trusted any more; a new one is built from a snapshot."""
        self._set_base(State.SYNCING, reason)
        self._stop_wanting()
        return [*self._want(URGENT, stamp, first), *self._changed()]

    def _want(self, priority: int, stamp: Stamp, first: tuple[str, Update] | None = None) -> list[Action]:
        """Begins to buffer and asks for a snapshot, unless that is under way."""
        if self.wanting:
            return self._asking.raise_to(priority)
        if first is not None:
            self._buffer.add(*first, stamp.mono_ns)
        note = Note(FactKind.RESYNC_STARTED, self.base_reason or "re-centring the proven range")
        by_itself = self._in_band and not self.counters.resyncs
        return [note, *self._asking.begin(priority, stamp, wait_ns=self.rules.retry_ns if by_itself else 0)]

    def _stop_wanting(self) -> None:
        self._asking.end()
        self._buffer.restart()
        self._candidate = None

    def _try_join(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        fit = self._buffer.fit(update.seq, renumbered=self._renumbered)
        if fit is Fit.FITS:
            return self._join(update, limit, stamp)
        if fit is Fit.TOO_OLD:
            self._candidate = None
            self._asking.again_soon(TOO_OLD_RETRY_NS, stamp)
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
            if book.crossed:
                raise FrameError("crossed", crossed_note(book, "the snapshot").detail)
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
            for link, delta in self._buffer.updates:
                last_link = link
                if sequencer.judge(link, delta.prev_seq, delta.seq) is Verdict.APPLY:
                    book.apply(delta.bids, delta.asks)
                    applied += 1
                    last = delta
            if book.crossed:
                raise FrameError("crossed", crossed_note(book, "the joined book").detail)
        except FrameError as error:
            self._candidate = None
            self._buffer.restart()
            self.counters.crossed += error.reason == "crossed"
            return [self._rejected(error)]
        self._limit = limit
        self._catching_up = {link for link, _ in self._buffer.updates}
        return self._install(book, sequencer, last, last_link, applied, stamp)

    def _replace(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A snapshot in the stream is authoritative: it is the book from here on."""
        book = Book()
        try:
            book.replace(update.bids, update.asks)
            if book.crossed:
                raise FrameError("crossed", crossed_note(book, "the snapshot").detail)
        except FrameError as error:
            return self.reject(error, stamp)
        sequencer = Sequencer(update.seq if update.seq >= 0 else None)
        return self._install(book, sequencer, update, link, 1, stamp)

    def _install(
        self, book: Book, sequencer: Sequencer, last: Update, link: str, applied: int, stamp: Stamp
    ) -> list[Action]:
        book.orphan_deletes += self.book.orphan_deletes
        self.book, self._sequencer = book, sequencer
        self._stop_wanting()
        self.sequence = max(sequencer.last or 0, 0)
        self.missing = 0
        self._renumbered = False
        if not link:
            self.stale_reason = ""  # confirmed by snapshots alone
        healed = self.base is not State.LIVE
        self._set_base(State.LIVE)
        self._took(last, link, stamp)
        self.counters.applied += applied
        self.counters.resyncs += 1
        detail = f"joined at {self.sequence}" if healed else f"re-centred at {self.sequence}"
        return [Note(FactKind.RESYNC_FINISHED, detail, found=self.sequence), *self._published()]
