"""Who watches a connector: callbacks on frames and books, waiters for changes, and a record of odd frames.

Callbacks run on the read loop and must be quick; one that fails is reported and harms nobody. One that is
a coroutine function runs as a task of its own; when too many are unfinished, further calls are left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypedDict

from hoga.domain.errors import FrameError, snippet
from hoga.domain.types import Level, Update
from hoga.exchanges.base import Exchange
from hoga.runtime.logs import RateLimited

MAX_TASKS = 10_000
MAX_KEPT = 16

log = logging.getLogger(__name__)
limited = RateLimited(log)

MessageCallback = Callable[[bytes], object]
"""(frame as received); plain or a coroutine function."""


class OrderbookUpdate(TypedDict):
    """A parsed snapshot or delta as orderbook callbacks and `get_orderbook_snapshot` give it."""

    exchange: str
    symbol: str
    native_symbol: str
    type: str
    """"snapshot" replaces the book, "delta" changes levels to absolute sizes (zero deletes)."""
    ts: int
    """Exchange time in milliseconds since the epoch; 0 where unknown."""
    seq: int | None
    prev_seq: int | None
    bids: list[Level]
    """(price, size) as decimal text, in the exchange's order."""
    asks: list[Level]


class Named(Protocol):
    """Anything that knows its canonical symbol."""

    symbol: str


OrderbookCallback = Callable[[OrderbookUpdate], object]


def describe(exchange: str, symbol: str, update: Update) -> OrderbookUpdate:
    return {
        "exchange": exchange,
        "symbol": symbol,
        "native_symbol": update.native_symbol,
        "type": "snapshot" if update.snapshot else "delta",
        "ts": update.exchange_time_ns // 1_000_000,
        "seq": update.seq,
        "prev_seq": update.prev_seq,
        "bids": update.bids,
        "asks": update.asks,
    }


class Observers:
    """The callbacks of one connector. Frames are parsed only while somebody wants books."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._messages: list[MessageCallback] = []
        self._books: list[OrderbookCallback] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self.active = False

    @property
    def wants_books(self) -> bool:
        return bool(self._books)

    def add_message(self, callback: MessageCallback) -> None:
        self._messages.append(callback)
        self.active = True

    def add_book(self, callback: OrderbookCallback) -> None:
        self._books.append(callback)
        self.active = True

    def remove_message(self, callback: MessageCallback) -> bool:
        return self._remove(self._messages, callback)

    def remove_book(self, callback: OrderbookCallback) -> bool:
        return self._remove(self._books, callback)

    def frame(self, frame: bytes) -> None:
        """Tells of a frame of any sort."""
        for callback in tuple(self._messages):
            self._call(callback, frame)

    def book(self, frame: bytes, collected: Mapping[str, Named]) -> None:
        """Tells of a book frame; only symbols in `collected` (by native id) are told of."""
        if not self._books:
            return
        try:
            updates = self._exchange.handler.parse(frame)
        except FrameError as error:
            code = self._exchange.code
            limited.warning(f"parse {error.reason}", "%s: frame rejected (%s): %s", code, error.reason, error)
            return
        for update in updates:
            found = collected.get(update.native_symbol)
            if found is not None:
                self.update(found.symbol, update)

    def update(self, symbol: str, update: Update) -> None:
        for callback in tuple(self._books):
            self._call(callback, describe(self._exchange.code, symbol, update))

    def _remove(self, callbacks: list[Any], callback: object) -> bool:
        found = callback in callbacks
        if found:
            callbacks.remove(callback)
        self.active = bool(self._messages or self._books)
        return found

    def _call(self, callback: Callable[[Any], object], argument: object) -> None:
        try:
            result = callback(argument)
        except Exception as error:
            limited.error(f"callback {callback!r}", "callback %r failed: %r", callback, error)
            return
        if asyncio.iscoroutine(result):
            self._spawn(callback, result)

    def _spawn(self, callback: object, coroutine: Coroutine[Any, Any, object]) -> None:
        if len(self._tasks) >= MAX_TASKS:
            coroutine.close()
            limited.error("callbacks", "%d callbacks are unfinished: calls of %r are left out", MAX_TASKS, callback)
            return
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            limited.error("callback task", "callback failed: %r", error)


class Pulse:
    """Wakes whoever waits for a condition that depends on state of ours: fire it at every change."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether the condition came true in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await asyncio.wait({waiter}, timeout=left)
            finally:
                self._waiters.discard(waiter)
        return True


class Oddities:
    """Frames that are not understood or not wanted: all counted by kind, the first few of each kept."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.kept: dict[str, deque[str]] = {}

    def note(self, kind: str, where: str, frame: bytes) -> None:
        self.counts[kind] += 1
        kept = self.kept.setdefault(kind, deque())
        if len(kept) < MAX_KEPT:
            text = snippet(frame)
            kept.append(text)
            log.debug("%s: %s frame of %d bytes: %s", where, kind, len(frame), text)
