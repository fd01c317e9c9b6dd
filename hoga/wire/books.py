"""Books and events as protobuf: what the validator publishes and what clients read.

Only proven levels are written, all of them exactly, whatever their digits (`columns`).
"""

from __future__ import annotations

from hoga.domain.actions import Note
from hoga.domain.builder import BookBuilder
from hoga.domain.numbers import INT64_MAX, text_of
from hoga.domain.types import Level
from hoga.wire import columns, pb


def fill_book(message: pb.OrderBook, builder: BookBuilder, depth: int) -> None:
    """Writes what the builder knows into a fresh message, the best `depth` proven levels a side (0: all of them).
    Identity, epoch, revision and publish time are the publisher's to write."""
    book = builder.book
    bids_known, asks_known = book.bids_known, book.asks_known
    message.state = int(builder.state)  # type: ignore[assignment]
    reason = builder.reason
    if reason:
        message.reason = reason
    message.sequence = builder.sequence
    message.exchange_time_ns = builder.exchange_time_ns
    message.receive_time_ns = builder.receive_wall_ns
    message.bids_known = bids_known
    message.asks_known = asks_known
    message.gap_count = builder.counters.gaps
    message.resync_count = builder.counters.resyncs
    message.missing = builder.missing
    bids = book.top_bids(min(depth, bids_known) if depth else bids_known)
    asks = book.top_asks(min(depth, asks_known) if depth else asks_known)
    columns.write(message, columns.Columns(*bids, *asks, -book.price_decimals, -book.size_decimals))


def levels(message: pb.OrderBook) -> tuple[list[Level], list[Level]]:
    """(bids, asks) of a message as exact decimal text, best first. FrameError where it is no book."""
    found = columns.read(message)
    price, size = -found.price_exponent, -found.size_exponent
    return (
        [(_text(p, price), _text(s, size)) for p, s in zip(found.bid_price, found.bid_size, strict=True)],
        [(_text(p, price), _text(s, size)) for p, s in zip(found.ask_price, found.ask_size, strict=True)],
    )


def event(note: Note, builder: BookBuilder, exchange: str, symbol: str, wall_ns: int) -> pb.BookEvent:
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
        state=int(builder.state),  # type: ignore[arg-type]
    )


def _text(mantissa: int, decimals: int) -> str:
    return text_of(mantissa, decimals) if decimals >= 0 else str(mantissa * 10**-decimals)
