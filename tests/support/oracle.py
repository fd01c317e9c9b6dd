"""The oracle: every published book is compared with the simulator's truth at its own id or time.

Verdicts: `wrong` holds every LIVE book that differs from the truth (must stay empty), `checked` how many were
compared. Levels are compared as Decimals; the published ones must be exactly the best true ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from hoga.exchanges import registry
from hoga.exchanges.base import Continuity
from hoga.wire import columns, pb
from services.simulator.server import SimulatorServer

MARKET_IDS = (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS)
"""Where ids are the market's own; elsewhere a book is compared at its time."""


@dataclass
class Oracle:
    simulator: SimulatorServer
    wrong: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    unchecked: Counter[str] = field(default_factory=Counter)
    states: dict[tuple[str, str], pb.OrderBook] = field(default_factory=dict)
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)
    skipped_revisions: int = 0

    def book(self, subject: str, payload: bytes) -> None:
        """Takes one published message."""
        book = pb.OrderBook.FromString(payload)
        key = (book.exchange, book.symbol)
        before = self.states.get(key)
        if before is not None and before.epoch == book.epoch:
            if book.revision <= before.revision:
                self.wrong.append(f"{key}: revision {book.revision} after {before.revision}")
            self.skipped_revisions += book.revision - before.revision - 1
        self.states[key] = book
        self.seen[(book.exchange, book.state)] += 1
        if book.state == pb.BookState.BOOK_STATE_LIVE:
            self._compare(book)

    def live(self, exchange: str = "") -> set[tuple[str, str]]:
        """Books whose newest message is LIVE."""
        return {
            key
            for key, book in self.states.items()
            if book.state == pb.BookState.BOOK_STATE_LIVE and (not exchange or key[0] == exchange)
        }

    def _compare(self, book: pb.OrderBook) -> None:
        numbered = registry.get(book.exchange).traits.continuity in MARKET_IDS
        levels = columns.read(book)
        where = {"seq": book.sequence} if numbered else {"time_ms": book.exchange_time_ns // 1_000_000}
        try:
            truth = self.simulator.truth(book.exchange, book.native_symbol, depth=len(levels.bid_price) + 40, **where)
        except LookupError as error:
            if "has not happened" in str(error):
                self.wrong.append(f"{book.exchange} {book.symbol}: {error}")
            self.unchecked[book.exchange] += 1
            return
        self.checked[book.exchange] += 1
        for name, prices, sizes in (
            ("bids", levels.bid_price, levels.bid_size),
            ("asks", levels.ask_price, levels.ask_size),
        ):
            found = [
                (Decimal(p).scaleb(levels.price_exponent), Decimal(s).scaleb(levels.size_exponent))
                for p, s in zip(prices, sizes, strict=True)
            ]
            true = [(Decimal(p), Decimal(s)) for p, s in truth[name]][: len(found)]
            if found != true:
                differ = next((i for i, pair in enumerate(zip(found, true, strict=False)) if pair[0] != pair[1]), -1)
                self.wrong.append(
                    f"{book.exchange} {book.symbol} {name} at {where}: level {differ} of {len(found)} is "
                    f"{found[differ]} not {true[differ] if true else None}"
                )
        if not levels.bid_price or not levels.ask_price:
            self.unchecked["one-sided"] += 1
