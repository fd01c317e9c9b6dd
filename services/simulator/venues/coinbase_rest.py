"""Coinbase Advanced Trade as the exchange speaks it: public REST.

1. 10 requests a second per address, then 429; no Retry-After, no ban.
2. Public answers are cached for a second: a product book may be that old.
3. Errors are `{"error":"NOT_FOUND","error_details":…,"message":…}` with their status.
4. Every USD market has a USDC alias: a product of its own name with `alias`, and the same book.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any

from hoga.domain.phases import Phase
from services.simulator.venues.base import Answer, Call, IntLevel, Listing, MarketPort
from services.simulator.venues.numbers import plain
from services.simulator.venues.throttle import Budget

_API = "/api/v3/brokerage"
_JSON = {"Content-Type": "application/json"}
_CACHED_MS = 1000


class CallError(Exception):
    """Becomes an error body."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status, self.name, self.message = status, name, message


def book_of(market: MarketPort, product: str) -> str | None:
    """The native id of the book of a product, its own or its alias's; None for an unknown product."""
    if market.listing(product) is not None:
        return product
    base, _, quote = product.rpartition("-")
    alias = f"{base}-USD"
    return alias if quote == "USDC" and market.listing(alias) is not None else None


def rfc3339(time_ns: int) -> str:
    """As Go writes a time: nanoseconds without trailing zeros, `2026-08-24T22:34:13.79307Z`."""
    seconds, fraction = divmod(time_ns, 10**9)
    digits = f"{fraction:09d}".rstrip("0")
    return f"{_second(seconds)}.{digits}Z" if digits else f"{_second(seconds)}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


WORDS = {
    Phase.TRADING: "online",
    Phase.HALTED: "trading_disabled",
    Phase.AUCTION: "auction_mode",
    Phase.POST_ONLY: "post_only",
    Phase.LIMIT_ONLY: "limit_only",
    Phase.MAINTENANCE: "cancel_only",
}
"""The status of a product, or the flag that is set besides."""


class CoinbaseRest:
    """Answers GETs below /api/v3/brokerage and counts each address's requests."""

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        self.market = market
        self.per_second = 10
        self.budgets: dict[str, Budget] = {}
        self._dice = Random(f"{seed}:coinbase:rest")
        self._routes: dict[str, Callable[[Call], str]] = {
            f"{_API}/time": self._time,
            f"{_API}/market/products": self._products,
            f"{_API}/market/product_book": self._book,
        }

    def answer(self, call: Call) -> Answer:
        budget = self.budgets.setdefault(call.client, Budget(self.per_second, 1.0, patience=1 << 30))
        if budget.spend(1, call.now.mono_ns / 1e9).status != 200:
            failure = {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}
            return Answer(429, _dump(failure).encode(), _JSON)
        try:
            route = self._routes.get(call.path)
            if route is None:
                raise CallError(404, "NOT_FOUND", "Not Found")
            return Answer(200, route(call).encode(), _JSON)
        except CallError as error:
            body = {"error": error.name, "error_details": error.message, "message": error.message}
            return Answer(error.status, _dump(body).encode(), _JSON)

    def _time(self, call: Call) -> str:
        seconds, millis = call.now.wall_ns // 10**9, call.now.wall_ns // 10**6
        return _dump({"iso": rfc3339(seconds * 10**9), "epochSeconds": str(seconds), "epochMillis": str(millis)})

    def _book(self, call: Call) -> str:
        product = call.query.get("product_id", "")
        native = book_of(self.market, product)
        listing = None if native is None else self.market.listing(native)
        if listing is None:
            raise CallError(404, "NOT_FOUND", f"product {product[:40]!r} not found")
        at_ms = call.now.wall_ns // 1_000_000 - self._dice.randrange(_CACHED_MS)
        book = self.market.book(listing.native, at_ms)
        limit = _limit(call)
        price, size = listing.price_decimals, listing.size_decimals

        def side(rows: list[IntLevel]) -> str:
            return ",".join([f'{{"price":"{plain(p, price)}","size":"{plain(s, size)}"}}' for p, s in rows[:limit]])

        return (
            f'{{"pricebook":{{"product_id":"{product}","bids":[{side(book.bids)}],"asks":[{side(book.asks)}],'
            f'"time":"{rfc3339(book.time_ms * 1_000_000)}"}}}}'
        )

    def _products(self, call: Call) -> str:
        kind = call.query.get("product_type", "SPOT")
        found: list[dict[str, Any]] = []
        for listing in self.market.listings() if kind == "SPOT" else ():
            twin = f"{listing.base}-USDC"
            aliased = listing.quote == "USD" and self.market.listing(twin) is None
            found.append(self._product(listing, alias_to=[twin] if aliased else []))
            if aliased:
                found.append(self._product(listing, alias=listing.native))
        if "products_sort_order" in call.query:
            found.sort(key=lambda product: -float(product["approximate_quote_24h_volume"]))
        limit = _limit(call)
        return _dump({"products": found[:limit], "num_products": len(found[:limit]), "pagination": None})

    def _product(self, listing: Listing, *, alias: str = "", alias_to: list[str] | None = None) -> dict[str, Any]:
        day, price = self.market.day(listing.native), listing.price_decimals
        quote = "USDC" if alias else listing.quote
        word = WORDS[self.market.phase(listing.native)]
        return {
            "product_id": f"{listing.base}-{quote}" if alias else listing.native,
            "price": plain(day.last, price),
            "volume_24h": plain(day.volume, listing.size_decimals),
            "base_increment": plain(listing.size_step, listing.size_decimals),
            "quote_increment": plain(listing.tick, price),
            "price_increment": plain(listing.tick, price),
            "base_name": listing.english_name,
            "quote_name": quote,
            "is_disabled": False,
            "status": "online",
            "cancel_only": word == "cancel_only",
            "limit_only": word == "limit_only",
            "post_only": word == "post_only",
            "trading_disabled": word == "trading_disabled",
            "auction_mode": word == "auction_mode",
            "product_type": "SPOT",
            "quote_currency_id": quote,
            "base_currency_id": listing.base,
            "mid_market_price": "",
            "alias": alias,
            "alias_to": alias_to or [],
            "view_only": False,
            "display_name": f"{listing.base}-{quote}",
            "product_venue": "CBE",
            "approximate_quote_24h_volume": plain(day.turnover, 8),
        }


def _limit(call: Call) -> int | None:
    """Entries at most; None for all of them."""
    text = call.query.get("limit", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise CallError(400, "INVALID_ARGUMENT", f"limit {text[:40]!r} is not valid")
    return int(text)


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
