"""Frames that were lost on purpose against what was noticed, and gaps that were announced without a reason.

A loss counts as noticed when anything but a LIVE book or an event about the symbol follows it, as superseded when the
subscription began anew, another fault hit the same books meanwhile or a REST snapshot held it before the next frame
would have betrayed it, and as missed when the market went on for
`PATIENCE_S` with none of these. Where only the best levels are proven a loss below them may stay unseen.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from hoga.exchanges import registry
from hoga.exchanges.base import BookStart
from hoga.wire import pb
from tests.soak.record import Record
from tests.soak.trail import Trail

PATIENCE_S = 10.0
FOLLOWED_S = 3.0
"""The market must have gone on for so long after the loss."""

_PROOFS = {
    pb.BookEvent.KIND_GAP,
    pb.BookEvent.KIND_REVERSAL,
    pb.BookEvent.KIND_CROSSED,
    pb.BookEvent.KIND_CHECKSUM_MISMATCH,
    pb.BookEvent.KIND_REJECTED,
    pb.BookEvent.KIND_RESYNC_STARTED,
    pb.BookEvent.KIND_RESYNC_FINISHED,
    pb.BookEvent.KIND_STALE,
}


@dataclass
class Loss:
    native: str
    began_s: float
    frames: int = 1
    held: bool = False
    """A snapshot from which books are joined came after it, and before any other frame."""


class Gaps:
    def __init__(self, record: Record, trail: Trail) -> None:
        self._record = record
        self._trail = trail
        self.injected: Counter[str] = Counter()
        """Losses by exchange; frames lost in a row are one."""
        self.noticed: Counter[str] = Counter()
        self.superseded: Counter[str] = Counter()
        self.unseen: Counter[str] = Counter()
        """Below the proven levels."""
        self.missed: list[str] = []
        self.false: list[str] = []
        self.doubts: list[str] = []
        """Audits and second lines that contradicted a book without a reason."""
        self.doubts_excused = 0
        self.announced: Counter[str] = Counter()
        """Gap events by exchange."""
        self._open: dict[tuple[str, str], Loss] = {}
        self._excused_until_s: dict[str, float] = defaultdict(float)
        self._shaken_s: dict[str, float] = defaultdict(float)

    # what was done

    def lost(self, code: str, native: str) -> None:
        """A frame of a market reached nobody."""
        self._trail.add(f"{code} {native}", "a frame is lost on purpose")
        if not registry.get(code).traits.verified:
            return
        loss = self._open.get((code, native))
        if loss is None:
            self.injected[code] += 1
            self._open[code, native] = Loss(native, time.monotonic())
        else:
            loss.frames += 1
            loss.began_s, loss.held = time.monotonic(), False

    def snapshot(self, code: str, native: str) -> None:
        """A REST snapshot of a market was sent."""
        loss = self._open.get((code, native))
        joined = registry.get(code).traits.start is BookStart.REST
        if loss is not None and joined and self._record.delivered_s[code, native] < loss.began_s:
            loss.held = True

    def excuse(self, where: str, seconds: float) -> None:
        """A fault that can make gaps: on "*", an exchange, or "exchange native"."""
        self._excused_until_s[where] = max(self._excused_until_s[where], time.monotonic() + seconds)

    def shaken(self, where: str) -> None:
        """A fault of another sort that books do not survive: what was lost before it needs no notice any more."""
        self._shaken_s[where] = time.monotonic()

    # what was noticed

    def event(self, event: pb.BookEvent, native: str) -> None:
        wheres = ("*", event.exchange, f"{event.exchange} {native}")
        excused = not native or any(time.monotonic() < self._excused_until_s[where] for where in wheres)
        said = f"{event.exchange} {event.symbol} {time.strftime('%T')}: {event.detail}"
        if event.kind == pb.BookEvent.KIND_GAP:
            self.announced[event.exchange] += 1
            if not excused:
                self.false.append(f"F {said}, but nothing was lost")
        if event.kind in (pb.BookEvent.KIND_AUDIT_MISMATCH, pb.BookEvent.KIND_DISAGREEMENT):
            excused = excused or time.monotonic() < self._excused_until_s["clock"]
            self.doubts_excused += excused
            if not excused:
                self.doubts.append(f"A {said}")
        if event.kind in _PROOFS:
            self._notice(event.exchange, native)

    def book(self, code: str, native: str, *, live: bool) -> None:
        """A published book."""
        if not live:
            self._notice(code, native)

    def _notice(self, code: str, native: str) -> None:
        if self._open.pop((code, native), None) is not None:
            self.noticed[code] += 1

    def settle(self) -> None:
        """Decides what is old enough; call it now and then."""
        now = time.monotonic()
        for (code, native), loss in list(self._open.items()):
            shaken_s = max(self._shaken_s[where] for where in ("*", code, f"{code} {native}"))
            if now < loss.began_s + PATIENCE_S:
                continue
            if loss.held or shaken_s > loss.began_s - 5 or self._record.snapshot_since(code, native, loss.began_s):
                self.superseded[code] += 1
            elif self._record.delivered_s[code, native] < loss.began_s + FOLLOWED_S:
                continue
            elif registry.get(code).traits.proven_levels:
                self.unseen[code] += 1
            else:
                ago_s = now - loss.began_s
                self.missed.append(f"G {code} {native}: {loss.frames} frames lost {ago_s:.0f} s ago, nothing said so")
                self._trail.tell(self.missed[-1], code, native)
            del self._open[code, native]
