"""A small market for Coinbase's emulator, and one link to it as the simulator would serve it; time by hand."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp
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
)
from services.simulator.venues.coinbase import CoinbaseEmulator, CoinbaseSession

START_MS = 1_790_000_000_000
LISTINGS = [
    Listing("BTC-USD", "BTC", "USD", price_decimals=2, size_decimals=8, tick=1, english_name="Bitcoin"),
    Listing("ETH-USD", "ETH", "USD", price_decimals=2, size_decimals=8, tick=1, english_name="Ethereum"),
    Listing("ETH-BTC", "ETH", "BTC", price_decimals=5, size_decimals=8, tick=1, english_name="Ethereum"),
    Listing("USDT-USDC", "USDT", "USDC", price_decimals=4, size_decimals=2, tick=1, english_name="Tether"),
]


class FakeMarket:
    """The `MarketPort` of a few markets that remember every book they had."""

    def __init__(self, seed: int = 1) -> None:
        self._dice = Random(seed)
        self.halted: set[str] = set()
        self.now_ms = START_MS
        self._past: dict[str, list[BookView]] = {}
        for place, listing in enumerate(LISTINGS):
            bids = [(100_000 - step, self._size()) for step in range(1, 40)]
            asks = [(100_000 + step, self._size()) for step in range(1, 30 + place)]
            self._past[listing.native] = [BookView(1000 * place, START_MS, bids, asks)]

    def listings(self) -> list[Listing]:
        return list(LISTINGS)

    def listing(self, native: str) -> Listing | None:
        return next((listing for listing in LISTINGS if listing.native == native), None)

    maintained = False

    def phase(self, native: str) -> Phase:
        return Phase.HALTED if native in self.halted else Phase.TRADING

    def book(self, native: str, at_ms: int | None = None) -> BookView:
        known = self._past[native]
        if at_ms is None:
            return known[-1]
        return next((view for view in reversed(known) if view.time_ms <= at_ms), known[0])

    def day(self, native: str) -> Day:
        turnover = {"BTC-USD": 9, "ETH-USD": 5}.get(native, 1) * 10**12
        return Day(last=100_000, open=1, high=2, low=1, volume=123_456, turnover=turnover, trades=5)

    def step(self, native: str) -> Change:
        """One frame: a few levels change size, go, or come; never crossed, never empty."""
        self.now_ms += 50
        before = self.book(native)
        sides: list[list[IntLevel]] = []
        touched: list[list[IntLevel]] = []
        for levels, outwards in ((before.bids, -1), (before.asks, 1)):
            held, changes = dict(levels), dict[int, int]()
            for _ in range(self._dice.randrange(4)):
                price = 100_000 + outwards * self._dice.randint(1, 60)
                changes[price] = self._size() if price not in held or self._dice.random() < 0.5 else 0
                held[price] = changes[price]
            held = {price: size for price, size in held.items() if size} or {100_000 + outwards: 5}
            sides.append(sorted(held.items(), reverse=outwards < 0))
            touched.append(sorted(changes.items()))
        after = BookView(before.seq + 1, self.now_ms, sides[0], sides[1])
        self._past[native].append(after)
        return Change(after.seq, after.seq, before.seq, self.now_ms, touched[0], touched[1])

    def _size(self) -> int:
        return self._dice.choice([10**8, 5 * 10**6, 12_345_678, 1, 10**13])


class FakeLink:
    """One client's link: everything that was sent to it, in order."""

    def __init__(self, emulator: CoinbaseEmulator, session: CoinbaseSession) -> None:
        self.emulator, self.session = emulator, session
        self.frames: list[bytes] = []
        self.closed: Close | None = None

    def say(self, text: str, now: Stamp) -> None:
        self._perform(self.session.receive(text, now))

    def tick(self, now: Stamp) -> None:
        self._perform(self.session.tick(now))

    def publish(self, native: str, change: Change) -> None:
        for topic in self.session.topics:
            if topic.native == native:
                listing = self.emulator.market.listing(native)
                assert listing is not None
                self.frames.append(self.session.stamp(self.emulator.render(topic, listing, change, None)))

    def _perform(self, actions: Sequence[object]) -> None:
        for action in actions:
            match action:
                case Send(data=str(text)):
                    self.frames.append(text.encode())
                case SendFirst(topic=topic):
                    payload = self.emulator.first(topic)
                    assert payload is not None
                    self.frames.append(self.session.stamp(payload))
                case Close():
                    self.closed = self.closed or action
                case _:
                    raise AssertionError(f"unexpected {action}")


class Desk:
    """The emulator over the small market, with a clock that the test turns."""

    def __init__(self, seed: int = 1) -> None:
        self.market = FakeMarket(seed)
        self.emulator = CoinbaseEmulator(self.market, seed=seed)
        self.now_s = 1000.0

    @property
    def stamp(self) -> Stamp:
        passed_ns = int((self.now_s - 1000.0) * 1e9)
        return Stamp(int(self.now_s * 1e9), START_MS * 1_000_000 + passed_ns)

    def call(self, path: str = "/", client: str = "a", **query: str) -> Call:
        return Call(path, query, client, self.stamp)

    def connect(self, client: str = "a") -> FakeLink:
        opened = self.emulator.open(self.call(client=client))
        assert isinstance(opened, Session)
        assert isinstance(opened, CoinbaseSession)
        return FakeLink(self.emulator, opened)

    def say(self, link: FakeLink, text: str) -> list[bytes]:
        """What the link gets for a message: at once and in the tick that follows."""
        self.now_s += 0.2  # politely
        before = len(link.frames)
        link.say(text, self.stamp)
        link.tick(self.stamp)
        return link.frames[before:]
