"""A TCP proxy that can do what networks do, and a pipeline whose every connection goes through one.

Each process reaches NATS, and each ingest its exchange, through a proxy of its own; so a fault hits one process alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

from services.simulator.venues.registry import emulated
from tests.soak.record import WatchedServer
from tests.support.pipeline import Pipeline

_RESET = struct.pack("ii", 1, 0)
_CHUNK = 1 << 16


@dataclass(eq=False)
class Pair:
    """One connection through the proxy: both of its ends."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    websocket: bool = False
    held: bool = False
    """What arrives is swallowed: the connection is half open."""
    began_s: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def reset(self) -> None:
        """A TCP reset to both ends."""
        for writer in (self.near, self.far):
            _linger(writer)
            writer.transport.abort()

    def finish(self) -> None:
        """An orderly end of TCP, without a word of the protocol above."""
        for writer in (self.near, self.far):
            with contextlib.suppress(OSError):
                writer.close()


class Proxy:
    """New connections are served at once, unless `refusing` or `stalling`."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.held = False
        """Every connection, also a coming one, is half open."""
        self.refusing = False
        self.stalling = False
        """New connections are accepted and never answered."""
        self.delay_s = 0.0
        """How long each piece is kept."""
        self.slice = 0
        """Bytes that travel together; 0: as they come."""
        self.pairs: set[Pair] = set()
        self._server: asyncio.Server | None = None
        self._stalled: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def websockets(self) -> list[Pair]:
        """Open websocket connections that are not half open, oldest first."""
        return sorted((pair for pair in self.pairs if pair.websocket and not pair.held), key=lambda pair: pair.began_s)

    def cut(self) -> None:
        """Resets every connection."""
        self.held = False
        for pair in list(self.pairs):
            pair.reset()

    def heal(self) -> None:
        """Ends every fault; connections that were half open are reset, as what they missed cannot be made good."""
        for pair in list(self.pairs):
            if pair.held or self.held:
                pair.reset()
        for writer in list(self._stalled):
            writer.transport.abort()
        self.held = self.refusing = self.stalling = False
        self.delay_s, self.slice = 0.0, 0

    def stop(self) -> None:
        self.heal()
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            _linger(writer)
            writer.transport.abort()
            return
        if self.stalling:
            self._stalled.add(writer)
            with contextlib.suppress(OSError):
                await reader.read()
            self._stalled.discard(writer)
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        for one in (writer, far_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = Pair(writer, far_writer)
        self.pairs.add(pair)
        try:
            await asyncio.gather(self._pump(pair, reader, far_writer), self._pump(pair, far_reader, writer))
        finally:
            self.pairs.discard(pair)
            for one in (writer, far_writer):
                one.transport.abort()

    async def _pump(self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if data.startswith(b"GET ") and b"\r\nupgrade: websocket" in data[:2000].lower():
                    pair.websocket = True  # perhaps after REST requests on the same connection
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.held or pair.held:
                    continue
                await self._write(writer, data)
        if (pair.held or self.held) and writer is pair.near:
            return  # whoever is at the other end must not learn of it
        writer.transport.abort()

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        size = self.slice
        if not size or len(data) > 200 * size:
            writer.write(data)
        else:
            for start in range(0, len(data), size):
                if writer.transport.is_closing():
                    return
                writer.write(data[start : start + size])
                await asyncio.sleep(0)
        await writer.drain()


def _linger(writer: asyncio.StreamWriter) -> None:
    """The close that follows is a reset."""
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


class ProxiedPipeline(Pipeline):
    """As `Pipeline`, with the monitor; `bus_proxies` by the name of the service, `exchange_proxies` by code."""

    def __init__(self, folder: Path, simulator: WatchedServer, env: dict[str, str], twofold: list[str]) -> None:
        """`twofold`: exchanges that get two lines."""
        lines = {f"HOGA_EXCHANGES_{code.upper()}_LINES": "2" for code in twofold}
        super().__init__(folder, simulator=simulator, env={**env, **lines})
        self.watched, self.twofold = simulator, twofold
        self.services["monitor"] = ["services.monitor"]
        self.bus_proxies = {name: Proxy() for name in self.services}
        self.exchange_proxies = {code: Proxy() for code in emulated()}

    async def prepare(self) -> None:
        for proxy in self.bus_proxies.values():
            proxy.target = self.nats.port
        for proxy in self.exchange_proxies.values():
            proxy.target = int(self.simulator.url.rsplit(":", 1)[1])
        for proxy in (*self.bus_proxies.values(), *self.exchange_proxies.values()):
            await proxy.start()

    async def __aexit__(self, *details: object) -> None:
        for proxy in (*self.bus_proxies.values(), *self.exchange_proxies.values()):
            proxy.heal()
        await super().__aexit__(*details)
        for proxy in (*self.bus_proxies.values(), *self.exchange_proxies.values()):
            proxy.stop()

    def environment(self, name: str) -> dict[str, str]:
        bus = {"HOGA_NATS_URL": f"nats://127.0.0.1:{self.bus_proxies[name].port}"}
        return {**super().environment(name), **bus, "HOGA_MONITOR_PORT": "0", "HOGA_METRICS_PORT": "0"}

    def exchange_url(self, code: str) -> str:
        return f"http://127.0.0.1:{self.exchange_proxies[code].port}/{code}"
