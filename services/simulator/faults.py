"""Faults on demand. Frame faults strike single frames of a market; the rest are deeds on links, REST and the market.

Every action returns what was done (or armed), and everything that struck is counted, so that a test can compare
what it asked for with what was noticed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.simulator.link import Link

Package = list[tuple[Iterable[Link], bytes]]
"""One frame of a market in its forms: (subscribers, payload)."""

FRAME_FAULTS = ("drop", "duplicate", "swap", "malformed")


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
                return [(links, fault.mangle(payload)) for links, payload in package]

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

    def strikes(self, path: str, now_s: float) -> bool:
        if now_s >= self.until_s or self.path not in path or self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True


def truncated(payload: bytes) -> bytes:
    return payload[: len(payload) // 2]


def _replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def mangle(payload: bytes) -> bytes:
        return payload.replace(old, new, 1)

    return mangle


def _first_number(value: bytes) -> Callable[[bytes], bytes]:
    """Puts `value` in place of the first price of the frame."""

    def mangle(payload: bytes) -> bytes:
        for opening, closing in ((b'[["', b'"'), (b'"ask_price":', b","), (b'"ap":', b",")):
            start = payload.find(opening)
            if start >= 0:
                start += len(opening)
                return payload[:start] + value + payload[payload.index(closing, start) :]
        return payload

    return mangle


MANGLERS: dict[str, Callable[[bytes], bytes]] = {
    "truncated": truncated,
    "empty": lambda payload: b"",
    "html": lambda payload: b"<html><body>502 Bad Gateway</body></html>",
    "binary": lambda payload: bytes(range(256)) + payload,
    "nan": _first_number(b"NaN"),
    "negative": _first_number(b"-1"),
    "infinite": _first_number(b"1e400"),
    "long_number": _first_number(b"9" * 60),
    "deep": lambda payload: b"[" * 100_000,
    "wrong_type": lambda payload: b'{"e":17,"data":[],"type":{},"code":null}',
    "huge": lambda payload: payload[:-1] + b" " * (6 << 20) + payload[-1:],
    "wrong_symbol": _replacing(b"BTC", b"NOPE"),
}
"""Ways to spoil one frame, by name."""
