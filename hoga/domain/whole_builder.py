"""The builder for exchanges whose every frame is the whole book and that give no ids: each frame is a join, and the
exchange's time of it stands for the id.

1. a frame replaces the book where its time is not older; an older one is dropped and counted, unless nothing newer
   has arrived for a while: then the exchange's clock was set back (or ran ahead before) and arrival decides, unless
   it comes over another link that is merely late: its own times go forward; where nothing at all follows what was
   dropped, nobody knows which is the newest: the book is STALE, and a snapshot not older than what was dropped
   decides. A frame without a time has that of the one before it over its link;
2. a frame equal to the last one is counted and changes nothing;
3. a frame that is crossed in itself, or cannot be read, is rejected: the book before it is no longer known to be
   current, so it is STALE until the next good frame; while orders do not match a crossed frame is right;
4. while the book is not LIVE a snapshot is asked for now and then: a quiet market sends no frame by itself;
5. nothing can be missing by evidence, so LIVE here means: received over a live link and consistent in itself
   (the published book says `verified = false`).
"""

from __future__ import annotations

import msgspec

from hoga.domain.actions import RequestSnapshot
from hoga.domain.backoff import Backoff
from hoga.domain.books import new_book
from hoga.domain.builder import BookBuilder
from hoga.domain.checks import EventTimes
from hoga.domain.doubts import LATE_NS
from hoga.domain.errors import FrameError
from hoga.domain.links import LinkEvent
from hoga.domain.rules import SECOND_NS, BookRules, Kind
from hoga.domain.stream import Stream, crossing
from hoga.domain.troubles import BEREFT_NS
from hoga.domain.types import Stamp, State, Update

PATIENCE_NS = 3 * SECOND_NS
"""How long the next frame is waited for before a snapshot is asked for."""
CLOCK_NS = SECOND_NS
"""Older frames are dropped as late for so long after the last good one; beyond, they are the newest there is."""
PRIORITY = 4


