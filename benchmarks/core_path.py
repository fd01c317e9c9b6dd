"""The way of a frame through the core, as ingest and validator go it: route, parse, book, message.

Everything that `benchmarks.core` and `benchmarks.peers` know of the inside of the core stands here.
"""

from __future__ import annotations

from collections.abc import Mapping

from hoga.domain.actions import Publish, RequestSnapshot
from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.domain.types import Stamp, State
from hoga.exchanges.base import Exchange, RouteKind
from hoga.runtime.books import BookShelf
from hoga.runtime.settings import Settings
from hoga.wire import books, pb
from services.validator.service import book_rules

LINK = "bench-0.1"
DEPTH = 20


class Path:
    """The books of one exchange over one link, by native id."""

    def __init__(self, exchange: Exchange, snapshots: Mapping[str, bytes]) -> None:
        """`snapshots`: the REST body by native id, the answer to whatever a book asks for."""
        self.exchange, self.snapshots = exchange, snapshots
        self.shelf = BookShelf(exchange, book_rules(Settings(), exchange.code))
        self.asking: set[str] = set()
        self.messages: dict[str, bytes] = {}
        """The newest of each book."""
        self._writers: dict[str, books.BookWriter] = {}
        self._route = exchange.strategy.route

    def frame(self, data: bytes, stamp: Stamp) -> None:
        """One frame of the websocket to the bytes of what is published."""
        route = self._route(data)
        readable = self.shelf.connection(data, LINK, stamp)
        if route.kind is not RouteKind.BOOK or not readable:
            return
        for native in route.symbols:
            if native not in self.shelf.builders:
                self.shelf.builder(native).on_link(LinkEvent(LinkEventKind.OPENED, LINK), stamp)
            changed = self.shelf.frame(native, native, data, LINK, stamp)
            for action in self.shelf.builders[native].drain():
                if isinstance(action, Publish):
                    changed = True
                elif isinstance(action, RequestSnapshot):
                    self.asking.add(native)
            if changed:
                self.messages[native] = self._message(native)

    def pass_time(self, stamp: Stamp) -> None:
        """What the clock decides, ten times a second in production."""
        self.shelf.tick(stamp)
        for native, builder in self.shelf.decided():
            if any(isinstance(action, RequestSnapshot) for action in builder.drain()):
                self.asking.add(native)

    def answer(self, stamp: Stamp) -> None:
        """Gives the books that are not LIVE what they asked for."""
        asking, self.asking = self.asking, set()
        limit = self.exchange.traits.snapshot_depth
        for native in asking & self.snapshots.keys():
            if self.shelf.builders[native].state is not State.LIVE:
                self.shelf.snapshot(native, native, self.snapshots[native], limit, stamp)

    def live(self) -> int:
        return sum(builder.state is State.LIVE for builder in self.shelf.builders.values())

    def count(self) -> int:
        return len(self.shelf.builders)

    def _message(self, native: str) -> bytes:
        writer = self._writers.get(native)
        if writer is None:
            traits = self.exchange.traits
            identity = pb.OrderBook(
                exchange=self.exchange.code,
                symbol=native,
                native_symbol=native,
                verified=traits.verified,
                epoch=1,
                proven_levels=traits.proven_levels,
            )
            writer = self._writers[native] = books.BookWriter(identity)
        return writer.payload(self.shelf.builders[native], 1, 1, DEPTH)
