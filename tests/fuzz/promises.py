"""What every decoded value and every book promises, whatever it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hoga.domain.actions import Action, Note, Publish, RequestSnapshot, Resubscribe
from hoga.domain.books import Book
from hoga.domain.builder import BookBuilder
from hoga.domain.errors import FrameError
from hoga.domain.types import NO_SEQ, Instrument, State, Turnover, Update
from hoga.exchanges.base import Exchange, Route, RouteKind
from hoga.exchanges.decoding import MAX_LEVELS
from hoga.runtime import data_lines
from hoga.wire import books, pb, subjects
from hoga.wire.columns import read
from tests.fuzz.target import promise

INT64_MAX = 2**63 - 1
REASONS = {"json", "shape", "number", "size", "symbol", "crossed", "time", "levels", "contradicted", "checksum"}
"""Those that `FrameError` documents, and the builders' own."""
MAX_TEXT = 1200


def refused(error: FrameError) -> str:
    """A refusal is counted by a short word and shown to people."""
    promise(error.reason in REASONS, f"unknown reason {error.reason!r}")
    short(str(error))
    return error.reason


def short(text: str) -> None:
    promise(len(text) <= MAX_TEXT, f"a text of {len(text)} characters for people")
    encodable(text)


def encodable(text: str) -> None:
    """Fit for the bus, for logs and for files."""
    promise(isinstance(text, str), f"no text: {text!r}")
    text.encode()


def route(found: Route) -> None:
    promise(isinstance(found, Route), f"no Route: {found!r}")
    promise(found.kind is not RouteKind.BOOK or (bool(found.symbols) and all(found.symbols)), "a book of no symbol")
    promise(found.request_id is None or isinstance(found.request_id, int), f"request id {found.request_id!r}")
    short(found.detail)
    for native in found.symbols:
        encodable(native)


def update(exchange: Exchange, found: Update) -> None:
    promise(isinstance(found, Update), f"no Update: {found!r}")
    encodable(found.native_symbol)
    encodable(exchange.handler.normalize_symbol(found.native_symbol))
    for name, number in (("prev_seq", found.prev_seq), ("seq", found.seq)):
        promise(NO_SEQ <= number <= INT64_MAX, f"{name} {number}")
    promise(0 <= found.exchange_time_ns <= INT64_MAX, f"time {found.exchange_time_ns}")
    promise(found.checksum is None or abs(found.checksum) <= INT64_MAX, f"checksum {found.checksum}")
    encodable(found.channel)
    for levels in (found.bids, found.asks):
        promise(len(levels) <= MAX_LEVELS, f"{len(levels)} levels")
        for level in levels:
            promise(len(level) == 2 and type(level[0]) is type(level[1]) is str, f"level {level!r}")
            encodable(level[0] + level[1])
    promise("\n" not in data_lines.raw_line(0, found), "a log record of two lines")


def instrument(found: Instrument) -> None:
    promise(bool(found.symbol), f"a market without a symbol: {found!r}"[:300])
    subjects.raw("x", found.symbol)
    fields = [field.name for field in pb.Instrument.DESCRIPTOR.fields]
    pb.Instrument(**{name: getattr(found, name) for name in fields}).SerializeToString()


def turnover(found: Turnover) -> None:
    for text in (found.native_symbol, found.last_price, found.quote_turnover):
        encodable(text)


def columns(prices: Sequence[int], sizes: Sequence[int], count: int, known: int) -> None:
    """Of one side, price ascending."""
    promise(len(prices) == len(sizes) == count, "prices and sizes of different number")
    promise(not prices or prices[0] > 0, f"price {prices[:1]}")
    promise(all(low < high for low, high in pairwise(prices)), "prices out of order")
    promise(all(size > 0 for size in sizes), "a size that is none")
    promise(0 <= known <= count, f"{known} levels known of {count}")


def book(found: Book) -> None:
    prices, sizes = found.top_bids(found.bid_count)
    columns(prices[::-1], sizes[::-1], found.bid_count, found.bids_known)
    columns(*found.top_asks(found.ask_count), found.ask_count, found.asks_known)


def builder(found: BookBuilder) -> None:
    book(found.book)
    promise(found.state is not State.LIVE or not found.book.crossed, "a LIVE book that crosses")
    promise(found.state is not State.LIVE or not found.reason, f"LIVE with a reason: {found.reason}")
    promise(found.state is State.LIVE or bool(found.reason), f"{found.state.name} without a reason")
    promise(0 <= found.sequence <= INT64_MAX, f"sequence {found.sequence}")
    short(found.reason)


def message(found: BookBuilder, depth: int) -> pb.OrderBook:
    """The book as it goes out."""
    filled = pb.OrderBook()
    books.fill_book(filled, found, depth)
    published(pb.OrderBook.FromString(filled.SerializeToString()))
    known = found.book.bids_known, found.book.asks_known
    sides = zip(books.levels(filled), found.book.texts(depth or max(known)), known, strict=True)
    promise(all(side == own[:proven] for side, own, proven in sides), "other levels than the book's")
    return filled


def published(found: pb.OrderBook) -> None:
    levels = read(found)
    for prices, sizes, descending in (
        (levels.bid_price, levels.bid_size, True),
        (levels.ask_price, levels.ask_size, False),
    ):
        ordered = list(reversed(prices)) if descending else list(prices)
        promise(all(low < high for low, high in pairwise(ordered)), "published prices out of order")
        promise(all(number > 0 for number in [*prices, *sizes]), "a published level that is none")
    promise(found.bids_known >= len(levels.bid_price), "more bids published than known")
    promise(found.asks_known >= len(levels.ask_price), "more asks published than known")
    if found.state == pb.BookState.BOOK_STATE_LIVE and levels.bid_price and levels.ask_price:
        promise(levels.bid_price[0] < levels.ask_price[0], "a LIVE book that crosses was published")


def actions(found: Iterable[Action], builder_of: BookBuilder, exchange: str, symbol: str) -> None:
    for action in found:
        promise(isinstance(action, Publish | RequestSnapshot | Resubscribe | Note), f"no action: {action!r}")
        if isinstance(action, Note):
            short(action.detail)
            books.event(action, builder_of, exchange, symbol, 0).SerializeToString()


def sort_of(found: Sequence[Update]) -> tuple[int, ...]:
    """Tells sorts of parsed frames apart, roughly."""
    return tuple(
        one.snapshot
        | (one.seq != NO_SEQ) << 1
        | (one.checksum is not None) << 2
        | bool(one.bids) << 3
        | bool(one.asks) << 4
        for one in found[:3]
    )
