"""The judge of a soak run: what was published against what the simulator sent, over every life of every market.

W   a LIVE book that differs from the truth at its own id, or time where the ids of books are not the market's
S   a LIVE book that lacks a frame which the simulator sent longer than the budget ago
O   revisions that do not rise within an epoch, epochs that fall
R   a book at an id below the one before it, and nothing that announces it
G F losses that nobody noticed, gaps without a loss (`gaps`)

Where the exchange lets only the best levels be checked, deeper ones that are wrong after a frame of the market was
tampered with are counted apart, not as W. When the judge itself was late, nothing is called stale for a while.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass
from decimal import Decimal

from hoga.exchanges import registry
from hoga.exchanges.base import Continuity
from hoga.wire import columns, pb
from services.simulator.venues.base import BookView, IntLevel, Listing
from services.simulator.venues.numbers import rescale
from tests.soak.gaps import Gaps
from tests.soak.record import LEVELS, Life, Record, WatchedServer
from tests.soak.trail import Trail
from tests.support.oracle import Oracle
from tests.support.published import ANNOUNCING, Published

LIVE = pb.BookState.BOOK_STATE_LIVE
BUDGET_S = 5.0
REPEATED_S = 7.0
"""The validator repeats a quiet book every 5 s."""
GRACE_S = 8.0
"""After the bus was away the judge itself may have missed messages until books are repeated."""
DETECT_WITHIN_S = 30.0
UNSAID_S = 1.0
"""Events and books come over two subscriptions: what announces a book may be read after it."""
WHOLE = 1 << 20

Key = tuple[str, str]


@dataclass
class Outage:
    began_s: float
    kind: str
    caused_s: float
    """When the fault happened; 0 where none is known."""


@dataclass
class Said:
    """What is known of the newest message of a book."""

    arrived_s: float
    life: Life | None = None
    number: int = 0
    """The life of its ids that the book was found true in; 0: none."""
    levels: int = WHOLE
    """Best levels a side that were found true."""


class Judge(Oracle):
    def __init__(self, simulator: WatchedServer, record: Record) -> None:
        super().__init__(simulator)
        self.record = record
        self.trail = Trail()
        self.gaps = Gaps(record, self.trail)
        record.on_strike = self._struck
        simulator.on_snapshot = self.gaps.snapshot
        self.stale: list[str] = []
        self.deep: list[str] = []
        """Wrong beyond the proven levels."""
        self.worst_lag: dict[str, float] = defaultdict(float)
        self.detections: dict[str, list[float]] = defaultdict(list)
        """Fault -> seconds to the first message that is not LIVE, each book counted."""
        self.recoveries: dict[str, list[float]] = defaultdict(list)
        """Fault -> seconds to the first LIVE message after that."""
        self.orders: dict[Key, tuple[int, int]] = {}
        self.published: dict[Key, Published] = defaultdict(Published)
        self._unsaid: dict[Key, tuple[float, str]] = {}
        """Book -> when its id went back, and what is wrong with that until something announces it."""
        self.natives: dict[Key, str] = {}
        self.said: dict[Key, Said] = {}
        self.downs: dict[Key, deque[tuple[float, str]]] = defaultdict(lambda: deque(maxlen=50))
        """When a LIVE book was followed by one that is not, and why."""
        self.blind_until_s = 0.0
        self.blind_s = 0.0
        self.late_until_s: dict[str, float] = defaultdict(float)
        """Exchange or "exchange native" -> until when frames are on their way for longer than usual."""
        self._causes: dict[str, tuple[float, str]] = {}
        self._outages: dict[Key, Outage] = {}
        self._accused: set[tuple[Key, int, int]] = set()
        self._inspected_s = time.monotonic()

    # what is done to the system

    def caused(self, kind: str, where: str, *, gaps_s: float = 0.0) -> None:
        """A fault on "*", an exchange or "exchange native"; `gaps_s`: for how long it may be a reason for gaps."""
        self._causes[where] = (time.monotonic(), kind)
        self.trail.add(where, f"fault {kind}")
        if gaps_s:
            self.gaps.excuse(where, gaps_s)
            self.gaps.shaken(where)

    def late(self, where: str, seconds: float) -> None:
        """Frames of "*", an exchange or "exchange native" are on their way for longer than usual, for a while."""
        self.late_until_s[where] = max(self.late_until_s[where], time.monotonic() + seconds)

    def blackout(self, kind: str) -> None:
        """The validator or the bus is gone: no message says so, and what was LIVE counts no more."""
        self.caused(kind, "*", gaps_s=40)
        now = time.monotonic()
        for key in self.states:
            self._outages.setdefault(key, Outage(now, kind, now))
        self.states.clear()

    def blind(self, seconds: float) -> None:
        """Nothing is called stale for a while."""
        self.blind_until_s = max(self.blind_until_s, time.monotonic() + seconds)

    def _struck(self, code: str, native: str, kind: str) -> None:
        where = f"{code} {native}"
        known = self._causes.get(where)
        if known is not None and known[1].split()[0] == kind:
            self._causes[where] = (time.monotonic(), known[1])  # armed before, it happens now
        if kind == "drop":
            self.gaps.lost(code, native)
        shared = registry.get(code).traits.continuity is Continuity.CONNECTION_IDS
        self.gaps.excuse(code if shared else where, 20)

    # what is published

    def book(self, subject: str, payload: bytes) -> None:
        book = pb.OrderBook.FromString(payload)
        key, now = (book.exchange, book.symbol), time.monotonic()
        self._order(key, book)
        if by_ids(key[0]) and (back := self.published[key].book(book)):
            self._unsaid.setdefault(key, (now, f"R {key} revision {book.revision}: {back}, {time.strftime('%T')}"))
        before = self.states.get(key)
        self.states[key], said = book, Said(now)
        self.said[key] = said
        self.natives[key] = book.native_symbol
        self.trail.book(book)
        self.seen[key[0], book.state] += 1
        self.gaps.book(book.exchange, book.native_symbol, live=book.state == LIVE)
        if book.state != LIVE:
            if before is not None and before.state == LIVE:
                self.downs[key].append((now, book.reason))
            if key not in self._outages:
                caused_s, kind = self._cause(book)
                self._outages[key] = Outage(now, kind, caused_s)
                if 0 <= now - caused_s < DETECT_WITHIN_S:
                    self.detections[kind].append(now - caused_s)
            return
        outage = self._outages.pop(key, None)
        if outage is not None:
            self.recoveries[outage.kind].append(now - outage.began_s)
        self._judge(key, book, said)

    def event(self, subject: str, payload: bytes) -> None:
        event = pb.BookEvent.FromString(payload)
        self.trail.event(event)
        self.published[event.exchange, event.symbol].event(event)
        if event.kind in ANNOUNCING:
            self._unsaid.pop((event.exchange, event.symbol), None)
        self.gaps.event(event, self.natives.get((event.exchange, event.symbol), ""))

    def link(self, subject: str, payload: bytes) -> None:
        self.trail.link(pb.LinkStatus.FromString(payload))

    def _order(self, key: Key, book: pb.OrderBook) -> None:
        epoch, revision = self.orders.get(key, (0, 0))
        if book.epoch < epoch or (book.epoch == epoch and book.revision <= revision):
            self.wrong.append(f"O {key}: {book.epoch}/{book.revision} after {epoch}/{revision}")
        elif book.epoch == epoch:
            self.skipped_revisions += book.revision - revision - 1
        self.orders[key] = (book.epoch, book.revision)

    def _cause(self, book: pb.OrderBook) -> tuple[float, str]:
        wheres = ("*", book.exchange, f"{book.exchange} {book.native_symbol}")
        return max((self._causes[where] for where in wheres if where in self._causes), default=(0.0, "start"))

    def _judge(self, key: Key, book: pb.OrderBook, said: Said) -> None:
        best, forgotten = 0, False
        for life in reversed(self.record.lives[key[0], book.native_symbol]):
            agree, number, unknown = self._agree(life, book)
            best, forgotten = max(best, agree), forgotten or unknown
            if agree == WHOLE:
                self.checked[key[0]] += 1
                said.life, said.number = life, number
                return
        if forgotten:
            self.unchecked[key[0]] += 1
            return
        self.checked[key[0]] += 1
        where, levels = book.sequence or book.exchange_time_ns // 10**6, columns.read(book)
        text = (
            f"{key} at {where} revision {book.revision} {time.strftime('%T')}: "
            f"{best} levels are true of {len(levels.bid_price)} bids and {len(levels.ask_price)} asks"
        )
        if book.proven_levels and best >= book.proven_levels and self.record.suspect(key[0], book.native_symbol):
            said.levels = book.proven_levels
            self.deep.append(f"beyond {book.proven_levels} levels: {text}")
        else:
            self.wrong.append(f"W {text}; after {self._cause(book)[1]}")
            self.trail.tell(self.wrong[-1], key[0], book.native_symbol)

    def _agree(self, life: Life, book: pb.OrderBook) -> tuple[int, int, bool]:
        """(levels a side that are true at the book's own point, life of the ids, whether that moment is forgotten)."""
        if not by_market_ids(book):
            ms = book.exchange_time_ns // 1_000_000
            found = [frame for frame in life.frames if frame.view.time_ms == ms]
            best = max(((agreeing(life, frame.view, book), frame.life) for frame in found), default=(0, 0))
            return *best, not found and ms < life.frames[0].view.time_ms and len(life.frames) == life.frames.maxlen
        market, best_of_ids, known = life.market, (0, 0), False
        for number in range(market.lives, max(market.lives - 4, 0), -1):
            if number == market.lives and book.sequence > market.newest:
                continue
            try:
                sides = market.true.at(seq=book.sequence, life=number)
            except LookupError:
                continue
            known = True
            best_of_ids = max(best_of_ids, (agreeing(life, market.view(sides, LEVELS), book), number))
        return *best_of_ids, not known and 0 < book.sequence < market.newest

    # what may not be LIVE any more

    def listed(self) -> set[Key]:
        symbols = {(book.exchange, book.native_symbol): key for key, book in self.states.items()}
        pairs = {(code, native) for code, venue in self.simulator.venues.items() for native in venue.natives()}
        return {symbols.get(pair, (pair[0], f"? {pair[1]}")) for pair in pairs}

    def missing(self) -> set[Key]:
        """Listed markets without a LIVE and current book."""
        now, live = time.monotonic(), self.live()
        return {
            key
            for key in self.listed()
            if key not in live or now - self.said[key].arrived_s > REPEATED_S or self.lag(key, now)[0] > BUDGET_S
        }

    def fresh(self, key: Key, since_s: float) -> bool:
        """Whether the book is LIVE and holds what was sent after a moment."""
        book = self.states.get(key)
        if book is None or book.state != LIVE:
            return False
        return self.lag(key, time.monotonic())[1] >= since_s

    def inspect(self) -> None:
        """Looks for LIVE books that lag; call it a few times a second while the validator runs."""
        now = time.monotonic()
        self.gaps.settle()
        for key in [key for key, (since_s, _) in self._unsaid.items() if now - since_s > UNSAID_S]:
            self.wrong.append(self._unsaid.pop(key)[1])
            self.trail.tell(self.wrong[-1], key[0], self.natives[key])
        elapsed_s, self._inspected_s = now - self._inspected_s, now
        if now < self.blind_until_s:
            self.blind_s += elapsed_s
            return
        for key in self.live():
            self._inspect(key, self.states[key], now)

    def _inspect(self, key: Key, book: pb.OrderBook, now: float) -> None:
        lag_s, since_s, what = self.lag(key, now)
        code, native = key[0], book.native_symbol
        if what == "delisted":
            ended_s = self.record.lives[code, native][-1].ended_s
            self.worst_lag["delisted, LIVE"] = max(self.worst_lag["delisted, LIVE"], now - ended_s)
        if what != "market" and self.record.struck_s[code, native] > since_s - 1:
            return  # the last frame before the silence was spoiled: nobody can know
        late = max(self.late_until_s[where] for where in ("*", code, f"{code} {native}"))
        if now < late:
            return
        self.worst_lag[what] = max(self.worst_lag[what], lag_s)
        accusation = (key, book.epoch, book.sequence or book.exchange_time_ns)
        if lag_s > BUDGET_S and accusation not in self._accused:
            self._accused.add(accusation)
            self.stale.append(
                f"S {key} ({what}) LIVE but lacks what was sent {lag_s:.1f} s ago; seq {book.sequence} rev "
                f"{book.revision}, said {now - self.said[key].arrived_s:.1f} s ago, after {self._cause(book)[1]}, "
                f"{time.strftime('%T')}"
            )
            self.trail.tell(self.stale[-1], key[0], native)

    def lag(self, key: Key, now: float) -> tuple[float, float, str]:
        """(how long it lacks something, when what it holds was sent, what sort of market); 0 where nothing lacks."""
        book, said = self.states[key], self.said[key]
        lives = self.record.lives[key[0], book.native_symbol]
        if not lives:
            return 0.0, 0.0, "unknown"
        life = lives[-1]
        what = "delisted" if life.ended_s else "still" if life.market.still or life.market.quiet else "market"
        missed_s = life.frames[0].sent_s
        if said.life is not None and said.life is not life:
            return now - missed_s, 0.0, "relisted"  # the same ids, but of an earlier listing
        number = said.number or life.market.lives
        by_ids, windowed = by_market_ids(book), self.record.windowed(*(key[0], book.native_symbol))
        for frame in reversed(life.frames):
            known = by_ids and (frame.life, frame.view.seq) <= (number, book.sequence)
            if not known and (windowed or not by_ids):
                known = agreeing(life, frame.view, book) >= said.levels
            if known:
                break
            missed_s = frame.sent_s
        else:
            return now - missed_s, 0.0, what
        current = frame is life.frames[-1]
        return 0.0 if current else now - missed_s, frame.sent_s, what


def by_market_ids(book: pb.OrderBook) -> bool:
    """Whether the book's sequence is an id of the market; otherwise it is found by its time."""
    return book.sequence > 0 and by_ids(book.exchange)


def by_ids(code: str) -> bool:
    """Whether the sequences of an exchange's books are ids of its markets."""
    return registry.get(code).traits.continuity in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS)


