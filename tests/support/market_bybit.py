"""A small market for Bybit's emulator, and one link to it: whoever drives it turns time by hand.

The market numbers its frames by one (`IdStyle.FRAME`). A link gets what the simulator would send: the answers of its
session, first frames, and with each frame of a market the difference of the topic's best levels.
"""

from __future__ import annotations

from random import Random

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange
from services.simulator.venues.base import (
    BookView,
    Call,
    Change,
    Close,
    Day,
    IntLevel,
    Listing,
    Send,
    SendFirst,
    Session,
    Topic,
)
from services.simulator.venues.bybit import BybitEmulator
from services.simulator.venues.registry import EMULATORS

START_MS = 1_790_000_000_000
DELIVERY_MS = 1_798_185_600_000  # 2026-12-25 08:00 UTC


def _spot(base: str, quote: str, tick: int, step: int) -> Listing:
    return Listing(base + quote, base, quote, price_decimals=8, size_decimals=8, tick=tick, size_step=step)


def _future(native: str, quote: str, delivery_ms: int = 0) -> Listing:
    kind = "dated" if delivery_ms else "perpetual"
    return Listing(native, "BTC", quote, kind, price_decimals=2, size_decimals=3, tick=10, delivery_ms=delivery_ms)


SPOT = [_spot("BTC", "USDT", 10**7, 100), _spot("ETH", "BTC", 1000, 10**4), _spot("币安人生", "USDT", 100, 10**7)]
FUTURES = [_future("BTCUSDT", "USDT"), _future("BTCPERP", "USDC"), _future("BTCUSDT-25DEC26", "USDT", DELIVERY_MS)]


class FakeMarket:
    """The `MarketPort` of a few markets, each with more levels than the deepest topic of the tests keeps."""

    def __init__(self, listings: list[Listing], *, seed: int = 1, levels: int = 230) -> None:
        self._listings = {listing.native: listing for listing in listings}
        self._dice = Random(seed)
        self._levels = levels
        self.halted: set[str] = set()
        self.seq = dict.fromkeys(self._listings, 1000)
        self.time_ms = START_MS
        self.sides: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
        for native, listing in self._listings.items():
            middle = 1_000_000 * listing.tick
            offsets = range(1, levels + 1)
            bids = {middle - n * listing.tick: self._size(native) for n in offsets}
            self.sides[native] = (bids, {middle + n * listing.tick: self._size(native) for n in offsets})

    def listings(self) -> list[Listing]:
        return list(self._listings.values())

    def listing(self, native: str) -> Listing | None:
        return self._listings.get(native)

    maintained = False

    def phase(self, native: str) -> Phase:
        return Phase.HALTED if native in self.halted else Phase.TRADING

    def book(self, native: str, at_ms: int | None = None) -> BookView:
        bids, asks = self.sides[native]
        return BookView(self.seq[native], self.time_ms, sorted(bids.items(), reverse=True), sorted(asks.items()))

    def day(self, native: str) -> Day:
        return Day(last=6_509_590, open=1, high=2, low=1, volume=123_456, turnover=7_000_000_000_000, trades=5)

    def step(self, native: str, *, deep_only: bool = False) -> Change:
        """One frame of a market: near the top levels are set and taken (unless `deep_only`), a level appears between
        the best prices where there is room, and at the far end one goes and as many come as were taken."""
        tick, dice, before = self._listings[native].tick, self._dice, self.book(native)
        touched: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, (levels, outwards) in enumerate(((before.bids, -tick), (before.asks, tick))):
            mine = touched[side]
            if not deep_only:
                for place in dice.sample(range(40), 4):
                    mine[levels[place][0]] = dice.choice((0, self._size(native)))
                if before.asks[0][0] - before.bids[0][0] > 3 * tick:
                    mine[levels[0][0] - outwards] = self._size(native)
            mine[levels[-1][0]] = 0
            for more in range(1, list(mine.values()).count(0) + 1):
                mine[levels[-1][0] + more * outwards] = self._size(native)
        for levels_now, changed in zip(self.sides[native], touched, strict=True):
            for price, size in changed.items():
                if size:
                    levels_now[price] = size
                else:
                    levels_now.pop(price, None)
        self.time_ms += 100
        self.seq[native] += 1
        bids, asks = (sorted(changed.items()) for changed in touched)
        return Change(self.seq[native], self.seq[native], self.seq[native] - 1, self.time_ms, bids, asks)

    def restart(self, native: str) -> Change:
        """The exchange counts anew: the next frame of the market has id 1."""
        last, self.seq[native] = self.seq[native], 1
        self.time_ms += 100
        return Change(1, 1, last, self.time_ms, [], [])

    def _size(self, native: str) -> int:
        return self._dice.randrange(1, 50) * self._listings[native].size_step


