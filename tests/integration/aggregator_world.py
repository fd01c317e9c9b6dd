"""A world for the aggregator's tests: ingests that answer with listings of real shapes, and what comes of them.

async with running(bus, top_n=2) as world:
    universe = await world.next("binance_spot")
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from hoga.domain.types import Stamp
from hoga.runtime.bus import Bus
from hoga.runtime.config import Settings, UniverseSettings
from hoga.runtime.health import HealthBoard
from hoga.runtime.service import ServiceContext
from hoga.wire import packing, pb, subjects
from services.aggregator.follower import Follower
from services.aggregator.service import Aggregator

WAIT_S = 60.0
SPOT = {"BTC-USDT": ("60000", "900"), "ETH-USDT": ("3000", "500"), "XRP-USDT": ("0.5", "100"), "ETH-BTC": ("0.05", "1")}
KOREA = {"BTC-KRW": ("84000000", "1400000"), "USDT-KRW": ("1400", "7000000"), "XRP-KRW": ("700", "560000")}


@dataclass
class Ingest:
    """Answers listing requests as ingest does, in the shapes of Binance spot or of Upbit."""

    bus: Bus
    code: str
    markets: dict[str, tuple[str, str]]
    """Symbol -> (last price, 24 h turnover in its quote)."""
    halted: set[str] = field(default_factory=set)
    answer: bytes | None = None
    """Answered instead of the listing where set."""
    asked: int = 0
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> Ingest:
        await self.bus.serve(subjects.rpc("listing", self.code), self._reply)
        return self

    def live(self, instance: str = "i1") -> None:
        self.bus.publish(subjects.health(f"ingest-{self.code}", instance), b"")

    async def more(self, times: int) -> None:
        """Returns when it was asked `times` more: all answers but the last have been dealt with."""
        wanted = self.asked + times
        async with asyncio.timeout(WAIT_S):
            while self.asked < wanted:
                self._asked.clear()
                await self._asked.wait()

    async def _reply(self, _subject: str, payload: bytes) -> bytes:
        request = pb.ListingRequest.FromString(payload)
        assert request.instruments
        assert request.tickers
        self.asked += 1
        self._asked.set()
        if self.answer is not None:
            return self.answer
        bodies = self._upbit() if self.code == "upbit" else self._binance()
        packed = [packing.compress(json.dumps(body).encode()) for body in bodies]
        return pb.ListingReply(instruments=packed[:1], tickers=packed[1:]).SerializeToString()

    def _binance(self) -> list[Any]:
        listed = [(symbol, *symbol.split("-")) for symbol in self.markets]
        return [
            {
                "symbols": [
                    {
                        "symbol": base + quote,
                        "status": "BREAK" if symbol in self.halted else "TRADING",
                        "baseAsset": base,
                        "quoteAsset": quote,
                    }
                    for symbol, base, quote in listed
                ]
            },
            [
                {"symbol": base + quote, "lastPrice": self.markets[symbol][0], "quoteVolume": self.markets[symbol][1]}
                for symbol, base, quote in listed
            ],
        ]

    def _upbit(self) -> list[Any]:
        codes = {symbol: "-".join(reversed(symbol.split("-"))) for symbol in self.markets}
        return [
            [{"market": code, "korean_name": "코인", "english_name": "Coin"} for code in codes.values()],
            [
                {"market": codes[symbol], "trade_price": float(price), "acc_trade_price_24h": float(turnover)}
                for symbol, (price, turnover) in self.markets.items()
            ],
        ]


class Clock:
    """A monotonic clock that stands still unless told."""

    def __init__(self) -> None:
        self.mono_ns = 1_000_000_000

    def forward(self, seconds: float) -> None:
        self.mono_ns += int(seconds * 1e9)


@dataclass(slots=True)
class ClockedContext(ServiceContext):
    clock: Clock

    def now(self) -> Stamp:
        return Stamp(self.clock.mono_ns, 1_788_265_296_000_000_000 + self.clock.mono_ns)


class World:
    """An aggregator on a bus, and everything it published, in order."""

    def __init__(self, bus: Bus, **universe: Any) -> None:
        self.clock = Clock()
        settings = Settings(universe=UniverseSettings(**{"refresh_s": 0.02, **universe}))
        self.board = HealthBoard("aggregator", "test")
        self.stopping = asyncio.Event()
        self.context = ClockedContext(
            "aggregator", settings, bus, self.board, "test", self.stopping, argparse.Namespace(), self.clock
        )
        self.aggregator = Aggregator(self.context)
        self.bus = bus
        self.universes: asyncio.Queue[pb.Universe] = asyncio.Queue()
        self._listed = {code: asyncio.Event() for code in self.aggregator.followers}
        for follower in self.aggregator.followers.values():
            follower._on_listing = self._noting(follower._on_listing)
        self._task: asyncio.Task[None] | None = None

    def _noting(self, on_listing: Callable[[Follower], None]) -> Callable[[Follower], None]:
        def note(follower: Follower) -> None:
            on_listing(follower)
            self._listed[follower.desk.code].set()

        return note

    async def listed(self, code: str) -> None:
        """Returns when the first listing of `code` has been dealt with."""
        await asyncio.wait_for(self._listed[code].wait(), WAIT_S)

    async def start(self) -> None:
        await self.bus.subscribe(subjects.universe("*"), self._on_universe)
        self._task = asyncio.create_task(self.aggregator.run())

    async def stop(self) -> None:
        self.stopping.set()
        if self._task is not None:
            await asyncio.wait_for(self._task, WAIT_S)

    def _on_universe(self, subject: str, payload: bytes) -> None:
        universe = pb.Universe.FromString(payload)
        assert subject == subjects.universe(universe.exchange)
        self.universes.put_nowait(universe)

    async def until(self, wanted: Callable[[pb.Universe], bool], code: str = "binance_spot") -> pb.Universe:
        """The first universe of `code`, from here on, that is what is wanted."""
        async with asyncio.timeout(WAIT_S):
            while True:
                universe = await self.universes.get()
                if universe.exchange == code and wanted(universe):
                    return universe

    async def next(self, code: str = "binance_spot") -> pb.Universe:
        return await self.until(lambda _: True, code)

    async def fresh(self, ingest: Ingest) -> pb.Universe:
        """A universe that was made of a listing asked for from now on."""
        asked = ingest.asked
        return await self.until(lambda _: ingest.asked >= asked + 2, ingest.code)


@contextlib.asynccontextmanager
async def running(bus: Bus, **universe: Any) -> AsyncIterator[World]:
    world = World(bus, **universe)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


def symbols(universe: pb.Universe) -> list[str]:
    return [entry.symbol for entry in universe.entries]