def agreeing(life: Life, view: BookView, book: pb.OrderBook) -> int:
    """Best levels of both sides that are true; WHOLE where all are, and there is one at least on each."""
    listing, shown_levels = life.market.listing, columns.read(book)
    sides = (
        (view.bids, shown_levels.bid_price, shown_levels.bid_size),
        (view.asks, shown_levels.ask_price, shown_levels.ask_size),
    )
    least = WHOLE
    for levels, prices, sizes in sides:
        true = shown(listing, levels)
        found = [
            (Decimal(price).scaleb(shown_levels.price_exponent), Decimal(size).scaleb(shown_levels.size_exponent))
            for price, size in zip(prices, sizes, strict=True)
        ]
        if found and found == true[: len(found)]:
            continue
        wrong = (place for place, level in enumerate(found) if place >= len(true) or level != true[place])
        least = min(least, next(wrong, 0))
    return least


def shown(listing: Listing, levels: list[IntLevel]) -> list[tuple[Decimal, Decimal]]:
    """Levels as the exchange shows them; what shows as nothing is left out."""
    rounded = ((price, rescale(size, listing.size_decimals, listing.shown_size_decimals)) for price, size in levels)
    return [
        (Decimal(price).scaleb(-listing.price_decimals), Decimal(size).scaleb(-listing.shown_size_decimals))
        for price, size in rounded
        if size
    ]
