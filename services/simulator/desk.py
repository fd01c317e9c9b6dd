"""The side of an exchange that its clients see: links, the emulator's conversations, who is subscribed to what.

Rules it keeps:
1. A frame's bytes are made once per topic and shared by all its subscribers; only where frames carry a number of the
   connection (`Emulator.per_link`) each link gets its own.
2. Subscriptions are the session's; the desk only mirrors them.
3. Faults strike between rendering and sending: the market and the truth never know. A frame that a fault loses has had
   its number of the connection; one that is held back gets it when it leaves.
4. It has no clock and no loop: what is to happen later happens in `tick`.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hoga.domain.types import Stamp
from services.simulator.faults import FrameFaults, Package
from services.simulator.link import BINARY, CLOSE_WAIT_S, PING, PONG, TEXT, Link, wire
from services.simulator.venues.base import Action, Answer, Call, Close, Emulator, Ping, Send, SendFirst, Topic


@dataclass(slots=True)
class Counts:
    links: int = 0
    """Opened since the start."""
    frames: int = 0
    """Market frames sent, each subscriber counted."""
    received: int = 0
    rest: int = 0
    refused: int = 0
    """REST calls and connections answered with an error."""
    slow: int = 0
    """Clients cut off because they did not read."""


class Desk(ABC):
    def __init__(self, code: str, emulator: Emulator, clock: Callable[[], Stamp], most_unsent: int) -> None:
        self.code, self.emulator, self.clock = code, emulator, clock
        self.links: set[Link] = set()
        self.counts = Counts()
        self.faults = FrameFaults()
        self.stamps = emulator.per_link
        """Whether frames get a number of the connection."""
        self._most_unsent = most_unsent
        self._subscribers: dict[str, dict[Topic, set[Link]]] = {}
        """By native id and topic; never an empty set."""
        self._opcode = BINARY if emulator.binary else TEXT
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._laters = 0
        self._held: dict[str, list[list[tuple[set[Link], bytes]]]] = {}
        """What is held back, by market, in order."""

    @abstractmethod
    def natives(self) -> list[str]:
        """The markets it has frames for."""

    @abstractmethod
    async def rest(self, call: Call) -> Answer: ...

    async def stop(self) -> None:  # noqa: B027 - a hook
        """Ends what runs in the background."""

    def tick(self, now: Stamp) -> None:
        """What is due: pings, cuts and idle limits of every link, and what was put off."""
        while self._later and self._later[0][0] <= now.mono_ns:
            heapq.heappop(self._later)[2]()
        for link in list(self.links):
            if not link.silent:
                self.perform(link, link.session.tick(now))

    def later(self, delay_s: float, deed: Callable[[], None]) -> None:
        """Does something in the first tick after `delay_s`."""
        self._laters += 1
        heapq.heappush(self._later, (self.clock().mono_ns + int(delay_s * 1e9), self._laters, deed))

    def flush(self) -> None:
        for link in list(self.links):
            if link.dirty:
                self.flush_link(link)

    def flush_link(self, link: Link) -> None:
        if not link.flush(self._most_unsent):
            self.counts.slow += 1
            self.detach(link)

    # frames

    def deliver(self, native: str, package: Package) -> None:
        """Sends one frame of a market in its forms, unless it is held back or a fault is armed for it."""
        if native in self._held:
            # The links are copied: who subscribes meanwhile has a first frame that is newer than this one.
            self._held[native].append([(set(links), payload) for links, payload in package])
            self.faults.struck["delay"] += 1
        else:
            self._send(native, package)

    def hold(self, native: str, seconds: float) -> None:
        """Holds the frames of a market back for a while; then they leave in order."""
        if native not in self._held:
            self._held[native] = []
            self.later(seconds, partial(self.release, native))

    def release(self, native: str = "") -> None:
        """Lets go what is held back, of one market or (empty) of all."""
        for name in [native] if native else list(self._held):
            for package in self._held.pop(name, []):
                self._send(name, [(links & self.links, payload) for links, payload in package])

    def _send(self, native: str, package: Package) -> None:
        if self.stamps:
            package = [([link], link.session.stamp(payload)) for links, payload in package for link in links]
        for links, payload in self.faults.strike(native, package) if self.faults.armed else package:
            frame = wire(payload, self._opcode)
            for link in links:
                link.send(frame)
                self.counts.frames += 1

    def send_one(self, link: Link, payload: bytes | None) -> None:
        """A market frame to one link alone."""
        if payload and link in self.links:
            link.send(wire(link.session.stamp(payload) if self.stamps else payload, self._opcode))

    def send_first(self, link: Link, topic: Topic) -> None:
        """The present book, as the first frame of a new subscription."""
        self.send_one(link, self.emulator.first(topic))

    # links

    def attach(self, link: Link) -> None:
        self.links.add(link)
        self.counts.links += 1
        self._mirror(link)

    def detach(self, link: Link) -> None:
        self.links.discard(link)
        self._retopic(link, frozenset())

    def received(self, link: Link, data: str | bytes) -> None:
        self.counts.received += 1
        self.perform(link, link.session.receive(data, self.clock()))
        self._mirror(link)

    def pinged(self, link: Link, data: bytes) -> None:
        link.send(wire(data, PONG))
        self.perform(link, link.session.ping(data, self.clock()))

    def ponged(self, link: Link, data: bytes) -> None:
        self.perform(link, link.session.pong(data, self.clock()))

    def perform(self, link: Link, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(data=str(text)):
                    link.send(wire(text.encode(), TEXT))
                case Send(data=bytes(data)):
                    link.send(wire(data, BINARY))
                case SendFirst(topic=topic, delay_s=0.0):
                    self.send_first(link, topic)
                case SendFirst(topic=topic, delay_s=delay_s):
                    self.later(delay_s, partial(self.send_first, link, topic))
                case Ping(data=data):
                    link.send(wire(data, PING))
                case Close(code=code, reason=reason):
                    self.close(link, code, reason)

    def close(self, link: Link, code: int, reason: str = "") -> None:
        """Begins a closing handshake; the client has `CLOSE_WAIT_S` to answer. 1006 means without one."""
        if link.close(code, reason):
            self.later(CLOSE_WAIT_S, link.abort)

    def _mirror(self, link: Link) -> None:
        if link.session.topics is not link.topics:
            self._retopic(link, link.session.topics)

    def _retopic(self, link: Link, topics: frozenset[Topic]) -> None:
        gone = link.topics - topics
        for topic in gone:
            links = self._subscribers[topic.native][topic]
            links.discard(link)
            if not links:
                del self._subscribers[topic.native][topic]
                self.dropped(topic)
                if not self._subscribers[topic.native]:
                    del self._subscribers[topic.native]
        for native in {topic.native for topic in gone} & self._held.keys() if self._held else ():
            self._forsake(link, native)
        for topic in topics - link.topics:
            self._subscribers.setdefault(topic.native, {}).setdefault(topic, set()).add(link)
            self.added(topic)
        link.topics = topics

    def _forsake(self, link: Link, native: str) -> None:
        """What is held back for a subscription that has ended never comes."""
        self._held[native] = [
            [({other for other in links if other is not link}, payload) for links, payload in package]
            for package in self._held[native]
        ]

    def added(self, topic: Topic) -> None:  # noqa: B027 - a hook
        """A topic has a subscriber more."""

    def dropped(self, topic: Topic) -> None:  # noqa: B027 - a hook
        """The last subscriber of a topic has gone."""
