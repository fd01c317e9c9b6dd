"""One simulated exchange at work: steps its markets and publishes their frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hoga.domain.types import Stamp
from hoga.exchanges.dialect import Answer, Call, Change, Dialect, Topic, merge
from services.simulator.desk import Desk
from services.simulator.faults import Package
from services.simulator.market import ExchangeMarket


@dataclass(slots=True)
class _Slow:
    """Changes gathered for a topic slower than the market."""

    due_ms: int
    changes: list[Change] = field(default_factory=list)


class Venue(Desk):
    def __init__(self, market: ExchangeMarket, dialect: Dialect, clock: Callable[[], Stamp], most_unsent: int) -> None:
        super().__init__(market.code, dialect, clock, most_unsent)
        self.market = market
        self._slow: dict[Topic, _Slow] = {}

    def natives(self) -> list[str]:
        return list(self.market.symbols)

    async def rest(self, call: Call) -> Answer:
        return self.dialect.rest(call)

    def dropped(self, topic: Topic) -> None:
        self._slow.pop(topic, None)

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
        super().tick(now)

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
            self.deliver(native, package)

    def _send_slow(self, topic: Topic, slow: _Slow, now_ms: int) -> None:
        links = self._subscribers.get(topic.native, {}).get(topic)
        symbol = self.market.symbols.get(topic.native)
        changes, slow.changes, slow.due_ms = slow.changes, [], now_ms + topic.interval_ms
        if not links or symbol is None:
            del self._slow[topic]
            return
        book = symbol.as_of_frame() if self.dialect.wants_book(topic) else None
        self.deliver(topic.native, [(links, self.dialect.render(topic, symbol.listing, merge(changes), book))])
