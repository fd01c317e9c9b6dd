"""Bybit spot and linear contracts as the exchange speaks them: REST.

1. 600 requests in 5 s for one address; above: 403 with the words "access too frequent", for ten minutes (doubled for
   who comes back too soon again), and no Retry-After.
2. Errors are HTTP 200 with retCode other than 0 and a result of no use.
3. The `u` of an order book counts the 1000-level topic; here it has nothing to do with that of any topic.
4. Lists hold what trades; that of contracts has pages (`nextPageCursor`), that of spot ignores limit and cursor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hoga.domain.phases import Phase
from services.simulator.venues.base import Answer, BookView, Call, IntLevel, Listing, MarketPort
from services.simulator.venues.numbers import fixed, plain
from services.simulator.venues.throttle import Budget

LIMIT, WINDOW_S, BAN_S = 600, 5.0, 600.0
MOST_LEVELS = 1000
_JSON = {"Content-Type": "application/json; charset=utf-8"}


class BybitError(Exception):
    """Becomes an error body."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def side(listing: Listing, levels: list[IntLevel], spot: bool) -> str:
    """`["65095.30","0.005"],…`: spot without trailing zeros, contracts with the digits of tick and step; a size of
    nothing is "0"."""
    price, size = listing.price_decimals, listing.size_decimals
    write = plain if spot else fixed
    return ",".join([f'["{write(p, price)}","{write(s, size) if s else 0}"]' for p, s in levels])


def cross_sequence(time_ms: int) -> int:
    """`seq`: rises with every frame, with holes, in all topics of a market alike."""
    return time_ms % 10**12


FUTURE_WORDS = {Phase.TRADING: "Trading", Phase.AUCTION: "CallAuction", Phase.PRE_OPEN: "NotStarted"}
_LAUNCHING = (Phase.AUCTION, Phase.PRE_OPEN)


