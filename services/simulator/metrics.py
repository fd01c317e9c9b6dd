"""The simulator's metrics, read from its counters when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hoga.runtime.metrics import REGISTRY_OF_PROCESS
from services.simulator.desk import Desk
from services.simulator.server import SimulatorServer

_ROWS: list[tuple[str, str, Callable[[Desk], float]]] = [
    ("hoga_simulator_frames_total", "Market frames sent, each subscriber counted", lambda desk: desk.counts.frames),
    ("hoga_simulator_requests_total", "REST calls answered", lambda desk: desk.counts.rest),
    ("hoga_simulator_refused_total", "REST calls and handshakes refused", lambda desk: desk.counts.refused),
    ("hoga_simulator_slow_clients_total", "Clients cut off for not reading", lambda desk: desk.counts.slow),
    ("hoga_simulator_links", "Open websocket connections", lambda desk: len(desk.links)),
]


class SimulatorCollector(Collector):
    def __init__(self, server: SimulatorServer) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        for name, text, read in _ROWS:
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            metric = family(name, text, labels=["exchange"])
            for code, desk in self._server.venues.items():
                metric.add_metric([code], read(desk))
            yield metric
        yield CounterMetricFamily(
            "hoga_simulator_late_rounds_total",
            "Markets that skipped windows because the process was too busy",
            value=self._server.late_rounds,
        )


def register(server: SimulatorServer) -> None:
    REGISTRY_OF_PROCESS.register(SimulatorCollector(server))
