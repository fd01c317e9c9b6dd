"""What happened in a world, line by line: always as a digest, to compare runs by, and as text where wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tests.sim.loop import START_S


class Trace:
    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        """`write` takes each line."""
        self.lines = 0
        self._write = write
        self._digest = hashlib.sha256()

    def note(self, now: float, what: str) -> None:
        line = f"{now - START_S:11.6f} {what}\n"
        self.lines += 1
        self._digest.update(line.encode())
        if self._write is not None:
            self._write(line)

    def digest(self) -> str:
        return self._digest.hexdigest()
