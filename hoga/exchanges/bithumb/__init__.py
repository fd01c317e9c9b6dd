"""Bithumb: the documented `orderbook` stream of the current API, 15 levels a side, whole books.

Why this feed and not `pubwss` (the old API): it is the one that is documented and supported, its pings and idle
rules are known, one socket carries every market, and each frame is whole. The old `orderbooksnapshot` has 30 levels
but has left the documentation; the old `orderbookdepth` has no ids and cannot be joined to a snapshot exactly, so
no book that deserves trust can be made of it. Recordings of `orderbooksnapshot` are understood; `orderbookdepth`
is recognised and left aside, with that reason.

An old frame:

    {"type":"orderbooksnapshot","content":{"symbol":"BTC_KRW","datetime":"1790133914965948",
     "asks":[["116501000","0.0163"]],"bids":[["116500000","0.1"]]}}

Times are microseconds on the socket and milliseconds over REST. REST errors arrive with HTTP 200.
Sources: apidocs.bithumb.com (current reference; v1.2.0 for the old API).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from hoga.domain.numbers import is_zero
from hoga.domain.types import Level, Update
from hoga.exchanges.base import (
    BookStart,
    Channel,
    Continuity,
    Endpoints,
    Exchange,
    Limits,
    RestKind,
    RestMatch,
    RestRequest,
    Route,
    RouteKind,
)
from hoga.exchanges.decoding import Row, decode, json_string, path_and_query, rows
from hoga.exchanges.times import Time, epoch_time_ns, moment
from hoga.exchanges.units import UNSEEN_HALT, UNTIMED, UnitsHandler, UnitsStrategy

_OLD_BOOK = b'"type":"orderbooksnapshot"'
_OLD_DELTA = b'"type":"orderbookdepth"'
_LEFT_ASIDE = Route(
    RouteKind.OTHER, detail="orderbookdepth has no ids: its deltas join no snapshot exactly, so no book is made of them"
)
TICKERS_PER_CALL = 100
"""200 are allowed; an address of 493 was refused as too long."""


class OldBook(msgspec.Struct, gc=False):
    symbol: str
    datetime: Time
    bids: list[Row] | None
    asks: list[Row] | None


class OldFrame(msgspec.Struct, gc=False):
    content: OldBook


_old = msgspec.json.Decoder(OldFrame)


class BithumbStrategy(UnitsStrategy):
    endpoints = Endpoints(ws="wss://ws-api.bithumb.com", rest="https://api.bithumb.com")
    limits = Limits(
        symbols_per_link=150,  # none documented; 493 markets on one socket have been seen to work
        symbols_per_request=150,
        messages_per_s=1.2,
        connects_per_s=5.0,  # 10 documented; more may block the address for ten minutes
        idle_timeout_s=15.0,
        rest_weight_per_minute=3000,  # 150 a second for each category
    )
    # Bithumb ignores the snake_case spelling; level 1 is the ungrouped book.
    request_options: ClassVar[dict[str, object]] = {"level": 1, "isOnlySnapshot": False, "isOnlyRealtime": False}

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/websocket/v1"

    def route(self, frame: bytes) -> Route:
        head = frame[:96]
        if _OLD_BOOK in head:
            position = frame.find(b'"symbol":"', 0, 256)
            native = json_string(frame, position + 10) if position > 0 else None
            if native:
                return Route(RouteKind.BOOK, (native,))
        if _OLD_DELTA in head:
            return _LEFT_ASIDE
        return super().route(frame)

    def snapshot_request(self, native: str) -> RestRequest:
        return RestRequest(f"/v1/orderbook?markets={native}")

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest("/v1/market/all?isDetails=true")]

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [
            RestRequest("/v1/ticker?markets=" + ",".join(natives[start : start + TICKERS_PER_CALL]))
            for start in range(0, len(natives), TICKERS_PER_CALL)
        ]

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        if path.endswith("/v1/orderbook") and "," not in query.get("markets", ","):
            return RestMatch(RestKind.SNAPSHOT, query["markets"])
        if path.endswith("/v1/market/all"):
            return RestMatch(RestKind.INSTRUMENTS)
        if path.endswith("/v1/ticker"):
            return RestMatch(RestKind.TICKERS)
        return None


class BithumbHandler(UnitsHandler):
    def parse(self, frame: bytes) -> list[Update]:
        if _OLD_BOOK in frame[:96]:
            return [_old_update(decode(_old, frame).content)]
        return super().parse(frame)

    def normalize_symbol(self, native: str) -> str:
        base, separator, quote = native.partition("_")
        return f"{base}-{quote}" if separator else super().normalize_symbol(native)


def _old_update(book: OldBook) -> Update:
    time = moment(epoch_time_ns, book.datetime)
    return Update(
        native_symbol=book.symbol,
        snapshot=True,
        bids=_present(book.bids),
        asks=_present(book.asks),
        exchange_time_ns=time.ns,
        odd_time=time.odd,
    )


def _present(levels: list[Row] | None) -> list[Level]:
    return [level for level in rows(levels) if not is_zero(level[0]) and not is_zero(level[1])]


EXCHANGE = Exchange(
    code="bithumb",
    name="Bithumb",
    korean_name="빗썸",
    strategy=BithumbStrategy(),
    handler=BithumbHandler(),
    channels=(
        Channel(
            name="orderbook",
            continuity=Continuity.TIMESTAMP,
            start=BookStart.WHOLE_FRAME,
            depth=15,
            snapshot_depth=30,
            blind_spots=(
                "no ids: a lost frame cannot be noticed, only replaced by the next one",
                "levels beyond the 15th of a side",
                "sizes are rounded to 4 decimals: smaller levels look empty and are left out",
                UNTIMED,
                UNSEEN_HALT,
            ),
        ),
    ),
    hosts=("ws-api.bithumb.com", "pubwss.bithumb.com", "api.bithumb.com"),
    documentation="https://apidocs.bithumb.com",
)
