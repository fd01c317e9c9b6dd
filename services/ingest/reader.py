"""The read loop of one link: read, stamp, route, hand over. It never waits for the bus and never parses a book.

1. The receive time is taken right after the frame left the socket.
2. A book frame goes to the lane of every symbol it concerns; symbols that the link does not carry (their
   subscription was just given up, or cannot be) are counted as strays.
3. No single frame ends a link: what is not understood, or fails here, is counted and the next one is read.
4. A PING is answered with its own payload.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from hoga.domain.errors import FrameError, snippet
from hoga.exchanges.base import Route, RouteKind
from hoga.runtime.logs import RateLimited
from services.ingest.handshake import Socket
from services.ingest.lane import Lane
from services.ingest.line import End, EndKind, Line, Tally
from services.ingest.outbox import Outbox
from services.ingest.subscriptions import Refusal, Subscriptions

log = logging.getLogger(__name__)
limited = RateLimited(log)


class Reader:
    """Reads one socket to its end. `lanes` (native id -> lane) changes while it reads."""

    def __init__(
        self,
        line: Line,
        name: str,
        lanes: dict[str, Lane],
        subscriptions: Subscriptions,
        outbox: Outbox,
        on_closing: Callable[[str], None],
    ) -> None:
        self.tally = Tally()
        self.last_frame_mono_ns = 0
        self._line = line
        self._name = name
        self._lanes = lanes
        self._subscriptions = subscriptions
        self._outbox = outbox
        self._on_closing = on_closing

    async def run(self, socket: Socket) -> End:
        receive, route_of = socket.receive, self._line.exchange.strategy.route
        lanes, tally, observers = self._lanes, self.tally, self._line.observers
        text, binary, book = WSMsgType.TEXT, WSMsgType.BINARY, RouteKind.BOOK
        time_ns, monotonic_ns = time.time_ns, time.monotonic_ns
        while True:
            message: Any = await receive()
            kind = message.type
            receive_time_ns = time_ns()
            self.last_frame_mono_ns = monotonic_ns()
            if kind is not text and kind is not binary:
                end = self._protocol_frame(message)
                if end is not None:
                    return end
                continue
            frame: bytes = message.data
            tally.frames += 1
            tally.bytes += len(frame)
            try:
                route = route_of(frame)
                if route.kind is book:
                    for native in route.symbols:
                        lane = lanes.get(native)
                        if lane is None:
                            self._stray(frame)
                        elif lane.send(frame, receive_time_ns):
                            tally.published += 1
                        else:
                            tally.dropped += 1
                else:
                    self._control(route, frame)
                if observers.active:
                    self._tell(route, frame)
            except FrameError as error:
                tally.dropped += 1
                limited.error("unsendable", "%s: frame thrown away: %s", self._name, error)
            except Exception as error:
                self._line.oddities.note("failed", self._name, frame)
                limited.error("failed", "%s: frame of %d bytes failed: %r", self._name, len(frame), error)

    def _protocol_frame(self, message: Any) -> End | None:
        """Deals with a ping, a pong or the end, which it returns."""
        kind, data = message.type, message.data
        if kind is WSMsgType.PING or kind is WSMsgType.PONG:
            self.tally.frames += 1
            if kind is WSMsgType.PING:
                self._outbox.pong(bytes(data))
            return None
        if kind is WSMsgType.CLOSE:
            why = f": {snippet(message.extra)}" if message.extra else ""
            return End(EndKind.CLOSED, f"closed by the exchange (code {data}{why})")
        if isinstance(data, aiohttp.WebSocketError):
            if data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                limit = self._line.exchange.limits.max_frame_bytes
                return End(EndKind.OVERSIZE, f"a frame is larger than {limit} bytes")
            return End(EndKind.LOST, f"the websocket protocol was violated: {snippet(str(data))}")
        return End(EndKind.LOST, f"connection lost: {data}" if data else "connection lost without a close frame")

    def _control(self, route: Route, frame: bytes) -> None:
        kind = route.kind
        if kind is RouteKind.ACK:
            self._subscriptions.acknowledged(route.request_id)
            self._line.changed.fire()
        elif kind is RouteKind.REFUSED:
            self._refused(self._subscriptions.refuse(route.request_id, route.detail))
        elif kind is RouteKind.CLOSING:
            self._on_closing(route.detail or "the exchange announces the end of this connection")
        elif kind is RouteKind.UNKNOWN:
            self.tally.unknown += 1
            self._line.oddities.note("unknown", self._name, frame)

    def _refused(self, refusal: Refusal | None) -> None:
        self._outbox.wake()
        if refusal is None:
            return
        self._line.oddities.counts["refused"] += 1
        rest = len(refusal.natives) - 5
        names = ", ".join(refusal.natives[:5]) + (f" and {rest} more" if rest > 0 else "")
        what = f"the subscription of {names}" if names else "a request"
        limited.error(f"refused {names}", "%s: the exchange refuses %s: %s", self._name, what, refusal.detail)
        self._line.changed.fire()

    def _stray(self, frame: bytes) -> None:
        self.tally.stray += 1
        self._line.oddities.note("stray", self._name, frame)

    def _tell(self, route: Route, frame: bytes) -> None:
        self._line.observers.frame(frame)
        if route.kind is RouteKind.BOOK:
            self._line.observers.book(frame, self._lanes)
