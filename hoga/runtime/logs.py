"""Log lines: one event, one line, on stderr, UTC with milliseconds.

    2026-03-01T09:30:00.123Z WARNING ingest-upbit link: reconnecting in 0.4 s

Levels: ERROR the system does not do its work; WARNING handled, but look at it; INFO what the system does;
DEBUG details, order books included. `RateLimited` keeps a fault that repeats from filling the disk.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TextIO

from aiohttp.http_exceptions import HttpProcessingError

from hoga.runtime.settings import LogSettings

MAX_KEYS = 1024
_NOISY = ("aiohttp.access", "asyncio", "nats")


def setup_logging(settings: LogSettings, service: str, stream: TextIO | None = None) -> None:
    """Sends all logging of this process to `stream` (stderr), from `settings.level` up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(OneLine(service))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    server = logging.getLogger("aiohttp.server")
    if not any(isinstance(known, BadRequests) for known in server.filters):
        server.addFilter(BadRequests())


class BadRequests(logging.Filter):
    """What is no HTTP (garbage, TLS on a plain port, an endless line) is the sender's fault: one quiet line."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = None
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            record.msg, record.args = "not HTTP: %s", (" ".join(str(error).split())[:160],)
            return logging.getLogger().isEnabledFor(logging.DEBUG)
        return True


class OneLine(logging.Formatter):
    """Time, level, service, logger, message; line breaks inside, tracebacks included, become ` | `."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        name = record.name.rpartition(".")[2]
        line = f"{moment}.{int(record.msecs):03d}Z {record.levelname} {self._service} {name}: {text}"
        return " | ".join(part for part in line.splitlines() if part.strip())


class RateLimited:
    """At most one line per key and interval; the next one says how many were left out.

    Keys are few and short; the least recently used beyond `MAX_KEYS` are forgotten.
    """

    def __init__(
        self, logger: logging.Logger, *, interval_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._interval_s = interval_s
        self._clock = clock
        self._keys: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def error(self, key: str, message: str, *args: object) -> bool:
        return self.log(logging.ERROR, key, message, *args)

    def warning(self, key: str, message: str, *args: object) -> bool:
        return self.log(logging.WARNING, key, message, *args)

    def info(self, key: str, message: str, *args: object) -> bool:
        return self.log(logging.INFO, key, message, *args)

    def log(self, level: int, key: str, message: str, *args: object) -> bool:
        """Writes the line, or counts it; says which."""
        now = self._clock()
        last = self._keys.get(key)
        if last is not None and now - last[0] < self._interval_s:
            self._keys[key] = (last[0], last[1] + 1)
            return False
        self._keys[key] = (now, 0)
        self._keys.move_to_end(key)
        if len(self._keys) > MAX_KEYS:
            self._keys.popitem(last=False)
        more = f" (and {last[1]} more since the last such line)" if last is not None and last[1] else ""
        self._logger.log(level, message + more.replace("%", "%%"), *args)
        return True
