"""Every process of the stack may crash: Docker starts it again, and books of every exchange are LIVE again."""

from __future__ import annotations

import asyncio
import time

import pytest

from hoga.exchanges import registry

from .compose import RUN_ONCE, Stack
from .conftest import SETTINGS, Recorder, say
from .reading import BOOKS, live_and_all, live_books, wait_for

INGESTS = [f"ingest-{code.replace('_', '-')}" for code in registry.supported()]
OTHERS = ["validator", "nats", "aggregator", "monitor", "window", "prometheus", "simulator"]


@pytest.mark.parametrize("service", INGESTS + OTHERS)
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
    wanted = len(BOOKS) * int(SETTINGS["HOGA_SIMULATOR_SYMBOLS"])
    await asyncio.to_thread(wait_for, lambda: live_and_all(stack), (wanted, wanted))


def test_no_container_comes_near_its_limit_of_memory(stack: Stack, record_property: Recorder) -> None:
    """After all that; a user may collect many times as many books."""
    found = stack.memory()
    assert set(found) == set(stack.services()) - RUN_ONCE
    for service, (used, allowed) in sorted(found.items()):
        say(f"{service}: {used:.0f} of {allowed:.0f} MiB")
        record_property(f"mebibytes of {service}", round(used))
        assert used < allowed / 2, service
        assert not stack.inspect(service)["State"]["OOMKilled"], service
