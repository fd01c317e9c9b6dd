"""The side of an exchange that its clients see: links, the dialect's conversations, who is subscribed to what.

Rules it keeps:
1. A frame's bytes are made once per topic and shared by all its subscribers.
2. Subscriptions are the session's; the desk only mirrors them.
3. Faults strike between rendering and sending: the market and the truth never know.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from hoga.domain.types import Stamp
from hoga.exchanges.dialect import Action, Answer, Call, Close, Dialect, Ping, Send, SendFirst, Topic
from services.simulator.faults import FrameFaults, Package
from services.simulator.link import BINARY, PING, PONG, TEXT, Link, wire


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
    def __init__(self, code: str, dialect: Dialect, clock: Callable[[], Stamp], most_unsent: int) -> None:
        self.code, self.dialect, self.clock = code, dialect, clock
        self.links: set[Link] = set()
        self.counts = Counts()
        self.faults = FrameFaults()
        self._most_unsent = most_unsent
        self._subscribers: dict[str, dict[Topic, set[Link]]] = {}
        """By native id and topic; never an empty set."""
        self._opcode = BINARY if dialect.binary else TEXT

    @abstractmethod
    def natives(self) -> list[str]:
        """The markets it has frames for."""

    @abstractmethod
    async def rest(self, call: Call) -> Answer: ...

    async def stop(self) -> None:  # noqa: B027 - a hook
        """Ends what runs in the background."""

    def tick(self, now: Stamp) -> None:
        """Pings, cuts, idle limits of every link."""
        for link in list(self.links):
            if not link.silent:
                self.perform(link, link.session.tick(now))

    def flush(self) -> None:
        for link in list(self.links):
            if link.dirty:
                self.flush_link(link)

    def flush_link(self, link: Link) -> None:
        if not link.flush(self._most_unsent):
            self.counts.slow += 1
            self.detach(link)

    def deliver(self, native: str, package: Package) -> None:
        """Sends one frame of a market in its forms, unless a fault is armed for it."""
        for links, payload in self.faults.strike(native, package) if self.faults.armed else package:
            frame = wire(payload, self._opcode)
            for link in links:
                link.send(frame)
                self.counts.frames += 1

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
                    asyncio.get_running_loop().call_later(delay_s, self.send_first, link, topic)
                case Ping(data=data):
                    link.send(wire(data, PING))
                case Close(code=code, reason=reason):
                    link.close(code, reason)

    def send_first(self, link: Link, topic: Topic) -> None:
        """The present book, as the first frame of a new subscription."""
        payload = self.dialect.first(topic)
        if payload and link in self.links:
            link.send(wire(payload, self._opcode))

    def _mirror(self, link: Link) -> None:
        if link.session.topics is not link.topics:
            self._retopic(link, link.session.topics)

    def _retopic(self, link: Link, topics: frozenset[Topic]) -> None:
        for topic in link.topics - topics:
            links = self._subscribers[topic.native][topic]
            links.discard(link)
            if not links:
                del self._subscribers[topic.native][topic]
                self.dropped(topic)
                if not self._subscribers[topic.native]:
                    del self._subscribers[topic.native]
        for topic in topics - link.topics:
            self._subscribers.setdefault(topic.native, {}).setdefault(topic, set()).add(link)
        link.topics = topics

    def dropped(self, topic: Topic) -> None:  # noqa: B027 - a hook
        """The last subscriber of a topic has gone."""
