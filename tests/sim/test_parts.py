"""The parts that a simulated world stands on: loop, clock, pipe."""

import asyncio
import random
import secrets
import socket
import threading
import time
from contextvars import copy_context

import pytest

from services.ingest.pacing import Pacer
from tests.sim.clock import WALL_START_NS, Clock
from tests.sim.loop import START_S, SimLoop, SimulationError, context_of
from tests.sim.pipe import Pipe


@pytest.fixture
def loop():
    loop = SimLoop(limit_s=10_000)
    yield loop
    loop.close()


def test_time_jumps_to_the_next_timer_and_timers_run_by_their_moment(loop):
    seen = []

    async def after(seconds):
        await asyncio.sleep(seconds)
        seen.append((seconds, round(loop.time() - START_S)))

    async def all_of_them():
        await asyncio.gather(after(3600), after(5), after(60))

    loop.run_until_complete(all_of_them())
    assert seen == [(5, 5), (60, 60), (3600, 3600)]


def test_a_world_that_stands_still_is_an_error(loop):
    with pytest.raises(SimulationError, match="stands still"):
        loop.run_until_complete(loop.create_future())


def test_busy_waiting_ends_with_the_time_that_is_allowed():
    loop = SimLoop(limit_s=0.01)

    async def forever():
        while True:
            await asyncio.sleep(0)

    with pytest.raises(SimulationError, match="did not end"):
        loop.run_until_complete(forever())
    for _, task in loop.unfinished():
        task._log_destroy_pending = False
    loop.close()


def test_work_for_an_executor_runs_inline_and_its_errors_come_back(loop):
    async def both():
        assert await asyncio.to_thread(lambda: threading.current_thread() is threading.main_thread())
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)

    loop.run_until_complete(both())


@pytest.mark.parametrize(
    "attempt",
    [lambda: asyncio.open_connection("127.0.0.1", 1), lambda: asyncio.start_server(print, "127.0.0.1", 0)],
)
def test_real_connections_are_refused(loop, attempt):
    with pytest.raises(SimulationError, match="real I/O"):
        loop.run_until_complete(attempt())


def test_nothing_of_a_held_owner_runs_until_it_is_released(loop):
    seen = []

    async def live(name):
        try:
            while True:
                await asyncio.sleep(1)
                seen.append(name)
        finally:
            seen.append(f"{name} ends")

    async def main():
        frozen = context_of("frozen")
        tasks = [loop.create_task(live("frozen"), context=frozen), loop.create_task(live("free"))]
        await asyncio.sleep(1.5)
        loop.hold("frozen")
        await asyncio.sleep(2)
        assert seen == ["frozen", "free", "free", "free"]
        loop.release("frozen")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen[-1] == "frozen"
        loop.hold("frozen")
        for task in tasks:
            task.cancel()
        await asyncio.sleep(5)
        assert "free ends" in seen
        assert "frozen ends" not in seen  # killed: not even `finally`
        assert [owner for owner, _ in loop.unfinished() if owner == "frozen"] == ["frozen"]
        loop.release("frozen")
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(main())


def test_every_clock_is_virtual_within_and_real_outside(loop):
    before = time.monotonic, time.time_ns, socket.socket, secrets.token_hex
    real_ns = time.time_ns()
    with Clock() as clock:
        clock.begin(loop, 1)

        async def look():
            pacer = Pacer(1.0)  # its clock is a default argument, bound when the class was made
            await pacer.wait()
            await asyncio.sleep(100)
            assert pacer.take() == 0.0
            assert pacer.take() == pytest.approx(1.0, abs=0.01)
            assert time.monotonic() == loop.time()
            assert time.monotonic_ns() == int(loop.time() * 1e9)
            assert time.time_ns() == WALL_START_NS + int(loop.time() * 1e9)
            clock.offset_ns = -5_000_000_000
            assert time.time_ns() == WALL_START_NS + int(loop.time() * 1e9) - 5_000_000_000

        loop.run_until_complete(look())
        for attempt in (lambda: socket.socket(), lambda: threading.Thread(target=print).start(), lambda: time.sleep(0)):
            with pytest.raises(SimulationError):
                attempt()
    assert (time.monotonic, time.time_ns, socket.socket, secrets.token_hex) == before
    assert time.time_ns() >= real_ns
    assert Pacer(1.0).take() == 0.0


def test_chance_is_seeded():
    drawn = []
    for seed in (1, 1, 2):
        loop = SimLoop()
        with Clock() as clock:
            clock.begin(loop, seed)
            drawn.append((random.random(), secrets.token_hex(3)))
        loop.close()
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_pipe_keeps_the_order_however_latencies_vary(loop):
    dice = random.Random(1)
    arrived = []
    pipe = Pipe(loop, lambda: dice.choice((0.001, 5.0)), arrived.append, copy_context())

    async def send():
        for number in range(50):
            pipe.put(number, 10)
            await asyncio.sleep(dice.random())
        assert pipe.size == 10 * len(pipe)
        await asyncio.sleep(10)

    loop.run_until_complete(send())
    assert arrived == list(range(50))
    assert pipe.size == 0


def test_a_pipe_that_is_held_loses_nothing_and_one_that_is_cut_keeps_a_beginning(loop):
    arrived = []
    pipe = Pipe(loop, lambda: 0.1, arrived.append, copy_context())

    async def send():
        pipe.hold("stall")
        pipe.hold("unread")
        for number in range(10):
            pipe.put(number)
        await asyncio.sleep(1)
        pipe.release("stall")
        await asyncio.sleep(1)
        assert arrived == []
        assert pipe.lose(keep=3) == 7
        pipe.release("unread")
        await asyncio.sleep(1)

    loop.run_until_complete(send())
    assert arrived == [0, 1, 2]
