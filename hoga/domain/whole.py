"""The keeper for exchanges whose every frame is the whole book and that give no ids.

1. a frame replaces the book where its time is not older; an older one is dropped and counted, unless nothing newer
   has arrived for a while: then the exchange's clock was set back (or ran ahead before) and arrival decides, unless
   it is a second line that is merely late: its own times go forward; where nothing at all follows what was dropped,
   nobody knows which is the newest: the book is STALE, and a snapshot not older than what was dropped decides. A
   frame without a time has that of the one before it over its link;
2. a frame equal to the last one is counted and changes nothing;
3. a frame that is crossed in itself, or cannot be read, is rejected: the book before it is no longer known to be
   current, so it is STALE until the next good frame;
4. while the book is not LIVE a snapshot is asked for now and then: a quiet market sends no frame by itself;
5. nothing can be missing by evidence, so LIVE here means: received over a live link and consistent in itself
   (the published book says `verified = false`).
"""

from __future__ import annotations

import msgspec

from hoga.domain.actions import Action, FactKind, Note, RequestSnapshot
from hoga.domain.book import Book
from hoga.domain.errors import FrameError
from hoga.domain.keeper import SECOND_NS, Keeper, KeeperRules
from hoga.domain.sequencer import REMEMBERED_LINKS
from hoga.domain.steps import BEREFT_NS, FROZEN_NS
from hoga.domain.types import Level, Stamp, State, Update

PATIENCE_NS = 3 * SECOND_NS
"""How long the next frame is waited for before a snapshot is asked for."""
CLOCK_NS = SECOND_NS
"""Older frames are dropped as late for so long after the last good one; beyond, they are the newest there is."""
LATE_NS = 30 * SECOND_NS
"""A second line is not later than this."""
PRIORITY = 4