def world(code: str, *, seed: int = 1, levels: int = 230) -> tuple[Exchange, FakeMarket, BybitEmulator]:
    """An exchange, a market for it, and its emulator as the registry makes it."""
    exchange = registry.get(code)
    market = FakeMarket(SPOT if code == "bybit_spot" else FUTURES, seed=seed, levels=levels)
    emulator = EMULATORS[code](market, seed=seed)
    assert isinstance(emulator, BybitEmulator)
    assert emulator.code == code
    return exchange, market, emulator


class Line:
    """One link to an emulator: everything it was sent, in order."""

    def __init__(self, emulator: BybitEmulator, market: FakeMarket, *, client: str = "a") -> None:
        self.emulator, self.market = emulator, market
        self.now_s = 1000.0
        self.frames: list[bytes] = []
        self.closed: Close | None = None
        opened = emulator.open(Call(f"/v5/public/{emulator.rules.category}", {}, client, self.stamp))
        assert isinstance(opened, Session)
        self.session = opened

    @property
    def stamp(self) -> Stamp:
        return Stamp(int(self.now_s * 1e9), self.market.time_ms * 1_000_000)

    def say(self, text: str | bytes) -> list[bytes]:
        """What a request brings at once."""
        start = len(self.frames)
        for action in self.session.receive(text, self.stamp):
            if isinstance(action, Send):
                self.frames.append(action.data.encode() if isinstance(action.data, str) else action.data)
            elif isinstance(action, SendFirst):
                first = self.emulator.first(action.topic)
                assert first is not None
                self.frames.append(first)
            else:
                raise AssertionError(action)
        return self.frames[start:]

    def step(self, native: str, *, deep_only: bool = False) -> list[bytes]:
        """One frame of a market in every topic of this link that wants it."""
        before = self.market.book(native)
        change = self.market.step(native, deep_only=deep_only)
        return self._send(native, before, change)

    def restart(self, native: str) -> list[bytes]:
        listing, change, start = self.market.listing(native), self.market.restart(native), len(self.frames)
        assert listing is not None
        for topic in self._topics(native):
            frame = self.emulator.renumbered(topic, listing, change, self.market.book(native))
            assert frame is not None
            self.frames.append(frame)
        return self.frames[start:]

    def _send(self, native: str, before: BookView, change: Change) -> list[bytes]:
        listing, after, start = self.market.listing(native), self.market.book(native), len(self.frames)
        assert listing is not None
        for topic in self._topics(native):
            window, depth = self.emulator.window(topic), self.emulator.wants_book(topic)
            own = difference(before, change, after, window) if window else change
            top = BookView(after.seq, after.time_ms, after.bids[:depth], after.asks[:depth]) if depth else None
            self.frames.append(self.emulator.render(topic, listing, own, top))
        return self.frames[start:]

    def _topics(self, native: str) -> list[Topic]:
        return sorted(topic for topic in self.session.topics if topic.native == native)


def difference(before: BookView, change: Change, after: BookView, depth: int) -> Change:
    """The frame as a topic of the best `depth` levels sees it: what fell out deleted, what moved in set."""
    bids, asks = _differ(before.bids, after.bids, depth), _differ(before.asks, after.asks, depth)
    return change._replace(bids=bids, asks=asks)


def _differ(before: list[IntLevel], after: list[IntLevel], depth: int) -> list[IntLevel]:
    old, new = dict(before[:depth]), dict(after[:depth])
    gone = [(price, 0) for price in old if price not in new]
    return sorted(gone + [(price, size) for price, size in new.items() if old.get(price) != size])
