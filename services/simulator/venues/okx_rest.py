"""OKX as the exchange speaks it: REST.

1. Every answer is {"code","data","msg"}; code "0" is success, errors come with their own code and HTTP status.
2. Each endpoint has a limit for each address: 40 books, 20 lists in 2 seconds. Above: 429 and code 50011; no bans.
3. A book is refreshed every 50 ms: it may be a little older than the newest frame, or already ahead of it. `seqId` is
   that of the stream.
4. Derivatives: sizes are contracts, `vol24h` too; `volCcy24h` counts base coins. In spot it counts the quote.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from hoga.domain.phases import Phase
from services.simulator.venues.base import Answer, Call, IntLevel, Listing, MarketPort
from services.simulator.venues.numbers import plain, scale_of
from services.simulator.venues.throttle import Meter, meter

JSON = {"Content-Type": "application/json"}
TYPES = {"spot": "SPOT", "perpetual": "SWAP", "dated": "FUTURES"}
_WINDOW_S = 2.0


class OkxError(Exception):
    """Becomes an error body."""

    def __init__(self, code: str, text: str, status: int = 200) -> None:
        super().__init__(text)
        self.code, self.text, self.status = code, text, status


WORDS = {
    Phase.TRADING: "live",
    Phase.HALTED: "suspend",
    Phase.AUCTION: "call_auction",
    Phase.POST_ONLY: "post_only",
    Phase.PRE_OPEN: "preopen",
    Phase.MAINTENANCE: "suspend",
}
_MUCH_LATER_MS = "9000000000000"


class OkxRest:
    """Answers GETs below /api/v5 and counts each address's requests."""

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        self.market = market
        self.limit = 20
        """Requests in 2 s to a list; twice as many to books."""
        self._dice = Random(f"{seed}:okx:rest")
        self._meters: dict[tuple[str, str], Meter] = {}
        self._routes: dict[str, tuple[int, Callable[[Call], Any]]] = {
            "/api/v5/market/books": (2, self._book),
            "/api/v5/market/tickers": (1, self._tickers),
            "/api/v5/public/instruments": (1, self._instruments),
            "/api/v5/public/time": (1, lambda call: [{"ts": str(call.now.wall_ns // 1_000_000)}]),
        }

    def answer(self, call: Call) -> Answer:
        route = self._routes.get(call.path)
        if route is None:
            return Answer(404, b'{"code":"404","data":{},"msg":"Not Found"}', JSON)
        times, answer = route
        counted = self._meters.setdefault((call.client, call.path), meter(self.limit * times, _WINDOW_S))
        counted.limit = self.limit * times
        if not counted.hit(call.now.mono_ns / 1e9):
            return Answer(429, b'{"msg":"Too Many Requests","code":"50011"}', JSON)
        try:
            data = answer(call)
        except OkxError as error:
            return Answer(error.status, _json({"code": error.code, "data": [], "msg": error.text}), JSON)
        if isinstance(data, str):
            return Answer(200, f'{{"code":"0","msg":"","data":[{data}]}}'.encode(), JSON)
        return Answer(200, _json({"code": "0", "data": data, "msg": ""}), JSON)

    def _book(self, call: Call) -> str:
        name, levels = call.query.get("instId", ""), call.query.get("sz", "1")
        if not name:
            raise OkxError("50014", "Parameter instId can not be empty.", 400)
        listing = self.market.listing(name)
        if listing is None:
            raise OkxError("51001", "Instrument ID or Spread ID doesn't exist.")
        if not (levels.isascii() and levels.isdigit() and 1 <= int(levels) <= 400):
            raise OkxError("51000", "Parameter sz error", 400)
        now_ms = call.now.wall_ns // 1_000_000
        at_ms = None if self._dice.random() < 0.5 else now_ms - self._dice.randrange(60)
        book, depth = self.market.book(name, at_ms), int(levels)
        return f'{{{sides(listing, book.bids[:depth], book.asks[:depth])},"ts":"{book.time_ms}","seqId":{book.seq}}}'

    def _instruments(self, call: Call) -> list[dict[str, Any]]:
        return [row(listing, self.market.phase(listing.native)) for listing in self._wanted(call)]

    def _tickers(self, call: Call) -> list[dict[str, Any]]:
        return [self._ticker(listing, call) for listing in self._wanted(call)]

    def _wanted(self, call: Call) -> list[Listing]:
        kind = call.query.get("instType", "")
        if not kind:
            raise OkxError("50014", "Parameter instType can not be empty.", 400)
        if kind not in TYPES.values():
            raise OkxError("51000", "Parameter instType error", 400)
        name = call.query.get("instId")
        found = [listing for listing in self.market.listings() if TYPES[listing.kind] == kind]
        return [listing for listing in found if name in (None, listing.native)]

    def _ticker(self, listing: Listing, call: Call) -> dict[str, Any]:
        day, price = self.market.day(listing.native), listing.price_decimals
        base = Decimal(plain(day.turnover * scale_of(price) // max(day.last, 1), 8))
        spot = listing.kind == "spot"
        return {
            "instType": TYPES[listing.kind],
            "instId": listing.native,
            "last": plain(day.last, price),
            "open24h": plain(day.open, price),
            "high24h": plain(day.high, price),
            "low24h": plain(day.low, price),
            "vol24h": f"{base if spot else base / Decimal(listing.contract_size):.2f}",
            "volCcy24h": plain(day.turnover, 8) if spot else f"{base:f}",
            "ts": str(call.now.wall_ns // 1_000_000),
        }


def sides(listing: Listing, bids: list[IntLevel], asks: list[IntLevel]) -> str:
    """`"asks":[["8476.98","415","0","13"],…],"bids":[…]`, each side in the order given."""
    return f'"asks":[{_levels(listing, asks)}],"bids":[{_levels(listing, bids)}]'


def _levels(listing: Listing, rows: list[IntLevel]) -> str:
    """The last element counts orders: none in a level that is gone, otherwise any number."""
    price, size = listing.price_decimals, listing.size_decimals
    return ",".join([f'["{plain(p, price)}","{plain(s, size)}","0","{s and s % 9 + 1}"]' for p, s in rows])


def _listed(listing: Listing, fields: dict[str, str]) -> dict[str, Any]:
    step = plain(listing.size_step, listing.size_decimals)
    empty = (
        "baseCcy",
        "quoteCcy",
        "uly",
        "instFamily",
        "settleCcy",
        "ctVal",
        "ctMult",
        "ctValCcy",
        "ctType",
        "expTime",
    )
    return {
        "instType": TYPES[listing.kind],
        "instId": listing.native,
        **dict.fromkeys(empty, ""),
        **fields,
        "tickSz": plain(listing.tick, listing.price_decimals),
        "lotSz": step,
        "minSz": step,
        "ruleType": "normal",
    }


def row(listing: Listing, phase: Phase) -> dict[str, Any]:
    """An instrument in a list, or in a message on it. In an auction it is live, and the switch is to come."""
    described = _spot(listing) if listing.kind == "spot" else _contract(listing)
    if phase is not Phase.AUCTION:
        return {**described, "state": WORDS[phase], "openType": "", "contTdSwTime": ""}
    return {**described, "state": "live", "openType": WORDS[phase], "contTdSwTime": _MUCH_LATER_MS}


def _spot(listing: Listing) -> dict[str, Any]:
    return _listed(listing, {"baseCcy": listing.base, "quoteCcy": listing.quote})


def _contract(listing: Listing) -> dict[str, Any]:
    family = f"{listing.base}-{listing.quote}"
    contract = {
        "uly": family,
        "instFamily": family,
        "settleCcy": listing.quote,
        "ctType": "linear",
        "ctVal": listing.contract_size,
        "ctMult": "1",
        "ctValCcy": listing.base,
        "expTime": str(listing.delivery_ms or ""),
    }
    return _listed(listing, contract)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
