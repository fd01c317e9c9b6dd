"""One book as the page's ladder shows it: exact decimal text, best first, with running totals.

Everything is computed on the wire's integers; the text of a column carries as many decimals as its finest value
needs, so that the figures stand under each other. No float touches a price or a size; `spread_bps` is for eyes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp
from hoga.wire.columns import Columns

from .books import Book

DEPTH = 25
"""Levels a side that are sent to the page."""
MAX_EXPONENT = 40
"""Beyond, no exchange quotes: shown with an exponent instead of a page of zeros."""
MS = 1_000_000


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """Sent to the page up to ten times a second. `sequence` is text: JavaScript's numbers end at 2^53."""

    type: str = "ladder"
    exchange: str
    symbol: str
    native_symbol: str
    state: str
    reason: str
    phase: str
    """Empty where there is nothing to say: the market trades, or nobody knows."""
    verified: bool
    sequence: str
    epoch: str
    revision: int
    missing: int
    gaps: int
    resyncs: int
    bids: list[tuple[str, str, str]]
    """(price, size, running total), best first."""
    asks: list[tuple[str, str, str]]
    bids_known: int
    asks_known: int
    proven_levels: int
    """Best levels a side that are checked at every update; 0: all."""
    spread: str
    spread_bps: float | None
    age_ms: int
    exchange_to_receive_ms: float | None
    """None where the exchange gives no time."""
    receive_to_publish_ms: float


def ladder(book: Book, now: Stamp) -> Ladder:
    """The newest decoded message of a book; decode and judge it before."""
    message, columns = book.book, book.columns
    price_exponent, size_exponent = columns.price_exponent, columns.size_exponent
    sides = [columns.bid_price[:DEPTH], columns.ask_price[:DEPTH]]
    sizes = [columns.bid_size[:DEPTH], columns.ask_size[:DEPTH]]
    price_places = places((price for side in sides for price in side), price_exponent)
    size_places = places((size for side in sizes for size in side), size_exponent)

    def rows(prices: Sequence[int], amounts: Sequence[int]) -> list[tuple[str, str, str]]:
        return [
            (
                decimal(price, price_exponent, price_places),
                decimal(size, size_exponent, size_places),
                decimal(total, size_exponent, size_places),
            )
            for price, size, total in zip(prices, amounts, accumulate(amounts), strict=True)
        ]

    gap, bps = spread(columns)
    return Ladder(
        exchange=book.exchange,
        symbol=book.symbol,
        native_symbol=message.native_symbol,
        state=book.state,
        reason=book.reason,
        phase=Phase(message.phase).label,
        verified=message.verified,
        sequence=str(message.sequence),
        epoch=f"{message.epoch:x}",
        revision=message.revision,
        missing=message.missing,
        gaps=message.gap_count,
        resyncs=message.resync_count,
        bids=rows(sides[0], sizes[0]),
        asks=rows(sides[1], sizes[1]),
        bids_known=message.bids_known,
        asks_known=message.asks_known,
        proven_levels=message.proven_levels,
        spread=decimal(gap, price_exponent) if gap is not None else "",
        spread_bps=bps,
        age_ms=book.age_ns(now.mono_ns) // MS,
        exchange_to_receive_ms=_between(message.exchange_time_ns, message.receive_time_ns),
        receive_to_publish_ms=_between(message.receive_time_ns, message.publish_time_ns) or 0.0,
    )


def best(columns: Columns) -> tuple[str, str]:
    """Best bid and best ask as text; empty where a side is."""
    sides = (columns.bid_price[:1], columns.ask_price[:1])
    width = places((price for side in sides for price in side), columns.price_exponent)
    texts = [decimal(side[0], columns.price_exponent, width) if side else "" for side in sides]
    return texts[0], texts[1]


def spread(columns: Columns) -> tuple[int | None, float | None]:
    """(mantissa, basis points of the middle); None where a side is empty."""
    if not columns.bid_price or not columns.ask_price:
        return None, None
    bid, ask = columns.bid_price[0], columns.ask_price[0]
    return ask - bid, round(20_000 * (ask - bid) / (ask + bid), 3) if ask + bid > 0 else None


def decimal(mantissa: int, exponent: int, width: int | None = None) -> str:
    """`mantissa * 10^exponent`, exactly, with `width` decimals (default: as many as it needs).

    >>> decimal(6150010, -2), decimal(5, -3), decimal(12, 2), decimal(150, -2), decimal(-150, -2, 2)
    ('61500.1', '0.005', '1200', '1.5', '-1.50')
    """
    if not -MAX_EXPONENT <= exponent <= MAX_EXPONENT:
        return f"{mantissa}e{exponent}"
    if exponent >= 0:
        whole, fraction = str(abs(mantissa) * 10**exponent), ""
    else:
        digits = str(abs(mantissa)).rjust(1 - exponent, "0")
        whole, fraction = digits[:exponent], digits[exponent:].rstrip("0")
    if width is not None:
        fraction = fraction.ljust(width, "0")
    sign = "-" if mantissa < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def places(mantissas: Iterable[int], exponent: int) -> int:
    """Decimals that the finest of the values needs."""
    if not -MAX_EXPONENT <= exponent < 0:
        return 0
    needed = 0
    for mantissa in mantissas:
        while needed < -exponent and mantissa % 10 ** (-exponent - needed):
            needed += 1
    return needed


def _between(start_ns: int, end_ns: int) -> float | None:
    return round((end_ns - start_ns) / MS, 3) if start_ns and end_ns else None
