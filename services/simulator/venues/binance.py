"""Binance spot and USD-M futures as the exchange speaks them: the websocket side (REST is in `binance_rest`).

    > {"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}
    < {"result":null,"id":1}
    < {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":…,"s":"BTCUSDT","U":…,"u":…,"b":[…],"a":[…]}}

1. An unknown stream is acknowledged and stays silent.
2. Spot: U == previous u + 1. Futures: pu == previous u, ids shared by all symbols.
3. Everything a client sends counts (pings and pongs too); one message too many in a second ends the link.
4. The server pings; no pong in time ends the link. A link lives 24 hours at most.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from hoga.domain.types import Stamp
from services.simulator.venues import binance_rest
from services.simulator.venues.base import (
    Action,
    Answer,
    BookView,
    Call,
    Catalogue,
    Change,
    Close,
    Emulator,
    IdStyle,
    IntLevel,
    Listing,
    MarketPort,
    Ping,
    Send,
    Session,
    Topic,
    read_json,
)
from services.simulator.venues.numbers import fixed
from services.simulator.venues.throttle import Meter, meter

_DEPTH = re.compile(r"(?P<symbol>[^@]+)@depth(?P<levels>5|10|20)?(?:@(?P<speed>\d+)ms)?\Z")
UNLIMITED = 10**9
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


@dataclass(slots=True)
class Rules:
    """What the two markets do differently, and every limit a test may want to shorten."""

    futures: bool
    ping_s: float
    pong_s: float
    messages_per_s: int
    streams: int = 1024
    lifetime_s: float = 24 * 3600.0
    notice_s: float = 10.0
    """From `serverShutdown` to the end of the link."""
    connects: int = 300
    connects_window_s: float = 300.0
    slow_ms: int = 1000
    """Interval of `@depth` without a speed."""


def spot_rules() -> Rules:
    return Rules(futures=False, ping_s=20.0, pong_s=60.0, messages_per_s=5)


def future_rules() -> Rules:
    return Rules(futures=True, ping_s=180.0, pong_s=600.0, messages_per_s=10, slow_ms=250)


class Form(NamedTuple):
    """How a topic's frames look: wrapped in the combined envelope or not, in ms or µs, whole top levels or changes."""

    combined: bool
    micro: bool
    levels: int
    stream: str


@lru_cache(maxsize=4096)
def form_of(topic_form: str) -> Form:
    flags, _, stream = topic_form.partition("|")
    match = _DEPTH.match(stream)
    return Form("c" in flags, "u" in flags, int((match and match["levels"]) or 0), stream)


def native_id(base: str, quote: str, delivery: str = "") -> str:
    return f"{base}{quote}_{delivery}" if delivery else f"{base}{quote}"


def renamed(native: str) -> str:
    """BTCUSDT <-> BTCUSDTV2, also before a delivery: exchangeInfo gives base and quote beside the id."""
    market, separator, delivery = native.partition("_")
    other = market.removesuffix("V2") if market.endswith("V2") else f"{market}V2"
    return f"{other}{separator}{delivery}"


