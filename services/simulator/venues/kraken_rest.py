"""Kraken as the exchange speaks it: public REST.

1. Errors are HTTP 200 with a non-empty `error`.
2. About one request a second for an address; above: "EGeneral:Too many requests".
3. Pairs may be asked for by any of their names; answers are keyed by the old code (XXBTZUSD), the altname (ADAUSD), or,
   with `assetVersion=1`, by the name that websocket v2 uses (BTC/USD). XBT and XDG stand for BTC and DOGE.
4. Depth: prices with five decimals at least, volumes rounded to three, seconds. GroupedBook: full quantities.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hoga.domain.phases import Phase
from services.simulator.venues.base import Answer, Call, IntLevel, Listing, MarketPort
from services.simulator.venues.numbers import fixed, plain, rescale
from services.simulator.venues.throttle import Budget

PER_MINUTE = 60
_OLD = {"BTC": "XBT", "DOGE": "XDG"}
_CLASSES = dict.fromkeys(("XBT", "ETH", "XRP", "LTC", "ETC", "XLM"), "X") | dict.fromkeys(("USD", "EUR"), "Z")
_GROUPED_DEPTHS = ("10", "25", "100", "250", "1000")


class KrakenError(Exception):
    """Becomes the `error` list of an answer."""


WORDS = {
    Phase.TRADING: "online",
    Phase.HALTED: "cancel_only",
    Phase.POST_ONLY: "post_only",
    Phase.LIMIT_ONLY: "limit_only",
    Phase.PRE_OPEN: "work_in_progress",
    Phase.MAINTENANCE: "maintenance",
}


class KrakenRest:
    def __init__(self, market: MarketPort) -> None:
        self.market = market
        self.limited = True
        self.patience, self.ban_s = 10, 10.0
        self.budgets: dict[str, Budget] = {}
        self._routes: dict[str, Callable[[Call], Any]] = {
            "/0/public/AssetPairs": self._pairs,
            "/0/public/Ticker": self._tickers,
            "/0/public/Depth": self._depth,
            "/0/public/GroupedBook": self._grouped,
        }

    def answer(self, call: Call) -> Answer:
        route = self._routes.get(call.path)
        try:
            if route is None:
                raise KrakenError("EGeneral:Unknown method")
            self._spend(call)
            body = {"error": [], "result": route(call)}
        except KrakenError as error:
            body = {"error": [str(error)]}
        data = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        return Answer(200, data.encode(), {"Content-Type": "application/json; charset=utf-8"})

    def _spend(self, call: Call) -> None:
        known = self.budgets.get(call.client)
        if known is None:
            known = self.budgets[call.client] = Budget(PER_MINUTE, 60.0, self.patience, self.ban_s)
        verdict = known.spend(1, call.now.mono_ns / 1e9)
        if self.limited and verdict.status != 200:
            lockout = verdict.status == 418
            raise KrakenError("EGeneral:Temporary lockout" if lockout else "EGeneral:Too many requests")

    def _one(self, call: Call) -> tuple[str, Listing]:
        """The one market asked for, and its key."""
        found = self._wanted(call)
        if "pair" not in call.query or len(found) != 1:
            raise KrakenError("EGeneral:Invalid arguments")
        return found[0]

    def _wanted(self, call: Call) -> list[tuple[str, Listing]]:
        """(key, listing) of the markets asked for; all where none is named."""
        key = native_key if call.query.get("assetVersion") == "1" else old_key
        listings = self.market.listings()
        if "pair" not in call.query:
            return [(key(listing), listing) for listing in listings]
        known = {name: listing for listing in listings for name in names(listing)}
        found = [known.get(name) for name in call.query["pair"].split(",")]
        if None in found:
            raise KrakenError("EQuery:Unknown asset pair")
        return [(key(listing), listing) for listing in found if listing is not None]

    def _pairs(self, call: Call) -> dict[str, Any]:
        return {key: self._pair(listing) for key, listing in self._wanted(call)}

    def _pair(self, listing: Listing) -> dict[str, Any]:
        base, quote = old_name(listing.base), old_name(listing.quote)
        return {
            "altname": f"{base}{quote}",
            "wsname": f"{base}/{quote}",
            "aclass_base": "currency",
            "base": f"{_CLASSES.get(base, '')}{base}",
            "aclass_quote": "currency",
            "quote": f"{_CLASSES.get(quote, '')}{quote}",
            "lot": "unit",
            "pair_decimals": listing.price_decimals,
            "lot_decimals": listing.size_decimals,
            "lot_multiplier": 1,
            "ordermin": fixed(listing.size_step, listing.size_decimals),
            "tick_size": plain(listing.tick, listing.price_decimals),
            "status": WORDS[self.market.phase(listing.native)],
        }

    def _tickers(self, call: Call) -> dict[str, Any]:
        return {key: self._ticker(listing) for key, listing in self._wanted(call)}

    def _ticker(self, listing: Listing) -> dict[str, Any]:
        day, price, size = self.market.day(listing.native), listing.price_decimals, listing.size_decimals
        average = day.turnover * 10 ** (size + price) // (day.volume * 10**8) if day.volume else day.last
        return {
            "c": [fixed(day.last, price), fixed(listing.size_step, size)],
            "v": [fixed(day.volume // 2, size), fixed(day.volume, size)],
            "p": [fixed(average, price), fixed(average, price)],
            "t": [day.trades // 2, day.trades],
            "l": [fixed(day.low, price), fixed(day.low, price)],
            "h": [fixed(day.high, price), fixed(day.high, price)],
            "o": fixed(day.open, price),
        }

    def _depth(self, call: Call) -> dict[str, Any]:
        key, listing = self._one(call)
        count = call.query.get("count", "100")
        if not (count.isascii() and count.isdigit() and 1 <= int(count) <= 500):
            raise KrakenError("EGeneral:Invalid arguments:count")
        book = self.market.book(listing.native)

        def rows(levels: Sequence[IntLevel]) -> list[list[Any]]:
            padding = "0" * (5 - listing.price_decimals)
            point = "." if padding and not listing.price_decimals else ""
            return [
                [
                    f"{fixed(price, listing.price_decimals)}{point}{padding}",
                    fixed(rescale(size, listing.size_decimals, 3), 3),
                    book.time_ms // 1000,
                ]
                for price, size in levels[: int(count)]
            ]

        return {key: {"asks": rows(book.asks), "bids": rows(book.bids)}}

    def _grouped(self, call: Call) -> dict[str, Any]:
        _, listing = self._one(call)
        depth, grouping = call.query.get("depth", "10"), call.query.get("grouping", "1")
        if depth not in _GROUPED_DEPTHS or grouping != "1":
            raise KrakenError("EGeneral:Invalid arguments")  # other groupings are not simulated
        book = self.market.book(listing.native)

        def rows(levels: Sequence[IntLevel]) -> list[dict[str, str]]:
            prices, sizes = listing.price_decimals, listing.size_decimals
            return [{"price": fixed(p, prices), "qty": fixed(s, sizes)} for p, s in levels[: int(depth)]]

        return {"pair": listing.native, "grouping": 1, "bids": rows(book.bids), "asks": rows(book.asks)}


def old_name(asset: str) -> str:
    return _OLD.get(asset, asset)


def native_key(listing: Listing) -> str:
    return f"{listing.base}/{listing.quote}"


def old_key(listing: Listing) -> str:
    """XXBTZUSD where both assets have a class, XBTUSDT elsewhere."""
    base, quote = old_name(listing.base), old_name(listing.quote)
    classes = _CLASSES.get(base), _CLASSES.get(quote)
    return f"{classes[0]}{base}{classes[1]}{quote}" if None not in classes else f"{base}{quote}"


def names(listing: Listing) -> tuple[str, ...]:
    """Rule 3: every name of a pair that a request may use."""
    base, quote = old_name(listing.base), old_name(listing.quote)
    plain_name = f"{listing.base}{listing.quote}"
    return (native_key(listing), f"{base}/{quote}", f"{base}{quote}", plain_name, old_key(listing))
