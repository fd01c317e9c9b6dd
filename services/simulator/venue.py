"""One exchange at work: its market, its dialect, its links, and who is subscribed to what.

Rules it keeps:
1. A frame's bytes are made once per topic and shared by all its subscribers.
2. Subscriptions are the session's; the venue only mirrors them.
3. Faults strike between rendering and sending: the market and the truth never know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from hoga.domain.types import Stamp
from hoga.exchanges.dialect import Action, Change, Close, Dialect, Ping, Send, SendFirst, Topic, merge
from services.simulator.faults import FrameFaults, Package
from services.simulator.link import BINARY, PING, PONG, TEXT, Link, wire
from services.simulator.market import ExchangeMarket


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


@dataclass(slots=True)
class _Slow:
    """Changes gathered for a topic slower than the market."""

    due_ms: int
    changes: list[Change] = field(default_factory=list)


class Venue:
    def __init__(self, market: ExchangeMarket, dialect: Dialect, clock: Callable[[], Stamp], most_unsent: int) -> None:
        self.market, self.dialect, self.clock = market, dialect, clock
        self.code = market.code
        self.links: set[Link] = set()
        self.counts = Counts()
        self.faults = FrameFaults()
        self._most_unsent = most_unsent
        self._subscribers: dict[str, dict[Topic, set[Link]]] = {}
        self._slow: dict[Topic, _Slow] = {}
        self._opcode = BINARY if dialect.binary else TEXT

    # the market's side

    def step(self, native: str, now_ms: int) -> int | None:
        """Sends what is pending and draws the next window; milliseconds until the next step, None once delisted."""
        symbol = self.market.symbols.get(native)
        if symbol is None:
            return None
        change = symbol.emit()
        if change is not None and native in self._subscribers:
            self._publish(native, change, now_ms)
        interval = symbol.generator.next_interval_ms()
        symbol.generate(now_ms, now_ms + interval)
        return interval

    def tick(self, now: Stamp) -> None:
        """Pings, cuts and slow topics."""
        now_ms = now.wall_ns // 1_000_000
        for topic, slow in list(self._slow.items()):
            if slow.changes and now_ms >= slow.due_ms:
                self._send_slow(topic, slow, now_ms)
        for link in list(self.links):
            if not link.silent:
                self.perform(link, link.session.tick(now))

    def flush(self) -> None:
        for link in list(self.links):
            if link.dirty and not link.flush(self._most_unsent):
                self.counts.slow += 1
                self.detach(link)

    def _publish(self, native: str, change: Change, now_ms: int) -> None:
        package: Package = []
        symbol = self.market.symbols[native]
        for topic, links in self._subscribers[native].items():
            if topic.interval_ms:
                self._slow.setdefault(topic, _Slow(now_ms + topic.interval_ms)).changes.append(change)
                continue
            depth = self.dialect.wants_book(topic)
            payload = self.dialect.render(topic, symbol.listing, change, symbol.top(depth) if depth else None)
            if payload:
                package.append((links, payload))
        if package:
            self._deliver(native, package)

    def _send_slow(self, topic: Topic, slow: _Slow, now_ms: int) -> None:
        links = self._subscribers.get(topic.native, {}).get(topic)
        symbol = self.market.symbols.get(topic.native)
        changes, slow.changes, slow.due_ms = slow.changes, [], now_ms + topic.interval_ms
        if not links or symbol is None:
            del self._slow[topic]
            return
        book = symbol.as_of_frame() if self.dialect.wants_book(topic) else None
        self._deliver(topic.native, [(links, self.dialect.render(topic, symbol.listing, merge(changes), book))])

    def _deliver(self, native: str, package: Package) -> None:
        for links, payload in self.faults.strike(native, package) if self.faults.armed else package:
            frame = wire(payload, self._opcode)
            for link in links:
                link.send(frame)
            self.counts.frames += len(links)

    # the clients' side

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
                    self._send_first(link, topic)
                case SendFirst(topic=topic, delay_s=delay_s):
                    asyncio.get_running_loop().call_later(delay_s, self._send_first, link, topic)
                case Ping(data=data):
                    link.send(wire(data, PING))
                case Close(code=code, reason=reason):
                    link.close(code, reason)

    def _send_first(self, link: Link, topic: Topic) -> None:
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
                self._slow.pop(topic, None)
                if not self._subscribers[topic.native]:
                    del self._subscribers[topic.native]
        for topic in topics - link.topics:
            self._subscribers.setdefault(topic.native, {}).setdefault(topic, set()).add(link)
        link.topics = topics
