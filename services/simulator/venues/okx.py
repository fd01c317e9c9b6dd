"""OKX as the exchange speaks it: the websocket side (REST is in `okx_rest`).

    > {"id":"1","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}
    < {"id":"1","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}
    < {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[["8476.98","415","0","13"]],
       "bids":[…],"ts":"1597026383085","checksum":0,"seqId":123456,"prevSeqId":-1}]}

1. Every arg of a request is answered by itself: an ack, then its first frame, or an error that names it.
2. `books` keeps 400 levels: a snapshot, then differences. prevSeqId is the id of the topic's last frame, ids jump.
   `books5` and `bbo-tbt` send whole books.
3. The text ping is answered by pong. A link on which nobody has said anything for 30 s is closed (4004).
4. 480 subscribe and unsubscribe requests an hour for each connection, of at most 64 KB; 3 connections a second.
5. `instruments` of one type tells what has changed of them, `status` the maintenance of all trading.
6. A service upgrade is announced (notice 64008) a minute before the link is closed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

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
    IdStyle,
    Listing,
    MarketPort,
    Send,
    SendFirst,
    Session,
    Topic,
    read_json,
)
from services.simulator.venues.okx_rest import TYPES, WORDS, OkxRest, row, sides
from services.simulator.venues.throttle import Meter, meter

DEPTH = 400
_WHOLE = {"books5": 5, "bbo-tbt": 1}
_FOR_MEMBERS = ("books-l2-tbt", "books50-l2-tbt")
_QUIET = ("tickers", "trades")
"""Acknowledged and not simulated."""
_MAINTENANCE_MS = 3_600_000
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")


@dataclass(slots=True)
class Rules:
    """Every limit a test may want to change."""

    idle_s: float = 30.0
    notice_s: float = 60.0
    requests: int = 480
    requests_window_s: float = 3600.0
    request_bytes: int = 64 << 10
    connects_per_s: int = 3


class OkxEmulator(Emulator):
    ids = IdStyle.CHANGE
    words = WORDS

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market)
        self.rules = Rules()
        self.web = OkxRest(market, seed=seed)
        self._dice = Random(f"{seed}:okx")
        self._connects: dict[str, Meter] = {}

    def open(self, call: Call) -> Session | Answer:
        if call.path != "/ws/v5/public":
            return Answer(404, b"")
        connects = self._connects.setdefault(call.client, meter(self.rules.connects_per_s, 1.0))
        if not connects.hit(call.now.mono_ns / 1e9):
            return Answer(429, b"")
        return OkxSession(self.rules, self.market, f"{self._dice.getrandbits(32):08x}", call.now)

    def unlimited(self) -> None:
        self.rules.connects_per_s = self.rules.requests = self.web.limit = 10**9

    def rest(self, call: Call) -> Answer:
        return self.web.answer(call)

    def window(self, topic: Topic) -> int:
        return DEPTH if topic.form == "books" else 0

    def wants_book(self, topic: Topic) -> int:
        return _WHOLE.get(topic.form, 0)

    def first(self, topic: Topic) -> bytes | None:
        listing = self.market.listing(topic.native)
        if listing is None or topic.form in _QUIET:
            return None
        book = self.market.book(topic.native)
        if topic.form in _WHOLE:
            return _whole(topic, listing, book)
        ids = f'"checksum":0,"seqId":{book.seq},"prevSeqId":-1'
        return _frame(
            topic, "snapshot", f'{sides(listing, book.bids[:DEPTH], book.asks[:DEPTH])},"ts":"{book.time_ms}",{ids}'
        )

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        if topic.form in _WHOLE:
            return _whole(topic, listing, book) if book is not None else b""
        if change is None or topic.form in _QUIET or not (change.bids or change.asks):
            return b""  # nothing of the window has changed: no frame, and the next one builds on the last
        return _update(topic, listing, change)

    def renumbered(self, topic: Topic, listing: Listing, change: Change, book: BookView) -> bytes | None:
        return _update(topic, listing, change) if topic.form == "books" else None

    def keep_alive(self, topic: Topic, listing: Listing, seq: int, time_ms: int) -> bytes | None:
        if topic.form != "books":
            return None
        ids = f'"checksum":0,"seqId":{seq},"prevSeqId":{seq}'
        return _frame(topic, "update", f'"asks":[],"bids":[],"ts":"{time_ms}",{ids}')


class OkxSpotEmulator(OkxEmulator):
    code = "okx_spot"
    catalogue: ClassVar[Catalogue] = Catalogue(
        style="spot",
        quote="USDT",
        native=lambda base, quote, delivery: f"{base}-{quote}",
        share=0.12,
        crosses=("BTC",),
    )


class OkxSwapEmulator(OkxEmulator):
    code = "okx_swap"
    catalogue: ClassVar[Catalogue] = Catalogue(
        style="derivatives",
        quote="USDT",
        native=lambda base, quote, delivery: f"{base}-{quote}-{delivery or 'SWAP'}",
        share=0.4,
        contracts=True,
        dated=True,
    )


class OkxSession(Session):
    """One link: its topics, its request meter, its idle clock."""

    def __init__(self, rules: Rules, market: MarketPort, conn_id: str, now: Stamp) -> None:
        self.rules, self.conn_id = rules, conn_id
        self._market = market
        self._requests = meter(rules.requests, rules.requests_window_s)
        self._heard = now.mono_ns
        """When either side last said something, as far as is known."""
        self._ends: int | None = None
        self._told: dict[str, Phase] = {}
        """Phases of those markets whose changes the link hears of, as last told."""
        self._maintained: bool | None = None
        """The same of the whole exchange; None: it does not hear of that."""
        self._kinds: set[str] = set()
        """Types of instruments."""

    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        self._heard = now.mono_ns
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if text == "ping":
            return [Send("pong")]
        if len(text.encode()) > self.rules.request_bytes:
            return [Close(1009, "Request message exceeds the maximum frame length")]
        try:
            request = read_json(text)
        except ValueError:
            request = None
        if not isinstance(request, dict) or "op" not in request or not _legal_id(request):
            return [self._error(request, "60012", f"Invalid request: {text}")]
        return self._obey(request, now)

    def tick(self, now: Stamp) -> list[Action]:
        if self._ends is not None and now.mono_ns >= self._ends:
            return [Close(1001, "service upgrade")]
        news = self._news(now)
        if news:
            self._heard = now.mono_ns
        if now.mono_ns - self._heard < self.rules.idle_s * 1e9:
            return news
        # The client is silent; what was pushed counts too.
        pushed_ms = max((self._market.book(topic.native).time_ms for topic in self._listed()), default=0)
        silent_ns = now.wall_ns - pushed_ms * 1_000_000
        if silent_ns < self.rules.idle_s * 1e9:
            self._heard = now.mono_ns - silent_ns
            return []
        return [Close(4004, "No data received in 30s")]

    def shutdown(self, now: Stamp) -> list[Action]:
        self._ends = now.mono_ns + int(self.rules.notice_s * 1e9)
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        return [_say({"event": "notice", "code": "64008", "msg": text, "connId": self.conn_id})]

    def _news(self, now: Stamp) -> list[Action]:
        """Rule 5."""
        said: list[Action] = []
        for listing in self._market.listings() if self._kinds else ():
            kind, phase = TYPES[listing.kind], self._market.phase(listing.native)
            if kind in self._kinds and self._told.get(listing.native, phase) is not phase:
                arg = {"channel": "instruments", "instType": kind}
                said.append(_say({"arg": arg, "data": [row(listing, phase)]}))
            self._told[listing.native] = phase
        if self._maintained is not None and self._maintained is not self._market.maintained:
            self._maintained = self._market.maintained
            begin_ms = now.wall_ns // 1_000_000
            state = "ongoing" if self._maintained else "completed"
            times = {"begin": str(begin_ms), "end": str(begin_ms + _MAINTENANCE_MS), "ts": str(begin_ms)}
            told = {**times, "state": state, "serviceType": "1", "env": "1", "maintType": "1", "preOpenBegin": ""}
            said.append(_say({"arg": {"channel": "status"}, "data": [told]}))
        return said

    def _listed(self) -> list[Topic]:
        return [topic for topic in self.topics if self._market.listing(topic.native) is not None]

    def _obey(self, request: dict[str, Any], now: Stamp) -> list[Action]:
        operation, args = request["op"], request.get("args")
        if operation not in ("subscribe", "unsubscribe"):
            return [self._error(request, "60019", f"Invalid op: {operation}")]
        if not self._requests.hit(now.mono_ns / 1e9):
            return [self._error(request, "60014", "Requests too frequent")]
        if not isinstance(args, list) or not args or not all(isinstance(arg, dict) for arg in args):
            return [self._error(request, "60013", "Invalid args")]
        topics, answers, firsts = set(self.topics), [], []
        for arg in args:
            if arg.get("channel") in ("instruments", "status"):
                answers.append(self._answer(request, {"event": operation, "arg": arg}))
                self._hear(arg, operation == "subscribe")
                continue
            topic = Topic(str(arg.get("instId", "")), str(arg.get("channel", "")))
            refusal = self._refusal(request, topic)
            if refusal is not None:
                answers.append(refusal)
                continue
            answers.append(self._answer(request, {"event": operation, "arg": arg}))
            if operation == "unsubscribe":
                topics.discard(topic)
            elif topic not in topics:
                topics.add(topic)
                firsts.append(SendFirst(topic))
        self.topics = frozenset(topics)
        return [*answers, *firsts]

    def _hear(self, arg: dict[str, Any], hears: bool) -> None:
        if arg["channel"] == "status":
            self._maintained = self._market.maintained if hears else None
        elif hears:
            self._kinds.add(str(arg.get("instType")))
            self._told |= {listing.native: self._market.phase(listing.native) for listing in self._market.listings()}
        else:
            self._kinds.discard(str(arg.get("instType")))

    def _refusal(self, request: dict[str, Any], topic: Topic) -> Send | None:
        if topic.form in _FOR_MEMBERS:
            text = "Your trading fee tier doesn't meet the requirement to access this channel"
            return self._error(request, "64003", text)
        known = topic.form == "books" or topic.form in _WHOLE or topic.form in _QUIET
        if known and self._market.listing(topic.native) is not None:
            return None
        wrong = f"Wrong URL or channel:{topic.form},instId:{topic.native} doesn't exist."
        return self._error(
            request, "60018", f"{wrong} Please use the correct URL, channel and parameters referring to API document."
        )

    def _error(self, request: Any, code: str, text: str) -> Send:
        return self._answer(request, {"event": "error", "code": code, "msg": text})

    def _answer(self, request: Any, fields: dict[str, Any]) -> Send:
        """With the request's own id, where it has a legal one."""
        echoed = {"id": request["id"]} if isinstance(request, dict) and "id" in request and _legal_id(request) else {}
        return _say({**echoed, **fields, "connId": self.conn_id})


