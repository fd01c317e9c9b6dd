"""A websocket in memory: the client half is what aiohttp would give, the server half what the simulator writes to.

What the network can do to it: latency with jitter (order is kept), a reset, an end without a close frame, half-open
(nothing arrives any more, in either direction, and nobody is told), a stall that ends, a client that does not read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from contextvars import Context
from random import Random
from struct import unpack_from

import aiohttp
from aiohttp import WSMsgType

from services.simulator.desk import Desk
from services.simulator.link import BINARY, CLOSE, PING, PONG, TEXT, Link
from tests.sim.loop import SimLoop
from tests.sim.pipe import Pipe

Frame = tuple[int, bytes]
"""(opcode, payload)."""
EOF, RESET = 0x100, 0x101
READ_AHEAD = 1 << 16
"""Bytes that arrive before the client has read; then the sender has to wait."""
_OPCODE = {WSMsgType.TEXT: TEXT, WSMsgType.BINARY: BINARY, WSMsgType.PING: PING, WSMsgType.PONG: PONG}
_TYPE = {code: kind for kind, code in _OPCODE.items()}


class Wire:
    """The connection between a `ClientSocket` and a desk."""

    def __init__(
        self, loop: SimLoop, dice: Random, latency: Callable[[], float], venue: Desk, owner: str, world: Context
    ) -> None:
        self.dice, self.venue, self.owner = dice, venue, owner
        self.down: Pipe[Frame] = Pipe(loop, latency, self._to_client, world)
        self.up: Pipe[Frame] = Pipe(loop, latency, self._to_server, world)
        self.client: ClientSocket | None = None
        self.link: Link | None = None
        self.mute = False
        """Half-open: what is sent vanishes."""
        self.over = False
        """The server's half is closed."""

    # --- the transport that the simulator's Link writes to

    def write(self, data: bytes) -> None:
        start, end = 0, len(data)
        while start < end:
            opcode, size = data[start] & 15, data[start + 1]
            start += 2
            if size == 126:
                (size,) = unpack_from("!H", data, start)
                start += 2
            elif size == 127:
                (size,) = unpack_from("!Q", data, start)
                start += 8
            self._send_down(opcode, data[start : start + size])
            start += size

    def is_closing(self) -> bool:
        return self.over

    def get_write_buffer_size(self) -> int:
        return self.down.size

    def abort(self) -> None:
        """The server resets the connection."""
        if not self.over:
            self._end_server()
            if self.dice.random() < 0.5:
                self.down.lose(self.dice.randrange(len(self.down) + 1))
            self._send_down(RESET, b"")

    # --- what the network does

    def reset(self) -> None:
        """Both ends are told; what was on the way is lost, wholly or in part."""
        self.down.lose(self.dice.randrange(len(self.down) + 1))
        self.up.lose(self.dice.randrange(len(self.up) + 1))
        self._send_down(RESET, b"")
        self._end_server()

    def finish(self) -> None:
        """The server's end closes without a close frame."""
        if not self.over:
            self._end_server()
            self._send_down(EOF, b"")

    def half_open(self) -> None:
        self.mute = True
        self.down.lose()
        self.up.lose()

    def stall(self) -> None:
        self.down.hold("stall")
        self.up.hold("stall")

    def flow(self) -> None:
        self.down.release("stall")
        self.up.release("stall")

    def leave(self) -> None:
        """The client's end is gone; its kernel says so."""
        self.client = None
        self.send_up(RESET, b"")

    # --- inside

    def _send_down(self, opcode: int, payload: bytes) -> None:
        if not self.mute:
            self.down.put((opcode, payload), len(payload))

    def send_up(self, opcode: int, payload: bytes) -> None:
        if not self.mute:
            self.up.put((opcode, payload), len(payload))

    def _to_client(self, frame: Frame) -> None:
        if self.client is not None:
            self.client.feed(*frame)

    def _to_server(self, frame: Frame) -> None:
        if self.over or self.link is None:
            return
        opcode, payload = frame
        venue, link = self.venue, self.link
        if opcode == TEXT:
            venue.received(link, payload.decode())
        elif opcode == BINARY:
            venue.received(link, payload)
        elif opcode == PING:
            venue.pinged(link, payload)
        elif opcode == PONG:
            venue.ponged(link, payload)
        else:
            self._end_server()
            if opcode == CLOSE:
                self._send_down(CLOSE, payload)
                self._send_down(EOF, b"")
            return
        venue.flush_link(link)

    def _end_server(self) -> None:
        self.over = True
        if self.link is not None:
            self.venue.detach(self.link)


class ClientSocket:
    """What `aiohttp.ClientSession.ws_connect` gives, as far as ingest uses it."""

    def __init__(self, wire: Wire, max_msg_size: int) -> None:
        self._wire = wire
        self._max_msg_size = max_msg_size
        self._inbox: deque[tuple[aiohttp.WSMessage, int]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._unread = 0
        self._ended = False
        """Nothing arrives any more."""
        self._closed = False
        wire.client = self

    @property
    def closed(self) -> bool:
        return self._closed

    async def receive(self) -> aiohttp.WSMessage:
        while not self._inbox:
            if self._ended or self._closed:
                return aiohttp.WSMessage(WSMsgType.CLOSED, None, None)
            await self._arrival()
        message, size = self._inbox.popleft()
        self._unread -= size
        if self._unread <= READ_AHEAD:
            self._wire.down.release("unread")
        if message.type is WSMsgType.CLOSE:
            self._close(message.data)
        elif message.type is WSMsgType.ERROR:
            self._hang_up()
        return message

    async def send_str(self, data: str) -> None:
        self._send(TEXT, data.encode())

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        self._send(_OPCODE[opcode], bytes(message))

    async def close(self, *, code: int = 1000, message: bytes = b"") -> bool:
        """Waits a second for the close frame of the other side."""
        if self._closed:
            return False
        self._closed = True
        if not self._ended:
            self._wire.send_up(CLOSE, code.to_bytes(2, "big") + message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    while not self._ended and not any(m.type is WSMsgType.CLOSE for m, _ in self._inbox):
                        await self._arrival()
        self._hang_up()
        return True

    def _close(self, code: int) -> None:
        """Answers a close frame."""
        if not self._closed:
            self._wire.send_up(CLOSE, code.to_bytes(2, "big"))
        self._hang_up()

    def _hang_up(self) -> None:
        self._closed = self._ended = True
        self._wire.leave()

    def _send(self, opcode: int, payload: bytes) -> None:
        if self._closed or self._ended:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        self._wire.send_up(opcode, payload)

    async def _arrival(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def feed(self, opcode: int, payload: bytes) -> None:
        """A frame arrives from the network."""
        if opcode in (EOF, RESET):
            self._ended = True
            if opcode == RESET and self._wire.dice.random() < 0.5:
                self._take(aiohttp.WSMessage(WSMsgType.ERROR, ConnectionResetError("reset by peer"), None))
        elif len(payload) > self._max_msg_size:
            error = aiohttp.WebSocketError(aiohttp.WSCloseCode.MESSAGE_TOO_BIG, "message too big")
            self._take(aiohttp.WSMessage(WSMsgType.ERROR, error, None))
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 1000
            self._take(aiohttp.WSMessage(WSMsgType.CLOSE, code, payload[2:].decode("utf-8", "replace")))
        else:
            self._take(aiohttp.WSMessage(_TYPE[opcode], payload, None), len(payload))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self, message: aiohttp.WSMessage, size: int = 0) -> None:
        self._inbox.append((message, size))
        self._unread += size
        if self._unread > READ_AHEAD:
            self._wire.down.hold("unread")
