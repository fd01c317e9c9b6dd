"""The keeper for exchanges whose deltas carry ids and whose snapshots come in the stream.

1. A snapshot is had by subscribing again; a fresh subscription brings one by itself. It is the book from there on,
   unless another live link has brought as much already.
2. Where the exchange sends a checksum with an update, the book must have it afterwards, or a snapshot replaces it.
3. A link whose ids count otherwise than the book is asked for a snapshot of its own.
"""

from __future__ import annotations

from hoga.domain.actions import Action
from hoga.domain.book import Book
from hoga.domain.checksum import Checksum, LevelTexts
from hoga.domain.errors import FrameError
from hoga.domain.keeper import KeeperRules
from hoga.domain.sequenced import SequencedKeeper, refuse_crossed, renumbered
from hoga.domain.steps import FROZEN_NS
from hoga.domain.types import Stamp, State, Update

BY_ITSELF_NS = 2_000_000_000
"""How long the snapshot of a fresh subscription is waited for before it is asked for."""


class InBandKeeper(SequencedKeeper):
    def __init__(self, rules: KeeperRules, *, kept: int = 0, checksum: Checksum | None = None) -> None:
        """`kept`: levels a side that the exchange keeps correct for us; 0: no limit."""
        super().__init__(rules, kept=kept, retry_ns=min(rules.retry_ns, BY_ITSELF_NS), in_band=True)
        self._checksum = checksum
        self._texts: LevelTexts | None = None
        """Only while the stream carries checksums."""
        self._fresh_link = True
        """Nothing was asked for on this link yet: its first snapshot comes by itself."""

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        self.counters.snapshots += 1
        if self._audit.asked and self.state is State.LIVE:
            self._audit.answer(update, limit, stamp)
        return []

    def link_up(self, stamp: Stamp) -> list[Action]:
        self._fresh_link = not self.settled_link
        return super().link_up(stamp)

    def _begin_anew(self, stamp: Stamp, *, planned: bool) -> None:
        super()._begin_anew(stamp, planned=planned)
        self._prove_within(FROZEN_NS, stamp)
        self._fresh_link = True

    def _patience_ns(self) -> int:
        return BY_ITSELF_NS if self._fresh_link else 0

    def _needless(self) -> bool:
        return True

    def _tick_links(self, stamp: Stamp) -> list[Action]:
        actions = super()._tick_links(stamp)
        strays = [link for link in self._sequencer.strays() if self._proves(link)]
        for request in self._steps.tick(strays, stamp):
            self._sequencer.doubt(request.link)
            actions.append(request)
        return actions

    def _strayed(self, stamp: Stamp) -> None:
        if not self._heard_live():
            self._prove_within(FROZEN_NS, stamp)  # nobody leads the book on

    def _of_the_past(self, update: Update, link: str) -> bool:
        return not self._sequencer.hear(link, update.prev_seq, update.seq)

    def _follow_unnumbered(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A delta as the exchange sent them before they had ids: the checksum alone proves it."""
        if update.checksum is None:
            return super()._follow_unnumbered(update, link, stamp)
        if self.base is State.SYNCING or link != self._sequencer.mover:
            self.counters.stale += 1
            return []
        return self._apply(update, link, stamp, [])

    def _verify(self, update: Update, stamp: Stamp) -> list[Action]:
        if self._texts is None:
            return []
        self._texts.apply(update.bids, update.asks)
        if self._checksum is None or update.checksum is None or self.base is not State.LIVE:
            return []
        note = self._sum_up(self._checksum, self._texts, update.checksum)
        return [] if note is None else [note, *self._resync(note.detail, None, stamp)]

    def _replace(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        """A snapshot in the stream is authoritative: it is the book from here on."""
        self._early.take(link)  # the snapshot says more
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
            refuse_crossed(book, "the snapshot")
        except FrameError as error:
            return self.reject(error, stamp, link)
        actions: list[Action] = []
        if newer or (own and last is not None and 0 <= update.seq < last):
            actions.append(renumbered(last or 0, update.seq))
            self._buffer.restart()
        texts = None
        if update.checksum is not None and self._checksum is not None:
            texts = LevelTexts(book)
            texts.apply(update.bids, update.asks)
            note = self._sum_up(self._checksum, texts, update.checksum)
            if note is not None:
                return [*actions, note, *self.reject(FrameError("checksum", note.detail), stamp, link)]
        try:
            led = self._catch_up(book, update, link)
        except FrameError as error:
            return actions + self.reject(error, stamp, link)
        at = None if update.seq < 0 else led[-1][1].seq
        sequencer.start(link, None if update.seq < 0 else update.seq, at, led[-1][0])
        self._texts = texts
        self._recent.clear()
        for other, delta in led[1:]:
            self._recent.remember(delta, other)
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
            self._steps.ahead(link, stamp)
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
            self._asking.again_soon(stamp)
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
        if self._sequencer.crossed({other for other, _ in waiting} - {link}, link, update.seq):
            return led
        for other, delta in waiting:
            if delta.seq > led[-1][1].seq:
                book.apply(delta.bids, delta.asks)
                refuse_crossed(book, "the snapshot with what followed")
                led.append((other, delta))
        return led