def _legal_id(request: dict[str, Any]) -> bool:
    given = request.get("id")
    return given is None or (isinstance(given, str) and _ID.match(given) is not None)


def _frame(topic: Topic, action: str, data: str) -> bytes:
    arg = f'{{"channel":"{topic.form}","instId":"{topic.native}"}}'
    return f'{{"arg":{arg},"action":"{action}","data":[{{{data}}}]}}'.encode()


def _update(topic: Topic, listing: Listing, change: Change) -> bytes:
    # Bids from the best down, asks from the best up; both as recorded.
    levels = sides(listing, change.bids[::-1], change.asks)
    ids = f'"checksum":0,"seqId":{change.last_seq},"prevSeqId":{change.prev_seq}'
    return _frame(topic, "update", f'{levels},"ts":"{change.time_ms}",{ids}')


def _whole(topic: Topic, listing: Listing, book: BookView) -> bytes:
    levels = _WHOLE[topic.form]
    arg = f'{{"channel":"{topic.form}","instId":"{topic.native}"}}'
    data = f'{sides(listing, book.bids[:levels], book.asks[:levels])},"ts":"{book.time_ms}","seqId":{book.seq}'
    return f'{{"arg":{arg},"data":[{{{data}}}]}}'.encode()


def _say(message: dict[str, Any]) -> Send:
    return Send(json.dumps(message, separators=(",", ":"), ensure_ascii=False))
