"""Books by callback, for those who prefer being called: one task per registration runs it over a stream.

A slow callback delays only itself and gets the newest books; one that raises is logged, a few times a minute
at most, and called again with the next book.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hoga.client.book import BookView
from hoga.client.streams import BookStream
from hoga.domain.errors import HogaError

log = logging.getLogger(__name__)

OrderbookCallback = Callable[[BookView], Awaitable[None] | None]
"""Called with each book; sync or async."""

_LOG_EVERY_S = 10.0
_RETRY_S = 1.0


@dataclass(slots=True)
class _Registration:
    callback: OrderbookCallback
    open_stream: Callable[[], BookStream]
    task: asyncio.Task[None] | None = None
    failures: int = 0
    logged_s: float = field(default=float("-inf"))

    def start(self) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self._run(), name=f"orderbook callback {_name(self.callback)}")

    async def _run(self) -> None:
        while True:
            try:
                async with self.open_stream() as books:
                    async for book in books:
                        await self._call(book)
                return
            except HogaError as error:
                log.warning("books for %s are not available: %s; trying again", _name(self.callback), error)
                await asyncio.sleep(_RETRY_S)

    async def _call(self, book: BookView) -> None:
        try:
            outcome = self.callback(book)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception:
            self.failures += 1
            if time.monotonic() - self.logged_s >= _LOG_EVERY_S:
                self.logged_s = time.monotonic()
                log.exception("%s failed on %r (%d failures so far)", _name(self.callback), book, self.failures)


class Callbacks:
    """All registrations of a client."""

    def __init__(self) -> None:
        self._registrations: list[_Registration] = []
        self._started = False

    def add(self, callback: OrderbookCallback, open_stream: Callable[[], BookStream]) -> None:
        registration = _Registration(callback, open_stream)
        self._registrations.append(registration)
        if self._started:
            registration.start()

    def remove(self, callback: OrderbookCallback) -> bool:
        """Ends every registration of `callback`; whether there was one. It is not called again."""
        found = [registration for registration in self._registrations if registration.callback == callback]
        for registration in found:
            self._registrations.remove(registration)
            if registration.task is not None:
                registration.task.cancel()
        return bool(found)

    def start(self) -> None:
        self._started = True
        for registration in self._registrations:
            registration.start()

    async def stop(self) -> None:
        tasks = [registration.task for registration in self._registrations if registration.task is not None]
        for task in tasks:
            task.cancel()
        self._registrations.clear()
        await asyncio.gather(*tasks, return_exceptions=True)


def _name(callback: OrderbookCallback) -> str:
    return getattr(callback, "__qualname__", repr(callback))
