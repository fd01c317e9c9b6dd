"""What the services' metrics share: bucket lists, the one registry, the process's own figures.

Every service declares its metrics in its own `metrics.py`: base units, `_total`, few labels, no symbol as
a label of a histogram, and children kept rather than looked up by label on the hot path.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

REGISTRY_OF_PROCESS: CollectorRegistry = REGISTRY

LATENCY_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""From what a hop on one machine takes to what is surely broken."""
REST_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_STATM = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ReadAtScrape(Collector):
    """Metrics that are plain numbers of some object, read when Prometheus asks: nothing on the hot path.

    `rows` are (name, help, read); a name ending in `_total` is a counter, any other a gauge.
    """

    def __init__(self, rows: list[tuple[str, str, Callable[[], float]]]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        for name, text, read in self._rows:
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(name, text, value=read())


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def running_tasks() -> int:
    """Tasks of the running event loop that are not done; 0 outside of one."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


def cpu_seconds() -> float:
    """User and system time of this process since its start."""
    return time.process_time()
