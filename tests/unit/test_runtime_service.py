"""The frame of a service, as a real process: start, refusals, signals, drain."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hoga.runtime.nats_bus import connect_nats
from hoga.runtime.settings import NatsSettings
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb

PATIENCE_S = 60.0
ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import argparse, asyncio, sys
from hoga.domain.errors import BusError, ConfigError
from hoga.runtime.service import run_service

def arguments(parser):
    parser.add_argument("--exchange", default="x", help="which exchange")
    parser.add_argument("--mode", default="wait")
    parser.add_argument("--no-bus", action="store_true")

async def main(ctx):
    ctx.health.exchange("x").raw_messages += 7
    first, second = ctx.now(), ctx.now()
    assert second.mono_ns >= first.mono_ns and second.wall_ns > 10**18
    print("running", ctx.name, ctx.instance, ctx.bus.connected, flush=True)
    mode = ctx.args.mode
    if mode == "config": raise ConfigError("exchange = y: allowed is x")
    if mode == "group":
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
    if mode == "bus": raise BusError("no stream")
    if mode == "bug": raise ZeroDivisionError("a bug")
    if mode == "return": return
    await ctx.stopping.wait()
    for _ in range(100): ctx.bus.publish("last.things", bytes(32 << 10))
    ctx.bus.publish("last.words", b"goodbye")
    print("draining", flush=True)
    if mode == "stubborn": await asyncio.sleep(3600)

async def fail():
    raise ConfigError("from a task")

no_bus = "--no-bus" in sys.argv
sys.exit(run_service(lambda args: f"test-{args.exchange}", main, add_arguments=arguments, needs_bus=not no_bus,
                     description="A service for tests."))
"""


class Service:
    """The script above as a child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.errors: list[str] = []
        assert process.stderr is not None
        self._reader = asyncio.create_task(self._read(process.stderr))
        self._changed = asyncio.Event()

    async def line(self) -> str:
        """The next line on stdout."""
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_S)).decode().strip()

    async def logged(self, text: str) -> str:
        """The first log line that holds `text`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for line in self.errors:
                    if text in line:
                        return line
                self._changed.clear()
                await self._changed.wait()

    async def end(self) -> int:
        code = await asyncio.wait_for(self.process.wait(), PATIENCE_S)
        await self._reader
        return code

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.errors.append(line.decode().rstrip())
            self._changed.set()


