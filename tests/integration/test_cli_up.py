"""`hoga up --simulate` for real: from nothing to LIVE books, through a crash, to nothing again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from hoga.cli import ports
from hoga.client import BookView, Client
from tests.integration.cli_support import HOGA, PATIENCE_S, environment, hoga

START_PATIENCE_S = 100.0


class Up:
    """A running `hoga up`: its output and its children."""

    def __init__(self, process: asyncio.subprocess.Process, nats: str, page: str, logs: Path) -> None:
        self.process = process
        self.nats = nats
        self.page = page
        self.logs = logs
        self.said: list[str] = []

    async def until(self, words: str) -> str:
        """The next line that holds `words`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_PATIENCE_S):
            while line := (await self.process.stdout.readline()).decode():
                self.said.append(line.rstrip())
                if words in line:
                    return line
        raise AssertionError("ended before it said " + words + ":\n" + "\n".join(self.said))

    def children(self) -> dict[str, int]:
        """Pid by what is run: `services.validator`, `nats-server`."""
        found = {}
        for pid in _pids():
            if _parent(pid) == self.process.pid:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                name = next((word for word in command if word.startswith("services.")), Path(command[0]).name)
                found[name] = pid
        return found


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read_logs(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.log")}


async def _gone(pids: list[int]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(_runs(pid) for pid in pids):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def up(folder: Path, *arguments: str) -> AsyncIterator[Up]:
    """`hoga up --simulate --exchange upbit` on ports of its own."""
    nats = f"nats://127.0.0.1:{ports.any_free('127.0.0.1')}"
    page = ports.any_free("127.0.0.1")
    simulator = ports.any_free("127.0.0.1")
    process = await asyncio.create_subprocess_exec(
        *HOGA,
        *("--nats", nats, "up", "--simulate", "--exchange", "upbit", "--port", str(page), "--logs", str(folder)),
        *arguments,
        cwd=folder,
        env=environment(HOGA_SIMULATOR_PORT=str(simulator)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Up(process, nats, f"http://127.0.0.1:{page}", folder)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()


async def live(client: Client, unlike: int = 0) -> BookView:
    """A LIVE book of another epoch than `unlike`."""
    async with asyncio.timeout(START_PATIENCE_S):
        async for book in client.books("upbit", "BTC-KRW"):
            if book.live and book.epoch != unlike:
                return book
    raise AssertionError("the stream ended")


@pytest.mark.timeout(300)
async def test_from_nothing_to_live_books_through_a_crash_to_nothing(tmp_path: Path) -> None:
    async with up(tmp_path) as it:
        assert re.search(r"\d+ of \d+ books are LIVE after [\d.]+ s", await it.until("books are LIVE"))
        assert it.page in await it.until("web page")
        assert f"hoga --nats {it.nats} watch upbit BTC-KRW" in await it.until("watch")
        children = it.children()
        assert set(children) == {
            "nats-server",
            *(f"services.{name}" for name in ("simulator", "validator", "aggregator", "ingest", "monitor")),
        }

        async with aiohttp.ClientSession() as session, session.get(it.page) as answer:
            assert answer.status == 200
        async with Client(it.nats) as client:
            epoch = (await live(client)).epoch
            os.kill(children["services.validator"], signal.SIGKILL)
            assert "killed by SIGKILL); starting again in 0.5 s" in await it.until("validator")
            assert (await live(client, unlike=epoch)).epoch != epoch
        assert it.children()["services.validator"] != children["services.validator"]

        second = await hoga("--nats", it.nats, "up", "--simulate", "--exchange", "upbit", cwd=tmp_path)
        assert second.code == 2
        assert f"another hoga runs on {it.nats} already (ingest-upbit, validator)" in second.err

        pids = list(it.children().values())
        it.process.send_signal(signal.SIGINT)
        assert "stopped after" in await it.until("stopped")
        assert await asyncio.wait_for(it.process.wait(), PATIENCE_S) == 0
        assert not any(_runs(pid) for pid in pids)
        logs = read_logs(tmp_path)
        assert {"validator.log", "ingest-upbit.log", "nats.log", "monitor.log", "aggregator.log"} <= set(logs)
        assert "stopped" in logs["validator.log"]
        assert not [name for name, text in logs.items() if "Traceback" in text]


@pytest.mark.timeout(300)
async def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    async with up(tmp_path) as it:
        await it.until("books are LIVE")
        pids = list(it.children().values())
        assert len(pids) == 6
        it.process.send_signal(signal.SIGKILL)
        await it.process.wait()
        await _gone(pids)


async def test_a_termination_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    async with up(tmp_path) as it:
        await it.until("log files")
        async with asyncio.timeout(PATIENCE_S):
            while "services.simulator" not in it.children():
                await asyncio.sleep(0.02)
        pids = list(it.children().values())
        it.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(it.process.wait(), PATIENCE_S) == 0
        assert not any(_runs(pid) for pid in pids)


# What cannot be had is said before anything is started.


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (("--port", "{busy}"), {}, "port {busy} on 127.0.0.1 is busy: the web page needs another one (--port"),
        ((), {"HOGA_MONITOR_PORT": "{busy}"}, "port {busy} on 127.0.0.1 is busy: the web page"),
        ((), {"HOGA_SIMULATOR_PORT": "{busy}"}, "port {busy} on 127.0.0.1 is busy: the simulator"),
        (("--nats", "nats://127.0.0.1:{busy}"), {}, "port {busy} on 127.0.0.1 is busy: the NATS server"),
        ((), {"HOGA_NATS_URL": "nats://127.0.0.1:{busy}"}, "port {busy} on 127.0.0.1 is busy: the NATS server"),
        (("--nats", "nats://127.7.7.7:1"), {}, "cannot reach NATS at nats://127.7.7.7:1"),
        ((), {"HOGA_MONITOR_HOST": "203.0.113.7"}, "the web page cannot listen on 203.0.113.7"),
        ((), {"HOGA_VALIDATOR_DEPTH": "0"}, "HOGA_VALIDATOR_DEPTH = 0: allowed is"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_one_line(
    arguments: tuple[str, ...], variables: dict[str, str], words: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = str(taken.getsockname()[1])
        free = f"nats://127.0.0.1:{ports.any_free('127.0.0.1')}"
        if "--nats" not in arguments and "HOGA_NATS_URL" not in variables:
            arguments = ("--nats", free, *arguments)
        outcome = await hoga(
            "up",
            "--simulate",
            *(argument.format(busy=busy) for argument in arguments),
            cwd=tmp_path,
            **{name: value.format(busy=busy) for name, value in variables.items()},
        )
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert words.format(busy=busy) in outcome.err
    assert outcome.out == ""
    assert os.listdir(tmp_path) == []
