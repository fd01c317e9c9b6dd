"""A websocket and REST server of our own, and the exchange that speaks to it: the world that ingest sees.

`Venue` answers as Binance futures does (or, with `units=True`, as Upbit), delivers numbered frames on demand
and does on command what networks and exchanges do: reset, close, fall silent, refuse, ping, announce its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from hoga.exchanges import upbit
from hoga.exchanges.base import Continuity, Exchange, Limits
from hoga.exchanges.binance import future
from hoga.runtime.config import ExchangeSettings, IngestSettings, Settings
from hoga.testing.fake_bus import FakeBus
from hoga.wire import pb, subjects
from services.ingest.connector import ExchangeConnector
from services.ingest.line import Patience

LIMITS = Limits(
    symbols_per_link=100,
    symbols_per_request=10,
    messages_per_s=500.0,
    connects_per_s=200.0,
    connect_burst=20,
    idle_timeout_s=30.0,
    max_frame_bytes=1 << 20,
    rest_weight_per_minute=6000,
)
FAST = IngestSettings(backoff_min_s=0.01, backoff_max_s=0.1, overlap_s=0.2, connect_timeout_s=5.0, heartbeat_s=0.1)


def beating(every_s: float, text: str | None = None) -> dict[str, Any]:
    """A strategy's heartbeat; a text of None is a ping frame."""
    return {"heartbeat_s": every_s, "heartbeat": lambda _self, _now_ns: text}


class Connection:
    """One client, as the server sees it."""

    def __init__(self, request: web.Request, socket_: web.WebSocketResponse) -> None:
        self.headers = dict(request.headers)
        self.socket = socket_
        self.transport = request.transport
        self.subscribed: set[str] = set()
        self.requests: list[dict[str, Any]] = []
        self.texts: list[tuple[float, str]] = []
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.open = True
        self.silent = False
        """Questions of this client are not answered; those of other clients are."""

    def freeze(self) -> None:
        """Half open: the connection stays, and nobody reads it any more."""
        assert self.transport is not None
        self.transport.pause_reading()

    def reset(self) -> None:
        """RST: the connection is gone without a word."""
        assert self.transport is not None
        raw: socket.socket = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def cut(self) -> None:
        """FIN: the connection ends without a close frame."""
        assert self.transport is not None
        self.transport.close()


