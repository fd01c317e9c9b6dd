"""A whole monitor in this process, on a bus of memory: what `services.monitor.__main__` runs, one tick at a time."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hoga.runtime.health import HealthBoard
from hoga.runtime.service import ServiceContext
from hoga.runtime.settings import MonitorSettings, Settings
from hoga.testing.fake_bus import FakeBus
from services.monitor.__main__ import listen, make_watch
from services.monitor.watch import Watch
from services.monitor.web import Web

from .monitor_world import World


@dataclass
class Room:
    bus: FakeBus
    world: World
    watch: Watch
    web: Web

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web.port}/"

    async def tick(self, *, moves: float = 1.0) -> None:
        """One second's worth of messages, and the monitor's look at them."""
        self.world.beat()
        self.world.move(moves)
        await self.bus.settle()
        self.watch.settle(self.watch.manager.check(self.watch.clock()))
        self.web.ticked()

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Ticks by itself, as the service does, and moves the books in between."""
        task = asyncio.create_task(self._live())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            await self.tick()
            for _ in range(5):
                await asyncio.sleep(0.1)
                self.world.move(0.3)


@contextlib.asynccontextmanager
async def room(*, books_per_exchange: int = 5) -> AsyncIterator[Room]:
    bus = FakeBus()
    context = ServiceContext(
        name="monitor",
        settings=Settings(monitor=MonitorSettings(port=0)),
        bus=bus,
        health=HealthBoard("monitor", "a1b2c3"),
        instance="a1b2c3",
        stopping=asyncio.Event(),
        args=argparse.Namespace(),
    )
    watch = make_watch(context)
    web = Web(watch, context.health, context.settings.monitor)
    await web.start()
    await listen(context, watch)
    made = Room(bus, World(bus, books_per_exchange=books_per_exchange), watch, web)
    try:
        await made.tick()
        yield made
    finally:
        await web.stop()
