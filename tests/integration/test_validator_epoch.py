"""A validator's epoch is above that of the life before, on a real server with deploy/nats/nats.conf."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from hoga.runtime.config import load_settings
from hoga.runtime.health import HealthBoard
from hoga.runtime.nats_bus import NatsBus
from hoga.runtime.service import ServiceContext
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb, subjects
from services.validator import service
from services.validator.epoch import new_epoch

from .deployed_nats import bus_of, deployed_server

HOUR_US = 3_600_000_000


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with deployed_server(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def bus(server: NatsServer, caplog: pytest.LogCaptureFixture) -> AsyncIterator[NatsBus]:
    async with bus_of(server, "validator") as connected:
        yield connected
    assert "permission" not in caplog.text


async def keep_books(bus: NatsBus, *epochs: int) -> None:
    """The stream, with a book of each epoch, each of a market of its own; the last one is the newest."""
    await bus.ensure_stream(subjects.BOOKS_STREAM, [subjects.book("*")], max_bytes=64 << 20, max_age_s=20.0)
    for number, epoch in enumerate(epochs):
        book = pb.OrderBook(exchange="upbit", symbol=f"C{number}-KRW", epoch=epoch)
        subject = subjects.book("upbit", book.symbol)
        bus.publish(subject, book.SerializeToString())
        while await bus.last(subjects.BOOKS_STREAM, subject) is None:
            await asyncio.sleep(0.01)


async def test_a_clock_that_was_set_back_does_not_set_the_epoch_back(bus: NatsBus) -> None:
    before = time.time_ns() // 1000 + HOUR_US
    await keep_books(bus, before - HOUR_US, before)
    assert await new_epoch(bus) == before + 1


@pytest.mark.parametrize("age_us", [None, HOUR_US])
async def test_otherwise_the_epoch_is_the_time(bus: NatsBus, age_us: int | None) -> None:
    now = time.time_ns() // 1000
    await keep_books(bus, *([] if age_us is None else [now - age_us]))
    assert now <= await new_epoch(bus) < now + HOUR_US


async def test_where_there_is_no_stream_the_epoch_is_the_time_and_a_warning_says_so(
    bus: NatsBus, caplog: pytest.LogCaptureFixture
) -> None:
    now = time.time_ns() // 1000
    assert now <= await new_epoch(bus) < now + HOUR_US
    assert "no stream BOOKS" in caplog.text


async def test_a_validator_that_starts_goes_on_above_the_books_it_finds(bus: NatsBus) -> None:
    before = time.time_ns() // 1000 + HOUR_US
    await keep_books(bus, before)
    board = HealthBoard("validator", "i")
    ctx = ServiceContext("validator", load_settings(env={}), bus, board, "i", asyncio.Event(), None)
    running = asyncio.create_task(service.main(ctx))
    while not board.epoch:
        assert not running.done()
        await asyncio.sleep(0.01)
    ctx.stopping.set()
    await running
    assert board.epoch == before + 1
