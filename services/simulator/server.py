"""The simulator as a server: every exchange below one port, `/<code>/…` for websocket and REST alike.

    async with SimulatorServer(Options(symbols=3)) as simulator:
        simulator.url                                   # http://127.0.0.1:PORT
        simulator.truth("binance_spot", "BTCUSDT", seq=…)
        simulator.faults.drop("binance_spot", "BTCUSDT", 1)

Rules it keeps:
1. The loop paces; what is late is late (see `World`).
2. A slow client is cut off; nobody else notices.
3. It needs nothing but a port: no bus, no files.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from aiohttp import WSMsgType, web

from hoga.domain.types import Stamp
from hoga.exchanges import registry
from services.simulator import control
from services.simulator.desk import Desk
from services.simulator.link import Link
from services.simulator.options import Options
from services.simulator.tape import Tape
from services.simulator.tape_venue import TapeMarket, TapeVenue
from services.simulator.venues import registry as emulators
from services.simulator.venues.base import Answer, Call
from services.simulator.world import World

ROUND_S = 0.004
"""Frames due within one round travel together."""


def system_clock() -> Stamp:
    return Stamp(time.monotonic_ns(), time.time_ns())


class SimulatorServer(World):
    def __init__(
        self, options: Options | None = None, tape: Tape | None = None, clock: Callable[[], Stamp] = system_clock
    ) -> None:
        options = options or Options()
        super().__init__(options if tape is None else replace(options, exchanges=()), clock)
        for code, track in tape.tracks.items() if tape is not None else ():
            exchange = registry.get(code)
            emulator = emulators.get(code)(TapeMarket(exchange, track), seed=options.seed)
            if not options.client_limits:
                emulator.unlimited()
            speed = tape.speed if tape else 1.0
            self.venues[code] = TapeVenue(exchange, emulator, self.now, options.slow_client_bytes, track, speed)
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._pacer: asyncio.Task[None] | None = None
        self._links = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serves; the base address without a trailing slash. OSError where the port is taken."""
        app = web.Application(client_max_size=1 << 20)
        control.add_routes(app, self)
        app.router.add_route("*", "/{code}/{tail:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        bound = runner.addresses[0][1]
        self.url = f"http://{host}:{bound}"
        self._pacer = asyncio.create_task(self._pace(), name="simulator-pacer")
        return self.url

    async def stop(self) -> None:
        if self._pacer is not None:
            self._pacer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pacer
            self._pacer = None
        for venue in self.venues.values():
            await venue.stop()
            for link in list(venue.links):
                link.abort()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> SimulatorServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _pace(self) -> None:
        self.begin()
        while True:
            if self.advance():
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(max(self.next_due_s() - self._now_s(), ROUND_S))

    def pacing(self) -> bool:
        """Whether frames are being paced."""
        return self._pacer is not None and not self._pacer.done()

    # serving

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        venue = self.venues.get(request.match_info["code"])
        if venue is None:
            known = ", ".join(self.venues)
            return web.json_response({"error": f"no such exchange here; known: {known}"}, status=404)
        call = Call(
            path="/" + request.match_info["tail"],
            query=dict(request.query),
            client=request.remote or "",
            now=self.now(),
            origin="Origin" in request.headers,
        )
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request, venue, call)
        venue.counts.rest += 1
        return _response(venue, await self._answer(venue, call))

    async def _answer(self, venue: Desk, call: Call) -> Answer:
        fault = self.faults.rest_fault(venue, call)
        if fault is None:
            return await venue.rest(call)
        await asyncio.sleep(fault.delay_s)
        return fault.answer(await venue.rest(call) if fault.spares else None)

    async def _websocket(self, request: web.Request, venue: Desk, call: Call) -> web.StreamResponse:
        answer = self.faults.connect_answer(venue)
        opened = answer or venue.emulator.open(call)
        if isinstance(opened, Answer):
            return _response(venue, opened)
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20, timeout=1.0)
        try:
            await ws.prepare(request)
        except ConnectionResetError:  # gone before it was answered
            return web.Response(status=400)
        transport = request.transport
        if transport is None:
            return ws
        self._links += 1
        link = Link(self._links, call.client, opened, transport)
        venue.attach(link)
        venue.flush_link(link)
        try:
            await self._read(venue, link, ws)
        finally:
            venue.detach(link)
        return ws

    async def _read(self, venue: Desk, link: Link, ws: web.WebSocketResponse) -> None:
        while True:
            message = await ws.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                venue.received(link, message.data)
            elif message.type is WSMsgType.PING:
                venue.pinged(link, bytes(message.data))
            elif message.type is WSMsgType.PONG:
                venue.ponged(link, bytes(message.data))
            else:
                return
            venue.flush_link(link)


def _response(venue: Desk, answer: Answer) -> web.Response:
    if answer.status != 200:
        venue.counts.refused += 1
    return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
