"""The keeper for exchanges whose deltas carry ids, joined to a snapshot (by REST or in the stream).

1. Join: deltas are buffered, a snapshot is asked for, and both are joined by proof (see `joining`). One by REST is
   asked for when the first delta is there, since an earlier one may be too old for it; a quiet market has `PROOF_NS` to
   speak. A delta that fits a book which only lacked proof that it is current makes the request needless.
2. Reversal (an id goes backwards on its own link): the book is no longer LIVE, a fresh snapshot is joined.
3. Gap: by policy CONTINUE the delta is applied and the book goes on as GAPPED while a snapshot is on its way;
   IGNORE goes on without healing; RESYNC withholds the book until a snapshot joins.
4. A LIVE book that crosses has lost something nobody saw: CROSSED, and a snapshot. A GAPPED book that crosses is
   repaired by removing what the newer update contradicts, and stays GAPPED.
5. When the proven levels no longer cover the published depth with margin, a snapshot re-centres the book while
   it stays LIVE.
6. Several links may bring the same stream: the first arrival of an id counts (see `steps`). A snapshot in the stream
   is the book from there on, unless another live link has brought as much already. Different levels under one id are
   a disagreement: nobody knows which is right, so a snapshot decides.
7. A book that is replaced while it is LIVE is compared with its replacement: a silent audit.
A snapshot replaces the book in one step: readers see the old book, then the new one.
"""

from __future__ import annotations

from hoga.domain.actions import Action, FactKind, Note
from hoga.domain.asking import BACKGROUND, LOW, NORMAL, URGENT, Asking
from hoga.domain.audit import Outcome, differences
from hoga.domain.book import Book
from hoga.domain.checksum import Checksum, LevelTexts
from hoga.domain.errors import FrameError
from hoga.domain.joining import Fit, JoinBuffer
from hoga.domain.keeper import Keeper, KeeperRules
from hoga.domain.sequencer import Sequencer, Verdict
from hoga.domain.steps import AHEAD_NS, BEREFT_NS, FROZEN_NS, Steps
from hoga.domain.types import NO_SEQ, GapPolicy, Stamp, State, Update
from hoga.domain.whole import crossed_note

TOO_OLD_RETRY_NS = 300_000_000
BY_ITSELF_NS = 2_000_000_000
"""How long the snapshot of a fresh subscription is waited for before it is asked for."""
PROOF_NS = 500_000_000
"""How long a snapshot by REST is put off for a delta that it can be joined to."""
REMEMBERED_UPDATES = 64