class Venue:
    """The server. Frames of a symbol are numbered +1 for all connections alike."""

    def __init__(self, natives: list[str], *, units: bool = False) -> None:
        self.natives = natives
        self.units = units
        self.connections: list[Connection] = []
        self.ids: Counter[str] = Counter()
        self.rest_times: dict[str, list[float]] = defaultdict(list)
        self.refused: set[str] = set()
        self.refusal = "Invalid request: no such stream"
        self.bases: dict[str, str] = {}
        """Native id -> base currency, where it is not the id without USDT."""
        self.halted: set[str] = set()
        self.deaf = False
        self.silent = False
        self.handshake: Callable[[], web.Response | None] = lambda: None
        self.rest_answer: Callable[[str], web.Response | None] = lambda _path: None
        self.changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for connection in self.live:
            connection.reset()
        assert self._runner is not None
        await self._runner.cleanup()

    def exchange(
        self,
        *,
        own: dict[str, Any] | None = None,
        continuity: Continuity | None = None,
        **limits: Any,
    ) -> Exchange:
        """The exchange to collect; `limits` override LIMITS, `own` the strategy, `continuity` what it can prove."""
        base = upbit.EXCHANGE if self.units else future.EXCHANGE
        chosen = replace(LIMITS, **limits)
        names = {"limits": chosen, "heartbeat_s": None, **(own or {})}
        strategy = type("Strategy", (type(base.strategy),), names)()
        if continuity is None:
            return replace(base, strategy=strategy)
        return replace(base, strategy=strategy, channels=(replace(base.traits, continuity=continuity),))

    def settings(self, ingest: IngestSettings = FAST, **exchange: Any) -> Settings:
        code = upbit.EXCHANGE.code if self.units else future.EXCHANGE.code
        address = f"127.0.0.1:{self.port}"
        own = ExchangeSettings(ws_url=f"ws://{address}", rest_url=f"http://{address}", **exchange)
        return Settings(exchanges={code: own}, ingest=ingest)

    # --- deeds

    @property
    def live(self) -> list[Connection]:
        return [connection for connection in self.connections if connection.open]

    async def deliver(self, native: str, padding: int = 0) -> int:
        """One more frame of a symbol to everybody who subscribed it; gives its id."""
        self.ids[native] += 1
        for connection in self.live:
            if native in connection.subscribed:
                await self.send(connection, self.frame(native, self.ids[native], padding))
        return self.ids[native]

    def frame(self, native: str, number: int, padding: int = 0) -> bytes:
        if self.units:
            return (
                b'{"type":"orderbook","code":"%b","timestamp":%d,"total_ask_size":1.0,"total_bid_size":1.0,'
                b'"orderbook_units":[{"ask_price":2.0,"bid_price":1.0,"ask_size":1.0,"bid_size":1.0}],'
                b'"stream_type":"REALTIME","level":0}' % (native.encode(), 1_790_000_000_000 + number)
            )
        return (
            b'{"stream":"x","data":{"e":"depthUpdate","E":1790000000000,"T":1790000000000,"s":"%b","U":%d,"u":%d,'
            b'"pu":%d,"b":[["1.0","1.0"]],"a":[],"x":"%b"}}'
            % (native.encode(), number, number, number - 1, b"x" * padding)
        )

    async def send(self, connection: Connection, frame: bytes, *, binary: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            if binary or self.units:
                await connection.socket.send_bytes(frame)
            else:
                await connection.socket.send_frame(frame, WSMsgType.TEXT)

    # --- serving

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return self.handshake() or await self._websocket(request)
        return await self._rest(request)

    async def _rest(self, request: web.Request) -> web.Response:
        path = request.path_qs
        self.rest_times[path].append(time.monotonic())
        self.changed.set()
        answer = self.rest_answer(path)
        if answer is not None:
            return answer
        if "exchangeInfo" in path or "market/all" in path:
            return web.Response(body=self._listing())
        if "ticker" in path:
            return web.Response(body=b"[]")
        native = request.query.get("symbol") or request.query.get("markets") or ""
        number = self.ids[native]
        if self.units:
            return web.Response(body=b"[%b]" % self.frame(native, number).replace(b'"code"', b'"market"'))
        return web.Response(body=b'{"lastUpdateId":%d,"bids":[["1.0","1.0"]],"asks":[["2.0","1.0"]]}' % number)

    def _listing(self) -> bytes:
        if self.units:
            return msgspec.json.encode([{"market": native, "korean_name": ""} for native in self.natives])
        markets = [
            {
                "symbol": native,
                "baseAsset": self.bases.get(native, native.removesuffix("USDT")),
                "quoteAsset": "USDT",
                "status": "BREAK" if native in self.halted else "TRADING",
                "contractType": "PERPETUAL",
                "filters": [],
            }
            for native in self.natives
        ]
        return msgspec.json.encode({"symbols": markets})

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(autoping=False, max_msg_size=1 << 22)
        await response.prepare(request)
        connection = Connection(request, response)
        self.connections.append(connection)
        self.changed.set()
        try:
            async for message in response:
                await self._message(connection, message.type, message.data)
                self.changed.set()
        finally:
            connection.open = False
            self.changed.set()
        return response

    async def _message(self, connection: Connection, kind: WSMsgType, data: Any) -> None:
        if kind is WSMsgType.PONG:
            connection.pongs.append(bytes(data))
        elif kind is WSMsgType.PING:
            connection.pings.append(bytes(data))
            if not (self.silent or connection.silent):
                await connection.socket.pong(data)
        elif kind is WSMsgType.TEXT:
            connection.texts.append((time.monotonic(), data))
            request = msgspec.json.decode(data)
            if isinstance(request, list):
                connection.subscribed = set(request[1]["codes"])
                connection.requests.append(request[1])
            elif request.get("method") in ("SUBSCRIBE", "UNSUBSCRIBE"):
                connection.requests.append(request)
                await self._subscription(connection, request)
            elif request.get("method") == "LIST_SUBSCRIPTIONS" and not (self.silent or connection.silent):
                await connection.socket.send_str(msgspec.json.encode({"result": [], "id": request["id"]}).decode())

    async def _subscription(self, connection: Connection, request: dict[str, Any]) -> None:
        natives = {param.partition("@")[0].upper() for param in request["params"]}
        if request["method"] == "SUBSCRIBE":
            if natives & self.refused:
                reply: dict[str, Any] = {"code": 2, "msg": self.refusal, "id": request["id"]}
                await connection.socket.send_bytes(msgspec.json.encode(reply))
                return
            connection.subscribed |= natives
        else:
            connection.subscribed -= natives
        if not self.deaf:
            await connection.socket.send_str(msgspec.json.encode({"result": None, "id": request["id"]}).decode())


OF_LINKS = (pb.RawFrame.KIND_LINK_EVENT, pb.RawFrame.KIND_LINK_BEAT)


class Recorder:
    """What ingest has published on a `FakeBus`, decoded."""

    def __init__(self, bus: FakeBus, code: str) -> None:
        self._bus = bus
        self._code = code

    def frames(self, symbol: str = "*") -> list[pb.RawFrame]:
        return [frame for frame in self.raw(symbol) if frame.kind not in OF_LINKS]

    def raw(self, symbol: str = "*") -> list[pb.RawFrame]:
        """Frames, and what is told of links among them."""
        return [pb.RawFrame.FromString(payload) for payload in self._bus.messages(subjects.raw(self._code, symbol))]

    def statuses(self, slot: str = "*") -> list[pb.LinkStatus]:
        return [pb.LinkStatus.FromString(payload) for payload in self._bus.messages(subjects.link(self._code, slot))]


async def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Returns when `condition` holds; fails the test when it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition never came true"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def collecting(
    venue: Venue,
    symbols: list[str],
    *,
    exchange: Exchange | None = None,
    settings: Settings | None = None,
    patience: Patience | None = None,
    publish: Callable[[str, bytes], bool] = lambda _subject, _payload: True,
) -> AsyncIterator[ExchangeConnector]:
    """A connector that collects `symbols` of the venue, connected and subscribed."""
    connector = ExchangeConnector(
        exchange or venue.exchange(),
        settings or venue.settings(),
        publish=publish,
        patience=patience or Patience(connect_s=5.0, settle_s=10.0),
    )
    try:
        assert await connector.connect()
        assert await connector.subscribe(symbols)
        yield connector
    finally:
        await connector.disconnect()


def natives_of(count: int) -> list[str]:
    return [f"C{number:03d}USDT" for number in range(count)]


def symbols_of(natives: list[str]) -> list[str]:
    return [f"{native.removesuffix('USDT')}-USDT" for native in natives]