class WholeBookKeeper(Keeper):
    def __init__(self, rules: KeeperRules, *, kept: int = 0) -> None:
        super().__init__(rules, kept=kept)
        self._last_levels: tuple[list[Level], list[Level]] | None = None
        self._ask_at_ns = 0
        self._attempt = 0
        self._newest: dict[str, tuple[int, int]] = {}
        """Link -> exchange time of its newest frame, and when that came, monotonic."""
        self._mover = ""
        """The link that brought the book."""
        self._prove_by_ns = 0
        """When a new link must have brought something, 0 where none has to."""
        self._dropped_at_ns = 0
        """When the first frame was dropped as older since the book last went forward; 0: none was."""
        self._dropped_time_ns = 0
        """The exchange time of the newest of these."""
        self.base_reason = "waiting for the first frame"

    def open(self, stamp: Stamp) -> list[Action]:
        self._ask_later(stamp)
        return self._changed()

    def receive(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        self.counters.updates += 1
        if not update.exchange_time_ns and link in self._newest:
            update = msgspec.structs.replace(update, exchange_time_ns=self._newest[link][0])
        self._hear(link)
        time_note = self._times.check(update.exchange_time_ns, stamp.wall_ns, link)
        actions: list[Action] = [] if time_note is None else [time_note]
        late = self._late(update, link, stamp)
        if update.exchange_time_ns < self.exchange_time_ns and (late or stamp.mono_ns - self._moved_ns < CLOCK_NS):
            self.counters.stale += 1
            if not late:
                self._dropped_at_ns = self._dropped_at_ns or stamp.mono_ns
                self._dropped_time_ns = update.exchange_time_ns
            return actions
        self._mover = link
        return actions + self._take(update, link, stamp)

    def _late(self, update: Update, link: str, stamp: Stamp) -> bool:
        """Whether a frame, if it is older than the book, comes over a second line that lags behind the first."""
        own, _ = self._newest.pop(link, (0, 0))
        self._newest[link] = (update.exchange_time_ns, stamp.mono_ns)
        if len(self._newest) > REMEMBERED_LINKS:
            del self._newest[next(iter(self._newest))]
        if self.live_links is None or link == self._mover or not self._proves(self._mover):
            return False
        return own <= update.exchange_time_ns and self.exchange_time_ns - update.exchange_time_ns < LATE_NS

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        self.counters.snapshots += 1
        if self._audit.asked and self.state is State.LIVE:
            self._audit.answer(update, limit, stamp)
            return []
        oldest_ns = self._dropped_time_ns if self._dropped_at_ns else self.exchange_time_ns
        if self.state is State.LIVE or self.uncovered_reason or update.exchange_time_ns < oldest_ns:
            return []
        actions = self._take(update, "", stamp)
        if self._last_levels is None:
            return actions
        self.stale_reason = ""
        return actions + self._changed()

    def reject(self, error: FrameError, stamp: Stamp, link: str = "") -> list[Action]:
        if error.reason == "crossed":
            self.counters.crossed += 1
        actions: list[Action] = [self._rejected(error)]
        self._last_levels = None
        if not self.stale_reason:
            self.stale_reason = f"the newest frame was rejected ({error.reason})"
            self._ask_later(stamp)
        return actions + self._changed()

    def tick(self, stamp: Stamp) -> list[Action]:
        if self._prove_by_ns and stamp.mono_ns >= self._prove_by_ns:
            self._prove_by_ns = 0
            if self.base is State.LIVE and not self._heard_live():
                self._attempt, self._ask_at_ns = 0, 0
                return self.outdate("a new link took over; nothing has arrived over it for this symbol")
        if self._dropped_at_ns and self.state is State.LIVE and stamp.mono_ns - self._dropped_at_ns > CLOCK_NS:
            self._attempt, self._ask_at_ns = 0, 0
            return self.outdate("frames that are older by their time were the last to arrive")
        audit = self._tick_audit(stamp)
        if self.state is State.LIVE or self.uncovered_reason or self.halt_reason or stamp.mono_ns < self._ask_at_ns:
            return audit
        self._attempt += 1
        wait_ns = self.rules.retry_ns << min(self._attempt, 10)
        self._ask_at_ns = stamp.mono_ns + min(wait_ns, self.rules.retry_limit_ns)
        return [*audit, RequestSnapshot(PRIORITY, self._attempt)]

    def link_up(self, stamp: Stamp) -> list[Action]:
        self._ask_later(stamp)
        return super().link_up(stamp)

    def link_moved(self, stamp: Stamp, *, planned: bool = True) -> list[Action]:
        # The old link still delivers for a while, so the book need not blink; but the new one must show itself.
        due_ns = stamp.mono_ns + (PATIENCE_NS if planned else BEREFT_NS)
        self._prove_by_ns = min(self._prove_by_ns or due_ns, due_ns)
        # One that fell silent while the book went on has to show itself, too.
        self._heard = {link for link in self._heard if self._moved_ns - self._newest.get(link, (0, 0))[1] <= FROZEN_NS}
        return []

    def _take(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        self._dropped_at_ns = 0
        if self._last_levels == (update.bids, update.asks) and self.state is State.LIVE:
            self.counters.repeated += 1
            self._took(update, link, stamp)
            return []
        fresh = Book()
        fresh.price_decimals, fresh.size_decimals = self.book.price_decimals, self.book.size_decimals
        try:
            fresh.replace(update.bids, update.asks)
            if fresh.crossed:
                raise FrameError("crossed", _crossing(fresh))
        except FrameError as error:
            return self.reject(error, stamp)
        self._audit.replaced(fresh)
        self.book = fresh
        self._last_levels = (update.bids, update.asks)
        self._attempt = 0
        self.counters.applied += 1
        self._set_base(State.LIVE)
        self._took(update, link, stamp)
        return self._published()

    def _ask_later(self, stamp: Stamp) -> None:
        self._attempt = 0
        self._ask_at_ns = stamp.mono_ns + PATIENCE_NS


def _crossing(book: Book) -> str:
    ((bid, _),), ((ask, _),) = book.texts(1)
    return f"best bid {bid} is not below best ask {ask} in one frame"


def crossed_note(book: Book, detail: str) -> Note:
    """The fact that a book is crossed, with its two best prices."""
    return Note(FactKind.CROSSED, f"{_crossing(book)}: {detail}")