class BinanceEmulator(Emulator):
    """What the two markets share; a subclass names one."""

    futures: ClassVar[bool]

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market)
        self.rules = future_rules() if self.futures else spot_rules()
        self.web = binance_rest.BinanceRest(market, futures=self.futures, seed=seed)
        self._connects: dict[str, Meter] = {}

    def open(self, call: Call) -> Session | Answer:
        path = call.path
        if self.rules.futures:
            path = path.removeprefix("/public")
        combined = path == "/stream"
        if not combined and path != "/ws" and not path.startswith("/ws/"):
            return Answer(404, b"")
        if not self._meter(call.client).hit(call.now.mono_ns / 1e9):
            return Answer(429, b"", {"Retry-After": str(int(self.rules.connects_window_s))})
        names = call.query.get("streams", "") if combined else path.removeprefix("/ws").lstrip("/")
        micro = call.query.get("timeUnit", "").upper() == "MICROSECOND" and not self.rules.futures
        return BinanceSession(self.rules, [n for n in names.split("/") if n], combined, micro, call.now)

    def unlimited(self) -> None:
        self.rules.connects = self.rules.messages_per_s = self.web.limit = UNLIMITED

    def rest(self, call: Call) -> Answer:
        return self.web.answer(call)

    def wants_book(self, topic: Topic) -> int:
        return form_of(topic.form).levels

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        form = form_of(topic.form)
        if book is not None and form.levels:
            text = self._partial(listing, book, form)
        elif change is not None:
            text = self._event(listing, change, form.micro)
        else:
            return b""
        return (f'{{"stream":"{form.stream}","data":{text}}}' if form.combined else text).encode()

    def _event(self, listing: Listing, change: Change, micro: bool) -> str:
        ids = f'"s":"{listing.native}","U":{change.first_seq},"u":{change.last_seq}'
        if not self.rules.futures:
            # Spot lists bids from the best down, futures from the lowest up; both as recorded.
            bids, asks = levels(listing, change.bids[::-1]), levels(listing, change.asks)
            unit = "000" if micro else ""
            return f'{{"e":"depthUpdate","E":{change.time_ms}{unit},{ids},"b":[{bids}],"a":[{asks}]}}'
        bids, asks = levels(listing, change.bids), levels(listing, change.asks)
        return (
            f'{{"e":"depthUpdate","E":{change.time_ms + change.last_seq % 5},"T":{change.time_ms},{ids},'
            f'"pu":{change.prev_seq},"b":[{bids}],"a":[{asks}],"ps":"{pair(listing)}","st":1}}'
        )

    def _partial(self, listing: Listing, book: BookView, form: Form) -> str:
        bids, asks = levels(listing, book.bids[: form.levels]), levels(listing, book.asks[: form.levels])
        if not self.rules.futures:
            return f'{{"lastUpdateId":{book.seq},"bids":[{bids}],"asks":[{asks}]}}'
        return (
            f'{{"e":"depthUpdate","E":{book.time_ms},"T":{book.time_ms},"s":"{listing.native}","U":{book.seq},'
            f'"u":{book.seq},"pu":{book.seq},"b":[{bids}],"a":[{asks}]}}'
        )

    def _meter(self, client: str) -> Meter:
        known = self._connects.get(client)
        if known is None:
            known = self._connects[client] = meter(self.rules.connects, self.rules.connects_window_s)
        return known


class BinanceSpotEmulator(BinanceEmulator):
    code = "binance_spot"
    words = binance_rest.SPOT_WORDS
    futures = False
    catalogue = Catalogue(
        style="spot",
        quote="USDT",
        native=native_id,
        share=0.35,
        crosses=("BTC",),
        price_decimals=8,
        size_decimals=8,
        renamed=renamed,
    )


class BinanceFutureEmulator(BinanceEmulator):
    code = "binance_future"
    words = binance_rest.FUTURE_WORDS
    futures = True
    ids = IdStyle.SHARED
    catalogue = Catalogue(style="derivatives", quote="USDT", native=native_id, share=1.0, dated=True, renamed=renamed)


