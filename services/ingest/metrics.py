"""The metrics of ingest. Totals are kept as plain integers on the hot path and carried over once a second."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from hoga.runtime.metrics import REST_BUCKETS_S
from services.ingest.connector import ExchangeConnector
from services.ingest.line import EndKind

_EXCHANGE = ("exchange",)

FRAMES = Counter("hoga_ingest_frames_total", "Websocket frames read, heartbeats included.", _EXCHANGE)
BYTES = Counter("hoga_ingest_bytes_total", "Payload bytes of websocket text and binary frames read.", _EXCHANGE)
PUBLISHED = Counter("hoga_ingest_published_total", "Book frames handed to the bus.", _EXCHANGE)
DROPPED = Counter("hoga_ingest_dropped_total", "Book frames that the bus could not take, thrown away.", _EXCHANGE)
STRAY = Counter("hoga_ingest_stray_total", "Book frames of symbols that are not collected (any more).", _EXCHANGE)
ODD = Counter("hoga_ingest_odd_frames_total", "Frames not understood, and requests refused.", ("exchange", "kind"))
RECONNECTS = Counter("hoga_ingest_reconnects_total", "Connections lost or replaced, by why.", ("exchange", "reason"))
LINK_UP = Gauge("hoga_ingest_link_up", "1 while the slot is connected.", ("exchange", "slot"))
SYMBOLS = Gauge("hoga_ingest_symbols", "Symbols that are collected.", _EXCHANGE)
SILENT = Gauge("hoga_ingest_silent_symbols", "Symbols subscribed a while ago that have sent nothing.", _EXCHANGE)
REFUSED = Gauge("hoga_ingest_refused_symbols", "Symbols whose subscription the exchange refuses.", _EXCHANGE)
HELD = Gauge("hoga_ingest_held_symbols", "Symbols whose fresh subscription waits for the hourly budget.", _EXCHANGE)
REQUESTS = Counter("hoga_ingest_requests_total", "Requests sent to subscribe and unsubscribe.", _EXCHANGE)
UNKNOWN_PHASES = Gauge("hoga_ingest_unknown_phases", "Markets with a status in a word that is not known.", _EXCHANGE)
SNAPSHOTS = Counter("hoga_ingest_snapshots_total", "REST snapshots by result.", ("exchange", "result"))
SNAPSHOT_QUEUE = Gauge("hoga_ingest_snapshot_queue", "Snapshots asked for and not here yet.", _EXCHANGE)
REST_SECONDS = Histogram(
    "hoga_ingest_rest_seconds", "Duration of REST requests.", ("exchange", "status"), buckets=REST_BUCKETS_S
)
REST_WEIGHT = Counter("hoga_ingest_rest_weight_total", "Weight of the REST requests that left.", _EXCHANGE)
REST_USED = Gauge("hoga_ingest_rest_used_weight", "Weight used in this minute as the exchange counts it.", _EXCHANGE)
REST_CLOSED = Gauge("hoga_ingest_rest_closed_seconds", "How long the exchange wants no REST request.", _EXCHANGE)


class Metrics:
    """Carries the running totals of one connector over to the registry."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._last: dict[tuple[str, str], int] = {}
        self._slots: set[str] = set()
        for metric in (FRAMES, BYTES, PUBLISHED, DROPPED, STRAY, REQUESTS, REST_WEIGHT):
            metric.labels(code)
        for kind in EndKind:
            if kind is not EndKind.STOPPED:
                RECONNECTS.labels(code, kind.value)

    def on_rest(self, status: int, seconds: float) -> None:
        REST_SECONDS.labels(self._code, str(status)).observe(seconds)

    def sync(self, connector: ExchangeConnector) -> None:
        code, parts = self._code, connector.parts
        tally = parts.pool.tally
        for metric, total in (
            (FRAMES, tally.frames),
            (BYTES, tally.bytes),
            (PUBLISHED, tally.published),
            (DROPPED, tally.dropped),
            (STRAY, tally.stray),
            (REQUESTS, tally.requests),
            (REST_WEIGHT, parts.rest.stats.weight),
        ):
            self._add(metric, "", total)
        self._add_all(ODD, connector.oddities.counts)
        self._add_all(RECONNECTS, parts.pool.reconnects)
        self._add_all(SNAPSHOTS, parts.snapshots.counts)
        UNKNOWN_PHASES.labels(code).set(len(parts.directory.unknown_phases))
        REST_USED.labels(code).set(parts.rest.stats.reported_weight)
        REST_CLOSED.labels(code).set(parts.rest.gate.remaining_s())
        SNAPSHOT_QUEUE.labels(code).set(len(parts.snapshots))
        self._sync_links(connector)

    def _sync_links(self, connector: ExchangeConnector) -> None:
        code, slots = self._code, list(connector.parts.pool)
        links = [slot.link for slot in slots if slot.link is not None]
        SYMBOLS.labels(code).set(sum(len(slot.symbols) for slot in slots))
        SILENT.labels(code).set(sum(len(link.silent()) for link in links))
        REFUSED.labels(code).set(sum(len(link.refused) for link in links))
        HELD.labels(code).set(sum(len(link.held) for link in links))
        for slot in slots:
            LINK_UP.labels(code, slot.name).set(slot.connected)
        names = {slot.name for slot in slots}
        for gone in self._slots - names:
            LINK_UP.remove(code, gone)
        self._slots = names

    def _add_all(self, metric: Counter, totals: Mapping[str, int]) -> None:
        for label, total in totals.items():
            self._add(metric, label, total)

    def _add(self, metric: Counter, label: str, total: int) -> None:
        key = (str(metric), label)
        grown = total - self._last.get(key, 0)
        if grown > 0:
            self._last[key] = total
            (metric.labels(self._code, label) if label else metric.labels(self._code)).inc(grown)
