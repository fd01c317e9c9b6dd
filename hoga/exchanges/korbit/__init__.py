"""Korbit (Digital X since September 2026): the channel `orderbook`, 30 levels a side, the whole book in every frame.

    {"symbol":"btc_krw","timestamp":1790000000300,"type":"orderbook","snapshot":true,"data":{"timestamp":1790000000000,
     "asks":[{"price":"116506000","qty":"0.27"}],"bids":[{"price":"116455000","qty":"0.005"}]}}

1. Every frame is the whole book; there is no id and no checksum. `data.timestamp` is when the book changed, in ms;
   `timestamp`, when it was sent.
2. A request is a JSON array. `requestId` is echoed: {"status":"success","requestId":1}, or "fail" with a code.
3. The server sends a websocket ping every 30 s. Quiet markets are silent for longer.
4. Symbols are small letters, base before quote, and case matters. A `stopped` market is listed; its one frame is empty.

What the documents do not say, what was decided, and what would go wrong otherwise:
- Symbols of a connection and of a request: all markets have been seen to work, 100 and 50 are used. If there were a
  limit below, the rest would be refused, which is reported.
- A refusal names one symbol only in its text, and whether the others of the request hold is not said: the whole request
  counts as refused and is asked again in halves. If they held, they would only be asked for twice.
- A second subscription of a market: taken to be granted again. If it is refused, a renewal is reported as refused.
- Whether a frame can be older than the one before: ordered by `data.timestamp`, an older one is left out.
- A list that names no base and quote: the symbol is read at its separator.
Sources: docs.digitalx.miraeasset.com and docs.korbit.co.kr (websocket and REST v2); measurements of others, Sep 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

import msgspec

from hoga.domain import level_shape
from hoga.domain.errors import FrameError, snippet
from hoga.domain.numbers import is_zero
from hoga.domain.phases import Phase, phase_of
from hoga.domain.types import Instrument, Level, Turnover, Update
from hoga.exchanges.base import (
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
from hoga.exchanges.decoding import check_levels, decode, json_string, path_and_query, raw_number
from hoga.exchanges.times import Time, epoch_time_ns, moment

DEPTH = 30
PHASES = {"launched": Phase.TRADING, "stopped": Phase.HALTED}
_HEAD = b'{"symbol":"'
_LISTS = {"currencyPairs": RestKind.INSTRUMENTS, "tickers": RestKind.TICKERS}


class Row(msgspec.Struct, gc=False):
    price: msgspec.Raw
    qty: msgspec.Raw


class Book(msgspec.Struct, gc=False):
    asks: list[Row] | None
    bids: list[Row] | None
    timestamp: Time = msgspec.UNSET


class Frame(msgspec.Struct, gc=False):
    symbol: str
    type: Literal["orderbook"]
    data: Book


class Control(msgspec.Struct, gc=False):
    """Everything else, and the head of every frame."""

    symbol: str = ""
    type: str = ""
    status: str = ""
    code: str = ""
    message: str = ""
    requestId: int | None = None


class RestBook(msgspec.Struct, gc=False):
    data: Book


class Pair(msgspec.Struct, gc=False):
    symbol: str
    status: str = ""
    baseCurrency: str = ""
    quoteCurrency: str = ""


class Pairs(msgspec.Struct, gc=False):
    data: list[Pair]


class Ticker(msgspec.Struct, gc=False):
    symbol: str
    close: str = ""
    quoteVolume: str = ""


class Tickers(msgspec.Struct, gc=False):
    data: list[Ticker]


class Reason(msgspec.Struct, gc=False):
    code: int | str = ""
    message: str = ""


class Failure(msgspec.Struct, gc=False):
    success: Literal[False]
    error: Reason


LEVELS = level_shape.objects("price", "qty")
_frame = msgspec.json.Decoder(Frame)
_control = msgspec.json.Decoder(Control)
_book = msgspec.json.Decoder(RestBook)
_pairs = msgspec.json.Decoder(Pairs)
_tickers = msgspec.json.Decoder(Tickers)
_failure = msgspec.json.Decoder(Failure)


class KorbitStrategy(ConnectionStrategy):
    endpoints = Endpoints(
        ws="wss://ws-api.digitalx.miraeasset.com", rest="https://api.digitalx.miraeasset.com"
    )  # ws-api and api.korbit.co.kr still answer
    limits = Limits(
        symbols_per_link=100,
        symbols_per_request=50,
        messages_per_s=2.0,
        connects_per_s=0.5,
        connect_burst=3,
        idle_timeout_s=30.0,  # it answers our pings
        rest_weight_per_minute=1500,  # 50 a second documented
    )
    heartbeat_s = 10.0

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/v2/public"

    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        return _request("subscribe", natives, request_id)

    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        return _request("unsubscribe", natives, request_id)

    def route(self, frame: bytes) -> Route:
        # The usual frame needs no parse: the symbol stands first.
        if frame.startswith(_HEAD) and b'"type":"orderbook"' in frame[:128]:
            native = json_string(frame, len(_HEAD))
            if native:
                return Route(RouteKind.BOOK, (native,))
        try:
            return _route_slowly(_control.decode(frame))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return UNKNOWN

    def snapshot_request(self, native: str) -> RestRequest:
        return RestRequest(f"/v2/orderbook?symbol={quote(native, safe='')}")

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest("/v2/currencyPairs")]

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [RestRequest("/v2/tickers")]

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        name = path.rpartition("/")[2]
        if name == "orderbook" and "symbol" in query:
            return RestMatch(RestKind.SNAPSHOT, query["symbol"], DEPTH)
        return RestMatch(_LISTS[name]) if name in _LISTS else None

    def rest_error(self, body: bytes) -> str | None:
        try:
            error = _failure.decode(body).error
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        return snippet(f"{error.code} {error.message}")


class KorbitHandler(DataHandler):
    def parse(self, frame: bytes) -> list[Update]:
        found = decode(_frame, frame)
        if not found.symbol:
            raise FrameError("symbol", f"a book of no symbol: {snippet(frame)}")
        return [_update(found.symbol, found.data)]

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        return _update(native, decode(_book, body).data)

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [_instrument(pair) for body in bodies for pair in decode(_pairs, body).data]

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        return [
            Turnover(ticker.symbol, ticker.close, ticker.quoteVolume)
            for body in bodies
            for ticker in decode(_tickers, body).data
        ]

    def normalize_symbol(self, native: str) -> str:
        return native.upper().replace("_", "-")


def _instrument(pair: Pair) -> Instrument:
    base, _, quote_currency = pair.symbol.upper().partition("_")
    base, quote_currency = pair.baseCurrency.upper() or base, pair.quoteCurrency.upper() or quote_currency
    return Instrument(
        symbol=f"{base}-{quote_currency}",
        native_symbol=pair.symbol,
        base=base,
        quote=quote_currency,
        phase=phase_of(PHASES, pair.status),
        status=pair.status,
    )


def _update(native: str, book: Book) -> Update:
    time = moment(epoch_time_ns, book.timestamp)
    bids, asks = _levels(book.bids), _levels(book.asks)
    return Update(native, snapshot=True, bids=bids, asks=asks, exchange_time_ns=time.ns, odd_time=time.odd)


def _levels(rows: list[Row] | None) -> list[Level]:
    levels = [(raw_number(row.price), raw_number(row.qty)) for row in rows or ()]
    return check_levels([level for level in levels if not is_zero(level[1])])


def _request(method: str, natives: Sequence[str], request_id: int) -> str:
    if not natives:
        raise ValueError(f"{method} needs at least one symbol")
    request = {"requestId": request_id, "method": method, "type": "orderbook", "symbols": list(natives)}
    return msgspec.json.encode([request]).decode()


def _route_slowly(control: Control) -> Route:
    match control.status:
        case "success":
            return Route(RouteKind.ACK, (), control.requestId)
        case "fail":
            return Route(RouteKind.REFUSED, (), control.requestId, snippet(f"{control.code} {control.message}"))
    if control.type == "orderbook" and control.symbol:
        return Route(RouteKind.BOOK, (control.symbol,))
    return OTHER if control.type else UNKNOWN


EXCHANGE = Exchange(
    code="korbit",
    name="Korbit (Digital X)",
    korean_name="코빗",
    strategy=KorbitStrategy(),
    handler=KorbitHandler(),
    channels=(
        Channel(
            name="orderbook",
            continuity=Continuity.TIMESTAMP,
            start=BookStart.WHOLE_FRAME,
            depth=DEPTH,
            snapshot_depth=DEPTH,
            blind_spots=(
                "no ids: a lost frame cannot be noticed, only replaced by the next one",
                f"levels beyond the {DEPTH}th of a side",
                "frames may be left out under load, by the documents",
            ),
        ),
    ),
    hosts=(
        "ws-api.digitalx.miraeasset.com",
        "api.digitalx.miraeasset.com",
        "ws-api.korbit.co.kr",
        "api.korbit.co.kr",
    ),
    documentation="https://docs.digitalx.miraeasset.com",
)
