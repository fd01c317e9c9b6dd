"""What one unit of a currency is worth in another, by the last prices of markets.

Every market BASE-QUOTE with a price is a step between two currencies; chains of steps lead everywhere.

1. A price counts only if somebody traded on it within 24 h and it was fetched recently: an untraded or old
   last price says nothing about today.
2. The fewest steps win, and spot markets before perpetuals; dated contracts carry a premium and never count.
3. Among equals the market with the most turnover wins, so that a thin market cannot set a rate.
4. Decimal with 60 digits throughout: products are exact, quotients round far below any ranking.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation

from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Turnover

EXACT = Context(prec=60)
"""The caller's own decimal context must not round a turnover."""
MAX_CHARS = 48
MAX_MAGNITUDE = 30
ZERO = Decimal(0)
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class MarketPrice:
    """A step between two currencies: `price` units of `quote` for one unit of `base`."""

    base: str
    quote: str
    price: Decimal
    turnover: Decimal
    """24 h, in units of `quote`."""
    spot: bool
    time_ns: int
    """When it was fetched, by the monotonic clock."""


@dataclass(frozen=True, slots=True)
class _Step:
    """From a known currency to `currency`: one unit of it is worth `worth` units of the known one."""

    currency: str
    worth: Decimal
    turnover: Decimal
    """24 h, in units of the known currency."""
    spot: bool


def amount(text: str) -> Decimal | None:
    """Decimal text from outside as a finite number of sane size, at least 0; None for anything else."""
    if len(text) > MAX_CHARS or not text.isascii() or "_" in text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if not value.is_finite() or (value.is_signed() and value):
        return None
    if not value:
        return ZERO
    return value if abs(value.adjusted()) <= MAX_MAGNITUDE else None


def market_prices(listed: SymbolMap, turnovers: Iterable[Turnover], time_ns: int) -> list[MarketPrice]:
    """The steps that the tickers of one exchange, fetched at monotonic `time_ns`, allow."""
    found = []
    for ticker in turnovers:
        instrument = listed.by_native.get(ticker.native_symbol)
        price, turnover = amount(ticker.last_price), amount(ticker.quote_turnover)
        if instrument is None or instrument.kind == "dated" or instrument.base == instrument.quote:
            continue
        if price and turnover:
            spot = instrument.kind == "spot"
            found.append(MarketPrice(instrument.base, instrument.quote, price, turnover, spot, time_ns))
    return found


def rates(prices: Iterable[MarketPrice], common: str, *, now_ns: int, max_age_ns: int) -> dict[str, Decimal]:
    """Units of `common` for one unit of every currency that a chain of usable prices reaches.

    `common` itself is always there, at 1. Independent of the order of `prices`.
    """
    steps = _steps(price for price in prices if now_ns - price.time_ns <= max_age_ns)
    known = {common: ONE}
    frontier = [common]
    while frontier:
        best: dict[str, tuple[bool, Decimal, Decimal]] = {}
        for currency in frontier:
            rate = known[currency]
            for step in steps[currency]:
                if step.currency not in known:
                    offer = (step.spot, EXACT.multiply(step.turnover, rate), EXACT.multiply(step.worth, rate))
                    best[step.currency] = max(best.get(step.currency, offer), offer)
        known.update((currency, worth) for currency, (_, _, worth) in best.items())
        frontier = list(best)
    return known


def _steps(prices: Iterable[MarketPrice]) -> dict[str, list[_Step]]:
    """The steps that lead away from each currency."""
    steps: dict[str, list[_Step]] = defaultdict(list)
    for market in prices:
        if market.price and market.turnover:
            inverse = EXACT.divide(ONE, market.price)
            traded_base = EXACT.divide(market.turnover, market.price)
            steps[market.quote].append(_Step(market.base, market.price, market.turnover, market.spot))
            steps[market.base].append(_Step(market.quote, inverse, traded_base, market.spot))
    return steps
