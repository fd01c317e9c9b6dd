"""The snapshot queue: coalescing, urgency, patience, bounds."""

from __future__ import annotations

import asyncio
import time

import pytest

from hoga.domain.backoff import Backoff
from hoga.domain.errors import FrameError, RestError
from hoga.exchanges.base import RestRequest
from hoga.exchanges.binance import future
from hoga.wire import pb
from services.ingest import snapshots as module
from services.ingest.observers import Observers
from services.ingest.snapshots import Snapshots

BODY = b'{"lastUpdateId":7,"bids":[["1.0","2.0"]],"asks":[["3.0","4.0"]]}'


class Rest:
    """Every request waits for the test to let it through; `fail` answers the next ones of a symbol."""

    def __init__(self, *, held: bool = False) -> None:
        self.started: list[str] = []
        self.fail: dict[str, list[RestError]] = {}
        self.body = BODY
        self.doors = asyncio.Event()
        if not held:
            self.doors.set()

    async def get(self, request: RestRequest, *, priority: int = 5) -> bytes:
        native = request.path.split("symbol=")[1].split("&")[0]
        self.started.append(native)
        await self.doors.wait()
        if self.fail.get(native):
            raise self.fail[native].pop(0)
        return self.body


class World:
    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.published: list[pb.RawFrame] = []
        self.wanted: set[str] = {f"S{n}-USDT" for n in range(10)}
        self.arrived = asyncio.Event()
        self.observers = Observers(future.EXCHANGE)
        self.snapshots = Snapshots(
            future.EXCHANGE, rest, self._publish, self.observers, lambda symbol: symbol in self.wanted
        )

    def _publish(self, _subject: str, payload: bytes) -> bool:
        self.published.append(pb.RawFrame.FromString(payload))
        self.arrived.set()
        return True

    def ask(self, number: int, priority: int = 5) -> bool:
        return self.snapshots.ask(f"S{number}-USDT", f"S{number}USDT", priority)

    async def until(self, condition) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)

    async def __aenter__(self) -> World:
        self.task = asyncio.create_task(self.snapshots.run())
        return self

    async def __aexit__(self, *_) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_the_body_is_published_as_received_and_numbered_per_symbol():
    async with World(Rest()) as world:
        for number in (0, 1, 0):
            assert world.ask(number)
            count = len(world.published)
            await world.until(lambda: len(world.published) > count)  # noqa: B023
        assert [(f.symbol, f.link, f.link_seq) for f in world.published] == [
            ("S0-USDT", "rest", 1),
            ("S1-USDT", "rest", 1),
            ("S0-USDT", "rest", 2),
        ]
        assert {f.kind for f in world.published} == {pb.RawFrame.KIND_REST_SNAPSHOT}
        assert {bytes(f.payload) for f in world.published} == {BODY}
        assert len(world.snapshots) == 0


async def test_a_renamed_symbol_goes_on_counting():
    async with World(Rest()) as world:
        for number, native in enumerate(("S0USDT", "S0USDT", "RENAMEDUSDT"), 1):
            world.snapshots.ask("S0-USDT", native, 5)
            await world.until(lambda: len(world.published) == number)  # noqa: B023
        assert [(f.native_symbol, f.link_seq) for f in world.published] == [
            ("S0USDT", 1),
            ("S0USDT", 2),
            ("RENAMEDUSDT", 3),
        ]


async def test_a_symbol_is_queued_once_and_the_urgent_overtake():
    world = World(Rest(held=True))
    for number in range(8):
        for _ in range(3):
            assert world.ask(number)
    world.ask(7, priority=1)
    world.ask(6, priority=2)
    async with world:
        world.rest.doors.set()
        await world.until(lambda: len(world.published) == 8)
    assert world.rest.started[:3] == ["S7USDT", "S6USDT", "S0USDT"]
    assert sorted(world.rest.started) == [f"S{number}USDT" for number in range(8)]


async def test_few_are_on_their_way_at_once():
    async with World(Rest(held=True)) as world:
        for number in range(10):
            world.ask(number)
        await world.until(lambda: len(world.rest.started) == module.PARALLEL)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(world.rest.started) == module.PARALLEL
        # Asked for again while it is on its way: the one on its way serves both.
        world.ask(0)
        world.rest.doors.set()
        await world.until(lambda: len(world.snapshots) == 0)
        assert world.rest.started.count("S0USDT") == 1


async def test_a_failure_is_repeated_when_the_exchange_allows_it(monkeypatch):
    monkeypatch.setattr(module, "RETRY", Backoff(0.01, 0.01))
    async with World(Rest()) as world:
        world.rest.fail["S0USDT"] = [RestError("slow down", status=429, retry_after_s=0.02)] * 2
        world.snapshots._entries.clear()
        world.ask(0)
        world.ask(1)
        await world.until(lambda: len(world.published) == 2)
        assert [f.symbol for f in world.published] == ["S1-USDT", "S0-USDT"]
        assert world.snapshots.counts == {"failed": 2, "published": 2}


async def test_a_failure_is_not_repeated_before_the_exchange_allows_it():
    async with World(Rest()) as world:
        world.rest.fail["S0USDT"] = [RestError("slow down", status=429, retry_after_s=0.4)]
        asked_s = time.monotonic()
        world.ask(0)
        await world.until(lambda: world.snapshots.counts["failed"] == 1)
        # Asking again does not shorten it.
        world.ask(0, priority=0)
        await world.until(lambda: world.published)
        assert time.monotonic() - asked_s > 0.39  # it can only be late
        assert world.rest.started == ["S0USDT"] * 2


async def test_what_is_pointless_is_given_up_with_a_line(caplog):
    async with World(Rest()) as world:
        world.rest.fail["S0USDT"] = [RestError("status 400: Invalid symbol", status=400, retry_after_s=None)]
        world.ask(0)
        await world.until(lambda: len(world.snapshots) == 0)
        assert not world.published
        assert any("S0-USDT given up" in line and "Invalid symbol" in line for line in caplog.messages)
        assert world.ask(0)
        await world.until(lambda: len(world.published) == 1)


async def test_a_symbol_that_is_no_longer_collected_is_not_fetched():
    world = World(Rest())
    world.ask(0)
    world.ask(1)
    world.wanted.discard("S0-USDT")
    async with world:
        await world.until(lambda: len(world.snapshots) == 0)
    assert world.rest.started == ["S1USDT"]


async def test_the_queue_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_QUEUED", 3)
    world = World(Rest(held=True))
    assert [world.ask(number) for number in range(5)] == [True, True, True, False, False]
    assert world.ask(0)


async def test_order_book_callbacks_get_the_parsed_snapshot():
    async with World(Rest()) as world:
        seen = []
        world.observers.add_book(seen.append)
        world.ask(0)
        await world.until(lambda: seen)
        assert seen[0]["type"] == "snapshot"
        assert (seen[0]["symbol"], seen[0]["seq"], seen[0]["bids"]) == ("S0-USDT", 7, [("1.0", "2.0")])
        world.rest.body = b'{"lastUpdateId":8}'
        world.ask(1)
        await world.until(lambda: len(world.published) == 2)
        assert len(seen) == 1


async def test_a_direct_fetch_gives_body_and_meaning():
    world = World(Rest())
    body, update = await world.snapshots.fetch("S0USDT", priority=1)
    assert (body, update.seq, update.snapshot) == (BODY, 7, True)
    world.rest.body = b"{}"
    with pytest.raises(FrameError):
        await world.snapshots.fetch("S0USDT", priority=1)
