"""The client over a real nats-server: late joining, loss, and the server's death and return."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from hoga.client import BookView, Client, State
from hoga.domain.errors import BusError, ConfigError
from hoga.runtime.config import NatsSettings
from hoga.runtime.nats_bus import connect_nats
from hoga.testing.nats_server import NatsServer
from tests.integration.cli_support import EPOCH, PATIENCE_S, ROOT, Publisher


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


@pytest.fixture
async def publisher(server: NatsServer) -> AsyncIterator[Publisher]:
    publisher = Publisher(await connect_nats(NatsSettings(url=server.url), name="publisher"))
    await publisher.ensure_streams()
    yield publisher
    await publisher.stop()


async def newest(books: AsyncIterator[BookView], state: State = State.LIVE) -> BookView:
    """The next book in that state."""
    async with asyncio.timeout(PATIENCE_S):
        async for book in books:
            if book.state is state:
                return book
    raise AssertionError("the stream ended")


async def test_a_late_joiner_gets_the_current_book_then_the_live_ones(server: NatsServer, publisher: Publisher) -> None:
    for _ in range(3):
        publisher.book()
    async with Client(server.url) as client:
        while (kept := await client.book("binance_spot", "BTC-USDT")) is None or kept.revision < 3:
            await asyncio.sleep(0.02)  # until the stream has taken the last one
    async with Client(server.url) as client, client.books("binance_spot", "BTC-USDT", conflate=False) as books:
        first = await newest(books)
        assert (first.revision, first.lost) == (3, 0)
        assert str(first.bids[0].price) == "61500.10"
        for skip, expected in ((0, 4), (2, 7)):
            publisher.book(skip=skip)
            book = await newest(books)
            assert (book.revision, book.lost) == (expected, skip)


async def test_a_client_that_starts_before_the_validator_waits_for_it(server: NatsServer) -> None:
    async with Client(server.url) as client, client.books() as books:
        waiting = asyncio.create_task(newest(books))
        publisher = Publisher(await connect_nats(NatsSettings(url=server.url), name="publisher"))
        await publisher.ensure_streams()
        publisher.book()
        assert (await waiting).revision == 1
        await publisher.stop()


async def test_a_killed_bus_makes_books_stale_and_its_return_live_again(
    server: NatsServer, publisher: Publisher
) -> None:
    async with Client(server.url, stale_after_s=1.0) as client, client.books() as books:
        publisher.book()
        assert (await newest(books)).live
        server.kill()
        stale = await newest(books, State.STALE)
        assert not client.connected
        assert stale.reason
        server.start()
        returned = asyncio.Event()
        publisher.bus.on_connection(lambda up: returned.set() if up else None)
        if not publisher.bus.connected:
            await asyncio.wait_for(returned.wait(), PATIENCE_S)
        while not client.connected:  # what is said before it is back may be lost: the bus is at most once
            await asyncio.sleep(0.02)
        revision = publisher.book()
        book = await newest(books)
        while book.revision < revision:
            book = await newest(books)
        assert book.revision == revision
        assert client.connected


async def test_a_dead_publisher_makes_books_stale_and_a_new_one_is_a_new_epoch(
    server: NatsServer, publisher: Publisher
) -> None:
    async with Client(server.url, stale_after_s=1.0) as client, client.books() as books:
        publisher.book()
        assert (await newest(books)).live
        publisher.alive.cancel()
        assert (await newest(books, State.STALE)).reason == "its publisher is silent"
        heir = Publisher(publisher.bus, epoch=EPOCH + 1)
        heir.book()
        book = await newest(books)
        assert (book.epoch, book.new_epoch, book.lost) == (EPOCH + 1, True, 0)
        heir.alive.cancel()


async def test_all_current_books_are_found(server: NatsServer, publisher: Publisher) -> None:
    symbols = [f"S{number:03d}-USDT" for number in range(300)]
    for symbol in symbols:
        publisher.book(symbol)
    async with Client(server.url) as client:
        while await client.book("binance_spot", symbols[-1]) is None:  # until the stream has taken the last one
            await asyncio.sleep(0.02)
        assert [book.symbol for book in await client.current()] == symbols


async def test_nobody_at_the_address_is_one_clear_error(server: NatsServer) -> None:
    url = server.url
    server.stop()
    started = asyncio.get_running_loop().time()
    with pytest.raises(BusError) as caught:
        async with Client(url):
            pass
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)
    assert asyncio.get_running_loop().time() - started < PATIENCE_S


async def test_what_is_no_address_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="not an address"):
        async with Client("not an address"):
            pass


@pytest.mark.parametrize(("example", "argument"), [("books.py", ["binance_spot", "BTC-USDT"]), ("callbacks.py", [])])
async def test_the_examples_print_books(
    server: NatsServer, publisher: Publisher, example: str, argument: list[str]
) -> None:
    publisher.book()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / example),
        *argument,
        env={**os.environ, "HOGA_NATS_URL": server.url, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert b"BTC-USDT" in line
        assert b"61500.1" in line
    finally:
        process.terminate()
        await process.wait()
