"""Faults that strike single frames of a market, and REST calls, on demand.

Everything that struck is counted, so that a test can compare what it asked for with what was noticed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.simulator.link import Link
from services.simulator.manglers import truncated
from services.simulator.venues.base import Answer

Package = list[tuple[Iterable[Link], bytes]]
"""One frame of a market in its forms: (subscribers, payload)."""

FRAME_FAULTS = ("drop", "duplicate", "swap", "malformed", "corrupt_checksum")


@dataclass(slots=True)
class Armed:
    kind: str
    left: int
    mangle: Callable[[bytes], bytes] = lambda payload: payload


@dataclass(slots=True)
class FrameFaults:
    """Armed faults of one exchange, by market; first armed strikes first."""

    armed: dict[str, deque[Armed]] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    _held: dict[str, Package] = field(default_factory=dict)

    def arm(self, native: str, kind: str, count: int, mangle: Callable[[bytes], bytes] | None = None) -> None:
        if kind not in FRAME_FAULTS:
            raise ValueError(f"unknown frame fault {kind!r}; known: {', '.join(FRAME_FAULTS)}")
        if count < 1:
            raise ValueError(f"count is {count}; allowed is 1 or more")
        fault = Armed(kind, count) if mangle is None else Armed(kind, count, mangle)
        self.armed.setdefault(native, deque()).append(fault)

    def strike(self, native: str, package: Package) -> Package:
        """What is sent instead of this frame, in order."""
        queue = self.armed.get(native)
        if not queue:
            return package
        fault = queue[0]
        if fault.kind == "swap" and native not in self._held:
            # The links are copied: the set may change before the frame is sent.
            self._held[native] = [(list(links), payload) for links, payload in package]
            return []
        spoiled = [(links, fault.mangle(payload)) for links, payload in package]
        if fault.kind == "corrupt_checksum" and spoiled == package:
            return package  # this frame carries none
        fault.left -= 1
        if not fault.left:
            queue.popleft()
            if not queue:
                del self.armed[native]
        self.struck[fault.kind] += 1
        match fault.kind:
            case "drop":
                return []
            case "duplicate":
                return package + package
            case "swap":
                return package + self._held.pop(native)
            case _:
                return spoiled

    def clear(self) -> None:
        """Disarms everything; a frame held back for a swap is lost, as a drop."""
        self.struck["drop"] += len(self._held)
        self.armed.clear()
        self._held.clear()


@dataclass(slots=True)
class RestFault:
    """What a REST call gets instead of its answer while `until_s` (monotonic) has not come."""

    until_s: float
    status: int = 503
    path: str = ""
    """Only calls whose path contains this."""
    body: bytes | None = None
    """None: the real answer's body (cut in half for a 200 with `cut`)."""
    retry_after_s: int | None = None
    delay_s: float = 0.0
    cut: bool = False
    left: int | None = None
    """How many calls it strikes; None for all."""

    @property
    def spares(self) -> bool:
        """Whether the real answer's body is kept."""
        return self.status == 200 and self.body is None

    def answer(self, real: Answer | None) -> Answer:
        """What the struck call gets (after `delay_s`); `real` where the fault `spares` it."""
        if real is not None:
            return Answer(real.status, truncated(real.body) if self.cut else real.body, real.headers)
        retry = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return Answer(self.status, self.body or b"", retry)

    def strikes(self, path: str, now_s: float) -> bool:
        if now_s >= self.until_s or self.path not in path or self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True
