"""A pipeline whose processes each reach NATS through a TCP proxy of their own, which can be held and cut."""

from __future__ import annotations

import asyncio
import contextlib

from tests.support.pipeline import Pipeline


class Proxy:
    """While `held` it swallows what it is given; `cut` breaks every connection. New ones are served at once."""

    def __init__(self) -> None:
        self.held = False
        self.port = 0
        self.target = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self.held = False
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self._open |= pair
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._open -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if not self.held:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()


class ProxiedPipeline(Pipeline):
    """As `Pipeline`; `proxies` by the name of the service."""

    proxies: dict[str, Proxy]

    async def __aenter__(self) -> ProxiedPipeline:
        self.proxies = {name: Proxy() for name in self.services}
        self.nats.start()
        for proxy in self.proxies.values():
            await proxy.start()
            proxy.target = self.nats.port
        await super().__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await super().__aexit__(*details)
        for proxy in self.proxies.values():
            proxy.stop()

    def start(self, name: str) -> None:
        common = self._env
        self._env = {**common, "HOGA_NATS_URL": f"nats://127.0.0.1:{self.proxies[name].port}"}
        super().start(name)
        self._env = common
