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
    _fill_head(message, builder)
    message.sequence = builder.sequence
    message.exchange_time_ns = builder.exchange_time_ns
    message.receive_time_ns = builder.receive_wall_ns
    message.bids_known = bids_known
    message.asks_known = asks_known
    bids = book.top_bids(min(depth, bids_known) if depth else bids_known)
    asks = book.top_asks(min(depth, asks_known) if depth else asks_known)
    columns.write(message, columns.Columns(*bids, *asks, -book.price_decimals, -book.size_decimals))


class BookWriter:
    """The bytes of one book's messages, as `fill_book` fills them. What is said of the book but its levels, ids and
    times seldom changes: it is written anew with `builder.version`, and the native book appends the rest."""

    __slots__ = ("_head", "_version", "identity")

    def __init__(self, identity: pb.OrderBook) -> None:
        """`identity`: what the publisher knows of the book (fields that `fill_book` leaves alone)."""
        self.identity = identity
        self._version = -1
        self._head = b""

    def renew(self) -> None:
        """The identity has changed."""
        self._version = -1

    def payload(self, builder: BookBuilder, revision: int, publish_ns: int, depth: int) -> bytes:
        """One message; the best `depth` proven levels a side (0: all of them)."""
        book = builder.book
        append = getattr(book, "message", None)
        if append is not None:
            if builder.version != self._version:
                self._head, self._version = self._write_head(builder), builder.version
            sequence = builder.ledger.arbiter.sequence
            times = builder.exchange_time_ns, builder.receive_wall_ns, publish_ns
            if min(times) >= 0:  # the native book writes no others; a frame on the bus may say anything
                written: bytes | None = append(self._head, revision, sequence, *times, depth)
                if written is not None:
                    return written
        message = pb.OrderBook()
        message.CopyFrom(self.identity)
        fill_book(message, builder, depth)
        message.revision, message.publish_time_ns = revision, publish_ns
        return message.SerializeToString()

    def _write_head(self, builder: BookBuilder) -> bytes:
        head = pb.OrderBook()
        head.CopyFrom(self.identity)
        _fill_head(head, builder)
        return head.SerializeToString()


def _fill_head(message: pb.OrderBook, builder: BookBuilder) -> None:
    message.state = int(builder.state)  # type: ignore[assignment]
    message.reason = builder.reason
    message.verified = message.verified and builder.verified
    message.gap_count = builder.counters.gaps
    message.resync_count = builder.counters.resyncs
    message.missing = builder.missing


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
