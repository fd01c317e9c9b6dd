"""Synthetic tapes: an exchange's emulator over the synthetic market, recorded in memory in virtual time.

    records, truth = record("kraken", seconds=20, seed=3, symbols=4)
    write(path, records)

No socket, no sleep: a client that knows nothing but the exchange's own strategy greets, subscribes, keeps alive and
asks for snapshots, and every byte lands in the records (the layout of tapes). A link that the exchange closes is opened
again. `faults` is called after every step with the world and the seconds so far.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hoga.exchanges import registry
from hoga.exchanges.base import BookStart, RestRequest, RouteKind
from services.simulator.link import BINARY, CLOSE, PING, TEXT, Link
from services.simulator.market import Truth, texts
from services.simulator.options import Options
from services.simulator.venues.base import Answer, BookView, Call, Session
from services.simulator.world import World
from tests.support.memory_link import STEP_NS, Clock, MemoryPipe

_SNAPSHOT_AFTER_S = 1.0
"""After the first frame: longer than any cache of the exchange, so that the buffer reaches back behind it."""

Record = dict[str, Any]
Faults = Callable[[World, float], None]


def record(
    code: str,
    *,
    seconds: float = 10.0,
    seed: int = 1,
    symbols: int = 4,
    faults: Faults | None = None,
    **options: Any,
) -> tuple[list[Record], dict[str, Truth]]:
    """(records of a tape, what every book must be at its end by native id, as deep as the exchange keeps it)."""
    clock = Clock()
    chosen = {"rate": 20.0, "quiet": 0.0, "max_levels": 300, "symbols": symbols, "seed": seed, **options}
    world = World(Options(exchanges=(code,), **chosen), clock.now)
    recorder = _Recorder(code, world, clock)
    world.begin()
    recorder.open()
    end_ns = clock.ns + int(seconds * 1e9)
    while clock.ns < end_ns:
        clock.ns += STEP_NS
        while world.advance():
            pass
        recorder.tick()
        if faults is not None:
            faults(world, seconds - (end_ns - clock.ns) / 1e9)
    return recorder.records, {native: final(world, code, native) for native in world.market.exchanges[code].symbols}


def final(world: World, code: str, native: str) -> Truth:
    """The truth as the last frame left it, cut as the exchange cuts it: by levels, then what shows as 0 is left out."""
    symbol = world.market.exchanges[code].symbols[native]
    view: BookView = symbol.as_of_frame()
    depth = registry.get(code).traits.depth
    bids, asks = (texts(symbol.listing, levels[:depth]) for levels in (view.bids, view.asks))
    return {"seq": view.seq, "time_ms": view.time_ms, "life": symbol.lives, "bids": bids, "asks": asks}


def write(path: Path, records: list[Record]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), "utf-8")
    return path


class _Recorder:
    """The client, and what it hears."""

    def __init__(self, code: str, world: World, clock: Clock) -> None:
        self.exchange = registry.get(code)
        self.world, self.clock = world, clock
        self.venue = world.venues[code]
        self.natives = self.venue.natives()
        self.records: list[Record] = []
        self.links = 0
        self.pipe = MemoryPipe()
        self.link: Link
        self._todo: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._asked: set[str] = set()
        for request in self.exchange.strategy.instruments_requests():
            self.get(request)

    def open(self) -> None:
        strategy = self.exchange.strategy
        url = strategy.ws_url(strategy.endpoints)
        parts = urlsplit(url)
        call = Call(parts.path or "/", dict(parse_qsl(parts.query)), "127.0.0.1", self.world.now())
        session = self.venue.emulator.open(call)
        assert isinstance(session, Session), session
        self.links += 1
        self.pipe = MemoryPipe()
        self.link = Link(self.links, "127.0.0.1", session, self.pipe)
        self.venue.attach(self.link)
        self._asked.clear()
        self._note("connect", None, url)
        size = len(self.natives) if strategy.replaces_subscription else self.exchange.limits.symbols_per_request
        chunks = [self.natives[start : start + size] for start in range(0, len(self.natives), size)]
        now_ns = self._now_ns()
        asked = (strategy.subscribe(chunk, n, now_ns) for n, chunk in enumerate(chunks, start=1))
        for place, frame in enumerate([*strategy.greeting(now_ns), *asked]):
            self._later(place / self.exchange.limits.messages_per_s, lambda frame=frame: self.say(frame))
        if strategy.heartbeat_s is not None:
            self._later(strategy.heartbeat_s, self._beat)

    def say(self, frame: str) -> None:
        self._note("send", frame)
        self.venue.received(self.link, frame)
        self.venue.flush_link(self.link)

    def get(self, request: RestRequest) -> None:
        parts = urlsplit(request.path)
        call = Call(parts.path, dict(parse_qsl(parts.query)), "127.0.0.1", self.world.now())
        fault = self.world.faults.rest_fault(self.venue, call)
        answer = self.venue.emulator.rest(call) if fault is None or fault.spares else None
        answer = answer if fault is None else fault.answer(answer)
        assert isinstance(answer, Answer)
        if answer.status == 200:
            url = self.exchange.strategy.endpoints.rest + request.path
            self._note("http", answer.body.decode("utf-8", "replace"), url)

    def tick(self) -> None:
        """Hears what has arrived, does what is due."""
        for opcode, payload in self.pipe.frames():
            self._hear(opcode, payload)
        if self.pipe.closed:
            self.pipe.closed = False
            self.venue.detach(self.link)
            self._todo.clear()
            self._later(0.2, self.open)
        while self._todo and self._todo[0][0] <= self.clock.ns:
            heapq.heappop(self._todo)[2]()

    def _hear(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.venue.ponged(self.link, payload)
        elif opcode == CLOSE:
            self.pipe.closed = True
        elif opcode in (TEXT, BINARY):
            self._note("recv", payload.decode("utf-8", "replace"))
            if self.exchange.traits.start is BookStart.REST:
                self._want_snapshots(payload)

    def _want_snapshots(self, payload: bytes) -> None:
        route = self.exchange.strategy.route(payload)
        for native in route.symbols if route.kind is RouteKind.BOOK else ():
            if native not in self._asked:
                self._asked.add(native)
                request = self.exchange.strategy.snapshot_request(native)
                self._later(_SNAPSHOT_AFTER_S, lambda request=request: self.get(request))

    def _beat(self) -> None:
        strategy = self.exchange.strategy
        assert strategy.heartbeat_s is not None
        text = strategy.heartbeat(self._now_ns())
        if text is None:
            self.venue.pinged(self.link, b"")
            self.venue.flush_link(self.link)
        else:
            self.say(text)
        self._later(strategy.heartbeat_s, self._beat)

    def _now_ns(self) -> int:
        return self.world.now().wall_ns

    def _later(self, delay_s: float, deed: Callable[[], None]) -> None:
        heapq.heappush(self._todo, (self.clock.ns + int(delay_s * 1e9), next(self._order), deed))

    def _note(self, kind: str, data: str | None, url: str | None = None) -> None:
        now_ns = self._now_ns()
        conn = "rest" if kind == "http" else f"c{self.links}"
        self.records.append({"kind": kind, "ts_ns": now_ns, "conn": conn, "url": url, "data": data})
