"""Binance spot and USD-M futures as the exchange speaks them: REST.

1. Every request costs weight per address and minute; the answer names the weight used (X-MBX-USED-WEIGHT-1M).
2. Above the limit: 429 with Retry-After; who goes on is banned: 418 with Retry-After, longer each time.
3. Errors are `{"code":-1121,"msg":"Invalid symbol."}` with status 400.
4. A depth snapshot is cached for a moment: it may be older than the newest event, end inside one, or hold
   changes whose event is yet to come. `lastUpdateId` is always the id of a change of that very symbol.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

from hoga.domain.phases import Phase
from services.simulator.venues.base import Answer, Call, Listing, MarketPort
from services.simulator.venues.numbers import fixed
from services.simulator.venues.throttle import Budget, Verdict

SPOT_LIMIT, FUTURE_LIMIT = 6000, 2400
_FUTURE_DEPTHS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
SPOT_WORDS = {
    Phase.TRADING: "TRADING",
    Phase.HALTED: "HALT",
    Phase.AUCTION: "AUCTION_MATCH",
    Phase.PRE_OPEN: "PRE_TRADING",
    Phase.MAINTENANCE: "BREAK",
}
FUTURE_WORDS = {
    Phase.TRADING: "TRADING",
    Phase.HALTED: "BREAK",
    Phase.PRE_OPEN: "PENDING_TRADING",
    Phase.MAINTENANCE: "BREAK",
}
_LEGAL = re.compile(r"[A-Z0-9\-_.\u0080-\uffff]{1,20}\Z")


class BinanceError(Exception):
    """Becomes an error body."""

    def __init__(self, code: int, text: str, weight: int = 1) -> None:
        super().__init__(text)
        self.code, self.text, self.weight = code, text, weight


class BinanceRest:
    """Answers GETs below /api/v3 or /fapi/v1 and keeps each address's weight."""

    def __init__(self, market: MarketPort, *, futures: bool, seed: int = 0) -> None:
        self.market, self.futures = market, futures
        self.limit = FUTURE_LIMIT if futures else SPOT_LIMIT
        self.patience, self.ban_s = 5, 120.0
        self.cache_ms = 400
        """Greatest age of a depth snapshot."""
        self.budgets: dict[str, Budget] = {}
        self._dice = Random(f"{seed}:rest:{futures}")
        base = "/fapi/v1" if futures else "/api/v3"
        self._routes: dict[str, tuple[Callable[[Call], int], Callable[[Call], Any]]] = {
            f"{base}/ping": (lambda call: 1, lambda call: {}),
            f"{base}/time": (lambda call: 1, lambda call: {"serverTime": call.now.wall_ns // 1_000_000}),
            f"{base}/depth": (self._depth_weight, self._depth),
            f"{base}/exchangeInfo": (lambda call: 1 if futures else 20, self._info),
            f"{base}/ticker/24hr": (self._ticker_weight, self._tickers),
        }

    def answer(self, call: Call) -> Answer:
        route = self._routes.get(call.path)
        if route is None:
            return Answer(404, b'{"code":-5000,"msg":"Path not found"}', {"Content-Type": "application/json"})
        weigh, answer = route
        try:
            verdict = self._spend(call, weigh(call))
            if verdict.status != 200:
                return self._refuse(verdict, call)
            body = answer(call)
        except BinanceError as error:
            verdict = self._spend(call, 1) if error.weight else Verdict(200, 0, 0, 0)
            body = {"code": error.code, "msg": error.text}
            return Answer(400, _json(body), self._headers(verdict))
        data = body.encode() if isinstance(body, str) else _json(body)
        return Answer(200, data, self._headers(verdict))

    def budget(self, client: str) -> Budget:
        known = self.budgets.get(client)
        if known is None:
            known = self.budgets[client] = Budget(self.limit, 60.0, self.patience, self.ban_s)
        return known

    def _spend(self, call: Call, weight: int) -> Verdict:
        return self.budget(call.client).spend(weight, call.now.mono_ns / 1e9)

    def _refuse(self, verdict: Verdict, call: Call) -> Answer:
        if verdict.status == 418:
            until = call.now.wall_ns // 1_000_000 + verdict.retry_after_s * 1000
            text = (
                f"Way too much request weight used; IP banned until {until}. "
                "Please use WebSocket Streams for live updates to avoid bans."
            )
        else:
            text = (
                f"Too much request weight used; current limit is {self.limit} request weight per 1 MINUTE. "
                "Please use WebSocket Streams for live updates to avoid polling the API."
            )
        headers = {**self._headers(verdict), "Retry-After": str(verdict.retry_after_s)}
        return Answer(verdict.status, _json({"code": -1003, "msg": text}), headers)

    def _headers(self, verdict: Verdict) -> dict[str, str]:
        used = {name: str(verdict.used) for name in ("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M")}
        return {"Content-Type": "application/json;charset=UTF-8", **used}

    # depth

    def _limit(self, call: Call) -> int:
        text = call.query.get("limit", "500" if self.futures else "100")
        if not re.fullmatch(r"\d{1,9}", text):
            raise BinanceError(-1100, "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.")
        limit = int(text)
        if self.futures:
            if limit not in _FUTURE_DEPTHS:
                raise BinanceError(-4021, f"{limit} is not a valid depth limit.")
            return limit
        if limit == 0:
            raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit, 5000)

    def _depth_weight(self, call: Call) -> int:
        limit = self._limit(call)
        if self.futures:
            return _FUTURE_DEPTHS[limit]
        return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250

    def _depth(self, call: Call) -> str:
        listing, limit = self._symbol(call), self._limit(call)
        book = self.market.book(listing.native, self._snapshot_time(call))
        price_decimals, size_decimals = listing.price_decimals, listing.size_decimals

        def side(rows: list[tuple[int, int]]) -> str:
            return ",".join([f'["{fixed(p, price_decimals)}","{fixed(s, size_decimals)}"]' for p, s in rows[:limit]])

        times = f'"E":{call.now.wall_ns // 1_000_000},"T":{book.time_ms},' if self.futures else ""
        return f'{{"lastUpdateId":{book.seq},{times}"bids":[{side(book.bids)}],"asks":[{side(book.asks)}]}}'

    def _snapshot_time(self, call: Call) -> int | None:
        """Rule 4: one in four as the last event left it, the rest up to `cache_ms` old."""
        draw = self._dice.random()
        if draw < 0.25:
            return None
        return call.now.wall_ns // 1_000_000 - int((draw - 0.25) / 0.75 * self.cache_ms)

    def _symbol(self, call: Call) -> Listing:
        name = call.query.get("symbol", "")
        if not name:
            raise BinanceError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if not _LEGAL.match(name):
            legal = "legal range is '^[A-Z0-9-_.]{1,20}$'"
            raise BinanceError(-1100, f"Illegal characters found in parameter 'symbol'; {legal}.")
        listing = self.market.listing(name)
        if listing is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return listing

    # lists

    def _wanted(self, call: Call) -> list[Listing]:
        if "symbol" in call.query:
            return [self._symbol(call)]
        if "symbols" in call.query and not self.futures:
            try:
                names = json.loads(call.query["symbols"])
            except ValueError:
                raise BinanceError(-1100, "Illegal characters found in parameter 'symbols'.") from None
            found = [self.market.listing(str(name)) for name in names]
            if None in found:
                raise BinanceError(-1121, "Invalid symbol.")
            return [listing for listing in found if listing is not None]
        return list(self.market.listings())

    def _info(self, call: Call) -> dict[str, Any]:
        describe = self._future_symbol if self.futures else self._spot_symbol
        listings = self._wanted(call) if not self.futures else list(self.market.listings())
        symbols = [describe(listing) for listing in listings]
        if not self.futures and "symbolStatus" in call.query:
            symbols = [symbol for symbol in symbols if symbol["status"] == call.query["symbolStatus"]]
        limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.limit}]
        if not self.futures:
            limits.append({"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000})
        head: dict[str, Any] = {"timezone": "UTC", "serverTime": call.now.wall_ns // 1_000_000, "rateLimits": limits}
        return {**head, "exchangeFilters": [], "symbols": symbols}

    def _spot_symbol(self, listing: Listing) -> dict[str, Any]:
        return {
            "symbol": listing.native,
            "status": SPOT_WORDS[self.market.phase(listing.native)],
            "baseAsset": listing.base,
            "baseAssetPrecision": 8,
            "quoteAsset": listing.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": True,
            "filters": self._filters(listing),
            "permissions": [],
            "permissionSets": [["SPOT", "MARGIN"]],
        }

    def _future_symbol(self, listing: Listing) -> dict[str, Any]:
        dated = listing.kind == "dated"
        return {
            "symbol": listing.native,
            "pair": listing.native.partition("_")[0],
            "contractType": "CURRENT_QUARTER" if dated else "PERPETUAL",
            "deliveryDate": listing.delivery_ms if dated else 4133404800000,
            "onboardDate": 1569398400000,
            "status": FUTURE_WORDS[self.market.phase(listing.native)],
            "baseAsset": listing.base,
            "quoteAsset": listing.quote,
            "marginAsset": listing.quote,
            "pricePrecision": listing.price_decimals,
            "quantityPrecision": listing.size_decimals,
            "underlyingType": "COIN",
            "filters": self._filters(listing),
        }

    def _filters(self, listing: Listing) -> list[dict[str, str]]:
        price, size = listing.price_decimals, listing.size_decimals
        tick, step = fixed(listing.tick, price), fixed(listing.size_step, size)
        return [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": fixed(10**15, price), "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": fixed(10**13, size), "stepSize": step},
        ]

    def _ticker_weight(self, call: Call) -> int:
        if "symbol" in call.query:
            return 1 if self.futures else 2
        return 40 if self.futures else 80

    def _tickers(self, call: Call) -> Any:
        found = [self._ticker(listing, call) for listing in self._wanted(call)]
        return found[0] if "symbol" in call.query else found

    def _ticker(self, listing: Listing, call: Call) -> dict[str, Any]:
        day, decimals = self.market.day(listing.native), listing.price_decimals
        now_ms = call.now.wall_ns // 1_000_000
        return {
            "symbol": listing.native,
            "priceChange": _signed(day.last - day.open, decimals),
            "lastPrice": fixed(day.last, decimals),
            "openPrice": fixed(day.open, decimals),
            "highPrice": fixed(day.high, decimals),
            "lowPrice": fixed(day.low, decimals),
            "volume": fixed(day.volume, listing.size_decimals),
            "quoteVolume": fixed(day.turnover, 8),
            "openTime": now_ms - 86_400_000,
            "closeTime": now_ms,
            "count": day.trades,
        }


def _signed(mantissa: int, decimals: int) -> str:
    return ("-" if mantissa < 0 else "") + fixed(abs(mantissa), decimals)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
