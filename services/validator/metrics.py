"""The validator's metrics, and the counters of its health message; children are kept, no symbol is a label.

What happens with every frame is counted in plain integers alone and carried over once a second.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from hoga.domain.actions import FactKind
from hoga.domain.rules import Counters
from hoga.domain.types import State
from hoga.runtime.health import ExchangeCounts, HealthBoard
from hoga.runtime.metrics import LATENCY_BUCKETS_S, PlainHistogram

FRAMES = Counter("hoga_validator_frames_total", "Raw frames taken from the bus", ["exchange", "kind"])
UNREADABLE = Counter("hoga_validator_unreadable_messages_total", "Bus messages that were no raw frame of ours")
FOREIGN = Counter("hoga_validator_foreign_frames_total", "Frames of another market under a book's symbol", ["exchange"])
UNKNOWN_PHASES = Counter("hoga_validator_unknown_phases_total", "Messages on phases in unknown words", ["exchange"])
BOOKS = Counter("hoga_validator_books_published_total", "Books put on the bus", ["exchange"])
CONFLATED = Counter("hoga_validator_books_conflated_total", "Changes published with a later one", ["exchange"])
FACTS = Counter("hoga_validator_facts_total", "Facts about books, by kind", ["exchange", "kind"])
SUPPRESSED = Counter("hoga_validator_events_suppressed_total", "Events not announced: too many at once", ["exchange"])
REQUESTS = Counter("hoga_validator_mend_requests_total", "Snapshots and the like asked for", ["exchange", "kind"])
REFUSED = Counter("hoga_validator_mend_refusals_total", "Such requests that ingest did not accept", ["exchange"])
AUDITS = Counter("hoga_validator_audits_total", "Books compared with fresh snapshots", ["exchange", "outcome"])
CHECKSUMS = Counter("hoga_validator_checksums_total", "Checksums of the exchange verified", ["exchange", "outcome"])
ODD_TIMES = Counter("hoga_validator_odd_times_total", "Updates whose time could not be read", ["exchange"])
STATES = Gauge("hoga_validator_books", "Books by state", ["exchange", "state"])
LATENCY = PlainHistogram(
    "hoga_validator_latency_seconds",
    "From the read of the frame to the publishing of its book",
    "exchange",
    LATENCY_BUCKETS_S,
)

_COUNT_OF_FACT = {
    FactKind.GAP: "gaps",
    FactKind.REVERSAL: "reversals",
    FactKind.CROSSED: "crossed",
    FactKind.REJECTED: "rejected",
    FactKind.RESYNC_FINISHED: "resyncs",
}
REPEATED_AGE_NS = 4_000_000_000
"""Beyond this a publication repeats a quiet book: its age is no latency."""


class ExchangeMeters:
    """The children of one exchange."""

    def __init__(self, code: str, counts: ExchangeCounts) -> None:
        self._counts = counts
        self._snapshots = 0
        self._suppressed = SUPPRESSED.labels(code)
        self._facts = {kind: FACTS.labels(code, kind.name.lower()) for kind in FactKind}
        self._latency = LATENCY.labels(code)
        self._states = {state: STATES.labels(code, state.name) for state in State}
        self._requests = {kind: REQUESTS.labels(code, kind) for kind in ("snapshot", "resubscribe", "listing")}
        self._refused = REFUSED.labels(code)
        self._foreign = FOREIGN.labels(code)
        self._unknown_phases = UNKNOWN_PHASES.labels(code)
        self._carried = {kind: (0, FRAMES.labels(code, kind)) for kind in ("stream", "snapshot")}
        self._carried |= {"books": (0, BOOKS.labels(code)), "conflated": (0, CONFLATED.labels(code))}
        self._carried |= {outcome: (0, AUDITS.labels(code, outcome)) for outcome in ("agreed", "disagreed", "open")}
        self._carried |= {outcome: (0, CHECKSUMS.labels(code, outcome)) for outcome in ("right", "wrong")}
        self._carried["odd"] = (0, ODD_TIMES.labels(code))

    def frame(self, snapshot: bool) -> None:
        self._counts.raw_messages += 1
        self._snapshots += snapshot

    def published(self, latency_ns: int) -> None:
        self._counts.book_messages += 1
        if 0 <= latency_ns < REPEATED_AGE_NS:
            self._latency.observe(latency_ns)

    def conflated(self) -> None:
        self._counts.conflated += 1

    def fact(self, kind: FactKind, count: int) -> None:
        self._facts[kind].inc()
        if kind is FactKind.BUS_LOSS:
            self._counts.bus_lost += count
        name = _COUNT_OF_FACT.get(kind)
        if name is not None:
            setattr(self._counts, name, getattr(self._counts, name) + 1)

    def carry_over(self, counters: Iterable[Counters]) -> None:
        """Once a second: what came to the plain counts, and to those of all books, since the last time."""
        sums: dict[str, int] = dict.fromkeys(self._carried, 0)
        sums["stream"], sums["snapshot"] = self._counts.raw_messages - self._snapshots, self._snapshots
        sums["books"], sums["conflated"] = self._counts.book_messages, self._counts.conflated
        for one in counters:
            sums["agreed"] += one.audits_agreed
            sums["disagreed"] += one.audits_disagreed
            sums["open"] += one.audits_open
            sums["right"] += one.checksum_ok
            sums["wrong"] += one.checksum_bad
            sums["odd"] += one.odd_times
        for outcome, total in sums.items():
            seen, metric = self._carried[outcome]
            if total > seen:
                metric.inc(total - seen)
            self._carried[outcome] = (total, metric)

    def event_suppressed(self) -> None:
        self._suppressed.inc()

    def requested(self, kind: str) -> None:
        self._requests[kind].inc()

    def foreign(self) -> None:
        self._foreign.inc()

    def unknown_phase(self) -> None:
        self._unknown_phases.inc()

    def refused(self) -> None:
        self._refused.inc()

    def states(self, counts: dict[State, int]) -> None:
        for state, gauge in self._states.items():
            gauge.set(counts.get(state, 0))


class Meters:
    """The meters of every exchange, made when first needed."""

    def __init__(self, board: HealthBoard) -> None:
        self._board = board
        self._exchanges: dict[str, ExchangeMeters] = {}

    def of(self, code: str) -> ExchangeMeters:
        meters = self._exchanges.get(code)
        if meters is None:
            meters = self._exchanges[code] = ExchangeMeters(code, self._board.exchange(code))
        return meters
