"""What an exchange lists: markets, ticks, size steps, premiums and turnovers, in the order of interest.

The first ten of every exchange hold the odd ones: a dated future, a Chinese symbol, thousandfold tokens, tiny prices,
other quotes. `specs(catalogue, code, count, seed)` extends them with invented names up to any count.

Everything follows from the exchange's `Catalogue`; no exchange is known here by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10
from zlib import crc32

from services.simulator.assets import CHINESE, KRW_PER_USD, REAL, Asset, invented
from services.simulator.path import Premium
from services.simulator.ticks import TickTable, banded, flat
from services.simulator.venues.base import Catalogue, Listing

DELIVERY = "261225"
_DELIVERY_MS = 1798185600000  # 2026-12-25 08:00 UTC
_THIN_QUOTE = 0.004
"""A further quote's part of its exchange's turnover."""
_BY_NAME = {asset.name: asset for asset in REAL}
_FIAT = {"KRW": 1 / KRW_PER_USD, "USD": 1.0, "USDT": 1.0, "USDC": 1.0, "EUR": 1.08, "GBP": 1.27}
"""USD for one unit of a quote that does not move."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One market as the generator needs it."""

    listing: Listing
    ticks: TickTable
    asset: str
    usd: float
    """Price of one base unit at the start, in USD (a thousandfold token already multiplied)."""
    multiple: float
    premium: Premium
    turnover: float
    """24 h turnover in quote units."""
    levels: int
    """Usual number of levels a side."""
    quote_usd: float
    """USD for one quote unit at the start."""
    quote_asset: str = ""
    """The asset whose price the quote follows; empty for one that stands still."""
    unit: float = 1.0
    """Base units of a size of 1."""

    @property
    def pace(self) -> float:
        """Changes in a frame, relative to the busiest markets: deep books live faster."""
        return 1.0 if self.levels >= 1000 else 0.6 if self.levels >= 90 else 0.35


def specs(catalogue: Catalogue, code: str, count: int, seed: int) -> list[Spec]:
    """The first `count` markets of an exchange."""
    found: dict[str, Spec] = {}
    for spec in Lister(catalogue, code).markets(invented(count, seed)):
        if len(found) >= count:
            break
        found.setdefault(spec.listing.native, spec)
    return list(found.values())


