"""Mending by REST snapshots: one episode for the symbol, whose answer is offered to every stream.

1. while it lasts every stream keeps what it brings, so that the answer can be joined to each of them;
2. an answer is joined where the chain of a stream proves it; one that nothing proves yet is held until a delta does, or
   a second one says the same; one that contradicts the chain at its own id is not believed;
3. where ids went backwards without saying so, or a fresh chain ends below what is published, an answer ahead of a chain
   may be of the count before: it is held until the chain comes there, which has to be soon;
4. an answer to a book that is LIVE at the same id is an audit of it.
"""

from __future__ import annotations

from hoga.domain.actions import FactKind
from hoga.domain.arbiter import AHEAD_NS, PATIENCE_NS
from hoga.domain.audit import AGREED, differences
from hoga.domain.backoff import Backoff
from hoga.domain.books import Book, new_book
from hoga.domain.chain import Fit
from hoga.domain.checks import EventTimes
from hoga.domain.episode import BACKGROUND, LOW, URGENT, Episode
from hoga.domain.errors import FrameError
from hoga.domain.ledger import Ledger
from hoga.domain.recovery import Recovery
from hoga.domain.stream import Stream, crossing
from hoga.domain.types import Stamp, State, Update

PROOF_NS = 500_000_000
"""How long a first request waits for deltas to join its answer to, or for the stream to make it needless."""
CONTRADICTIONS = 3
"""So many answers against one chain: it is the chain that is not believed any more."""


