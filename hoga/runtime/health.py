"""How this process is: the board of facts, /metrics and /healthz, and the Health message each second.

GET /healthz   200 or 503, {"service", "instance", "healthy", "reasons": {check: why not}}
GET /metrics   Prometheus text
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hoga.domain.errors import ConfigError
from hoga.runtime.bus import Bus
from hoga.runtime.metrics import REGISTRY_OF_PROCESS, cpu_seconds, resident_bytes, running_tasks
from hoga.runtime.settings import MetricsSettings
from hoga.wire import pb, subjects

PERIOD_S = 1.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class ExchangeCounts:
    """What happened to one exchange's messages since the process started; add to the fields directly."""

    raw_messages: int = 0
    book_messages: int = 0
    dropped: int = 0
    conflated: int = 0
    rejected: int = 0
    gaps: int = 0
    reversals: int = 0
    crossed: int = 0
    resyncs: int = 0
    bus_lost: int = 0


@dataclass(slots=True)
class HealthBoard:
    """Named checks; the process is healthy while every one of them is."""

    service: str
    instance: str
    epoch: int = 0
    start_time_ns: int = field(default_factory=time.time_ns)
    _reasons: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, ExchangeCounts] = field(default_factory=dict)

    def set(self, name: str, ok: bool, reason: str = "") -> None:
        """States that check `name` holds, or why it does not."""
        if ok:
            self._reasons.pop(name, None)
        else:
            self._reasons[name] = reason or "not ok"

    def exchange(self, code: str) -> ExchangeCounts:
        """The counters of one exchange; keep the object."""
        return self._counts.setdefault(code, ExchangeCounts())

    @property
    def healthy(self) -> bool:
        return not self._reasons

    @property
    def reasons(self) -> dict[str, str]:
        """Failing check -> why."""
        return dict(self._reasons)

    def message(self, time_ns: int) -> pb.Health:
        health = pb.Health(
            service=self.service,
            instance=self.instance,
            time_ns=time_ns,
            start_time_ns=self.start_time_ns,
            healthy=self.healthy,
            reason="; ".join(f"{name}: {reason}" for name, reason in self._reasons.items()),
            resident_bytes=resident_bytes(),
            cpu_seconds=cpu_seconds(),
            epoch=self.epoch,
            tasks=running_tasks(),
        )
        for code, counts in self._counts.items():
            health.exchanges.add(
                exchange=code,
                raw_messages=counts.raw_messages,
                book_messages=counts.book_messages,
                dropped=counts.dropped,
                conflated=counts.conflated,
                rejected=counts.rejected,
                gaps=counts.gaps,
                reversals=counts.reversals,
                crossed=counts.crossed,
                resyncs=counts.resyncs,
                bus_lost=counts.bus_lost,
            )
        return health


class HealthServer:
    """Serves the board and the metrics over HTTP."""

    def __init__(self, board: HealthBoard, settings: MetricsSettings) -> None:
        self._board = board
        self._settings = settings
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listens; ConfigError where the address is busy or not ours."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        self.port = await listen(
            self._runner, self._settings.host, self._settings.port, knobs="HOGA_METRICS_HOST and HOGA_METRICS_PORT"
        )
        log.info("health and metrics on http://%s:%d/healthz and /metrics", self._settings.host, self.port)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return health_answer(self._board)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return metrics_answer()


def health_answer(board: HealthBoard) -> web.Response:
    """The answer to GET /healthz."""
    body = {
        "service": board.service,
        "instance": board.instance,
        "healthy": board.healthy,
        "reasons": board.reasons,
    }
    return web.json_response(body, status=200 if board.healthy else 503)


def metrics_answer() -> web.Response:
    """The answer to GET /metrics."""
    return web.Response(body=generate_latest(REGISTRY_OF_PROCESS), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def listen(runner: web.AppRunner, host: str, port: int, *, knobs: str) -> int:
    """Binds `runner` and gives the port; ConfigError of one line, naming `knobs`, where it cannot.

    `knobs` are the host and port variables, as "HOGA_X_HOST and HOGA_X_PORT".
    """
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        host_knob, _, port_knob = knobs.partition(" and ")
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is busy: set {port_knob} to another port (0: any free one)"
            ) from None
        if error.errno == errno.EACCES:
            raise ConfigError(f"port {port} on {host} is not permitted: set {port_knob} to one above 1023") from None
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}: set {host_knob}") from None
    bound: int = runner.addresses[0][1]
    return bound


async def publish_health(board: HealthBoard, bus: Bus, *, period_s: float = PERIOD_S) -> None:
    """Publishes the board's Health message every `period_s`, until cancelled."""
    subject = subjects.health(board.service, board.instance)
    while True:
        bus.publish(subject, board.message(time.time_ns()).SerializeToString())
        await asyncio.sleep(period_s)
