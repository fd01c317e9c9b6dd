"""Korbit as the exchange speaks it: `orderbook` of the public websocket v2, and public REST.

    > [{"requestId":1,"method":"subscribe","type":"orderbook","symbols":["btc_krw"]}]
    < {"status":"success","requestId":1}
    < {"symbol":"btc_krw","timestamp":…,"type":"orderbook","snapshot":true,"data":{"timestamp":…,"asks":[…],"bids":[…]}}

1. Every frame is the whole top 30; only the first says `snapshot`.
2. A request is an array of one or more; anything else is "invalid_format". One symbol that does not exist refuses it.
   Without a requestId success is silent.
3. The server pings every 30 s; no pong for a minute ends the link.
4. 50 REST requests in a second for an address; above: 429 with Retry-After.
"""

from __future__ import annotations

import json
from typing import Any

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp
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
    Ping,
    Send,
    SendFirst,
    Session,
    Topic,
    read_json,
)
from services.simulator.venues.numbers import plain
from services.simulator.venues.throttle import Budget

DEPTH = 30
KRW_BANDS = (
    ("0", "0.0001"), ("1", "0.001"), ("10", "0.01"), ("100", "0.1"), ("1000", "1"), ("10000", "5"), ("100000", "10"),
    ("500000", "50"), ("1000000", "500"), ("10000000", "1000"),
)  # fmt: skip
_PING_S, _PONG_S = 30.0, 60.0
_JSON = {"Content-Type": "application/json"}
_WORDS = {Phase.TRADING: "launched", Phase.HALTED: "stopped"}


def native_id(base: str, quote: str, delivery: str = "") -> str:
    return f"{base}_{quote}".lower()


class KorbitEmulator(Emulator):
    code = "korbit"
    whole_frames = True
    words = _WORDS
    catalogue = Catalogue(
        style="korean", quote="KRW", native=native_id, share=0.004, size_decimals=8, bands={"KRW": KRW_BANDS}
    )

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market)
        self.limit = 50
        self._budgets: dict[str, Budget] = {}

    def open(self, call: Call) -> Session | Answer:
        return KorbitSession(self.market, call.now) if call.path == "/v2/public" else Answer(404, b"")

    def unlimited(self) -> None:
        self.limit = 1 << 40
        self._budgets.clear()

    def wants_book(self, topic: Topic) -> int:
        return DEPTH

    def first(self, topic: Topic) -> bytes | None:
        listing = self.market.listing(topic.native)
        return None if listing is None else _frame(listing, self.market.book(topic.native), first=True)

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        return b"" if book is None else _frame(listing, book, first=False)

    # REST

    def rest(self, call: Call) -> Answer:
        budget = self._budgets.setdefault(call.client, Budget(self.limit, 1.0, patience=1 << 40))
        if budget.spend(1, call.now.mono_ns / 1e9).status != 200:
            return Answer(429, _failure(429, "TOO_MANY_REQUESTS"), {**_JSON, "Retry-After": "1"})
        match call.path:
            case "/v2/currencyPairs":
                return _body([self._pair(listing) for listing in self.market.listings()])
            case "/v2/tickers":
                return _body([self._ticker(listing) for listing in self.market.listings()])
            case "/v2/orderbook":
                listing = self.market.listing(call.query.get("symbol", ""))
                if listing is None:
                    return Answer(400, _failure(400, "INVALID_CURRENCY_PAIR"), _JSON)
                return _body(_sides(listing, self.market.book(listing.native)))
        return Answer(404, _failure(404, "NOT_FOUND"), _JSON)

    def _pair(self, listing: Listing) -> dict[str, str]:
        status = _WORDS.get(self.market.phase(listing.native), "stopped")
        base, quote = listing.base.lower(), listing.quote.lower()
        return {"symbol": listing.native, "status": status, "baseCurrency": base, "quoteCurrency": quote}

    def _ticker(self, listing: Listing) -> dict[str, str]:
        day = self.market.day(listing.native)
        return {
            "symbol": listing.native,
            "close": plain(day.last, listing.price_decimals),
            "volume": plain(day.volume, listing.size_decimals),
            "quoteVolume": plain(day.turnover, 8),
        }


class KorbitSession(Session):
    def __init__(self, market: MarketPort, now: Stamp) -> None:
        self._market = market
        self._pinged = self._ponged = now.mono_ns

    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        try:
            requests = read_json(data)
        except ValueError:
            requests = None
        if not isinstance(requests, list) or not requests or not all(isinstance(one, dict) for one in requests):
            return [_say({"status": "fail", "message": "invalid_format"})]
        return [action for request in requests for action in self._obey(request)]

    def pong(self, data: bytes, now: Stamp) -> list[Action]:
        self._ponged = now.mono_ns
        return []

    def tick(self, now: Stamp) -> list[Action]:
        if now.mono_ns - self._ponged > (_PING_S + _PONG_S) * 1e9:
            return [Close(1006, "no pong")]
        if now.mono_ns - self._pinged < _PING_S * 1e9:
            return []
        self._pinged = now.mono_ns
        return [Ping(b"")]

    def _obey(self, request: dict[str, Any]) -> list[Action]:
        echo = {"requestId": request["requestId"]} if isinstance(request.get("requestId"), int) else {}
        names = request.get("symbols")
        if request.get("type") != "orderbook" or request.get("method") not in ("subscribe", "unsubscribe"):
            return [_say({"status": "fail", "code": "INVALID_REQUEST", "message": "unknown method or type"} | echo)]
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            return [_say({"status": "fail", "code": "INVALID_SYMBOL", "message": "symbols is empty"} | echo)]
        unknown = next((name for name in names if self._market.listing(name) is None), None)
        subscribes = request["method"] == "subscribe"
        if unknown is not None and subscribes:
            text = f"The symbol does not exist ({unknown})"
            return [_say({"status": "fail", "code": "INVALID_SYMBOL", "message": text} | echo)]
        topics = frozenset(Topic(name, "book") for name in names)
        self.topics = self.topics | topics if subscribes else self.topics - topics
        first = [SendFirst(topic) for topic in sorted(topics)] if subscribes else []
        return [*([_say({"status": "success"} | echo)] if echo else []), *first]


def _frame(listing: Listing, book: BookView, *, first: bool) -> bytes:
    head = {"symbol": listing.native, "timestamp": book.time_ms + 7, "type": "orderbook"}
    return _json(head | ({"snapshot": True} if first else {}) | {"data": _sides(listing, book)})


def _sides(listing: Listing, book: BookView) -> dict[str, Any]:
    asks, bids = _levels(listing, book.asks[:DEPTH]), _levels(listing, book.bids[:DEPTH])
    return {"timestamp": book.time_ms, "asks": asks, "bids": bids}


def _levels(listing: Listing, levels: list[IntLevel]) -> list[dict[str, str]]:
    price_decimals, size_decimals = listing.price_decimals, listing.size_decimals
    return [{"price": plain(price, price_decimals), "qty": plain(size, size_decimals)} for price, size in levels]


def _body(found: Any) -> Answer:
    return Answer(200, _json({"success": True, "data": found}), _JSON)


def _failure(code: int, message: str) -> bytes:
    return _json({"success": False, "error": {"code": code, "message": message}})


def _say(message: dict[str, Any]) -> Send:
    return Send(_json(message).decode())


def _json(found: Any) -> bytes:
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
