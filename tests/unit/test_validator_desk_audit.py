"""The audit as the validator carries it out: one LIVE book of an exchange at a time, counted and announced."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from hoga.domain.types import State
from hoga.wire import pb, subjects
from tests.unit.test_validator_desk import SNAPSHOT, SPOT, World, make, spot_delta

__all__ = ["make"]

Kind = pb.BookEvent.Kind
ETH = {"symbol": "ETH-USDT", "native": "ETHUSDT", "exchange": "binance_spot"}


class Audited:
    """A validator with one or two LIVE books of Binance spot, which are audited at every tick."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events: list[pb.BookEvent] = []
        self.before = {outcome: self.counted(outcome) for outcome in ("agreed", "disagreed", "open")}

    async def start(self, *markets: dict[str, str]) -> None:
        world = self.world
        await world.bus.subscribe(
            subjects.event("*"), lambda _, payload: self.events.append(pb.BookEvent.FromString(payload))
        )
        world.link(exchange="binance_spot", symbols=[market["symbol"] for market in markets])
        for market in markets:
            world.raw(spot_delta(9, 10).replace(b"BTCUSDT", market["native"].encode()), **market)
            self.answer(SNAPSHOT, **market)
        await world.settle()
        assert [world.state(market["symbol"]) for market in markets] == [State.LIVE] * len(markets)
        world.requests.clear()
        self.events.clear()

    async def tick(self) -> None:
        self.world.validator.desks["binance_spot"].tick(self.world.ctx.now())
        await self.world.settle()

    def answer(self, body: bytes, **market: str) -> None:
        """A REST snapshot; it takes no number of its link."""
        self.world.raw(body, kind=pb.RawFrame.KIND_REST_SNAPSHOT, **(market or SPOT))
        self.world.link_seq -= 1

    def counted(self, outcome: str) -> float:
        labels = {"exchange": "binance_spot", "outcome": outcome}
        return REGISTRY.get_sample_value("hoga_validator_audits_total", labels) or 0.0

    def outcomes(self) -> dict[str, float]:
        self.world.validator.desks["binance_spot"].state_counts()
        found = {outcome: self.counted(outcome) - before for outcome, before in self.before.items()}
        return {outcome: count for outcome, count in found.items() if count}


@pytest.fixture
async def audited(make) -> Audited:
    return Audited(await make(HOGA_VALIDATOR_AUDIT_INTERVAL_S="0.000001"))


async def test_a_live_book_that_the_snapshot_shows_too_agrees_and_nothing_is_built_anew(audited: Audited) -> None:
    await audited.start(SPOT)
    await audited.tick()
    audited.world.raw(spot_delta(11, 11, bids=[("98", "3")]), **SPOT)  # what the snapshot is joined to
    await audited.world.settle()
    assert audited.world.requests == ["BTC-USDT"]
    audited.answer(b'{"lastUpdateId":11,"bids":[["99","1"],["98","3"]],"asks":[["101","1"]]}')
    await audited.world.settle()
    assert [event.kind for event in audited.events] == [Kind.KIND_AUDIT_AGREED]
    assert (audited.events[0].symbol, audited.events[0].found) == ("BTC-USDT", 11)
    assert audited.outcomes() == {"agreed": 1}
    assert (audited.world.state("BTC-USDT"), audited.world.newest("BTC-USDT").resync_count) == (State.LIVE, 1)


async def test_a_book_that_it_contradicts_is_announced_and_replaced(audited: Audited) -> None:
    await audited.start(SPOT)
    await audited.tick()
    audited.world.raw(spot_delta(11, 11, bids=[("98", "3")]), **SPOT)
    audited.answer(b'{"lastUpdateId":11,"bids":[["99","2"],["98","3"]],"asks":[["101","1"]]}')
    await audited.world.settle()
    assert Kind.KIND_AUDIT_MISMATCH in [event.kind for event in audited.events]
    assert "99" in next(event.detail for event in audited.events if event.kind == Kind.KIND_AUDIT_MISMATCH)
    assert audited.outcomes() == {"disagreed": 1}
    assert audited.world.newest("BTC-USDT").bid_size[0] == 2 * 10 ** -audited.world.newest("BTC-USDT").size_exponent


async def test_every_live_book_has_its_turn(audited: Audited) -> None:
    await audited.start(SPOT, ETH)
    entries = audited.world.validator.desks["binance_spot"].entries
    turns = []
    for _ in range(4):
        await audited.tick()
        [symbol] = [symbol for symbol, entry in entries.items() if entry.builder.auditing]
        turns.append(symbol)
        entries[symbol].builder.recovery._end(audited.world.ctx.now(), healed=True)  # as if the answer had come
    assert sorted(turns[:2]) == ["BTC-USDT", "ETH-USDT"]
    assert turns[2:] == turns[:2]


async def test_none_is_audited_where_that_is_switched_off(make) -> None:
    audited = Audited(await make(HOGA_VALIDATOR_AUDIT_INTERVAL_S="0"))
    await audited.start(SPOT)
    await audited.tick()
    audited.world.raw(spot_delta(11, 11), **SPOT)
    await audited.world.settle()
    assert (audited.world.requests, audited.outcomes()) == ([], {})
