"""One websocket connection, from handshake to end. It never comes back; its slot makes the next one.

Three tasks serve it: the reader, the outbox and a watchdog that looks at it once a second:
1. nothing at all for `limits.idle_timeout_s` means a dead link, whatever TCP believes;
2. subscriptions that are not answered are asked for again, and finally the link is given up as deaf;
3. a flood of nothing but frames that nobody understands ends it;
4. symbols that were subscribed and send nothing are mentioned, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from hoga.runtime.logs import RateLimited
from services.ingest.handshake import CLOSE_PATIENCE_S, Socket, connect
from services.ingest.lane import Lane
from services.ingest.line import End, EndKind, Line, Tally
from services.ingest.outbox import Outbox
from services.ingest.reader import Reader
from services.ingest.subscriptions import Subscriptions

FLOOD_FRAMES = 100
"""Frames not understood in one look, and most of all frames: counts towards a flood."""
FLOOD_LOOKS = 3

log = logging.getLogger(__name__)
limited = RateLimited(log)


class Link:
    """A connection and its subscriptions. `open` it, `want` symbols; `ended` tells when and why it ended."""

    def __init__(self, line: Line, name: str, on_closing: Callable[[str], None]) -> None:
        """`on_closing(why)` is called when the exchange announces that it will close the link."""
        self.name = name
        self.connected_ns = 0
        self.connected_mono_s = 0.0
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.socket: Socket | None = None
        strategy = line.exchange.strategy
        self._line = line
        self._lanes: dict[str, Lane] = {}
        self._parked: dict[str, Lane] = {}
        self._mentioned: set[str] = set()
        self._subscriptions = Subscriptions(strategy, ack_patience_s=line.patience.ack_s)
        self._outbox = Outbox(strategy, self._subscriptions, line.changed.fire)
        self._reader = Reader(line, name, self._lanes, self._subscriptions, self._outbox, on_closing)
        self._task: asyncio.Task[None] | None = None

    # --- life

    async def open(self) -> None:
        """Connects and begins to read; `handshake.Refused` where that fails."""
        self.socket = await connect(self._line)
        self.connected_ns = time.time_ns()
        self.connected_mono_s = time.monotonic()
        self._reader.last_frame_mono_ns = time.monotonic_ns()
        self._task = asyncio.create_task(self._run(self.socket), name=f"link {self.name}")

    def end(self, kind: EndKind, detail: str) -> None:
        """Ends the link now; the closing handshake goes on behind (`closed`)."""
        if not self.ended.done():
            self.ended.set_result(End(kind, detail))

    async def closed(self) -> None:
        """Returns when nothing of the link is left."""
        if self._task is not None:
            await asyncio.wait({self._task})

    @property
    def alive(self) -> bool:
        return self.socket is not None and not self.ended.done()

    @property
    def tally(self) -> Tally:
        return self._reader.tally

    @property
    def last_frame_age_ns(self) -> int:
        """Age of the last frame of any sort; -1 before the first."""
        return time.monotonic_ns() - self._reader.last_frame_mono_ns if self.tally.frames else -1

    # --- symbols

    def want(self, symbols: Mapping[str, str]) -> None:
        """Carries exactly these symbols, native id -> canonical. Others are not disturbed."""
        for native in list(self._lanes):
            if symbols.get(native) != self._lanes[native].symbol:
                self._parked[native] = self._lanes.pop(native)
        for native, symbol in symbols.items():
            if native not in self._lanes:
                self._lanes[native] = self._lane(native, symbol)
        self._subscriptions.want(symbols)
        self._outbox.wake()

    def renew(self, native: str) -> bool:
        """Drops the subscription of a symbol and takes it again; False where the exchange has no way."""
        accepted = self._subscriptions.renew(native)
        self._outbox.wake()
        return accepted

    def send(self, text: str) -> bool:
        """Queues a text frame; False where the link is down or too many wait."""
        return self.alive and self._outbox.message(text)

    @property
    def settled(self) -> bool:
        """Every wanted symbol was asked for, and answered or delivered where the exchange answers."""
        return self._subscriptions.settled

    @property
    def refused(self) -> Mapping[str, str]:
        """Native id -> why the exchange refuses its subscription."""
        return self._subscriptions.refused

    def silent(self) -> list[str]:
        """Symbols that were subscribed a while ago and have sent nothing on this link."""
        now_s, patience_s = time.monotonic(), self._line.patience.first_frame_s
        found = []
        for native, lane in self._lanes.items():
            asked_s = self._subscriptions.asked_s(native)
            if lane.seq == 0 and asked_s is not None and now_s - asked_s > patience_s:
                found.append(lane.symbol)
        return found

    def _lane(self, native: str, symbol: str) -> Lane:
        """A lane goes on counting when its symbol returns to the same link."""
        parked = self._parked.pop(native, None)
        if parked is not None and parked.symbol == symbol:
            return parked
        return Lane(self._line.exchange.code, symbol, native, self.name, self._line.publish)

    # --- tasks

    async def _run(self, socket: Socket) -> None:
        tasks = [
            asyncio.create_task(self._read(socket), name=f"read {self.name}"),
            asyncio.create_task(self._send(socket), name=f"send {self.name}"),
            asyncio.create_task(self._watch(), name=f"watch {self.name}"),
        ]
        try:
            ends: list[asyncio.Future[Any]] = [self.ended, *tasks]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for error in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(error, Exception):
                    log.error("%s: internal error: %r", self.name, error, exc_info=error)
            self.end(EndKind.LOST, "internal error, see above")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * CLOSE_PATIENCE_S):
                    await socket.close()

    async def _read(self, socket: Socket) -> None:
        end = await self._reader.run(socket)
        self.end(end.kind, end.detail)

    async def _send(self, socket: Socket) -> None:
        try:
            await self._outbox.run(socket)
        except (OSError, aiohttp.ClientError) as error:
            self.end(EndKind.LOST, f"cannot send: {error or type(error).__name__}")

    async def _watch(self) -> None:
        idle_s = self._line.exchange.limits.idle_timeout_s
        look_s = min(self._line.patience.look_s, idle_s / 4)
        floods, seen_frames, seen_unknown = 0, 0, 0
        while True:
            await asyncio.sleep(look_s)
            now_ns = time.monotonic_ns()
            if now_ns - self._reader.last_frame_mono_ns > idle_s * 1e9:
                return self.end(EndKind.SILENT, f"nothing arrived for {idle_s:g} s")
            self._subscriptions.check(now_ns / 1e9, {native: lane.seq > 0 for native, lane in self._lanes.items()})
            self._outbox.wake()
            if self._subscriptions.deaf:
                return self.end(EndKind.DEAF, "subscription requests are not answered")
            unknown, frames = self.tally.unknown - seen_unknown, self.tally.frames - seen_frames
            seen_unknown, seen_frames = self.tally.unknown, self.tally.frames
            floods = floods + 1 if unknown >= FLOOD_FRAMES and unknown > frames // 2 else 0
            if floods >= FLOOD_LOOKS:
                return self.end(EndKind.FLOOD, f"{unknown} of the last {frames} frames are not understood")
            self._mention_silent()

    def _mention_silent(self) -> None:
        new = [symbol for symbol in self.silent() if symbol not in self._mentioned]
        if new:
            self._mentioned.update(new)
            shown = ", ".join(new[:8]) + (f" and {len(new) - 8} more" if len(new) > 8 else "")
            patience_s = self._line.patience.first_frame_s
            limited.warning(
                f"silent {self.name}", "%s: subscribed, but no frame within %g s: %s", self.name, patience_s, shown
            )
