"""The web page and what it eats: `/`, `/api/state`, `/ws`, `/healthz`, `/metrics`.

1. Nothing here changes anything: every request is a look. A websocket may choose one book to look at:
   `{"watch": {"exchange": …, "symbol": …}}` or `{"watch": null}`.
2. Each websocket gets the state once a second (at first the whole, then what changed) and its ladder at most
   ten times a second. A slow page gets fewer, newer messages; one that takes nothing for SEND_S is closed.
3. The page loads nothing from elsewhere and the Content-Security-Policy says so. A websocket from a foreign
   page is refused. At most MAX_PAGES are open at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler

from hoga.runtime.health import HealthBoard, health_answer, listen, metrics_answer
from hoga.runtime.settings import MonitorSettings

from . import metrics
from .watch import Watch

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MAX_PAGES = 64
MAX_REQUEST_BYTES = 4096
LADDER_PERIOD_S = 0.1
SEND_S = 10.0
CLOSE_S = 1.0
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class _Choice(msgspec.Struct, frozen=True):
    exchange: str
    symbol: str


class _Request(msgspec.Struct, frozen=True):
    watch: _Choice | None


class Web:
    def __init__(self, watch: Watch, board: HealthBoard, settings: MonitorSettings) -> None:
        self._watch = watch
        self._board = board
        self._settings = settings
        self._runner: web.AppRunner | None = None
        self._pages: set[web.WebSocketResponse] = set()
        self._states: dict[int, bytes] = {}
        """Encoded states of the current tick, by the tick they build on."""
        self.port = 0

    async def start(self) -> None:
        """Listens; ConfigError where the address is busy or not ours."""
        app = web.Application(middlewares=[_harden])
        app.router.add_get("/", self._file)
        app.router.add_get("/static/{name}", self._file)
        app.router.add_get("/api/state", self._api_state)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        knobs = "HOGA_MONITOR_HOST and HOGA_MONITOR_PORT"
        self.port = await listen(self._runner, self._settings.host, self._settings.port, knobs=knobs)
        log.info("web page on http://%s:%d/", self._settings.host, self.port)

    async def stop(self) -> None:
        goodbye = [page.close(code=WSCloseCode.GOING_AWAY, message=b"the monitor stops") for page in self._pages]
        await asyncio.gather(*goodbye, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    def ticked(self) -> None:
        """There is a new state to send."""
        self._states.clear()

    # --- plain requests

    async def _file(self, request: web.Request) -> web.Response:
        path = STATIC / request.match_info.get("name", "index.html")
        if path.parent != STATIC or path.suffix not in TYPES or not path.is_file():
            raise web.HTTPNotFound
        return web.Response(body=path.read_bytes(), content_type=TYPES[path.suffix], charset="utf-8")

    async def _api_state(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._state(0), content_type="application/json")

    async def _healthz(self, _request: web.Request) -> web.Response:
        return health_answer(self._board)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return metrics_answer()

    # --- the websocket

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="this websocket serves its own page only")
        if len(self._pages) >= MAX_PAGES:
            raise web.HTTPServiceUnavailable(text=f"{MAX_PAGES} pages are open already")
        socket = web.WebSocketResponse(timeout=CLOSE_S, heartbeat=20.0, max_msg_size=MAX_REQUEST_BYTES)
        await socket.prepare(request)
        self._pages.add(socket)
        metrics.PAGE_CLIENTS.set(len(self._pages))
        page = _Page(socket, self._watch, self._state)
        pushing = asyncio.create_task(page.push())
        try:
            await page.read()
        finally:
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            self._pages.discard(socket)
            metrics.PAGE_CLIENTS.set(len(self._pages))
        return socket

    def _state(self, since: int) -> bytes:
        """The encoded state after tick `since`; worked out once for all pages that ask the same."""
        encoded = self._states.get(since)
        if encoded is None:
            encoded = self._states[since] = _encode(self._watch.state(since))
        return encoded


class _Page:
    """One open page: what it looks at and what it was sent."""

    def __init__(self, socket: web.WebSocketResponse, watch: Watch, state: Callable[[int], bytes]) -> None:
        self._socket = socket
        self._watch = watch
        self._state = state
        self._choice: _Choice | None = None
        self._sent: tuple[int, int] | None = None
        """(messages, tick) of the last ladder sent."""

    async def read(self) -> None:
        """Takes the page's wishes until it goes."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            try:
                self._choice = msgspec.json.decode(message.data, type=_Request).watch
            except (msgspec.DecodeError, RecursionError):
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"not understood")
                break
            self._sent = None

    async def push(self) -> None:
        """Sends states and ladders until cancelled, or until the page takes nothing any more."""
        tick = 0
        try:
            while not self._socket.closed:
                if self._watch.tick != tick:
                    due, tick = tick, self._watch.tick
                    await self._send(self._state(due))
                if self._choice is not None:
                    await self._send_ladder(self._choice)
                await asyncio.sleep(LADDER_PERIOD_S)
        except (TimeoutError, ConnectionError):
            log.info("a page took nothing for %g s: closed", SEND_S)
            await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"too slow")

    async def _send_ladder(self, choice: _Choice) -> None:
        """Sends the ladder where it has changed, and once a tick, because states and ages change by themselves."""
        version = (self._watch.messages(choice.exchange, choice.symbol), self._watch.tick)
        if version == self._sent:
            return
        self._sent = version
        ladder = self._watch.ladder(choice.exchange, choice.symbol)
        missing = {"type": "ladder", "exchange": choice.exchange, "symbol": choice.symbol, "missing_book": True}
        await self._send(_encode(ladder if ladder is not None else missing))

    async def _send(self, body: bytes) -> None:
        async with asyncio.timeout(SEND_S):
            await self._socket.send_str(body.decode())


@web.middleware
async def _harden(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Puts the security headers on every answer, errors included."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    if not response.prepared:
        response.headers.update(HEADERS)
    return response
