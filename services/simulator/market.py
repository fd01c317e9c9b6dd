"""One seeded synthetic market for all exchanges, and the truth about every book in it. Pure: time comes in.

What an exchange lists, how it numbers and how it frames comes from its emulator; no exchange is known here by name.

Rules it keeps:
1. Every change has an id, by the exchange's `IdStyle`; every frame's ids follow from them.
2. A book is never crossed, at no id. Neither side is ever empty.
3. A native id that is listed again, or whose ids begin anew, has a new life: lives are counted, never mixed up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hoga.domain.phases import Phase
from services.simulator.assets import CHINESE, REAL, Asset, invented
from services.simulator.generator import Generator
from services.simulator.ids import Ids
from services.simulator.listings import Spec, specs
from services.simulator.options import Options
from services.simulator.path import PricePath
from services.simulator.retick import finer
from services.simulator.symbol import SymbolMarket
from services.simulator.venues import registry as emulators
from services.simulator.venues.base import BookView, Day, IdStyle, IntLevel, Listing
from services.simulator.venues.numbers import fixed, rescale

Truth = dict[str, Any]
"""{"seq", "time_ms", "life", "bids": [["price", "size"], …], "asks": …}: exact decimal text, best first."""


class ExchangeMarket:
    """All markets of one exchange; the `MarketPort` of its emulator."""

    def __init__(self, code: str, options: Options, paths: dict[str, PricePath], start_ms: int) -> None:
        self.code, self.options = code, options
        self.emulator = emulators.get(code)(self, seed=options.seed)
        if not options.client_limits:
            self.emulator.unlimited()
        self.symbols: dict[str, SymbolMarket] = {}
        self.maintained = False
        """The whole exchange stands still."""
        self.shown: dict[str, BookView] = {}
        """What `book` answers for a market just now instead of the latest book."""
        self._paths = paths
        self._shared: Ids | None = None
        if self.emulator.ids is IdStyle.SHARED:
            self._shared = Ids(IdStyle.SHARED, Random(f"{options.seed}:{code}:ids"))
        self._lives: dict[str, int] = {}
        self._spares: dict[str, Spec] = {}
        everything = specs(self.emulator.catalogue, code, options.symbols + 10, options.seed)
        for place, spec in enumerate(everything):
            if place < options.symbols:
                self.add(spec, start_ms, place)
            else:
                self._spares[spec.listing.native] = spec

    # what is listed

    def add(self, spec: Spec, now_ms: int, place: int = 0) -> SymbolMarket:
        """Lists a market with a fresh book."""
        native = spec.listing.native
        life = self._lives.get(native, 0) + 1
        dice = Random(f"{self.options.seed}:{self.code}:{native}" + (f":{life}" if life > 1 else ""))
        spec = replace(spec, levels=min(spec.levels, self.options.max_levels))
        ids = self._shared or Ids(self.emulator.ids, dice)
        quiet = place >= 6 and dice.random() < self.options.quiet
        generator = Generator(
            spec, self.options, dice, ids, self._paths, quiet=quiet, repeats=self.emulator.repeats, life=life
        )
        generator.fill(now_ms)
        symbol = SymbolMarket(spec, generator, self.emulator.whole_frames)
        self.symbols[native] = symbol
        return symbol

    def spare(self) -> Spec | None:
        """A market that could be listed next."""
        return next(iter(self._spares.values()), None)

    def known(self) -> list[str]:
        """Native ids that are or can be listed."""
        return [*self.symbols, *self._spares]

    def list_market(self, native: str, now_ms: int) -> SymbolMarket:
        """Lists a spare or a delisted market; KeyError for an unknown one."""
        return self.add(self._spares.pop(native), now_ms)

    def delist(self, native: str) -> Spec:
        """KeyError for an unlisted market."""
        symbol = self.symbols.pop(native)
        self._lives[native] = symbol.lives
        self._spares[native] = symbol.coming
        return symbol.coming

    def rename(self, native: str, now_ms: int) -> str:
        """Lists a market under another native id; ValueError where that is spelled from base and quote."""
        spell = self.emulator.catalogue.renamed
        if spell is None:
            raise ValueError(f"{self.code} spells a native id from base and quote: {native} can have no other")
        spec = self.delist(native)
        del self._spares[native]  # it would be the same canonical symbol twice
        other = spell(native)
        self.add(replace(spec, listing=replace(spec.listing, native=other)), now_ms)
        return other

    def renumber(self, native: str) -> None:
        """Ids begin anew after the pending frame; where the counter is shared, those of all markets."""
        if self.emulator.whole_frames:
            raise ValueError(f"{self.code} sends whole books without ids: there is nothing to begin anew")
        if self._shared is None:
            self.symbols[native].end_life(self.symbols[native].newest)
        elif native in self.symbols:
            last = max(symbol.newest for symbol in self.symbols.values())
            self._shared.restart()
            for symbol in self.symbols.values():
                symbol.end_life(last)
        else:
            raise KeyError(native)

    def retick(self, native: str, digits: int) -> Listing:
        """A finer tick and size step, by so many decimal places, from the next frame on; ValueError where that cannot
        be."""
        symbol = self.symbols[native]
        symbol.coming = finer(symbol.coming, self.emulator.catalogue, digits)
        return symbol.coming.listing

    # MarketPort

    def listings(self) -> Sequence[Listing]:
        return [symbol.listing for symbol in self.symbols.values()]

    def listing(self, native: str) -> Listing | None:
        symbol = self.symbols.get(native)
        return None if symbol is None else symbol.listing

    def phase(self, native: str) -> Phase:
        return Phase.MAINTENANCE if self.maintained else self.symbols[native].phase

    def book(self, native: str, at_ms: int | None = None) -> BookView:
        symbol = self.symbols[native]
        if at_ms is None:
            return self.shown.get(native) or symbol.as_of_frame()
        try:
            return symbol.view(symbol.true.at(time_ms=at_ms))
        except LookupError:
            return symbol.as_of_frame()

    def day(self, native: str) -> Day:
        return self.symbols[native].generator.day()

    # the oracle

    def truth(
        self,
        native: str,
        *,
        seq: int | None = None,
        time_ms: int | None = None,
        depth: int | None = None,
        life: int | None = None,
    ) -> Truth:
        """The true book after id `seq` or at `time_ms` (neither: as the last frame left it), sizes as this exchange
        shows them. An id that several lives had means the newest, unless `life` is given. KeyError for an unlisted
        market, LookupError for what has not happened or is forgotten."""
        symbol = self.symbols[native]
        if seq is None and time_ms is None:
            sides, time = symbol.sides_of_frame(), symbol.frame_ms
        else:
            if seq is not None and seq > symbol.newest and symbol.true.life_of(seq, symbol.newest) is None:
                raise LookupError(f"id {seq} has not happened yet; the newest is {symbol.newest}")
            sides, time = symbol.true.at(seq=seq, time_ms=time_ms, life=life), None
        book = symbol.view(sides, time_ms=time)
        return {
            "seq": book.seq,
            "time_ms": book.time_ms,
            "life": sides.life,
            "bids": texts(symbol.listing, book.bids, depth),
            "asks": texts(symbol.listing, book.asks, depth),
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
        self,
        code: str,
        native: str,
        *,
        seq: int | None = None,
        time_ms: int | None = None,
        depth: int | None = None,
        life: int | None = None,
    ) -> Truth:
        return self.exchanges[code].truth(native, seq=seq, time_ms=time_ms, depth=depth, life=life)


def texts(listing: Listing, levels: list[IntLevel], depth: int | None = None) -> list[list[str]]:
    """Levels as decimal text, sizes as shown; what shows as 0 is left out. At most `depth`."""
    found = []
    for price, size in levels:
        shown = rescale(size, listing.size_decimals, listing.shown_size_decimals)
        if shown:
            found.append([fixed(price, listing.price_decimals), fixed(shown, listing.shown_size_decimals)])
        if depth is not None and len(found) >= depth:
            break
    return found
