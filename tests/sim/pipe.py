"""One direction of a connection: order is kept; what is on the way can be delayed, held up or lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Generic, TypeVar

from tests.sim.loop import SimLoop

T = TypeVar("T")


class Pipe(Generic[T]):
    """`deliver(item)` is called in `context`, in the order of `put`, `latency()` seconds later or more."""

    __slots__ = ("_armed", "_context", "_deliver", "_due", "_holds", "_items", "_latency", "_loop", "size")

    def __init__(
        self, loop: SimLoop, latency: Callable[[], float], deliver: Callable[[T], object], context: Context
    ) -> None:
        self._loop, self._latency, self._deliver, self._context = loop, latency, deliver, context
        self._items: deque[tuple[float, T, int]] = deque()
        self._due = 0.0
        self._armed = False
        self._holds: set[str] = set()
        self.size = 0
        """Bytes on the way."""

    def put(self, item: T, size: int = 0) -> None:
        self._due = max(self._due, self._loop.now + self._latency())
        self._items.append((self._due, item, size))
        self.size += size
        if not self._armed:
            self._arm()

    def hold(self, why: str) -> None:
        """Nothing arrives, nothing is lost, until every hold is released."""
        self._holds.add(why)

    def release(self, why: str) -> None:
        self._holds.discard(why)
        self._arm()

    def lose(self, keep: int = 0) -> int:
        """Loses all but the first `keep` items on the way; how many were lost."""
        lost = 0
        while len(self._items) > keep:
            self.size -= self._items.pop()[2]
            lost += 1
        return lost

    def __len__(self) -> int:
        return len(self._items)

    def _arm(self) -> None:
        if self._items and not self._armed and not self._holds:
            self._armed = True
            self._loop.call_at(self._items[0][0], self._arrive, context=self._context)

    def _arrive(self) -> None:
        self._armed = False
        items, now = self._items, self._loop.now
        while items and not self._holds and items[0][0] <= now:
            _, item, size = items.popleft()
            self.size -= size
            self._deliver(item)
        if items:
            self._arm()
