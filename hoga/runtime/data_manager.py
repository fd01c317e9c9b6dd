"""The data manager: message logs, statistics, callbacks and the export of books, for everything in one process.

    data_manager = get_orderbook_data_manager()
    data_manager.register_exchange("binance_future")
    data_manager.log_raw_message(exchange_code="binance_future", message="depthUpdate raw: {...}")
    data_manager.log_orderbook_data(exchange_code="binance_future", symbol="btc", orderbook={...})
    data_manager.print_stats()

1. Every message counts in the statistics. Lines are written to `<directory>/<exchange>_raw.log` and `_book.log`
   only with `log.debug_messages` (DEBUG_MESSAGE_LOGGING=1), by a thread of their own.
2. Logging never waits and never raises: a full queue, a full disk or a malformed message is counted and said.
3. Safe to use from any thread. What it says of itself goes through the logger `hoga.data` (LOG_LEVEL).
"""

from __future__ import annotations

import atexit
import inspect
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from hoga.domain.errors import FrameError, snippet
from hoga.domain.types import Update
from hoga.runtime.config import LogSettings, load_settings
from hoga.runtime.data_export import export_book
from hoga.runtime.data_lines import book_line, book_record, raw_line
from hoga.runtime.line_writer import LineWriter
from hoga.runtime.logs import RateLimited
from hoga.runtime.statistics import ExchangeCounts, render_statistics
from hoga.wire import pb

logger = logging.getLogger("hoga.data")

DataCallback = Callable[[str, str, Any], None]
"""(exchange code, symbol, book as it was logged); runs on the thread that logs and must be quick."""
RawMessage = str | bytes | Mapping[str, Any] | Update

REPORT_S = 10.0
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_LINE_COST = 1024
"""About what a book line takes; raw lines cost their size beside it."""


