"""One thread that writes lines to rotating files; whoever hands them over never waits and never fails.

1. The queue is bounded in lines and in bytes. What does not fit is dropped, counted (`dropped`), and reported.
2. Lines are made on the writing thread, of a callable; what cannot be made is counted (`failed`) and reported.
3. A file that cannot be written costs its lines (`lost`) and one log line; it is tried again, and the end of the
   trouble is one log line too.
4. `close` writes what is left. The thread starts with the first line and never keeps the interpreter alive.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hoga.domain.errors import snippet
from hoga.runtime.logs import RateLimited
from hoga.runtime.rotating_file import RotatingFile

logger = logging.getLogger("hoga.data")

MAX_LINES = 20_000
MAX_BYTES = 32 << 20
GATHER_S = 0.05
"""Lines are written in batches of at least this period: a wake-up per line would cost more than the line."""
REPORT_S = 10.0
"""Repeated trouble is reported at most this often."""


class _Entry(NamedTuple):
    file: str
    make: Callable[[], str]
    cost: int


class LineWriter:
    """Writes `<directory>/<file>` for every file named in `put`. Safe to use from any thread."""

    def __init__(
        self,
        directory: Path,
        *,
        max_file_bytes: int,
        keep: int,
        max_lines: int = MAX_LINES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.directory = directory
        self.dropped = 0
        """Lines that found the queue full."""
        self.failed = 0
        """Lines that could not be made of what was handed over."""
        self.lost = 0
        """Lines that the disk did not take."""
        self.written = 0
        self._max_file_bytes = max_file_bytes
        self._keep = keep
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._queue: deque[_Entry] = deque()
        self._waiting_lines = 0
        self._waiting_bytes = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._files: dict[str, RotatingFile] = {}
        self._troubled: dict[str, int] = {}
        """Lines lost by each file since its trouble began."""
        self._say = RateLimited(logger, interval_s=REPORT_S)
        self._reported_drops = 0

    @property
    def waiting(self) -> int:
        """Lines handed over and not yet written."""
        return self._waiting_lines

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, file: str, make: Callable[[], str], cost: int) -> bool:
        """Hands over a line without its newline; `cost` is about its size in bytes. False (counted) where dropped."""
        with self._changed:
            full = self._waiting_lines >= self._max_lines or self._waiting_bytes + cost > self._max_bytes
            if self._closed or full:
                self.dropped += 1
                return False
            if self._thread is None and not self._start():
                self.dropped += 1
                return False
            self._queue.append(_Entry(file, make, cost))
            self._waiting_lines += 1
            self._waiting_bytes += cost
            if len(self._queue) == 1:
                self._changed.notify_all()
        return True

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Waits until all that was handed over is written (or lost); False where that took too long."""
        self._hurry.set()
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting_lines, timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Writes what is left and ends the thread; later lines count as dropped. False where it took too long."""
        self._hurry.set()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                logger.error("message logs: %d lines were not written in %.0f s", self._waiting_lines, timeout_s)
                return False
        return True

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name="hoga-data-logs", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going down, or there are too many threads
            return False
        self._thread = thread
        return True

    # The writing thread.

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._write(batch)
            except Exception:
                logger.exception("message logs: %d lines may be lost", len(batch))
            finally:
                with self._changed:
                    self._waiting_lines -= len(batch)
                    self._waiting_bytes -= sum(entry.cost for entry in batch)
                    self._changed.notify_all()
            self._report_drops()
        self._report_drops(last=True)
        for file in self._files.values():
            file.close()

    def _next_batch(self) -> list[_Entry]:
        """What was gathered; empty only when closed."""
        with self._changed:
            if not self._queue:
                self._hurry.clear()
                self._changed.wait_for(lambda: self._queue or self._closed)
        if not self._closed:
            self._hurry.wait(GATHER_S)
        with self._changed:
            batch = list(self._queue)
            self._queue.clear()
        return batch

    def _write(self, batch: list[_Entry]) -> None:
        by_file: dict[str, list[bytes]] = {}
        for entry in batch:
            try:
                line = entry.make()
            except Exception as error:  # whatever a caller handed over, the others' lines are written
                self.failed += 1
                self._say.warning("failed", "message logs: %s (%d such so far)", snippet(str(error)), self.failed)
            else:
                by_file.setdefault(entry.file, []).append((line + "\n").encode("utf-8", "replace"))
        for name, lines in by_file.items():
            self._append(name, lines)

    def _append(self, name: str, lines: list[bytes]) -> None:
        file = self._files.get(name)
        if file is None:
            path = self.directory / name
            file = self._files[name] = RotatingFile(path, max_bytes=self._max_file_bytes, keep=self._keep)
        try:
            self.written += file.append(lines)
        except OSError as error:
            written: int = getattr(error, "lines_written", 0)
            self._trouble(file, len(lines) - written, error)
            self.written += written
        else:
            lost = self._troubled.pop(name, None)
            if lost is not None:
                logger.info("message log %s is written again; %d lines were lost", file.path, lost)

    def _trouble(self, file: RotatingFile, lost: int, error: OSError) -> None:
        self.lost += lost
        if file.path.name not in self._troubled:
            logger.error(
                "message log %s cannot be written (%s); its lines are lost until it can, everything else goes on",
                file.path,
                error.strerror or error,
            )
        self._troubled[file.path.name] = self._troubled.get(file.path.name, 0) + lost

    def _report_drops(self, *, last: bool = False) -> None:
        dropped = self.dropped
        if dropped > self._reported_drops:
            text = "message logs: %d lines dropped so far, the queue was full"
            if last:
                logger.warning(text, dropped)
            if last or self._say.warning("dropped", text, dropped):
                self._reported_drops = dropped
