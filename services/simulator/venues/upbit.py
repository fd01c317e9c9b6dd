"""Upbit as the exchange speaks it: the websocket side, and the conversation that Bithumb's new API copied.

    > [{"ticket":"x"},{"type":"orderbook","codes":["KRW-BTC"]},{"format":"DEFAULT"}]
    < {"type":"orderbook","code":"KRW-BTC","timestamp":…,"total_ask_size":…,"total_bid_size":…,
       "orderbook_units":[{"ask_price":1.16539E8,"bid_price":1.16538E8,"ask_size":0.1,"bid_size":0.2},…],
       "stream_type":"SNAPSHOT","level":0}

1. No acknowledgement; a later request replaces the whole subscription; an unknown code is silence.
2. A wrong request is answered by an error object, then the link is closed (1000).
3. Every frame is the whole book of up to 30 units; a thin side is padded with price 0 and size 0.
4. The client keeps alive: a ping frame or the text PING, answered by {"status":"UP"} now and every 10 s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hoga.domain.types import Stamp
from services.simulator.venues import upbit_rest
from services.simulator.venues.base import (
    Action,
    Answer,
    BookView,
    Call,
    Catalogue,
    Change,
    Close,
    Emulator,
    Listing,
    MarketPort,
    Send,
    SendFirst,
    Session,
    Topic,
    read_json,
)
from services.simulator.venues.numbers import floating, total
from services.simulator.venues.throttle import Meter, meter

UP = b'{"status":"UP"}'
UNLIMITED = 10**9
KRW_BANDS = (
    ("0", "0.00000001"), ("0.00001", "0.0000001"), ("0.0001", "0.000001"), ("0.001", "0.00001"), ("0.01", "0.0001"),
    ("0.1", "0.001"), ("1", "0.01"), ("10", "0.1"), ("100", "1"), ("5000", "5"), ("10000", "10"), ("50000", "50"),
    ("100000", "100"), ("500000", "500"), ("1000000", "1000"),
)  # fmt: skip
"""Since 2025-07-31 (docs.upbit.com/kr/docs/krw-market-info)."""
USDT_BANDS = (
    ("0", "0.00000001"), ("0.0001", "0.0000001"), ("0.001", "0.000001"), ("0.01", "0.00001"), ("0.1", "0.0001"),
    ("1", "0.001"), ("10", "0.01"),
)  # fmt: skip
"""Since 2024-08-19."""
BTC_BANDS = (("0", "0.00000001"),)
_TYPES = ("orderbook", "ticker", "trade", "myOrder", "myAsset", "candle")
_FORMATS = ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST")


@dataclass(slots=True)
class TicketRules:
    """Limits and spellings of one exchange of this family."""

    only_snapshot: str
    only_realtime: str
    suffixes: Mapping[str, int]
    """Unit suffix of a code -> units of a frame."""
    units: int
    connects_per_s: int
    default_level: str = "0"
    idle_s: float = 120.0
    status_s: float = 10.0
    messages_per_s: int = 5
    messages_per_minute: int = 100

    def lift(self) -> None:
        """Connections and messages without a limit."""
        self.connects_per_s = self.messages_per_s = self.messages_per_minute = UNLIMITED


def upbit_rules() -> TicketRules:
    return TicketRules("is_only_snapshot", "is_only_realtime", {"1": 1, "5": 5, "15": 15, "30": 30}, 30, 5)


class RequestError(Exception):
    """A request the exchange refuses: `name` is its error name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name, self.message = name, message


class TicketSession(Session):
    """One link of the family: parses the request array, keeps the topics, watches for silence."""

    def __init__(self, rules: TicketRules, now: Stamp, delay_s: Callable[[], float] = lambda: 0.0) -> None:
        self.rules, self._delay_s = rules, delay_s
        self._heard = now.mono_ns
        self._status_due: int | None = None
        self._second: Meter = meter(rules.messages_per_s, 1.0)
        self._minute: Meter = meter(rules.messages_per_minute, 60.0)
        self._held: list[dict[str, Any]] = []

    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        self._heard = now.mono_ns
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if text.strip() == "PING":
            self._status_due = now.mono_ns + int(self.rules.status_s * 1e9)
            return [Send(UP)]
        if not (self._second.hit(now.mono_ns / 1e9) & self._minute.hit(now.mono_ns / 1e9)):
            return [Close(1008, "too many requests")]
        try:
            return self._request(text)
        except RequestError as error:
            body = {"error": {"name": error.name, "message": error.message}}
            return [Send(json.dumps(body, ensure_ascii=False).encode()), Close(1000)]

    def ping(self, data: bytes, now: Stamp) -> list[Action]:
        self._heard = now.mono_ns
        return []

    def tick(self, now: Stamp) -> list[Action]:
        if now.mono_ns - self._heard > self.rules.idle_s * 1e9:
            return [Close(1006, "idle")]
        if self._status_due is None or now.mono_ns < self._status_due:
            return []
        self._status_due = now.mono_ns + int(self.rules.status_s * 1e9)
        return [Send(UP)]

    def _request(self, text: str) -> list[Action]:
        try:
            parts = read_json(text)
        except ValueError:
            raise RequestError("WRONG_FORMAT", "Format is not valid.") from None
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise RequestError("WRONG_FORMAT", "Format is not valid.")
        ticket = next((part["ticket"] for part in parts if "ticket" in part), None)
        if not ticket:
            raise RequestError("NO_TICKET", "Ticket field is not present.")
        if any(part.get("method") == "LIST_SUBSCRIPTIONS" for part in parts):
            answer = {"method": "LIST_SUBSCRIPTIONS", "result": self._held, "ticket": ticket}
            return [Send(json.dumps(answer, ensure_ascii=False).encode())]
        form = next((part["format"] for part in parts if "format" in part), "DEFAULT")
        if form not in _FORMATS:
            raise RequestError("WRONG_FORMAT", "Format is not valid.")
        wanted = [part for part in parts if "ticket" not in part and "format" not in part]
        if not wanted:
            raise RequestError("NO_TYPE", "Type field is not present.")
        return self._replace(wanted, form)

    def _replace(self, wanted: list[dict[str, Any]], form: str) -> list[Action]:
        live: list[Topic] = []
        actions: list[Action] = []
        for part in wanted:
            topics = self._topics(part, form)
            if not part.get(self.rules.only_snapshot):
                live += topics
            if not part.get(self.rules.only_realtime):
                actions += [SendFirst(topic, self._delay_s()) for topic in topics]
        self.topics, self._held = frozenset(live), wanted
        return actions

    def _topics(self, part: dict[str, Any], form: str) -> list[Topic]:
        kind, codes = part.get("type"), part.get("codes")
        if not kind:
            raise RequestError("NO_TYPE", "Type field is not present.")
        if not any(str(kind).startswith(known) for known in _TYPES):
            raise RequestError("INVALID_PARAM", f"Type {str(kind)[:40]} is not supported.")
        if not codes or not isinstance(codes, list):
            raise RequestError("NO_CODES", "Codes field is not present.")
        if kind != "orderbook":
            return []
        level = str(part.get("level", self.rules.default_level))
        topics = []
        for code in codes:
            native, _, suffix = str(code).partition(".")
            units = self.rules.suffixes.get(suffix, self.rules.units)
            topics.append(Topic(native, f"{form}|{units}|{level}"))
        return topics


