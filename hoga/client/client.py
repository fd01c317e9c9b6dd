"""`Client`: how a Python program gets order books.

    async with Client("nats://127.0.0.1:4222") as client:
        async for book in client.books("binance_future", "BTC-USDT"):
            if book.live:
                print(book.best_bid, book.best_ask)

What it keeps:
- A book that says LIVE was published by somebody heard within the last `stale_after_s`. When that one falls
  silent, or the bus is away, the consumer gets the book once more as STALE, and as LIVE again when it is back.
- Nothing is lost unseen: every book carries `lost` and `skipped`.
- Reconnecting is the bus's business; a stream outlives it and goes on with the current books.
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import Self

from google.protobuf.message import DecodeError

from hoga.client.book import BookView, read_book
from hoga.client.callbacks import Callbacks, OrderbookCallback
from hoga.client.session import Session
from hoga.client.streams import BookStream, MessageStream
from hoga.domain.errors import BusError, ConfigError, FrameError, HogaError, snippet
from hoga.runtime.bus import Bus
from hoga.runtime.config import NatsSettings
from hoga.wire import pb, subjects

STALE_AFTER_S = 3.0

_ANY = "*"
_CODE = re.compile(r"[A-Za-z0-9_-]+\Z")


class Client:
    """One connection to the bus. Use it with `async with`; every method belongs to that event loop."""

    def __init__(
        self,
        url: str | None = None,
        *,
        settings: NatsSettings | None = None,
        bus: Bus | None = None,
        name: str = "client",
        timeout_s: float = 5.0,
        stale_after_s: float = STALE_AFTER_S,
    ) -> None:
        """Where the bus is: `bus` (already connected; it is left open), else `settings`, else the environment
        (HOGA_NATS_URL, HOGA_NATS_USER …) and `hoga.toml`; `url` overrides the address alone.

        `timeout_s`: patience for the first connection. `stale_after_s`: silence of a publisher after which its
        books are STALE; 0 trusts for ever.
        """
        self._session = Session(
            bus=bus, settings=settings, url=url, name=name, timeout_s=timeout_s, stale_after_s=stale_after_s
        )
        self._callbacks = Callbacks()

    async def connect(self) -> None:
        """`async with` calls it. BusError where the bus cannot be reached, ConfigError for a wrong setting."""
        await self._session.open()
        self._callbacks.start()

    async def close(self) -> None:
        """Ends every stream and callback, and the connection unless it was given."""
        await self._callbacks.stop()
        await self._session.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether the bus is there at this moment."""
        return self._session.connected

    # Books.

    def books(
        self, exchange: str = _ANY, symbol: str = _ANY, *, conflate: bool = True, limit: int = 1024
    ) -> BookStream:
        """Books of one symbol, or of many: the current ones first, then every change.

        `conflate`: a busy consumer gets the newest book of each symbol. Without it every book waits its turn, at
        most `limit` of them, the oldest going first. ConfigError where `exchange` cannot be an exchange code.
        """
        return self._session.book_stream(_book_subject(exchange, symbol), conflate=conflate, limit=limit)

    async def book(self, exchange: str, symbol: str) -> BookView | None:
        """The current book as published; None where nobody publishes it. Where its publisher has not been heard
        yet this waits for a sign of life, at most `stale_after_s`; without one the book is STALE."""
        payload = await self._session.bus.last(subjects.BOOKS_STREAM, _book_subject(exchange, symbol, exact=True))
        if payload is None:
            return None
        message = read_book(payload)
        return BookView(message, doubt=await self._session.doubt(message.epoch))

    async def current(self, exchange: str = _ANY, symbol: str = _ANY) -> list[BookView]:
        """Every current book, once, in the order of their names; judged as `book` does. Takes a moment."""
        messages = [read_book(payload) for payload in await self._session.kept(_book_subject(exchange, symbol))]
        doubts = {epoch: await self._session.doubt(epoch) for epoch in {message.epoch for message in messages}}
        views = [BookView(message, doubt=doubts[message.epoch]) for message in messages]
        return sorted(views, key=lambda view: (view.exchange, view.symbol))

    async def full_book(self, exchange: str, symbol: str, depth: int = 0) -> BookView:
        """The validator's own book, `depth` levels a side (0: every proven level).

        HogaError with the reason where it has no such book; BusError where no validator answers.
        """
        if depth < 0:
            raise ConfigError(f"depth = {depth}: allowed is 0 (every proven level) or more")
        _book_subject(exchange, symbol, exact=True)
        request = pb.BookRequest(exchange=exchange, symbol=symbol, depth=depth)
        payload = await self._session.bus.request(subjects.rpc("book", exchange), request.SerializeToString())
        try:
            reply = pb.BookReply.FromString(payload)
        except DecodeError as error:
            raise BusError(f"the answer about {exchange} {symbol} is not readable: {error}") from None
        if reply.error:
            raise HogaError(reply.error)
        return BookView(read_book(reply.book.SerializeToString()))

    # Callbacks, by the guide's names.

    def add_orderbook_callback(
        self, callback: OrderbookCallback, exchange: str = _ANY, symbol: str = _ANY, *, conflate: bool = True
    ) -> None:
        """Calls `callback(book)` for every book, the current ones first; what it returns is awaited where it can
        be. What it raises is logged and ends nothing. May be called before the client is connected."""
        subject = _book_subject(exchange, symbol)
        self._callbacks.add(callback, lambda: self._session.book_stream(subject, conflate=conflate, limit=1024))

    def remove_orderbook_callback(self, callback: OrderbookCallback) -> bool:
        """Ends every registration of `callback`; whether there was one."""
        return self._callbacks.remove(callback)

    # What else is published.

    def events(self, exchange: str = _ANY, symbol: str = _ANY, *, limit: int = 1024) -> MessageStream[pb.BookEvent]:
        """Gaps, resyncs and other facts about books, from now on."""
        subject = subjects.event(_code(exchange, "an exchange code"), _filled(symbol))
        return self._session.message_stream(pb.BookEvent, subject, limit=limit)

    def links(self, exchange: str = _ANY, *, limit: int = 1024) -> MessageStream[pb.LinkStatus]:
        """The connections to the exchanges: at every change, and each second."""
        subject = subjects.link(_code(exchange, "an exchange code"))
        return self._session.message_stream(pb.LinkStatus, subject, limit=limit)

    def health(self, service: str = _ANY, *, limit: int = 1024) -> MessageStream[pb.Health]:
        """How each process is, each second."""
        return self._session.message_stream(pb.Health, subjects.health(_code(service, "a service name")), limit=limit)

    async def universe(self, exchange: str) -> pb.Universe | None:
        """The symbols that are worth collecting there; None where nobody has said. FrameError ("shape") where what
        the bus keeps is no universe."""
        subject = subjects.universe(_code(exchange, "an exchange code", exact=True))
        payload = await self._session.bus.last(subjects.UNIVERSE_STREAM, subject)
        try:
            return None if payload is None else pb.Universe.FromString(payload)
        except DecodeError as error:
            raise FrameError("shape", f"what the bus keeps for {exchange} is no Universe message: {error}") from None


def _book_subject(exchange: str, symbol: str, *, exact: bool = False) -> str:
    return subjects.book(_code(exchange, "an exchange code", exact=exact), _filled(symbol, exact=exact))


def _code(text: str, what: str, *, exact: bool = False) -> str:
    """`text` where it can stand in a subject as it is; `*` too unless `exact`."""
    if _CODE.match(text) or (text == _ANY and not exact):
        return text
    raise ConfigError(f"{snippet(text)!r} is not {what}")


def _filled(symbol: str, *, exact: bool = False) -> str:
    if not symbol or (symbol == _ANY and exact):
        raise ConfigError(f"{symbol!r} is not a symbol such as BTC-USDT")
    return symbol
