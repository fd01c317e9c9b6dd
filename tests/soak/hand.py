"""What every verb needs: where to strike, and how to undo it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from services.simulator.venues.registry import emulated
from tests.soak.judge import Judge
from tests.soak.proxy import ProxiedPipeline

Market = tuple[str, str]
LINK_GAPS_S = 40.0
"""For how long a lost link, or what follows from it, may be a reason for gaps."""


class Hand:
    def __init__(self, pipeline: ProxiedPipeline, judge: Judge, dice: random.Random) -> None:
        self.pipeline, self.judge, self.dice = pipeline, judge, dice
        self.simulator = pipeline.simulator
        self.faults = pipeline.simulator.faults
        self.halted: list[Market] = []
        self.quieted: list[Market] = []
        self.delisted: list[Market] = []
        self.guests: list[Market] = []
        """Markets that were listed on top of the first ones."""
        self.down: set[str] = set()
        """Processes that do not run."""
        self._tasks: set[asyncio.Task[None]] = set()

    def code(self, kind: str, *, gaps_s: float = 0.0, among: list[str] | None = None) -> str:
        """An exchange that is about to be hit."""
        code = self.dice.choice(among or emulated())
        self.judge.caused(kind, code, gaps_s=gaps_s)
        return code

    def market(self, kind: str, *, gaps_s: float = 0.0, among: list[str] | None = None) -> Market:
        code = self.dice.choice(among or emulated())
        native = self.dice.choice(self.simulator.venues[code].natives())
        self.judge.caused(kind, f"{code} {native}", gaps_s=gaps_s)
        return code, native

    def listed(self, market: Market) -> bool:
        return market[1] in self.simulator.market.exchanges[market[0]].symbols

    def later(self, deed: Coroutine[Any, Any, None]) -> None:
        """Runs beside the other faults; `mend` waits for it."""
        task = asyncio.create_task(deed)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def mend(self) -> None:
        """Ends every fault that lasts."""
        await asyncio.gather(*self._tasks)
        self.faults.clear()
        for proxy in (*self.pipeline.exchange_proxies.values(), *self.pipeline.bus_proxies.values()):
            proxy.heal()
        for market in filter(self.listed, self.quieted):
            self.faults.wake(*market)
        for market in filter(self.listed, self.halted):
            self.judge.caused("resume", f"{market[0]} {market[1]}")
            self.faults.resume(*market)
        self.quieted.clear()
        self.halted.clear()
        for market in list(self.delisted):
            self.relist(market)
        for market in filter(self.listed, self.guests):
            self.delist(market)
        self.guests.clear()

    def quiet(self, market: Market) -> None:
        self.faults.quiet(*market)
        self.quieted.append(market)

    def delist(self, market: Market) -> None:
        self.judge.caused("delist", f"{market[0]} {market[1]}", gaps_s=90)
        self.judge.record.ended(*market)
        self.faults.delist(*market)

    def relist(self, market: Market) -> None:
        self.delisted.remove(market)
        self.judge.caused("relist", f"{market[0]} {market[1]}", gaps_s=90)
        self.faults.relist(*market)
        self.judge.record.follow(*market)
