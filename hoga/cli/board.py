"""What `hoga top` knows: processes, links and books, from what they publish, with rates between two messages.

Pure: messages and moments (monotonic nanoseconds) in, rows out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hoga.client import BookView, State
from hoga.wire import pb

M = TypeVar("M", pb.Health, pb.LinkStatus)

MISSED_NS = 2_500_000_000
"""Everybody reports each second; the rates of who missed two reports count no more."""
SILENT_AFTER_NS = 5_000_000_000
FORGET_AFTER_NS = 60_000_000_000
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ProcessRow:
    service: str
    instance: str
    up_ns: int
    cpu_share: float
    """Of one core."""
    resident_bytes: int
    healthy: bool
    reason: str
    silent_ns: int
    """Since its last message; 0 while it reports."""


@dataclass(frozen=True, slots=True)
class LinkRow:
    exchange: str
    slot: str
    state: pb.LinkState
    symbols: int
    frames_per_s: float
    bytes_per_s: float
    last_frame_age_ns: int
    """-1 before the first."""
    reconnects: int
    reason: str
    silent_ns: int


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    code: str
    states: Counter[State]
    raw_per_s: float
    books_per_s: float
    gaps: int
    resyncs: int
    dropped: int
    """Messages we lost ourselves: bus away or full, or never arrived."""

    @property
    def books(self) -> int:
        return self.states.total()


@dataclass(slots=True)
class _Seen(Generic[M]):
    """The last two messages of one sender, and the time between them."""

    newest: M
    at_ns: int
    before: M | None = None
    span_ns: int = 0

    def take(self, message: M, now_ns: int) -> None:
        self.before, self.span_ns = self.newest, now_ns - self.at_ns
        self.newest, self.at_ns = message, now_ns

    def per_s(self, newest: float, before: float) -> float:
        """Growth of a counter; 0 where it started over."""
        return max(0.0, newest - before) * _SECOND / self.span_ns if self.span_ns > 0 else 0.0

    def silent_ns(self, now_ns: int) -> int:
        silence = now_ns - self.at_ns
        return silence if silence > SILENT_AFTER_NS else 0


@dataclass(slots=True)
class Board:
    _processes: dict[tuple[str, str], _Seen[pb.Health]] = field(default_factory=dict)
    _links: dict[tuple[str, str], _Seen[pb.LinkStatus]] = field(default_factory=dict)
    _states: dict[str, Counter[State]] = field(default_factory=dict)

    def health(self, message: pb.Health, now_ns: int) -> None:
        _keep(self._processes, (message.service, message.instance), message, now_ns)

    def link(self, message: pb.LinkStatus, now_ns: int) -> None:
        key = (message.exchange, message.slot)
        if message.state == pb.LinkState.LINK_STATE_CLOSED:
            self._links.pop(key, None)
            return
        _keep(self._links, key, message, now_ns)

    def books(self, books: Iterable[BookView]) -> None:
        """All current books; replaces what was known of them."""
        self._states = {}
        for book in books:
            self._states.setdefault(book.exchange, Counter())[book.state] += 1

    def processes(self, now_ns: int) -> list[ProcessRow]:
        _forget(self._processes, now_ns)
        return [_process_row(seen, now_ns) for _, seen in sorted(self._processes.items())]

    def links(self, now_ns: int) -> list[LinkRow]:
        _forget(self._links, now_ns)
        return [_link_row(seen, now_ns) for _, seen in sorted(self._links.items())]

    def exchanges(self, now_ns: int) -> list[ExchangeRow]:
        """One row for each exchange that anybody speaks of, by code; counts are those of the processes that report."""
        codes = set(self._states) | {exchange for exchange, _ in self._links}
        codes |= {counts.exchange for seen in self._processes.values() for counts in seen.newest.exchanges}
        return [self._exchange_row(code, now_ns) for code in sorted(codes)]

    def _exchange_row(self, code: str, now_ns: int) -> ExchangeRow:
        raw = books = 0.0
        gaps = resyncs = dropped = 0
        for seen in self._processes.values():
            if now_ns - seen.at_ns > MISSED_NS:
                continue
            newest = _counts(seen.newest, code)
            before = _counts(seen.before, code) if seen.before is not None else newest
            if seen.newest.service.startswith("ingest"):
                raw += seen.per_s(newest.raw_messages, before.raw_messages)
            elif seen.newest.service == "validator":
                books += seen.per_s(newest.book_messages, before.book_messages)
                gaps += newest.gaps
                resyncs += newest.resyncs
            dropped += newest.dropped + newest.bus_lost
        return ExchangeRow(code, self._states.get(code, Counter()), raw, books, gaps, resyncs, dropped)


def _keep(known: dict[tuple[str, str], _Seen[M]], key: tuple[str, str], message: M, now_ns: int) -> None:
    seen = known.get(key)
    if seen is None:
        known[key] = _Seen(message, now_ns)
    else:
        seen.take(message, now_ns)


def _forget(known: dict[tuple[str, str], _Seen[M]], now_ns: int) -> None:
    for key in [key for key, seen in known.items() if now_ns - seen.at_ns > FORGET_AFTER_NS]:
        del known[key]


def _process_row(seen: _Seen[pb.Health], now_ns: int) -> ProcessRow:
    health = seen.newest
    return ProcessRow(
        service=health.service,
        instance=health.instance,
        up_ns=health.time_ns - health.start_time_ns,
        cpu_share=seen.per_s(health.cpu_seconds, seen.before.cpu_seconds) if seen.before is not None else 0.0,
        resident_bytes=health.resident_bytes,
        healthy=health.healthy,
        reason=health.reason,
        silent_ns=seen.silent_ns(now_ns),
    )


def _link_row(seen: _Seen[pb.LinkStatus], now_ns: int) -> LinkRow:
    link, before = seen.newest, seen.before
    same = before is not None and before.link == link.link
    return LinkRow(
        exchange=link.exchange,
        slot=link.slot,
        state=link.state,
        symbols=len(link.symbols),
        frames_per_s=seen.per_s(link.frames, before.frames) if before is not None and same else 0.0,
        bytes_per_s=seen.per_s(link.bytes, before.bytes) if before is not None and same else 0.0,
        last_frame_age_ns=link.last_frame_age_ns,
        reconnects=link.reconnects,
        reason=link.reason,
        silent_ns=seen.silent_ns(now_ns),
    )


def _counts(health: pb.Health, code: str) -> pb.Health.ExchangeCounts:
    return next((counts for counts in health.exchanges if counts.exchange == code), _NO_COUNTS)


_NO_COUNTS = pb.Health.ExchangeCounts()
