"""The simulator as a server: every exchange below one port, `/<code>/…` for websocket and REST alike.

    async with SimulatorServer(Options(symbols=3)) as simulator:
        simulator.url                                   # http://127.0.0.1:PORT
        simulator.truth("binance_spot", "BTCUSDT", seq=…)
        simulator.faults.drop("binance_spot", "BTCUSDT", 1)

Rules it keeps:
1. The loop's clock paces; a late round sends less, it never catches up in a rush.
2. A slow client is cut off; nobody else notices.
3. It needs nothing but a port: no bus, no files.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from dataclasses import replace
from types import TracebackType

from aiohttp import WSMsgType, web

from hoga.domain.types import Stamp
from hoga.exchanges.binance.speak import BinanceDialect
from hoga.exchanges.bithumb.speak import BithumbDialect
from hoga.exchanges.dialect import Answer, Call, Dialect, MarketPort
from hoga.exchanges.upbit.speak import UpbitDialect
from services.simulator import control
from services.simulator.deeds import Faults
from services.simulator.desk import Desk
from services.simulator.link import Link
from services.simulator.market import Market, Truth
from services.simulator.options import Options
from services.simulator.tape import Tape
from services.simulator.tape_venue import TapeMarket, TapeVenue
from services.simulator.venue import Venue

ROUND_S = 0.004
"""Frames due within one round travel together."""
TICK_S = 0.05
_LATEST_S = 0.25
"""A market further behind than this skips the windows it missed."""
_UNLIMITED = 10**9


class SimulatorServer:
    def __init__(self, options: Options | None = None, tape: Tape | None = None) -> None:
        self.options = options or Options()
        self.clock_offset_ns = 0
        if tape is not None:
            self.options = replace(self.options, exchanges=())
        self.market = Market(self.options, time.time_ns() // 1_000_000)
        self.venues: dict[str, Desk] = {}
        for code, market in self.market.exchanges.items():
            spoken = dialect(code, market, self.options)
            self.venues[code] = Venue(market, spoken, self.now, self.options.slow_client_bytes)
        for code, track in tape.tracks.items() if tape is not None else ():
            spoken = dialect(code, TapeMarket(track), self.options)
            most = self.options.slow_client_bytes
            self.venues[code] = TapeVenue(code, spoken, self.now, most, track, tape.speed if tape else 1.0)
        self.faults = Faults(self)
        self.url = ""
        self.late_rounds = 0
        self._runner: web.AppRunner | None = None
        self._pacer: asyncio.Task[None] | None = None
        self._links = 0
        self._due: list[tuple[float, int, str, str]] = []
        self._steps = 0

    def now(self) -> Stamp:
        """The exchanges' clock: monotonic, and wall time with the offset that `faults.clock` made."""
        return Stamp(time.monotonic_ns(), time.time_ns() + self.clock_offset_ns)

    def truth(
        self, code: str, native: str, *, seq: int | None = None, time_ms: int | None = None, depth: int | None = None
    ) -> Truth:
        """The true book; see `ExchangeMarket.truth`."""
        return self.market.truth(code, native, seq=seq, time_ms=time_ms, depth=depth)

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

    # pacing

    def enlist(self, code: str, native: str, delay_s: float = 0.0) -> None:
        """Begins to step a market."""
        self._steps += 1
        due = asyncio.get_running_loop().time() + delay_s
        heapq.heappush(self._due, (due, self._steps, code, native))

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        for code, market in self.market.exchanges.items():
            # Spread over one interval, so that the load is even.
            for place, native in enumerate(market.symbols):
                self.enlist(code, native, place / len(market.symbols) / self.options.rate)
        next_tick = loop.time()
        while True:
            now = loop.time()
            await self._step_due(now)
            if now >= next_tick:
                next_tick = now + TICK_S
                stamp = self.now()
                for venue in self.venues.values():
                    venue.tick(stamp)
            for venue in self.venues.values():
                venue.flush()
            wake = min(self._due[0][0], next_tick) if self._due else next_tick
            await asyncio.sleep(max(wake - loop.time(), ROUND_S))

    async def _step_due(self, now: float) -> None:
        wall_ms = self.now().wall_ns // 1_000_000
        done = 0
        while self._due and self._due[0][0] <= now:
            due, number, code, native = heapq.heappop(self._due)
            interval_ms = self._step(code, native, wall_ms)
            if interval_ms is None:
                continue
            if now - due > _LATEST_S:
                self.late_rounds += 1
                due = now
            heapq.heappush(self._due, (due + interval_ms / 1000, number, code, native))
            done += 1
            if done % 200 == 0:
                await asyncio.sleep(0)

    def _step(self, code: str, native: str, wall_ms: int) -> int | None:
        venue = self.venues[code]
        return venue.step(native, wall_ms) if isinstance(venue, Venue) else None

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
        answer = await self.faults.rest_answer(venue, call)
        if answer is None:
            answer = await venue.rest(call)
        venue.counts.rest += 1
        return _response(venue, answer)

    async def _websocket(self, request: web.Request, venue: Desk, call: Call) -> web.StreamResponse:
        answer = self.faults.connect_answer(venue)
        opened = answer or venue.dialect.open(call)
        if isinstance(opened, Answer):
            return _response(venue, opened)
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20, timeout=1.0)
        await ws.prepare(request)
        transport = request.transport
        if transport is None:
            return ws
        self._links += 1
        link = Link(self._links, call.client, opened, transport)
        venue.attach(link)
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


def dialect(code: str, market: MarketPort, options: Options) -> Dialect:
    """The dialect of an exchange; with `client_limits` off its budgets are endless."""
    if code == "upbit":
        upbit = UpbitDialect(market, seed=options.seed)
        if not options.client_limits:
            upbit.rules.connects_per_s = upbit.web.per_second = _UNLIMITED
        return upbit
    if code == "bithumb":
        bithumb = BithumbDialect(market, seed=options.seed)
        if not options.client_limits:
            bithumb.rules.connects_per_s = bithumb.web.per_second = _UNLIMITED
        return bithumb
    binance = BinanceDialect(market, futures=code == "binance_future", seed=options.seed)
    if not options.client_limits:
        binance.rules.connects = binance.web.limit = _UNLIMITED
    return binance


def _response(venue: Desk, answer: Answer) -> web.Response:
    if answer.status != 200:
        venue.counts.refused += 1
    return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