class BinanceSession(Session):
    """One link: its streams in order, its message meter, its ping clock."""

    def __init__(self, rules: Rules, names: list[str], combined: bool, micro: bool, now: Stamp) -> None:
        self.rules, self.combined, self.micro = rules, combined, micro
        self.names: dict[str, None] = dict.fromkeys(names)
        self._meter = meter(rules.messages_per_s, 1.0)
        self._born = self._pinged = now.mono_ns
        self._awaited: bytes | None = None
        self._ends: int | None = None
        self._retopic()

    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        excess = self._count(now)
        if excess:
            return excess
        try:
            request = read_json(data)
        except ValueError as error:
            where = getattr(error, "colno", 1)
            return [_say({"code": 3, "msg": f"Invalid JSON: expected value at line 1 column {where}"})]
        return [_say(self._obey(request))]

    def ping(self, data: bytes, now: Stamp) -> list[Action]:
        return self._count(now)

    def pong(self, data: bytes, now: Stamp) -> list[Action]:
        if data == self._awaited:
            self._awaited = None
        return self._count(now)

    def tick(self, now: Stamp) -> list[Action]:
        if self._ends is not None and now.mono_ns >= self._ends:
            return [Close(1001, "server shutdown")]
        if now.mono_ns - self._born >= self.rules.lifetime_s * 1e9:
            return [Close(1008, "24 hours are over")]
        waited = (now.mono_ns - self._pinged) / 1e9
        if self._awaited is not None and waited >= self.rules.pong_s:
            return [Close(1008, "Pong timeout")]
        if waited < self.rules.ping_s or self._awaited is not None:
            return []
        self._pinged = now.mono_ns
        self._awaited = str(now.wall_ns // 1_000_000).encode()
        return [Ping(self._awaited)]

    def shutdown(self, now: Stamp) -> list[Action]:
        self._ends = now.mono_ns + int(self.rules.notice_s * 1e9)
        event = {"e": "serverShutdown", "E": now.wall_ns // 1_000_000}
        return [_say({"stream": "!serverShutdown", "data": event} if self.combined else event)]

    def _count(self, now: Stamp) -> list[Action]:
        return [] if self._meter.hit(now.mono_ns / 1e9) else [Close(1008, "Too many requests")]

    def _obey(self, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict):
            return {"code": 2, "msg": "Invalid request: expected an object"}
        unknown = next((key for key in request if key not in ("method", "params", "id")), None)
        if unknown is not None:
            return {"code": 0, "msg": f"Unknown property: {unknown}"}
        method, params, number = request.get("method"), request.get("params"), request.get("id")
        if not _is_id(number):
            return {"code": 2, "msg": "Invalid request: request ID must be an integer, a string or null"}
        if method not in _METHODS:
            known = ", ".join(_METHODS)
            return _refuse(2, f"Invalid request: unknown variant `{method}`, expected one of {known}", number)
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(self.names), "id": number}
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(method, params, number)
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            return _refuse(1, "Invalid value type: expected array of strings", number)
        return self._change(method, params, number)

    def _change(self, method: str, params: list[str], number: Any) -> dict[str, Any]:
        names = dict(self.names)
        for name in params:
            if method == "SUBSCRIBE":
                names[name] = None
            else:
                names.pop(name, None)
        if len(names) > self.rules.streams:
            return _refuse(2, f"Invalid request: too many streams, at most {self.rules.streams}", number)
        self.names = names
        self._retopic()
        return {"result": None, "id": number}

    def _property(self, method: str, params: Any, number: Any) -> dict[str, Any]:
        if not isinstance(params, list) or not params or params[0] != "combined":
            return _refuse(0, "Unknown property", number)
        if method == "GET_PROPERTY":
            return {"result": self.combined, "id": number}
        if len(params) != 2 or not isinstance(params[1], bool):
            return _refuse(1, "Invalid value type: expected Boolean", number)
        self.combined = params[1]
        self._retopic()
        return {"result": None, "id": number}

    def _retopic(self) -> None:
        flags = ("c" if self.combined else "") + ("u" if self.micro else "")
        self.topics = frozenset(topic for name in self.names if (topic := self._topic(flags, name)) is not None)

    def _topic(self, flags: str, name: str) -> Topic | None:
        match = _DEPTH.match(name)
        if match is None or name != name.lower():
            return None  # rule 1: acknowledged and silent
        speed = int(match["speed"] or self.rules.slow_ms)
        return Topic(match["symbol"].upper(), f"{flags}|{name}", speed if speed > 100 else 0)


def levels(listing: Listing, rows: list[IntLevel]) -> str:
    """`["61837.63000000","3.78826000"],…`"""
    price_decimals, size_decimals = listing.price_decimals, listing.size_decimals
    return ",".join([f'["{fixed(price, price_decimals)}","{fixed(size, size_decimals)}"]' for price, size in rows])


def pair(listing: Listing) -> str:
    return listing.native.partition("_")[0]


def _is_id(number: Any) -> bool:
    if isinstance(number, str):
        return len(number) <= 36
    return number is None or (isinstance(number, int) and not isinstance(number, bool))


def _refuse(code: int, text: str, number: Any) -> dict[str, Any]:
    return {"code": code, "msg": text, "id": number}


def _say(message: dict[str, Any]) -> Send:
    return Send(json.dumps(message, separators=(",", ":"), ensure_ascii=False))
