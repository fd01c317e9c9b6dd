"""Upbit: the `orderbook` stream, 30 levels a side, the whole book in every frame.

Upbit gives no id and no checksum, so a lost frame cannot be noticed; it can only be outlived by the next one.
Order: replace the book where `timestamp` is not older; equal timestamps keep the later arrival.
Sources: docs.upbit.com reference (websocket guide, orderbook, rate limits).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

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
)
from hoga.exchanges.decoding import path_and_query
from hoga.exchanges.units import UNSEEN_HALT, UNTIMED, UnitsHandler, UnitsStrategy


class UpbitStrategy(UnitsStrategy):
    endpoints = Endpoints(ws="wss://api.upbit.com", rest="https://api.upbit.com")
    limits = Limits(
        symbols_per_link=150,  # none documented; all 855 markets on one socket have been seen to work
        symbols_per_request=150,
        messages_per_s=1.2,  # 5 a second and 100 a minute
        connects_per_s=4.0,  # 5 documented
        idle_timeout_s=15.0,  # it answers our pings; the server itself closes after 60 to 120 s without one
        rest_weight_per_minute=480,  # 10 a second for each group
        rest_min_interval_s=0.125,
    )
    request_options: ClassVar[dict[str, object]] = {"is_only_snapshot": False, "is_only_realtime": False}

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/websocket/v1"

    def snapshot_request(self, native: str) -> RestRequest:
        return RestRequest(f"/v1/orderbook?markets={quote(native)}&count=30")

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest("/v1/market/all?is_details=true")]

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [RestRequest("/v1/ticker/all?quote_currencies=KRW,BTC,USDT")]

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        if path.endswith("/orderbook") and "," not in query.get("markets", ","):
            return RestMatch(RestKind.SNAPSHOT, query["markets"])
        if path.endswith("/market/all"):
            return RestMatch(RestKind.INSTRUMENTS)
        if path.endswith(("/ticker/all", "/ticker")):
            return RestMatch(RestKind.TICKERS)
        return None


class UpbitHandler(UnitsHandler):
    """As the base has it."""


EXCHANGE = Exchange(
    code="upbit",
    name="Upbit",
    korean_name="업비트",
    strategy=UpbitStrategy(),
    handler=UpbitHandler(),
    channels=(
        Channel(
            name="orderbook",
            continuity=Continuity.TIMESTAMP,
            start=BookStart.WHOLE_FRAME,
            depth=30,
            snapshot_depth=30,
            blind_spots=(
                "no ids: a lost frame cannot be noticed, only replaced by the next one",
                "levels beyond the 30th of a side",
                "busy markets are sampled on a 100 ms grid",
                UNTIMED,
                UNSEEN_HALT,
            ),
        ),
    ),
    hosts=("api.upbit.com",),
    documentation="https://docs.upbit.com/kr/reference",
)
