"""The processes of a benchmark: started with one environment, weighed by what the kernel says of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Weight:
    """CPU seconds used so far and resident bytes now."""

    cpu_s: float
    resident: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def weigh(pid: int) -> Weight:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Weight((int(fields[11]) + int(fields[12])) / _TICKS, pages * _PAGE)


class Processes:
    """Children by name; use as a context manager."""

    def __init__(self, env: dict[str, str], logs: Path) -> None:
        self._env = {**{k: v for k, v in os.environ.items() if not k.startswith("HOGA_")}, **env}
        self._logs = logs
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.pids: dict[str, int] = {}

    def start(self, name: str, *module: str) -> None:
        with (self._logs / f"{name}.log").open("wb") as log:
            child = subprocess.Popen([sys.executable, "-m", *module], env=self._env, stdout=log, stderr=log)
        self.children[name] = child
        self.pids[name] = child.pid

    def weigh(self) -> dict[str, Weight]:
        for name, child in self.children.items():
            if child.poll() is not None:
                raise SystemExit(
                    f"{name} ended with {child.returncode}:\n{(self._logs / f'{name}.log').read_text()[-2000:]}"
                )
        return {name: weigh(pid) for name, pid in self.pids.items()}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
