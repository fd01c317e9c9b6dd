"""One websocket connection, from handshake to end. It never comes back; its slot makes the next one.

Three tasks serve it: the reader, the outbox and a watchdog, which the other two cannot hold up:
1. a link is asked, told to be late while it has not answered, and ended where it does not (`probing`), whatever TCP
   believes;
2. subscriptions that are not answered are asked for again, and finally the link is given up as deaf;
3. a flood of nothing but frames that nobody understands ends it;
4. symbols that were subscribed and send nothing are mentioned, once;
5. what it carries is told among its frames (`link_events`), its end at once and behind its last frame.

The end is told at once (`ended`); the closing handshake goes on behind, bounded, and in the end nothing is left of
the connection, even where the other end takes no byte any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket as sockets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import aiohttp

from hoga.runtime.logs import RateLimited
from services.ingest.handshake import CLOSE_PATIENCE_S, Socket, connect
from services.ingest.lane import Lane
from services.ingest.line import End, EndKind, Shared, Tally
from services.ingest.link_events import LinkEvents
from services.ingest.outbox import Outbox
from services.ingest.probing import Probing
from services.ingest.reader import Reader
from services.ingest.subscriptions import Subscriptions
from services.ingest.tcp import since_bytes_s

FLOOD_FRAMES = 100
"""Frames not understood in one look, and most of all frames: counts towards a flood."""
FLOOD_LOOKS = 3
LATE_S = 2.0
"""Frames that are later than this are not to be believed; with what may wait on the bus besides, a book is not later
than five seconds."""
PUT_OFF = "its subscription was refused for now and is asked for again"

log = logging.getLogger(__name__)
limited = RateLimited(log)


class Link:
    """A connection and its subscriptions. `open` it, `want` symbols; `ended` tells when and why it ended."""

    def __init__(
        self,
        shared: Shared,
        name: str,
        on_closing: Callable[[str], None],
        on_late: Callable[[], None] = lambda: None,
        slot: str = "",
    ) -> None:
        """`on_closing(why)` is called when the exchange announces that it will close the link, `on_late()` when frames
        begin to be late (`behind_ns`), or are so no longer."""
        self.name = name
        self.succeeded = False
        """Another link carries the slot."""
        self.connected_ns = 0
        self.connected_mono_s = 0.0
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.socket: Socket | None = None
        strategy, patience = shared.exchange.strategy, shared.patience
        self._shared = shared
        self._lanes: dict[str, Lane] = {}
        self._parked: dict[str, Lane] = {}
        self._mentioned: set[str] = set()
        self._seen = Tally()
        self._floods = 0
        self._slow = False
        self._on_late = on_late
        self.events = LinkEvents(shared.exchange.code, slot, name, shared.publish)
        """What it carries, as told."""
        self._probing = Probing(
            quiet_s=patience.quiet_s,
            answer_s=patience.answer_s,
            idle_s=shared.exchange.limits.idle_timeout_s,
            ask_s=patience.ask_s,
            hopeless_s=patience.hopeless_s,
            expected=shared.habit.answers,
        )
        self._subscriptions = Subscriptions(
            strategy,
            frames=self._frames,
            ack_patience_s=patience.ack_s,
            refusal_s=patience.refusal_s,
            setback_s=patience.setback_s,
        )
        self._outbox = Outbox(strategy, self._subscriptions, self._probing, self._last_s, self._requested)
        link_lane = Lane(shared.exchange.code, "", "", name, shared.publish)
        self._reader = Reader(
            shared,
            name,
            self._lanes,
            link_lane,
            self._subscriptions,
            self._outbox,
            self._probing,
            on_closing,
            self._tell,
            self.events.lost,
        )
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    # --- life

    async def open(self) -> None:
        """Connects and begins to read; `handshake.Refused` where that fails."""
        self.socket = await connect(self._shared)
        self.connected_ns = time.time_ns()
        self.connected_mono_s = time.monotonic()
        self._reader.last_frame_mono_ns = self._reader.awake_mono_ns = time.monotonic_ns()
        self._task = asyncio.create_task(self._run(self.socket), name=f"link {self.name}")

    def end(self, kind: EndKind, detail: str) -> None:
        """Ends the link now; no frame of it is published any more. The closing handshake goes on behind (`closed`)."""
        if self.ended.done():
            return
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
        self.events.close(detail, planned=kind is EndKind.REPLACED or self.succeeded)
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

    @property
    def behind_ns(self) -> int:
        """How late frames are at least, by the time they are read; 0 where that is not known."""
        return int(self._probing.behind_s(time.monotonic()) * 1e9)

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
        self._tell()
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

    @property
    def put_off(self) -> set[str]:
        """Native ids whose subscription is not in effect, and asked for again later."""
        return self._subscriptions.put_off

    @property
    def held(self) -> set[str]:
        """Native ids whose fresh subscription waits for the exchange's hourly budget."""
        return self._subscriptions.held

    def silent(self) -> list[str]:
        """Symbols that were subscribed a while ago and have sent nothing on this link."""
        now_s, patience_s = time.monotonic(), self._shared.patience.first_frame_s
        found = []
        for native, lane in self._lanes.items():
            asked_s = self._subscriptions.asked_s(native)
            if lane.frames == 0 and asked_s is not None and now_s - asked_s > patience_s:
                found.append(lane.symbol)
        return found

    def _lane(self, native: str, symbol: str) -> Lane:
        """A lane goes on counting when its symbol returns to the same link, be it under another native id."""
        parked = self._parked.pop(native, None)
        if parked is not None and parked.symbol == symbol:
            return parked
        before = max((lane.seq for lane in self._parked.values() if lane.symbol == symbol), default=0)
        return Lane(self._shared.exchange.code, symbol, native, self.name, self._shared.publish, start=before)

    def _requested(self) -> None:
        self.tally.requests += 1
        self._shared.changed.fire()

    def _tell(self) -> None:
        """Tells what it carries now: whatever is wanted and in effect, unless its frames are late."""
        if not self.alive:
            return
        patience, out = self._shared.patience, {*self.refused, *self.put_off}
        established = self._subscriptions.established(time.monotonic() - patience.arrival_s)
        lanes = {} if self._slow else self._lanes
        carried = {lane.symbol: established(native) for native, lane in lanes.items() if native not in out}
        self.events.update(carried, self._why_not)

    def _why_not(self, symbol: str) -> str:
        """Why a symbol is not carried."""
        native = next((native for native, lane in self._lanes.items() if lane.symbol == symbol), "")
        if not native:
            return "its subscription was given up"
        if native in self.refused:
            return f"the exchange refuses its subscription: {self.refused[native]}"
        return PUT_OFF if native in self.put_off else f"frames arrive at least {self.behind_ns / 1e9:.1f} s late"

    def _frames(self, native: str) -> int:
        lane = self._lanes.get(native)
        return lane.frames if lane is not None else 0

    def _last_s(self) -> float:
        return self._reader.last_frame_mono_ns / 1e9

    # --- tasks

    async def _run(self, socket: Socket) -> None:
        self._reading = asyncio.create_task(self._read(socket), name=f"read {self.name}")
        tasks = [
            self._reading,
            asyncio.create_task(self._send(socket), name=f"send {self.name}"),
            asyncio.create_task(self._watch(socket), name=f"watch {self.name}"),
        ]
        raw = _twin(socket)
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
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(2 * CLOSE_PATIENCE_S):
                        await socket.close()
            finally:
                if raw is not None:
                    with raw, contextlib.suppress(OSError):  # bytes that nobody takes would keep it open for minutes
                        raw.shutdown(sockets.SHUT_RDWR)

    async def _read(self, socket: Socket) -> None:
        end = await self._reader.run(socket)
        self.end(end.kind, end.detail)

    async def _send(self, socket: Socket) -> None:
        try:
            await self._outbox.run(socket)
        except (OSError, aiohttp.ClientError) as error:
            self.end(EndKind.LOST, f"cannot send: {error or type(error).__name__}")

    async def _watch(self, socket: Socket) -> None:
        probing, patience = self._probing, self._shared.patience
        idle_s = self._shared.exchange.limits.idle_timeout_s
        tick_s = min(patience.look_s, patience.quiet_s, patience.answer_s, idle_s) / 4
        look_s, late = time.monotonic() + patience.look_s, False
        while not self.ended.done():
            due_s = time.monotonic() + tick_s
            await asyncio.sleep(tick_s)
            now_s = time.monotonic()
            self._reader.awake_mono_ns = time.monotonic_ns()
            late = not late and now_s - due_s > tick_s
            if late:  # we were held up ourselves: what came meanwhile is read first
                continue
            if self._slow != (probing.behind_s(now_s) > LATE_S):
                self._slow = not self._slow
                self._tell()
                self._on_late()
            expected = probing.expected
            why = probing.verdict(now_s, self._last_s(), self._outbox.writing_s)
            ends = why and not self._receives(socket, now_s)
            if expected and not probing.proven and (ends or not probing.expected):
                self._shared.habit.failed()
            if ends:
                self.end(EndKind.SILENT, why)
            elif now_s >= look_s:
                look_s = now_s + patience.look_s
                self._look(now_s)

    def _receives(self, socket: Socket, now_s: float) -> bool:
        """A large frame (some snapshots take megabytes) is arriving: no sign of life, but no silence either."""
        patience = self._shared.patience
        hopeless = self._probing.behind_s(now_s) > patience.hopeless_s
        idle = now_s - self._last_s() > self._shared.exchange.limits.idle_timeout_s
        return not hopeless and not idle and since_bytes_s(socket) < patience.quiet_s

    def _look(self, now_s: float) -> None:
        """Once a second."""
        settled = self.settled
        self._subscriptions.check(now_s)
        self._outbox.wake()
        if self.held:
            shown, most = ", ".join(sorted(self.held)[:8]), self._shared.exchange.limits.requests_per_hour
            limited.warning(
                f"held {self.name}", "%s: subscribed anew too often for %d requests an hour: %s", self.name, most, shown
            )
        if self.settled and not settled:
            self._shared.changed.fire()
        self._tell()
        if self._subscriptions.deaf:
            return self.end(EndKind.DEAF, "subscription requests are not answered")
        unknown, frames = self.tally.unknown - self._seen.unknown, self.tally.frames - self._seen.frames
        self._seen = replace(self.tally)
        self._floods = self._floods + 1 if unknown >= FLOOD_FRAMES and unknown > frames // 2 else 0
        if self._floods >= FLOOD_LOOKS:
            return self.end(EndKind.FLOOD, f"{unknown} of the last {frames} frames are not understood")
        return self._mention_silent()

    def _mention_silent(self) -> None:
        new = [symbol for symbol in self.silent() if symbol not in self._mentioned]
        if new:
            self._mentioned.update(new)
            shown = ", ".join(new[:8]) + (f" and {len(new) - 8} more" if len(new) > 8 else "")
            patience_s = self._shared.patience.first_frame_s
            limited.warning(
                f"silent {self.name}", "%s: subscribed, but no frame within %g s: %s", self.name, patience_s, shown
            )


def _twin(socket: Socket) -> sockets.socket | None:
    """The connection below a websocket, as a descriptor of our own: once closed the websocket has forgotten it, and the
    loop's own object may know no `shutdown`. None where there is none (any more, or in tests)."""
    inner = socket.get_extra_info("socket") if hasattr(socket, "get_extra_info") else None
    try:
        return None if inner is None else sockets.socket(fileno=os.dup(inner.fileno()))
    except OSError:  # lost already
        return None
