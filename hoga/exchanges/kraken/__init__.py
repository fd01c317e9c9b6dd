"""Kraken spot: the websocket v2 `book`, 100 levels a side, proven by a CRC32 over the ten best.

1. One subscribe request names many symbols; each is acknowledged, or refused, by a message of its own with our req_id.
2. A snapshot opens each subscription; there are no ids: a checksum that is wrong is cured by subscribing again.
3. With a subscription a heartbeat comes every second in which nothing else does; a ping is answered at once.
4. About 150 connections in 10 minutes from one address; more are refused for 10 minutes. The limit on messages is not
   documented ("Exceeded msg rate").
What recordings of v1 hold is understood too, under the same native ids; its channels name their depth (`book-1000`).
v2 frames do not: a recording of another depth than ours is known by the size of its snapshot.
Sources: docs.kraken.com (websocket v2, REST market data, rate limits).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote
from zlib import crc32

import msgspec

from hoga.domain.phases import Told
from hoga.domain.types import Instrument, Turnover, Update
from hoga.exchanges.base import (
    ALIVE,
    BookStart,
    Channel,
    Checksum,
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
from hoga.exchanges.decoding import json_string, path_and_query
from hoga.exchanges.kraken import frames, lists, routes
from hoga.exchanges.kraken.names import native_of, native_of_key

DEPTH = 100
_V1_BOOK = re.compile(rb'"book-([1-9][0-9]{0,5})" ?, ?"([A-Z0-9./]+)" ?\]\s*\Z')
_HEARTBEAT = b'{"channel":"heartbeat"}'
_DEFAULT_COUNTS = {"Depth": 100, "GroupedBook": 10}


class KrakenStrategy(ConnectionStrategy):
    endpoints = Endpoints(ws="wss://ws.kraken.com", rest="https://api.kraken.com")
    limits = Limits(
        symbols_per_link=100,
        symbols_per_request=50,
        messages_per_s=2.0,  # rule 4
        connects_per_s=0.2,  # rule 4: 130 in 10 minutes with the burst
        connect_burst=10,
        idle_timeout_s=5.0,  # rule 3
        rest_weight_per_minute=55,  # about one public request a second for an address
        rest_min_interval_s=1.0,
    )

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/v2"

    def probe(self, now_ns: int) -> str | None:
        return '{"method":"ping"}'

    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        return _request("subscribe", {"depth": DEPTH, "snapshot": True}, natives, request_id)

    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        return _request("unsubscribe", {"depth": DEPTH}, natives, request_id)

    def route(self, frame: bytes) -> Route:
        # The usual frame needs no parse: v2 names its one symbol near the start, v1 its channel and pair at the end.
        if frame.startswith(b'{"channel":"book"'):
            position = frame.find(b'"symbol":"', 0, 96)
            native = json_string(frame, position + 10) if position > 0 else None
            if native and frame.find(b'"symbol"', position + 10) < 0:
                return Route(RouteKind.BOOK, (native,))
        elif frame.startswith(b"["):
            match = _V1_BOOK.search(frame, len(frame) - 64)
            if match is not None:
                return Route(RouteKind.BOOK, (native_of(match[2].decode()),))
        elif frame == _HEARTBEAT:
            return ALIVE
        return routes.route_slowly(frame)

    def snapshot_request(self, native: str) -> RestRequest:
        # Not Depth: it rounds volumes to three decimals.
        return RestRequest(f"/0/public/GroupedBook?pair={quote(native, safe='')}&depth={DEPTH}&grouping=1")

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest("/0/public/AssetPairs")]

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [RestRequest("/0/public/Ticker?assetVersion=1")]  # keys are then the native ids

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        name = path.rpartition("/")[2]
        if name in _DEFAULT_COUNTS and "pair" in query:
            if query.get("grouping", "1") != "1":
                return None
            text = query.get("count", query.get("depth", ""))
            count = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
            return RestMatch(RestKind.SNAPSHOT, native_of_key(query["pair"]), count or _DEFAULT_COUNTS[name])
        if name == "AssetPairs":
            return RestMatch(RestKind.INSTRUMENTS)
        if name == "Ticker":
            return RestMatch(RestKind.TICKERS)
        return None

    def rest_error(self, body: bytes) -> str | None:
        return lists.rest_error(body)


def _request(method: str, options: dict[str, object], natives: Sequence[str], request_id: int) -> str:
    if not natives:
        raise ValueError(f"{method} needs at least one symbol")
    params = {"channel": "book", "symbol": list(natives), **options}
    return msgspec.json.encode({"method": method, "params": params, "req_id": request_id}).decode()


class KrakenHandler(DataHandler):
    def parse(self, frame: bytes) -> list[Update]:
        return frames.parse_v1(frame) if frame.lstrip()[:1] == b"[" else frames.parse_v2(frame)

    def parse_phases(self, frame: bytes) -> list[Told]:
        return routes.phases(frame)

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        return lists.parse_snapshot(native, body)

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return lists.parse_instruments(bodies)

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        return lists.parse_tickers(bodies)

    def normalize_symbol(self, native: str) -> str:
        return native_of(native).replace("/", "-")


def _channel(name: str, depth: int) -> Channel:
    return Channel(
        name=name,
        continuity=Continuity.CHECKSUM,
        start=BookStart.IN_BAND,
        depth=depth,
        snapshot_depth=DEPTH,
        blind_spots=(
            "no ids: a lost message is noticed by the checksum, which covers the ten best levels of a side; "
            "deeper ones rest on the order of one connection and on the audit",
            f"levels beyond the {depth}th of a side",
        ),
        checksum=Checksum(levels=10, compute=frames.checksum, of_digits=crc32),
        truncates=True,
    )


EXCHANGE = Exchange(
    code="kraken",
    name="Kraken",
    korean_name="크라켄",
    strategy=KrakenStrategy(),
    handler=KrakenHandler(),
    channels=(_channel("book", DEPTH), *(_channel(f"book-{depth}", depth) for depth in (10, 25, DEPTH, 500, 1000))),
    hosts=("ws.kraken.com", "api.kraken.com"),
    documentation="https://docs.kraken.com",
)
