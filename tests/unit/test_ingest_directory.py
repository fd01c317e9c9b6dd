"""Instruments and wishes: the list is kept, collisions are named, unknown symbols harm nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from hoga.domain.backoff import Backoff
from hoga.domain.errors import RestError
from hoga.domain.phases import Phase
from hoga.exchanges import upbit
from hoga.exchanges.base import RestRequest
from services.ingest.directory import Directory
from services.ingest.wishes import Wishes


class Rest:
    """Gives one prepared answer after the other; the last one stays."""

    def __init__(self, *answers: bytes | RestError) -> None:
        self.answers = list(answers)
        self.requests: list[RestRequest] = []

    async def get(self, request: RestRequest, *, priority: int = 5) -> bytes:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, RestError):
            raise answer
        return answer


def listing(*natives: str) -> bytes:
    return msgspec.json.encode([{"market": native, "korean_name": ""} for native in natives])


def directory(rest: Rest) -> Directory:
    return Directory(upbit.EXCHANGE, rest, lambda: None, backoff=Backoff(0.2, 0.2))


async def test_the_list_maps_both_ways():
    found = directory(Rest(listing("KRW-BTC", "KRW-ETH", "USDT-BTC")))
    assert not found.loaded
    assert await found.fetch() == 0.0
    assert found.loaded
    assert found.native("BTC-USDT") == "USDT-BTC"
    assert found.native("BTC-EUR") is None
    assert len(found.trading) == 3
    assert found.bodies == [listing("KRW-BTC", "KRW-ETH", "USDT-BTC")]


@pytest.mark.parametrize("bad", [b"[]", b"{", b'[{"market":1}]', b"<html>", b'{"error":{"name":404}}'])
async def test_an_answer_that_cannot_be_read_changes_nothing(bad, caplog):
    found = directory(Rest(listing("KRW-BTC"), bad))
    await found.fetch()
    assert 0.1 <= await found.fetch() <= 0.2
    assert found.native("BTC-KRW") == "KRW-BTC"
    assert found.problem
    assert len([line for line in caplog.messages if "instrument list" in line]) == 1


async def test_the_exchange_says_when_to_try_again():
    found = directory(Rest(RestError("upbit: banned", status=418, retry_after_s=77.0)))
    assert await found.fetch() == 77.0
    assert "banned" in found.problem


async def test_a_failure_that_would_not_be_worth_repeating_is_repeated_all_the_same():
    found = directory(Rest(RestError("upbit: 404", status=404, retry_after_s=None)))
    assert 0.1 <= await found.fetch() <= 0.2


async def test_it_is_fetched_for_ever_and_then_again_when_asked(monkeypatch):
    monkeypatch.setattr("services.ingest.directory.ASK_SPACING_S", 0.01)
    lists = asyncio.Event()
    rest = Rest(RestError("away", retry_after_s=0.01), listing("KRW-BTC"), listing("KRW-BTC", "KRW-NEW"))
    found = Directory(upbit.EXCHANGE, rest, lists.set, backoff=Backoff(0.01, 0.01))
    task = asyncio.create_task(found.run())
    try:
        await asyncio.wait_for(lists.wait(), 10)
        assert found.native("NEW-KRW") is None
        lists.clear()
        found.ask()
        await asyncio.wait_for(lists.wait(), 10)
        assert found.native("NEW-KRW") == "KRW-NEW"
        assert len(rest.requests) == 3
    finally:
        task.cancel()


@pytest.mark.parametrize(("urgent", "fetched"), [(True, 2), (False, 1)])
async def test_it_is_fetched_sooner_where_books_wait_for_it(monkeypatch, urgent, fetched):
    monkeypatch.setattr("services.ingest.directory.URGENT_SPACING_S", 0.01)
    lists = asyncio.Event()
    rest = Rest(listing("KRW-BTC"))
    found = Directory(upbit.EXCHANGE, rest, lists.set)
    task = asyncio.create_task(found.run())
    try:
        await asyncio.wait_for(lists.wait(), 10)
        found.ask(urgent=urgent)
        await asyncio.sleep(0.3)
        assert len(rest.requests) == fetched
    finally:
        task.cancel()


async def test_two_markets_that_claim_one_symbol_are_both_named_once(caplog):
    found = directory(Rest(listing("KRW-BTC", "KRW-ETH", "KRW-BTC")))
    await found.fetch()
    await found.fetch()
    lines = [line for line in caplog.messages if "claim" in line]
    assert len(lines) == 1
    assert "KRW-BTC" in lines[0]
    assert len(found.symbols) == 2


async def test_a_wish_that_is_not_listed_is_reported_once_with_what_was_meant(caplog):
    found, wishes = directory(Rest(listing("KRW-BTC", "KRW-ETH"))), Wishes("upbit")
    wishes.replace({"BTC-KRW": "", "BTC-KRV": "", "KRW-ETH": ""})
    assert wishes.placed(found) == {}
    assert not caplog.messages
    await found.fetch()
    for _ in range(3):
        assert wishes.placed(found) == {"KRW-BTC": "BTC-KRW"}
    errors = [line for line in caplog.messages if "left out" in line]
    assert len(errors) == 2
    assert "did you mean BTC-KRW" in errors[0]
    assert "did you mean ETH-KRW" in errors[1]


async def test_a_wish_is_fulfilled_when_it_is_listed_and_reported_again_when_it_is_delisted(caplog):
    found = directory(Rest(listing("KRW-BTC"), listing("KRW-BTC", "KRW-ETH"), listing("KRW-BTC")))
    wishes = Wishes("upbit")
    wishes.replace({"BTC-KRW": "", "ETH-KRW": ""})
    counts = []
    for _ in range(3):
        await found.fetch()
        counts.append(len(wishes.placed(found)))
    assert counts == [1, 2, 1]
    assert len([line for line in caplog.messages if "'ETH-KRW'" in line]) == 2


async def test_until_there_is_a_list_the_universe_knows_the_native_ids():
    found, wishes = directory(Rest(listing("KRW-BTC"))), Wishes("upbit")
    wishes.replace({"BTC-KRW": "KRW-BTC", "ETH-KRW": ""})
    assert wishes.placed(found) == {"KRW-BTC": "BTC-KRW"}
    wishes.replace({"OLD-KRW": "KRW-OLD"})
    assert wishes.placed(found) == {"KRW-OLD": "OLD-KRW"}
    await found.fetch()
    assert wishes.placed(found) == {}


class _Halted:
    def __getattr__(self, name):
        return getattr(upbit.EXCHANGE.handler, name)

    def parse_instruments(self, bodies):
        return [
            msgspec.structs.replace(i, phase=Phase.HALTED) for i in upbit.EXCHANGE.handler.parse_instruments(bodies)
        ]


async def test_a_symbol_that_does_not_trade_is_collected_with_a_warning(caplog):
    exchange = replace(upbit.EXCHANGE, handler=_Halted())
    found = Directory(exchange, Rest(listing("KRW-BTC")), lambda: None)
    wishes = Wishes("upbit")
    wishes.replace({"BTC-KRW": ""})
    await found.fetch()
    for _ in range(3):
        assert wishes.placed(found) == {"KRW-BTC": "BTC-KRW"}
    assert len([line for line in caplog.messages if "does not trade" in line]) == 1


async def test_a_word_that_nobody_knows_is_named_once_and_takes_no_market_away(caplog):
    body = msgspec.json.encode([{"market": "KRW-BTC", "market_state": "RESTING"}, {"market": "KRW-ETH"}])
    found = directory(Rest(body))
    for _ in range(3):
        await found.fetch()
    assert [one.native_symbol for one in found.unknown_phases] == ["KRW-BTC"]
    assert {one.native_symbol for one in found.trading} == {"KRW-BTC", "KRW-ETH"}
    assert len([line for line in caplog.messages if "RESTING" in line]) == 1


def test_it_is_asked_every_minute_where_that_is_cheap():
    def refresh_s(weight: int, per_minute: int) -> float:
        strategy = upbit.EXCHANGE.strategy
        names = {
            "limits": replace(strategy.limits, rest_weight_per_minute=per_minute),
            "instruments_requests": lambda _self: [RestRequest("/list", weight)] * 2,
        }
        exchange = replace(upbit.EXCHANGE, strategy=type("Priced", (type(strategy),), names)())
        return Directory(exchange, Rest(b""), lambda: None).refresh_s

    assert refresh_s(6, 600) == 60.0
    assert refresh_s(7, 600) == 300.0


async def test_a_list_that_has_lost_many_markets_is_believed_the_second_time(caplog):
    many, few = listing(*(f"KRW-C{n}" for n in range(100))), listing(*(f"KRW-C{n}" for n in range(60)))
    found = directory(Rest(many, few, many, few, few))
    for listed, pause in ((100, False), (100, True), (100, False), (100, True), (60, False)):
        assert (await found.fetch() > 0) == pause
        assert len(found.symbols) == listed
    assert len([line for line in caplog.messages if "40 markets less" in line]) == 2


async def test_a_few_markets_may_go_at_once():
    found = directory(Rest(*(listing(*(f"KRW-C{n}" for n in range(count))) for count in (100, 80, 60))))
    for count in (100, 80, 60):
        assert await found.fetch() == 0.0
        assert len(found.symbols) == count
