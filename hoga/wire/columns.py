"""The levels of a book as four columns of a message: the one place that writes them and the one that reads them.

Both price columns share an exponent, and so do both size columns. The first of three forms that holds them:

1. integers of 64 bits at the book's own exponent;
2. the same without the trailing zeros that all values share, the exponent being so much larger;
3. exact decimal text in fields of their own, the integers left out.

So whatever a book can hold is published, exactly and to its full depth. Integers without the texts are no book, only
columns of unequal length: whatever reads levels reads them by `read`.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from functools import lru_cache
from math import gcd
from typing import NamedTuple

from hoga.domain.errors import FrameError
from hoga.domain.numbers import POW10, parse, text_of
from hoga.wire import pb

_EXPONENT_MAX = 64
"""Far beyond any market; what claims more is no book."""
_parse = lru_cache(maxsize=4096)(parse)
_text_of = lru_cache(maxsize=4096)(text_of)
"""From one message of a book to the next few levels change."""


class Columns(NamedTuple):
    """Levels as integers, best first; a value is `mantissa * 10**exponent`."""

    bid_price: Sequence[int]
    bid_size: Sequence[int]
    ask_price: Sequence[int]
    ask_size: Sequence[int]
    price_exponent: int
    size_exponent: int


def write(message: pb.OrderBook, columns: Columns) -> None:
    """Into a message that has no levels yet; the exponents at most 0."""
    message.price_exponent = _write(
        (columns.bid_price, columns.ask_price),
        columns.price_exponent,
        (message.bid_price, message.ask_price),
        (message.bid_price_text, message.ask_price_text),
    )
    message.size_exponent = _write(
        (columns.bid_size, columns.ask_size),
        columns.size_exponent,
        (message.bid_size, message.ask_size),
        (message.bid_size_text, message.ask_size_text),
    )


def read(message: pb.OrderBook) -> Columns:
    """Any of the forms. FrameError ("shape", "number") where they contradict each other or are no numbers."""
    price, size = message.price_exponent, message.size_exponent
    if max(abs(price), abs(size)) > _EXPONENT_MAX:
        raise FrameError("shape", f"exponents {price}, {size} are beyond any market")
    bid_price, ask_price, price = _read(
        (message.bid_price, message.ask_price), price, (message.bid_price_text, message.ask_price_text)
    )
    bid_size, ask_size, size = _read(
        (message.bid_size, message.ask_size), size, (message.bid_size_text, message.ask_size_text)
    )
    found = Columns(bid_price, bid_size, ask_price, ask_size, price, size)
    if len(found.bid_price) != len(found.bid_size) or len(found.ask_price) != len(found.ask_size):
        raise FrameError("shape", "prices and sizes of a book are not equally many")
    return found


def _write(
    values: tuple[Sequence[int], Sequence[int]],
    exponent: int,
    integers: tuple[MutableSequence[int], MutableSequence[int]],
    texts: tuple[MutableSequence[str], MutableSequence[str]],
) -> int:
    """The exponent that goes with the form; of text there is none."""
    bids, asks = values
    if _fit(integers, bids, asks):
        return exponent
    shared = str(gcd(*bids, *asks))
    shift = len(shared) - len(shared.rstrip("0"))
    unit = 10**shift
    if shift and _fit(integers, [value // unit for value in bids], [value // unit for value in asks]):
        return exponent + shift
    for column, side in zip(texts, values, strict=True):
        column.extend([_text_of(value, -exponent) for value in side])
    return 0


def _fit(columns: tuple[MutableSequence[int], MutableSequence[int]], bids: Sequence[int], asks: Sequence[int]) -> bool:
    """Fills both, or leaves both empty."""
    try:
        columns[0].extend(bids)
        columns[1].extend(asks)
    except ValueError:
        del columns[0][:], columns[1][:]
        return False
    return True


def _read(
    integers: tuple[Sequence[int], Sequence[int]], exponent: int, texts: tuple[Sequence[str], Sequence[str]]
) -> tuple[Sequence[int], Sequence[int], int]:
    if not (texts[0] or texts[1]):
        return *integers, exponent
    if integers[0] or integers[1]:
        raise FrameError("shape", "levels of a book both as integers and as text")
    bids, asks = ([_parse(text) for text in side] for side in texts)
    decimals = max(own for _, own in bids + asks)
    return (
        [mantissa * POW10[decimals - own] for mantissa, own in bids],
        [mantissa * POW10[decimals - own] for mantissa, own in asks],
        -decimals,
    )
