"""The simulator without sockets: a clock that the test turns, and links that write into memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from struct import unpack_from
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hoga.domain.types import Stamp
from hoga.exchanges import registry
from services.simulator.link import BINARY, CLOSE, PING, PONG, TEXT, Link
from services.simulator.options import Options
from services.simulator.venues.base import Answer, Call, Session
from services.simulator.world import World

START_MS = 1_790_000_000_000
STEP_NS = 5_000_000


@dataclass
class Clock:
    ns: int = 0

    def now(self) -> Stamp:
        return Stamp(10**12 + self.ns, START_MS * 1_000_000 + self.ns)


@dataclass
class MemoryPipe:
    """What a link writes to."""

    data: bytearray = field(default_factory=bytearray)
    closed: bool = False

    def write(self, data: bytes) -> None:
        self.data += data

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.closed = True

    def frames(self) -> list[tuple[int, bytes]]:
        """(opcode, payload) of what has arrived since the last call."""
        data, place, found = bytes(self.data), 0, []
        self.data.clear()
        while place < len(data):
            opcode, size = data[place] & 15, data[place + 1]
            place += 2
            if size == 126:
                (size,) = unpack_from("!H", data, place)
                place += 2
            elif size == 127:
                (size,) = unpack_from("!Q", data, place)
                place += 8
            found.append((opcode, data[place : place + size]))
            place += size
        return found


class Room:
    """Simulated exchanges and a clock; `run` lets virtual time pass."""

    def __init__(self, *codes: str, **options: Any) -> None:
        chosen = {
            "symbols": 3,
            "rate": 20.0,
            "quiet": 0.0,
            "bursts": 0.0,
            "max_levels": 300,
            "client_limits": False,
            **options,
        }
        self.clock = Clock()
        self.world = World(Options(exchanges=codes, **chosen), self.clock.now)
        self.world.begin()
        self.clients: list[Client] = []

    def run(self, seconds: float) -> None:
        end_ns = self.clock.ns + int(seconds * 1e9)
        while self.clock.ns < end_ns:
            self.clock.ns += STEP_NS
            while self.world.advance():
                pass
            for client in self.clients:
                client.hear()

    def client(self, code: str) -> Client:
        client = Client(self.world, code, len(self.clients) + 1)
        self.clients.append(client)
        return client


class Client:
    """One link; `heard` are the text and binary frames, decoded, `closed` whether it has ended."""

    def __init__(self, world: World, code: str, number: int) -> None:
        self.exchange, self.venue = registry.get(code), world.venues[code]
        url = urlsplit(self.exchange.strategy.ws_url(self.exchange.strategy.endpoints))
        opened = self.venue.emulator.open(Call(url.path or "/", dict(parse_qsl(url.query)), "a", world.now()))
        assert isinstance(opened, Session), opened
        assert not isinstance(opened, Answer)
        self.now = world.now
        self.pipe = MemoryPipe()
        self.link = Link(number, "a", opened, self.pipe)
        self.venue.attach(self.link)
        self.raw: list[bytes] = []
        self.closed = False
        for frame in self.exchange.strategy.greeting(self.now().wall_ns):
            self.say(frame)

    def say(self, text: str) -> None:
        self.venue.received(self.link, text)
        self.hear()

    def subscribe(self, *natives: str) -> None:
        self.say(self.exchange.strategy.subscribe(natives, 1, self.now().wall_ns))

    def hear(self) -> None:
        self.venue.flush_link(self.link)
        for opcode, payload in self.pipe.frames():
            if opcode in (TEXT, BINARY):
                self.raw.append(payload)
            elif opcode == PING:
                self.venue.ponged(self.link, payload)
            elif opcode == CLOSE:
                self.closed = True
            else:
                assert opcode == PONG
        self.closed = self.closed or self.pipe.closed

    @property
    def heard(self) -> list[Any]:
        return [json.loads(payload) for payload in self.raw]

    def take(self) -> list[Any]:
        """What was heard since the last call."""
        heard = self.heard
        self.raw.clear()
        return heard
