"""Bithumb's new API as the exchange speaks it. The conversation is Upbit's; these are the differences:

1. Flags are camelCase (`isOnlySnapshot`); the snake_case ones are ignored. 15 units at most.
2. Times are microseconds (16 digits) on the websocket and milliseconds on REST.
3. Sizes are rounded to 4 decimals, so that an existing level can show size 0; prices never have an exponent.
4. About half of the frames repeat the previous book; a REALTIME frame may come before the SNAPSHOT.
5. REST errors come with HTTP 200: {"error":{"name":404,"message":"Code not found"}}. At most 200 markets a call;
   30 units for one market, 15 for several; ticker times are nine hours ahead (KST).
"""

from __future__ import annotations

import json
from functools import lru_cache
from random import Random

from hoga.domain.phases import Phase
from services.simulator.venues.base import (
    Answer,
    BookView,
    Call,
    Catalogue,
    Change,
    Emulator,
    Listing,
    MarketPort,
    Session,
    Topic,
)
from services.simulator.venues.numbers import fixed, plain, rescale, total
from services.simulator.venues.throttle import Meter, Verdict
from services.simulator.venues.upbit import BTC_BANDS, UNLIMITED, TicketRules, TicketSession, admit, native_id
from services.simulator.venues.upbit_rest import CallError, MarketsRest, Spelling, join_units

_MOST_MARKETS = 200
_LONGEST_QUERY = 4000
KRW_BANDS = (
    ("0", "0.0001"), ("1", "0.001"), ("10", "0.01"), ("100", "0.1"), ("1000", "1"), ("5000", "5"), ("10000", "10"),
    ("50000", "50"), ("100000", "100"), ("500000", "500"), ("1000000", "1000"),
)  # fmt: skip
"""The bands below 100 won are approximate."""
_KST_MS = 9 * 3_600_000


def bithumb_rules() -> TicketRules:
    suffixes = {"1": 1, "5": 5, "15": 15}
    return TicketRules("isOnlySnapshot", "isOnlyRealtime", suffixes, units=15, connects_per_s=10, default_level="1")


class BithumbEmulator(Emulator):
    code = "bithumb"
    catalogue = Catalogue(
        style="korean",
        quote="KRW",
        native=native_id,
        share=0.02,
        crosses=("BTC",),
        size_decimals=8,
        shown_size_decimals=4,
        bands={"KRW": KRW_BANDS, "BTC": BTC_BANDS},
    )
    binary = True
    whole_frames = True
    repeats = 0.5

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market)
        self.rules = bithumb_rules()
        self.web = BithumbRest(market)
        self.late_snapshots = 0.25
        """Share of SNAPSHOT frames that come after the first REALTIME one."""
        self.late_s = 0.3
        self._dice = Random(f"{seed}:bithumb")
        self._connects: dict[str, Meter] = {}

    def open(self, call: Call) -> Session | Answer:
        if call.path != "/websocket/v1":
            return Answer(404, b"")
        refused = admit(call, self._connects, self.rules.connects_per_s)
        return refused or TicketSession(self.rules, call.now, self._delay)

    def unlimited(self) -> None:
        self.rules.lift()
        self.web.per_second = UNLIMITED

    def rest(self, call: Call) -> Answer:
        return self.web.answer(call)

    def wants_book(self, topic: Topic) -> int:
        return int(topic.form.split("|")[1])

    def first(self, topic: Topic) -> bytes | None:
        listing = self.market.listing(topic.native)
        return None if listing is None else _frame(topic, listing, self.market.book(topic.native), "SNAPSHOT")

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        return _frame(topic, listing, book, "REALTIME") if book is not None else b""

    def _delay(self) -> float:
        return self.late_s if self._dice.random() < self.late_snapshots else 0.0