def native_id(base: str, quote: str, delivery: str = "") -> str:
    return f"{quote}-{base}"


class UpbitEmulator(Emulator):
    code = "upbit"
    catalogue = Catalogue(
        style="korean",
        quote="KRW",
        native=native_id,
        share=0.06,
        crosses=("BTC", "USDT"),
        size_decimals=8,
        bands={"KRW": KRW_BANDS, "BTC": BTC_BANDS, "USDT": USDT_BANDS},
    )
    binary = True
    whole_frames = True
    repeats = 0.06

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market)
        self.rules = upbit_rules()
        self.web = upbit_rest.UpbitRest(market)
        self._connects: dict[str, Meter] = {}
        self._origins: dict[str, Meter] = {}

    def open(self, call: Call) -> Session | Answer:
        if call.path != "/websocket/v1":
            return Answer(404, b"")
        refused = admit(call, self._connects, self.rules.connects_per_s, self._origins)
        return refused or TicketSession(self.rules, call.now)

    def unlimited(self) -> None:
        self.rules.lift()
        self.web.per_second = UNLIMITED

    def rest(self, call: Call) -> Answer:
        return self.web.answer(call)

    def wants_book(self, topic: Topic) -> int:
        _, units, level = topic.form.split("|")
        return int(units) if level in ("0", "0.0") else 500

    def first(self, topic: Topic) -> bytes | None:
        listing = self.market.listing(topic.native)
        if listing is None:
            return None
        return self._frame(topic, listing, self.market.book(topic.native), "SNAPSHOT")

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        return self._frame(topic, listing, book, "REALTIME") if book is not None else b""

    def _frame(self, topic: Topic, listing: Listing, book: BookView, stream_type: str) -> bytes:
        form, units, level = topic.form.split("|")
        if level not in ("0", "0.0"):
            step = upbit_rest.supported_levels(listing).get(level)
            if step is None:
                return b""  # an unsupported grouping is silence
            book = grouped(book, step)
        bids, asks = book.bids[: int(units)], book.asks[: int(units)]
        bid_total = floating(total(bids), listing.size_decimals)
        ask_total = floating(total(asks), listing.size_decimals)
        simple = form.startswith("SIMPLE")
        rows = upbit_rest.units_text(listing, bids, asks, int(units), simple)
        if simple:
            text = (
                f'{{"ty":"orderbook","cd":"{listing.native}","tms":{book.time_ms},"tas":{ask_total},'
                f'"tbs":{bid_total},"obu":[{rows}],"st":"{stream_type}","lv":{level}}}'
            )
        else:
            text = (
                f'{{"type":"orderbook","code":"{listing.native}","timestamp":{book.time_ms},'
                f'"total_ask_size":{ask_total},"total_bid_size":{bid_total},"orderbook_units":[{rows}],'
                f'"stream_type":"{stream_type}","level":{level}}}'
            )
        return (f"[{text}]" if form.endswith("LIST") else text).encode()


def grouped(book: BookView, step: int) -> BookView:
    """The book with prices gathered to multiples of `step`: bids down, asks up."""
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for price, size in book.bids:
        bids[price // step * step] = bids.get(price // step * step, 0) + size
    for price, size in book.asks:
        asks[-(-price // step) * step] = asks.get(-(-price // step) * step, 0) + size
    return BookView(book.seq, book.time_ms, list(bids.items()), list(asks.items()))


def admit(call: Call, connects: dict[str, Meter], limit: int, origins: dict[str, Meter] | None = None) -> Answer | None:
    """The answer that refuses a connection above the limit; None admits it. With an Origin header Upbit
    allows one request in 10 seconds."""
    now_s = call.now.mono_ns / 1e9
    if call.origin and origins is not None and not origins.setdefault(call.client, meter(1, 10.0)).hit(now_s):
        return Answer(429, b"", {"Retry-After": "10"})
    if not connects.setdefault(call.client, meter(limit, 1.0)).hit(now_s):
        return Answer(429, b"", {"Retry-After": "1"})
    return None
