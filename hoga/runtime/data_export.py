"""A book of the data manager as the bytes that other languages read: one `orderbook.v1.OrderBook`.

1. Prices and sizes are exact, in the form that `wire.columns` chooses.
2. Levels stand best first; a level of size zero is no level.
3. Nothing is promised that the book does not say: its state is UNSPECIFIED unless it names one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from hoga.domain.errors import FrameError, snippet
from hoga.domain.numbers import INT64_MAX, epoch_ns, parse
from hoga.domain.types import State
from hoga.wire import columns, pb

_Column = list[tuple[int, int]]
"""(mantissa, decimals) of each value."""


def export_book(exchange: str, symbol: str, book: object) -> bytes:
    """Protobuf bytes of a mapping (keys bids, asks, and where known timestamp in ms, sequence, state), of an
    OrderBook message, or of bytes that are one. FrameError where it is no book."""
    if isinstance(book, pb.OrderBook):
        return book.SerializeToString()
    if isinstance(book, bytes):
        return book
    if not isinstance(book, Mapping):
        raise FrameError("shape", f"an order book is a mapping with bids and asks, found {snippet(repr(book))}")
    bids, asks = _side(book, "bids"), _side(book, "asks")
    bids.sort(key=lambda level: -_value(level[0]))
    asks.sort(key=lambda level: _value(level[0]))
    price_decimals = max((price[1] for price, _ in bids + asks), default=0)
    size_decimals = max((size[1] for _, size in bids + asks), default=0)
    message = pb.OrderBook(
        exchange=exchange,
        symbol=symbol,
        native_symbol=str(book.get("native_symbol", "")),
        state=_state(book.get("state")),  # type: ignore[arg-type]
        sequence=_integer(book, "sequence", "seq"),
        exchange_time_ns=epoch_ns(_integer(book, "timestamp", "ts")),
        bids_known=len(bids),
        asks_known=len(asks),
    )
    columns.write(
        message,
        columns.Columns(
            bid_price=_column([price for price, _ in bids], price_decimals),
            bid_size=_column([size for _, size in bids], size_decimals),
            ask_price=_column([price for price, _ in asks], price_decimals),
            ask_size=_column([size for _, size in asks], size_decimals),
            price_exponent=-price_decimals,
            size_exponent=-size_decimals,
        ),
    )
    return message.SerializeToString()


def _side(book: Mapping[str, Any], side: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    levels = book.get(side)
    if levels is None:
        return []
    found = []
    for level in levels if isinstance(levels, Sequence) else [levels]:
        if not isinstance(level, Sequence) or isinstance(level, str | bytes) or len(level) < 2:
            raise FrameError("levels", f"{side}: a level is [price, size], found {snippet(repr(level))}")
        price, size = parse(str(level[0])), parse(str(level[1]))
        if not price[0]:
            raise FrameError("number", f"{side}: price zero")
        if size[0]:
            found.append((price, size))
    return found


def _value(number: tuple[int, int]) -> Fraction:
    """Something exact to sort by."""
    return Fraction(number[0], 10 ** number[1])


def _column(values: _Column, decimals: int) -> list[int]:
    return [mantissa * 10 ** (decimals - own) for mantissa, own in values]


def _integer(book: Mapping[str, Any], *names: str) -> int:
    value = next((book[name] for name in names if book.get(name) is not None), 0)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT64_MAX:
        return value
    raise FrameError("number", f"{names[0]} is an integer, found {snippet(repr(value))}")


def _state(value: object) -> int:
    """The state a book names, by number, by `State` or by its name; 0 (unspecified) where it names none."""
    if value is None:
        return 0
    try:
        if isinstance(value, str):
            return State[value.upper()].value
        if isinstance(value, int):
            return State(value).value
    except (KeyError, ValueError):
        pass
    raise FrameError("shape", f"unknown state {snippet(repr(value))}; known: {', '.join(State.__members__)}")
