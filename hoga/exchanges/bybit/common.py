"""What Bybit spot and linear contracts share (V5): topics, requests, routing, limits. What frames mean: `handler`.

    > {"req_id":"7","op":"subscribe","args":["orderbook.200.BTCUSDT"]}
    < {"success":true,"ret_msg":"","conn_id":"…","req_id":"7","op":"subscribe"}         (spot: "ret_msg":"subscribe")
    < {"success":false,"ret_msg":"error:handler not found,topic:orderbook.200.X","conn_id":"…","req_id":"7",…}
    < {"success":false,"ret_msg":"Invalid symbol :[orderbook.200.X]","conn_id":"…","req_id":"7",…}         (spot)
    > {"op":"ping"}
    < {"success":true,"ret_msg":"pong","conn_id":"…","req_id":"","op":"ping"}

1. One topic that is not known fails the whole request that names it.
2. A request id is text and comes back as it was. An ack may come after the first frame of its topic.
3. Spot takes 10 topics in a request, a connection 21 000 characters of topics.
4. The client pings every 20 s; ten minutes without anything end the connection.
Sources: bybit-exchange/docs v5 (ws/connect, websocket/public/orderbook, market, rate-limit); 1 and the refusals as
others have seen them.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from hoga.domain.errors import snippet
from hoga.exchanges.base import (
    ALIVE,
    OTHER,
    UNKNOWN,
    ConnectionStrategy,
    Endpoints,
    Limits,
    RestKind,
    RestMatch,
    RestRequest,
    Route,
    RouteKind,
)
from hoga.exchanges.decoding import json_string, path_and_query

DEPTH = 200
"""Levels a side that we subscribe to."""
MOST_LISTED = 1000
"""Instruments in one answer at most; the list of contracts has pages, and every one is read (`next_instruments`)."""
PING = '{"op":"ping"}'

_BOOK_START = b'{"topic":"orderbook.'
_TOPIC_AT = len(b'{"topic":"')
_SITES = ("bybit.com", "bytick.com")


class Control(msgspec.Struct, gc=False):
    """Everything that is no book: acknowledgements, refusals, pongs, other topics."""

    topic: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | int | None = None


class Failure(msgspec.Struct, gc=False):
    retCode: int = 0
    retMsg: str = ""


class Page(msgspec.Struct, gc=False):
    nextPageCursor: str = ""


class Paged(msgspec.Struct, gc=False):
    """One page of a list; spot gives no cursor."""

    result: Page = msgspec.field(default_factory=Page)


_control = msgspec.json.Decoder(Control)
_failure = msgspec.json.Decoder(Failure)
_paged = msgspec.json.Decoder(Paged)


def book_topic(topic: str) -> tuple[str, int] | None:
    """(native id, levels a side) of an order-book topic; None for every other one, `orderbook.rpi.…` among them."""
    name, _, rest = topic.partition(".")
    depth, _, native = rest.partition(".")
    if name != "orderbook" or not native or not (depth.isascii() and depth.isdigit()) or len(depth) > 5:
        return None
    return native, int(depth)


def hosts_of(*categories: str) -> tuple[str, ...]:
    """By which addresses a recording is recognised: the host alone tells no market, the path or the category does.
    A REST address that names none may be of either."""
    marks = [mark + category for category in categories for mark in ("/v5/public/", "?category=")]
    return tuple(f".{site}{mark}" for site in _SITES for mark in marks) + tuple(f"api.{site}" for site in _SITES)


class BybitStrategy(ConnectionStrategy):
    """Requests and routing; the markets differ in their category and in the recordings they take for theirs."""

    endpoints = Endpoints(ws="wss://stream.bybit.com", rest="https://api.bybit.com")
    limits = Limits(
        symbols_per_link=150,  # 21 000 characters hold 500; fewer keep the damage of one lost link small
        symbols_per_request=10,
        messages_per_s=10.0,  # none documented; 200 at once have been seen to work
        connects_per_s=0.7,  # 500 in 5 minutes for spot and contracts together
        connect_burst=5,
        idle_timeout_s=30.0,
        rest_weight_per_minute=3000,  # 600 requests in 5 s for this address, spot and contracts together
        rest_away_s={403: 600.0},  # "access too frequent": wait ten minutes
    )
    heartbeat_s = 20.0
    category: str
    categories: tuple[str, ...]
    """Whose recorded REST answers are ours to read."""
    default_depth: int
    """Levels a side of a REST snapshot that was asked for without a limit."""

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/v5/public/{self.category}"

    def heartbeat(self, now_ns: int) -> str | None:
        return PING

    def probe(self, now_ns: int) -> str | None:
        return PING

    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        return _request("subscribe", natives, request_id)

    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        return _request("unsubscribe", natives, request_id)

    def route(self, frame: bytes) -> Route:
        # The usual frame needs no parse: the topic stands first in both markets.
        if frame.startswith(_BOOK_START):
            found = book_topic(json_string(frame, _TOPIC_AT) or "")
            if found is not None:
                return Route(RouteKind.BOOK, (found[0],))
        return _route_slowly(frame)

    def snapshot_request(self, native: str) -> RestRequest:
        query = f"category={self.category}&symbol={quote(native, safe='')}&limit={DEPTH}"
        return RestRequest(f"/v5/market/orderbook?{query}")

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest(f"/v5/market/instruments-info?category={self.category}&limit={MOST_LISTED}")]

    def next_instruments(self, body: bytes) -> RestRequest | None:
        try:
            cursor = _paged.decode(body).result.nextPageCursor
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None  # whoever parses the body says what is wrong with it
        if not cursor:
            return None
        first = self.instruments_requests()[0]
        return RestRequest(f"{first.path}&cursor={quote(cursor, safe='%')}")

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [RestRequest(f"/v5/market/tickers?category={self.category}")]

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        if query.get("category") not in self.categories:
            return None
        if path.endswith("/v5/market/orderbook") and "symbol" in query:
            return RestMatch(RestKind.SNAPSHOT, query["symbol"], _limit(query) or self.default_depth)
        if path.endswith("/v5/market/instruments-info"):
            return RestMatch(RestKind.INSTRUMENTS)
        if path.endswith("/v5/market/tickers"):
            return RestMatch(RestKind.TICKERS)
        return None

    def rest_error(self, body: bytes) -> str | None:
        try:
            failure = _failure.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None  # whoever parses the body says what is wrong with it
        return snippet(f"{failure.retCode} {failure.retMsg}") if failure.retCode else None


def _request(op: str, natives: Sequence[str], request_id: int) -> str:
    if not natives:
        raise ValueError(f"{op} needs at least one symbol")
    args = [f"orderbook.{DEPTH}.{native}" for native in natives]
    return msgspec.json.encode({"req_id": str(request_id), "op": op, "args": args}).decode()


def _route_slowly(frame: bytes) -> Route:
    try:
        control = _control.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return UNKNOWN
    if control.topic:
        found = book_topic(control.topic)
        return Route(RouteKind.BOOK, (found[0],)) if found is not None else OTHER
    if control.op in ("ping", "pong"):
        return ALIVE
    return UNKNOWN if control.success is None else _route_answer(control)


def _route_answer(control: Control) -> Route:
    text = str(control.req_id or "")
    request_id = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    if control.success:
        return Route(RouteKind.ACK, (), request_id)
    said = control.ret_msg or "no reason given"
    problem, _, topic = said.partition(",topic:")
    held = book_topic(topic) if problem == "error:already subscribed" else None
    if held is not None:
        return Route(RouteKind.ACK, (held[0],), request_id)  # what the request wanted is so
    # Whatever topic the reason names, rule 1: the whole request was refused.
    return Route(RouteKind.REFUSED, (), request_id, snippet(said))


def _limit(query: dict[str, str]) -> int:
    text = query.get("limit", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
