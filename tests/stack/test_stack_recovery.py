"""Every process of the stack may crash: Docker starts it again, and books of every exchange are LIVE again."""

from __future__ import annotations

import asyncio
import time

import pytest

from .compose import Stack
from .conftest import Recorder, say
from .reading import live_books, wait_for


@pytest.mark.parametrize(
    "service", ["validator", "ingest-upbit", "nats", "aggregator", "monitor", "window", "simulator"]
)
async def test_a_crash_of_a_process_heals_by_itself(stack: Stack, service: str, record_property: Recorder) -> None:
    await live_books(stack, after_ns=time.time_ns())
    crashes = stack.inspect(service)["RestartCount"]
    crashed_ns = time.time_ns()
    stack.crash(service)
    await asyncio.to_thread(wait_for, lambda: stack.inspect(service)["RestartCount"] == crashes + 1)
    await live_books(stack, after_ns=time.time_ns())
    seconds = (time.time_ns() - crashed_ns) / 1e9
    say(f"{service} crashed; LIVE books of every exchange again {seconds:.1f} s later")
    record_property("seconds_to_live_books", round(seconds, 1))
    await asyncio.to_thread(stack.wait_healthy, [service])
