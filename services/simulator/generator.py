"""Draws the life of one book: seeded changes around a drifting fair price.

Rules it keeps:
1. Bids stay below asks after every single change; neither side falls under `_FEWEST` levels.
2. The touch follows the fair price: what the price has passed is eaten, what it has left behind is filled.
3. Most changes are near the touch, some far, a few absurdly far. Levels come and go around the usual number.
4. Some changes delete a level that is not there, some ids change nothing, some levels live only within a frame.
"""

from __future__ import annotations

from random import Random

from hoga.exchanges.dialect import Day
from services.simulator.assets import KRW_PER_USD
from services.simulator.book import ASK, BID, TrueBook
from services.simulator.listings import Spec
from services.simulator.options import Options
from services.simulator.path import PricePath

_FEWEST = 4
_MOST_EATEN = 40
"""Levels that one frame can lose to a price move."""

Touched = tuple[dict[int, int], dict[int, int]]


class Ids:
    """Update ids: consecutive, or (with dice) with the holes that other symbols and hidden events leave."""

    def __init__(self, dice: Random | None, start: int) -> None:
        self.last = start
        self._dice = dice

    def take(self) -> int:
        self.last += 1 if self._dice is None else 1 + int(self._dice.random() * 60)
        return self.last


class Generator:
    def __init__(
        self, spec: Spec, options: Options, dice: Random, ids: Ids, paths: dict[str, PricePath], quiet: bool, code: str
    ) -> None:
        self.spec, self.options, self.dice, self.ids = spec, options, dice, ids
        self.true = TrueBook(options.history_s)
        self.activity = dice.choice((0.01, 0.03, 0.1)) if quiet else 1.0
        """Chance that a window holds anything."""
        self.burst_left = 0
        self._path, self._bitcoin = paths[spec.asset], paths["BTC"]
        self._repeat = {"bithumb": 0.5, "upbit": 0.06}.get(code, 0.0)
        self._typical = 1.0
        self._near = self._middle = self._far = 1.0
        self._open = self._low = self._high = self._last = 0

    # what the server asks

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
        price = self.spec.ticks.price
        self._last, self._open = price(top), price(max(1, int(fair * self.dice.uniform(0.95, 1.05))))
        self._low, self._high = min(self._last, self._open), max(self._last, self._open)

    def window(self, start_ms: int, end_ms: int, touched: Touched) -> int | None:
        """Draws the changes of one window into the book and into `touched`; the first id, None for no change."""
        dice = self.dice
        fair = self._fair(end_ms)
        if self.activity < 1 and dice.random() > self.activity:
            return None
        if self._repeat and dice.random() < self._repeat:
            return None
        mean = self.options.changes
        count = 1 + int(dice.random() * 2 * mean)
        if dice.random() < 0.01:
            count *= 6
        clock = _Clock(start_ms, end_ms, count + 6)
        before = self.ids.last
        first: list[int] = []
        self._follow(fair, clock, touched, first)
        for _ in range(count):
            self._one(clock, touched, first)
        for side in (BID, ASK):
            for _ in range(min((self.spec.levels - len(self.true.ranks[side])) // 40, 6)):
                self._set(clock, touched, first, side, self._place(side), self._size())
        self._last = self.spec.ticks.price(self.true.best(BID))
        self._low, self._high = min(self._low, self._last), max(self._high, self._last)
        return first[0] if first and self.ids.last > before else None

    def next_interval_ms(self) -> int:
        """Milliseconds to the next frame; shorter for a while once a burst has begun."""
        normal = 1000.0 / self.options.rate
        if self.burst_left:
            self.burst_left -= 1
            normal /= self.options.burst_factor
        elif self.dice.random() < self.options.bursts:
            self.burst_left = int(self.options.rate * self.options.burst_factor)
        return max(1, round(normal))

    def repeats(self) -> bool:
        """Whether a window without a change sends the previous book once more (whole-frame exchanges)."""
        return self.activity >= 1 or self.dice.random() < self.activity

    def day(self) -> Day:
        spec, decimals = self.spec, self.spec.listing.price_decimals
        swing = 1.0 + 0.02 * (self.true.seq % 1000) / 1000
        turnover = spec.turnover * swing
        volume = turnover / (self._last / 10**decimals)
        size = int(volume * 10**spec.listing.size_decimals)
        return Day(self._last, self._open, self._high, self._low, size, int(turnover * 1e8), int(turnover % 1e6))

    # the drawing

    def _fair(self, now_ms: int) -> float:
        """The fair price as a tick index; at least a few ticks above zero."""
        usd = self._path.price(now_ms) * self.spec.multiple * self.spec.premium.factor(now_ms)
        quote = self.spec.listing.quote
        if quote == "KRW":
            usd *= KRW_PER_USD
        elif quote == "BTC":
            usd /= self._bitcoin.price(now_ms)
        return max(self.spec.ticks.index(usd), 2.0 * _FEWEST)

    def _scale(self, fair: float) -> None:
        levels = self.spec.levels
        self._near = 5.0
        self._middle = max(levels * 0.7, fair * 0.001)
        self._far = max(levels * 2.5, fair * 0.006)
        dollars = 300.0 + self.spec.turnover**0.25 * 10
        self._typical = dollars / self.spec.usd * 10**self.spec.listing.size_decimals / self.spec.lot

    def _distance(self) -> int:
        dice = self.dice
        draw = dice.random()
        if draw < 0.35:
            return int(dice.expovariate(1.0) * self._near)
        if draw < 0.8:
            return int(dice.expovariate(1.0) * self._middle)
        if draw < 0.995:
            return int(dice.expovariate(1.0) * self._far)
        return int(dice.random() * 40 * self._far)

    def _size(self) -> int:
        draw = self.dice.random()
        if draw < 0.02:
            return self.spec.lot  # dust; on Bithumb it shows as 0
        lots = int(self._typical * 4 * draw * draw * draw) + 1
        return lots * self.spec.lot

    def _set(self, clock: _Clock, touched: Touched, first: list[int], side: int, index: int, lots: int) -> None:
        seq = self.ids.take()
        if not first:
            first.append(seq)
        self.true.change(seq, clock.next(), side, index, lots)
        touched[side][index] = lots

    def _follow(self, fair: float, clock: _Clock, touched: Touched, first: list[int]) -> None:
        """Rule 2."""
        true, dice = self.true, self.dice
        for side in (BID, ASK):
            eaten = 0
            while eaten < _MOST_EATEN:
                best = true.best(side)
                passed = best >= fair if side == BID else best <= fair
                if not passed:
                    break
                if len(true.ranks[side]) <= _FEWEST:
                    self._set(clock, touched, first, side, self._beyond(side), self._size())
                self._set(clock, touched, first, side, best, 0)
                eaten += 1
        bid, ask = true.best(BID), true.best(ASK)
        room = min(int(fair), ask - 1) - bid
        if room > 1:
            self._set(clock, touched, first, BID, bid + 1 + int(dice.random() ** 0.5 * room), self._size())
        bid = true.best(BID)
        room = ask - max(int(fair) + 1, bid + 1)
        if room > 1:
            self._set(clock, touched, first, ASK, ask - 1 - int(dice.random() ** 0.5 * room), self._size())

    def _one(self, clock: _Clock, touched: Touched, first: list[int]) -> None:
        """Rules 3 and 4: one ordinary change (two for a level that only flickers)."""
        true, dice = self.true, self.dice
        side = BID if dice.random() < 0.5 else ASK
        ranks = true.ranks[side]
        draw = dice.random()
        if draw < 0.5:
            place = int(dice.expovariate(0.12))
            if draw < 0.05 or place >= len(ranks):
                place = int(dice.random() * len(ranks))
            rank = ranks[place]
            self._set(clock, touched, first, side, rank if side else -rank, self._size())
        elif draw < 0.51:
            rank = ranks[0]
            index = rank if side else -rank
            self._set(clock, touched, first, side, index, true.lots[side][index])  # an id that changes nothing
        elif draw < 0.95:
            surplus = (len(ranks) - self.spec.levels) / self.spec.levels
            if dice.random() < 0.5 + 2 * surplus and len(ranks) > _FEWEST:
                place = int(dice.expovariate(0.05)) if dice.random() < 0.5 else int(dice.random() * len(ranks))
                rank = ranks[min(place, len(ranks) - 1)]
                self._set(clock, touched, first, side, rank if side else -rank, 0)
            else:
                self._set(clock, touched, first, side, self._place(side), self._size())
        else:
            index = self._place(side)
            fresh = index not in true.lots[side]
            if draw < 0.97 and fresh:
                self._set(clock, touched, first, side, index, self._size())
            if fresh:
                self._set(clock, touched, first, side, index, 0)  # an orphan delete, or a level that only flickered

    def _place(self, side: int) -> int:
        """An index on this side, not crossing, mostly near."""
        other = self.true.best(1 - side)
        if side == BID:
            return max(1, min(self.true.best(BID) + 1, other - 1) - self._distance())
        return max(self.true.best(ASK) - 1, other + 1) + self._distance()

    def _beyond(self, side: int) -> int:
        """A free index past the last level of a side."""
        rank = self.true.ranks[side][-1] + 1 + self._distance()
        return rank if side else max(1, -rank)


class _Clock:
    """Spreads changes over the milliseconds of a window: (start, end], never beyond its end."""

    def __init__(self, start_ms: int, end_ms: int, expected: int) -> None:
        self._base, self._span, self._expected, self._n = start_ms + 1, max(end_ms - start_ms - 1, 0), expected, 0

    def next(self) -> int:
        step = min(self._n, self._expected)
        self._n += 1
        return self._base + self._span * step // self._expected
