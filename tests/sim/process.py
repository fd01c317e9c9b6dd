"""A process of ours in a world: one service's production `main` with its own bus connection, killed and started again.

`kill` is SIGKILL: nothing of it runs any more, not even `finally`; its kernel closes what it had open.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hoga.runtime.health import HealthBoard
from hoga.runtime.service import ServiceContext
from hoga.runtime.settings import Settings
from tests.sim.bus import SimBus
from tests.sim.loop import context_of

if TYPE_CHECKING:
    from tests.sim.world import World

DRAIN_S = 10.0
Main = Callable[[ServiceContext], Awaitable[None]]


class Process:
    def __init__(self, world: World, name: str, main: Main, args: argparse.Namespace, settings: Settings) -> None:
        self.name = name
        self.owner = ""
        self.bus: SimBus | None = None
        self.running = False
        """Started, and neither killed nor told to stop."""
        self.ready = False
        """The bus was reached and `main` began."""
        self.task: asyncio.Task[None] | None = None
        self.frozen = False
        self.hear: Callable[[str, bytes], None] | None = None
        """Sees what the process takes from the bus."""
        self.on_start: Callable[[], None] = lambda: None
        self._world, self._main, self._args, self._settings = world, main, args, settings
        self._lives = 0
        self._context: ServiceContext | None = None

    def start(self) -> None:
        if self.running:
            return
        self._lives += 1
        self.owner = f"{self.name}#{self._lives}"
        self.running, self.ready, self.frozen = True, False, False
        self._world.trace.note(self._world.loop.now, f"process {self.owner} starts")
        self.on_start()
        context = context_of(self.owner)
        self.task = self._world.loop.create_task(context.run(self._run), name=self.owner, context=context)
        self._world.graveyard.append((self.owner, self.task))

    def kill(self) -> None:
        """SIGKILL."""
        if not self.running:
            return
        self.running = self.ready = False
        self._world.loop.hold(self.owner)
        if self.bus is not None:
            self.bus.vanish()
        self._world.network.vanish(self.owner)

    def stop(self) -> None:
        """SIGTERM."""
        if self.ready and self._context is not None:
            self._context.stopping.set()

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.running and not self.frozen:
            self.frozen = True
            self._world.loop.hold(self.owner)

    def thaw(self) -> None:
        if self.running and self.frozen:
            self.frozen = False
            self._world.loop.release(self.owner)

    def _failed(self, problem: str) -> None:
        """A handler raised; while it stops, a service may have no answer to requests."""
        if self._context is None or not self._context.stopping.is_set():
            self._world.fail(f"H {problem}")

    async def _run(self) -> None:
        world, owner = self._world, self.owner
        bus = SimBus(world.broker, owner, self._failed)
        bus.hear = self.hear
        self.bus = bus
        await bus.start()
        board = HealthBoard(self.name, owner, start_time_ns=0)
        instance = world.clock.token_hex(3)
        context = ServiceContext(self.name, self._settings, bus, board, instance, asyncio.Event(), self._args)
        self._context, self.ready = context, True
        main = asyncio.ensure_future(self._main(context))
        stop = asyncio.ensure_future(context.stopping.wait())
        await asyncio.wait({main, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not main.done():
            await asyncio.wait({main}, timeout=DRAIN_S)
        if not main.done():
            world.fail(f"P {owner}: still busy {DRAIN_S:g} s after it was told to stop")
            main.cancel()
        elif main.exception() is not None:
            world.fail(f"P {owner}: gave up: {main.exception()!r}")
        elif not context.stopping.is_set():
            world.fail(f"P {owner}: ended by itself")
        stop.cancel()
        await bus.close()
        self.running = self.ready = False
        world.trace.note(world.loop.now, f"process {owner} has ended")
