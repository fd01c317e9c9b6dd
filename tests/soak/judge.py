"""The judge of a chaos run: what was published against what the simulator sent, over every life of every market.

W   a LIVE book that differs from the truth at its own id, or time where the exchange gives no ids
S   a LIVE book that lacks a frame which the simulator sent longer than the budget ago
O   revisions that do not rise within an epoch, epochs that fall

Every frame of the simulator is remembered with the moment it was sent, so that a jump of the exchange's clock, or a
market that is listed anew and counts from the same id, leaves no doubt about what was true.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from hoga.exchanges.dialect import BookView, IntLevel, Listing, rescale
from hoga.wire import pb
from services.simulator.faults import FrameFaults, Package
from services.simulator.market import SymbolMarket
from services.simulator.server import SimulatorServer
from tests.support.oracle import Oracle

LIVE = pb.BookState.BOOK_STATE_LIVE
LEVELS = 32
BUDGET_S = 5.0
SILENCE_S = 20.0
"""A silent link is noticed after 15 s without a frame of any sort."""
GRACE_S = 8.0
"""After the bus was away a reader may have missed messages; books are repeated every 5 s."""

Key = tuple[str, str]
Levels = list[tuple[Decimal, Decimal]]


class Frame(NamedTuple):
    sent_s: float
    view: BookView


@dataclass
class Life:
    """One life of a market, from listing to delisting."""

    market: SymbolMarket
    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=600))
    ended_s: float = 0.0


class Watched(FrameFaults):
    """Tells when a frame was tampered with: what was lost last of all leaves no evidence."""

    def __init__(self) -> None:
        super().__init__()
        self.struck_s: dict[str, float] = defaultdict(float)

    def strike(self, native: str, package: Package) -> Package:
        if self.armed.get(native):
            self.struck_s[native] = time.monotonic()
        return super().strike(native, package)


class Judge(Oracle):
    def __init__(self, simulator: SimulatorServer) -> None:
        super().__init__(simulator)
        self.orders: dict[Key, tuple[int, int]] = {}
        self.arrived_s: dict[Key, float] = {}
        self.stale: list[str] = []
        self.worst_lag: Counter[str] = Counter()
        self.recoveries: dict[str, list[float]] = defaultdict(list)
        """Fault -> how long books were not LIVE after it."""
        self.causes: dict[str, tuple[float, str]] = {}
        """Exchange, "exchange native" or "*" -> the last fault that touched it."""
        self.blind_until_s = 0.0
        self.silent_until_s: dict[str, float] = defaultdict(float)
        self.lives: dict[tuple[str, str], list[Life]] = defaultdict(list)
        self.faults = {code: Watched() for code in simulator.venues}
        self._outages: dict[Key, tuple[float, str]] = {}
        self._accused: set[tuple[Key, int, int]] = set()
        for code, venue in simulator.venues.items():
            venue.faults = self.faults[code]
            for native in venue.natives():
                self.follow(code, native)

    # what the simulator does

    def follow(self, code: str, native: str) -> None:
        """A market was listed."""
        market = self.simulator.market.exchanges[code].symbols[native]
        life = Life(market)
        life.frames.append(Frame(time.monotonic(), market.as_of_frame()))
        emit = market.emit

        def emitted() -> Any:
            change = emit()
            if change is not None:
                life.frames.append(Frame(time.monotonic(), market.top(LEVELS)))
            return change

        setattr(market, "emit", emitted)  # noqa: B010 - mypy refuses the plain assignment
        self.lives[code, native].append(life)

    def caused(self, kind: str, where: str) -> None:
        self.causes[where] = (time.monotonic(), kind)

    def blackout(self, kind: str) -> None:
        """The validator or the bus is gone: no message says so, and what was LIVE counts no more."""
        self.caused(kind, "*")
        for key in self.states:
            self._outages.setdefault(key, (time.monotonic(), kind))
        self.states.clear()

    # what is published

    def book(self, subject: str, payload: bytes) -> None:
        book = pb.OrderBook.FromString(payload)
        key, now = (book.exchange, book.symbol), time.monotonic()
        epoch, revision = self.orders.get(key, (0, 0))
        if book.epoch < epoch or (book.epoch == epoch and book.revision <= revision):
            self.wrong.append(f"O {key}: {book.epoch}/{book.revision} after {epoch}/{revision}")
        self.orders[key] = (book.epoch, book.revision)
        self.states[key], self.arrived_s[key] = book, now
        self.seen[key[0], book.state] += 1
        if book.state != LIVE:
            self._outages.setdefault(key, (now, self._cause(book)))
            return
        if key in self._outages:
            began, kind = self._outages.pop(key)
            self.recoveries[kind].append(now - began)
        self.checked[key[0]] += 1
        if not any(self._true(life, book) for life in self.lives[key[0], book.native_symbol]):
            self.wrong.append(f"W {key} seq {book.sequence} time {book.exchange_time_ns // 10**6} rev {book.revision}")

    def _cause(self, book: pb.OrderBook) -> str:
        wheres = ("*", book.exchange, f"{book.exchange} {book.native_symbol}")
        return max((self.causes[where] for where in wheres if where in self.causes), default=(0.0, "start"))[1]

    def _true(self, life: Life, book: pb.OrderBook) -> bool:
        if not book.sequence:
            ms = book.exchange_time_ns // 1_000_000
            return any(frame.view.time_ms == ms and _same(life, frame.view, book) for frame in reversed(life.frames))
        if book.sequence > life.market.generator.ids.last:
            return False
        try:
            sides = life.market.true.at(seq=book.sequence)
        except LookupError:
            self.unchecked[book.exchange] += 1
            return True
        return _same(life, life.market.view(sides, LEVELS), book)

    # what may not be LIVE any more

    def listed(self) -> set[Key]:
        markets = self.simulator.market.exchanges.items()
        symbols = {(book.exchange, book.native_symbol): key for key, book in self.states.items()}
        pairs = {(code, native) for code, market in markets for native in market.symbols}
        return {symbols.get(pair, (pair[0], f"? {pair[1]}")) for pair in pairs}

    def missing(self) -> set[Key]:
        """Listed markets without a LIVE and current book."""
        now = time.monotonic()
        live = self.live()
        return {
            key
            for key in self.listed()
            if key not in live or now - self.arrived_s[key] > 7 or self._lag(self.states[key], now)[0] > BUDGET_S
        }

    def inspect(self) -> None:
        """Looks for LIVE books that lag; call it a few times a second while the validator runs."""
        now = time.monotonic()
        if now < self.blind_until_s:
            return
        for key in self.live():
            book = self.states[key]
            lag_s, since_s, what = self._lag(book, now)
            ended_s = self.lives[book.exchange, book.native_symbol][-1].ended_s
            if ended_s:
                self.worst_lag["delisted, LIVE"] = max(self.worst_lag["delisted, LIVE"], round(now - ended_s))
            if what in ("halted", "delisted") and self.faults[key[0]].struck_s[book.native_symbol] > since_s - 1:
                continue  # the last frame before the silence was spoiled: nobody can know
            budget_s = SILENCE_S if now < self.silent_until_s[key[0]] + BUDGET_S else BUDGET_S
            self.worst_lag[what] = max(self.worst_lag[what], round(lag_s))
            accusation = (key, book.epoch, book.sequence or book.exchange_time_ns)
            if lag_s > budget_s and accusation not in self._accused:
                self._accused.add(accusation)
                said_s = now - self.arrived_s[key]
                self.stale.append(
                    f"S {key} ({what}) LIVE but lacks what was sent {lag_s:.1f} s ago; seq {book.sequence} "
                    f"rev {book.revision}, said {said_s:.1f} s ago, cause {self._cause(book)}, {time.strftime('%T')}"
                )

    def _lag(self, book: pb.OrderBook, now: float) -> tuple[float, float, str]:
        """(how long it lacks something, since when, what sort of market): zero where it lacks nothing."""
        lives = self.lives[book.exchange, book.native_symbol]
        life = lives[-1]
        what = "delisted" if life.ended_s else "halted" if life.market.halted else "market"
        missed = life.frames[0].sent_s
        if len(lives) > 1 and not self._true(life, book):
            return now - missed, missed, "relisted"  # the same ids, but of an earlier life
        for frame in reversed(life.frames):
            known = frame.view.seq <= book.sequence if book.sequence else _same(life, frame.view, book)
            if known:
                break
            missed = frame.sent_s
        else:
            return now - missed, missed, what
        current = frame is life.frames[-1]
        return (0.0, frame.sent_s, what) if current else (now - missed, missed, what)


def _same(life: Life, view: BookView, book: pb.OrderBook) -> bool:
    listing = life.market.listing
    sides = ((view.bids, book.bid_price, book.bid_size), (view.asks, book.ask_price, book.ask_size))
    for levels, prices, sizes in sides:
        found = [
            (Decimal(price).scaleb(book.price_exponent), Decimal(size).scaleb(book.size_exponent))
            for price, size in zip(prices, sizes, strict=True)
        ]
        if not found or found != _shown(listing, levels)[: len(found)]:
            return False
    return True


def _shown(listing: Listing, levels: list[IntLevel]) -> Levels:
    shown = ((price, rescale(size, listing.size_decimals, listing.shown_size_decimals)) for price, size in levels)
    return [
        (Decimal(price).scaleb(-listing.price_decimals), Decimal(size).scaleb(-listing.shown_size_decimals))
        for price, size in shown
        if size
    ]
