"""Gate spot: the channel `spot.obu`, 400 levels a side every 100 ms, and `spot.order_book_update` of older recordings.

    {"channel":"spot.obu","event":"update","time_ms":1757900000013,"result":{"t":1757900000000,"full":true,
     "s":"ob.BTC_USDT.400","u":100,"b":[["111666","0.13"]],"a":[["111676","0.5"]]}}
    {"channel":"spot.obu","event":"update","time_ms":…,"result":{"t":…,"s":"ob.BTC_USDT.400","U":101,"u":107,"b":[…]}}
    {"time":1619093532,"channel":"spot.order_book_update","event":"update","result":{"t":1619093532978,"e":"depthUpdate",
     "E":1619093532,"s":"HAI_ETH","U":2691446,"u":2691446,"b":[["0.00010322","5360.209"]],"a":[]}}

1. A frame with `full` is the whole book, whenever it comes; any other builds on U-1 and leads to u.
2. Sizes are absolute, "0" deletes; what leaves the 400 levels is deleted too. A side that is missing did not change.
3. `spot.order_book_update` is joined to `GET /spot/order_book?with_id=true`: the first kept U <= id+1 <= u.
4. A request carries the time in seconds; the server refuses one that is a minute off, so a clock of ours that is wrong
   by more collects nothing, and the refusals say so. `id` is echoed.
5. Every name is acknowledged, also one that does not exist: it stays silent. A stream that is held already is refused
   with an "Alert sub …".
6. A connection that says nothing is closed after 30 s; an application ping keeps it.

What the documents do not say, what was decided, and what would go wrong otherwise:
- Several streams in one request: seen on futures only, so one in each. If spot takes more, subscribing is slower than
  it need be; were they sent and not taken, all but the first would stay silent.
- Whether the ids of both channels and of REST are the same count: snapshots for `spot.obu` are used to audit, which
  reads no id. Nothing would go wrong.
- Levels that leave the window: rule 2 was reported of the client libraries' tests, not promised. If none were deleted,
  old levels would stay below the 400th and come to light as a disagreement of an audit.
- `buyable` and `sellable` (one side takes new orders): orders still meet, so it counts as trading. If nothing traded
  there, a crossed book would be called wrong.
- An id of -1 in a REST book (a market that has none yet): refused. The book begins with the next snapshot.
- Limits on streams, messages and connections: none are published; what is below has been used by others without harm.
Sources: gate.com/docs/developers/apiv4 (spot websocket v4, REST spot); a recording of 2021; captures of others, 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from hoga.domain import level_shape
from hoga.domain.errors import FrameError, snippet
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

DEPTH = 400
REST_DEPTH = 100
_OBU, _CLASSIC = "spot.obu", "spot.order_book_update"
PHASES = {
    "tradable": Phase.TRADING,
    "buyable": Phase.TRADING,
    "sellable": Phase.TRADING,
    "untradable": Phase.HALTED,
}
_LISTS = {"currency_pairs": RestKind.INSTRUMENTS, "tickers": RestKind.TICKERS}
_STREAM = b'"s":"ob.'


T = TypeVar("T")


class Book(msgspec.Struct, Generic[T], gc=False):
    """Of both channels; a stream's name in `s` of the newer one."""

    s: str
    u: Seq
    t: Time = msgspec.UNSET
    U: Seq | None = None
    full: bool = False
    b: list[T] | None = None
    a: list[T] | None = None


class Frame(msgspec.Struct, Generic[T], gc=False):
    channel: Literal["spot.obu", "spot.order_book_update"]
    event: Literal["update"]
    result: Book[T]


class Failure(msgspec.Struct, gc=False):
    code: int = 0
    message: str = ""


class Named(msgspec.Struct, gc=False):
    s: str = ""


class Control(msgspec.Struct, gc=False):
    channel: str = ""
    event: str = ""
    id: int | None = None
    error: Failure | None = None
    payload: list[str] = []
    result: msgspec.Raw = msgspec.Raw(b"")


class RestBook(msgspec.Struct, Generic[T], gc=False):
    id: Seq
    bids: list[T] | None
    asks: list[T] | None
    update: Time = msgspec.UNSET
    current: Time = msgspec.UNSET


