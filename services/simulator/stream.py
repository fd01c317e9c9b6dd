"""A topic as its subscribers know it: what they were told last, and what has gathered since.

Rules it keeps:
1. All subscribers of a topic can apply every frame that follows to what they have: who comes later gets the book as
   the topic's last frame left it, never anything newer.
2. The topic's id is that of its last frame. A frame that the emulator leaves out (empty bytes) never happened.
3. Where the topic keeps a window, a frame is the difference of two views of it, not what happened in between.
"""

from __future__ import annotations

from services.simulator.book import ASK
from services.simulator.generator import Touched
from services.simulator.symbol import SymbolMarket
from services.simulator.topview import TopView
from services.simulator.venues.base import BookView, Change, Emulator, IntLevel, Topic, merge
from services.simulator.venues.numbers import rescale


class Stream:
    def __init__(self, emulator: Emulator, topic: Topic, symbol: SymbolMarket, now_ms: int) -> None:
        self.emulator, self.topic, self.symbol = emulator, topic, symbol
        self.depth = emulator.wants_book(topic)
        window = emulator.window(topic)
        self.view = TopView(window, symbol.sides_of_frame()) if window else None
        self.seq, self.time_ms = symbol.emitted_seq, symbol.frame_ms
        """Of the last frame; of the book it began with before the first."""
        self.sent_ms = now_ms
        """Monotonic, as `due_ms`."""
        self.due_ms = now_ms + topic.interval_ms
        self._gathered: list[Change] = []
        self._touched: Touched = ({}, {})

    def take(self, change: Change) -> None:
        """A frame of the market, just emitted."""
        if self.view is not None:
            for kept, touched in zip(self._touched, self.symbol.touched, strict=True):
                kept.update(touched)
        self._gathered.append(change)

    def frame(self, now_ms: int) -> bytes:
        """What has gathered as one frame, if its time has come; only between `emit` and `generate`."""
        return self.flush(now_ms) if now_ms >= self.due_ms else b""

    def flush(self, now_ms: int) -> bytes:
        """What has gathered as one frame; empty where nothing has."""
        gathered = self._gathered
        if not gathered:
            return b""
        self._gathered = []
        self.due_ms = now_ms + self.topic.interval_ms
        if self.view is None:
            change = merge(gathered)
        else:
            last = gathered[-1]
            touched, self._touched = self._touched, ({}, {})
            bids, asks = map(self.symbol.levels, self.view.difference(self.symbol.true, touched))
            change = Change(gathered[0].first_seq, last.last_seq, self.seq, last.time_ms, bids, asks)
        return self._render(change, self.symbol.top(self.depth) if self.depth else None, now_ms)

    def crossed(self, idle: Change, bid: IntLevel, now_ms: int) -> bytes:
        """A frame by which a bid stands above the asks, which the true book knows nothing of."""
        book = self.symbol.top(self.depth) if self.depth else None
        if book is not None:
            book = book._replace(bids=[bid, *book.bids[: self.depth - 1]])
        change = idle._replace(bids=[bid])
        return self._render(change if self.view is None else change._replace(prev_seq=self.seq), book, now_ms)

    def renumbered(self, now_ms: int) -> bytes:
        """The frame by which ids begin anew, where the exchange has one."""
        symbol = self.symbol
        book = self.book(symbol.emitted_seq, symbol.frame_ms) or symbol.as_of_frame()
        change = Change(book.seq, book.seq, self.seq, book.time_ms, [], [])
        payload = self.emulator.renumbered(self.topic, symbol.listing, change, book)
        return self._sent(payload or b"", change, now_ms)

    def keep_alive(self, now_ms: int) -> bytes:
        self.sent_ms = now_ms
        return self.emulator.keep_alive(self.topic, self.symbol.listing, self.seq, self.time_ms) or b""

    def book(self, seq: int = 0, time_ms: int = 0) -> BookView | None:
        """The view as the last frame left it; None where the topic keeps none."""
        if self.view is None:
            return None
        bids, asks = map(self.symbol.levels, self.view.lots)
        return BookView(seq or self.seq, time_ms or self.time_ms, bids[::-1], asks)

    def _render(self, change: Change, book: BookView | None, now_ms: int) -> bytes:
        return self._sent(self.emulator.render(self.topic, self.symbol.listing, change, book), change, now_ms)

    def _sent(self, payload: bytes, change: Change, now_ms: int) -> bytes:
        if payload:
            self.seq, self.time_ms, self.sent_ms = change.last_seq, change.time_ms, now_ms
        return payload


def crossing(symbol: SymbolMarket) -> IntLevel:
    """A bid above the best ask that is shown, as large as that (what is too small to be shown crosses nothing)."""
    listing, lots = symbol.listing, symbol.true.lots[ASK]
    indexes = symbol.true.ranks[ASK]
    shown = (i for i in indexes if rescale(lots[i], listing.size_decimals, listing.shown_size_decimals))
    best = next(shown, indexes[0])
    return symbol.spec.ticks.price(best + 1), lots[best]
