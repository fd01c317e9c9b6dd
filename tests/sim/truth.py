"""One life of a market, from its listing (or from new ids) to its end: every frame it sent, and what was true then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from hoga.wire import columns, pb
from services.simulator.symbol import SymbolMarket
from services.simulator.venues.base import BookView

Pairs = list[tuple[int, int]]
"""(price, size) as the exchange shows them, in its own units, best first; sizes that show as zero are left out."""
SPARE = 12
"""Levels kept beyond the published depth, as some may show as zero."""
FEWEST = 5
"""An exchange may send fewer levels than are published; hardly less than this."""


class Frame:
    __slots__ = ("asks", "bids", "crossed", "intact", "plain", "sent", "seq", "time_ms")

    def __init__(self, sent: float, seq: int, time_ms: int, bids: Pairs, asks: Pairs) -> None:
        self.sent, self.seq, self.time_ms, self.bids, self.asks = sent, seq, time_ms, bids, asks
        self.intact = True
        """It was sent as it was, once, and in its turn."""
        self.plain = False
        """It was spoiled so that nobody can miss it: a book that goes on without it is not current."""
        self.crossed = False
        """The exchange sent more in it than the truth holds."""

    def same_as(self, other: Frame) -> bool:
        """Whether it shows the same levels; an exchange may leave such a frame out."""
        return self.bids == other.bids and self.asks == other.asks


class Verdict(NamedTuple):
    index: int
    """Of the newest frame that the book includes; -1 where that is unknown."""
    problem: str
    """What is wrong with it; empty where nothing is."""
    deep: str = ""
    """What is wrong below the levels that are proven at every update."""


class Life:
    def __init__(self, market: SymbolMarket, depth: int, now: float) -> None:
        self.market, self.depth, self.number = market, depth, market.lives
        self.frames: list[Frame] = []
        self._seqs: list[int] = []
        self._by_time: dict[int, list[int]] = {}
        self._add(now, market.as_of_frame())

    def sent(self, now: float) -> None:
        """The market sends a frame."""
        self._add(now, self.market.top(self.depth + SPARE))

    def judge(self, book: pb.OrderBook, *, by_id: bool) -> Verdict:
        if not by_id:
            return self._judge_by_time(book)
        seq = book.sequence
        index = bisect_right(self._seqs, seq) - 1
        if index < 0:
            return Verdict(-1, f"id {seq} is older than the market")
        frame = self.frames[index]
        if frame.seq == seq:
            return Verdict(index, self._differs(book, frame.bids, frame.asks, self.depth))
        if self.market.lives == self.number and seq > self.market.newest:
            return Verdict(-1, f"id {seq} has not happened yet")
        try:
            view = self.market.view(self.market.true.at(seq=seq, life=self.number), self.depth + SPARE)
        except LookupError as error:
            return Verdict(-1, str(error))
        return Verdict(index, self._differs(book, self._pairs(view.bids), self._pairs(view.asks), self.depth))

    def between(self, after: int, last: int) -> tuple[range, int]:
        """(frames with ids above `after`, up to `last`; the frame that follows them), by index."""
        start, stop = bisect_right(self._seqs, after), bisect_right(self._seqs, last)
        return range(start, stop), stop

    @property
    def tampered(self) -> bool:
        return any(not frame.intact for frame in self.frames)

    def _judge_by_time(self, book: pb.OrderBook) -> Verdict:
        ms = book.exchange_time_ns // 1_000_000
        proven = min(book.proven_levels or self.depth, self.depth)
        verdict = Verdict(-1, f"nothing was sent at {ms}")
        for index in reversed(self._by_time.get(ms, ())):
            frame = self.frames[index]
            problem = self._differs(book, frame.bids, frame.asks, proven, FEWEST)
            deep = self._differs(book, frame.bids, frame.asks, self.depth, FEWEST) if proven < self.depth else ""
            if not problem or frame.crossed:
                return Verdict(index, "", deep)
            verdict = Verdict(-1, problem)
        return verdict

    def _add(self, now: float, view: BookView) -> None:
        self._by_time.setdefault(view.time_ms, []).append(len(self.frames))
        self._seqs.append(view.seq)
        levels = self.depth + SPARE
        bids, asks = self._pairs(view.bids[:levels]), self._pairs(view.asks[:levels])
        self.frames.append(Frame(now, view.seq, view.time_ms, bids, asks))

    def _pairs(self, levels: list[tuple[int, int]]) -> Pairs:
        listing = self.market.listing
        if listing.shown_size_decimals == listing.size_decimals:
            return levels
        unit = 10 ** (listing.size_decimals - listing.shown_size_decimals)
        shown = [(price, (2 * size + unit) // (2 * unit)) for price, size in levels]
        return [level for level in shown if level[1]]

    def _differs(self, book: pb.OrderBook, bids: Pairs, asks: Pairs, depth: int, fewest: int = 1 << 30) -> str:
        """What the best `depth` levels have wrong. All of them must be there, or at least `fewest`."""
        listing, shown = self.market.listing, columns.read(book)
        price_power = shown.price_exponent + listing.price_decimals
        size_power = shown.size_exponent + listing.shown_size_decimals
        for name, true, prices, sizes in (
            ("bids", bids, shown.bid_price, shown.bid_size),
            ("asks", asks, shown.ask_price, shown.ask_size),
        ):
            expected = true[:depth]
            found = list(zip(_scaled(prices[:depth], price_power), _scaled(sizes[:depth], size_power), strict=True))
            if found == expected[: len(found)] and len(found) >= min(fewest, len(expected)):
                continue
            place = next((n for n, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), None)
            if place is None:
                return f"{len(found)} {name} of {len(expected)}"
            return f"{name} {place} is {found[place]}, true {expected[place]}"
        return ""


def _scaled(column: Sequence[int], power: int) -> list[int]:
    """Mantissas in the market's own unit; -1 where one is finer than that unit."""
    if power == 0:
        return list(column)
    if power > 0:
        return [value * 10**power for value in column]
    unit = 10**-power
    return [value // unit if value % unit == 0 else -1 for value in column]
