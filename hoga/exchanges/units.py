"""The Korean whole-book format that Upbit defined and Bithumb follows: every frame is the whole book.

A frame (DEFAULT format; recorded, shortened):

    {"type":"orderbook","code":"KRW-BTC","timestamp":1790134742106,"total_ask_size":4.79,"total_bid_size":2.65,
     "orderbook_units":[{"ask_price":1.16539E8,"bid_price":1.16538E8,"ask_size":0.10623869,"bid_size":0.03656812}],
     "stream_type":"SNAPSHOT","level":0}

SIMPLE format writes ty, cd, tms, tas, tbs, obu[{ap,bp,as,bs}], st, lv. The list formats wrap frames in an array.
Rules:
1. a request is one array [ticket, type, format]; it is not acknowledged and it replaces the one before;
2. numbers are JSON numbers, some with an exponent: their text is taken, never a float (strings are read, too);
3. levels with price 0 or size 0 are padding of a thin book and are dropped, and so are those of which both are null.
   One null beside a number is no padding: somebody stands there, and nobody says where or with how much;
4. there is no id and no checksum; frames are ordered by timestamp. One without (0, null) is ordered by its arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID, uuid5

import msgspec

from hoga.domain import level_shape
from hoga.domain.errors import FrameError, snippet
from hoga.domain.numbers import is_zero
from hoga.domain.phases import Phase, phase_of
from hoga.domain.types import Instrument, Level, Turnover, Update
from hoga.exchanges.base import ALIVE, OTHER, UNKNOWN, ConnectionStrategy, DataHandler, Route, RouteKind
from hoga.exchanges.decoding import check_levels, decode, json_string, raw_number
from hoga.exchanges.times import Time, epoch_time_ns, moment

_TICKETS = UUID("8f1f8f0e-5c5b-4a52-9d5e-4f3b7a2c6d10")
_BOOK_MARKS = (b'"type":"orderbook"', b'"ty":"orderbook"')
_CODE_MARKS = (b'"code":"', b'"cd":"')
PHASES = {"ACTIVE": Phase.TRADING, "PREVIEW": Phase.PRE_OPEN, "DELISTED": Phase.UNLISTED}
"""`market_state`, which tickers carry and lists (as of now) do not."""
UNSEEN_HALT = "the list of markets has no status: one that is halted but still listed stays LIVE while frames come"
"""A blind spot of both: what is listed is taken for trading."""
UNTIMED = "a frame without a time (0, null) is ordered by its arrival"
"""The same of both: nothing better is known of it."""


class Unit(msgspec.Struct, gc=False):
    ask_price: msgspec.Raw
    bid_price: msgspec.Raw
    ask_size: msgspec.Raw
    bid_size: msgspec.Raw


class SimpleUnit(
    msgspec.Struct, gc=False, rename={"ask_price": "ap", "bid_price": "bp", "ask_size": "as", "bid_size": "bs"}
):
    ask_price: msgspec.Raw
    bid_price: msgspec.Raw
    ask_size: msgspec.Raw
    bid_size: msgspec.Raw


class Book(msgspec.Struct, gc=False):
    """DEFAULT format; REST names the code `market`."""

    timestamp: Time
    orderbook_units: list[Unit] | None
    code: str = ""
    market: str = ""
    type: str = "orderbook"


class SimpleBook(msgspec.Struct, gc=False):
    cd: str
    tms: Time
    obu: list[SimpleUnit] | None
    ty: str = "orderbook"


class ErrorBody(msgspec.Struct, gc=False):
    name: str | int = ""
    message: str = ""


class Header(msgspec.Struct, gc=False):
    type: str = ""
    ty: str = ""
    code: str = ""
    cd: str = ""
    status: str = ""
    error: ErrorBody | None = None


class ErrorFrame(msgspec.Struct, gc=False):
    error: ErrorBody


class ListedMarket(msgspec.Struct, gc=False):
    market: str
    korean_name: str = ""
    market_state: str = ""


class UnitTicker(msgspec.Struct, gc=False):
    market: str
    trade_price: msgspec.Raw
    acc_trade_price_24h: msgspec.Raw


LEVELS = level_shape.units(("bid_price", "bid_size"), ("ask_price", "ask_size"))
SIMPLE_LEVELS = level_shape.units(("bp", "bs"), ("ap", "as"))
"""How the levels of a frame look."""
_book = msgspec.json.Decoder(Book)
_simple = msgspec.json.Decoder(SimpleBook)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_rest_books = msgspec.json.Decoder(list[Book])
_header = msgspec.json.Decoder(Header | list[Header])
_error = msgspec.json.Decoder(ErrorFrame)
_markets = msgspec.json.Decoder(list[ListedMarket])
_tickers = msgspec.json.Decoder(list[UnitTicker])


class UnitsStrategy(ConnectionStrategy):
    """Requests and routing; the exchanges differ in addresses, limits and the spelling of flags."""

    heartbeat_s = 5.0
    replaces_subscription = True
    acknowledges = False
    send_origin = False
    """An Origin header puts the client under a far stricter limit."""
    request_options: ClassVar[dict[str, object]] = {}

    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        if not natives:
            raise ValueError("a subscription needs at least one symbol")
        codes = list(natives)
        ticket = str(uuid5(_TICKETS, f"{request_id}:{','.join(codes)}"))
        book = {"type": "orderbook", "codes": codes, **self.request_options}
        return msgspec.json.encode([{"ticket": ticket}, book, {"format": "DEFAULT"}]).decode()

    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        return None

    def route(self, frame: bytes) -> Route:
        # The usual frame needs no parse: type and code stand at its start.
        head = frame[:160]
        if frame[:1] == b"{":
            for book_mark, code_mark in zip(_BOOK_MARKS, _CODE_MARKS, strict=True):
                if book_mark in head:
                    position = head.find(code_mark)
                    native = json_string(frame, position + len(code_mark)) if position > 0 else None
                    if native:
                        return Route(RouteKind.BOOK, (native,))
        return _route_slowly(frame)

    def rest_error(self, body: bytes) -> str | None:
        if not body.lstrip()[:9].startswith(b'{"error"'):
            return None
        try:
            return _error_text(_error.decode(body).error)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return snippet(body)


class UnitsHandler(DataHandler):
    """Parsing; the exchanges differ in traits and in their other books."""

    def parse(self, frame: bytes) -> list[Update]:
        if frame.lstrip()[:1] == b"[":
            updates = [_parse_one(bytes(piece)) for piece in decode(_array, frame)]
            if not updates:
                raise FrameError("shape", "a list without a book")
            return updates
        return [_parse_one(frame)]

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        for book in decode(_rest_books, body):
            if book.market == native:
                return _update(native, "orderbook", book.timestamp, book.orderbook_units)
        raise FrameError("symbol", f"no book of {snippet(native)!r} in {snippet(body)}")

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        found = []
        for body in bodies:
            for market in decode(_markets, body):
                quote, _, base = market.market.partition("-")
                if base:
                    found.append(
                        Instrument(
                            symbol=f"{base}-{quote}",
                            native_symbol=market.market,
                            base=base,
                            quote=quote,
                            phase=phase_of(PHASES, market.market_state),
                            korean_name=market.korean_name,
                            status=market.market_state,
                        )
                    )
        return found

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        return [
            Turnover(ticker.market, raw_number(ticker.trade_price), raw_number(ticker.acc_trade_price_24h))
            for body in bodies
            for ticker in decode(_tickers, body)
        ]

    def normalize_symbol(self, native: str) -> str:
        quote, separator, base = native.partition("-")
        return f"{base}-{quote}" if separator else native


def _parse_one(frame: bytes) -> Update:
    if b'"obu"' in frame:
        simple = decode(_simple, frame)
        return _update(simple.cd, simple.ty, simple.tms, simple.obu)
    book = decode(_book, frame)
    return _update(book.code, book.type, book.timestamp, book.orderbook_units)


def _update(native: str, kind: str, timestamp: object, units: Sequence[Unit | SimpleUnit] | None) -> Update:
    if kind != "orderbook":
        raise FrameError("shape", f"expected an orderbook, found {snippet(kind)!r}")
    if not native:
        raise FrameError("symbol", "orderbook without a code")
    bids: list[Level] = []
    asks: list[Level] = []
    for unit in units or ():
        _take(bids, unit.bid_price, unit.bid_size)
        _take(asks, unit.ask_price, unit.ask_size)
    time = moment(epoch_time_ns, timestamp)
    return Update(
        native_symbol=native,
        snapshot=True,
        bids=check_levels(bids),
        asks=check_levels(asks),
        exchange_time_ns=time.ns,
        odd_time=time.odd,
    )


def _take(levels: list[Level], price: msgspec.Raw, size: msgspec.Raw) -> None:
    price_text, size_text = raw_number(price), raw_number(size)
    if price_text == size_text == "null":
        return
    if not is_zero(price_text) and not is_zero(size_text):
        levels.append((price_text, size_text))


def _route_slowly(frame: bytes) -> Route:
    try:
        found = _header.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return UNKNOWN
    headers = found if isinstance(found, list) else [found]
    natives = tuple(h.code or h.cd for h in headers if (h.type or h.ty) == "orderbook" and (h.code or h.cd))
    if natives:
        return Route(RouteKind.BOOK, tuple(dict.fromkeys(natives)))
    if not isinstance(found, list):
        if found.error is not None:
            return Route(RouteKind.REFUSED, detail=_error_text(found.error))
        if found.status == "UP":
            return ALIVE
    return OTHER if any(h.type or h.ty or h.status for h in headers) else UNKNOWN


def _error_text(error: ErrorBody) -> str:
    return snippet(f"{error.name} {error.message}")
