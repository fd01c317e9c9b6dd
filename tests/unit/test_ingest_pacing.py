"""How fast sends and connects may follow each other, with a clock of our own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.exchanges import registry
from hoga.runtime.settings import IngestSettings
from services.ingest.line import Patience
from services.ingest.pacing import Pacer
from services.ingest.slot import Slot


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> int:
        return int(self.now * 1e9)


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 8),
    pauses=st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_no_window_holds_more_turns_than_burst_plus_rate(rate, burst, pauses):
    clock = Clock()
    pacer = Pacer(rate, burst, clock=clock)
    turns = []
    for pause in pauses:
        clock.now += pause
        turns.append(clock.now + pacer.take())
    assert turns == sorted(turns)
    for first in range(len(turns)):
        for last in range(first, len(turns)):
            assert last - first + 1 <= burst + rate * (turns[last] - turns[first]) + 1e-6


@given(rate=st.floats(0.1, 50), burst=st.integers(1, 8))
def test_nobody_waits_longer_than_needed(rate, burst):
    clock = Clock()
    pacer = Pacer(rate, burst, clock=clock)
    assert [pacer.take() for _ in range(burst)] == pytest.approx([0.0] * burst, abs=1e-9)
    assert pacer.take() == pytest.approx(1 / rate)


def test_after_a_hold_the_turns_come_one_by_one():
    clock = Clock()
    pacer = Pacer(10.0, 5, clock=clock)
    pacer.hold(3.0)
    pacer.hold(1.0)
    assert pacer.held_s == pytest.approx(3.0)
    assert [pacer.take() for _ in range(3)] == pytest.approx([3.0, 3.1, 3.2])


async def test_a_hold_stops_those_who_wait_already():
    pacer = Pacer(1000.0)
    pacer.hold(0.05)
    waiters = [asyncio.create_task(pacer.wait()) for _ in range(3)]
    await asyncio.sleep(0.01)
    pacer.hold(0.3)
    await asyncio.wait(waiters, timeout=0.1)
    assert not any(waiter.done() for waiter in waiters)
    await asyncio.gather(*waiters)
    assert pacer.held_s == 0


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_pacer_without_turns_is_refused(rate, burst):
    with pytest.raises(ValueError, match="pacer needs"):
        Pacer(rate, burst)


def test_only_a_connection_that_held_clears_the_record_of_failures():
    shared = SimpleNamespace(exchange=registry.get("upbit"), patience=Patience(healthy_s=10.0))
    slot = Slot(shared, IngestSettings(backoff_min_s=0.25, backoff_max_s=2.0), Pacer(1.0), "s", "i", print)
    assert all(slot._failed_s() <= ceiling_s for ceiling_s in (0.25, 0.5, 1.0, 2.0, 2.0, 2.0))
    slot._lasted(9.9)
    assert slot._failures == 6
    slot._lasted(10.0)
    assert slot._failed_s() <= 0.25
