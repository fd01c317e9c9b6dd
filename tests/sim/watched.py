"""The frame faults of a simulated exchange, watched: what is tampered with is told, and one line may be lied to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from services.simulator.faults import Armed, FrameFaults, Package

NONSENSE = (b":-1,", b":1e400,", b":" + b"9" * 60)
"""Prices that no market has, in frames that can be read but for them."""
_SIZE = re.compile(rb'(\["[\d.]+","[0.]*)([1-9])')


class Watched(FrameFaults):
    def __init__(self, tampered: Callable[..., None], lied: Callable[[str], None]) -> None:
        """`tampered(native, plain=...)` is told of each frame that is not sent as it was; `lied(native)` of those that
        are another on one line than on the rest."""
        super().__init__()
        self._tampered, self._lied = tampered, lied
        self.calm: Callable[[], bool] = lambda: True
        """Whether nothing else is wrong just now."""

    def disagree(self, native: str, place: int) -> None:
        """The next frame that has sizes is changed on one of two lines."""
        self.armed.setdefault(native, deque()).append(Armed("disagree", place))

    def strike(self, native: str, package: Package) -> Package:
        queue = self.armed.get(native)
        if queue and queue[0].kind == "disagree":
            if self.calm():
                return self._lie(native, package, queue)
            queue.popleft()
        struck = super().strike(native, package)
        if struck is not package:
            plain = any(mark in payload for _, payload in struck for mark in NONSENSE)
            self._tampered(native, plain=plain)
        return struck

    def _lie(self, native: str, package: Package, queue: deque[Armed]) -> Package:
        """Every size is another one on one line."""
        told: Package = []
        for links, payload in package:
            lines = sorted(links, key=lambda link: link.number)
            changed = _SIZE.sub(lambda found: found[1] + b"%d" % (int(found[2]) % 9 + 1), payload)
            if len(lines) < 2 or changed == payload:
                return package
            liar = lines.pop(queue[0].left)
            told += [([liar], changed), (lines, payload)]
        queue.popleft()
        if not queue:
            del self.armed[native]
        self._lied(native)
        return told
