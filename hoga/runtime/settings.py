"""Every knob of hoga: its name, type, limits, default and one line of meaning.

Nothing is read here; `hoga.runtime.config` fills these structs from a TOML file and the environment and
checks every value against the limits below. A knob is `<section>.<key>` in TOML and
`HOGA_<SECTION>_<KEY>` in the environment. Units are in the names.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


def _text(meaning: str, *, pattern: str | None = None, allowed: str = "a text") -> Meta:
    return Meta(description=meaning, pattern=pattern, extra={"allowed": allowed})


def _secret(meaning: str) -> Meta:
    return Meta(description=meaning, extra={"allowed": "a text", "secret": True})


def _number(meaning: str, low: float, high: float) -> Meta:
    return Meta(description=meaning, ge=low, le=high)


def _any(meaning: str) -> Meta:
    return Meta(description=meaning)


def _port(meaning: str) -> Meta:
    return _number(meaning, 0, 65535)


_BUS_URL = r"^(nats|tls|ws|wss)://[^\s/]+/?(,(nats|tls|ws|wss)://[^\s/]+/?)*$"
_WS_URL = r"^(wss?://[^\s]*[^\s/])?$"
_HTTP_URL = r"^(https?://[^\s]*[^\s/])?$"
_HOST = r"^[^\s/]+$"
_CURRENCY = r"^[A-Za-z0-9]+$"

Symbol = Annotated[str, Meta(pattern=r"^[^\s-]+-[^\s]+$", extra={"allowed": "canonical symbols such as BTC-USDT"})]
Currency = Annotated[str, Meta(pattern=_CURRENCY, extra={"allowed": "currency codes such as USDT"})]


class NatsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The message bus."""

    url: Annotated[
        str,
        _text(
            "address of the NATS server, several separated by commas",
            pattern=_BUS_URL,
            allowed="an address such as nats://127.0.0.1:4222 (nats, tls, ws or wss)",
        ),
    ] = "nats://127.0.0.1:4222"
    user: Annotated[str, _text("NATS user; empty: no login")] = ""
    password: Annotated[str, _secret("password of the NATS user")] = ""
    pending_bytes: Annotated[
        int, _number("bytes that may wait for the bus; beyond, messages are dropped and counted", 64 << 10, 1 << 30)
    ] = 8 << 20
    lean: Annotated[bool, _any("a short way of our own through nats-py for plain messages; false: nats-py alone")] = (
        True
    )

    @property
    def address(self) -> str:
        """`url` as it may be shown: without a user and password in it."""
        return re.sub(r"//[^/@,]*@", "//", self.url)


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log lines on stderr, and the raw and book log files."""

    level: Annotated[
        Literal["ERROR", "WARNING", "INFO", "DEBUG"], _any("least severe log lines that are shown (also: LOG_LEVEL)")
    ] = "INFO"
    directory: Annotated[str, _text("where the raw and book log files go", pattern=r"^.+$", allowed="a path")] = "logs"
    debug_messages: Annotated[
        bool, _any("write every raw message and book to log files (also: DEBUG_MESSAGE_LOGGING)")
    ] = False
    rotate_megabytes: Annotated[int, _number("size at which a log file is rotated, in MB", 1, 65536)] = 64
    keep_files: Annotated[int, _number("rotated log files kept of each kind", 1, 1000)] = 5
    depth: Annotated[int, _number("levels a side in a book log line", 1, 1000)] = 10


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One exchange."""

    enabled: Annotated[bool, _any("whether this system collects the exchange at all")] = True
    ws_url: Annotated[
        str,
        _text(
            "websocket base address; empty: the exchange's own", pattern=_WS_URL, allowed="a ws:// or wss:// address"
        ),
    ] = ""
    rest_url: Annotated[
        str,
        _text("REST base address; empty: the exchange's own", pattern=_HTTP_URL, allowed="an http(s):// address"),
    ] = ""
    symbols: Annotated[list[Symbol], _any("symbols collected always, in addition to the universe")] = []
    follow_universe: Annotated[bool, _any("collect what the aggregator's universe names")] = True
    gap_policy: Annotated[
        Literal["continue", "ignore", "resync"],
        _any("on missing ids: continue and heal, ignore (never heal), or resync (withhold until healed)"),
    ] = "continue"
    rest_share: Annotated[float, _number("share of the exchange's REST budget that we use", 0.01, 1.0)] = 0.8
    symbols_per_link: Annotated[
        int, _number("symbols on one websocket connection; 0: as the exchange module says", 0, 10000)
    ] = 0
    lines: Annotated[
        int, _number("connections that carry each symbol: 2 lose nothing when one of them is lost", 1, 2)
    ] = 1


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Links to the exchanges."""

    backoff_min_s: Annotated[float, _number("shortest ceiling of the reconnect delay", 0.01, 60)] = 0.1
    backoff_max_s: Annotated[float, _number("longest ceiling of the reconnect delay", 0.1, 3600)] = 30.0
    connect_timeout_s: Annotated[float, _number("patience for a websocket connect", 0.1, 120)] = 10.0
    snapshot_cooldown_ms: Annotated[int, _number("least time between two REST requests", 100, 60000)] = 100
    overlap_s: Annotated[float, _number("how long old and new link run together at a planned reconnect", 0, 300)] = 10.0
    heartbeat_s: Annotated[float, _number("period of the link status messages", 0.1, 60)] = 1.0
    line: Annotated[
        str,
        _text(
            "this process is one of two that collect the exchange: line a or b; empty: it is the only one",
            pattern=r"^[ab]?$",
            allowed="a, b or nothing",
        ),
    ] = ""


class ValidatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The books."""

    depth: Annotated[int, _number("levels a side that are published", 1, 1000)] = 20
    min_interval_ms: Annotated[
        int, _number("least time between two messages of one book; 0: every update", 0, 60000)
    ] = 0
    stale_after_s: Annotated[float, _number("silence of a link's status after which its books are STALE", 0.5, 600)] = (
        3.0
    )
    late_after_s: Annotated[float, _number("age of the exchange time at which an update counts as late", 0.1, 3600)] = (
        10.0
    )
    future_after_s: Annotated[float, _number("lead of the exchange time that counts as in the future", 0.1, 3600)] = 5.0
    buffer_updates: Annotated[
        int, _number("updates buffered per book while its snapshot is awaited", 10, 1_000_000)
    ] = 4000
    snapshot_retry_s: Annotated[float, _number("patience for a snapshot before it is asked for again", 0.5, 600)] = 5.0
    audit_interval_s: Annotated[
        float, _number("how often one LIVE book of each exchange is compared with a fresh snapshot; 0: never", 0, 86400)
    ] = 10.0


class UniverseRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which symbols are worth collecting."""

    top_n: Annotated[int, _number("symbols taken by 24 h turnover; 0: no such limit", 0, 100_000)] = 30
    min_turnover: Annotated[float, _number("least 24 h turnover, in the common currency", 0, 1e18)] = 0.0
    common_currency: Annotated[
        str, _text("currency in which turnovers are compared", pattern=_CURRENCY, allowed="a currency such as USDT")
    ] = "USDT"
    quotes: Annotated[list[Currency], _any("quote currencies wanted; empty: all")] = []
    include: Annotated[list[Symbol], _any("symbols that are always in")] = []
    exclude: Annotated[list[Symbol], _any("symbols that are never in")] = []
    hysteresis: Annotated[
        float, _number("how far a member may fall below a rule before it leaves (share)", 0, 0.99)
    ] = 0.2


class UniverseSettings(UniverseRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choice of symbols, for all exchanges and, under `exchanges.<code>`, for one."""

    refresh_s: Annotated[float, _number("period of the choice", 1, 86400)] = 300.0
    exchanges: dict[str, UniverseRules] = {}

    def rules(self, code: str) -> UniverseRules:
        """The rules of one exchange: its own keys over the common ones."""
        return self.exchanges.get(code, self)


class MonitorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The web page."""

    host: Annotated[str, _text("address the web page listens on", pattern=_HOST, allowed="a host name or address")] = (
        "127.0.0.1"
    )
    port: Annotated[int, _port("port of the web page; 0: any free one")] = 8080
    stats_period_s: Annotated[float, _number("period of the statistics report", 1, 86400)] = 60.0
    mismatch_after_s: Annotated[
        float, _number("how long reports and arrivals may disagree before a reconnect is asked for", 1, 600)
    ] = 5.0


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """/metrics and /healthz of every process."""

    host: Annotated[
        str, _text("address /metrics and /healthz listen on", pattern=_HOST, allowed="a host name or address")
    ] = "127.0.0.1"
    port: Annotated[int, _port("port of /metrics and /healthz; 0: any free one, which is logged")] = 0


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulated exchanges."""

    host: Annotated[str, _text("address the simulator listens on", pattern=_HOST, allowed="a host name or address")] = (
        "127.0.0.1"
    )
    port: Annotated[int, _port("port of the simulator; 0: any free one")] = 9200
    seed: Annotated[int, _number("seed of the synthetic market", 0, (1 << 63) - 1)] = 7
    symbols: Annotated[int, _number("symbols simulated on each exchange", 1, 2000)] = 10
    rate: Annotated[float, _number("deltas per second of each symbol", 0.01, 10000)] = 20.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a process; read once, at its start."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    exchanges: dict[str, ExchangeSettings] = {}
    ingest: IngestSettings = IngestSettings()
    validator: ValidatorSettings = ValidatorSettings()
    universe: UniverseSettings = UniverseSettings()
    monitor: MonitorSettings = MonitorSettings()
    metrics: MetricsSettings = MetricsSettings()
    simulator: SimulatorSettings = SimulatorSettings()

    def exchange(self, code: str) -> ExchangeSettings:
        """The settings of one exchange; the defaults where nothing is set."""
        return self.exchanges.get(code, ExchangeSettings())