class Pair(msgspec.Struct, gc=False):
    id: str
    base: str
    quote: str
    trade_status: str = ""
    precision: int = -1
    amount_precision: int = -1


class Ticker(msgspec.Struct, gc=False):
    currency_pair: str
    last: str = ""
    quote_volume: str = ""


class RestFailure(msgspec.Struct, gc=False):
    label: str
    message: str = ""


LEVELS = level_shape.rows()
_frame = msgspec.json.Decoder(Frame[Level])
_wide_frame = msgspec.json.Decoder(Frame[Row])
_control = msgspec.json.Decoder(Control)
_named = msgspec.json.Decoder(Named)
_book = msgspec.json.Decoder(RestBook[Level])
_wide_book = msgspec.json.Decoder(RestBook[Row])
_pairs = msgspec.json.Decoder(list[Pair])
_tickers = msgspec.json.Decoder(list[Ticker])
_failure = msgspec.json.Decoder(RestFailure)


class GateSpotStrategy(ConnectionStrategy):
    endpoints = Endpoints(ws="wss://api.gateio.ws", rest="https://api.gateio.ws")
    limits = Limits(
        symbols_per_link=100,
        symbols_per_request=1,
        messages_per_s=5.0,
        connects_per_s=0.5,
        connect_burst=3,
        idle_timeout_s=25.0,  # rule 6; it answers our pings
        rest_weight_per_minute=600,  # 200 in 10 s for each kind of request
    )
    heartbeat_s = 10.0

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/ws/v4/"

    def heartbeat(self, now_ns: int) -> str | None:
        return f'{{"time":{now_ns // 10**9},"channel":"spot.ping"}}'

    def probe(self, now_ns: int) -> str | None:
        return self.heartbeat(now_ns)

    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        return _request("subscribe", natives, request_id, now_ns)

    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        return _request("unsubscribe", natives, request_id, now_ns)

    def route(self, frame: bytes) -> Route:
        # The usual frame needs no parse: the stream stands near its start.
        place = frame.find(_STREAM, 0, 256)
        if place > 0 and frame.find(b'"event":"update"', 0, place) > 0:
            native = (json_string(frame, place + len(_STREAM)) or "").rpartition(".")[0]
            if native:
                return Route(RouteKind.BOOK, (native,))
        try:
            return _route_slowly(_control.decode(frame))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return UNKNOWN

    def snapshot_request(self, native: str) -> RestRequest:
        query = f"currency_pair={quote(native, safe='')}&limit={REST_DEPTH}&with_id=true"
        return RestRequest(f"/api/v4/spot/order_book?{query}")

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest("/api/v4/spot/currency_pairs")]

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [RestRequest("/api/v4/spot/tickers")]

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        folder, _, name = path.rpartition("/")
        if not folder.endswith("/spot"):
            return None
        if name == "order_book" and "currency_pair" in query:
            text = query.get("limit", "")
            limit = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 10
            return RestMatch(RestKind.SNAPSHOT, query["currency_pair"], limit)
        return RestMatch(_LISTS[name]) if name in _LISTS else None

    def rest_error(self, body: bytes) -> str | None:
        if b'"label"' not in body[:64]:
            return None
        try:
            failure = _failure.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        return snippet(f"{failure.label} {failure.message}")


class GateSpotHandler(DataHandler):
    def parse(self, frame: bytes) -> list[Update]:
        found = decode(_frame, frame, _wide_frame)
        book = found.result
        native, channel = (book.s, _CLASSIC) if found.channel == _CLASSIC else _stream(book.s)
        if not native:
            raise FrameError("symbol", f"no symbol in {snippet(book.s)!r}")
        if not book.full and (book.U is None or book.u < book.U):
            raise FrameError("shape", f"no range of ids: U {book.U}, u {book.u}: {snippet(frame)}")
        time = moment(epoch_time_ns, book.t)
        return [
            Update(
                native_symbol=native,
                snapshot=book.full,
                bids=rows(book.b),
                asks=rows(book.a),
                prev_seq=NO_SEQ if book.U is None else book.U - 1,
                seq=book.u,
                exchange_time_ns=time.ns,
                odd_time=time.odd,
                channel=channel,
            )
        ]

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        book = decode(_book, body, _wide_book)
        time = moment(epoch_time_ns, book.update, book.current)
        return Update(
            native_symbol=native,
            snapshot=True,
            bids=rows(book.bids),
            asks=rows(book.asks),
            seq=book.id,
            exchange_time_ns=time.ns,
            odd_time=time.odd,
        )

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [
            Instrument(
                symbol=f"{pair.base}-{pair.quote}",
                native_symbol=pair.id,
                base=pair.base,
                quote=pair.quote,
                phase=phase_of(PHASES, pair.trade_status),
                price_tick=_step(pair.precision),
                size_step=_step(pair.amount_precision),
                status=pair.trade_status,
            )
            for body in bodies
            for pair in decode(_pairs, body)
        ]

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        return [
            Turnover(ticker.currency_pair, ticker.last, ticker.quote_volume)
            for body in bodies
            for ticker in decode(_tickers, body)
        ]

    def normalize_symbol(self, native: str) -> str:
        return native.replace("_", "-")


