"""One event loop for all targets that need one, and ears for what code reports instead of raising it.

What a handler, a task or a callback lets through is the finding, also where somebody else catches it: the loop's own
error reports, and log lines of level ERROR that carry an exception which is none of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import aiohttp

from hoga.domain.errors import HogaError
from hoga.runtime.bus import RequestHandler, Subscription
from hoga.testing.fake_bus import FakeBus
from tests.fuzz.target import BrokenError

T = TypeVar("T")
TURNS = 8
"""Turns of the loop after which what was begun has happened, on a fake bus."""
_EXPECTED = (HogaError, OSError, aiohttp.ClientError, asyncio.CancelledError, TimeoutError)
_PACKAGES = ("hoga", "services")


class Ears(logging.Handler):
    """Keeps the errors that were only told."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        args = record.args if isinstance(record.args, tuple) else (record.args,)
        told = [arg for arg in args if isinstance(arg, BaseException)]
        if record.exc_info and record.exc_info[1] is not None:
            told.append(record.exc_info[1])
        self.heard += [error for error in told if not isinstance(error, _EXPECTED)]
        if any(isinstance(arg, str) and "Traceback (most recent call last)" in arg for arg in args):
            self.heard.append(BrokenError(record.getMessage()[-300:]))

    def loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or BrokenError(str(context.get("message")))
        if not isinstance(error, _EXPECTED):
            self.heard.append(error)


_ears = Ears()
_loop: asyncio.AbstractEventLoop | None = None


def in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end; raises what it raised, or the first error that was only told."""
    global _loop
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
        _loop.set_exception_handler(_ears.loop_error)
    _ears.heard.clear()
    loggers = [logging.getLogger(name) for name in _PACKAGES]
    before = [(logger.propagate, list(logger.handlers)) for logger in loggers]
    for logger in loggers:
        logger.propagate, logger.handlers = False, [_ears]
    try:
        result = _loop.run_until_complete(work)
    finally:
        for logger, (propagate, handlers) in zip(loggers, before, strict=True):
            logger.propagate, logger.handlers = propagate, handlers
    if _ears.heard:
        raise _ears.heard[0]
    return result


async def turns(count: int = TURNS) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class OpenBus(FakeBus):
    """A fake bus whose request handlers can be called without its own mercy, and whose answers a script gives."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[str, RequestHandler] = {}
        self.answer: bytes | None = None
        """What every request is answered with; None: as the handlers do."""

    async def serve(self, subject: str, handler: RequestHandler, *, queue: str = "") -> Subscription:
        self.handlers[subject] = handler
        return await super().serve(subject, handler, queue=queue)

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = 5.0) -> bytes:
        return self.answer if self.answer is not None else await super().request(subject, payload, timeout_s=timeout_s)