class SequencedKeeper(Keeper):
    def __init__(
        self, rules: KeeperRules, *, in_band: bool = False, kept: int = 0, checksum: Checksum | None = None
    ) -> None:
        """`in_band`: snapshots come in the stream and are had by subscribing again. `kept`: levels a side that the
        exchange keeps correct for us; 0 where a snapshot proves only its own price range."""
        super().__init__(rules, kept=kept)
        self._in_band = in_band
        self._bounded = not kept
        self._checksum = checksum
        self._texts: LevelTexts | None = None
        """Only while the stream carries checksums."""
        self._recent: dict[int, tuple[int, int]] = {}
        """The newest ids -> (id built on, hash of the levels), while several links bring them."""
        self._auditing = False
        self._sequencer = Sequencer()
        self._buffer = JoinBuffer(rules.buffer_updates, rules.buffer_age_ns)
        retry_ns = min(rules.retry_ns, BY_ITSELF_NS) if in_band else rules.retry_ns
        limit_ns = rules.retry_limit_ns
        self._asking = Asking(in_band=in_band, retry_ns=retry_ns, retry_limit_ns=limit_ns)
        self._steps = Steps(lambda link: Asking(in_band=True, retry_ns=retry_ns, retry_limit_ns=limit_ns, link=link))
        self._candidate: tuple[Update, int] | None = None
        """A snapshot that nothing proves yet, with its limit."""
        self._held_at_ns = 0
        self._prove_by_ns = 0
        """When a link must have brought something that fits the book, 0 where none has to."""
        self._renumbered = False
        """Ids have gone backwards since the book was last joined."""
        self._count_before = 0
        """The last id before they did."""
        self._handed_over_ns = 0
        """Until then a link that was replaced as planned may go on."""
        self._recentre_after_ns = 0
        self._fresh_link = True
        """Nothing was asked for on this link yet: its first snapshot comes by itself."""
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
        note = self._times.check(update.exchange_time_ns, stamp.wall_ns, link)
        actions: list[Action] = [] if note is None else [note]
        if update.snapshot:
            return actions + self._replace(update, link, stamp)
        if update.seq < 0 or update.prev_seq == NO_SEQ:
            return actions + self._follow_unnumbered(update, link, stamp)
        if self.base is State.SYNCING:
            return actions + self._collect(update, link, stamp)
        return actions + self._follow(update, link, stamp)

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        self.counters.snapshots += 1
        if self._audit.asked and self.state is State.LIVE:
            self._audit.answer(update, limit, stamp)
            return []
        if not self.wanting or self._in_band or update.seq < 0:
            return []
        actions: list[Action] = []
        if self._led_astray(stamp) and update.seq < self.sequence and self.base is not State.SYNCING:
            # The snapshot agrees with the stream: it is the book that is of another count.
            self._renumbered, self._count_before = True, self.sequence
            actions = self._resync("an id went backwards", None, stamp)
        return actions + self._try_join(update, limit if self._bounded else 0, stamp)

    def reject(self, error: FrameError, stamp: Stamp, link: str = "") -> list[Action]:
        note = self._rejected(error)
        self._buffer.restart()  # no chain goes over a frame that could not be read
        self._candidate = None
        if self.base is State.SYNCING:
            return [note]
        if self.base is not State.CROSSED:
            self._set_base(State.GAPPED, f"a frame was rejected ({error.reason})")
        return [note, *self._want(NORMAL, stamp), *self._changed()]

    def audit(self, stamp: Stamp) -> list[Action]:
        if self._in_band:
            return super().audit(stamp)
        if self.state is not State.LIVE or self.wanting:
            return []
        self._auditing = True  # the snapshot is joined like any other, and compared at its id
        return self._asking.begin(BACKGROUND, stamp)

    @property
    def auditing(self) -> bool:
        return self._auditing or super().auditing

    def tick(self, stamp: Stamp) -> list[Action]:
        actions: list[Action] = self._tick_audit(stamp)
        actions += self._tick_links(stamp)
        if self.state is State.LIVE and self._led_astray(stamp):
            actions += self.outdate("only older ids arrive") + self._want(LOW, stamp)
        if not self.wanting:
            return actions
        if self._auditing and self.state is not State.LIVE:
            self._stop_auditing(Outcome.OPEN)
        ahead = self._candidate is not None and self._candidate[0].seq > self.sequence
        if ahead and self.state is State.LIVE and stamp.mono_ns - self._held_at_ns > FROZEN_NS:
            actions += self.outdate("a snapshot is ahead of the stream, which brings nothing")
        return actions + self._asking.tick(stamp)

    def _led_astray(self, stamp: Stamp) -> bool:
        """Whether only older ids arrive, and the link that led the book to where it is cannot tell any more."""
        mover = self._sequencer.mover
        return self._steps.backward(stamp) and not (mover and self._proves(mover))

    def _tick_links(self, stamp: Stamp) -> list[Action]:
        actions: list[Action] = []
        if self._prove_by_ns and stamp.mono_ns >= self._prove_by_ns:
            self._prove_by_ns = 0
            if self.base is not State.SYNCING and not self._heard_live():
                actions += self.outdate("nothing that fits the book has arrived over the links that are left")
                actions += self._want(LOW, stamp)
        if not self._in_band:
            return actions
        strays = [link for link in self._sequencer.strays() if self._proves(link)]
        for request in self._steps.tick(strays, stamp):
            self._sequencer.doubt(request.link)
            actions.append(request)
        return actions

    def _heard_live(self) -> bool:
        return any(
            self._proves(link) and not self._sequencer.astray(link) for link in self._heard & self._steps.in_step
        )

    def _contradicted(self, detail: str, stamp: Stamp) -> list[Action]:
        return self._resync(f"an audit contradicts the book: {detail}", None, stamp)

    def link_down(self, reason: str, stamp: Stamp) -> list[Action]:
        self._stop_wanting()  # what was buffered leads nowhere: the next link begins a new chain
        return super().link_down(reason, stamp)

    def link_up(self, stamp: Stamp) -> list[Action]:
        self._stop_wanting()
        actions = super().link_up(stamp)
        self._fresh_link = not self.settled_link
        gapped = self.base is State.GAPPED and self.rules.gap_policy is not GapPolicy.IGNORE
        if self.stale_reason or gapped or self.base is State.CROSSED:
            # A delta that builds on a sound book proves it; otherwise, or for a quiet symbol, a snapshot must.
            actions += self._want(LOW, stamp)
        return actions

    def link_moved(self, stamp: Stamp, *, planned: bool = True) -> list[Action]:
        self._handed_over_ns = stamp.mono_ns + FROZEN_NS
        if self.base is State.SYNCING or self._heard_live():
            return []
        if self._in_band or not planned:
            due_ns = stamp.mono_ns + (FROZEN_NS if planned else BEREFT_NS)
            self._prove_by_ns = min(self._prove_by_ns or due_ns, due_ns)
        self._fresh_link = self._fresh_link or self._in_band  # a fresh subscription brings a snapshot by itself
        return self._want(LOW, stamp)

    def _collect(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A delta while there is no book to apply it to."""
        actions: list[Action] = []
        if not self._counts(link):
            self._hear(link)
            return actions
        if not self.wanting:
            actions += self._want(URGENT, stamp)
        if self._in_band and not self._sequencer.hear(link, update.prev_seq, update.seq):
            self.counters.stale += 1  # of an earlier era than other links bring
            return actions
        before = self._buffer.last
        verdict = self._buffer.add(link, update, stamp.mono_ns)
        if verdict is Verdict.STALE and before is not None and update.seq < before and self._steps.frozen(link, stamp):
            verdict = Verdict.REVERSAL
            self._buffer.restart()
        if verdict is Verdict.REVERSAL:
            self._renumbered, self._count_before = True, before or 0
        if verdict is not Verdict.STALE:
            self._moved_ns = stamp.mono_ns
            self._steps.current()
        self._hear(link)
        actions += self._count(verdict, update, before)
        if self._candidate is not None:
            actions += self._try_join(*self._candidate, stamp)
        return actions + self._hurry(stamp)

    def _follow_unnumbered(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A delta without ids, as an exchange sent them before it had any: the checksum alone proves it."""
        if update.checksum is None or not self._in_band:
            return self.reject(FrameError("shape", "a delta without ids"), stamp)
        if self.base is State.SYNCING or link != self._sequencer.mover:
            self.counters.stale += 1
            return []
        return self._apply(update, link, stamp, [])

    def _follow(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A delta for a book that stands."""
        before = self._sequencer.last
        fresh = before is not None and update.prev_seq > before and not self._sequencer.knows(link)
        if fresh and self._may_come_through_others(link, stamp) and self._steps.ahead(link, stamp):
            self.counters.stale += 1
            if self.wanting and self._counts(link):
                self._buffer.add(link, update, stamp.mono_ns)  # a snapshot may lie between the book and this
            return []
        verdict = self._sequencer.judge(link, update.prev_seq, update.seq)
        astray = self._sequencer.astray(link)
        older = verdict is Verdict.STALE and before is not None and (update.seq < before or astray)
        sent_later = 0 < self.exchange_time_ns < update.exchange_time_ns
        if older and self._steps.frozen(link, stamp, sent_later=sent_later):
            verdict = Verdict.REVERSAL
        actions = self._count(verdict, update, before)
        if verdict is Verdict.STALE:
            self._hear(link)
            if astray:
                if self._in_band and not self._prove_by_ns and not self._heard_live():
                    self._prove_by_ns = stamp.mono_ns + FROZEN_NS  # nobody leads the book on
                return actions
            if not older:
                self._steps.agreed(link)
            if not older and self._proves(link):
                self._steps.current()
                self.stale_reason = ""  # a keep-alive, or the other line: the book is what the exchange has
                actions += self._changed() + self._settle(link)
            return actions + self._agree(update, link, stamp)
        if update.seq < update.prev_seq and verdict is not Verdict.REVERSAL:
            self._recent.clear()
            actions.append(_renumbered(update.prev_seq, update.seq))
        if verdict is Verdict.REVERSAL:
            self._renumbered, self._count_before = True, before or 0
            return actions + self._resync("an id went backwards", None, stamp)
        if self.wanting and self._counts(link):
            self._buffer.add(link, update, stamp.mono_ns)
        if verdict is Verdict.GAP:
            if self.rules.gap_policy is GapPolicy.RESYNC:
                return actions + self._resync("ids are missing", (link, update), stamp)
            self.missing += update.prev_seq - (before or 0)
            self._set_base(State.GAPPED, f"{self.missing} ids are missing")
            if self.rules.gap_policy is GapPolicy.CONTINUE:
                actions += self._want(LOW, stamp, (link, update))
        return self._apply(update, link, stamp, actions) + self._hurry(stamp)

    def _counts(self, link: str) -> bool:
        """Whether what a link brings may be joined to a snapshot; one that was replaced as planned goes on a while."""
        return self._proves(link) or not self.uncovered_reason

    def _may_come_through_others(self, link: str, stamp: Stamp) -> bool:
        """Whether the ids between the book and a fresh link may still be on their way over another one."""
        if link == self._sequencer.mover or self.live_links is None:
            return False
        return bool(self.uncovered_reason) or stamp.mono_ns < self._handed_over_ns or self._goes_on_without(link)

    def _goes_on_without(self, link: str) -> bool:
        """Whether another live link counts as the book does."""
        if self.live_links is None:
            return False
        return any(other != link and self._proves(other) for other in self._sequencer.abreast())

    def _apply(self, update: Update, link: str, stamp: Stamp, actions: list[Action]) -> list[Action]:
        """A delta whose turn it is."""
        try:
            self.book.apply(update.bids, update.asks)
        except FrameError as error:
            return actions + self.reject(error, stamp)
        self.counters.applied += 1
        self.sequence = max(update.seq, 0)
        self._steps.moved(link)
        self._took(update, link, stamp)
        self._audit.touch(update.bids, update.asks)
        if self._sequencer.several:
            self._remember(update)
        if self.book.crossed:
            actions += self._uncross(update, link, stamp)
        if self._texts is not None:
            self._texts.apply(update.bids, update.asks)
            actions += self._check_sum(update, stamp)
            if self.base is State.SYNCING:
                return actions
        if self._candidate is not None and self.wanting:
            joined = self._try_join(*self._candidate, stamp)
            if not self.wanting:
                return actions + joined
        if self.base is State.LIVE:
            actions += self._recentre(stamp) + self._settle(link)
        return actions + self._published()

    def _settle(self, link: str) -> list[Action]:
        """What a live link has just proven needs no snapshot from the stream, and none that was not asked for yet."""
        needless = self._in_band or (self._asking.unasked and self._asking.priority == LOW)
        if not (needless and self.wanting and self.state is State.LIVE and self._proves(link)):
            return []
        self._stop_wanting()
        return [Note(FactKind.RESYNC_FINISHED, f"the stream goes on at {self.sequence}", found=self.sequence)]

    def _check_sum(self, update: Update, stamp: Stamp) -> list[Action]:
        """Rule of the exchange: after the update its checksum is that of the book."""
        if self._checksum is None or self._texts is None or update.checksum is None or self.base is not State.LIVE:
            return []
        found = self._texts.sum(self._checksum)
        if found == update.checksum:
            self.counters.checksum_ok += 1
            return []
        self.counters.checksum_bad += 1
        detail = f"the checksum is {update.checksum}, that of the book {found}"
        note = Note(FactKind.CHECKSUM_MISMATCH, detail, expected=update.checksum or 0, found=found)
        return [note, *self._resync(detail, None, stamp)]

    def _remember(self, update: Update) -> None:
        self._recent[update.seq] = (update.prev_seq, _levels_hash(update))
        if len(self._recent) > REMEMBERED_UPDATES:
            del self._recent[next(iter(self._recent))]

    def _agree(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """Whether a second line brings what the first one brought under the same id."""
        known = self._recent.get(update.seq)
        if known is None or link == self._sequencer.mover or known[0] != update.prev_seq:
            return []
        if known[1] == _levels_hash(update):
            self._steps.agreed(link)
            return []
        if self.base is not State.LIVE:
            return []
        self.counters.disagreements += 1
        detail = f"two lines brought different levels under the id {update.seq}"
        note = Note(FactKind.DISAGREEMENT, detail, found=update.seq)
        return [note, *self._resync(detail, None, stamp)]

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
        why = self.base_reason or self.stale_reason or "re-centring the proven range"
        wait_ns = (BY_ITSELF_NS if self._fresh_link else 0) if self._in_band else PROOF_NS
        actions: list[Action] = [
            Note(FactKind.RESYNC_STARTED, why),
            *self._asking.begin(priority, stamp, wait_ns=wait_ns),
        ]
        return actions + self._hurry(stamp)

    def _hurry(self, stamp: Stamp) -> list[Action]:
        """Asks at once where there is a delta that a snapshot by REST can be joined to."""
        return self._asking.hurry(stamp) if self._buffer.updates and not self._in_band else []

    def _stop_wanting(self) -> None:
        if self._auditing:
            self._stop_auditing(Outcome.OPEN)
        self._asking.end()
        self._buffer.restart()
        self._candidate = None

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
            _refuse_crossed(book, "the snapshot")
            for link, delta in self._buffer.updates:
                last_link = link
                if sequencer.judge(link, delta.prev_seq, delta.seq) is Verdict.APPLY:
                    book.apply(delta.bids, delta.asks)
                    _refuse_crossed(book, "the joined book")  # now, for it may not stay so
                    applied += 1
                    last = delta
        except FrameError as error:
            self._candidate = None
            self._buffer.restart()
            self.counters.crossed += error.reason == "crossed"
            return [self._rejected(error)]
        if self.base is not State.SYNCING and not self._renumbered and (sequencer.last or 0) < self.sequence:
            self._candidate = None  # the book is ahead: a delta of a link that proved nothing led it on
            self._asking.again_soon(TOO_OLD_RETRY_NS, stamp)
            return []
        self._limit = limit
        known = set() if self._renumbered or self.base is State.SYNCING else self._steps.in_step
        reached = (self._buffer.last or 0) >= update.seq  # else nothing shows that the links count as the snapshot does
        self._steps.begin(known | {link for link, _ in self._buffer.updates} if reached else known)
        return self._install(book, sequencer, last, last_link, applied, stamp)

    def _replace(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A snapshot in the stream is authoritative: it is the book from here on."""
        if self._passes_over(update, link, stamp):
            self._hear(link)
            self.counters.stale += 1
            return []
        sequencer = self._sequencer
        last, own = sequencer.last, link == sequencer.mover
        known, newer = sequencer.knows(link), update.seq >= 0 and sequencer.newer(link, update.seq) is True
        book = Book()
        try:
            book.replace(update.bids, update.asks)
            if book.crossed:
                raise FrameError("crossed", crossed_note(book, "the snapshot").detail)
        except FrameError as error:
            return self.reject(error, stamp, link)
        actions: list[Action] = []
        if newer or (own and last is not None and 0 <= update.seq < last):
            actions.append(_renumbered(last or 0, update.seq))
            self._buffer.restart()
        texts = None
        if update.checksum is not None and self._checksum is not None:
            texts = LevelTexts(book)
            texts.apply(update.bids, update.asks)
            found = texts.sum(self._checksum)
            self.counters.checksum_ok += found == update.checksum
            if found != update.checksum:
                self.counters.checksum_bad += 1
                detail = f"the checksum of the snapshot is {update.checksum}, that of its levels {found}"
                actions.append(Note(FactKind.CHECKSUM_MISMATCH, detail, update.checksum, found))
                return actions + self.reject(FrameError("checksum", detail), stamp, link)
        try:
            led = self._catch_up(book, update, link)
        except FrameError as error:
            return actions + self.reject(error, stamp, link)
        at = None if update.seq < 0 else led[-1][1].seq
        sequencer.start(link, None if update.seq < 0 else update.seq, at, led[-1][0])
        self._texts = texts
        self._recent.clear()
        self._fresh_link = False
        kept = {one for one in self._steps.in_step if known and not sequencer.astray(one)}
        self._steps.begin(kept | {one for one, _ in led})
        return actions + self._install(book, sequencer, led[-1][1], led[-1][0], len(led), stamp)

    def _passes_over(self, update: Update, link: str, stamp: Stamp) -> bool:
        """Whether a snapshot brings nothing new, because another link has led the book as far already."""
        sequencer = self._sequencer
        last = sequencer.last
        if last is None or update.seq < 0 or link == sequencer.mover or not self._stands_without(link, stamp):
            return False
        newer = sequencer.newer(link, update.seq)
        if newer is None and update.seq > last and self._leads(link, stamp):
            sequencer.begin_ahead(link, update.seq)
            return True
        if newer or (newer is None and update.seq > last):
            return False
        if self.state is State.STALE and self.wanting and self._proves(link):
            return False  # nothing shows any more that the book is of the same count
        if newer is None and self.state is State.STALE and update.seq == last:
            return False  # it shows what the book lacks: that it is current
        if newer is None and self.base is not State.LIVE:
            if self._bridged(update.seq, last):
                return False
            self._asking.again_soon(TOO_OLD_RETRY_NS, stamp)
        sequencer.behind(link, update.seq)
        if newer is None and update.seq == last:
            self._steps.agreed(link)
        return True

    def _leads(self, link: str, stamp: Stamp) -> bool:
        """Whether a live link leads a LIVE book on, so that nobody needs to believe another one, of which nothing is
        known yet and which may count in an era of the past."""
        if self.live_links is None or self.state is not State.LIVE or stamp.mono_ns - self._moved_ns > FROZEN_NS:
            return False
        in_step = self._steps.in_step
        known = link in in_step and not self._sequencer.astray(link)
        return not known and any(one in in_step and self._proves(one) for one in self._sequencer.abreast())

    def _bridged(self, seq: int, last: int) -> bool:
        """Whether what was kept leads from a snapshot at `seq` to where the book stands."""
        waiting = self._buffer.updates
        return bool(waiting) and 0 <= waiting[0][1].prev_seq <= seq and self._buffer.last == last

    def _stands_without(self, link: str, stamp: Stamp) -> bool:
        """Whether the book stands, and another link may be relied on to lead it on."""
        if self.base is State.SYNCING:
            return False
        return (
            self._goes_on_without(link) if self.live_links is not None else stamp.mono_ns - self._moved_ns <= FROZEN_NS
        )

    def _catch_up(self, book: Book, update: Update, link: str) -> list[tuple[str, Update]]:
        """Applies what other links have brought beyond a snapshot over `link`; what the book was built from."""
        led, waiting = [(link, update)], self._buffer.updates
        if not waiting or not 0 <= waiting[0][1].prev_seq <= update.seq:
            return led
        for other, delta in waiting:
            if delta.seq > led[-1][1].seq:
                book.apply(delta.bids, delta.asks)
                _refuse_crossed(book, "the snapshot with what followed")
                led.append((other, delta))
        return led

    def _install(
        self, book: Book, sequencer: Sequencer, last: Update, link: str, applied: int, stamp: Stamp
    ) -> list[Action]:
        book.orphan_deletes += self.book.orphan_deletes
        audited = self._auditing and self.base is State.LIVE
        mismatch = self._compare(book, sequencer)
        self._audited(self._audit.stop())
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
        self._prove_by_ns = 0
        self.counters.applied += applied
        if link and not self._proves(link) and not self.uncovered_reason:
            if healed:
                self.stale_reason = f"the snapshot came over {link}, which is not reported to be up"
            mismatch += self._want(LOW, stamp) if self.stale_reason else []
        if audited and not mismatch:
            return self._published()
        self.counters.resyncs += 1
        detail = f"joined at {self.sequence}" if healed else f"re-centred at {self.sequence}"
        return [*mismatch, Note(FactKind.RESYNC_FINISHED, detail, found=self.sequence), *self._published()]

    def _compare(self, book: Book, sequencer: Sequencer) -> list[Action]:
        """Compares a LIVE book with the one that takes its place, where both stand at the same id."""
        comparable = self.state is State.LIVE and (sequencer.last or 0) == self.sequence and self.sequence > 0
        if not comparable or self._in_band:
            self._stop_auditing(Outcome.OPEN)
            return []
        found = differences(self.book, book)
        self._stop_auditing(Outcome.DISAGREED if found else Outcome.AGREED)
        if not found:
            return []
        return [Note(FactKind.AUDIT_MISMATCH, "; ".join(found), found=self.sequence)]

    def _stop_auditing(self, outcome: Outcome) -> None:
        """Counts the audit under way, if any; a disagreement counts however it was found."""
        if self._auditing or outcome is Outcome.DISAGREED:
            self._audited(outcome)
        self._auditing = False


def _refuse_crossed(book: Book, what: str) -> None:
    if book.crossed:
        raise FrameError("crossed", crossed_note(book, what).detail)


def _levels_hash(update: Update) -> int:
    return hash((tuple(update.bids), tuple(update.asks)))


def _renumbered(before: int, found: int) -> Note:
    return Note(FactKind.RENUMBERED, f"the exchange counts anew: {found} after {before}", before, found)
