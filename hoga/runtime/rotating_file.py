"""A file that is appended to and rotated by size: `x.log`, then `x.log.1` (newest) … `x.log.<keep>` (oldest).

1. Whole lines only: what could not be written completely (full disk) is cut off again.
2. A file moved or removed from outside is noticed at the next append, and a new one begun.
3. OSError goes to the caller, and the next append tries again from the start.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


class RotatingFile:
    """`max_bytes` is the size at which a file is rotated; a longer line gets a file of its own.

    One process and one thread write; the file is opened at the first append, folders are made as needed.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd: int | None = None
        self._size = 0

    def append(self, lines: Iterable[bytes]) -> int:
        """Writes lines (each ends in a newline); how many. OSError carries the count as `lines_written`."""
        written = 0
        try:
            fd = self._open()
            pending: list[bytes] = []
            size = self._size
            for line in lines:
                if size and size + len(line) > self._max_bytes:
                    self._write(fd, pending)
                    written += len(pending)
                    pending, size = [], 0
                    self._rotate()
                    fd = self._open()
                pending.append(line)
                size += len(line)
            self._write(fd, pending)
            return written + len(pending)
        except OSError as error:
            self.close()
            error.lines_written = written  # type: ignore[attr-defined]
            raise

    def close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _open(self) -> int:
        """The descriptor of the file that has the name now."""
        if self._fd is not None and not self._is_current(self._fd):
            self.close()
        if self._fd is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._size = os.fstat(self._fd).st_size
        return self._fd

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _write(self, fd: int, lines: list[bytes]) -> None:
        data = memoryview(b"".join(lines))
        start = self._size
        try:
            while data:
                count = os.write(fd, data)
                self._size += count
                data = data[count:]
        except OSError:
            with contextlib.suppress(OSError):  # the first error is the one that matters
                os.ftruncate(fd, start)
            raise

    def _rotate(self) -> None:
        self.close()
        oldest = self._numbered(self._keep)
        oldest.unlink(missing_ok=True)
        for number in range(self._keep - 1, 0, -1):
            source = self._numbered(number)
            if source.exists():
                source.replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))
        self._size = 0

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