class RestRecovery(Recovery):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.episode = Episode(ledger.out, Backoff(ledger.rules.retry_ns, ledger.rules.retry_limit_ns))
        self.auditing = False
        self._held: Update | None = None
        self._held_ns = 0
        self._limit = 0
        self._contradicted = 0

    @property
    def wanting(self) -> bool:
        return self.episode.on

    @property
    def stubborn(self) -> bool:
        return self.episode.on and self.episode.stubborn

    def want(self, stream: Stream | None, priority: int, stamp: Stamp) -> None:
        if self.episode.on:
            self.episode.raise_to(priority)
        else:
            why = self.ledger.grade_reason or self.ledger.status.doubt or "re-centring the proven range"
            self.ledger.out.note(FactKind.RESYNC_STARTED, why)
            self._begin(priority, stamp)
        self.hurry(stamp)

    def audit(self, stamp: Stamp) -> None:
        """Asks for a snapshot only to hold the book against it."""
        self._begin(BACKGROUND, stamp)
        self.auditing = True

    def _begin(self, priority: int, stamp: Stamp) -> None:
        for stream in self.ledger.arbiter.streams.values():
            stream.keep = True
            if stream.sound:
                stream.chain.clear()
        self.episode.begin(priority, stamp, wait_ns=PROOF_NS)

    def hurry(self, stamp: Stamp) -> None:
        if self.episode.on and any(stream.chain for stream in self.ledger.arbiter.streams.values()):
            self.episode.hurry(stamp)

    def _end(self, stamp: Stamp, *, healed: bool) -> None:
        if self.auditing:
            self._count_audit(None)
        self._held, self._contradicted = None, 0
        self.episode.end(stamp, healed=healed)
        for stream in self.ledger.arbiter.streams.values():
            stream.keep = False
            if stream.grade is not State.SYNCING and not stream.stuck_ns:
                stream.chain.clear()

    def opened(self, stream: Stream, stamp: Stamp) -> None:
        stream.keep = self.episode.on
        front = self.ledger.arbiter.front
        if front is None or front.grade is State.SYNCING:
            self.want(stream, URGENT, stamp)
        elif self.ledger.status.doubt:
            self.want(stream, LOW, stamp)

    def closed(self, stream: Stream, stamp: Stamp) -> None:
        if not self.ledger.arbiter.covered:
            self._end(stamp, healed=False)  # what was kept leads nowhere: the next link begins a new chain

    def failed(self, stream: Stream, stamp: Stamp) -> None:
        self.want(stream, URGENT, stamp)

    def joined(self, stream: Stream, stamp: Stamp) -> None:
        pass  # the episode is of the symbol: `needless` ends it

    def forget_answer(self) -> None:
        self._held = None

    def needless(self, front: Stream, stamp: Stamp) -> bool:
        if not self.episode.on or self.episode.priority >= BACKGROUND:
            return False
        self._end(stamp, healed=False)
        return True

    def tick(self, stamp: Stamp) -> None:
        if not self.episode.on:
            return
        if self.auditing and self.ledger.state is not State.LIVE:
            self._count_audit(None)
            self.auditing = False
        ahead = self._held is not None and self._held.seq > self.ledger.arbiter.sequence
        if ahead and self.ledger.state is State.LIVE and stamp.mono_ns - self._held_ns > PATIENCE_NS:
            self.ledger.doubt("a snapshot is ahead of the stream, which brings nothing")
        self.episode.tick(stamp)

    # --- answers

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> None:
        if self.episode.on and update.seq >= 0:
            self._offer(update, 0 if self.ledger.kind.kept else limit, stamp)

    def arrived(self, stamp: Stamp) -> None:
        if self.episode.on and self._held is not None:
            self._offer(self._held, self._limit, stamp)

    def _offer(self, update: Update, limit: int, stamp: Stamp) -> None:
        """Joins an answer to every stream that it fits; holds it where nothing proves it."""
        joined = too_old = waiting = False
        self._note_doubtful()
        for stream in list(self.ledger.arbiter.streams.values()):
            fit = self._fit(stream, update, stamp)
            if fit is Fit.FITS:
                if not self._join(stream, update, limit, stamp):
                    return
                joined = True
            too_old |= fit is Fit.TOO_OLD
            waiting |= fit is Fit.UNPROVEN and bool(stream.chain)
        if joined:
            self._held = None
            if any(stream.sound for stream in self.ledger.arbiter.streams.values()):
                self._end(stamp, healed=True)
            else:
                self.episode.too_old(stamp)
        elif too_old and not waiting:
            self._held = None
            self.episode.too_old(stamp)
        else:
            self._hold(update, limit, stamp)

    def _note_doubtful(self) -> None:
        """A new count that was not said is knowledge of the symbol, not of a stream."""
        arbiter = self.ledger.arbiter
        front = arbiter.front
        shown = front.last if front is not None and front.grade is not State.SYNCING else 0
        anew = any(stream.reversed for stream in arbiter.streams.values())
        for stream in arbiter.streams.values():
            if stream.reversed or stream.grade is not State.SYNCING:
                continue
            if anew or (stream.chain and stream.chain.ends < shown):
                stream.reversed, stream.before = True, arbiter.sequence

    def _fit(self, stream: Stream, update: Update, stamp: Stamp) -> Fit:
        chain = stream.chain
        fit = chain.fit(update.seq, doubtful=stream.reversed)
        if stream.reversed and chain:
            late = self._held is update and stamp.mono_ns - self._held_ns > AHEAD_NS
            near = abs(update.seq - stream.before) < update.seq - chain.ends
            if (fit is Fit.FITS and late) or (fit is Fit.UNPROVEN and near):
                return Fit.TOO_OLD
        shown = stream is self.ledger.arbiter.front and self.ledger.state is State.LIVE
        if fit is Fit.UNPROVEN and shown and update.seq == stream.last:
            return Fit.FITS
        return Fit.UNPROVEN if fit is Fit.FITS and not stream.open else fit

    def _join(self, stream: Stream, update: Update, limit: int, stamp: Stamp) -> bool:
        ledger, front = self.ledger, self.ledger.arbiter.front
        try:
            book = self._read(update, limit)
            found = stream.chain.contradiction(book, update.seq)
            if found:
                raise FrameError("contradicted", f"the snapshot at {update.seq} is not what the stream says: {found}")
            seq, applied, last = stream.joined(book, update.seq, crossed=not ledger.matching)
        except FrameError as error:
            self._refuse(error, stamp)
            return False
        audited = stream is front and self._compare(stream, book, seq)
        doubted = bool(ledger.status.doubt) and seq >= ledger.arbiter.sequence
        shown = front is None or front is stream or front.grade is State.SYNCING or doubted
        healed = ledger.state is not State.LIVE
        ledger.counters.applied += applied
        stream.settle(book, seq, last or update, limit, stamp.mono_ns, stamp.wall_ns)
        if shown and not audited:
            ledger.counters.resyncs += 1
            ledger.out.note(FactKind.RESYNC_FINISHED, f"{'joined' if healed else 're-centred'} at {seq}", found=seq)
        if shown:
            ledger.arbiter.front = stream
        return True

    def _read(self, update: Update, limit: int) -> Book:
        book = new_book()
        book.replace(update.bids, update.asks, limit)
        if book.crossed and self.ledger.matching:
            raise FrameError("crossed", f"{crossing(book)}: the snapshot")
        return book

    def _refuse(self, error: FrameError, stamp: Stamp) -> None:
        self._held = None
        self.ledger.reject(error)
        self.episode.failed(stamp)
        self._contradicted += 1
        if self._contradicted % CONTRADICTIONS == 0:
            for stream in self.ledger.arbiter.streams.values():
                if stream.grade is State.SYNCING:
                    stream.chain.clear()

    def _hold(self, update: Update, limit: int, stamp: Stamp) -> None:
        """Nothing proves an answer yet. Two equal ones with nothing in the stream between them are believed."""
        held = self._held
        if held is update:
            return
        if held is None or held.seq != update.seq:
            self._held, self._limit, self._held_ns = update, limit, stamp.mono_ns
            self.episode.again_in(self.ledger.rules.confirm_ns, stamp)
            front = self.ledger.arbiter.front
            if front is None or not (front.book.bid_count or front.book.ask_count):
                self._show(update, limit, stamp)
            return
        waiting = any(stream.chain for stream in self.ledger.arbiter.streams.values())
        if not waiting and stamp.mono_ns - self._held_ns >= self.ledger.rules.confirm_ns // 2:
            self._confirm(update, limit, stamp)

    def _show(self, update: Update, limit: int, stamp: Stamp) -> None:
        """Where there is nothing else to be seen, an answer is, for what it is worth."""
        try:
            book = self._read(update, limit)
        except FrameError as error:
            self._refuse(error, stamp)
            return
        shown = Stream("", self.ledger.rules, self.ledger.kind, EventTimes(self.ledger.rules.time))
        shown.settle(book, update.seq, update, limit, stamp.mono_ns, stamp.wall_ns)
        shown.lose("the snapshot waits for a delta that proves it current")
        self.ledger.arbiter.front = shown

    def _confirm(self, update: Update, limit: int, stamp: Stamp) -> None:
        ledger = self.ledger
        front = ledger.arbiter.front
        if front is None or not front.sound or not front.open or front.last != update.seq:
            try:
                book = self._read(update, limit)
            except FrameError as error:
                self._refuse(error, stamp)
                return
            for stream in ledger.arbiter.streams.values():
                if stream.open:
                    stream.settle(book.copy(), update.seq, update, limit, stamp.mono_ns, stamp.wall_ns)
        ledger.believe()
        ledger.counters.resyncs += 1
        ledger.out.note(FactKind.RESYNC_FINISHED, f"joined at {update.seq}", found=update.seq)
        self._end(stamp, healed=True)

    # --- audits

    def _compare(self, stream: Stream, book: Book, seq: int) -> bool:
        """A LIVE book and the one that takes its place, at the same id; whether that was all it was for."""
        if self.ledger.state is not State.LIVE or seq != stream.last:
            self._count_audit(None)
            return False
        found, audit = differences(stream.book, book), self.auditing
        self._count_audit(not found)
        if found:
            self.ledger.out.note(FactKind.AUDIT_MISMATCH, "; ".join(found), found=seq)
        elif audit:
            self.ledger.out.note(FactKind.AUDIT_AGREED, AGREED, found=seq)
        return audit and not found

    def _count_audit(self, agreed: bool | None) -> None:
        """None: nothing was proven. What was not asked for as an audit counts only where it contradicts the book."""
        counters = self.ledger.counters
        counters.audits_disagreed += agreed is False
        if self.auditing:
            counters.audits_agreed += agreed is True
            counters.audits_open += agreed is None
        self.auditing = False
