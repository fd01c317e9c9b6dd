"""From frames to books: the one path that production and replay share.

`BookShelf` holds the book builders of one exchange. It parses frames and hands updates to the builder of their symbol,
whose decisions the caller drains; it does no I/O and knows no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hoga.domain.books import raw_shape
from hoga.domain.builder import BookBuilder, Step
from hoga.domain.errors import FrameError, snippet
from hoga.domain.rules import BookRules, Kind
from hoga.domain.stream_builder import StreamBuilder
from hoga.domain.types import Stamp, Update
from hoga.domain.whole_builder import WholeBuilder
from hoga.exchanges.base import BookStart, Channel, Continuity, Exchange

REMEMBERED_LINKS = 256


def make_builder(channel: Channel, rules: BookRules) -> BookBuilder:
    """The builder that fits what a channel can prove."""
    kind = Kind(
        in_band=channel.start is not BookStart.REST,
        ordered=not channel.by_link and channel.start is not BookStart.WHOLE_FRAME,
        overlaps=channel.continuity is Continuity.CONSECUTIVE_IDS,
        numbered=channel.continuity is Continuity.CONNECTION_IDS,
        kept=channel.depth or 0,
        truncates=channel.truncates,
        checksum=channel.checksum,
    )
    return WholeBuilder(rules, kind) if channel.start is BookStart.WHOLE_FRAME else StreamBuilder(rules, kind)


class BookShelf:
    """The books of one exchange, by a key of the caller's (the canonical symbol, or the native id)."""

    def __init__(self, exchange: Exchange, rules: BookRules) -> None:
        self.exchange = exchange
        self.rules = rules
        self.builders: dict[str, BookBuilder] = {}
        self.channels: dict[str, Channel] = {}
        """Of which channel a book is made, where that is not the live one."""
        self._shape = raw_shape(levels) if (levels := exchange.handler.levels) is not None else None
        self._glance = exchange.handler.glance
        self.numbered = exchange.traits.continuity is Continuity.CONNECTION_IDS
        self._numbers: dict[str, int] = {}
        """Link -> the connection's number of its newest frame."""
        self.observe: Callable[[str, Update], None] | None = None
        """Sees every parsed stream update, with its key, before the builder does."""

    def builder(self, key: str, channel: Channel | None = None) -> BookBuilder:
        """The builder of a symbol's book, made where there is none: of the live channel unless another is given."""
        builder = self.builders.get(key)
        if builder is None:
            live = self.exchange.traits
            if channel is not None and channel is not live:
                self.channels[key] = channel
            builder = self.builders[key] = make_builder(channel or live, self.rules)
            if key not in self.channels:
                builder.shape = self._shape
        return builder

    def frame(self, key: str, native: str, frame: bytes, link: str, stamp: Stamp) -> bool:
        """One websocket frame that was routed to `native`; what it says of other symbols is left to their frames.
        Where the exchange numbers its connections the frame goes through `connection` first. True: the book moved, and
        nothing else was decided."""
        builder = self.builders.get(key) or self.builder(key)
        builder.ledger.counters.frames += 1
        if builder.steady is not None and self.observe is None:
            delta = self._glance(frame)
            if delta is not None and delta.native_symbol == native:
                step = builder.step(delta, link, stamp)
                if step is Step.DONE:
                    return True
                if step is Step.LOOK:
                    builder.look(self.exchange.handler.parse(frame)[0], stamp)
                    return False
        self._read(builder, key, native, frame, link, stamp)
        return False

    def _read(self, builder: BookBuilder, key: str, native: str, frame: bytes, link: str, stamp: Stamp) -> None:
        try:
            updates = self.exchange.handler.parse(frame)
            mine = [update for update in updates if update.native_symbol == native]
            if not mine:
                found = ", ".join(sorted({update.native_symbol for update in updates})) or "nothing"
                raise FrameError("symbol", f"a frame for {native!r} holds {snippet(found)}")
            self._check_channel(key, mine[0].channel)
        except FrameError as error:
            builder.reject(error, link, stamp)
            return
        for update in mine:
            builder.counters.odd_times += update.odd_time
            if self.observe is not None:
                self.observe(key, update)
            builder.receive(update, link, stamp)

    def _check_channel(self, key: str, name: str) -> None:
        """A book is made of one channel; frames of another would be changes of another book."""
        if name and name != (channel := self.channels.get(key, self.exchange.traits)).name:
            raise FrameError("channel", f"a frame of {name!r}, but the book is made of {channel.name!r}")

    def connection(self, frame: bytes, link: str, stamp: Stamp) -> bool:
        """Looks at the connection's own number of a frame of any sort; whether the frame is to be read. A jump concerns
        every book of the link; a number from the past is not read."""
        number = self.exchange.handler.link_seq(frame) if self.numbered else None
        if number is None:
            return True
        last = self._numbers.pop(link, None)
        if last is None and len(self._numbers) >= REMEMBERED_LINKS:
            del self._numbers[next(iter(self._numbers))]
        self._numbers[link] = number if last is None else max(number, last)
        if last is None or number in (last, last + 1):
            return True
        for builder in self.builders.values():
            if number < last:
                builder.connection_reversal(link, stamp)
            else:
                builder.connection_gap(link, number - last - 1, stamp)
        return number > last

    def snapshot(self, key: str, native: str, body: bytes, limit: int, stamp: Stamp) -> None:
        """The body of a REST snapshot of `native`; `limit` levels a side were asked for."""
        builder = self.builder(key)
        try:
            update = self.exchange.handler.parse_snapshot(native, body)
        except FrameError as error:
            builder.refuse_snapshot(error, stamp)
        else:
            builder.counters.odd_times += update.odd_time
            builder.snapshot(update, limit, stamp)

    def tick(self, stamp: Stamp) -> None:
        """What time alone decides."""
        for builder in self.builders.values():
            builder.tick(stamp)

    def decided(self) -> Iterator[tuple[str, BookBuilder]]:
        """Those that have decided something; the caller drains them."""
        return ((key, builder) for key, builder in self.builders.items() if builder.out)
