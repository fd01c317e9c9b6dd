"""One process of `hoga up`: started, listened to, started again when it dies, stopped.

1. Its output goes line by line to a rotated log file and to whoever listens.
2. When it ends by itself it is started again, later each time (0.5 s to 30 s); after a quiet minute the delays
   begin anew. Exit code 2 means that its settings are wrong: starting it again would not help.
3. It is in a session of its own, so Ctrl-C in the terminal reaches only the parent, which then ends it orderly.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hoga.cli.leash import leash
from hoga.domain.backoff import Backoff
from hoga.domain.errors import snippet
from hoga.runtime.rotating_file import RotatingFile

EXIT_CONFIG = 2
RESTART = Backoff(0.5, 30.0)
QUIET_S = 60.0
LINE_BYTES = 8192
"""Longer lines are cut into several."""
LOG_BYTES = 16 << 20
LOG_KEEP = 2

_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z (ERROR|WARNING|INFO|DEBUG) \S+ \S+: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. `essential`: without it the rest is of no use; `first`: the others need it before they start."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    essential: bool = True
    first: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of output. `level` is empty where it is no log line (a traceback, a third party's)."""

    text: str
    level: str = ""


@dataclass(frozen=True, slots=True)
class Death:
    """A process ended without being asked to. `again_in_s` is None where it is not started again."""

    name: str
    code: int
    last_line: str
    again_in_s: float | None

    def describe(self) -> str:
        """`ended (exit code 1: ValueError: …); starting again in 0.5 s`"""
        if self.code < 0:
            how, why = f"killed by {signal.Signals(-self.code).name}", ""
        else:
            how, why = f"exit code {self.code}", f": {snippet(self.last_line)}" if self.last_line else ""
        then = "not started again" if self.again_in_s is None else f"starting again in {self.again_in_s:.1f} s"
        return f"ended ({how}{why}); {then}"


class Child:
    """Runs one spec until `stop`."""

    def __init__(
        self,
        spec: ChildSpec,
        log: Path,
        *,
        on_line: Callable[[str, Line], None],
        on_death: Callable[[Death], None],
    ) -> None:
        self.spec = spec
        self._log = RotatingFile(log, max_bytes=LOG_BYTES, keep=LOG_KEEP)
        self._on_line = on_line
        self._on_death = on_death
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._last: deque[Line] = deque(maxlen=20)
        self.starts = 0
        self.given_up = False
        self._unwritten = False
        """The log file could not be written, and that was said."""

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Returns once the process exists; OSError where it cannot be started at all."""
        process = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(process), name=f"child {self.spec.name}")

    async def stop(self, grace_s: float) -> bool:
        """SIGTERM, and SIGKILL after `grace_s`; whether the first was enough. Nothing where it does not run."""
        self._stop.set()
        self._signal(signal.SIGTERM)
        orderly = True
        if self._keeper is not None:
            done, _ = await asyncio.wait({self._keeper}, timeout=grace_s)
            if not done:
                orderly = False
                self._signal(signal.SIGKILL)
                await asyncio.wait({self._keeper})
        self._log.close()
        return orderly

    def kill(self) -> None:
        """SIGKILL, now; it is not started again."""
        self._stop.set()
        self._signal(signal.SIGKILL)

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        deaths = 0
        while True:
            started = time.monotonic()
            code = await self._until_end(process)
            if self._stop.is_set():
                return
            if time.monotonic() - started > QUIET_S:
                deaths = 0
            deaths += 1
            delay_s = RESTART.after(deaths)
            self.given_up = code == EXIT_CONFIG
            self._on_death(Death(self.spec.name, code, self._last_words(), None if self.given_up else delay_s))
            if self.given_up or await self._told_to_stop_within(delay_s):
                return
            process = await self._spawn()

    async def _told_to_stop_within(self, delay_s: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), delay_s)
        except TimeoutError:
            return False
        return True

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._last.clear()
        self.starts += 1
        self._process = await asyncio.create_subprocess_exec(
            *self.spec.command,
            env={**os.environ, **self.spec.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=leash(os.getpid()),
        )
        if self._stop.is_set():
            self._signal(signal.SIGTERM)
        return self._process

    async def _until_end(self, process: asyncio.subprocess.Process) -> int:
        rest = b""
        while process.stdout is not None and (chunk := await process.stdout.read(1 << 16)):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LINE_BYTES:
                lines.append(rest)
                rest = b""
            self._write(lines)
        self._write([rest] if rest else [])
        code = await process.wait()
        self._process = None
        return code

    def _write(self, lines: list[bytes]) -> None:
        try:
            self._log.append(line + b"\n" for line in lines)
            self._unwritten = False
        except OSError as error:  # a full disk must not stop what is logged about
            if not self._unwritten:
                text = f"cannot write its log file: {error.strerror}; its lines are lost until there is room"
                self._on_line(self.spec.name, Line(text, "ERROR"))
            self._unwritten = True
        for raw in lines:
            line = read_line(raw.decode("utf-8", "replace"))
            if line.text.strip():
                self._last.append(line)
                self._on_line(self.spec.name, line)

    def _last_words(self) -> str:
        """What it complained about last, else its last line."""
        complaint = next((line for line in reversed(self._last) if line.level in ("", "ERROR")), None)
        newest = complaint or (self._last[-1] if self._last else None)
        return newest.text.strip() if newest is not None else ""

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


def read_line(text: str) -> Line:
    """The level and the message of a line that `hoga.runtime.logs` wrote; any other line as it is."""
    found = _LOG_LINE.match(text)
    return Line(found[2], found[1]) if found else Line(text.rstrip("\r"))
