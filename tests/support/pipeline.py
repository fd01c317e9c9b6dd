"""The whole system as processes over a real nats-server, against the simulator in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hoga.runtime.config import load_settings
from hoga.runtime.nats_bus import NatsBus, connect_nats
from hoga.testing.nats_server import NatsServer
from hoga.wire import subjects
from services.simulator.options import Options
from services.simulator.server import SimulatorServer
from services.simulator.venues.registry import emulated
from tests.support.oracle import Oracle


class Pipeline:
    """Use as an async context manager. `services` maps a name to its `python -m` arguments."""

    def __init__(
        self,
        folder: Path,
        *,
        options: Options | None = None,
        env: dict[str, str] | None = None,
        simulator: SimulatorServer | None = None,
    ) -> None:
        self.folder = folder
        self.nats = NatsServer()
        self.simulator = simulator or SimulatorServer(options or Options(symbols=3, rate=10.0))
        self.oracle = Oracle(self.simulator)
        self.services = {
            "validator": ["services.validator"],
            "aggregator": ["services.aggregator"],
            **{f"ingest-{code}": ["services.ingest", "--exchange", code] for code in emulated()},
        }
        self._env = env or {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.bus: NatsBus | None = None

    async def __aenter__(self) -> Pipeline:
        self.nats.start()
        await self.simulator.start()
        await self.prepare()
        for name in self.services:
            self.start(name)
        settings = load_settings(env={"HOGA_NATS_URL": self.nats.url})
        self.bus = await connect_nats(settings.nats, name="oracle")
        await self.bus.subscribe(subjects.book("*"), self.oracle.book)
        return self

    async def prepare(self) -> None:
        """What else must run before the services do."""

    async def __aexit__(self, *_: object) -> None:
        if self.bus is not None:
            await self.bus.close()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        await self.simulator.stop()
        self.nats.stop()

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *self.services[name]], env=self.environment(name), stdout=log, stderr=log
            )

    def environment(self, name: str) -> dict[str, str]:
        """The whole environment of a process."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("HOGA_")},
            "HOGA_NATS_URL": self.nats.url,
            "HOGA_UNIVERSE_REFRESH_S": "5",
            **{
                f"HOGA_EXCHANGES_{code.upper()}_{kind}_URL": f"{scheme}{self.exchange_url(code)[4:]}"
                for code in emulated()
                for kind, scheme in (("WS", "ws"), ("REST", "http"))
            },
            **self._env,
        }

    def exchange_url(self, code: str) -> str:
        """Where the exchange is reached, `http://…` without a trailing slash."""
        return f"{self.simulator.url}/{code}"

    def pids(self) -> dict[str, int]:
        """Of every service, and of the bus."""
        return {name: process.pid for name, process in self._processes.items()} | {"nats-server": self.nats.pid}

    def signal(self, name: str, number: signal.Signals) -> None:
        self._processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.signal(name, signal.SIGKILL)
        self._processes[name].wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def logs(self, chars: int = 1500) -> str:
        """The end of every log, for a failing test to show."""
        return "\n".join(f"--- {name}\n{self.log(name)[-chars:]}" for name in self.services)

    async def until(self, condition: Callable[[], bool], what: str, patience_s: float = 40.0) -> float:
        """Waits for a condition; seconds it took. Fails with every log where it does not come."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > patience_s:
                counts = dict(self.oracle.seen)
                raise AssertionError(f"{what} did not come in {patience_s} s; seen {counts}\n{self.logs()}")
            await asyncio.sleep(0.02)
        return time.monotonic() - began