class WholeBuilder(BookBuilder):
    def __init__(self, rules: BookRules, kind: Kind) -> None:
        super().__init__(rules, kind)
        self._ask_at_ns = 0
        self._attempt = 0
        self._dropped_ns = 0
        """When the first frame was dropped as older since the book last went forward; 0: none was."""
        self._dropped_time_ns = 0
        """The exchange time of the newest of these."""

    def receive(self, update: Update, link: str, stamp: Stamp) -> None:
        self.counters.updates += 1
        arbiter = self.ledger.arbiter
        stream = arbiter.streams.get(link) or self._begin(link)
        if not update.exchange_time_ns and stream.heard:
            update = msgspec.structs.replace(update, exchange_time_ns=stream.heard)
        self._check_time(stream, update, stamp)
        late = self._late(stream, update)
        stream.heard, stream.heard_ns = update.exchange_time_ns, stamp.mono_ns
        older = arbiter.front is not None and update.exchange_time_ns < self.exchange_time_ns
        if older and (late or stamp.mono_ns - self._moved_ns < CLOCK_NS):
            self.counters.stale += 1
            if not late:
                self._dropped_ns = self._dropped_ns or stamp.mono_ns
                self._dropped_time_ns = update.exchange_time_ns
            return
        self._take(stream, update, stamp)

    def _late(self, stream: Stream, update: Update) -> bool:
        """Whether a frame, if it is older than the book, comes over a link that lags behind the one that leads."""
        front = self.ledger.arbiter.front
        if front is None or stream is front or not front.open:
            return False
        behind_ns = self.exchange_time_ns - update.exchange_time_ns
        return (stream.heard or 0) <= update.exchange_time_ns and behind_ns < LATE_NS

    @property
    def _moved_ns(self) -> int:
        front = self.ledger.arbiter.front
        return front.moved_ns if front is not None else 0

    def _take(self, stream: Stream, update: Update, stamp: Stamp) -> None:
        front = self.ledger.arbiter.front
        self._dropped_ns = 0
        last = front.newest if front is not None and self.state is State.LIVE else None
        same = last is not None and (last.bids, last.asks) == (update.bids, update.asks)
        if same and front is not None:
            self.counters.repeated += 1
            stream.book = front.book
        else:
            book = new_book()
            try:
                book.replace(update.bids, update.asks)
                if book.crossed and self.ledger.matching:
                    raise FrameError("crossed", f"{crossing(book)} in one frame")
            except FrameError as error:
                self._refuse(error, stamp)
                return
            self._audit.replaced(book)
            stream.book = book
            self._attempt = 0
            self.counters.applied += 1
        stream.grade, stream.reason, stream.newest = State.LIVE, "", update
        stream.moved_ns, stream.wall_ns = stamp.mono_ns, stamp.wall_ns
        self.ledger.arbiter.front = stream
        if stream.open:
            self.ledger.believe()
        self._show(stream)
        self._finish(changed=not same)

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> None:
        self.counters.snapshots += 1
        if self._audit.asked and self.state is State.LIVE:
            self._audit.answer(update, limit, stamp)
            return
        oldest_ns = self._dropped_time_ns if self._dropped_ns else self.exchange_time_ns
        covered = self.ledger.arbiter.covered
        if self.state is State.LIVE or not covered or update.exchange_time_ns < oldest_ns:
            return
        shown = Stream("", self.rules, self.ledger.kind, EventTimes(self.rules.time))
        shown.open = True  # what REST tells now is what the exchange has
        self._take(shown, update, stamp)

    def reject(self, error: FrameError, link: str, stamp: Stamp) -> None:
        self._refuse(error, stamp)

    def _refuse(self, error: FrameError, stamp: Stamp) -> None:
        self.ledger.reject(error)
        front = self.ledger.arbiter.front
        if front is not None:
            front.newest = None
        if not self.ledger.status.doubt:
            self.ledger.doubt(f"the newest frame was rejected ({error.reason})")
            self._ask_later(stamp)
        self._finish()

    def bus_loss(self, count: int, link: str, stamp: Stamp) -> None:
        super().bus_loss(count, link, stamp)
        self._finish()

    def tick(self, stamp: Stamp) -> None:
        ledger, now_ns = self.ledger, stamp.mono_ns
        if ledger.prove_by_ns and now_ns >= ledger.prove_by_ns:
            ledger.prove_by_ns = 0
            self._doubt("the link is gone; nothing has arrived over the others for this symbol since")
        if self._dropped_ns and self.state is State.LIVE and now_ns - self._dropped_ns > CLOCK_NS:
            self._doubt("frames that are older by their time were the last to arrive")
        contradiction = self._tick_audit(stamp)
        if contradiction:
            ledger.doubt(contradiction)
        idle = self.state is State.LIVE or not ledger.arbiter.covered or ledger.status.halt
        if not idle and now_ns >= self._ask_at_ns:
            self._attempt += 1
            wait_ns = Backoff(self.rules.retry_ns, self.rules.retry_limit_ns).after(self._attempt + 1)
            self._ask_at_ns = now_ns + wait_ns
            self.out.append(RequestSnapshot(PRIORITY, self._attempt))
        self._finish()

    def _doubt(self, reason: str) -> None:
        self._attempt = self._ask_at_ns = 0
        self.ledger.doubt(reason)

    def _opened(self, stream: Stream, stamp: Stamp) -> None:
        self._ask_later(stamp)

    def _closed(self, stream: Stream, event: LinkEvent, stamp: Stamp) -> None:
        """Another link that is in step, or came a moment ago, carries on; else nothing shows what the exchange has."""
        arbiter, ledger = self.ledger.arbiter, self.ledger
        if stream is not arbiter.front or not arbiter.covered:
            return
        left = [one for one in arbiter.streams.values() if one.open and one.grade is State.LIVE]
        near = [one for one in left if self._moved_ns - one.heard_ns <= PATIENCE_NS]
        if any(one.heard == self.exchange_time_ns for one in near):
            arbiter.front = next(one for one in near if one.heard == self.exchange_time_ns)
        elif near:
            ledger.prove_within(PATIENCE_NS if event.planned else BEREFT_NS, stamp.mono_ns)
        else:
            self._doubt("the link is gone; nothing has arrived over another one for this symbol")

    def _ask_later(self, stamp: Stamp) -> None:
        self._attempt, self._ask_at_ns = 0, stamp.mono_ns + PATIENCE_NS
