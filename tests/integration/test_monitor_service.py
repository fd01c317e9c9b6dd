"""The monitor as a process, on a real nats-server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from hoga.runtime.nats_bus import NatsBus, connect_nats
from hoga.runtime.settings import NatsSettings
from hoga.testing.nats_server import NatsServer
from hoga.wire import subjects

from .monitor_world import World

PATIENCE_S = 60.0


class Monitor:
    """A running `python -m services.monitor`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.report = asyncio.Event()
        """Set with the first line on stdout."""
        self.printed: list[str] = []
        self._url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._readers = [asyncio.create_task(self._read_log()), asyncio.create_task(self._read_output())]

    async def state(self, session: aiohttp.ClientSession, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first state that is as wanted."""
        seen: dict[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                url = await self._url
                while True:
                    async with session.get(f"{url}api/state") as answer:
                        seen = await answer.json()
                    if wanted(seen):
                        return seen
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(
                f"never as wanted: {seen.get('verdict')} {seen.get('alerts')} {self.lines[-5:]}"
            ) from None

    async def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await asyncio.gather(*self._readers)
        return code

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode())
            if found := re.search(r"web page on (\S+)", self.lines[-1]):
                self._url.set_result(found[1])

    async def _read_output(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.printed.append(line.decode())
            self.report.set()


@contextlib.asynccontextmanager
async def running(nats: NatsServer, **knobs: str) -> AsyncIterator[Monitor]:
    environment = {
        **os.environ,
        "HOGA_NATS_URL": nats.url,
        "HOGA_MONITOR_PORT": "0",
        "HOGA_MONITOR_STATS_PERIOD_S": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.monitor",
        env=environment | knobs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Monitor(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def world_on(nats: NatsServer) -> AsyncIterator[tuple[World, NatsBus]]:
    bus = await connect_nats(NatsSettings(url=nats.url), name="world", timeout_s=20)
    await bus.ensure_stream(subjects.BOOKS_STREAM, [f"{subjects.PREFIX}.book.>"], max_bytes=32 << 20)
    try:
        yield World(bus, books_per_exchange=3), bus
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def alive(world: World, *, rate: float) -> AsyncIterator[None]:
    task = asyncio.create_task(world.run(rate=rate))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_late_monitor_knows_books_that_moved_before_it_came_and_never_since() -> None:
    with NatsServer() as nats:
        async with world_on(nats) as (world, _bus), aiohttp.ClientSession() as session:
            world.move()
            async with alive(world, rate=0), running(nats) as monitor:
                state = await monitor.state(session, lambda state: state["verdict"]["live"] == 12)
                assert state["verdict"]["level"] == "ok"
                assert all(row["bid"] and row["ask"] for row in state["books"])
                assert await monitor.end() == 0


async def test_it_outlives_the_bus_and_says_so_meanwhile_and_reports_statistics() -> None:
    with NatsServer() as nats:
        async with world_on(nats) as (world, bus), aiohttp.ClientSession() as session:
            async with alive(world, rate=10), running(nats) as monitor:
                await monitor.state(session, lambda state: state["verdict"]["live"] == 12)
                nats.kill()
                state = await monitor.state(session, lambda state: not state["bus"])
                state = await monitor.state(session, lambda state: state["verdict"]["live"] == 0)
                assert [alert["subject"] for alert in state["alerts"]] == ["bus"]
                nats.restart()
                state = await monitor.state(session, lambda state: state["bus"] and state["verdict"]["live"] == 12)
                await monitor.state(session, lambda state: not state["alerts"])
                async with asyncio.timeout(PATIENCE_S):
                    await monitor.report.wait()
                assert await monitor.end() == 0
            assert bus.connected
    assert monitor.printed[0] == "== 오더북 데이터 관리자 통계 ==\n"
    assert re.fullmatch(r"총 메시지 수: [\d,]+개\n", monitor.printed[1])
    assert not [line for line in monitor.lines if "Traceback" in line]


async def test_a_busy_port_is_one_line_that_names_the_knob() -> None:
    with NatsServer() as nats:
        listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with listener, running(nats, HOGA_MONITOR_PORT=str(port)) as monitor:
            async with asyncio.timeout(PATIENCE_S):
                assert await monitor.process.wait() == 2
                await asyncio.gather(*monitor._readers)
    errors = [line for line in monitor.lines if line.startswith("error:")]
    assert errors == [
        f"error: port {port} on 127.0.0.1 is busy: set HOGA_MONITOR_PORT to another port (0: any free one)\n"
    ]
