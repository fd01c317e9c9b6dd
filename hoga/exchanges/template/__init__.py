"""Template: the channel `book` (which one, and why not another).

    {"channel":"book","type":"update","symbol":"BTC_USDT","time":1790000000000,"last":10,"id":12,
     "bids":[["61837.6","3.78"]],"asks":[["61838.0","0"]]}

1. The rules in the exchange's own words, numbered; the code below carries the same numbers.
2. A snapshot opens each subscription. Each update names the id it builds on: `last` is the `id` of the one before.
3. Sizes are absolute, "0" deletes.

What the documents do not say, what was decided, and what would go wrong otherwise:
- How many symbols a connection takes: 100. If it were fewer, the others would be refused, which is reported.
Sources: the pages, recordings and captures that this rests on, with their dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from hoga.domain import level_shape
from hoga.domain.phases import Phase, phase_of
from hoga.domain.types import NO_SEQ, Instrument, Level, Turnover, Update
from hoga.exchanges.base import (
    ALIVE,
    OTHER,
    UNKNOWN,
    BookStart,
    Channel,
    ConnectionStrategy,
    Continuity,
    DataHandler,
    Endpoints,
    Exchange,
    Limits,
    RestKind,
    RestMatch,
    RestRequest,
    Route,
    RouteKind,
)
from hoga.exchanges.decoding import Row, Seq, decode, json_string, path_and_query, rows
from hoga.exchanges.times import Time, epoch_time_ns, moment

DEPTH = 50
_HEAD = b'{"channel":"book","type":"'
PHASES = {"online": Phase.TRADING, "offline": Phase.HALTED}
_LISTS = {"markets": RestKind.INSTRUMENTS, "tickers": RestKind.TICKERS}


T = TypeVar("T")


class Book(msgspec.Struct, Generic[T], gc=False):
    channel: Literal["book"]
    type: Literal["snapshot", "update"]
    symbol: str
    id: Seq
    bids: list[T] | None
    asks: list[T] | None
    time: Time = msgspec.UNSET
    last: Seq | None = None


class Control(msgspec.Struct, gc=False):
    """Everything else, and the head of every frame."""

    channel: str = ""
    symbol: str = ""
    event: str = ""
    request: int | None = None
    reason: str = ""


class RestBook(msgspec.Struct, Generic[T], gc=False):
    bids: list[T] | None
    asks: list[T] | None
    time: Time = msgspec.UNSET


class Market(msgspec.Struct, gc=False):
    symbol: str
    base: str
    quote: str
    state: str = ""


class Ticker(msgspec.Struct, gc=False):
    symbol: str
    price: str
    turnover: str


class Failure(msgspec.Struct, gc=False):
    error: str


LEVELS = level_shape.rows()
_book = msgspec.json.Decoder(Book[Level])
_wide_book = msgspec.json.Decoder(Book[Row])
_control = msgspec.json.Decoder(Control)
_rest_book = msgspec.json.Decoder(RestBook[Level])
_wide_rest_book = msgspec.json.Decoder(RestBook[Row])
_markets = msgspec.json.Decoder(list[Market])
_tickers = msgspec.json.Decoder(list[Ticker])
_failure = msgspec.json.Decoder(Failure)


class TemplateStrategy(ConnectionStrategy):
    endpoints = Endpoints(ws="wss://stream.template.example", rest="https://api.template.example")
    limits = Limits(symbols_per_link=100, symbols_per_request=50, messages_per_s=2.0, connects_per_s=0.5)

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/v1"

    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        return _request("subscribe", natives, request_id)

    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        return _request("unsubscribe", natives, request_id)

    def route(self, frame: bytes) -> Route:
        # The usual frame needs no parse: the symbol stands near its start.
        if frame.startswith(_HEAD):
            place = frame.find(b'"symbol":"', 0, 64)
            native = json_string(frame, place + 10) if place > 0 else None
            if native:
                return Route(RouteKind.BOOK, (native,))
        try:
            return _route_slowly(_control.decode(frame))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return UNKNOWN

    def snapshot_request(self, native: str) -> RestRequest:
        return RestRequest(f"/v1/book?symbol={quote(native, safe='')}&depth={DEPTH}")

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest("/v1/markets")]

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [RestRequest("/v1/tickers")]

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        name = path.rpartition("/")[2]
        if name == "book" and "symbol" in query:
            return RestMatch(RestKind.SNAPSHOT, query["symbol"], DEPTH)
        return RestMatch(_LISTS[name]) if name in _LISTS else None

    def rest_error(self, body: bytes) -> str | None:
        try:
            return _failure.decode(body).error
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None


class TemplateHandler(DataHandler):
    def parse(self, frame: bytes) -> list[Update]:
        book = decode(_book, frame, _wide_book)
        time = moment(epoch_time_ns, book.time)
        return [
            Update(
                native_symbol=book.symbol,
                snapshot=book.type == "snapshot",
                bids=rows(book.bids),
                asks=rows(book.asks),
                prev_seq=NO_SEQ if book.last is None else book.last,  # rule 2
                seq=book.id,
                exchange_time_ns=time.ns,
                odd_time=time.odd,
            )
        ]

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        """Without an id: it serves audits only, for books begin in the stream."""
        book = decode(_rest_book, body, _wide_rest_book)
        time = moment(epoch_time_ns, book.time)
        return Update(
            native_symbol=native,
            snapshot=True,
            bids=rows(book.bids),
            asks=rows(book.asks),
            exchange_time_ns=time.ns,
            odd_time=time.odd,
        )

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [
            Instrument(
                symbol=f"{market.base}-{market.quote}",
                native_symbol=market.symbol,
                base=market.base,
                quote=market.quote,
                phase=phase_of(PHASES, market.state),
                status=market.state,
            )
            for body in bodies
            for market in decode(_markets, body)
        ]

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        return [Turnover(row.symbol, row.price, row.turnover) for body in bodies for row in decode(_tickers, body)]

    def normalize_symbol(self, native: str) -> str:
        return native.replace("_", "-")


def _request(event: str, natives: Sequence[str], request_id: int) -> str:
    if not natives:
        raise ValueError(f"{event} needs at least one symbol")
    return msgspec.json.encode({"event": event, "request": request_id, "book": list(natives)}).decode()


def _route_slowly(control: Control) -> Route:
    symbols = (control.symbol,) if control.symbol else ()
    match control.event:
        case "" if control.channel == "book" and symbols:
            return Route(RouteKind.BOOK, symbols)
        case "" if control.channel:
            return OTHER
        case "pong":
            return ALIVE
        case "subscribed" | "unsubscribed":
            return Route(RouteKind.ACK, symbols, control.request)
        case "refused":
            return Route(RouteKind.REFUSED, symbols, control.request, control.reason)
    return UNKNOWN


EXCHANGE = Exchange(
    code="template",
    name="Template",
    korean_name="Template",
    strategy=TemplateStrategy(),
    handler=TemplateHandler(),
    channels=(
        Channel(
            name="book",
            continuity=Continuity.LINKED_IDS,
            start=BookStart.IN_BAND,
            depth=DEPTH,
            snapshot_depth=DEPTH,
            blind_spots=(f"levels beyond the {DEPTH}th of a side",),
        ),
    ),
    hosts=(".template.example",),
    documentation="https://template.example/docs",
)
