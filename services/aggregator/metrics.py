"""The aggregator's metrics; children are kept, no symbol is a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

REFRESHES = Counter("hoga_aggregator_refreshes_total", "Listings asked for, by outcome", ["exchange", "outcome"])
CHANGES = Counter(
    "hoga_aggregator_universe_changes_total", "Symbols that came in or went out", ["exchange", "direction"]
)
SYMBOLS = Gauge("hoga_aggregator_universe_symbols", "Symbols in the universe", ["exchange"])
LISTED = Gauge("hoga_aggregator_listed_symbols", "Symbols listed and trading", ["exchange"])
UNMEASURED = Gauge("hoga_aggregator_unmeasured_symbols", "Eligible symbols without a comparable turnover", ["exchange"])
REVISION = Gauge("hoga_aggregator_universe_revision", "Revision of the universe", ["exchange"])
LAST_REFRESH = Gauge(
    "hoga_aggregator_last_refresh_timestamp_seconds", "When the last good listing arrived, Unix time", ["exchange"]
)


class DeskMeters:
    """The children of one exchange."""

    def __init__(self, code: str) -> None:
        self.refreshed = REFRESHES.labels(code, "ok")
        self.failed = REFRESHES.labels(code, "failed")
        self.entered = CHANGES.labels(code, "in")
        self.left = CHANGES.labels(code, "out")
        self.symbols = SYMBOLS.labels(code)
        self.listed = LISTED.labels(code)
        self.unmeasured = UNMEASURED.labels(code)
        self.revision = REVISION.labels(code)
        self.last_refresh = LAST_REFRESH.labels(code)
