"""The way of a frame through the core, as ingest and validator go it: route, parse, book, message.

Everything that `benchmarks.core` and `benchmarks.peers` know of the inside of the core stands here.
"""

from __future__ import annotations

from collections.abc import Mapping

from hoga.domain.actions import Publish, RequestSnapshot
from hoga.domain.types import Stamp, State
from hoga.exchanges.base import Exchange, RouteKind
from hoga.runtime.books import BookShelf
from hoga.runtime.settings import Settings
from hoga.wire import books, pb
from services.validator.service import keeper_rules

LINK = "bench-0.1"
DEPTH = 20


class Path:
    """The books of one exchange over one link, by native id."""

    def __init__(self, exchange: Exchange, snapshots: Mapping[str, bytes]) -> None:
        """`snapshots`: the REST body by native id, the answer to whatever a book asks for."""
        self.exchange, self.snapshots = exchange, snapshots
        self.shelf = BookShelf(exchange, keeper_rules(Settings(), exchange.code))
        self.asking: set[str] = set()
        self.messages: dict[str, bytes] = {}
        """The newest of each book."""
        self._route = exchange.strategy.route

    def frame(self, data: bytes, stamp: Stamp) -> None:
        """One frame of the websocket to the bytes of what is published."""
        route = self._route(data)
        readable, _ = self.shelf.connection(data, LINK, stamp)
        if route.kind is not RouteKind.BOOK or not readable:
            return
        for native in route.symbols:
            changed = False
            for action in self.shelf.frame(native, native, data, LINK, stamp):
                if isinstance(action, Publish):
                    changed = True
                elif isinstance(action, RequestSnapshot):
                    self.asking.add(native)
            if changed:
                self.messages[native] = self._message(native)

    def pass_time(self, stamp: Stamp) -> None:
        """What the clock decides, ten times a second in production."""
        for native, actions in self.shelf.tick(stamp):
            if any(isinstance(action, RequestSnapshot) for action in actions):
                self.asking.add(native)

    def answer(self, stamp: Stamp) -> None:
        """Gives the books that are not LIVE what they asked for."""
        asking, self.asking = self.asking, set()
        limit = self.exchange.traits.snapshot_depth
        for native in asking & self.snapshots.keys():
            if self.shelf.keepers[native].state is not State.LIVE:
                self.shelf.snapshot(native, native, self.snapshots[native], limit, stamp)

    def live(self) -> int:
        return sum(keeper.state is State.LIVE for keeper in self.shelf.keepers.values())

    def count(self) -> int:
        return len(self.shelf.keepers)

    def _message(self, native: str) -> bytes:
        traits = self.exchange.traits
        message = pb.OrderBook(
            exchange=self.exchange.code,
            symbol=native,
            native_symbol=native,
            verified=traits.verified,
            epoch=1,
            proven_levels=traits.proven_levels,
        )
        books.fill_book(message, self.shelf.keepers[native], DEPTH)
        message.revision = message.publish_time_ns = 1
        return message.SerializeToString()
