"""One market at work: its true book, and the frame that is pending.

A market lives in windows of time. `generate(start, end)` draws the changes of the coming window, spread over its
milliseconds, and keeps their merged form pending; `emit()` hands it over when the window has ended. In between, a
snapshot at a time inside the window holds some of the changes of a frame that is yet to come, as real ones do.

Rules it keeps:
1. `first_seq`, `last_seq` and `prev_seq` of a frame follow from the ids of its changes.
2. Times rise with ids; changes of the next window are later, by at least a millisecond, than the last frame's time.
3. What is neither drawn nor pending (a new life of the ids, an idle id, a finer tick) happens between two windows.
"""

from __future__ import annotations

from heapq import nlargest, nsmallest

from hoga.domain.phases import Phase
from services.simulator.book import ASK, BID, Sides
from services.simulator.generator import Generator, Touched
from services.simulator.listings import Spec
from services.simulator.retick import Finer, between
from services.simulator.venues.base import BookView, Change, IdStyle, IntLevel


class SymbolMarket:
    def __init__(self, spec: Spec, generator: Generator, whole_frames: bool) -> None:
        self.spec, self.listing = spec, spec.listing
        self.coming = spec
        """Another one than `spec` where a finer tick is due once the pending frame has left."""
        self.generator, self.true = generator, generator.true
        self.whole_frames = whole_frames
        self.phase = Phase.TRADING
        self.quiet = False
        """Trading, but nothing changes."""
        self.emitted_seq = self.true.seq
        self.frame_ms = self.true.time_ms
        """Time of the last frame; of the start before the first."""
        self.window_end_ms = self.true.time_ms
        self.touched: Touched = ({}, {})
        """What the last frame changed, by tick index."""
        self._pending = False
        self._drawn: Touched = ({}, {})
        self._first_seq = 0
        self._ending: int | None = None
        """The last id of this life, where the next one is due."""
        self._memory: tuple[int, int, Sides] | None = None

    @property
    def lives(self) -> int:
        """How often ids began anew here, counting the first time."""
        return self.true.life

    @property
    def still(self) -> bool:
        """Whether the phase lets nothing change."""
        return self.phase not in (Phase.TRADING, Phase.LIMIT_ONLY, Phase.POST_ONLY, Phase.AUCTION)

    @property
    def newest(self) -> int:
        """The newest id there is."""
        return self.generator.ids.last if self._ending is None else max(self._ending, self.true.seq)

    def generate(self, start_ms: int, end_ms: int) -> None:
        """Draws the changes of a window, to be emitted when `end_ms` has come."""
        if self.still or self.quiet:
            return
        start_ms = max(start_ms, self.window_end_ms)
        end_ms = max(end_ms, start_ms + 1)
        drawn = self.generator.window(start_ms, end_ms, self._drawn, auction=self.phase is Phase.AUCTION)
        self.window_end_ms = end_ms
        if drawn is not None:
            self._first_seq = self._first_seq or drawn
            self._pending = True
        elif self.whole_frames and self.generator.repeats():
            self._pending = True

    def emit(self) -> Change | None:
        """The pending frame as changes (empty lists where frames are whole), None where there is none."""
        if not self._pending:
            return None
        bids: list[IntLevel] = []
        asks: list[IntLevel] = []
        if not self.whole_frames:
            bids, asks = (self.levels(drawn) for drawn in self._drawn)
        change = Change(
            self._first_seq or self.true.seq, self.true.seq, self.emitted_seq, self.window_end_ms, bids, asks
        )
        self.touched = self._drawn
        self.emitted_seq, self.frame_ms = self.true.seq, self.window_end_ms
        self._pending, self._first_seq, self._drawn = False, 0, ({}, {})
        self.generator.ids.sent()
        return change

    def idle(self) -> Change:
        """A frame with an id of its own in which nothing changes. Only between `emit` and `generate`."""
        self.window_end_ms += 1
        seq = self.generator.ids.take()
        self.generator.ids.sent()
        self.true.idle(seq, self.window_end_ms)
        change = Change(seq, seq, self.emitted_seq, self.window_end_ms, [], [])
        self.emitted_seq, self.frame_ms, self.touched = seq, self.window_end_ms, ({}, {})
        return change

    def end_life(self, last: int) -> None:
        """Ids begin anew once the pending frame has left; `last` is the last old id."""
        self._ending = last

    @property
    def ending(self) -> bool:
        """Whether a new life is due."""
        return self._ending is not None

    def begin_life(self) -> None:
        """Begins anew. Only where that is due, between `emit` and `generate`."""
        ids = self.generator.ids
        last, self._ending = self._ending or 0, None
        if ids.style is not IdStyle.SHARED:
            last = ids.last
            ids.restart()
        self.window_end_ms += 1
        first = ids.take()
        ids.sent()
        self.true.renumber(last, first, self.window_end_ms)
        self.emitted_seq, self.frame_ms, self.touched = first, self.window_end_ms, ({}, {})

    def retick(self) -> Finer:
        """Goes on with `coming`. Only between `emit` and `generate`."""
        finer = between(self.spec, self.coming)
        self.spec, self.listing = self.coming, self.coming.listing
        self.generator.retick(self.spec, finer)
        self.touched, self._memory = ({}, {}), None
        return finer

    def shift_clock(self, delta_ms: int) -> None:
        """The exchange's clock jumps; a pending frame jumps with it."""
        self.window_end_ms += delta_ms

    # views

    def levels(self, lots: dict[int, int]) -> list[IntLevel]:
        """Levels by tick index as (price, size), by ascending price."""
        price = self.spec.ticks.price
        return [(price(index), size) for index, size in sorted(lots.items())]

    def view(self, sides: Sides, depth: int | None = None, time_ms: int | None = None) -> BookView:
        price = self.spec.ticks.price
        bids, asks = best(sides.bids, BID, depth), best(sides.asks, ASK, depth)
        return BookView(
            sides.seq,
            sides.time_ms if time_ms is None else time_ms,
            [(price(index), sides.bids[index]) for index in bids],
            [(price(index), sides.asks[index]) for index in asks],
        )

    def top(self, depth: int) -> BookView:
        """The best levels right now, as the frame just emitted left them. Only valid before the next `generate`."""
        true, price = self.true, self.spec.ticks.price
        best_bids, best_asks = [-rank for rank in true.ranks[BID][:depth]], true.ranks[ASK][:depth]
        bids = list(zip(map(price, best_bids), map(true.lots[BID].__getitem__, best_bids), strict=True))
        asks = list(zip(map(price, best_asks), map(true.lots[ASK].__getitem__, best_asks), strict=True))
        return BookView(self.emitted_seq, self.frame_ms, bids, asks)

    def sides_of_frame(self) -> Sides:
        """The whole book as the last frame left it, by tick index."""
        if self._memory is None or self._memory[:2] != (self.emitted_seq, self.frame_ms):
            self._memory = (self.emitted_seq, self.frame_ms, self.true.at(seq=self.emitted_seq, life=self.true.life))
        return self._memory[2]

    def as_of_frame(self) -> BookView:
        """The whole book as the last frame left it."""
        return self.view(self.sides_of_frame(), time_ms=self.frame_ms)


def best(lots: dict[int, int], side: int, depth: int | None) -> list[int]:
    """Tick indexes, best first, at most `depth`."""
    if depth is None:
        return sorted(lots, reverse=side == BID)
    return (nlargest if side == BID else nsmallest)(depth, lots)
