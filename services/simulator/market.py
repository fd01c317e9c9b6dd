"""One seeded synthetic market for all exchanges, and the truth about every book in it. Pure: time comes in.

Each market lives in windows of time. `generate(start, end)` draws the changes of the coming window, spread over its
milliseconds, and keeps their merged form pending; `emit()` hands it over when the window has ended. In between, a
snapshot at a time inside the window holds some of the changes of a frame that is yet to come, as real ones do.

Rules it keeps:
1. Every change has an id of its own. Spot: consecutive per market. Futures: one counter for the whole exchange,
   with holes. `first_seq`/`last_seq`/`prev_seq` of a frame follow from the ids.
2. A book is never crossed, at no id. Neither side is ever empty.
3. Times rise with ids; changes of the next window are later, by at least a millisecond, than the last frame's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hoga.exchanges.dialect import BookView, Change, Day, IntLevel, Listing, fixed, rescale
from services.simulator.assets import CHINESE, REAL, Asset, invented
from services.simulator.book import ASK, BID, Sides
from services.simulator.generator import Generator, Ids
from services.simulator.listings import Spec, specs
from services.simulator.options import Options
from services.simulator.path import PricePath

Truth = dict[str, Any]
"""{"seq", "time_ms", "bids": [["price", "size"], …], "asks": …}: exact decimal text, best first."""


class SymbolMarket:
    """One market: its spec, its true book, its pending frame."""

    def __init__(self, spec: Spec, generator: Generator, whole_frames: bool) -> None:
        self.spec, self.listing = spec, spec.listing
        self.generator, self.true = generator, generator.true
        self.whole_frames = whole_frames
        self.halted = False
        self.emitted_seq = self.true.seq
        self.frame_ms = self.true.time_ms
        """Time of the last frame; of the start before the first."""
        self.window_end_ms = self.true.time_ms
        self._pending = False
        self._touched: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._first_seq = 0
        self._memory: tuple[int, int, BookView] | None = None

    def generate(self, start_ms: int, end_ms: int) -> None:
        """Draws the changes of a window, to be emitted when `end_ms` has come."""
        if self.halted:
            return
        start_ms = max(start_ms, self.window_end_ms)
        end_ms = max(end_ms, start_ms + 1)
        drawn = self.generator.window(start_ms, end_ms, self._touched)
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
            price = self.spec.ticks.price
            bids = [(price(index), lots) for index, lots in sorted(self._touched[BID].items())]
            asks = [(price(index), lots) for index, lots in sorted(self._touched[ASK].items())]
        first = self._first_seq or self.true.seq
        change = Change(first, self.true.seq, self.emitted_seq, self.window_end_ms, bids, asks)
        self.emitted_seq, self.frame_ms = self.true.seq, self.window_end_ms
        self._pending, self._first_seq, self._touched = False, 0, ({}, {})
        return change

    def shift_clock(self, delta_ms: int) -> None:
        """The exchange's clock jumps; a pending frame jumps with it."""
        self.window_end_ms += delta_ms

    def view(self, sides: Sides, depth: int | None = None, time_ms: int | None = None) -> BookView:
        price = self.spec.ticks.price
        bids = [(price(index), sides.bids[index]) for index in sorted(sides.bids, reverse=True)[:depth]]
        asks = [(price(index), sides.asks[index]) for index in sorted(sides.asks)[:depth]]
        return BookView(sides.seq, sides.time_ms if time_ms is None else time_ms, bids, asks)

    def top(self, depth: int) -> BookView:
        """The best levels right now, as the frame just emitted left them. Only valid before the next `generate`."""
        true, price = self.true, self.spec.ticks.price
        best_bids, best_asks = [-rank for rank in true.ranks[BID][:depth]], true.ranks[ASK][:depth]
        bids = list(zip(map(price, best_bids), map(true.lots[BID].__getitem__, best_bids), strict=True))
        asks = list(zip(map(price, best_asks), map(true.lots[ASK].__getitem__, best_asks), strict=True))
        return BookView(self.emitted_seq, self.frame_ms, bids, asks)

    def as_of_frame(self) -> BookView:
        """The whole book as the last frame left it."""
        if self._memory is None or self._memory[:2] != (self.emitted_seq, self.frame_ms):
            book = self.view(self.true.at(seq=self.emitted_seq), time_ms=self.frame_ms)
            self._memory = (self.emitted_seq, self.frame_ms, book)
        return self._memory[2]


