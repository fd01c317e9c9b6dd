"""Kraken as the exchange speaks it: websocket v2 (REST is in `kraken_rest`).

    < {"channel":"status","type":"update","data":[{"system":"online","api_version":"v2",…}]}
    > {"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":100,"snapshot":true},"req_id":1}
    < {"method":"subscribe","req_id":1,"result":{"channel":"book","depth":100,"snapshot":true,"symbol":"BTC/USD"},
       "success":true,"time_in":"…","time_out":"…"}
    < {"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":78871.5,"qty":0.01266503}],…,
       "checksum":1406471562,"timestamp":"2026-08-24T22:21:57.110183Z"}]}

1. Every symbol of a request is answered by itself. Wordings other than "Currency pair not supported" and
   "Subscription depth not supported" are not confirmed.
2. Numbers are JSON numbers with the fixed decimals of the pair, trailing zeros included; the checksum is over them.
3. An update holds the difference of the best `depth` levels, but no delete for what fell out of them; what is left may
   be nothing, then nothing is sent. A client that cuts to `depth` after each update has exactly the best `depth`.
4. With a subscription, a heartbeat follows each second in which nothing else was sent.
5. A phase of the whole exchange is told to every link when it opens, and when it changes.
6. Without a subscription, a minute in which the client says nothing ends the link.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar
from zlib import crc32

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp
from services.simulator.venues import kraken_rest
from services.simulator.venues.base import (
    Action,
    Answer,
    BookView,
    Call,
    Catalogue,
    Change,
    Close,
    Emulator,
    IntLevel,
    Listing,
    MarketPort,
    Send,
    SendFirst,
    Session,
    Topic,
    read_json,
)
from services.simulator.venues.numbers import fixed
from services.simulator.venues.throttle import Meter, meter

DEPTHS = (10, 25, 100, 500, 1000)
SUMMED = 10
"""Levels a side that the checksum covers."""
HEARTBEAT = '{"channel":"heartbeat"}'


@dataclass(slots=True)
class Rules:
    """Every limit a test may want to shorten."""

    heartbeat_s: float = 1.0
    inactive_s: float = 60.0
    messages_per_s: int = 20
    connects: int = 150
    connects_window_s: float = 600.0


class KrakenEmulator(Emulator):
    code = "kraken"
    words = kraken_rest.WORDS
    catalogue: ClassVar[Catalogue] = Catalogue(
        style="spot",
        quote="USD",
        native=lambda base, quote, delivery: f"{base}/{quote}",
        share=0.04,
        crosses=("BTC", "EUR"),
        size_decimals=8,
    )
    per_link: ClassVar[bool] = True
    """Not that frames differ: a link must know when one went out (rule 4)."""

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market)
        self.rules = Rules()
        self.web = kraken_rest.KrakenRest(market)
        self._connects: dict[str, Meter] = {}
        self._limited = True
        self._connection = seed + 1

    def open(self, call: Call) -> Session | Answer:
        if call.path != "/v2":
            return Answer(404, b"")
        allowed = meter(self.rules.connects, self.rules.connects_window_s)
        known = self._connects.setdefault(call.client, allowed)
        if self._limited and not known.hit(call.now.mono_ns / 1e9):
            return Answer(429, b"", {"Retry-After": str(int(self.rules.connects_window_s))})
        self._connection += 1
        return KrakenSession(self.market, self.rules, self._connection, call.now, limited=self._limited)

    def rest(self, call: Call) -> Answer:
        return self.web.answer(call)

    def unlimited(self) -> None:
        self._limited = self.web.limited = False

    def wants_book(self, topic: Topic) -> int:
        return int(topic.form)

    def window(self, topic: Topic) -> int:
        return int(topic.form)

    def first(self, topic: Topic) -> bytes | None:
        listing = self.market.listing(topic.native)
        if listing is None:
            return None
        book = self.market.book(topic.native)
        return _message("snapshot", listing, book, book.bids[: int(topic.form)], book.asks[: int(topic.form)])

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        if change is None or book is None:
            return b""
        depth = int(topic.form)
        worst_bid = book.bids[depth - 1][0] if len(book.bids) >= depth else 0
        worst_ask = book.asks[depth - 1][0] if len(book.asks) >= depth else None
        bids = [(price, size) for price, size in reversed(change.bids) if price >= worst_bid]
        asks = [(price, size) for price, size in change.asks if worst_ask is None or price <= worst_ask]
        return _message("update", listing, book, bids, asks) if bids or asks else b""


class KrakenSession(Session):
    """One link: its subscriptions, its heartbeat and its silence."""

    def __init__(self, market: MarketPort, rules: Rules, number: int, now: Stamp, *, limited: bool = True) -> None:
        self.market, self.rules, self._limited = market, rules, limited
        self._heard = self._sent = now.mono_ns
        self._fresh = False
        """Something was sent since the last tick."""
        self._number = number
        self._system = ""
        """As last told."""
        self._meter = meter(rules.messages_per_s, 1.0)

    def stamp(self, payload: bytes) -> bytes:
        self._fresh = True
        return payload

    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        self._heard, self._sent = now.mono_ns, now.mono_ns
        if self._limited and not self._meter.hit(now.mono_ns / 1e9):
            return self._greet([_say({"Error": "Exceeded msg rate"})])
        try:
            request = read_json(data)
        except ValueError:
            request = None
        return self._greet(
            self._obey(request, now) if isinstance(request, dict) else [_refuse({}, "Malformed request")]
        )

    def ping(self, data: bytes, now: Stamp) -> list[Action]:
        self._heard = now.mono_ns
        return []

    def tick(self, now: Stamp) -> list[Action]:
        actions = self._greet([])
        if actions or self._fresh:
            self._sent, self._fresh = now.mono_ns, False
        if self.topics and now.mono_ns - self._sent >= self.rules.heartbeat_s * 1e9:
            self._sent = now.mono_ns
            actions.append(Send(HEARTBEAT))
        if not self.topics and now.mono_ns - self._heard >= self.rules.inactive_s * 1e9:
            actions.append(Close(1000, "inactive"))
        return actions

    def _greet(self, actions: list[Action]) -> list[Action]:
        """What the exchange as a whole does goes before everything else, where that is news."""
        system = kraken_rest.WORDS[Phase.MAINTENANCE if self.market.maintained else Phase.TRADING]
        if system == self._system:
            return actions
        self._system = system
        return [_say(_status(self._number, system)), *actions]

    def _obey(self, request: dict[str, Any], now: Stamp) -> list[Action]:
        method = request.get("method")
        echo = {"req_id": request["req_id"]} if isinstance(request.get("req_id"), int) else {}
        if "req_id" in request and not echo:
            return [_refuse({}, "Malformed request")]
        times = {"time_in": rfc3339(now.wall_ns // 1000), "time_out": rfc3339(now.wall_ns // 1000 + 40)}
        if method == "ping":
            return [_say({"method": "pong", **echo, **times})]
        params = request.get("params")
        if method not in ("subscribe", "unsubscribe") or not isinstance(params, dict):
            return [_refuse({**echo, **times}, "Method(s) not found" if method else "Malformed request")]
        frame = {"method": method, **echo, **times}
        symbols, depth = params.get("symbol"), params.get("depth", 10)
        if params.get("channel") != "book":
            return [_refuse(frame, "Channel not supported")]
        if not isinstance(symbols, list) or not symbols or not all(isinstance(symbol, str) for symbol in symbols):
            return [_refuse(frame, "Symbol(s) not found")]
        if depth not in DEPTHS or isinstance(depth, bool):
            return [_refuse({**frame, "symbol": symbol}, "Subscription depth not supported") for symbol in symbols]
        change = self._subscribe if method == "subscribe" else self._unsubscribe
        whole = params.get("snapshot", True) is not False
        return [action for symbol in symbols for action in change(symbol, depth, whole, frame)]

    def _subscribe(self, symbol: str, depth: int, whole: bool, frame: dict[str, Any]) -> list[Action]:
        if self.market.listing(symbol) is None:
            return [_refuse({**frame, "symbol": symbol}, f"Currency pair not supported {symbol}")]
        if any(topic.native == symbol for topic in self.topics):
            return [_refuse({**frame, "symbol": symbol}, "Already subscribed")]
        topic = Topic(symbol, str(depth))
        self.topics = self.topics | {topic}
        result = {"channel": "book", "depth": depth, "snapshot": whole, "symbol": symbol}
        ack: list[Action] = [_say({**frame, "result": result, "success": True})]
        return [*ack, SendFirst(topic)] if whole else ack

    def _unsubscribe(self, symbol: str, depth: int, whole: bool, frame: dict[str, Any]) -> list[Action]:
        topic = Topic(symbol, str(depth))
        if topic not in self.topics:
            return [_refuse({**frame, "symbol": symbol}, "Subscription Not Found")]
        self.topics = self.topics - {topic}
        result = {"channel": "book", "depth": depth, "symbol": symbol}
        return [_say({**frame, "result": result, "success": True})]


def rfc3339(epoch_us: int) -> str:
    """ "2026-08-24T22:21:57.110183Z" of microseconds since the epoch."""
    return f"{_second(epoch_us // 1_000_000)}.{epoch_us % 1_000_000:06d}Z"


def crc(bids: Sequence[IntLevel], asks: Sequence[IntLevel]) -> int:
    """The checksum over the ten best levels of both sides. A mantissa printed with its fixed decimals and stripped of
    the point and the leading zeros is the mantissa itself."""
    levels = (*asks[:SUMMED], *bids[:SUMMED])
    return crc32("".join([f"{price}{size}" for price, size in levels]).encode())


def _message(kind: str, listing: Listing, book: BookView, bids: Sequence[IntLevel], asks: Sequence[IntLevel]) -> bytes:
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":{_quoted(listing.native)},'
        f'"bids":[{_levels(listing, bids)}],"asks":[{_levels(listing, asks)}],'
        f'"checksum":{crc(book.bids, book.asks)},"timestamp":"{rfc3339(book.time_ms * 1000)}"}}]}}'
    ).encode()


def _levels(listing: Listing, rows: Sequence[IntLevel]) -> str:
    """`{"price":78871.5,"qty":0.01266503},…`"""
    prices, sizes = listing.price_decimals, listing.size_decimals
    return ",".join([f'{{"price":{fixed(price, prices)},"qty":{fixed(size, sizes)}}}' for price, size in rows])


def _status(number: int, system: str) -> dict[str, Any]:
    data = {"version": "2.0.10", "system": system, "api_version": "v2", "connection_id": 10**19 + number}
    return {"channel": "status", "type": "update", "data": [data]}


def _refuse(frame: dict[str, Any], error: str) -> Send:
    return _say({"error": error, **frame, "success": False})


def _say(message: dict[str, Any]) -> Send:
    return Send(json.dumps(message, separators=(",", ":"), ensure_ascii=False))


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