class BithumbRest(MarketsRest):
    per_second = 150

    def headers(self, group: str, verdict: Verdict) -> dict[str, str]:
        left = str(verdict.remaining)
        return {"x-ratelimit-limit": str(self.per_second), "x-ratelimit-remaining": left, "x-ratelimit-reset": "1"}

    def answer(self, call: Call) -> Answer:
        if len(call.query.get("markets", "")) > _LONGEST_QUERY:
            return Answer(414, b"")
        return super().answer(call)

    def market_all(self, call: Call) -> str:
        details = call.query.get("isDetails", "false").lower() == "true"
        found = []
        for listing in self.market.listings():
            names = {"korean_name": listing.korean_name, "english_name": listing.english_name}
            warning = {"market_warning": "NONE"} if details else {}
            if self.market.phase(listing.native) is Phase.TRADING:
                found.append({"market": listing.native, **names, **warning})
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))

    def orderbook(self, call: Call) -> str:
        listings = self.named(call)
        units = 30 if len(listings) == 1 else 15
        return "[" + ",".join(self._book(listing, units) for listing in listings) + "]"

    def ticker(self, call: Call) -> str:
        return "[" + ",".join(self._figures(listing, call) for listing in self.named(call)) + "]"

    def named(self, call: Call) -> list[Listing]:
        if call.query.get("markets", "").count(",") >= _MOST_MARKETS:
            raise CallError(400, 400, f"markets accepts at most {_MOST_MARKETS} codes")
        return super().named(call)

    def _error(self, error: CallError, headers: dict[str, str]) -> Answer:
        answer = super()._error(error, headers)
        return answer if error.status == 400 else Answer(200, answer.body, answer.headers)

    def _book(self, listing: Listing, units: int) -> str:
        book = self.market.book(listing.native)
        head = f'{{"market":"{listing.native}","timestamp":{book.time_ms},'
        return head + _totals_and_units(listing, book, units) + "}"

    def _figures(self, listing: Listing, call: Call) -> str:
        day, price = self.market.day(listing.native), listing.price_decimals
        return (
            f'{{"market":"{listing.native}","trade_price":{plain(day.last, price)},'
            f'"opening_price":{plain(day.open, price)},"high_price":{plain(day.high, price)},'
            f'"low_price":{plain(day.low, price)},"acc_trade_price_24h":{plain(day.turnover, 8)},'
            f'"acc_trade_volume_24h":{plain(day.volume, listing.size_decimals)},'
            f'"timestamp":{call.now.wall_ns // 1_000_000 + _KST_MS}}}'
        )


def _frame(topic: Topic, listing: Listing, book: BookView, stream_type: str) -> bytes:
    form, units, level = topic.form.split("|")
    # The microseconds below the millisecond are a function of the book: a repeated frame repeats them.
    micros = book.time_ms * 1000 + book.seq * 379 % 1000
    simple = form.startswith("SIMPLE")
    if simple:
        head, tail = f'"ty":"orderbook","cd":"{listing.native}",', f'"lv":{level},"tms":{micros},"st":"{stream_type}"'
    else:
        head = f'"type":"orderbook","code":"{listing.native}",'
        tail = f'"level":{level},"timestamp":{micros},"stream_type":"{stream_type}"'
    text = "{" + head + _totals_and_units(listing, book, int(units), simple) + "," + tail + "}"
    return (f"[{text}]" if form.endswith("LIST") else text).encode()


def _totals_and_units(listing: Listing, book: BookView, units: int, simple: bool = False) -> str:
    bids, asks = book.bids[:units], book.asks[:units]
    keys = ("tas", "tbs", "obu") if simple else ("total_ask_size", "total_bid_size", "orderbook_units")
    price, size = listing.price_decimals, listing.size_decimals
    shown = listing.shown_size_decimals
    ask_total, bid_total = rounded(total(asks), size, shown), rounded(total(bids), size, shown)
    rows = join_units(bids, asks, units, *_spellings(price, size, shown, simple))
    return f'"{keys[0]}":{ask_total},"{keys[1]}":{bid_total},"{keys[2]}":[{rows}]'


@lru_cache
def _spellings(price_decimals: int, size_decimals: int, shown: int, simple: bool) -> tuple[Spelling, Spelling]:
    def write(price: int, size: int) -> tuple[str, str]:
        return plain(price, price_decimals), rounded(size, size_decimals, shown)

    return Spelling("bid", simple, write), Spelling("ask", simple, write)


def rounded(size: int, decimals: int, shown: int) -> str:
    """Rule 3."""
    return fixed(rescale(size, decimals, shown), shown)