class OrderbookDataManager:
    """`mono_ns` and `wall_ns` are the clocks (monotonic to measure, wall to show)."""

    def __init__(
        self,
        settings: LogSettings | None = None,
        *,
        writer: LineWriter | None = None,
        mono_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.settings = settings or LogSettings()
        self.writer = writer or LineWriter(
            Path(self.settings.directory),
            max_file_bytes=self.settings.rotate_megabytes << 20,
            keep=self.settings.keep_files,
        )
        self.malformed = 0
        """Messages that were not what they should be, in the eyes of the caller's thread."""
        self._mono_ns = mono_ns
        self._wall_ns = wall_ns
        self._started_ns = mono_ns()
        self._lock = threading.Lock()
        self._raw: dict[str, int] = {}
        self._book: dict[str, int] = {}
        self._callbacks: list[DataCallback] = []
        self._limited = RateLimited(logger, interval_s=REPORT_S, clock=lambda: mono_ns() / 1e9)
        atexit.register(self.close)

    def register_exchange(self, exchange_code: str) -> None:
        """Gives an exchange its place in logs and report; again is harmless. ValueError where it is no code."""
        if not isinstance(exchange_code, str) or not _CODE.match(exchange_code):
            raise ValueError(f"an exchange code has 1 to 64 of A-Z a-z 0-9 _ -, found {snippet(repr(exchange_code))}")
        with self._lock:
            self._raw.setdefault(exchange_code, 0)
            self._book.setdefault(exchange_code, 0)

    def log_raw_message(self, exchange_code: str, message: RawMessage) -> None:
        """Counts a message as received and logs it: text as it stands; bytes, a mapping or a parsed Update after
        the words `depthUpdate raw:`."""
        if not self._count(self._raw, exchange_code) or not self.settings.debug_messages:
            return
        cost = len(message) if isinstance(message, str | bytes) else _LINE_COST
        if isinstance(message, Mapping):
            message = dict(message)
        make = partial(raw_line, self._wall_ns(), message)
        self.writer.put(f"{exchange_code}_raw.log", make, cost + _LINE_COST)

    def log_orderbook_data(self, exchange_code: str, symbol: str, orderbook: Any) -> None:
        """Counts a book, logs its first levels and hands it to the callbacks.

        `orderbook`: a mapping with bids and asks ([[price, size], …], best first) and where known timestamp (ms)
        and sequence; or an OrderBook message, or its bytes. What it lacks is said and logged without.
        """
        if not self._count(self._book, exchange_code):
            return
        if isinstance(orderbook, bytes | pb.OrderBook):
            if self.settings.debug_messages:  # as bytes it no longer changes: the writing thread reads it
                payload = orderbook if isinstance(orderbook, bytes) else orderbook.SerializeToString()
                make = partial(self._line_of_bytes, exchange_code, symbol, payload, self._wall_ns())
                self.writer.put(f"{exchange_code}_book.log", make, len(payload) + _LINE_COST)
        elif not self._log_book(exchange_code, symbol, orderbook):
            return
        for callback in tuple(self._callbacks):
            self._call(callback, exchange_code, symbol, orderbook)

    def register_callback(self, callback: DataCallback) -> None:
        """Calls `callback(exchange_code, symbol, orderbook)` for every book logged. TypeError for a coroutine."""
        if not callable(callback) or inspect.iscoroutinefunction(callback):
            raise TypeError(
                f"a data callback is a plain function (exchange_code, symbol, orderbook), found {callback!r}"
            )
        if callback not in self._callbacks:
            self._callbacks = [*self._callbacks, callback]

    def unregister_callback(self, callback: DataCallback) -> bool:
        """False where it was not registered."""
        found = callback in self._callbacks
        self._callbacks = [known for known in self._callbacks if known != callback]
        return found

    def statistics(self) -> tuple[dict[str, ExchangeCounts], float]:
        """(counts by exchange in order of registration, seconds counted)."""
        with self._lock:
            counts = {code: ExchangeCounts(self._raw[code], self._book[code]) for code in self._raw}
        return counts, (self._mono_ns() - self._started_ns) / 1e9

    def print_stats(self, file: TextIO | None = None) -> None:
        """Prints the statistics report, to stdout unless told otherwise."""
        counts, elapsed_s = self.statistics()
        print(render_statistics(counts, elapsed_s), file=file or sys.stdout, flush=True)

    def prepare_for_cpp_export(self, exchange_code: str, symbol: str, book: Any) -> bytes:
        """The book as `orderbook.v1.OrderBook` bytes, all levels given, exact. FrameError where it is no book."""
        return export_book(exchange_code, symbol, book)

    @property
    def dropped(self) -> int:
        """Lines that were never written: the queue was full, or the disk did not take them."""
        return self.writer.dropped + self.writer.lost

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Waits until every line handed over is in its file; False where that took too long."""
        return self.writer.flush(timeout_s)

    def close(self) -> None:
        """Writes what is left. Messages are still counted afterwards, their lines dropped."""
        atexit.unregister(self.close)
        self.writer.close()

    # Inside.

    def _count(self, counts: dict[str, int], code: str) -> bool:
        try:
            with self._lock:
                counts[code] += 1
        except (KeyError, TypeError):
            try:
                self.register_exchange(code)
            except ValueError as error:
                self._malformed(f"a message of no exchange: {error}")
                return False
            self._say("unregistered", logging.WARNING, f"{code} was not registered before its first message; it is now")
            with self._lock:
                counts[code] += 1
        return True

    def _log_book(self, code: str, symbol: str, book: object) -> bool:
        """Whether it is a book, perhaps with sides missing."""
        time_ns = self._wall_ns()
        try:
            record = book_record(code, symbol, book, depth=self.settings.depth, time_ns=time_ns)
        except FrameError as error:
            self._malformed(f"{code} {snippet(str(symbol))}: {error}")
            return False
        if record.missing:
            self._malformed(f"{code} {snippet(str(symbol))}: the book lacks {' and '.join(record.missing)}")
        if self.settings.debug_messages:
            self.writer.put(f"{code}_book.log", partial(book_line, time_ns, record), _LINE_COST)
        return True

    def _line_of_bytes(self, code: str, symbol: str, payload: bytes, time_ns: int) -> str:
        return book_line(time_ns, book_record(code, symbol, payload, depth=self.settings.depth, time_ns=time_ns))

    def _call(self, callback: DataCallback, code: str, symbol: str, book: object) -> None:
        try:
            callback(code, symbol, book)
        except Exception as error:  # one consumer's fault stays its own
            name = getattr(callback, "__qualname__", repr(callback))
            self._say(f"callback {name}", logging.ERROR, f"data callback {name} failed: {error!r}")

    def _malformed(self, what: str) -> None:
        self.malformed += 1
        self._say("malformed", logging.WARNING, f"malformed message ({self.malformed} so far): {what}")

    def _say(self, kind: str, level: int, text: str) -> None:
        """One line of each kind, and not again for a while."""
        with self._lock:
            self._limited.log(level, kind, "%s", text)


_singleton: OrderbookDataManager | None = None
_singleton_lock = threading.Lock()


def get_orderbook_data_manager(settings: LogSettings | None = None) -> OrderbookDataManager:
    """The process's one data manager, made at the first call; after `close` a fresh one.

    `settings` counts only when it is made; without, they are read as every process reads them (ConfigError).
    """
    global _singleton
    with _singleton_lock:
        if _singleton is None or _singleton.writer.closed:
            if settings is None:
                settings = load_settings().log
                if not logging.getLogger().handlers:  # a script without logging of its own
                    logger.setLevel(settings.level)
            _singleton = OrderbookDataManager(settings)
        return _singleton
