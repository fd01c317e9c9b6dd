"""Bybit tapes through the production path, compared level by level with an independent book.

No recording of Bybit is at hand, so the tapes are made here by the exchange's own emulator.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hoga.domain.types import State
from hoga.exchanges import registry
from hoga.exchanges.base import RouteKind
from hoga.runtime.replay import Replay, replay
from services.simulator.venues.base import Call
from tests.support import naive_bybit
from tests.support.market_bybit import Line, world

ALL_LEVELS = 10_000
both = pytest.mark.parametrize("code", ["bybit_spot", "bybit_future"])

Records = list[dict[str, Any]]


def record(code: str, *, turns: int = 60, restart_at: int = -1) -> Records:
    """A tape: the list, a link, three subscriptions, frames of all markets in turn."""
    exchange, market, emulator = world(code, seed=3)
    line = Line(emulator, market)
    natives = [listing.native for listing in market.listings()]
    url = exchange.strategy.ws_url(exchange.strategy.endpoints)
    request = exchange.strategy.instruments_requests()[0]
    path, _, query = request.path.partition("?")
    call = Call(path, dict(pair.split("=") for pair in query.split("&")), "a", line.stamp)
    found: Records = []

    def note(kind: str, data: bytes | str | None, address: str | None = None) -> None:
        text = data.decode() if isinstance(data, bytes) else data
        ts_ns = market.time_ms * 1_000_000 + len(found)
        found.append({"kind": kind, "ts_ns": ts_ns, "conn": "b.0", "url": address, "data": text})

    note("http", emulator.rest(call).body, exchange.strategy.endpoints.rest + request.path)
    note("connect", None, url)
    subscription = exchange.strategy.subscribe(natives, 1, 0)
    note("send", subscription, url)
    for frame in line.say(subscription):
        note("recv", frame)
    for turn in range(turns):
        native = natives[turn % len(natives)]
        for frame in line.restart(native) if turn == restart_at else line.step(native):
            note("recv", frame)
    for frame in line.say('{"op":"ping"}'):
        note("recv", frame)
    return found


def run(folder: Path, records: Records) -> tuple[Path, Replay]:
    path = folder / "bybit.jsonl"
    path.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in records))
    return path, replay(path)


def frames(records: Records) -> list[str]:
    return [one["data"] for one in records if one["kind"] == "recv"]


def check_equal(found: Replay, truth: dict[str, naive_bybit.BybitBook]) -> None:
    assert set(found.shelf.builders) == set(truth)
    for native, keeper in found.shelf.builders.items():
        bids, asks = keeper.book.texts(ALL_LEVELS)
        true_bids, true_asks = truth[native].top(ALL_LEVELS)
        assert [(Decimal(price), Decimal(size)) for price, size in bids] == true_bids
        assert [(Decimal(price), Decimal(size)) for price, size in asks] == true_asks
        assert (keeper.state, keeper.sequence) == (State.LIVE, truth[native].last)
        counters = keeper.counters
        assert (counters.gaps, counters.reversals, counters.crossed, counters.rejected) == (0, 0, 0, 0)
    assert found.unknown == 0
    assert found.troubles == []


@both
def test_a_tape_ends_in_exactly_the_naive_book(code: str, tmp_path: Path) -> None:
    records = record(code)
    _, found = run(tmp_path, records)
    assert found.exchange.code == code, "recognised by its addresses"
    check_equal(found, naive_bybit.follow(frames(records)))
    symbols = set(found.books())
    assert symbols == (
        {"BTC-USDT", "ETH-BTC", "币安人生-USDT"}
        if code == "bybit_spot"
        else {"BTC-USDT", "BTC-USDC", "BTC-USDT-261225"}
    )
    for keeper in found.books().values():
        assert keeper.book.bids_known == keeper.book.asks_known == 200, "the exchange keeps all 200 for us"


@both
def test_a_restart_of_the_exchange_is_no_fault_of_the_book(code: str, tmp_path: Path) -> None:
    records = record(code, restart_at=30)
    _, found = run(tmp_path, records)
    truth = naive_bybit.follow(frames(records))
    assert truth["BTCUSDT"].last == 10, "counted anew"
    check_equal(found, truth)


@both
def test_dropping_any_delta_is_noticed_in_that_book_alone(code: str, tmp_path: Path) -> None:
    records = record(code, turns=30)
    strategy = registry.get(code).strategy
    mine = [
        place
        for place, one in enumerate(records)
        if one["kind"] == "recv"
        and strategy.route(one["data"].encode()).kind is RouteKind.BOOK
        and '"s":"BTCUSDT"' in one["data"]
    ]
    assert len(mine) > 8
    for victim in mine[1:-1]:
        _, found = run(tmp_path, [one for place, one in enumerate(records) if place != victim])
        for native, keeper in found.shelf.builders.items():
            assert (keeper.counters.gaps, keeper.state) == (
                (1, State.GAPPED) if native == "BTCUSDT" else (0, State.LIVE)
            )
