"""Draws the life of one book: seeded changes around a drifting fair price.

Rules it keeps:
1. Bids stay below asks after every single change; neither side falls under `_FEWEST` levels. In an auction they may
   cross, by at most `_OVERLAP` levels; the first changes after it take out what has met.
2. The touch follows the fair price: what the price has passed is eaten, what it has left behind is filled.
3. Most changes are near the touch, some far, a few absurdly far. Levels come and go around the usual number.
4. Some changes delete a level that is not there, some ids change nothing, some levels live only within a frame.
"""

from __future__ import annotations

from math import log
from random import Random

from services.simulator.book import ASK, BID, TrueBook
from services.simulator.ids import Ids
from services.simulator.listings import Spec
from services.simulator.options import Options
from services.simulator.path import PricePath
from services.simulator.retick import Finer
from services.simulator.venues.base import Day, IdStyle

_FEWEST = 4
_OVERLAP = 6
_MOST_EATEN = 40
"""Levels that one frame can lose to a price move."""

Touched = tuple[dict[int, int], dict[int, int]]
"""Tick index -> lots after a frame's changes, bids and asks."""


class Window:
    """The changes of one window: each gets its id and a time in (start, end], and is remembered for the frame.

    Where a frame has one id, all its changes happen at its end: no id is ever half done.
    """

    __slots__ = ("_base", "_count", "_expected", "_span", "first_seq", "ids", "touched", "true")

    def __init__(self, true: TrueBook, ids: Ids, touched: Touched, start_ms: int, end_ms: int, expected: int) -> None:
        self.true, self.ids, self.touched = true, ids, touched
        self.first_seq = 0
        frame = ids.style is IdStyle.FRAME
        self._base, self._span = (end_ms, 0) if frame else (start_ms + 1, end_ms - start_ms - 1)
        self._expected, self._count = expected, 0

    def set(self, side: int, index: int, lots: int) -> None:
        seq = self.ids.take()
        if not self._count:
            self.first_seq = seq
        count = min(self._count, self._expected)
        self._count += 1
        self.true.change(seq, self._base + self._span * count // self._expected, side, index, lots)
        self.touched[side][index] = lots


class Generator:
    """`repeats` is the share of windows without a change on whole-frame exchanges; `life` counts earlier listings."""

    def __init__(
        self,
        spec: Spec,
        options: Options,
        dice: Random,
        ids: Ids,
        paths: dict[str, PricePath],
        *,
        quiet: bool = False,
        repeats: float = 0.0,
        life: int = 1,
    ) -> None:
        self.spec, self.options, self.dice, self.ids = spec, options, dice, ids
        self.true = TrueBook(options.history_s, life)
        self.activity = dice.choice((0.01, 0.03, 0.1)) if quiet else 1.0
        """Chance that a window holds anything."""
        self.burst_left = 0
        self._path, self._quote_path = paths[spec.asset], paths.get(spec.quote_asset)
        self._repeat = repeats
        self._lot = spec.listing.size_step
        self._typical = self._middle = self._far = 1.0
        self._open = self._low = self._high = self._last = 0

    # what the market asks

    def fill(self, now_ms: int) -> None:
        """The first book."""
        fair = self._fair(now_ms)
        self._scale(fair)
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        top, bottom = int(fair), int(fair) + 1
        for _ in range(self.spec.levels * 3):
            if len(bids) < self.spec.levels and (index := top - self._distance()) > 0:
                bids[index] = self._size()
            if len(asks) < self.spec.levels:
                asks[bottom + self._distance()] = self._size()
        for step in range(_FEWEST):
            bids.setdefault(max(1, top - step), self._size())
            asks.setdefault(bottom + step, self._size())
        self.true.start(self.ids.take(), now_ms, bids, asks)
        self.ids.sent()
        price = self.spec.ticks.price
        self._last, self._open = price(top), price(max(1, int(fair * self.dice.uniform(0.95, 1.05))))
        self._low, self._high = min(self._last, self._open), max(self._last, self._open)

    def window(self, start_ms: int, end_ms: int, touched: Touched, *, auction: bool = False) -> int | None:
        """Draws the changes of one window into the book and into `touched`; the first id, None for no change."""
        dice = self.dice
        fair = self._fair(end_ms)
        if self.activity < 1 and dice.random() > self.activity:
            return None
        if self._repeat and dice.random() < self._repeat:
            return None
        count = 1 + int(dice.random() * 2 * self.options.changes * self.spec.pace)
        if dice.random() < 0.01:
            count *= 6
        window = Window(self.true, self.ids, touched, start_ms, end_ms, count + 6)
        if auction:
            self._collect(window)
        else:
            self._match(window)
            self._follow(window, fair)
        for _ in range(0 if auction else count):
            self._one(window)
        for side in (BID, ASK):
            for _ in range(min((self.spec.levels - len(self.true.ranks[side])) // 40, 6)):
                window.set(side, self._place(side), self._size())
        self._last = self.spec.ticks.price(self.true.best(BID))
        self._low, self._high = min(self._low, self._last), max(self._high, self._last)
        return window.first_seq or None

    def next_interval_ms(self) -> int:
        """Milliseconds to the next frame; shorter for a while once a burst has begun."""
        normal = 1000.0 / self.options.rate
        if self.burst_left:
            self.burst_left -= 1
            normal /= self.options.burst_factor
        elif self.options.burst_factor > 1 and self.dice.random() < self.options.bursts:
            self.burst_left = int(self.options.rate * self.options.burst_factor)
        return max(1, round(normal))

    def repeats(self) -> bool:
        """Whether a window without a change sends the previous book once more (whole-frame exchanges)."""
        return self.activity >= 1 or self.dice.random() < self.activity

    def retick(self, spec: Spec, finer: Finer) -> None:
        """Goes on under a spec with a finer tick; the book, now and then, is the same."""
        self.spec, self._lot = spec, spec.listing.size_step
        self.true.refine(finer.ticks, finer.sizes)
        self._scale(float(self.true.best(BID)))
        self._last, self._open = self._last * finer.prices, self._open * finer.prices
        self._low, self._high = self._low * finer.prices, self._high * finer.prices

    def day(self) -> Day:
        """24 h figures: the given turnover, slowly varying, at the present price."""
        listing = self.spec.listing
        turnover = self.spec.turnover * (1.0 + 0.02 * (self.true.seq % 1000) / 1000)
        volume = turnover / (self._last / 10**listing.price_decimals)
        size = int(volume * 10**listing.size_decimals)
        return Day(self._last, self._open, self._high, self._low, size, int(turnover * 1e8), int(turnover % 1e6))

    # the drawing

    def _fair(self, now_ms: int) -> float:
        """The fair price as a tick index; at least a few ticks above zero."""
        spec = self.spec
        usd = self._path.price(now_ms) * spec.multiple * spec.premium.factor(now_ms)
        quote_usd = spec.quote_usd if self._quote_path is None else self._quote_path.price(now_ms)
        return max(spec.ticks.index(usd / quote_usd), 2.0 * _FEWEST)

    def _scale(self, fair: float) -> None:
        """How far, in ticks, and how large, in lots, levels are here."""
        levels, listing = self.spec.levels, self.spec.listing
        self._middle = max(levels * 0.7, fair * 0.001)
        self._far = max(levels * 2.5, fair * 0.006)
        dollars = 300.0 + self.spec.turnover**0.25 * 10
        self._typical = dollars / (self.spec.usd * self.spec.unit) * 10**listing.size_decimals / self._lot

    def _distance(self) -> int:
        """Ticks from the touch."""
        random = self.dice.random
        draw = random()
        if draw < 0.35:
            return int(-log(1.0 - random()) * 5.0)
        if draw < 0.8:
            return int(-log(1.0 - random()) * self._middle)
        if draw < 0.995:
            return int(-log(1.0 - random()) * self._far)
        return int(random() * 40 * self._far)

    def _size(self) -> int:
        draw = self.dice.random()
        if draw < 0.02:
            return self._lot  # dust; on Bithumb it shows as 0
        return (int(self._typical * 4 * draw * draw * draw) + 1) * self._lot

    def _collect(self, window: Window) -> None:
        """Orders that nobody matches: sizes near the touch, and prices beyond it as long as few levels overlap."""
        true, dice = self.true, self.dice
        bid, ask = true.best(BID), true.best(ASK)
        if bid - ask < _OVERLAP and dice.random() < 0.5:
            side = BID if dice.random() < 0.5 else ASK
            index = ask + dice.randrange(3) if side == BID else max(1, bid - dice.randrange(3))
            window.set(side, index, self._size())
        for side in (BID, ASK):
            window.set(side, true.best(side), self._size())

    def _match(self, window: Window) -> None:
        """What an auction has left crossed meets."""
        true = self.true
        while true.best(BID) >= true.best(ASK):
            for side in (BID, ASK):
                if len(true.ranks[side]) <= _FEWEST:
                    window.set(side, self._beyond(side), self._size())
                window.set(side, true.best(side), 0)

    def _follow(self, window: Window, fair: float) -> None:
        """Rule 2."""
        true, random = self.true, self.dice.random
        for side in (BID, ASK):
            for _ in range(_MOST_EATEN):
                best = true.best(side)
                if best < fair if side == BID else best > fair:
                    break
                if len(true.ranks[side]) <= _FEWEST:
                    window.set(side, self._beyond(side), self._size())
                window.set(side, best, 0)
        bid, ask = true.best(BID), true.best(ASK)
        room = min(int(fair), ask - 1) - bid
        if room > 1:
            window.set(BID, bid + room - int(min(-log(1.0 - random()) * 1.5, room - 1)), self._size())
        bid = true.best(BID)
        room = ask - max(int(fair) + 1, bid + 1)
        if room > 1:
            window.set(ASK, ask - room + int(min(-log(1.0 - random()) * 1.5, room - 1)), self._size())

    def _one(self, window: Window) -> None:
        """Rules 3 and 4: one ordinary change (two for a level that only flickers)."""
        true, random = self.true, self.dice.random
        side = BID if random() < 0.5 else ASK
        ranks = true.ranks[side]
        draw = random()
        if draw < 0.5:
            place = int(-log(1.0 - random()) * 8.0)
            if draw < 0.05 or place >= len(ranks):
                place = int(random() * len(ranks))
            rank = ranks[place]
            window.set(side, rank if side else -rank, self._size())
        elif draw < 0.51:
            index = true.best(side)
            window.set(side, index, true.lots[side][index])  # an id that changes nothing
        elif draw < 0.95:
            surplus = (len(ranks) - self.spec.levels) / self.spec.levels
            if random() < 0.5 + 2 * surplus and len(ranks) > _FEWEST:
                place = int(-log(1.0 - random()) * 20.0) if random() < 0.5 else int(random() * len(ranks))
                rank = ranks[min(place, len(ranks) - 1)]
                window.set(side, rank if side else -rank, 0)
            else:
                window.set(side, self._place(side), self._size())
        else:
            index = self._place(side)
            if index in true.lots[side]:
                return
            if draw < 0.97:
                window.set(side, index, self._size())
            window.set(side, index, 0)  # an orphan delete, or a level that only flickered

    def _place(self, side: int) -> int:
        """An index on this side, not crossing, mostly near."""
        bid, ask = self.true.best(BID), self.true.best(ASK)
        if side == BID:
            return max(1, min(bid + 1, ask - 1) - self._distance())
        return max(ask - 1, bid + 1) + self._distance()

    def _beyond(self, side: int) -> int:
        """An index past the last level of a side."""
        rank = self.true.ranks[side][-1] + 1 + self._distance()
        return rank if side else max(1, -rank)
