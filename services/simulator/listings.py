"""What each exchange lists: markets, tick tables, size steps, premiums and turnovers, in the order of interest.

The first ten of every exchange hold the odd ones: a dated future, a Chinese symbol, thousandfold tokens, tiny prices,
BTC and USDT markets. `specs(code, count, seed)` extends them with invented names up to any count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10

from hoga.exchanges.dialect import Listing
from services.simulator.assets import CHINESE, KRW_PER_USD, REAL, Asset, invented
from services.simulator.path import Premium
from services.simulator.ticks import TickTable, bithumb_krw, flat, upbit_krw, upbit_usdt

CODES = ("binance_future", "binance_spot", "upbit", "bithumb")
DELIVERY = "261225"
_DELIVERY_MS = 1798185600000  # 2026-12-25 08:00 UTC
_SHARE = {"binance_future": 1.0, "binance_spot": 0.35, "upbit": 0.06, "bithumb": 0.02}
"""An exchange's part of an asset's turnover."""
_THIN_QUOTE = 0.004
"""A BTC or USDT market's part of its exchange's turnover (Korean exchanges, and Binance's BTC crosses)."""


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

    @property
    def pace(self) -> float:
        """Changes in a frame, relative to the busiest markets: deep books live faster."""
        return 1.0 if self.levels >= 1000 else 0.6 if self.levels >= 90 else 0.35


def specs(code: str, count: int, seed: int) -> list[Spec]:
    """The first `count` markets of an exchange."""
    extra = invented(count, seed)
    if code in ("upbit", "bithumb"):
        candidates = _korean(code, extra)
    else:
        candidates = _binance_future(extra) if code == "binance_future" else _binance_spot(extra)
    found: dict[str, Spec] = {}
    for spec in candidates:
        if len(found) >= count:
            break
        found.setdefault(spec.listing.native, spec)
    return list(found.values())


def _binance_future(extra: list[Asset]) -> Iterator[Spec]:
    first = [_asset(name) for name in ("BTC", "ETH", "XRP", "SOL", "DOGE", "SHIB")]
    for asset in first:
        yield _future(asset)
    yield _future(_asset("BTC"), DELIVERY)
    yield _future(CHINESE)
    yield _future(_asset("ADA"))
    yield _future(_asset("ETH"), DELIVERY)
    for asset in (*REAL, *extra):
        if asset.name != "USDT":
            yield _future(asset)


def _future(asset: Asset, delivery: str = "") -> Spec:
    multiple = 1000.0 if asset.usd < 0.0001 else 1.0
    base = f"1000{asset.name}" if multiple > 1 else asset.name
    usd = asset.usd * multiple
    tick_power = max(-7, floor(log10(usd)) - (5 if usd > 1000 else 4))
    ticks = flat(_power(tick_power), max(2, -tick_power))
    size_decimals = min(3, max(0, floor(log10(usd)) + 1))
    listing = Listing(
        native=f"{base}USDT" + (f"_{delivery}" if delivery else ""),
        base=base,
        quote="USDT",
        kind="dated" if delivery else "perpetual",
        price_decimals=ticks.decimals,
        size_decimals=size_decimals,
        shown_size_decimals=size_decimals,
        tick=ticks.step(1),
        delivery_ms=_DELIVERY_MS if delivery else 0,
        korean_name=asset.korean,
        english_name=asset.english,
    )
    premium = Premium(0.012, 0.001) if delivery else Premium(0.0001, 0.0002)
    turnover = asset.turnover_usd * (0.01 if delivery else 1.0)
    return Spec(listing, ticks, asset.name, usd, multiple, premium, turnover, _depth(turnover))


def _binance_spot(extra: list[Asset]) -> Iterator[Spec]:
    bitcoin = _asset("BTC")
    for name in ("BTC", "ETH", "XRP", "SOL", "DOGE", "SHIB"):
        yield _spot(_asset(name))
    yield _spot(_asset("ETH"), bitcoin)
    yield _spot(CHINESE)
    yield _spot(_asset("ADA"))
    yield _spot(_asset("XRP"), bitcoin)
    for asset in (*REAL, *extra):
        if asset.name != "USDT":
            yield _spot(asset)
    for asset in extra:
        yield _spot(asset, bitcoin)


def _spot(asset: Asset, quote: Asset | None = None) -> Spec:
    quote_name, quote_usd = (quote.name, quote.usd) if quote else ("USDT", 1.0)
    price = asset.usd / quote_usd
    tick_power = max(-8, floor(log10(price)) - (6 if price > 10000 else 4))
    lot_power = min(0, max(-5, -floor(log10(asset.usd)) - 1))
    tick, step = 10 ** (8 + tick_power), 10 ** (8 + lot_power)
    listing = _listing(f"{asset.name}{quote_name}", asset, quote_name, tick, 8, step=step)
    turnover = asset.turnover_usd * _SHARE["binance_spot"] / quote_usd * (_THIN_QUOTE if quote else 1.0)
    ticks, premium = flat(_power(tick_power), 8), Premium(0.0, 0.0001)
    levels = _depth(turnover * quote_usd)
    return Spec(listing, ticks, asset.name, asset.usd, 1.0, premium, turnover, levels)


def _korean(code: str, extra: list[Asset]) -> Iterator[Spec]:
    for name in ("BTC", "ETH", "XRP", "SOL", "DOGE", "USDT"):
        yield _market(code, _asset(name), "KRW")
    yield _market(code, _asset("ETH"), "BTC")
    yield _market(code, _asset("BTC"), "USDT") if code == "upbit" else _market(code, _asset("ADA"), "KRW")
    yield _market(code, _asset("SHIB"), "KRW")
    yield _market(code, _asset("XRP"), "BTC")
    for asset in (*REAL, *extra):
        yield _market(code, asset, "KRW")
    for asset in (*REAL, *extra):
        if asset.name not in ("BTC", "USDT"):
            yield _market(code, asset, "BTC")


def _market(code: str, asset: Asset, quote: str) -> Spec:
    quote_usd = {"KRW": 1 / KRW_PER_USD, "USDT": 1.0, "BTC": _asset("BTC").usd}[quote]
    if quote == "BTC":
        ticks = flat("0.00000001", 8)
    elif quote == "USDT":
        ticks = upbit_usdt()
    else:
        ticks = upbit_krw() if code == "upbit" else bithumb_krw()
    step = ticks.step(int(ticks.index(asset.usd / quote_usd)))
    shown = 4 if code == "bithumb" else 8
    listing = _listing(f"{quote}-{asset.name}", asset, quote, step, ticks.decimals, shown)
    thin = 1.0 if quote == "KRW" else _THIN_QUOTE
    usd_turnover = asset.turnover_usd * _SHARE[code] * thin * (4.0 if asset.name == "USDT" else 1.0)
    # The Korean premium; a little different on the two exchanges and in their other quotes.
    base = {"upbit": 0.018, "bithumb": 0.0165}[code] if quote == "KRW" else 0.001
    premium = Premium(base, 0.006 if quote == "KRW" else 0.0005, phase=0.0 if code == "upbit" else 0.4)
    levels = 90 if quote == "KRW" and usd_turnover > 1e6 else 45 if quote == "KRW" else 18
    return Spec(listing, ticks, asset.name, asset.usd, 1.0, premium, usd_turnover / quote_usd, levels)


def _listing(
    native: str, asset: Asset, quote: str, tick: int, price_decimals: int, shown: int = 8, step: int = 1
) -> Listing:
    return Listing(
        native=native,
        base=asset.name,
        quote=quote,
        price_decimals=price_decimals,
        size_decimals=8,
        shown_size_decimals=shown,
        tick=tick,
        size_step=step,
        korean_name=asset.korean,
        english_name=asset.english,
    )


def _asset(name: str) -> Asset:
    return next(asset for asset in REAL if asset.name == name)


def _depth(turnover_usd: float) -> int:
    """Levels a side on Binance: more than any snapshot holds for the large, a few for the small."""
    return 2400 if turnover_usd > 8e8 else 1300 if turnover_usd > 1e8 else 450 if turnover_usd > 5e6 else 140


def _power(exponent: int) -> str:
    return str(10**exponent) if exponent >= 0 else f"0.{'0' * (-exponent - 1)}1"
