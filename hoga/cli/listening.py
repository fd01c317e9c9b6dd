"""A board kept up to date from the bus, for `hoga top` and `hoga up`.

Books are counted by reading the kept ones every few seconds: following them all live would cost more than the
answer is worth.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hoga.cli.board import Board
from hoga.client import Client
from hoga.domain.errors import BusError

BOOKS_EVERY_S = 2.0


@asynccontextmanager
async def listening(
    client: Client, changed: Callable[[], None] = lambda: None, *, books_every_s: float = BOOKS_EVERY_S
) -> AsyncIterator[Board]:
    """The board, until the block ends; `changed` is called when there is something new."""
    board = Board()

    async def health() -> None:
        async for message in client.health():
            board.health(message, time.monotonic_ns())
            changed()

    async def links() -> None:
        async for message in client.links():
            board.link(message, time.monotonic_ns())

    async def books() -> None:
        while True:
            try:
                board.books(await client.current())
            except BusError:
                board.books([])
            changed()
            await asyncio.sleep(books_every_s)

    tasks = [asyncio.create_task(work()) for work in (health, links, books)]
    try:
        yield board
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
