"""One order book as a consumer sees it: a read-only view over the published message.

- Prices and sizes are exact. The integers of the wire are kept; Decimals, floats and arrays are made of them
  on demand, each value rounded once at most (floats are the nearest to the exact decimal).
- A view never promises more than its publisher did: a state this version does not know reads as SYNCING.
- The clock comes in as an argument (`age_ns`); a view has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError

from hoga.domain.errors import FrameError, snippet
from hoga.domain.phases import Phase
from hoga.domain.types import State
from hoga.wire import pb
from hoga.wire.columns import Columns, read

if TYPE_CHECKING:
    import numpy

    FloatArray = numpy.ndarray[Any, numpy.dtype[numpy.float64]]

_EXACT = Context(prec=60)
"""More digits than a book can hold: the caller's own decimal context must not round a price."""
_CONTRACT_SIZE = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")


class Level(NamedTuple):
    """One price level, both exact; sizes in the unit of the exchange (base coins, or contracts)."""

    price: Decimal
    size: Decimal


class BookView:
    """A book at one moment, best levels first.

    `lost` counts the books of this symbol that were published since the one before and never arrived: lost, or
    passed over by the bus for a newer one (0 where the publisher began a new life: then `new_epoch` is true).
    `skipped` counts those that did arrive and were replaced by newer ones because the consumer was busy. Each
    book is whole, so neither makes this one wrong.
    """

    def __init__(
        self,
        message: pb.OrderBook,
        *,
        lost: int = 0,
        skipped: int = 0,
        new_epoch: bool = False,
        doubt: str = "",
    ) -> None:
        """`doubt`: why the book is not to be trusted although its publisher once called it so; makes it STALE."""
        self._message = message
        self._doubt = doubt
        self.lost = lost
        self.skipped = skipped
        self.new_epoch = new_epoch

    @classmethod
    def decode(cls, payload: bytes) -> BookView:
        """FrameError where `payload` is no order book."""
        return cls(read_book(payload))

    # What it is, and what it promises.

    @property
    def exchange(self) -> str:
        return self._message.exchange

    @property
    def symbol(self) -> str:
        """Canonical, `BASE-QUOTE`."""
        return self._message.symbol

    @property
    def native_symbol(self) -> str:
        """The exchange's own id."""
        return self._message.native_symbol

    @cached_property
    def state(self) -> State:
        published = self._published_state
        return State.STALE if self._doubt and published is State.LIVE else published

    @property
    def phase(self) -> Phase:
        """What the exchange does with orders just now. Where they do not match the book is never LIVE, and may be
        crossed and right."""
        return Phase(self._message.phase)

    @property
    def live(self) -> bool:
        """Whether every update since the snapshot is accounted for, as far as the exchange lets anyone check."""
        return self.state is State.LIVE

    @property
    def verified(self) -> bool:
        """Whether the exchange gives ids or checksums by which continuity can be checked at all."""
        return self._message.verified

    @property
    def reason(self) -> str:
        """Why it is not LIVE, in a few words; empty otherwise."""
        if self._doubt:
            return self._doubt
        if not _known(self._message.state):
            return f"a state this version does not know: {self._message.state}"
        return self._message.reason

    @property
    def missing(self) -> int:
        """Ids known to be missing from these levels; 0 unless GAPPED."""
        return self._message.missing

    @property
    def bids_known(self) -> int:
        """Known bid levels of the whole book at the publisher; at least as many as are here."""
        return self._message.bids_known

    @property
    def asks_known(self) -> int:
        return self._message.asks_known

    @property
    def proven_levels(self) -> int:
        """Best levels a side that the exchange lets anyone check at every update; 0: all that are known."""
        return self._message.proven_levels

    @property
    def contract_size(self) -> Decimal | None:
        """What one contract is worth in `contract_currency`, where sizes count contracts; None where they do not."""
        text = self._message.contract_size
        return Decimal(text) if text else None

    @property
    def contract_currency(self) -> str:
        """The base, or the quote for inverse contracts; empty where sizes are base coins."""
        return self._message.contract_currency

    # Where it stands.

    @property
    def epoch(self) -> int:
        """One life of the publisher; revisions count within it."""
        return self._message.epoch

    @property
    def revision(self) -> int:
        return self._message.revision

    @property
    def sequence(self) -> int:
        """The exchange's last id these levels include; 0 where it gives none."""
        return self._message.sequence

    @property
    def exchange_time_ns(self) -> int:
        """The exchange's own clock; 0 where unknown. All times are nanoseconds since the Unix epoch."""
        return self._message.exchange_time_ns

    @property
    def receive_time_ns(self) -> int:
        return self._message.receive_time_ns

    @property
    def publish_time_ns(self) -> int:
        return self._message.publish_time_ns

    def age_ns(self, now_ns: int) -> int:
        """Nanoseconds between publishing and `now_ns` (`time.time_ns()`). A quiet market makes old books too:
        what tells whether a book is current is `state`."""
        return now_ns - self._message.publish_time_ns

    @property
    def gap_count(self) -> int:
        """Gaps of this book since the start of its epoch."""
        return self._message.gap_count

    @property
    def resync_count(self) -> int:
        return self._message.resync_count

    # Its levels.

    @cached_property
    def bids(self) -> list[Level]:
        return self._levels(self._columns.bid_price, self._columns.bid_size)

    @cached_property
    def asks(self) -> list[Level]:
        return self._levels(self._columns.ask_price, self._columns.ask_size)

    @property
    def best_bid(self) -> Level | None:
        """None where the side is empty."""
        return self._best(self._columns.bid_price, self._columns.bid_size)

    @property
    def best_ask(self) -> Level | None:
        return self._best(self._columns.ask_price, self._columns.ask_size)

    @property
    def mid(self) -> Decimal | None:
        """Exactly between the best prices; None where a side is empty."""
        book = self._columns
        if not book.bid_price or not book.ask_price:
            return None
        return _decimal((book.bid_price[0] + book.ask_price[0]) * 5, book.price_exponent - 1)

    @property
    def spread(self) -> Decimal | None:
        """Best ask minus best bid; negative in a book that crosses. None where a side is empty."""
        book = self._columns
        if not book.bid_price or not book.ask_price:
            return None
        return _decimal(book.ask_price[0] - book.bid_price[0], book.price_exponent)

    @property
    def message(self) -> pb.OrderBook:
        """The message as published, with the exact integers (`bid_price` … times ten to `price_exponent`); where they
        do not fit 64 bits with text instead (`bid_price_text` …). To be read, not written: the view reads from it too.
        """
        return self._message

    def to_floats(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """(bids, asks), each a list of (price, size): the floats nearest to the exact values."""
        book = self._columns
        return (
            list(zip(self._price_floats(book.bid_price), self._size_floats(book.bid_size), strict=True)),
            list(zip(self._price_floats(book.ask_price), self._size_floats(book.ask_size), strict=True)),
        )

    def to_numpy(self) -> tuple[FloatArray, FloatArray]:
        """(bids, asks), float64 arrays of shape (n, 2): columns price and size, equal to `to_floats`.
        Needs numpy (`pip install hoga[numpy]`)."""
        import numpy

        book = self._columns
        sides = ((book.bid_price, book.bid_size), (book.ask_price, book.ask_size))
        bids, asks = (
            numpy.array((self._price_floats(prices), self._size_floats(sizes)), dtype=numpy.float64).T
            for prices, sizes in sides
        )
        return bids, asks

    def doubted(self, why: str) -> BookView:
        """The same book, no longer LIVE because of `why`."""
        return BookView(self._message, doubt=why)

    def __repr__(self) -> str:
        bid, ask = self.best_bid, self.best_ask
        inside = f"{bid.price if bid else '-'} / {ask.price if ask else '-'}"
        return f"<BookView {self.exchange} {self.symbol} {self.state.name} {inside} revision {self.revision}>"

    @cached_property
    def _columns(self) -> Columns:
        return read(self._message)

    @property
    def _published_state(self) -> State:
        return State(self._message.state) if _known(self._message.state) else State.SYNCING

    def _levels(self, prices: Sequence[int], sizes: Sequence[int]) -> list[Level]:
        price_exponent, size_exponent = self._columns.price_exponent, self._columns.size_exponent
        return [
            Level(_decimal(price, price_exponent), _decimal(size, size_exponent))
            for price, size in zip(prices, sizes, strict=True)
        ]

    def _best(self, prices: Sequence[int], sizes: Sequence[int]) -> Level | None:
        return self._levels(prices[:1], sizes[:1])[0] if prices else None

    def _price_floats(self, mantissas: Sequence[int]) -> list[float]:
        return _floats(mantissas, self._columns.price_exponent)

    def _size_floats(self, mantissas: Sequence[int]) -> list[float]:
        return _floats(mantissas, self._columns.size_exponent)


def read_book(payload: bytes) -> pb.OrderBook:
    """The message in `payload`, checked once so that reading it later cannot fail; FrameError else."""
    try:
        book = pb.OrderBook.FromString(payload)
    except DecodeError as error:
        raise FrameError("shape", f"not an OrderBook message: {error}") from None
    read(book)
    if book.contract_size and not _CONTRACT_SIZE.fullmatch(book.contract_size):
        raise FrameError("shape", f"a contract size of {snippet(book.contract_size)!r} is no decimal")
    return book


def _known(state: int) -> bool:
    return State.LIVE <= state <= State.HALTED


def _decimal(mantissa: int, exponent: int) -> Decimal:
    """Exact; written without an exponent of its own (61000, not 6.1E+4)."""
    if exponent > 0:
        return Decimal(mantissa * 10**exponent)
    return Decimal(mantissa).scaleb(exponent, _EXACT)


def _floats(mantissas: Sequence[int], exponent: int) -> list[float]:
    if exponent >= 0:
        scale = 10**exponent
        return [float(mantissa * scale) for mantissa in mantissas]
    divisor = 10**-exponent
    return [mantissa / divisor for mantissa in mantissas]
