"""One simulated exchange at work: steps its markets and publishes their frames."""

from __future__ import annotations

from collections.abc import Callable

from hoga.domain.types import Stamp
from services.simulator.desk import Desk
from services.simulator.faults import Package
from services.simulator.link import Link
from services.simulator.market import ExchangeMarket
from services.simulator.stream import Stream, crossing
from services.simulator.symbol import SymbolMarket
from services.simulator.venues.base import Answer, Call, Topic

_KEEP_ALIVE_CHECK_MS = 500


class Venue(Desk):
    def __init__(self, market: ExchangeMarket, clock: Callable[[], Stamp], most_unsent: int) -> None:
        super().__init__(market.code, market.emulator, clock, most_unsent)
        self.market = market
        self.crossings: set[str] = set()
        """Markets whose next frame is followed by one that crosses the book."""
        self._streams: dict[Topic, Stream] = {}
        self._checked_ms = 0

    def natives(self) -> list[str]:
        return list(self.market.symbols)

    async def rest(self, call: Call) -> Answer:
        return self.emulator.rest(call)

    def step(self, native: str, now_ms: int) -> int | None:
        """Sends what is pending and draws the next window; milliseconds until the next step, None once delisted."""
        symbol = self.market.symbols.get(native)
        if symbol is None:
            return None
        change = symbol.emit()
        if native in self._subscribers:
            mono_ms = self._now_ms()
            if change is not None:
                for stream in self._open(native):
                    stream.take(change)
            self._publish(native, lambda stream: stream.frame(mono_ms))
        if symbol.ending:
            self._renumber(symbol)
        if symbol.coming is not symbol.spec:
            self._retick(symbol)
        if native in self.crossings:
            self._cross(symbol)
        interval = symbol.generator.next_interval_ms()
        if not self.market.maintained:
            symbol.generate(now_ms, now_ms + interval)
        return interval

    def tick(self, now: Stamp) -> None:
        """Pings, cuts and what quiet topics send."""
        mono_ms = now.mono_ns // 1_000_000
        if mono_ms >= self._checked_ms + _KEEP_ALIVE_CHECK_MS:
            self._checked_ms = mono_ms
            quiet_ms = mono_ms - int(self.market.options.keep_alive_s * 1000)
            for topic, stream in self._streams.items():
                if stream.sent_ms <= quiet_ms and topic.native in self.market.symbols:
                    self._deliver(stream, stream.keep_alive(mono_ms))
        super().tick(now)

    def listed(self, native: str) -> None:
        """A market has come (back): who is subscribed to it already begins with its first book."""
        for topic in [topic for topic in self._streams if topic.native == native]:
            del self._streams[topic]  # of the market before
        if not self.emulator.whole_frames:
            self._publish(native, lambda stream: self._first(stream.topic, stream))

    def send_first(self, link: Link, topic: Topic) -> None:
        stream = self._streams.get(topic)
        symbol = self.market.symbols.get(topic.native)
        if stream is None and symbol is not None:
            stream = Stream(self.emulator, topic, symbol, self._now_ms())
            if topic in link.session.topics:
                self._streams[topic] = stream
        self.send_one(link, self._first(topic, stream))

    def added(self, topic: Topic) -> None:
        symbol = self.market.symbols.get(topic.native)
        if symbol is not None and topic not in self._streams:
            self._streams[topic] = Stream(self.emulator, topic, symbol, self._now_ms())

    def dropped(self, topic: Topic) -> None:
        self._streams.pop(topic, None)

    def _first(self, topic: Topic, stream: Stream | None) -> bytes:
        """The first frame of a topic, made from the book that its last frame left."""
        book = None if stream is None else stream.book()
        if book is None:
            return self.emulator.first(topic) or b""
        self.market.shown[topic.native] = book
        try:
            return self.emulator.first(topic) or b""
        finally:
            del self.market.shown[topic.native]

    def _open(self, native: str) -> list[Stream]:
        """The streams of a market that somebody listens to."""
        for topic in self._subscribers.get(native, ()):
            self.added(topic)
        return [self._streams[topic] for topic in self._subscribers.get(native, ())]

    def _publish(self, native: str, render: Callable[[Stream], bytes]) -> None:
        """One frame of a market in all its forms."""
        package: Package = []
        topics = self._subscribers.get(native, {})
        for stream in self._open(native):
            payload = render(stream)
            if payload:
                package.append((topics[stream.topic], payload))
        if package:
            self.deliver(native, package)

    def _deliver(self, stream: Stream, payload: bytes) -> None:
        links = self._subscribers.get(stream.topic.native, {}).get(stream.topic)
        if payload and links:
            self.deliver(stream.topic.native, [(links, payload)])

    def _renumber(self, symbol: SymbolMarket) -> None:
        native, now_ms = symbol.listing.native, self._now_ms()
        self._publish(native, lambda stream: stream.flush(now_ms))
        symbol.begin_life()
        self._publish(native, lambda stream: stream.renumbered(now_ms))
        self.faults.struck["reset"] += 1

    def _retick(self, symbol: SymbolMarket) -> None:
        native, now_ms = symbol.listing.native, self._now_ms()
        self._publish(native, lambda stream: stream.flush(now_ms))
        finer = symbol.retick()
        for topic, stream in self._streams.items():
            if topic.native == native and stream.view is not None:
                stream.view.refine(finer.ticks, finer.sizes)
        self.faults.struck["retick"] += 1

    def _cross(self, symbol: SymbolMarket) -> None:
        native, now_ms = symbol.listing.native, self._now_ms()
        self.crossings.discard(native)
        self._publish(native, lambda stream: stream.flush(now_ms))
        bid, idle = crossing(symbol), symbol.idle()
        self._publish(native, lambda stream: stream.crossed(idle, bid, now_ms))
        self.faults.struck["cross"] += 1

    def _now_ms(self) -> int:
        return self.clock().mono_ns // 1_000_000
