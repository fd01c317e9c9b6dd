"""The keeper for exchanges whose deltas carry ids: what holds wherever snapshots come from.

1. Reversal (an id goes backwards on its own link): the book is no longer LIVE, a fresh snapshot is awaited.
2. Gap: by policy CONTINUE the delta is applied and the book goes on as GAPPED while a snapshot is on its way;
   IGNORE goes on without healing; RESYNC withholds the book until a snapshot has come.
3. A LIVE book that crosses has lost something nobody saw: CROSSED, and a snapshot. A GAPPED book that crosses is
   repaired by removing what the newer update contradicts, and stays GAPPED.
4. Several links may bring the same stream: the first arrival of an id counts (see `steps`). Different levels under one
   id are a disagreement: nobody knows which is right, so a snapshot decides.
5. While a snapshot is awaited, deltas are buffered. A delta that fits a book which only lacked proof that it is current
   may make the snapshot needless.
A snapshot replaces the book in one step: readers see the old book, then the new one. How it is had and judged is told
by `joined` (by REST) and `in_band` (in the stream).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from hoga.domain.actions import Action, FactKind, Note
from hoga.domain.asking import LOW, NORMAL, URGENT, Asking
from hoga.domain.book import Book
from hoga.domain.early import Chain, Early
from hoga.domain.errors import FrameError
from hoga.domain.joining import JoinBuffer
from hoga.domain.keeper import Keeper, KeeperRules
from hoga.domain.recent import Recent
from hoga.domain.sequencer import Sequencer, Verdict
from hoga.domain.steps import BEREFT_NS, FROZEN_NS, Steps
from hoga.domain.types import NO_SEQ, GapPolicy, Stamp, State, Update
from hoga.domain.whole import crossed_note


class SequencedKeeper(Keeper):
    def __init__(self, rules: KeeperRules, *, kept: int, retry_ns: int, in_band: bool) -> None:
        """`kept`: levels a side that the exchange keeps for us; 0: no limit. `retry_ns`: when an unanswered request is
        repeated, doubled up to the limit of the rules. `in_band`: a snapshot is had by subscribing again."""
        super().__init__(rules, kept=kept)
        limit_ns = rules.retry_limit_ns
        self._recent = Recent()
        self._sequencer = Sequencer()
        self._buffer = JoinBuffer(rules.buffer_updates, rules.buffer_age_ns)
        self._asking = Asking(in_band=in_band, retry_ns=retry_ns, retry_limit_ns=limit_ns)
        self._steps = Steps(lambda link: Asking(in_band=True, retry_ns=retry_ns, retry_limit_ns=limit_ns, link=link))
        self._early = Early(rules.buffer_updates, rules.buffer_age_ns)
        self._prove_by_ns = 0
        """When a link must have brought something that fits the book, 0 where none has to."""
        self._renumbered = False
        """Ids have gone backwards since the book was last joined."""
        self._count_before = 0
        """The last id before they did."""
        self._handed_over_ns = 0
        """Until then a link that was replaced as planned may go on."""

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

    @abstractmethod
    def _replace(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A snapshot in the stream."""

    @abstractmethod
    def _patience_ns(self) -> int:
        """How long a snapshot that is wanted now need not be asked for."""

    def reject(self, error: FrameError, stamp: Stamp, link: str = "") -> list[Action]:
        note = self._rejected(error)
        self._buffer.restart()  # no chain goes over a frame that could not be read
        if self.base is State.SYNCING:
            return [note]
        if self.base is not State.CROSSED:
            self._set_base(State.GAPPED, f"a frame was rejected ({error.reason})")
        return [note, *self._want(NORMAL, stamp), *self._changed()]

    def tick(self, stamp: Stamp) -> list[Action]:
        actions: list[Action] = self._tick_audit(stamp)
        actions += self._tick_links(stamp)
        if self.state is State.LIVE and self._led_astray(stamp):
            actions += self.outdate("only older ids arrive") + self._want(LOW, stamp)
        if self.state is State.LIVE and not self.wanting and self._steps.overdue(stamp):
            actions += self.outdate("what lies before that of a faster link does not come") + self._want(LOW, stamp)
            for chain in self._early.chains():
                self._kept_for_join(chain, stamp)
            actions += self._hurry(stamp)
        return actions + self._tick_request(stamp) if self.wanting else actions

    def _tick_request(self, stamp: Stamp) -> list[Action]:
        """What time decides while a snapshot is wanted."""
        return self._asking.tick(stamp)

    def _led_astray(self, stamp: Stamp) -> bool:
        """Whether only older ids arrive, and the link that led the book to where it is cannot tell any more."""
        mover = self._sequencer.mover
        return self._steps.backward(stamp) and not (mover and self._proves(mover))

    def _tick_links(self, stamp: Stamp) -> list[Action]:
        actions: list[Action] = []
        if self._prove_by_ns and stamp.mono_ns >= self._prove_by_ns:
            self._prove_by_ns = 0
            if self.base is not State.SYNCING and not self._abreast():
                actions += self.outdate("nothing that fits the book has arrived over the links that are left")
                actions += self._want(LOW, stamp)
        return actions

    def _heard_live(self) -> bool:
        return any(
            self._proves(link) and not self._sequencer.astray(link) for link in self._heard & self._steps.in_step
        )

    def _abreast(self) -> bool:
        """Whether a link that is live has brought all that the book holds."""
        heard = self._heard & self._steps.in_step
        return any(
            self._proves(link) and not self._sequencer.astray(link) and not self._sequencer.short(link)
            for link in heard
        )

    def _contradicted(self, detail: str, stamp: Stamp) -> list[Action]:
        return self._resync(f"an audit contradicts the book: {detail}", None, stamp)

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

    def link_moved(self, stamp: Stamp, *, planned: bool = True) -> list[Action]:
        self._handed_over_ns = stamp.mono_ns + FROZEN_NS
        if self.base is State.SYNCING:
            return []
        if self._heard_live():
            if not planned and not self._abreast():
                self._prove_within(BEREFT_NS, stamp)  # it may have been mute for long
            return []
        self._begin_anew(stamp, planned=planned)
        return self._want(LOW, stamp)

    def _begin_anew(self, stamp: Stamp, *, planned: bool) -> None:
        """No link that is left has brought the symbol yet."""
        if not planned:
            self._prove_within(BEREFT_NS, stamp)

    def _prove_within(self, wait_ns: int, stamp: Stamp) -> None:
        due_ns = stamp.mono_ns + wait_ns
        self._prove_by_ns = min(self._prove_by_ns or due_ns, due_ns)

    def _collect(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A delta while there is no book to apply it to."""
        actions: list[Action] = []
        if not self._counts(link):
            self._hear(link)
            self._early.keep(link, update, stamp.mono_ns)  # it may be reported to be up in a moment
            return actions
        self._kept_for_join(self._early.take(link), stamp)
        if not self.wanting:
            actions += self._want(URGENT, stamp)
        if self._of_the_past(update, link):
            self.counters.stale += 1
            return actions
        before = self._buffer.last
        verdict = self._buffer.add(link, update, stamp.mono_ns)
        if verdict is Verdict.STALE and before is not None and update.seq < before and self._steps.frozen(link, stamp):
            verdict = Verdict.REVERSAL
            self._buffer.restart()
        if verdict is Verdict.REVERSAL:
            self._count_anew(before or 0)
        if verdict is not Verdict.STALE:
            self._moved_ns = stamp.mono_ns
            self._steps.current()
            self._recent.remember(update, link)
        elif self._recent.agrees(update, link) is False:
            return actions + self._disagree(update, stamp)
        self._hear(link)
        actions += self._count(verdict, update, before)
        return actions + self._collected(stamp)

    def _of_the_past(self, update: Update, link: str) -> bool:
        """Whether a delta is of an earlier era than other links bring."""
        return False

    def _collected(self, stamp: Stamp) -> list[Action]:
        """A delta has come while there is no book; it may be what a snapshot lacked."""
        return []

    def _follow_unnumbered(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A delta without ids."""
        return self.reject(FrameError("shape", "a delta without ids"), stamp)

    def _follow(self, update: Update, link: str, stamp: Stamp, *, patient: bool = True) -> list[Action]:
        """A delta for a book that stands. `patient`: what lies before it may still come over another link."""
        before = self._sequencer.last
        if patient and self._merely_faster(update, link, stamp):
            self._early.keep(link, update, stamp.mono_ns)
            counts = self.wanting and self._counts(link)  # a snapshot may lie between the book and this
            if counts and self._buffer.add(link, update, stamp.mono_ns) is not Verdict.STALE:
                self._recent.remember(update, link)
            return []
        ahead = self._sequencer.ahead(link)
        early = [] if ahead else self._early.take(link)
        if early and before is not None and before < update.prev_seq < update.seq:
            return self._replay([*early, (link, update)], stamp)  # nobody else leads to where it began
        verdict = self._sequencer.judge(link, update.prev_seq, update.seq)
        astray = self._sequencer.astray(link)
        older = verdict is Verdict.STALE and before is not None and not ahead and (update.seq < before or astray)
        sent_later = 0 < self.exchange_time_ns < update.exchange_time_ns
        if older and self._steps.frozen(link, stamp, sent_later=sent_later):
            verdict = Verdict.REVERSAL
        actions = self._count(verdict, update, before)
        if verdict is Verdict.STALE:
            self._hear(link)
            if astray:
                if self._sequencer.ahead(link):
                    self._early.keep(link, update, stamp.mono_ns)
                else:
                    self._early.take(link)
                self._strayed(stamp)
                return actions
            agrees = self._recent.agrees(update, link)
            if agrees is False:
                return actions + self._disagree(update, stamp)
            if agrees or not older:
                self._steps.agreed(link)
            if not older and self._proves(link):
                self._steps.current()
                self.stale_reason = ""  # a keep-alive, or the other line: the book is what the exchange has
                actions += self._changed() + self._settle(link)
            return actions
        if update.seq < update.prev_seq and verdict is not Verdict.REVERSAL:
            self._recent.clear()
            actions.append(renumbered(update.prev_seq, update.seq))
        if verdict is Verdict.REVERSAL:
            self._count_anew(before or 0)
            return actions + self._resync("an id went backwards", None, stamp)
        if self._recent.agrees(update, link) is False:
            return actions + self._disagree(update, stamp)
        if self.wanting and self._counts(link):
            self._buffer.add(link, update, stamp.mono_ns)
        if verdict is Verdict.GAP:
            if self.rules.gap_policy is GapPolicy.RESYNC:
                return actions + self._resync("ids are missing", (link, update), stamp)
            self.missing += update.prev_seq - (before or 0)
            self._set_base(State.GAPPED, f"{self.missing} ids are missing")
            if self.rules.gap_policy is GapPolicy.CONTINUE:
                actions += self._want(LOW, stamp, (link, update))
        return self._apply(update, link, stamp, actions) + self._hurry(stamp) + self._catch_on(stamp)

    def _catch_on(self, stamp: Stamp) -> list[Action]:
        """Where the book has come to where a faster link began, what that one has brought since follows."""
        actions: list[Action] = []
        for link in self._early.reached(self._sequencer.last or 0):
            if not self._sequencer.astray(link):
                actions += self._replay(self._early.take(link), stamp)
        return actions

    def _replay(self, chain: list[tuple[str, Update]], stamp: Stamp) -> list[Action]:
        actions: list[Action] = []
        for link, update in chain:
            if self.base is State.SYNCING:
                actions += self._collect(update, link, stamp)
            else:
                actions += self._follow(update, link, stamp, patient=False)
        return actions

    def _kept_for_join(self, chain: Chain, stamp: Stamp) -> None:
        for link, update in chain:
            self._buffer.add(link, update, stamp.mono_ns)

    def _count_anew(self, before: int) -> None:
        """Ids have gone backwards; `before`: the last one."""
        self._renumbered, self._count_before = True, before
        self._recent.clear()
        self._early.clear()

    def _strayed(self, stamp: Stamp) -> None:
        """What a link brings counts otherwise than the book."""

    def _merely_faster(self, update: Update, link: str, stamp: Stamp) -> bool:
        """Whether a delta begins beyond the book because its link, of which nothing has fitted yet, is faster than
        those that lead the book on."""
        sequencer = self._sequencer
        if sequencer.last is None or update.prev_seq <= sequencer.last:
            return False
        placed = sequencer.knows(link) and (link in self._steps.in_step or sequencer.astray(link))
        if update.seq < update.prev_seq and not self._recent.has(update):
            return False  # a new count that the book has not begun
        return not placed and self._may_come_through_others(link, stamp) and self._steps.ahead(link, stamp)

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
        self._recent.remember(update, link)
        self.sequence = max(update.seq, 0)
        self._steps.moved(link)
        self._took(update, link, stamp)
        self._audit.touch(update.bids, update.asks)
        if self.book.crossed:
            actions += self._uncross(update, link, stamp)
        actions += self._verify(update, stamp)
        return actions if self.base is State.SYNCING else actions + self._went_on(link, stamp)

    def _verify(self, update: Update, stamp: Stamp) -> list[Action]:
        """Holds the book against what the update says of it."""
        return []

    def _went_on(self, link: str, stamp: Stamp) -> list[Action]:
        """The book has taken a delta."""
        return (self._settle(link) if self.base is State.LIVE else []) + self._published()

    def _settle(self, link: str) -> list[Action]:
        """What a live link has just proven needs no snapshot."""
        if not (self._needless() and self.wanting and self.state is State.LIVE and self._proves(link)):
            return []
        self._stop_wanting()
        return [Note(FactKind.RESYNC_FINISHED, f"the stream goes on at {self.sequence}", found=self.sequence)]

    def _needless(self) -> bool:
        """Whether the snapshot that is wanted was to show no more than that the book is current."""
        return self._asking.unasked and self._asking.priority == LOW

    def _disagree(self, update: Update, stamp: Stamp) -> list[Action]:
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

    def _resync(self, reason: str, first: tuple[str, Update] | None, stamp: Stamp) -> list[Action]:
        """The book is not to be trusted any more; a new one is built from a snapshot."""
        self._set_base(State.SYNCING, reason)
        self._early.clear()
        self._stop_wanting()
        return [*self._want(URGENT, stamp, first), *self._changed()]

    def _want(self, priority: int, stamp: Stamp, first: tuple[str, Update] | None = None) -> list[Action]:
        """Begins to buffer and asks for a snapshot, unless that is under way."""
        if self.wanting:
            return self._asking.raise_to(priority)
        if first is not None:
            self._buffer.add(*first, stamp.mono_ns)
        why = self.base_reason or self.stale_reason or "re-centring the proven range"
        actions: list[Action] = [
            Note(FactKind.RESYNC_STARTED, why),
            *self._asking.begin(priority, stamp, wait_ns=self._patience_ns()),
        ]
        return actions + self._hurry(stamp)

    def _hurry(self, stamp: Stamp) -> list[Action]:
        """What a snapshot that is wanted needs may be here."""
        return []

    def _stop_wanting(self) -> None:
        self._asking.end()
        self._buffer.restart()

    def _install(
        self,
        book: Book,
        sequencer: Sequencer,
        last: Update,
        link: str,
        applied: int,
        stamp: Stamp,
        *,
        notes: Iterable[Note] = (),
        quiet: bool = False,
    ) -> list[Action]:
        """Puts a new book in the place of the old one. `last`, `link`: the newest update in it, and what brought it
        (empty: REST). `notes`: what a comparison of both showed; `quiet`: that was all the new one was for."""
        actions: list[Action] = [*notes]
        book.orphan_deletes += self.book.orphan_deletes
        self._audited(self._audit.stop())
        self.book, self._sequencer = book, sequencer
        self._early.leave(sequencer.last or 0)
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
            wanted = self._want(LOW, stamp) if self.stale_reason else []
            actions, quiet = actions + wanted, quiet and not wanted
        if quiet:
            return actions + self._published()
        self.counters.resyncs += 1
        detail = f"joined at {self.sequence}" if healed else f"re-centred at {self.sequence}"
        return [*actions, Note(FactKind.RESYNC_FINISHED, detail, found=self.sequence), *self._published()]


def refuse_crossed(book: Book, what: str) -> None:
    """Raises: FrameError where the book is crossed."""
    if book.crossed:
        raise FrameError("crossed", crossed_note(book, what).detail)


def renumbered(before: int, found: int) -> Note:
    return Note(FactKind.RENUMBERED, f"the exchange counts anew: {found} after {before}", before, found)
