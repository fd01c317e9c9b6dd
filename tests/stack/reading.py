"""Books of the stack as a reader outside sees them: over the published port, as the user `consumer`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from hoga.client import Client
from hoga.client.book import BookView
from hoga.domain.types import State
from hoga.runtime.settings import NatsSettings

from .compose import PASSWORDS, Stack

BOOKS = {
    "binance_future": "BTC-USDT",
    "binance_spot": "BTC-USDT",
    "upbit": "BTC-KRW",
    "bithumb": "BTC-KRW",
    "bybit_spot": "BTC-USDT",
    "bybit_future": "BTC-USDT",
    "okx_spot": "BTC-USDT",
    "okx_swap": "BTC-USDT",
    "coinbase": "BTC-USD",
    "kraken": "BTC-USD",
    "gate_spot": "BTC-USDT",
    "korbit": "BTC-KRW",
}
PATIENCE_S = 90.0


def reader_settings(stack: Stack) -> NatsSettings:
    url = f"nats://127.0.0.1:{stack.ports['NATS_PORT']}"
    return NatsSettings(url=url, user="consumer", password=PASSWORDS["CONSUMER"])


def reader(stack: Stack) -> Client:
    return Client(settings=reader_settings(stack), timeout_s=30.0)


async def live_book(client: Client, exchange: str, *, after_ns: int = 0) -> BookView:
    """The first LIVE book of the exchange whose newest frame was received after `after_ns`."""
    async with asyncio.timeout(PATIENCE_S):
        async for book in client.books(exchange, BOOKS[exchange]):
            if book.state is State.LIVE and book.receive_time_ns > after_ns:
                return book
    raise AssertionError(f"the books of {exchange} ended")


async def live_books(stack: Stack, *, after_ns: int = 0) -> dict[str, BookView]:
    async with reader(stack) as client:
        found = await asyncio.gather(*(live_book(client, exchange, after_ns=after_ns) for exchange in BOOKS))
    return dict(zip(BOOKS, found, strict=True))


def page_state(stack: Stack) -> dict[str, Any]:
    """What the web page shows."""
    found: dict[str, Any] = json.loads(stack.fetch("MONITOR_PORT", "/api/state"))
    return found


def live_and_all(stack: Stack) -> tuple[int, int]:
    """How many books of the page are LIVE, and how many there are; (0, 0) while it does not answer."""
    try:
        verdict = page_state(stack)["verdict"]
    except OSError:
        return 0, 0
    return verdict["live"], verdict["books"]


def wait_for(get: Callable[[], object], wanted: object = True) -> None:
    """Until `get()` is what is wanted; AssertionError with what it was last."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := get()) != wanted and time.monotonic() < deadline:
        time.sleep(0.3)
    assert found == wanted
