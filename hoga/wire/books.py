"""Books and events as protobuf: what the validator publishes and what clients read.

Only proven levels are written. Prices and sizes go as 64 bit integers with one exponent a column; where a value
does not fit, trailing zeros that all values share are taken off first, and a side that still does not fit is cut
before the level that is too large: the book is then shallower, and says so in `bids_known`/`asks_known`, never rounded.
"""

from __future__ import annotations

from hoga.domain.actions import Note
from hoga.domain.books import Book
from hoga.domain.keeper import Keeper
from hoga.domain.numbers import text_of
from hoga.domain.types import Level
from hoga.wire import pb

INT64_MAX = 2**63 - 1


def fill_book(message: pb.OrderBook, keeper: Keeper, depth: int) -> None:
    """Writes what the keeper knows into a fresh message, the best `depth` proven levels a side (0: all of them).
    Identity, epoch, revision and publish time are the publisher's to write."""
    book = keeper.book
    bids_known, asks_known = book.bids_known, book.asks_known
    message.state = int(keeper.state)  # type: ignore[assignment]
    reason = keeper.reason
    if reason:
        message.reason = reason
    message.sequence = keeper.sequence
    message.exchange_time_ns = keeper.exchange_time_ns
    message.receive_time_ns = keeper.receive_wall_ns
    message.bids_known = bids_known
    message.asks_known = asks_known
    message.gap_count = keeper.counters.gaps
    message.resync_count = keeper.counters.resyncs
    message.missing = keeper.missing
    bid_price, bid_size = book.top_bids(min(depth, bids_known) if depth else bids_known)
    ask_price, ask_size = book.top_asks(min(depth, asks_known) if depth else asks_known)
    try:
        message.bid_price.extend(bid_price)
        message.bid_size.extend(bid_size)
        message.ask_price.extend(ask_price)
        message.ask_size.extend(ask_size)
    except ValueError:
        _fill_fitted(message, book, (bid_price, bid_size), (ask_price, ask_size))
    else:
        message.price_exponent = -book.price_decimals
        message.size_exponent = -book.size_decimals


def levels(message: pb.OrderBook) -> tuple[list[Level], list[Level]]:
    """(bids, asks) of a message as exact decimal text, best first."""
    price, size = -message.price_exponent, -message.size_exponent
    return (
        [(_text(p, price), _text(s, size)) for p, s in zip(message.bid_price, message.bid_size, strict=True)],
        [(_text(p, price), _text(s, size)) for p, s in zip(message.ask_price, message.ask_size, strict=True)],
    )


def event(note: Note, keeper: Keeper, exchange: str, symbol: str, wall_ns: int) -> pb.BookEvent:
    """One fact about one book."""
    return pb.BookEvent(
        exchange=exchange,
        symbol=symbol,
        kind=int(note.kind),  # type: ignore[arg-type]
        time_ns=wall_ns,
        expected=note.expected,
        found=note.found,
        count=min(note.count, INT64_MAX),
        detail=note.detail,
        state=int(keeper.state),  # type: ignore[arg-type]
    )


def _text(mantissa: int, decimals: int) -> str:
    return text_of(mantissa, decimals) if decimals >= 0 else str(mantissa * 10**-decimals)


Columns = tuple[list[int], list[int]]


def _fill_fitted(message: pb.OrderBook, book: Book, bids: Columns, asks: Columns) -> None:
    del message.bid_price[:], message.bid_size[:], message.ask_price[:], message.ask_size[:]
    price_shift = _shared_zeros(bids[0] + asks[0])
    size_shift = _shared_zeros(bids[1] + asks[1])
    message.price_exponent = price_shift - book.price_decimals
    message.size_exponent = size_shift - book.size_decimals
    for (prices, sizes), price_column, size_column in (
        (bids, message.bid_price, message.bid_size),
        (asks, message.ask_price, message.ask_size),
    ):
        for price, size in zip(prices, sizes, strict=True):
            short_price, short_size = price // 10**price_shift, size // 10**size_shift
            if short_price > INT64_MAX or short_size > INT64_MAX:
                break
            price_column.append(short_price)
            size_column.append(short_size)
    if len(message.bid_price) < len(bids[0]):
        message.bids_known = len(message.bid_price)
    if len(message.ask_price) < len(asks[0]):
        message.asks_known = len(message.ask_price)


def _shared_zeros(values: list[int]) -> int:
    shift = 0
    while values and all(value % 10 ** (shift + 1) == 0 for value in values):
        shift += 1
    return shift