class ExchangeMarket:
    """All markets of one exchange; the `MarketPort` of its dialect."""

    def __init__(self, code: str, options: Options, paths: dict[str, PricePath], start_ms: int) -> None:
        self.code, self.options = code, options
        self.whole_frames = code in ("upbit", "bithumb")
        self._paths = paths
        self._shared: Ids | None = None
        if code == "binance_future":
            self._shared = Ids(Random(f"{options.seed}:{code}:ids"), 5_123_107_832_006)
        self.symbols: dict[str, SymbolMarket] = {}
        self._spares: dict[str, Spec] = {}
        everything = specs(code, options.symbols + 10, options.seed)
        for place, spec in enumerate(everything):
            if place < options.symbols:
                self.add(spec, start_ms, place)
            else:
                self._spares[spec.listing.native] = spec

    def add(self, spec: Spec, now_ms: int, place: int = 0) -> SymbolMarket:
        """Lists a market with a fresh book."""
        dice = Random(f"{self.options.seed}:{self.code}:{spec.listing.native}")
        spec = replace(spec, levels=min(spec.levels, self.options.max_levels))
        ids = self._shared or Ids(None, dice.randrange(10**6, 10**11))
        quiet = place >= 6 and dice.random() < self.options.quiet
        generator = Generator(spec, self.options, dice, ids, self._paths, quiet, self.code)
        generator.fill(now_ms)
        symbol = SymbolMarket(spec, generator, self.whole_frames)
        self.symbols[spec.listing.native] = symbol
        return symbol

    def spare(self) -> Spec | None:
        """A market that could be listed next."""
        return next(iter(self._spares.values()), None)

    def list_market(self, native: str, now_ms: int) -> SymbolMarket:
        """Lists a spare or a delisted market; KeyError for an unknown one."""
        return self.add(self._spares.pop(native), now_ms)

    def delist(self, native: str) -> None:
        """KeyError for an unlisted market."""
        self._spares[native] = self.symbols.pop(native).spec

    # MarketPort

    def listings(self) -> Sequence[Listing]:
        return [symbol.listing for symbol in self.symbols.values()]

    def listing(self, native: str) -> Listing | None:
        symbol = self.symbols.get(native)
        return None if symbol is None else symbol.listing

    def trading(self, native: str) -> bool:
        return not self.symbols[native].halted

    def book(self, native: str, at_ms: int | None = None) -> BookView:
        symbol = self.symbols[native]
        if at_ms is None:
            return symbol.as_of_frame()
        try:
            return symbol.view(symbol.true.at(time_ms=at_ms))
        except LookupError:
            return symbol.as_of_frame()

    def day(self, native: str) -> Day:
        return self.symbols[native].generator.day()

    def truth(
        self, native: str, *, seq: int | None = None, time_ms: int | None = None, depth: int | None = None
    ) -> Truth:
        """The true book after id `seq` or at `time_ms` (neither: as the last frame left it), sizes as this exchange
        shows them. KeyError for an unlisted market, LookupError for what has not happened or is forgotten."""
        symbol = self.symbols[native]
        if seq is None and time_ms is None:
            seq, time = symbol.emitted_seq, symbol.frame_ms
        else:
            newest = symbol.generator.ids.last
            if seq is not None and seq > newest:
                raise LookupError(f"id {seq} has not happened yet; the newest is {newest}")
            time = None
        sides = symbol.true.at(seq=seq, time_ms=time_ms)
        book = symbol.view(sides, time_ms=time)
        return {
            "seq": book.seq,
            "time_ms": book.time_ms,
            "bids": _texts(symbol.listing, book.bids, depth),
            "asks": _texts(symbol.listing, book.asks, depth),
        }


class Market:
    """Every exchange over one set of prices."""

    def __init__(self, options: Options, start_ms: int) -> None:
        self.options = options
        assets: dict[str, Asset] = {asset.name: asset for asset in (*REAL, CHINESE)}
        assets |= {asset.name: asset for asset in invented(options.symbols + 10, options.seed)}
        self.paths = {
            name: PricePath(f"{options.seed}:{name}", asset.usd, start_ms, 0.05 if name == "USDT" else options.drift)
            for name, asset in assets.items()
        }
        self.exchanges = {code: ExchangeMarket(code, options, self.paths, start_ms) for code in options.exchanges}

    def truth(
        self, code: str, native: str, *, seq: int | None = None, time_ms: int | None = None, depth: int | None = None
    ) -> Truth:
        return self.exchanges[code].truth(native, seq=seq, time_ms=time_ms, depth=depth)


def _texts(listing: Listing, levels: list[IntLevel], depth: int | None) -> list[list[str]]:
    found = []
    for price, size in levels:
        shown = rescale(size, listing.size_decimals, listing.shown_size_decimals)
        if shown:
            found.append([fixed(price, listing.price_decimals), fixed(shown, listing.shown_size_decimals)])
        if depth is not None and len(found) >= depth:
            break
    return found