class BybitRest:
    """Answers GETs below /v5/market and counts each address's requests."""

    def __init__(self, market: MarketPort, category: str) -> None:
        self.market, self.category = market, category
        self.limit = LIMIT
        self.budgets: dict[str, Budget] = {}
        self._routes: dict[str, Callable[[Call], Any]] = {
            "/v5/market/orderbook": self._orderbook,
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/tickers": self._tickers,
        }

    def answer(self, call: Call) -> Answer:
        budget = self.budgets.get(call.client)
        if budget is None:
            budget = self.budgets[call.client] = Budget(self.limit, WINDOW_S, patience=0, ban_s=BAN_S)
        if budget.spend(1, call.now.mono_ns / 1e9).status != 200:
            return Answer(403, b"access too frequent", {"Content-Type": "text/plain"})
        now_ms = call.now.wall_ns // 1_000_000
        if call.path == "/v5/market/time":
            times = {"timeSecond": str(now_ms // 1000), "timeNano": str(call.now.wall_ns)}
            return _body(0, "OK", json.dumps(times), now_ms)
        route = self._routes.get(call.path)
        if route is None:
            return Answer(404, b"404 page not found", {"Content-Type": "text/plain"})
        try:
            if call.query.get("category") != self.category:
                raise BybitError(10001, "params error: Category is invalid")
            found = route(call)
        except BybitError as error:
            return _body(error.code, error.text, "{}", now_ms)
        return _body(0, "OK", found if isinstance(found, str) else _text(found), now_ms)

    def _orderbook(self, call: Call) -> str:
        listing = self._symbol(call)
        default = 1 if self.category == "spot" else 25
        depth = min(_number(call, "limit", default), MOST_LEVELS)
        book: BookView = self.market.book(listing.native)
        spot = self.category == "spot"
        bids, asks = side(listing, book.bids[:depth], spot), side(listing, book.asks[:depth], spot)
        return (
            f'{{"s":"{listing.native}","b":[{bids}],"a":[{asks}],"ts":{book.time_ms + 3},'
            f'"u":{book.seq // 2 + 7},"seq":{cross_sequence(book.time_ms)},"cts":{book.time_ms}}}'
        )

    def _instruments(self, call: Call) -> dict[str, Any]:
        describe = self._spot_market if self.category == "spot" else self._contract
        status = call.query.get("status", "Trading")
        chosen = [self._symbol(call)] if "symbol" in call.query else list(self.market.listings())
        phases = (Phase.TRADING,) if status == "Trading" else _LAUNCHING if status == "PreLaunch" else ()
        listed = [listing for listing in chosen if self.market.phase(listing.native) in phases]
        result: dict[str, Any] = {"category": self.category}
        if self.category != "spot":
            listed, result["nextPageCursor"] = _page(call, listed)
        return result | {"list": [describe(listing) for listing in listed]}

    def _spot_market(self, listing: Listing) -> dict[str, Any]:
        step = plain(listing.size_step, listing.size_decimals)
        return {
            "symbol": listing.native,
            "baseCoin": listing.base,
            "quoteCoin": listing.quote,
            "innovation": "0",
            "status": "Trading",
            "marginTrading": "utaOnly",
            "stTag": "0",
            "lotSizeFilter": {"basePrecision": step, "quotePrecision": "0.0000001", "minOrderQty": step},
            "priceFilter": {"tickSize": plain(listing.tick, listing.price_decimals)},
            "symbolType": "",
        }

    def _contract(self, listing: Listing) -> dict[str, Any]:
        dated = listing.kind == "dated"
        phase = self.market.phase(listing.native)
        launching = phase in _LAUNCHING
        tick, step = fixed(listing.tick, listing.price_decimals), fixed(listing.size_step, listing.size_decimals)
        return {
            "symbol": listing.native,
            "contractType": "LinearFutures" if dated else "LinearPerpetual",
            "status": "PreLaunch" if launching else "Trading",
            "baseCoin": listing.base,
            "quoteCoin": listing.quote,
            "launchTime": "1585526400000",
            "deliveryTime": str(listing.delivery_ms if dated else 0),
            "priceScale": str(listing.price_decimals),
            "priceFilter": {"minPrice": tick, "maxPrice": fixed(10**15, listing.price_decimals), "tickSize": tick},
            "lotSizeFilter": {"minOrderQty": step, "qtyStep": step, "minNotionalValue": "5"},
            "fundingInterval": 0 if dated else 480,
            "settleCoin": listing.quote,
            "isPreListing": launching,
            "preListingInfo": {"curAuctionPhase": FUTURE_WORDS[phase], "phases": []} if launching else None,
            "symbolType": "",
        }

    def _tickers(self, call: Call) -> dict[str, Any]:
        chosen = [self._symbol(call)] if "symbol" in call.query else list(self.market.listings())
        return {"category": self.category, "list": [self._ticker(listing) for listing in chosen]}

    def _ticker(self, listing: Listing) -> dict[str, Any]:
        day, price = self.market.day(listing.native), listing.price_decimals
        return {
            "symbol": listing.native,
            "lastPrice": fixed(day.last, price),
            "prevPrice24h": fixed(day.open, price),
            "highPrice24h": fixed(day.high, price),
            "lowPrice24h": fixed(day.low, price),
            "turnover24h": plain(day.turnover, 8),
            "volume24h": plain(day.volume, listing.size_decimals),
        }

    def _symbol(self, call: Call) -> Listing:
        listing = self.market.listing(call.query.get("symbol", ""))
        if listing is None:
            raise BybitError(10001, "params error: symbol invalid")
        return listing


def _page(call: Call, listings: list[Listing]) -> tuple[list[Listing], str]:
    """One page of a list, and the cursor of the next; "" after the last."""
    names = [listing.native for listing in listings]
    _, _, last = call.query.get("cursor", "").partition("&last=")
    start = names.index(last) + 1 if last in names else 0
    page = listings[start : start + min(_number(call, "limit", 500), 1000)]
    if start + len(page) >= len(listings):
        return page, ""
    return page, f"first%3D{page[0].native}%26last%3D{page[-1].native}"


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise BybitError(10001, f"params error: {name} is invalid")
    return int(text[:9])


def _body(code: int, text: str, result: str, now_ms: int) -> Answer:
    body = f'{{"retCode":{code},"retMsg":{_text(text)},"result":{result},"retExtInfo":{{}},"time":{now_ms}}}'
    return Answer(200, body.encode(), _JSON)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
