"""A recorded exchange, played as if live to whoever subscribes.

Rules it keeps:
1. The tape waits for the first subscription, and a moment longer for others; from then on there is one position.
2. Frames are sent byte for byte to the links that are subscribed to their market; acknowledgements, pings and
   errors are the emulator's.
3. A recorded REST answer is served when the position has passed it; who asks earlier waits. A later one of the same
   request replaces it.
4. At `max` speed the tape goes as fast as the slowest client reads, and stops at every recorded snapshot of a
   subscribed market until it has been fetched (at most `_PATIENCE_S`), so that a book can be joined at any speed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp
from hoga.exchanges.base import Exchange, RestKind
from services.simulator.desk import Desk
from services.simulator.link import Link
from services.simulator.tape import MAX_SPEED, Body, Track
from services.simulator.venues.base import Answer, BookView, Call, Day, Emulator, Listing, Topic

_PATIENCE_S = 5.0
_LONGEST_WAIT_S = 30.0
_UNSENT_BYTES = 256 << 10
_BATCH = 64


class TapeMarket:
    """The `MarketPort` of a recording: it knows which markets there are, and nothing else."""

    def __init__(self, exchange: Exchange, track: Track) -> None:
        self._listings = {native: _listing(exchange, native) for native in track.natives()}

    def listings(self) -> Sequence[Listing]:
        return list(self._listings.values())

    def listing(self, native: str) -> Listing | None:
        return self._listings.get(native)

    maintained = False

    def phase(self, native: str) -> Phase:
        return Phase.TRADING

    def book(self, native: str, at_ms: int | None = None) -> BookView:
        return BookView(0, 0, [], [])

    def day(self, native: str) -> Day:
        return Day(1, 1, 1, 1, 10**14, 10**14, 1)


class TapeVenue(Desk):
    def __init__(
        self,
        exchange: Exchange,
        emulator: Emulator,
        clock: Callable[[], Stamp],
        most_unsent: int,
        track: Track,
        speed: float,
        gather_s: float = 0.3,
    ) -> None:
        super().__init__(exchange.code, emulator, clock, most_unsent)
        self.stamps = False  # recorded frames have the numbers of the recorded connection
        self.exchange = exchange
        self.track, self.speed, self.gather_s = track, speed, gather_s
        self.position = 0
        """Frames played."""
        self.finished = asyncio.Event()
        self._moved = asyncio.Event()
        self._player: asyncio.Task[None] | None = None

    def natives(self) -> list[str]:
        return self.track.natives()

    def send_first(self, link: Link, topic: Topic) -> None:
        """Nothing: what was recorded is all there is."""

    def tick(self, now: Stamp) -> None:
        super().tick(now)
        if self._player is None and any(native in self._subscribers for native in self.natives()):
            self._player = asyncio.create_task(self._play(), name=f"tape-{self.code}")

    async def stop(self) -> None:
        if self._player is not None:
            self._player.cancel()
            await asyncio.gather(self._player, return_exceptions=True)

    async def rest(self, call: Call) -> Answer:
        """Rule 3; a request that was never recorded is answered by the emulator."""
        asked = self.exchange.strategy.match_rest(f"{call.path}?{urlencode(dict(call.query))}")
        matching = [
            body
            for body in self.track.bodies
            if asked is not None and (body.asked.kind, body.asked.native_symbol) == (asked.kind, asked.native_symbol)
        ]
        if not matching:
            if asked is not None and asked.kind is RestKind.SNAPSHOT:
                return Answer(404, b'{"error":"no such snapshot on this tape"}', {"Content-Type": "application/json"})
            return self.emulator.rest(call)
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                while matching[0].position > self.position and not self.finished.is_set():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return Answer(503, b"")
        body = [known for known in matching if known.position <= self.position][-1]
        body.served = True
        return Answer(200, body.payload, {"Content-Type": "application/json;charset=UTF-8"})

    async def _play(self) -> None:
        await asyncio.sleep(self.gather_s)
        loop = asyncio.get_running_loop()
        frames, began = self.track.frames, loop.time()
        first_ns = frames[0].ts_ns
        for place, frame in enumerate(frames):
            if self.speed < MAX_SPEED:
                ahead = (frame.ts_ns - first_ns) / 1e9 / self.speed - (loop.time() - began)
                if ahead > 0:
                    await asyncio.sleep(ahead)
            else:
                await self._wait_for_reader(place)
                await self._wait_for_snapshots(place)
            links = {
                link
                for native in frame.natives
                for subscribed in self._subscribers.get(native, {}).values()
                for link in subscribed
            }
            if links:
                self.deliver(frame.natives[0], [(links, frame.payload)])
            self.position = place + 1
            self._moved.set()
            self.flush()
        self.finished.set()
        self._moved.set()

    async def _wait_for_reader(self, place: int) -> None:
        if place % _BATCH == 0:
            await asyncio.sleep(0)
        while any(link.unsent() > _UNSENT_BYTES for link in self.links):  # noqa: ASYNC110 - sockets have no event for it
            await asyncio.sleep(0.001)

    async def _wait_for_snapshots(self, place: int) -> None:
        """Rule 4."""
        waiting = [body for body in self.track.bodies if body.position == place and self._is_wanted(body)]
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while any(not body.served for body in waiting) and asyncio.get_running_loop().time() < deadline:
            self._moved.set()
            await asyncio.sleep(0.005)

    def _is_wanted(self, body: Body) -> bool:
        return body.asked.kind is RestKind.SNAPSHOT and body.asked.native_symbol in self._subscribers


def _listing(exchange: Exchange, native: str) -> Listing:
    base, _, rest = exchange.handler.normalize_symbol(native).partition("-")
    quote, _, delivery = rest.partition("-")
    kind = "dated" if delivery.isdigit() else "perpetual"
    return Listing(native, base, quote, kind, korean_name=base, english_name=base)
