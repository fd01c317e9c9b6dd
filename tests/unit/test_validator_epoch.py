"""The epoch of a validator where the bus does not help."""

from __future__ import annotations

import asyncio
import time

import pytest

from hoga.testing.fake_bus import FakeBus
from hoga.wire import pb, subjects
from services.validator import epoch
from services.validator.epoch import new_epoch

HOUR_US = 3_600_000_000


class DeafBus(FakeBus):
    async def last(self, stream: str, subject: str) -> bytes | None:
        await asyncio.sleep(1000)
        return None


async def bus_with(payload: bytes) -> FakeBus:
    bus = FakeBus()
    await bus.ensure_stream(subjects.BOOKS_STREAM, [subjects.book("*")], max_bytes=1 << 20)
    bus.publish(subjects.book("upbit", "BTC-KRW"), payload)
    return bus


def is_now(found: int) -> bool:
    return 0 <= time.time_ns() // 1000 - found < HOUR_US


async def test_nothing_answers(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(epoch, "PATIENCE_S", 0.01)
    assert is_now(await new_epoch(DeafBus()))
    assert "the wall clock decides" in caplog.text


async def test_the_bus_is_away(caplog: pytest.LogCaptureFixture) -> None:
    bus = FakeBus()
    bus.go_away()
    assert is_now(await new_epoch(bus))
    assert "is away" in caplog.text


async def test_the_book_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    assert is_now(await new_epoch(await bus_with(b"\xff\xff")))
    assert "the wall clock decides" in caplog.text


async def test_a_clock_that_was_set_back_is_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    before = time.time_ns() // 1000 + HOUR_US
    bus = await bus_with(pb.OrderBook(epoch=before).SerializeToString())
    assert await new_epoch(bus) == before + 1
    assert "set back" in caplog.text
