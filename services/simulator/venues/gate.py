"""Gate spot as the exchange speaks it: `spot.obu` and public REST.

    > {"time":1790000000,"id":7,"channel":"spot.obu","event":"subscribe","payload":["ob.BTC_USDT.400"]}
    < {"time":…,"time_ms":…,"id":7,"conn_id":"…","channel":"spot.obu","event":"subscribe","payload":[…],
       "result":{"status":"success"}}
    < {"channel":"spot.obu","event":"update","time_ms":…,"result":{"t":…,"full":true,"s":"ob.BTC_USDT.400",…}}

1. A subscription brings the whole window, then a delta with each frame of the market: U == previous u + 1.
   A level that falls out of the window is deleted, one that moves in is set; a side without changes is left out.
2. Any name is acknowledged; one that does not exist stays silent. A stream that is held already is refused.
3. A request whose time is far from the server's is refused. The real one allows a minute; here it is a day, for
   simulated clocks are set wrong by an hour and stay so, and nobody could ever subscribe.
4. A connection that neither holds a stream nor says anything is closed after 30 s. `spot.ping` is answered.
5. 200 requests in 10 s for an address; above: 429.
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
    Send,
    SendFirst,
    Session,
    Topic,
    read_json,
)
from services.simulator.venues.numbers import plain
from services.simulator.venues.throttle import Budget

DEPTHS = ("400", "50")
_JSON = {"Content-Type": "application/json"}
_CLOCK_S = 86_400
_SILENCE_S = 30.0
_MOST_LEVELS = 100
_WORDS = {Phase.TRADING: "tradable", Phase.HALTED: "untradable"}


def native_id(base: str, quote: str, delivery: str = "") -> str:
    return f"{base}_{quote}"


class GateSpotEmulator(Emulator):
    code = "gate_spot"
    words = _WORDS
    catalogue = Catalogue(style="spot", quote="USDT", native=native_id, share=0.08, crosses=("BTC",))

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market)
        self.limit = 200
        self._budgets: dict[str, Budget] = {}
        self._links = 0

    def open(self, call: Call) -> Session | Answer:
        if call.path != "/ws/v4/":
            return Answer(404, b"")
        self._links += 1
        return GateSession(self.market, f"sim{self._links:012d}", call.now)

    def unlimited(self) -> None:
        self.limit = 1 << 40
        self._budgets.clear()

    def window(self, topic: Topic) -> int:
        return int(topic.form)

    def wants_book(self, topic: Topic) -> int:
        return 0

    def first(self, topic: Topic) -> bytes | None:
        listing = self.market.listing(topic.native)
        return None if listing is None else self._whole(topic, listing, self.market.book(topic.native))

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        if change is None:
            return b""
        ids = f'"U":{change.prev_seq + 1},"u":{change.last_seq}'
        return _frame(topic, change.time_ms, ids, _sides(listing, change.bids[::-1], change.asks))

    def renumbered(self, topic: Topic, listing: Listing, change: Change, book: BookView) -> bytes | None:
        return self._whole(topic, listing, book)

    def _whole(self, topic: Topic, listing: Listing, book: BookView) -> bytes:
        depth = int(topic.form)
        sides = _sides(listing, book.bids[:depth], book.asks[:depth])
        return _frame(topic, book.time_ms, f'"u":{book.seq}', sides, full=True)

    # REST

    def rest(self, call: Call) -> Answer:
        budget = self._budgets.setdefault(call.client, Budget(self.limit, 10.0, patience=1 << 40))
        if budget.spend(1, call.now.mono_ns / 1e9).status != 200:
            return _failure(429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded")
        match call.path.removeprefix("/api/v4/spot/"):
            case "currency_pairs":
                return _body([self._pair(listing) for listing in self.market.listings()])
            case "tickers":
                return _body([self._ticker(listing) for listing in self.market.listings()])
            case "order_book":
                return self._book(call)
        return _failure(404, "NOT_FOUND", "no such endpoint")

    def _book(self, call: Call) -> Answer:
        listing = self.market.listing(call.query.get("currency_pair", ""))
        if listing is None:
            return _failure(400, "INVALID_CURRENCY_PAIR", "Invalid currency pair")
        text = call.query.get("limit", "10")
        depth = min(int(text), _MOST_LEVELS) if text.isascii() and text.isdigit() and len(text) < 7 else 10
        book = self.market.book(listing.native)
        sides = {"asks": _levels(listing, book.asks[:depth]), "bids": _levels(listing, book.bids[:depth])}
        head = {"id": book.seq} if call.query.get("with_id") == "true" else {}
        return _body(head | {"current": call.now.wall_ns // 10**6, "update": book.time_ms} | sides)

    def _pair(self, listing: Listing) -> dict[str, Any]:
        return {
            "id": listing.native,
            "base": listing.base,
            "quote": listing.quote,
            "fee": "0.2",
            "min_quote_amount": "1",
            "amount_precision": _places(listing.size_step, listing.size_decimals),
            "precision": _places(listing.tick, listing.price_decimals),
            "trade_status": _WORDS.get(self.market.phase(listing.native), "untradable"),
            "sell_start": 0,
            "buy_start": 0,
        }

    def _ticker(self, listing: Listing) -> dict[str, Any]:
        day = self.market.day(listing.native)
        return {
            "currency_pair": listing.native,
            "last": plain(day.last, listing.price_decimals),
            "base_volume": plain(day.volume, listing.size_decimals),
            "quote_volume": plain(day.turnover, 8),
            "high_24h": plain(day.high, listing.price_decimals),
            "low_24h": plain(day.low, listing.price_decimals),
        }


class GateSession(Session):
    """One link: the streams it holds, also those that stay silent."""

    def __init__(self, market: MarketPort, conn_id: str, now: Stamp) -> None:
        self._market, self._conn_id = market, conn_id
        self._held: dict[str, Topic | None] = {}
        self._heard = now.mono_ns

    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        self._heard = now.mono_ns
        try:
            asked = read_json(data)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return [self._say({}, now, error=(1, "invalid argument: no JSON object"))]
        if asked.get("channel") == "spot.ping":
            return [self._say({"channel": "spot.pong", "event": ""}, now)]
        echo = {key: asked[key] for key in ("id", "channel", "event", "payload") if key in asked}
        time_s, names = asked.get("time"), asked.get("payload")
        if type(time_s) is not int or abs(now.wall_ns // 10**9 - time_s) > _CLOCK_S:
            return [self._say(echo, now, error=(1, "invalid argument: time is too far from ours"))]
        if asked.get("channel") != "spot.obu" or asked.get("event") not in ("subscribe", "unsubscribe"):
            return [self._say(echo, now, error=(2, "unknown channel or event"))]
        if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
            return [self._say(echo, now, error=(2, "invalid argument: payload"))]
        return self._change(asked["event"] == "subscribe", names, echo, now)

    def ping(self, data: bytes, now: Stamp) -> list[Action]:
        self._heard = now.mono_ns
        return []

    def tick(self, now: Stamp) -> list[Action]:
        idle = not self._held and now.mono_ns - self._heard > _SILENCE_S * 1e9
        return [Close(1006, "idle")] if idle else []

    def _change(self, subscribes: bool, names: list[str], echo: dict[str, Any], now: Stamp) -> list[Action]:
        twice = [name for name in names if name in self._held] if subscribes else []
        if twice:
            return [self._say(echo, now, error=(2, f"Alert sub {twice[0]}"))]
        new = {name: self._topic(name) for name in names} if subscribes else {}
        self._held = {name: topic for name, topic in self._held.items() if name not in names} | new
        self.topics = frozenset(topic for topic in self._held.values() if topic is not None)
        first = [SendFirst(topic) for topic in new.values() if topic is not None]
        return [self._say(echo, now), *first]

    def _topic(self, name: str) -> Topic | None:
        native, _, depth = name.removeprefix("ob.").rpartition(".")
        known = name.startswith("ob.") and depth in DEPTHS and self._market.listing(native) is not None
        return Topic(native, depth) if known else None

    def _say(self, echo: dict[str, Any], now: Stamp, error: tuple[int, str] | None = None) -> Send:
        times = {"time": now.wall_ns // 10**9, "time_ms": now.wall_ns // 10**6, "conn_id": self._conn_id}
        outcome: dict[str, Any] = {"result": None if echo.get("channel") == "spot.pong" else {"status": "success"}}
        if error is not None:
            outcome = {"error": {"code": error[0], "message": error[1]}, "result": {"status": "fail"}}
        return Send(json.dumps(times | echo | outcome, separators=(",", ":"), ensure_ascii=False))


def _frame(topic: Topic, time_ms: int, ids: str, sides: str, *, full: bool = False) -> bytes:
    head = f'"t":{time_ms},' + ('"full":true,' if full else "")
    result = f'{{{head}"s":"ob.{topic.native}.{topic.form}",{ids}{sides}}}'
    return f'{{"channel":"spot.obu","event":"update","time_ms":{time_ms + 3},"result":{result}}}'.encode()


def _sides(listing: Listing, bids: list[IntLevel], asks: list[IntLevel]) -> str:
    """`,"b":[["61837.6","3.78"]]`; a side of nothing is left out."""
    written = (("b", _levels(listing, bids)), ("a", _levels(listing, asks)))
    return "".join(f',"{name}":{json.dumps(levels, separators=(",", ":"))}' for name, levels in written if levels)


def _levels(listing: Listing, levels: list[IntLevel]) -> list[list[str]]:
    return [[plain(p, listing.price_decimals), plain(s, listing.size_decimals) if s else "0"] for p, s in levels]


def _places(step: int, decimals: int) -> int:
    """Decimal places of a step that is a power of ten."""
    return decimals - (len(str(step)) - 1)


def _body(found: Any) -> Answer:
    return Answer(200, json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode(), _JSON)


def _failure(status: int, label: str, message: str) -> Answer:
    return Answer(status, json.dumps({"label": label, "message": message}).encode(), _JSON)
