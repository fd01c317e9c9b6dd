"""Bybit spot and linear contracts as the exchange speaks them: the websocket side (REST is in `bybit_rest`).

    > {"req_id":"7","op":"subscribe","args":["orderbook.200.BTCUSDT"]}
    < {"success":true,"ret_msg":"","conn_id":"…","req_id":"7","op":"subscribe"}
    < {"topic":"orderbook.200.BTCUSDT","type":"snapshot","ts":…,"data":{"s":"BTCUSDT","b":[…],"a":[…],…},"cts":…}

1. A subscription brings the present book, then a delta with each frame of the market: u == previous u + 1. A level
   that falls out of the topic's depth is deleted, one that moves in is set. `orderbook.1` is a snapshot each time.
2. One topic that is unknown, or that the link already has, refuses the whole request; nothing of it takes effect.
   Topics of other data are accepted and stay silent here.
3. Contracts send the book before the acknowledgement, spot after it; spot takes 10 topics in a request.
4. After a restart of the service the book comes as a snapshot with u == 1.
5. The client pings; ten minutes after its last word the link is cut without a close frame.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

from hoga.domain.types import Stamp
from services.simulator.venues import bybit_rest
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
    Send,
    SendFirst,
    Session,
    Topic,
    read_json,
)
from services.simulator.venues.bybit_rest import cross_sequence, side
from services.simulator.venues.throttle import Meter, meter

DEPTHS = (1, 50, 200, 1000)
_SILENT = ("publicTrade", "tickers", "kline", "allLiquidation", "priceLimit")
"""Topics of data that this market does not invent."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_UNLIMITED = 1 << 40


@dataclass(slots=True)
class Rules:
    """What the two markets do differently, and every limit a test may want to shorten."""

    category: str
    args: int
    """Topics of one request."""
    ack_word: bool
    """Whether an acknowledgement repeats the request's word."""
    book_first: bool
    characters: int = 21_000
    """All topics of a link."""
    idle_s: float = 600.0
    connects: int = 500
    connects_window_s: float = 300.0


def dated_native(base: str, quote: str, delivery: str) -> str:
    """("BTC", "USDT", "251226") -> "BTCUSDT-26DEC25"."""
    if not delivery:
        return base + quote
    return f"{base}{quote}-{delivery[4:]}{_MONTHS[int(delivery[2:4]) - 1]}{delivery[:2]}"


class BybitEmulator(Emulator):
    """Both markets; a subclass names one."""

    ids: ClassVar[IdStyle] = IdStyle.FRAME

    def __init__(self, market: MarketPort, rules: Rules) -> None:
        super().__init__(market)
        self.rules = rules
        self.web = bybit_rest.BybitRest(market, rules.category)
        self._connects: dict[str, Meter] = {}
        self._numbers = count(1)

    def open(self, call: Call) -> Session | Answer:
        if call.path != f"/v5/public/{self.rules.category}":
            return Answer(404, b"404 page not found")
        connects = self._connects.get(call.client)
        if connects is None:
            connects = self._connects[call.client] = meter(self.rules.connects, self.rules.connects_window_s)
        if not connects.hit(call.now.mono_ns / 1e9):
            return Answer(403, b"access too frequent")
        return BybitSession(self, f"sim{next(self._numbers):017d}-{self.rules.category}", call.now)

    def unlimited(self) -> None:
        self.rules.connects = self.web.limit = _UNLIMITED
        self._connects.clear()
        self.web.budgets.clear()

    def rest(self, call: Call) -> Answer:
        return self.web.answer(call)

    def window(self, topic: Topic) -> int:
        return 0 if topic.form == "1" else int(topic.form)

    def wants_book(self, topic: Topic) -> int:
        return 1 if topic.form == "1" else 0

    def first(self, topic: Topic) -> bytes | None:
        listing = self.market.listing(topic.native)
        return None if listing is None else self._snapshot(topic, listing, self.market.book(topic.native))

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        if topic.form == "1":
            return b"" if book is None else self._snapshot(topic, listing, book)
        if change is None:
            return b""
        return self._frame(topic, listing, "delta", change.last_seq, change.time_ms, change.bids[::-1], change.asks)

    def renumbered(self, topic: Topic, listing: Listing, change: Change, book: BookView) -> bytes | None:
        return self._snapshot(topic, listing, book)

    def keep_alive(self, topic: Topic, listing: Listing, seq: int, time_ms: int) -> bytes | None:
        """The best prices of a contract are repeated every 3 s, under the same u."""
        if topic.form != "1" or self.rules.category == "spot":
            return None
        book = self.market.book(topic.native)
        return self._snapshot(topic, listing, BookView(seq, time_ms, book.bids, book.asks))

    def _snapshot(self, topic: Topic, listing: Listing, book: BookView) -> bytes:
        depth = int(topic.form)
        return self._frame(topic, listing, "snapshot", book.seq, book.time_ms, book.bids[:depth], book.asks[:depth])

    def _frame(
        self, topic: Topic, listing: Listing, kind: str, u: int, cts: int, bids: list[IntLevel], asks: list[IntLevel]
    ) -> bytes:
        spot = self.rules.category == "spot"
        ts, word = f'"ts":{cts + 2 + u % 5}', f'"type":"{kind}"'
        head = f"{ts},{word}" if spot else f"{word},{ts}"
        levels = f'"b":[{side(listing, bids, spot)}],"a":[{side(listing, asks, spot)}]'
        ids = f'"u":{u},"seq":{cross_sequence(cts)}'
        text = (
            f'{{"topic":"orderbook.{topic.form}.{topic.native}",{head},"data":{{"s":"{topic.native}",{levels},{ids}}},'
            f'"cts":{cts}}}'
        )
        return text.encode()