class Services:
    """Starts services and sees to it that none is left."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[Service] = []

    async def start(self, *arguments: str, **env: str) -> Service:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SCRIPT,
            *arguments,
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        service = Service(process)
        self._started.append(service)
        return service

    async def stop(self) -> None:
        for service in self._started:
            if service.process.returncode is None:
                service.process.kill()
            await service.end()


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    started = Services(tmp_path)
    yield started
    await started.stop()


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


def health_of(log_line: str) -> tuple[int, dict[str, object]]:
    url = next(word for word in log_line.split() if word.startswith("http")).removesuffix("/healthz") + "/healthz"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_with_zero(services: Services, nats: NatsServer, number: int) -> None:
    observer = await connect_nats(NatsSettings(url=nats.url), name="observer")
    heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    await observer.subscribe(">", lambda subject, payload: heard.put_nowait((subject, payload)))
    service = await services.start("--exchange", "y", HOGA_NATS_URL=nats.url)
    word, name, instance, connected = (await service.line()).split()
    assert (word, name, connected) == ("running", "test-y", "True")
    subject, payload = await asyncio.wait_for(heard.get(), PATIENCE_S)
    assert subject == f"ob.v1.health.test-y.{instance}"
    health = pb.Health.FromString(payload)
    assert (health.service, health.healthy) == ("test-y", True)
    assert health.resident_bytes > 1 << 20
    assert 2 <= health.tasks < 100
    service.signal(number)
    assert await service.line() == "draining"
    assert await service.end() == 0
    while subject != "last.words":
        subject, payload = await asyncio.wait_for(heard.get(), PATIENCE_S)
    assert payload == b"goodbye"
    await observer.close()


async def test_a_second_signal_exits_at_once(services: Services, nats: NatsServer) -> None:
    service = await services.start("--mode", "stubborn", HOGA_NATS_URL=nats.url)
    await service.line()
    service.signal(signal.SIGTERM)
    assert await service.line() == "draining"
    service.signal(signal.SIGTERM)
    assert await service.end() == 128 + signal.SIGTERM


async def test_waits_for_nats_and_says_so_in_the_log_and_in_healthz(services: Services, nats: NatsServer) -> None:
    nats.kill()
    service = await services.start(HOGA_NATS_URL=nats.url)
    line = await service.logged(f"NATS at {nats.url} does not answer (connection refused); trying again")
    assert "WARNING test-x" in line
    status, body = await asyncio.to_thread(health_of, await service.logged("healthz"))
    assert (status, body["reasons"]) == (503, {"bus": f"waiting for NATS at {nats.url}"})
    nats.restart()
    assert (await service.line()).startswith("running")
    status, body = await asyncio.to_thread(health_of, await service.logged("healthz"))
    assert (status, body["healthy"]) == (200, True)
    nats.kill()
    await service.logged("lost NATS")
    status, body = await asyncio.to_thread(health_of, await service.logged("healthz"))
    assert (status, body["reasons"]) == (503, {"bus": f"NATS at {nats.url} is away"})


async def test_a_signal_while_waiting_for_nats_ends_with_zero(services: Services, nats: NatsServer) -> None:
    nats.kill()
    service = await services.start(HOGA_NATS_URL=nats.url)
    await service.logged("trying again")
    service.signal(signal.SIGTERM)
    assert await service.end() == 0


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        ([], {"HOGA_VALIDATOR_DEPTH": "0"}, "HOGA_VALIDATOR_DEPTH = 0: allowed is a whole number from 1 to 1000"),
        (["--config", "missing.toml"], {}, "cannot read the settings file missing.toml: No such file or directory"),
        (["--no-bus", "--mode", "config"], {"LOG_LEVEL": "ERROR"}, "exchange = y: allowed is x"),
        (["--no-bus", "--mode", "group"], {"LOG_LEVEL": "ERROR"}, "from a task"),
        ([], {"HOGA_NATS_URL": "nats://h:99999", "LOG_LEVEL": "ERROR"}, "nats.url = nats://h:99999"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_exit_two(
    services: Services, arguments: list[str], env: dict[str, str], words: str
) -> None:
    service = await services.start(*arguments, **env)
    assert await service.end() == 2
    assert len(service.errors) == 1, service.errors
    assert service.errors[0].startswith(f"error: {words}")


async def test_a_busy_port_is_one_line_and_exit_two(services: Services) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = await services.start("--no-bus", HOGA_METRICS_PORT=str(port), LOG_LEVEL="ERROR")
        assert await service.end() == 2
        assert service.errors == [
            f"error: port {port} on 127.0.0.1 is busy: set HOGA_METRICS_PORT to another port (0: any free one)"
        ]


@pytest.mark.parametrize(("mode", "code", "words"), [("bus", 1, "no stream"), ("bug", 1, "ZeroDivisionError: a bug")])
async def test_a_failure_is_one_log_line_and_exit_one(services: Services, mode: str, code: int, words: str) -> None:
    service = await services.start("--no-bus", "--mode", mode, LOG_LEVEL="ERROR")
    assert await service.end() == code
    assert len(service.errors) == 1, service.errors
    assert words in service.errors[0]


async def test_main_may_simply_return(services: Services) -> None:
    service = await services.start("--no-bus", "--mode", "return")
    assert (await service.line()).endswith("False")
    assert await service.end() == 0


async def test_help_names_the_options(services: Services) -> None:
    service = await services.start("--help")
    assert service.process.stdout is not None
    text = (await asyncio.wait_for(service.process.stdout.read(), PATIENCE_S)).decode()
    assert await service.end() == 0
    assert all(word in text for word in ("A service for tests.", "--config FILE", "--exchange", "HOGA_CONFIG"))
