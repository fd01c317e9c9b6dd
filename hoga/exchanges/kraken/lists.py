"""Kraken's REST bodies: AssetPairs, Ticker, and order books.

    {"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","base":"XXBT","quote":"ZUSD",
     "pair_decimals":1,"lot_decimals":8,"tick_size":"0.1","status":"online"}}}

1. Errors come with HTTP 200, in `error`: "EQuery:Unknown asset pair"; what begins with "W" is a warning.
2. A pair without a `wsname` (dark pools) is on no websocket: it is left out.
3. Ticker tells no turnover in the quote: it is v[1] * p[1], volume times volume-weighted average price of 24 hours.
4. `Depth` rounds volumes to three decimals (seen in every recorded answer), so that it proves nothing of sizes;
   `GroupedBook` with grouping 1 is the plain book with full quantities, and tells no time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Annotated

import msgspec

from hoga.domain.errors import FrameError, snippet
from hoga.domain.numbers import MAX_CHARS, text_of
from hoga.domain.phases import Phase, phase_of
from hoga.domain.types import Instrument, Turnover, Update
from hoga.exchanges.decoding import check_levels, decode
from hoga.exchanges.kraken.names import native_of, native_of_key
from hoga.exchanges.times import Time, epoch_time_ns, moment

Decimals = Annotated[int, msgspec.Meta(ge=0, le=18)]
PHASES = {
    "online": Phase.TRADING,
    "reduce_only": Phase.TRADING,
    "limit_only": Phase.LIMIT_ONLY,
    "post_only": Phase.POST_ONLY,
    "cancel_only": Phase.HALTED,
    "maintenance": Phase.MAINTENANCE,
    "work_in_progress": Phase.PRE_OPEN,
    "delisted": Phase.UNLISTED,
}
"""`status` of pairs and `system` of the exchange. Nothing matches under cancel_only and post_only."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?\Z")
_EXACT = Context(prec=2 * MAX_CHARS)


class Pair(msgspec.Struct, gc=False):
    wsname: str = ""
    status: str = "online"
    """Absent before 2022."""
    pair_decimals: Decimals | None = None
    lot_decimals: Decimals | None = None
    tick_size: str = ""


class Pairs(msgspec.Struct, gc=False):
    result: dict[str, Pair]


class Ticker(msgspec.Struct, gc=False):
    c: tuple[str, str]
    """Last trade: price, volume."""
    v: tuple[str, str]
    """Volume in base: today, 24 hours."""
    p: tuple[str, str]
    """Volume-weighted average price: today, 24 hours."""


class Tickers(msgspec.Struct, gc=False):
    result: dict[str, Ticker]


class DepthLevel(msgspec.Struct, gc=False, array_like=True):
    price: str
    volume: str
    time: Time = msgspec.UNSET


class Depth(msgspec.Struct, gc=False):
    bids: list[DepthLevel] | None
    asks: list[DepthLevel] | None


class Depths(msgspec.Struct, gc=False):
    result: dict[str, Depth]


class GroupedLevel(msgspec.Struct, gc=False):
    price: str
    qty: str


class Grouped(msgspec.Struct, gc=False):
    pair: str
    grouping: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    bids: list[GroupedLevel] | None
    asks: list[GroupedLevel] | None


class GroupedBook(msgspec.Struct, gc=False):
    result: Grouped


class Errors(msgspec.Struct, gc=False):
    error: list[str] = []


_pairs = msgspec.json.Decoder(Pairs)
_tickers = msgspec.json.Decoder(Tickers)
_depths = msgspec.json.Decoder(Depths)
_grouped = msgspec.json.Decoder(GroupedBook)
_errors = msgspec.json.Decoder(Errors)


def rest_error(body: bytes) -> str | None:
    if body.startswith(b'{"error":[]'):
        return None
    try:
        errors = _errors.decode(body).error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    found = [error for error in errors if not error.startswith("W")]
    return snippet("; ".join(found)) if found else None


def parse_instruments(bodies: Sequence[bytes]) -> list[Instrument]:
    pairs = [pair for body in bodies for pair in decode(_pairs, body).result.values()]
    return [_instrument(pair) for pair in pairs if "/" in pair.wsname]


def parse_tickers(bodies: Sequence[bytes]) -> list[Turnover]:
    return [
        Turnover(native_of_key(key), ticker.c[0], _product(ticker.v[1], ticker.p[1]))
        for body in bodies
        for key, ticker in decode(_tickers, body).result.items()
    ]


def parse_snapshot(native: str, body: bytes) -> Update:
    if b'"grouping"' in body[:256]:
        book = decode(_grouped, body).result
        if book.grouping != 1:
            raise FrameError("shape", f"levels are grouped by {book.grouping} ticks: {snippet(body)}")
        _expect(native, native_of_key(book.pair), body)
        return Update(
            native_symbol=native,
            snapshot=True,
            bids=check_levels([(level.price, level.qty) for level in book.bids or ()]),
            asks=check_levels([(level.price, level.qty) for level in book.asks or ()]),
        )
    found = decode(_depths, body).result
    _expect(native, ", ".join(map(native_of_key, found)), body)
    (depth,) = found.values()
    bids, asks = depth.bids or [], depth.asks or []
    times = [moment(epoch_time_ns, level.time) for level in (*bids, *asks)]
    return Update(
        native_symbol=native,
        snapshot=True,
        bids=check_levels([(level.price, level.volume) for level in bids]),
        asks=check_levels([(level.price, level.volume) for level in asks]),
        exchange_time_ns=max((time.ns for time in times), default=0),
        odd_time=any(time.odd for time in times),
    )


def _instrument(pair: Pair) -> Instrument:
    native = native_of(pair.wsname)
    base, _, quote = native.partition("/")
    return Instrument(
        symbol=f"{base}-{quote}",
        native_symbol=native,
        base=base,
        quote=quote,
        phase=phase_of(PHASES, pair.status),
        price_tick=pair.tick_size or _step(pair.pair_decimals),
        size_step=_step(pair.lot_decimals),
        status=pair.status,
    )


def _step(decimals: int | None) -> str:
    return "" if decimals is None else text_of(1, decimals)


def _product(one: str, other: str) -> str:
    """Rule 3, exactly."""
    for text in (one, other):
        if len(text) > MAX_CHARS or not (text.isascii() and _NUMBER.match(text)):
            raise FrameError("number", f"not a decimal number: {snippet(text)!r}")
    return format(_EXACT.multiply(Decimal(one), Decimal(other)), "f")


def _expect(native: str, found: str, body: bytes) -> None:
    if found != native:
        raise FrameError("symbol", f"expected a book of {snippet(native)!r}, found {snippet(found)!r}: {snippet(body)}")
