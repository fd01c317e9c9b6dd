"""What the services' metrics share: bucket lists, the one registry, the process's own figures.

Every service declares its metrics in its own `metrics.py`: base units, `_total`, few labels, no symbol as
a label of a histogram, and children kept rather than looked up by label on the hot path.
"""

from __future__ import annotations

import asyncio
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
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


class Durations:
    """How many durations there were up to each bound; nanoseconds."""

    __slots__ = ("_bounds_ns", "counts", "sum_ns")

    def __init__(self, bounds_ns: list[int]) -> None:
        self._bounds_ns = bounds_ns
        self.counts = [0] * (len(bounds_ns) + 1)
        self.sum_ns = 0

    def observe(self, duration_ns: int) -> None:
        self.counts[bisect_left(self._bounds_ns, duration_ns)] += 1
        self.sum_ns += duration_ns


class PlainHistogram(Collector):
    """A histogram of durations by one label, made of plain integers, which are read when Prometheus asks."""

    def __init__(
        self,
        name: str,
        text: str,
        label: str,
        buckets_s: tuple[float, ...],
        registry: CollectorRegistry = REGISTRY_OF_PROCESS,
    ) -> None:
        self._name, self._text, self._label = name, text, label
        self._bounds_ns = [round(bound_s * 1e9) for bound_s in buckets_s]
        self._names = [*map(str, buckets_s), "+Inf"]
        self._children: dict[str, Durations] = {}
        registry.register(self)

    def labels(self, value: str) -> Durations:
        return self._children.setdefault(value, Durations(self._bounds_ns))

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label])
        for value, child in self._children.items():
            sums = list(accumulate(child.counts))
            family.add_metric([value], list(zip(self._names, sums, strict=True)), child.sum_ns / 1e9)
        yield family


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
