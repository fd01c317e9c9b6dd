"""The read loop of one link: read, stamp, route, hand over. It never waits for the bus and never parses a book.

1. The receive time is taken right after the frame left the socket.
2. A book frame goes to the lane of every symbol it concerns; symbols that the link does not carry (their
   subscription was just given up, or cannot be) are counted as strays.
3. A frame that tells phases of markets goes to the lane of the link itself (`link_lane`). Where ids count per
   connection so does every frame that no lane took, so that whoever reads all of them sees every id.
4. No single frame ends a link: what is not understood, or fails here, is counted and the next one is read.
5. A PING is answered with its own payload.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from hoga.domain.errors import FrameError, snippet
from hoga.exchanges.base import Continuity, Route, RouteKind
from hoga.runtime.logs import RateLimited
from services.ingest.handshake import Socket
from services.ingest.lane import Lane
from services.ingest.line import End, EndKind, Shared, Tally
from services.ingest.outbox import Outbox
from services.ingest.probing import Probing
from services.ingest.subscriptions import Refusal, Subscriptions

log = logging.getLogger(__name__)
limited = RateLimited(log)


PAUSED_NS = 4_000_000_000
"""What waits in a socket after this process stood still for so long is too old to be given the time of its reading."""


class Reader:
    """Reads one socket to its end. `lanes` (native id -> lane) changes while it reads."""

    def __init__(
        self,
        shared: Shared,
        name: str,
        lanes: dict[str, Lane],
        link_lane: Lane,
        subscriptions: Subscriptions,
        outbox: Outbox,
        probing: Probing,
        on_closing: Callable[[str], None],
        on_refusal: Callable[[], None],
        on_loss: Callable[[str], None],
    ) -> None:
        """`on_loss(symbol)` is told of every frame that was thrown away; "": of any symbol."""
        self.tally = Tally()
        self.last_frame_mono_ns = 0
        self.awake_mono_ns = time.monotonic_ns()
        """When the link's watchdog last ran."""
        self._shared = shared
        self._name = name
        self._lanes = lanes
        self._link_lane = link_lane
        self._probing = probing
        self._subscriptions = subscriptions
        self._outbox = outbox
        self._on_closing = on_closing
        self._on_refusal = on_refusal
        self._on_loss = on_loss

    async def run(self, socket: Socket) -> End:
        receive, route_of = socket.receive, self._shared.exchange.strategy.route
        tally, observers, link_lane = self.tally, self._shared.observers, self._link_lane
        numbered = self._shared.exchange.traits.continuity is Continuity.CONNECTION_IDS
        text, binary, book = WSMsgType.TEXT, WSMsgType.BINARY, RouteKind.BOOK
        time_ns, monotonic_ns = time.time_ns, time.monotonic_ns
        while True:
            message: Any = await receive()
            kind = message.type
            receive_time_ns = time_ns()
            self.last_frame_mono_ns = now_ns = monotonic_ns()
            if now_ns - self.awake_mono_ns > PAUSED_NS:
                paused_s = (now_ns - self.awake_mono_ns) / 1e9
                return End(EndKind.LOST, f"this process stood still for {paused_s:.1f} s: what has waited is old")
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
                carried = route.kind is book and self._carry(route, frame, receive_time_ns, now_ns)
                tells = not carried and (numbered or route.kind is RouteKind.PHASE)
                if tells and not link_lane.send(frame, receive_time_ns, now_ns):
                    self._lost("")
                if route.kind is not book:
                    self._control(route, frame)
                if observers.active:
                    self._tell(route, frame)
            except FrameError as error:
                self._lost("")
                limited.error("unsendable", "%s: frame thrown away: %s", self._name, error)
            except Exception as error:
                self._shared.oddities.note("failed", self._name, frame)
                limited.error("failed", "%s: frame of %d bytes failed: %r", self._name, len(frame), error)

    def _carry(self, route: Route, frame: bytes, receive_time_ns: int, receive_mono_ns: int) -> bool:
        """Hands a book frame to the lanes of its symbols. Whether one of them is carried here."""
        carried = False
        for native in route.symbols:
            lane = self._lanes.get(native)
            if lane is None:
                self._stray(frame)
                continue
            carried = True
            if lane.send(frame, receive_time_ns, receive_mono_ns):
                self.tally.published += 1
            else:
                self._lost(lane.symbol)
        return carried

    def _protocol_frame(self, message: Any) -> End | None:
        """Deals with a ping, a pong or the end, which it returns."""
        kind, data = message.type, message.data
        if kind is WSMsgType.PING or kind is WSMsgType.PONG:
            self.tally.frames += 1
            if kind is WSMsgType.PING:
                self._outbox.pong(bytes(data))
            else:
                self._answered()
            return None
        if kind is WSMsgType.CLOSE:
            why = f": {snippet(message.extra)}" if message.extra else ""
            return End(EndKind.CLOSED, f"closed by the exchange (code {data}{why})")
        if isinstance(data, aiohttp.WebSocketError):
            if data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                limit = self._shared.exchange.limits.max_frame_bytes
                return End(EndKind.OVERSIZE, f"a frame is larger than {limit} bytes")
            return End(EndKind.LOST, f"the websocket protocol was violated: {snippet(str(data))}")
        return End(EndKind.LOST, f"connection lost: {data}" if data else "connection lost without a close frame")

    def _control(self, route: Route, frame: bytes) -> None:
        kind = route.kind
        if kind is RouteKind.ACK:
            self._subscriptions.acknowledged(route.request_id, route.symbols)
            self._shared.changed.fire()
        elif kind is RouteKind.ALIVE:
            self._answered()
        elif kind is RouteKind.REFUSED:
            self._refused(self._subscriptions.refuse(route.request_id, route.detail, route.symbols))
        elif kind is RouteKind.CLOSING:
            self._on_closing(route.detail or "the exchange announces the end of this connection")
        elif kind is RouteKind.UNKNOWN:
            self.tally.unknown += 1
            self._shared.oddities.note("unknown", self._name, frame)

    def _answered(self) -> None:
        self._probing.answered()
        if self._probing.proven:
            self._shared.habit.answered()

    def _lost(self, symbol: str) -> None:
        self.tally.dropped += 1
        self._on_loss(symbol)

    def _refused(self, refusal: Refusal | None) -> None:
        self._on_refusal()
        self._outbox.wake()
        if refusal is None:
            return
        self._shared.oddities.counts["refused"] += 1
        rest = len(refusal.natives) - 5
        names = ", ".join(refusal.natives[:5]) + (f" and {rest} more" if rest > 0 else "")
        what = f"the subscription of {names}" if names else "a request"
        limited.error(f"refused {names}", "%s: the exchange refuses %s: %s", self._name, what, refusal.detail)
        self._shared.changed.fire()

    def _stray(self, frame: bytes) -> None:
        self.tally.stray += 1
        self._shared.oddities.note("stray", self._name, frame)

    def _tell(self, route: Route, frame: bytes) -> None:
        self._shared.observers.frame(frame)
        if route.kind is RouteKind.BOOK:
            self._shared.observers.book(frame, self._lanes)