def _stream(name: str) -> tuple[str, str]:
    """("BTC_USDT", "spot.obu.400") of "ob.BTC_USDT.400"; an empty symbol where it is no such name."""
    native, _, depth = name.removeprefix("ob.").rpartition(".")
    return (native, f"{_OBU}.{depth}") if name.startswith("ob.") else ("", "")


def _request(event: str, natives: Sequence[str], request_id: int, now_ns: int) -> str:
    if not natives:
        raise ValueError(f"{event} needs at least one symbol")
    streams = [f"ob.{native}.{DEPTH}" for native in natives]
    request = {"time": now_ns // 10**9, "id": request_id, "channel": _OBU, "event": event, "payload": streams}
    return msgspec.json.encode(request).decode()


def _route_slowly(control: Control) -> Route:
    if control.channel == "spot.pong":
        return ALIVE
    if control.error is not None and not control.channel:  # of what was not even a request
        return Route(RouteKind.REFUSED, (), control.id, snippet(control.error.message))
    if control.channel not in (_OBU, _CLASSIC):
        return OTHER if control.channel else UNKNOWN
    if control.event == "update":
        named = _named.decode(control.result).s
        native = named if control.channel == _CLASSIC else _stream(named)[0]
        return Route(RouteKind.BOOK, (native,)) if native else UNKNOWN
    if control.channel == _CLASSIC:
        natives = tuple(control.payload[:1])
    else:
        natives = tuple(native for name in control.payload if (native := _stream(name)[0]))
    if control.error is not None and not control.error.message.startswith("Alert sub"):  # rule 5
        said = snippet(f"{control.error.code} {control.error.message}")
        return Route(RouteKind.REFUSED, natives, control.id, said)
    return Route(RouteKind.ACK, natives, control.id) if control.event in ("subscribe", "unsubscribe") else UNKNOWN


def _step(decimals: int) -> str:
    """ "0.01" for 2 places; empty where they are not given."""
    if not 0 <= decimals <= 30:
        return ""
    return f"0.{'0' * (decimals - 1)}1" if decimals else "1"


def _obu(depth: int) -> Channel:
    return Channel(
        name=f"{_OBU}.{depth}",
        continuity=Continuity.CONSECUTIVE_IDS,
        start=BookStart.IN_BAND,
        depth=depth,
        snapshot_depth=REST_DEPTH,
        blind_spots=(
            f"levels beyond the {depth}th of a side",
            "a name that does not exist is acknowledged and stays silent",
            "the book of a quiet market may be 40 s old when it comes",
        ),
    )


EXCHANGE = Exchange(
    code="gate_spot",
    name="Gate Spot",
    korean_name="게이트 현물",
    strategy=GateSpotStrategy(),
    handler=GateSpotHandler(),
    channels=(
        _obu(DEPTH),
        _obu(50),
        Channel(
            name=_CLASSIC,
            continuity=Continuity.CONSECUTIVE_IDS,
            start=BookStart.REST,
            depth=None,
            snapshot_depth=REST_DEPTH,
            blind_spots=("levels outside the last snapshot's price range are unknown until they change",),
        ),
    ),
    hosts=("api.gateio.ws/ws/v4", "api.gateio.ws/api/v4/spot"),
    documentation="https://www.gate.com/docs/developers/apiv4/ws/en/",
)
