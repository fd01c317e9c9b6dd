"""The keeper for exchanges whose every frame is the whole book and that give no ids.

1. a frame replaces the book where its time is not older; an older one is dropped and counted;
2. a frame equal to the last one is counted and changes nothing;
3. a frame that is crossed in itself, or cannot be read, is rejected: the book before it is no longer known to be
   current, so it is STALE until the next good frame;
4. nothing can be missing by evidence, so LIVE here means: received over a live link and consistent in itself
   (the published book says `verified = false`).
"""

from __future__ import annotations

from hoga.domain.actions import Action, FactKind, Note
from hoga.domain.book import Book
from hoga.domain.errors import FrameError
from hoga.domain.keeper import Keeper, KeeperRules
from hoga.domain.types import Level, Stamp, State, Update


class WholeBookKeeper(Keeper):
    def __init__(self, rules: KeeperRules) -> None:
        super().__init__(rules)
        self._last_levels: tuple[list[Level], list[Level]] | None = None
        self.base_reason = "waiting for the first frame"

    def open(self, stamp: Stamp) -> list[Action]:
        return self._changed()

    def receive(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        self.counters.updates += 1
        time_note = self._times.check(update.exchange_time_ns, stamp.wall_ns)
        actions: list[Action] = [] if time_note is None else [time_note]
        if update.exchange_time_ns < self.exchange_time_ns:
            self.counters.stale += 1
            return actions
        if self._last_levels == (update.bids, update.asks) and self.state is State.LIVE:
            self.counters.repeated += 1
            self._took(update, link, stamp)
            return actions
        fresh = Book()
        fresh.price_decimals, fresh.size_decimals = self.book.price_decimals, self.book.size_decimals
        try:
            fresh.replace(update.bids, update.asks)
            if fresh.crossed:
                raise FrameError("crossed", _crossing(fresh))
        except FrameError as error:
            return actions + self.reject(error, stamp)
        self.book = fresh
        self._last_levels = (update.bids, update.asks)
        self.counters.applied += 1
        self._set_base(State.LIVE)
        self._took(update, link, stamp)
        return actions + self._published()

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        return self.receive(update, "rest", stamp)

    def reject(self, error: FrameError, stamp: Stamp) -> list[Action]:
        if error.reason == "crossed":
            self.counters.crossed += 1
        actions: list[Action] = [self._rejected(error)]
        self._last_levels = None
        if not self.stale_reason:
            self.stale_reason = f"the newest frame was rejected ({error.reason})"
        return actions + self._changed()

    def tick(self, stamp: Stamp) -> list[Action]:
        return []


def _crossing(book: Book) -> str:
    ((bid, _),), ((ask, _),) = book.texts(1)
    return f"best bid {bid} is not below best ask {ask} in one frame"


def crossed_note(book: Book, detail: str) -> Note:
    """The fact that a book is crossed, with its two best prices."""
    return Note(FactKind.CROSSED, f"{_crossing(book)}: {detail}")
