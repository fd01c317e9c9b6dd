"""Raw frames of one exchange across the bus: what ingest says it published against what arrived.

Both sides are running totals, each reported about once a second, so only long differences mean something:
1. Frames are "on their way" from the first published frame that no reader has counted yet.
2. When they are on their way for half of the patience, a probe is wanted: the monitor subscribes to the raw
   subjects itself and counts, without decoding. Otherwise it leaves that traffic alone.
3. After the whole patience the verdict falls: the probe saw frames, so the validator does not read them; or
   it saw none, so the bus does not carry them. Neither is mended by a reconnect of a link; both are reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .problems import Problem, Severity, seconds

SECOND = 1_000_000_000
LEAST_PATIENCE_NS = 4 * SECOND
"""Totals come once a second from two processes: less patience would see ghosts."""


@dataclass(slots=True)
class _Totals:
    """Running totals of one figure, by the process that counts it."""

    _last: dict[str, int] = field(default_factory=dict)

    def moved(self, source: str, count: int) -> bool:
        """Whether `source` counted anything since its last report. The first report is only a baseline."""
        last = self._last.get(source)
        self._last[source] = count
        return last is not None and count != last


@dataclass(slots=True)
class Flow:
    exchange: str
    _published: _Totals = field(default_factory=_Totals)
    _validated: _Totals = field(default_factory=_Totals)
    _pending_since_ns: int | None = None
    """When the first frame was published that nobody has counted since."""
    _probed: int = 0
    """Frames the probe counted since then."""

    def observe_published(self, source: str, count: int, mono_ns: int) -> None:
        """Ingest's running total of raw frames handed to the bus."""
        if self._published.moved(source, count) and self._pending_since_ns is None:
            self._pending_since_ns = mono_ns
            self._probed = 0

    def observe_validated(self, source: str, count: int) -> None:
        """A reader's running total of raw frames taken from the bus."""
        if self._validated.moved(source, count):
            self._pending_since_ns = None

    def observe_probe(self, frames: int) -> None:
        """The monitor's own count of raw frames since the last call."""
        self._probed += frames

    def forgive(self, pause_ns: int, mono_ns: int) -> None:
        if self._pending_since_ns is not None:
            self._pending_since_ns = min(self._pending_since_ns + pause_ns, mono_ns)

    def wants_probe(self, mono_ns: int, mismatch_ns: int) -> bool:
        return self._pending_ns(mono_ns) > self._patience(mismatch_ns) // 2

    def problem(self, mono_ns: int, mismatch_ns: int) -> Problem | None:
        pending = self._pending_ns(mono_ns)
        if pending <= self._patience(mismatch_ns):
            return None
        age = seconds(pending)
        if self._probed:
            text = f"raw frames arrive on the bus, but no validator has read one for {age}"
        else:
            text = f"ingest publishes raw frames, but none has arrived on the bus for {age}"
        return Problem(f"flow.{self.exchange}", Severity.CRITICAL, self.exchange, text)

    def _pending_ns(self, mono_ns: int) -> int:
        return 0 if self._pending_since_ns is None else mono_ns - self._pending_since_ns

    @staticmethod
    def _patience(mismatch_ns: int) -> int:
        return max(mismatch_ns, LEAST_PATIENCE_NS)
