"""What Binance spot and USD-M futures share: requests, acks, errors, the shape of depth updates and lists.

A frame of the combined stream (recorded):

    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255408,"s":"BTCUSDT",
     "U":50093239208,"u":50093239224,"b":[["61837.63000000","3.78826000"]],"a":[]}}

The raw stream sends the inner object alone. Levels are [price, absolute quantity]; quantity 0 deletes, and
deleting a level that is not there is normal. Levels of old recordings have a third element, an empty list.
Sources: binance-spot-api-docs, derivatives documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Generic, TypeVar

import msgspec

from hoga.domain import level_shape
from hoga.domain.errors import FrameError, snippet
from hoga.domain.phases import Phase, phase_of
from hoga.domain.types import Instrument, Level, RawDelta, Turnover, Update
from hoga.exchanges.base import (
    ALIVE,
    OTHER,
    UNKNOWN,
    ConnectionStrategy,
    DataHandler,
    RestKind,
    RestMatch,
    RestRequest,
    Route,
    RouteKind,
)
from hoga.exchanges.decoding import Row, Seq, decode, json_string, path_and_query, rows
from hoga.exchanges.times import Time, epoch_time_ns, moment

L = TypeVar("L")

HEARTBEAT_ID = 0
"""Request id of our keep-alive question; its answer is no acknowledgement of a subscription."""

_QUOTES = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD1", "USDS", "DAI", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL",
    "GBP", "JPY", "AUD", "MXN", "ARS", "COP", "PLN", "RON", "UAH", "ZAR", "CZK", "IDR", "USD",
)  # fmt: skip
"""Only for recordings without an instrument list; live symbols come from exchangeInfo."""

PHASES = {
    "TRADING": Phase.TRADING,
    "PRE_TRADING": Phase.PRE_OPEN,
    "PENDING_TRADING": Phase.PRE_OPEN,
    "AUCTION_MATCH": Phase.AUCTION,
    "CANCEL_ONLY": Phase.HALTED,
    "HALT": Phase.HALTED,
    "BREAK": Phase.HALTED,
    "END_OF_DAY": Phase.HALTED,
    "POST_TRADING": Phase.HALTED,
    "PRE_DELIVERING": Phase.HALTED,
    "DELIVERING": Phase.HALTED,
    "PRE_SETTLE": Phase.HALTED,
    "SETTLING": Phase.UNLISTED,
    "DELIVERED": Phase.UNLISTED,
    "CLOSE": Phase.UNLISTED,
}
"""`status` of spot, `status` or `contractStatus` of contracts. SETTLING lists perpetuals that were delisted."""


class Depth(msgspec.Struct, Generic[L], gc=False):
    s: str
    U: Seq
    u: Seq
    b: list[L] | None
    a: list[L] | None
    E: Time = msgspec.UNSET
    T: Time = msgspec.UNSET
    pu: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)] | None = None
    """-1 where nothing came before it."""
    e: str = "depthUpdate"


MAX_ROUTES = 10_000


class RawDepth(msgspec.Struct, gc=False):
    e: str
    s: str
    U: Seq
    u: Seq
    b: msgspec.Raw
    a: msgspec.Raw
    E: int = 0
    T: int = 0
    pu: int = -1


class RawCombined(msgspec.Struct, gc=False):
    data: RawDepth
    stream: str


AnyDepth = Depth[Level] | Depth[Row]


class CombinedDepth(msgspec.Struct, Generic[L], gc=False):
    data: Depth[L]
    stream: str = ""


class Snapshot(msgspec.Struct, Generic[L], gc=False):
    lastUpdateId: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
    bids: list[L] | None
    asks: list[L] | None
    E: Time = msgspec.UNSET
    T: Time = msgspec.UNSET


class Filter(msgspec.Struct, gc=False):
    filterType: str = ""
    tickSize: str = ""
    stepSize: str = ""


class Market(msgspec.Struct, gc=False):
    symbol: str
    baseAsset: str
    quoteAsset: str
    status: str = ""
    contractStatus: str = ""
    contractType: str = ""
    contractSize: float | int | None = None
    filters: list[Filter] = []


class ExchangeInfo(msgspec.Struct, gc=False):
    symbols: list[Market]


class DayTicker(msgspec.Struct, gc=False):
    symbol: str
    lastPrice: str
    quoteVolume: str


class Failure(msgspec.Struct, gc=False):
    code: int = 0
    msg: str = ""


class Control(msgspec.Struct, gc=False):
    """Everything that is not market data: acks, errors, announcements."""

    id: int | str | None = None
    result: list[str] | dict[str, str] | str | msgspec.UnsetType | None = msgspec.UNSET
    error: Failure | None = None
    code: int | None = None
    msg: str = ""
    e: str = ""
    s: str = ""
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class EventHeader(msgspec.Struct, gc=False):
    e: str = ""
    s: str = ""


LEVELS = level_shape.rows()
"""How the levels of a frame look."""
_combined = msgspec.json.Decoder(CombinedDepth[Level])
_raw_combined = msgspec.json.Decoder(RawCombined)
_wide_combined = msgspec.json.Decoder(CombinedDepth[Row])
_plain = msgspec.json.Decoder(Depth[Level])
_wide_plain = msgspec.json.Decoder(Depth[Row])
_snapshot = msgspec.json.Decoder(Snapshot[Level])
_wide_snapshot = msgspec.json.Decoder(Snapshot[Row])
_info = msgspec.json.Decoder(ExchangeInfo)
_tickers = msgspec.json.Decoder(list[DayTicker] | DayTicker)
_control = msgspec.json.Decoder(Control)
_header = msgspec.json.Decoder(EventHeader)


class BinanceStrategy(ConnectionStrategy):
    """Requests and routing; the two markets differ in addresses, limits and weights."""

    stream_suffix = "@depth@100ms"
    heartbeat_s = 5.0
    used_weight_header = "X-MBX-USED-WEIGHT-1M"
    _routes: ClassVar[dict[bytes, Route]] = {}
    """Symbol as it is written -> its route: values that are made once."""
    api = "/api/v3"
    default_depth = 100
    """Levels a side of a snapshot that was asked for without a limit."""

    def heartbeat(self, now_ns: int) -> str | None:
        return f'{{"method":"LIST_SUBSCRIPTIONS","id":{HEARTBEAT_ID}}}'

    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        return self._request("SUBSCRIBE", natives, request_id)

    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        return self._request("UNSUBSCRIBE", natives, request_id)

    def route(self, frame: bytes) -> Route:
        # The usual frame needs no parse: the event type and the symbol stand near its start.
        start = frame.find(b'"s":"', 0, 192) + 5
        if start > 4 and frame.find(b'"e":"depthUpdate"', 0, 192) >= 0:
            end = frame.find(b'"', start, start + 128)
            route = self._routes.get(frame[start:end])
            if route is not None:
                return route
            native = json_string(frame, start)
            if native:
                route = Route(RouteKind.BOOK, (native,))
                if len(self._routes) < MAX_ROUTES:
                    self._routes[frame[start:end]] = route
                return route
        return self._route_slowly(frame)

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest(f"{self.api}/exchangeInfo", 20)]

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [RestRequest(f"{self.api}/ticker/24hr", 80)]

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        if path.endswith("/depth") and "symbol" in query:
            return RestMatch(RestKind.SNAPSHOT, query["symbol"].upper(), _limit(query) or self.default_depth)
        if path.endswith("/exchangeInfo"):
            return RestMatch(RestKind.INSTRUMENTS)
        if path.endswith("/ticker/24hr"):
            return RestMatch(RestKind.TICKERS)
        return None

    def rest_error(self, body: bytes) -> str | None:
        if not body.startswith(b'{"code"'):
            return None
        try:
            failure = msgspec.json.decode(body, type=Failure)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        return snippet(f"{failure.code} {failure.msg}") if failure.code not in (0, 200) else None

    def _request(self, method: str, natives: Sequence[str], request_id: int) -> str:
        if not natives:
            raise ValueError(f"{method} needs at least one symbol")
        params = [native.lower() + self.stream_suffix for native in natives]
        return msgspec.json.encode({"method": method, "params": params, "id": request_id}).decode()

    def _route_slowly(self, frame: bytes) -> Route:
        try:
            control = _control.decode(frame)
            event, native = control.e, control.s
            if control.stream and bytes(control.data).startswith(b"{"):
                header = _header.decode(control.data)
                event, native = header.e, header.s
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return UNKNOWN
        if event == "depthUpdate" and native:
            return Route(RouteKind.BOOK, (native,))
        if event == "serverShutdown":
            return Route(RouteKind.CLOSING, detail="the exchange announces a shutdown of this connection")
        if event or control.stream:
            return OTHER
        return _route_answer(control)


def _limit(query: dict[str, str]) -> int:
    text = query.get("limit", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _route_answer(control: Control) -> Route:
    request_id = control.id if isinstance(control.id, int) else None
    if control.error is not None:
        return Route(RouteKind.REFUSED, (), request_id, snippet(f"{control.error.code} {control.error.msg}"))
    if control.code is not None:
        return Route(RouteKind.REFUSED, (), request_id, snippet(f"{control.code} {control.msg}"))
    if control.result is msgspec.UNSET:
        return UNKNOWN
    if request_id == HEARTBEAT_ID or isinstance(control.result, list):
        return ALIVE
    return Route(RouteKind.ACK, (), request_id)


class BinanceHandler(DataHandler):
    """Parsing; the two markets differ only in the id that a delta builds on."""

    levels = LEVELS

    def glance(self, frame: bytes) -> RawDelta | None:
        try:
            depth = _raw_combined.decode(frame).data
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        return self._glanced(depth) if depth.e == "depthUpdate" and depth.u >= depth.U else None

    def _glanced(self, depth: RawDepth) -> RawDelta | None:
        return None

    def parse(self, frame: bytes) -> list[Update]:
        combined = frame.startswith(b'{"stream"')
        depth = decode(_combined, frame, _wide_combined).data if combined else self._parse_plain(frame)
        if depth.e != "depthUpdate":
            raise FrameError("shape", f"expected a depthUpdate, found {snippet(depth.e)!r}")
        if depth.u < depth.U:
            raise FrameError("shape", f"first id {depth.U} above final id {depth.u}: {snippet(frame)}")
        return [self._update(depth)]

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        found = decode(_snapshot, body, _wide_snapshot)
        time = moment(epoch_time_ns, found.T, found.E)
        return Update(
            native_symbol=native,
            snapshot=True,
            bids=rows(found.bids),
            asks=rows(found.asks),
            seq=max(found.lastUpdateId, 0),
            exchange_time_ns=time.ns,
            odd_time=time.odd,
        )

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [_instrument(market) for body in bodies for market in decode(_info, body).symbols]

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        found: list[Turnover] = []
        for body in bodies:
            tickers = decode(_tickers, body)
            every = tickers if isinstance(tickers, list) else [tickers]
            found += [Turnover(ticker.symbol, ticker.lastPrice, ticker.quoteVolume) for ticker in every]
        return found

    def normalize_symbol(self, native: str) -> str:
        market, _, suffix = native.partition("_")
        quote = next((quote for quote in _QUOTES if market.endswith(quote) and len(market) > len(quote)), "")
        symbol = f"{market[: -len(quote)]}-{quote}" if quote else market
        return f"{symbol}-{suffix}" if suffix and suffix != "PERP" else symbol

    def _parse_plain(self, frame: bytes) -> AnyDepth:
        try:
            return decode(_plain, frame, _wide_plain)
        except FrameError as error:
            if error.reason == "shape" and b'"stream"' in frame[:512]:
                return decode(_combined, frame, _wide_combined).data
            raise

    def _update(self, depth: AnyDepth) -> Update:
        raise NotImplementedError


def _instrument(market: Market) -> Instrument:
    status = market.status or market.contractStatus
    _, _, suffix = market.symbol.partition("_")
    dated = suffix.isdigit()
    symbol = f"{market.baseAsset}-{market.quoteAsset}"
    tick = next((f.tickSize for f in market.filters if f.filterType == "PRICE_FILTER"), "")
    step = next((f.stepSize for f in market.filters if f.filterType == "LOT_SIZE"), "")
    return Instrument(
        symbol=f"{symbol}-{suffix}" if dated else symbol,
        native_symbol=market.symbol,
        base=market.baseAsset,
        quote=market.quoteAsset,
        phase=phase_of(PHASES, status),
        kind="dated" if dated else ("perpetual" if market.contractType else "spot"),
        price_tick=tick,
        size_step=step,
        contract_size="" if market.contractSize is None else str(market.contractSize),
        status=status,
    )
