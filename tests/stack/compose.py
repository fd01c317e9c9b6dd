"""The project's own compose file, brought up from a copy with settings, passwords and ports of the test.

Grafana is left out: its image cannot be made where no image registry is reached (engine.sh).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COPIED = (
    *("docker-compose.yml", ".dockerignore", "requirements.lock", "requirements-native.lock"),
    *("deploy", "hoga", "native", "services"),
)
LEFT_OUT = "grafana"
RUN_ONCE = {"demo", "endpoints"}
"""They end before the others start."""
PASSWORDS = {
    "CONSUMER": "7#4 $x",
    "INGEST": "12345",
    "VALIDATOR": "validator-secret",
    "AGGREGATOR": "aggregator-secret",
    "MONITOR": "{monitor: secret}",
    "WINDOW": "window-secret",
}
PORTS = ("NATS_PORT", "MONITOR_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")


KILL_ALL = """
import contextlib, os, signal
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()):
        # the kernel refuses where Docker is just entering with a health check, as root until that runs
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(name), signal.SIGKILL)
"""
ASK_SIMULATOR = """
import sys, urllib.request
asked = urllib.request.Request(
    "http://127.0.0.1:9200/control", sys.argv[1].encode(), {"Content-Type": "application/json"}
)
urllib.request.urlopen(asked, timeout=10).read()
"""


class CommandError(AssertionError):
    """A docker command failed; the text holds what it said."""


def run(*command: str, timeout_s: float = 120.0, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Standard output of a command; CommandError where it fails."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=cwd,
        env=env,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise CommandError(
            f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


class Stack:
    """One compose project of its own name; `folder` takes the copy."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.project = f"hoga-stack-{secrets.token_hex(3)}"
        self.ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self.started = 0.0
        """When `up` was called first, Unix seconds."""
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        lines = [f"{name}={value}" for name, value in (self.ports | settings).items()]
        lines += [f"NATS_{user}_PASSWORD='{password}'" for user, password in PASSWORDS.items()]
        (folder / ".env").write_text("\n".join(lines) + "\n", "utf-8")

    # --- compose

    def compose(self, *arguments: str, demo: bool = True, timeout_s: float = 300.0) -> str:
        profile = ("--profile", "demo") if demo else ()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("HOGA_", "NATS_", "COMPOSE_"))
        }
        command = ("nice", "docker", "compose", "-p", self.project, *profile, *arguments)
        return run(*command, timeout_s=timeout_s, cwd=self.folder, env=kept)

    def config(self) -> dict[str, Any]:
        """The file as compose understands it."""
        found: dict[str, Any] = json.loads(self.compose("config", "--format", "json"))
        return found

    def services(self, *, demo: bool = True) -> list[str]:
        """Names of the services that are brought up here."""
        return sorted(set(self.compose("config", "--services", demo=demo).split()) - {LEFT_OUT})

    def up(self, *, demo: bool = True) -> None:
        self.compose("up", "-d", *self.services(demo=demo), demo=demo)

    def down(self) -> None:
        self.compose("down", "-v", "--remove-orphans", timeout_s=180.0)

    def leftovers(self) -> list[str]:
        """Containers, networks and volumes that carry the project's label."""
        label = f"label=com.docker.compose.project={self.project}"
        kinds = (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"))
        return [line for kind in kinds for line in run("docker", *kind, "--filter", label).split()]

    # --- containers

    def container(self, service: str) -> str:
        return self.compose("ps", "-aq", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run("docker", "inspect", self.container(service)))[0]
        return found

    def logs(self, service: str) -> str:
        return self.compose("logs", "--no-log-prefix", "--no-color", service)

    def fetch(self, port: str, path: str) -> str:
        """What a published port answers, as seen from this machine."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=20) as answer:
            text: str = answer.read().decode()
        return text

    def crash(self, service: str) -> None:
        """SIGKILL to everything in the container but its init, from inside: to Docker a crash, which it mends;
        `docker kill` would count as a wish."""
        program = {"nats": "nats-server", "prometheus": "prometheus"}.get(service)
        command = ("sh", "-c", f"kill -9 $(pidof {program})") if program else ("python", "-c", KILL_ALL)
        try:
            self.compose("exec", "-T", service, *command)
        except CommandError as error:
            if "exit code 137" not in str(error):  # the container may end before the command does, and it with it
                raise

    def ask_simulator(self, deed: dict[str, object]) -> None:
        """One action of the simulator's fault control."""
        self.compose("exec", "-T", "simulator", "python", "-c", ASK_SIMULATOR, json.dumps(deed))

    def memory(self) -> dict[str, tuple[float, float]]:
        """MiB in use and MiB allowed, of every running container."""
        running = {line.split()[1]: line.split()[0] for line in self._docker_ps()}
        table = run("docker", "stats", "--no-stream", "--format", "{{ .ID }} {{ .MemUsage }}", *running.values())
        used = {row.split()[0]: row.split()[1::2] for row in table.splitlines()}
        return {service: (_mebibytes(used[found][0]), _mebibytes(used[found][1])) for service, found in running.items()}

    def _docker_ps(self) -> list[str]:
        label = f"label=com.docker.compose.project={self.project}"
        shown = '{{ .ID }} {{ .Label "com.docker.compose.service" }}'
        return run("docker", "ps", "--filter", label, "--format", shown).splitlines()

    def wait_healthy(self, services: list[str], timeout_s: float = 90.0) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            status = {service: self.inspect(service)["State"]["Health"]["Status"] for service in services}
            if set(status.values()) == {"healthy"}:
                return
            if time.monotonic() > deadline:
                raise CommandError(f"not healthy after {timeout_s:g} s: {status}")
            time.sleep(0.5)


def _mebibytes(text: str) -> float:
    """Of a size as `docker stats` writes it."""
    for unit, factor in (("KiB", 2**-10), ("MiB", 1.0), ("GiB", 2.0**10), ("B", 2**-20)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise CommandError(f"docker stats: {text!r} is no size")


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
