"""Upbit as the exchange speaks it: REST, and what Bithumb's new API copied of it.

1. 10 requests a second per group and address; every answer tells what is left in `Remaining-Req`.
   Above: 429, then 418 with a growing block. With an Origin header one request in 10 seconds.
2. One unknown market makes the whole call fail with 404.
3. Numbers are JSON numbers, large and tiny ones with an exponent.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache

from hoga.domain.phases import Phase
from services.simulator.venues.base import Answer, BookView, Call, IntLevel, Listing, MarketPort
from services.simulator.venues.numbers import floating, plain, total
from services.simulator.venues.throttle import Budget, Meter, Verdict, meter

_MOST_SPELLED = 1 << 16
JSON = {"Content-Type": "application/json;charset=UTF-8"}


class CallError(Exception):
    """Becomes an error body."""

    def __init__(self, status: int, name: int | str, message: str) -> None:
        super().__init__(message)
        self.status, self.name, self.message = status, name, message


def supported_levels(listing: Listing) -> dict[str, int]:
    """Grouping levels of a market: text as clients write it -> price step; only KRW markets have any."""
    if listing.quote != "KRW":
        return {"0": 0}
    steps = [listing.tick * 10**power for power in range(1, 5)]
    return {"0": 0} | {plain(step, listing.price_decimals): step for step in steps}


class MarketsRest(ABC):
    """Answers GETs by group, each group with its budget per address."""

    per_second = 10

    def __init__(self, market: MarketPort) -> None:
        self.market = market
        self.patience, self.ban_s = 10, 5.0
        self.budgets: dict[tuple[str, str], Budget] = {}
        self._origins: dict[str, Meter] = {}
        self._routes: dict[str, tuple[str, Callable[[Call], str]]] = {
            "/v1/market/all": ("market", self.market_all),
            "/v1/orderbook": ("orderbook", self.orderbook),
            "/v1/ticker": ("ticker", self.ticker),
        }

    def answer(self, call: Call) -> Answer:
        route = self._routes.get(call.path)
        if route is None:
            return self._error(CallError(404, 404, "No static resource"), {})
        group, answer = route
        verdict = self.budget(call.client, group).spend(1, call.now.mono_ns / 1e9)
        if call.origin and not self._origins.setdefault(call.client, meter(1, 10.0)).hit(call.now.mono_ns / 1e9):
            verdict = Verdict(429, 0, 0, 10)
        headers = self.headers(group, verdict)
        if verdict.status != 200:
            return self._refuse(verdict, headers)
        try:
            return Answer(200, answer(call).encode(), {**JSON, **headers})
        except CallError as error:
            return self._error(error, headers)

    def budget(self, client: str, group: str) -> Budget:
        known = self.budgets.get((client, group))
        if known is None:
            known = self.budgets[client, group] = Budget(self.per_second, 1.0, self.patience, self.ban_s)
        return known

    @abstractmethod
    def headers(self, group: str, verdict: Verdict) -> dict[str, str]: ...

    @abstractmethod
    def market_all(self, call: Call) -> str: ...

    @abstractmethod
    def orderbook(self, call: Call) -> str: ...

    @abstractmethod
    def ticker(self, call: Call) -> str: ...

    def named(self, call: Call) -> list[Listing]:
        """The listings of `markets=A,B`; CallError for none or an unknown one."""
        names = [name for name in call.query.get("markets", "").split(",") if name]
        if not names:
            raise CallError(400, 400, "markets does not have a valid value")
        found = [self.market.listing(name.partition(".")[0]) for name in names]
        if None in found:
            raise CallError(404, 404, "Code not found")
        return [listing for listing in found if listing is not None]

    def _refuse(self, verdict: Verdict, headers: dict[str, str]) -> Answer:
        body = {"error": {"name": "too_many_requests", "message": "Too many API requests."}}
        if verdict.status == 418:
            body = {"error": {"name": "too_many_requests", "message": f"blocked for {verdict.retry_after_s} seconds"}}
        retry = {"Retry-After": str(verdict.retry_after_s)} if verdict.status == 418 else {}
        return Answer(verdict.status, json.dumps(body).encode(), {**JSON, **headers, **retry})

    def _error(self, error: CallError, headers: dict[str, str]) -> Answer:
        body = {"error": {"name": error.name, "message": error.message}}
        return Answer(error.status, json.dumps(body).encode(), {**JSON, **headers})


class UpbitRest(MarketsRest):
    def __init__(self, market: MarketPort) -> None:
        super().__init__(market)
        self._routes["/v1/orderbook/instruments"] = ("orderbook", self._instruments)
        self._routes["/v1/ticker/all"] = ("ticker", self._ticker_all)

    def headers(self, group: str, verdict: Verdict) -> dict[str, str]:
        return {"Remaining-Req": f"group={group}; min=600; sec={verdict.remaining}"}

    def market_all(self, call: Call) -> str:
        details = call.query.get("is_details", call.query.get("isDetails", "false")).lower() == "true"
        return "[" + ",".join(self._market(listing, details) for listing in self._listed()) + "]"

    def orderbook(self, call: Call) -> str:
        listings, count = self.named(call), call.query.get("count", "30")
        if not (count.isascii() and count.isdigit() and len(count) < 10):
            raise CallError(400, 400, "count does not have a valid value")
        units = min(int(count), 30)
        return "[" + ",".join(self._book(listing, units) for listing in listings) + "]"

    def ticker(self, call: Call) -> str:
        return "[" + ",".join(self._figures(listing, call) for listing in self.named(call)) + "]"

    def _ticker_all(self, call: Call) -> str:
        quotes = {name for name in call.query.get("quote_currencies", "").upper().split(",") if name}
        chosen = [listing for listing in self._listed() if not quotes or listing.quote in quotes]
        return "[" + ",".join(self._figures(listing, call) for listing in chosen) + "]"

    def _instruments(self, call: Call) -> str:
        found = [
            {
                "market": listing.native,
                "quote_currency": listing.quote,
                "tick_size": plain(listing.tick, listing.price_decimals),
                "supported_levels": list(supported_levels(listing)),
            }
            for listing in self.named(call)
        ]
        return json.dumps(found)

    def _listed(self) -> list[Listing]:
        return [listing for listing in self.market.listings() if self.market.phase(listing.native) is Phase.TRADING]

    def _market(self, listing: Listing, details: bool) -> str:
        fields: dict[str, object] = {
            "market": listing.native,
            "korean_name": listing.korean_name,
            "english_name": listing.english_name,
        }
        if details:
            causes = ("PRICE_FLUCTUATIONS", "TRADING_VOLUME_SOARING", "DEPOSIT_AMOUNT_SOARING")
            fields["market_event"] = {"warning": False, "caution": dict.fromkeys(causes, False)}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    def _book(self, listing: Listing, units: int) -> str:
        book: BookView = self.market.book(listing.native)
        bids, asks, decimals = book.bids[:units], book.asks[:units], listing.size_decimals
        return (
            f'{{"market":"{listing.native}","timestamp":{book.time_ms},'
            f'"total_ask_size":{floating(total(asks), decimals)},'
            f'"total_bid_size":{floating(total(bids), decimals)},"orderbook_units":'
            f'[{units_text(listing, bids, asks, units)}],"level":0}}'
        )

    def _figures(self, listing: Listing, call: Call) -> str:
        day, price = self.market.day(listing.native), listing.price_decimals
        return (
            f'{{"market":"{listing.native}","trade_price":{floating(day.last, price)},'
            f'"opening_price":{floating(day.open, price)},"high_price":{floating(day.high, price)},'
            f'"low_price":{floating(day.low, price)},"prev_closing_price":{floating(day.open, price)},'
            f'"acc_trade_price_24h":{floating(day.turnover, 8)},'
            f'"acc_trade_volume_24h":{floating(day.volume, listing.size_decimals)},'
            f'"timestamp":{call.now.wall_ns // 1_000_000}}}'
        )


def units_text(listing: Listing, bids: list[IntLevel], asks: list[IntLevel], units: int, simple: bool = False) -> str:
    """The units of a frame, padded to `units` rows by price 0 and size 0."""
    price, size = listing.price_decimals, listing.size_decimals
    return join_units(bids, asks, units, *_spellings(price, size, simple))


class Spelling(dict[IntLevel, tuple[str, str]]):
    """Level -> its part of a unit, price and size; most levels of a book are written many times unchanged."""

    def __init__(self, side: str, simple: bool, write: Callable[[int, int], tuple[str, str]]) -> None:
        super().__init__()
        # A unit is {"ask_price":…,"bid_price":…,"ask_size":…,"bid_size":…}
        price, size = (f"{side[0]}p", f"{side[0]}s") if simple else (f"{side}_price", f"{side}_size")
        self._start = f'{{"{price}":' if side == "ask" else f'"{price}":'
        self._middle = f'"{size}":'
        self._end = "," if side == "ask" else "},"
        self._write = write

    def __missing__(self, level: IntLevel) -> tuple[str, str]:
        if len(self) > _MOST_SPELLED:
            self.clear()
        price, size = self._write(*level)
        parts = self[level] = (f"{self._start}{price},", f"{self._middle}{size}{self._end}")
        return parts


def join_units(
    bids: list[IntLevel], asks: list[IntLevel], units: int, bid_spelling: Spelling, ask_spelling: Spelling
) -> str:
    """The text of `units` rows; levels that are missing are (0, 0)."""
    if units <= 0:
        return ""
    bids, asks = bids + [(0, 0)] * (units - len(bids)), asks + [(0, 0)] * (units - len(asks))
    parts = [""] * (4 * units)
    parts[0::4], parts[2::4] = zip(*map(ask_spelling.__getitem__, asks), strict=True)
    parts[1::4], parts[3::4] = zip(*map(bid_spelling.__getitem__, bids), strict=True)
    return "".join(parts)[:-1]


@lru_cache
def _spellings(price_decimals: int, size_decimals: int, simple: bool) -> tuple[Spelling, Spelling]:
    def write(price: int, size: int) -> tuple[str, str]:
        return floating(price, price_decimals), floating(size, size_decimals)

    return Spelling("bid", simple, write), Spelling("ask", simple, write)