class Lister:
    def __init__(self, catalogue: Catalogue, code: str) -> None:
        self.catalogue = catalogue
        self.part = crc32(code.encode()) / 2**32
        """In [0, 1): by what prices of this exchange differ a little from those of the others."""

    def markets(self, extra: list[Asset]) -> Iterator[Spec]:
        catalogue = self.catalogue
        crosses = [quote for quote in catalogue.crosses if quote != catalogue.quote]
        cross = crosses[0] if crosses else ""
        korean = catalogue.style == "korean"
        for name in ("BTC", "ETH", "XRP", "SOL", "DOGE", "USDT" if korean else "SHIB"):
            yield self.market(_BY_NAME[name])
        if catalogue.dated:
            yield self.market(_BY_NAME["BTC"], delivery=DELIVERY)
        elif cross:
            yield self.market(_other("ETH", cross), cross)
        if catalogue.quote == "USDT":
            yield self.market(CHINESE)
        for quote in crosses[1:]:
            yield self.market(_other("BTC", quote), quote)
        yield self.market(_BY_NAME["SHIB" if korean else "ADA"])
        if catalogue.dated:
            yield self.market(_BY_NAME["ETH"], delivery=DELIVERY)
        elif cross:
            yield self.market(_BY_NAME["XRP"], cross)
        for asset in (*REAL, *extra):
            if asset.name != catalogue.quote:
                yield self.market(asset)
        for asset in (*REAL, *extra) if cross else ():
            if asset.name not in (cross, "USDT", "BTC"):
                yield self.market(asset, cross)

    def market(self, asset: Asset, quote: str = "", delivery: str = "") -> Spec:
        """One market; `quote` where it is not the main one."""
        catalogue, main = self.catalogue, not quote
        quote = quote or catalogue.quote
        quote_asset = "" if quote in _FIAT else quote
        quote_usd = _FIAT.get(quote) or _BY_NAME[quote].usd
        derivative = catalogue.style == "derivatives"
        multiple = 1000.0 if derivative and not catalogue.contracts and asset.usd < 0.0001 else 1.0
        base = f"1000{asset.name}" if multiple > 1 else asset.name
        usd = asset.usd * multiple
        contract = 10.0 ** round(log10(500 / usd)) if catalogue.contracts else 1.0
        ticks = self._ticks(usd / quote_usd, quote)
        size_decimals, step = self._sizes(usd)
        usd_turnover = asset.turnover_usd * catalogue.share * (1.0 if main else _THIN_QUOTE)
        usd_turnover *= 0.01 if delivery else 4.0 if catalogue.style == "korean" and asset.name == "USDT" else 1.0
        listing = Listing(
            native=catalogue.native(base, quote, delivery),
            base=base,
            quote=quote,
            kind="dated" if delivery else "perpetual" if derivative else "spot",
            price_decimals=ticks.decimals,
            size_decimals=size_decimals,
            shown_size_decimals=min(size_decimals, catalogue.shown_size_decimals or size_decimals),
            tick=ticks.step(int(ticks.index(usd / quote_usd))),
            size_step=step,
            delivery_ms=_DELIVERY_MS if delivery else 0,
            contract_size=_power(round(log10(contract))) if catalogue.contracts else "",
            korean_name=asset.korean,
            english_name=asset.english,
        )
        return Spec(
            listing,
            ticks,
            asset.name,
            usd,
            multiple,
            self._premium(main, delivery),
            usd_turnover / quote_usd,
            self._levels(usd_turnover, main),
            quote_usd,
            quote_asset,
            contract,
        )

    def _ticks(self, price: float, quote: str) -> TickTable:
        catalogue = self.catalogue
        if quote in catalogue.bands:
            return banded(catalogue.bands[quote])
        if catalogue.style == "derivatives":
            power, least = max(-7, floor(log10(price)) - (5 if price > 1000 else 4)), 2
        else:
            power, least = max(-8, floor(log10(price)) - (6 if price > 10000 else 4)), 0
        decimals = max(least, -power) if catalogue.price_decimals is None else catalogue.price_decimals
        return flat(_power(max(power, -decimals)), decimals)

    def _sizes(self, usd: float) -> tuple[int, int]:
        """(decimals, step as a mantissa)"""
        given, power = self.catalogue.size_decimals, floor(log10(usd))
        match self.catalogue.style:
            case "korean":
                return given or 8, 1
            case "derivatives" if self.catalogue.contracts:
                return 2 if given is None else given, 1
            case "derivatives":
                return min(3, max(0, power + 1)) if given is None else given, 1
            case _:
                needed = min(5, max(0, power + 1))
                return (needed, 1) if given is None else (given, 10 ** max(0, given - needed))

    def _premium(self, main: bool, delivery: str) -> Premium:
        phase = 6.283 * self.part
        match self.catalogue.style:
            case "derivatives":
                return Premium(0.012, 0.001, phase=phase) if delivery else Premium(0.0001, 0.0002, phase=phase)
            case "korean":
                return Premium(0.016 + 0.003 * self.part if main else 0.001, 0.006 if main else 0.0005, phase=phase)
            case _:
                return Premium(0.0003 * (self.part - 0.5), 0.0001, phase=phase)

    def _levels(self, usd_turnover: float, main: bool) -> int:
        """Levels a side: more than any snapshot holds for the large, a few for the small."""
        if self.catalogue.style == "korean":
            levels = 90 if main and usd_turnover > 1e6 else 45 if main else 18
        else:
            levels = 2400 if usd_turnover > 8e8 else 1300 if usd_turnover > 1e8 else 450 if usd_turnover > 5e6 else 140
        return min(levels, self.catalogue.most_levels or levels)


def _other(name: str, quote: str) -> Asset:
    """An asset that is not its own quote."""
    return _BY_NAME[name if name != quote else "BTC" if name == "ETH" else "ETH"]


def _power(exponent: int) -> str:
    return str(10**exponent) if exponent >= 0 else f"0.{'0' * (-exponent - 1)}1"
