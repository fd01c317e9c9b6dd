"""What the tests of the NATS bus share: messages and connection changes that can be awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hoga.runtime.nats_bus import NatsBus, connect_nats
from hoga.runtime.settings import NatsSettings
from hoga.testing.nats_server import NatsServer

PATIENCE_S = 30.0
"""For a slow machine; nothing here takes a second of it."""
LEAN = True
"""Whether a bus has the short way through nats-py, where nothing else is said."""


class Received:
    """A message handler that keeps what came, and lets a test wait for it."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._changed = asyncio.Event()

    def __call__(self, subject: str, payload: bytes) -> None:
        self.messages.append((subject, payload))
        self._changed.set()

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload in self.messages]

    def of(self, subject: str) -> list[bytes]:
        return [payload for found, payload in self.messages if found == subject]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def payload(self, payload: bytes) -> None:
        """Returns when `payload` has come."""
        await self.until(lambda: payload in self.payloads)


class Connection:
    """Keeps the connection changes of a bus."""

    def __init__(self, bus: NatsBus) -> None:
        self.changes: list[bool] = []
        self._changed = asyncio.Event()
        bus.on_connection(self._note)

    def _note(self, up: bool) -> None:
        self.changes.append(up)
        self._changed.set()

    async def count(self, changes: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.changes) < changes:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def bus_on(server: NatsServer, name: str = "test", **settings: object) -> AsyncIterator[NatsBus]:
    found = NatsSettings(**{"url": server.url, "lean": LEAN, **settings})
    bus = await connect_nats(found, name=name, timeout_s=PATIENCE_S)
    try:
        yield bus
    finally:
        await bus.close()


def until(condition: Callable[[], bool]) -> None:
    """Waits in a thread for something of which no event tells."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