class BybitSpotEmulator(BybitEmulator):
    code = "bybit_spot"
    catalogue = Catalogue(style="spot", quote="USDT", native=dated_native, share=0.2, crosses=("BTC",))

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market, Rules("spot", args=10, ack_word=True, book_first=False))


class BybitFutureEmulator(BybitEmulator):
    code = "bybit_future"
    words = bybit_rest.FUTURE_WORDS
    catalogue = Catalogue(style="derivatives", quote="USDT", native=dated_native, share=0.4, dated=True)

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market, Rules("linear", args=_UNLIMITED, ack_word=False, book_first=True))


class RefusedError(Exception):
    """A request the exchange refuses; the text is its `ret_msg`."""


class BybitSession(Session):
    """One link: the topics it holds, by name, and when it last spoke."""

    def __init__(self, emulator: BybitEmulator, conn_id: str, now: Stamp) -> None:
        self.emulator, self.rules, self.conn_id = emulator, emulator.rules, conn_id
        self._held: dict[str, Topic | None] = {}
        self._heard = now.mono_ns

    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        self._heard = now.mono_ns
        op, req_id = "", ""
        try:
            op, req_id, args = _read(data)
            if op == "ping":
                return [self._say(True, "pong", req_id, op)]
            change = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}.get(op)
            if change is None:
                raise RefusedError("error:invalid op")
            first = change(args)
        except RefusedError as refusal:
            return [self._say(False, str(refusal), req_id, op)]
        self.topics = frozenset(topic for topic in self._held.values() if topic is not None)
        ack = self._say(True, op if self.rules.ack_word else "", req_id, op)
        return [*first, ack] if self.rules.book_first else [ack, *first]

    def ping(self, data: bytes, now: Stamp) -> list[Action]:
        self._heard = now.mono_ns
        return []

    def tick(self, now: Stamp) -> list[Action]:
        return [Close(1006, "idle")] if now.mono_ns - self._heard > self.rules.idle_s * 1e9 else []

    def _subscribe(self, names: list[str]) -> list[Action]:
        if len(names) > self.rules.args:
            raise RefusedError(f"args size >{self.rules.args}")
        new = {name: self._topic(name) for name in names}
        held = next((name for name in names if name in self._held), None)
        if held is not None:
            raise RefusedError(f"error:already subscribed,topic:{held}")
        if sum(map(len, (*self._held, *new))) > self.rules.characters:
            raise RefusedError("error:args too long")
        self._held |= new
        return [SendFirst(topic) for topic in new.values() if topic is not None]

    def _unsubscribe(self, names: list[str]) -> list[Action]:
        for name in names:
            self._held.pop(name, None)
        return []

    def _topic(self, name: str) -> Topic | None:
        """What a name subscribes to: a book, or (None) data that stays silent here."""
        kind, _, rest = name.partition(".")
        depth, _, native = rest.rpartition(".")
        known = kind in _SILENT or (kind == "orderbook" and depth in map(str, DEPTHS))
        if known and self.emulator.market.listing(native) is not None:
            return Topic(native, depth) if kind == "orderbook" else None
        if known and self.rules.category == "spot":
            raise RefusedError(f"Invalid symbol :[{name}]")
        raise RefusedError(f"error:handler not found,topic:{name}")

    def _say(self, success: bool, ret_msg: str, req_id: str, op: str) -> Send:
        message = {"success": success, "ret_msg": ret_msg, "conn_id": self.conn_id, "req_id": req_id, "op": op}
        if not req_id and self.rules.category == "spot":
            del message["req_id"]
        return Send(json.dumps(message, separators=(",", ":"), ensure_ascii=False))


def _read(data: str | bytes) -> tuple[str, str, list[str]]:
    """(op, req_id, args) of a request; all of them text."""
    try:
        request: Any = read_json(data)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise RefusedError("Failed to decode incoming data:readObjectStart: expect { or n")
    op, req_id, args = request.get("op", ""), request.get("req_id", ""), request.get("args", [])
    if not (isinstance(op, str) and isinstance(req_id, str) and isinstance(args, list)):
        raise RefusedError("Failed to decode incoming data:ReadString: expects string")
    if op != "ping" and not all(isinstance(name, str) for name in args):
        raise RefusedError("Failed to decode incoming data:ReadString: expects string")
    if op in ("subscribe", "unsubscribe") and not args:
        raise RefusedError("error:args is empty")
    return op, req_id, args
