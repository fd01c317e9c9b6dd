"""Bybit's emulator, REST: read back by the strategy and the handler, with the documented errors, pages and ban."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from hoga.domain.types import Stamp
from hoga.exchanges.base import RestRequest
from services.ingest.directory import Directory
from services.simulator.venues.base import Answer, Call
from tests.support.market_bybit import START_MS, world

both = pytest.mark.parametrize("code", ["bybit_spot", "bybit_future"])


def decimals(levels: list[tuple[str, str]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in levels]


class Web:
    """A client of the emulator's REST side."""

    def __init__(self, code: str, **options: Any) -> None:
        self.exchange, self.market, self.emulator = world(code, **options)
        self.now_s = 1000.0

    def get(self, path: str, client: str = "a") -> Answer:
        address, _, query = path.partition("?")
        pairs = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
        pairs = {key: value.replace("%3D", "=").replace("%26", "&") for key, value in pairs.items()}
        stamp = Stamp(int(self.now_s * 1e9), START_MS * 1_000_000)
        return self.emulator.rest(Call(address, pairs, client, stamp))

    def body(self, path: str) -> bytes:
        answer = self.get(path)
        assert answer.status == 200
        return answer.body


@both
def test_a_rest_book_is_the_present_book(code: str) -> None:
    web = Web(code)
    for _ in range(5):
        web.market.step("BTCUSDT")
    body = web.body(web.exchange.strategy.snapshot_request("BTCUSDT").path)
    assert web.exchange.strategy.rest_error(body) is None
    update = web.exchange.handler.parse_snapshot("BTCUSDT", body)
    listing, truth = web.market.listing("BTCUSDT"), web.market.book("BTCUSDT")
    assert listing is not None
    price, size = Decimal(10) ** -listing.price_decimals, Decimal(10) ** -listing.size_decimals
    assert decimals(update.bids) == [(p * price, s * size) for p, s in truth.bids[:200]]
    assert decimals(update.asks) == [(p * price, s * size) for p, s in truth.asks[:200]]
    assert update.exchange_time_ns == truth.time_ms * 10**6
    assert json.loads(body)["result"]["u"] != truth.seq, "another counter than the stream's"


@both
def test_a_rest_book_without_a_limit_is_short_and_never_deeper_than_a_thousand(code: str) -> None:
    web = Web(code, levels=1100)
    base = f"/v5/market/orderbook?category={web.emulator.rules.category}&symbol=BTCUSDT"
    assert len(json.loads(web.body(base))["result"]["b"]) == (1 if code == "bybit_spot" else 25)
    assert len(json.loads(web.body(f"{base}&limit=5000"))["result"]["a"]) == 1000


@both
@pytest.mark.parametrize(
    "query",
    [
        "",
        "category=option&symbol=BTCUSDT",
        "category={}&symbol=NOPE",
        "category={}",
        "category={}&symbol=BTCUSDT&limit=0",
        "category={}&symbol=BTCUSDT&limit=x",
    ],
)
def test_errors_come_as_success_with_a_code(code: str, query: str) -> None:
    web = Web(code)
    body = web.body(f"/v5/market/orderbook?{query.format(web.emulator.rules.category)}")
    error = web.exchange.strategy.rest_error(body)
    assert error is not None
    assert error.startswith("10001 params error")


@both
def test_who_asks_too_often_is_sent_away_for_ten_minutes(code: str) -> None:
    web = Web(code)
    path = "/v5/market/time"
    assert {web.get(path).status for _ in range(600)} == {200}
    refused = web.get(path)
    assert (refused.status, refused.body) == (403, b"access too frequent")
    assert "Retry-After" not in refused.headers
    assert web.get(path, client="b").status == 200
    web.now_s += 599
    assert web.get(path).status == 403
    web.now_s += 2
    assert web.get(path).status == 200
    web.emulator.unlimited()
    assert {web.get(path).status for _ in range(2000)} == {200}
    assert web.get("/v5/nothing").status == 404


async def test_every_page_of_the_list_of_contracts_is_read(monkeypatch) -> None:
    web = Web("bybit_future")
    monkeypatch.setattr("hoga.exchanges.bybit.common.MOST_LISTED", 1)
    asked: list[str] = []

    class Rest:
        async def get(self, request: RestRequest, *, priority: int = 5) -> bytes:
            asked.append(request.path)
            return web.body(request.path)

    directory = Directory(web.exchange, Rest(), lambda: None)
    assert await directory.fetch() == 0.0
    assert {one.native_symbol for one in directory.trading} == {one.native for one in web.market.listings()}
    assert len(asked) == 4, "three pages of those that trade, and those before their launch"
    assert asked[1].endswith("%3DBTCUSDT%26last%3DBTCUSDT")


def test_the_list_of_contracts_has_pages_and_ours_holds_all_of_a_thousand() -> None:
    web = Web("bybit_future")
    seen, cursor = [], ""
    for _ in range(3):
        result = json.loads(web.body(f"/v5/market/instruments-info?category=linear&limit=1&cursor={cursor}"))["result"]
        seen += [row["symbol"] for row in result["list"]]
        cursor = result["nextPageCursor"]
        assert bool(cursor) == (len(seen) < 3)
    assert seen == [listing.native for listing in web.market.listings()]
    request = web.exchange.strategy.instruments_requests()[0]
    assert json.loads(web.body(request.path))["result"]["nextPageCursor"] == ""
    spot = Web("bybit_spot")
    whole = json.loads(spot.body("/v5/market/instruments-info?category=spot&limit=1"))["result"]
    assert len(whole["list"]) == 3
    assert "nextPageCursor" not in whole
