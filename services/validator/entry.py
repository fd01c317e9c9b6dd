"""What the validator keeps beside each book: where it is published, and what was."""

from __future__ import annotations

from hoga.domain.bucket import TokenBucket
from hoga.domain.builder import BookBuilder
from hoga.domain.phases import Phase, Told
from hoga.exchanges.base import Exchange
from hoga.wire import books, pb, subjects

EVENT_BURST = 50
EVENT_INTERVAL_NS = 50_000_000


class Entry:
    """One book: its builder and its message."""

    __slots__ = (
        "_events",
        "_writer",
        "_written",
        "audited_at_ns",
        "book_subject",
        "builder",
        "conflated",
        "epoch",
        "event_subject",
        "exchange",
        "instrument",
        "native",
        "published_at_ns",
        "published_state",
        "revision",
        "symbol",
        "told",
    )

    def __init__(self, exchange: Exchange, symbol: str, builder: BookBuilder, epoch: int, revision: int = 0) -> None:
        """`revision` is the last one published of this symbol in this epoch."""
        self.exchange = exchange
        self.symbol = symbol
        self.builder = builder
        self.epoch = epoch
        self.native = ""
        """The exchange's own id, known from the first frame."""
        self.instrument: pb.Instrument | None = None
        """As the exchange lists it, where that is known."""
        self.told = Told(Phase.UNKNOWN)
        """What the exchange does with its orders now, as far as it says."""
        self.revision = revision
        self.conflated = 0
        self.published_at_ns = 0
        """Monotonic; 0 before the first."""
        self.published_state = 0
        self.audited_at_ns = 0
        """Monotonic; when its last audit began."""
        self.book_subject = subjects.book(exchange.code, symbol)
        self.event_subject = subjects.event(exchange.code, symbol)
        self._writer = books.BookWriter(self._identity())
        self._written: tuple[str, Phase, int] | None = None
        """What the writer's identity was made of."""
        self._events = TokenBucket(EVENT_BURST, EVENT_INTERVAL_NS)

    def message(self, depth: int) -> pb.OrderBook:
        """The book as a message, its best `depth` proven levels a side (0: all); revision and publish time are open."""
        message = self._identity()
        books.fill_book(message, self.builder, depth)
        return message

    def payload(self, depth: int, publish_ns: int) -> bytes:
        """The bytes of the message of the present revision."""
        if self._written != (self.native, self.told.phase, id(self.instrument)):
            self._written = self.native, self.told.phase, id(self.instrument)
            self._writer.identity = self._identity()
            self._writer.renew()
        return self._writer.payload(self.builder, self.revision, publish_ns, depth)

    def _identity(self) -> pb.OrderBook:
        """What does not come from the builder."""
        message = pb.OrderBook(
            exchange=self.exchange.code,
            symbol=self.symbol,
            native_symbol=self.native,
            verified=self.exchange.traits.verified,
            epoch=self.epoch,
            proven_levels=self.exchange.traits.proven_levels,
            phase=int(self.told.phase),  # type: ignore[arg-type]
        )
        if self.instrument is not None and self.instrument.contract_size:
            message.contract_size = self.instrument.contract_size
            message.contract_currency = self.instrument.contract_currency
        return message

    def may_announce(self, mono_ns: int) -> bool:
        """Whether one more event may go out now: a broken feed must not flood the bus with its troubles."""
        return self._events.try_take(mono_ns)
