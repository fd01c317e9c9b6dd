"""How the processes, the machine and this very loop fare during a run, read from /proc."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OURSELVES = "simulator and judge"
SAMPLE_S = 5.0
WARM_S = 120.0
"""What a process takes in its first minutes is not a leak."""
LEAST_S = 300.0
"""A slope over less than this says nothing."""
TICK_S = 0.02
LATE_S = 0.5
"""Above, what has arrived meanwhile is still to be read."""
_HERTZ = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class Sample:
    at_s: float
    megabytes: float
    files: int
    threads: int
    cpu_s: float
    tasks: int = 0
    """As the process itself says; 0 where it has not."""


@dataclass(frozen=True)
class Growth:
    """The longest life of a process."""

    name: str
    minutes: float
    first: Sample
    last: Sample
    slope: float | None
    """MB an hour after the first minutes, by least squares; None where the life was too short for one."""
    most_files: int


class Gauges:
    def __init__(self, processes: Callable[[], dict[str, int]], on_late: Callable[[float], None]) -> None:
        """`processes()`: name -> pid now. `on_late(seconds)`: the loop stood still."""
        self._processes, self._on_late = processes, on_late
        self._lives: dict[tuple[str, int], list[Sample]] = {}
        self.stalls: list[float] = []
        """Seconds by which the loop was late, where it was more than 50 ms."""
        self.ticks = 0
        self.tasks: dict[str, int] = {}
        """Process (with underscores) -> tasks, as its newest health message says."""
        self._busy = _busy()
        self._began_s = time.monotonic()

    async def run(self) -> None:
        due_s = time.monotonic()
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK_S)
            late_s = time.monotonic() - before - TICK_S
            self.ticks += 1
            if late_s > 0.05:
                self.stalls.append(late_s)
            if late_s > LATE_S:
                self._on_late(late_s)
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + SAMPLE_S
                self.sample()

    def sample(self) -> None:
        for name, pid in {**self._processes(), OURSELVES: os.getpid()}.items():
            sample = _read(pid, self.tasks.get(name.replace("-", "_"), 0))
            if sample is not None:
                self._lives.setdefault((name, pid), []).append(sample)

    def used(self) -> float:
        """Share of all cores that these processes took since the start, without the last seconds of killed ones."""
        cpu_s = sum(samples[-1].cpu_s for samples in self._lives.values())
        return cpu_s / (time.monotonic() - self._began_s) / (os.cpu_count() or 1)

    def busy(self) -> float:
        """Share of all cores that was busy since the start, whoever used them."""
        used, total = (now - then for now, then in zip(_busy(), self._busy, strict=True))
        return used / total if total else 0.0

    def growth(self) -> list[Growth]:
        """By process, in order of appearance."""
        longest: dict[str, list[Sample]] = {}
        for (name, _), samples in self._lives.items():
            if samples[-1].at_s - samples[0].at_s >= _span(longest.get(name)):
                longest[name] = samples
        return [growth(name, samples) for name, samples in longest.items()]


def growth(name: str, samples: list[Sample]) -> Growth:
    warm = [sample for sample in samples if sample.at_s - samples[0].at_s >= WARM_S] or samples
    slope = _slope(warm) if _span(warm) >= LEAST_S else None
    return Growth(name, _span(samples) / 60, warm[0], warm[-1], slope, max(sample.files for sample in warm))


def _span(samples: list[Sample] | None) -> float:
    return samples[-1].at_s - samples[0].at_s if samples else 0.0


def _slope(samples: list[Sample]) -> float:
    """MB an hour."""
    middle = sum(sample.at_s for sample in samples) / len(samples)
    mean = sum(sample.megabytes for sample in samples) / len(samples)
    spread = sum((sample.at_s - middle) ** 2 for sample in samples)
    return 3600 * sum((sample.at_s - middle) * (sample.megabytes - mean) for sample in samples) / spread


def _read(pid: int, tasks: int) -> Sample | None:
    folder = Path(f"/proc/{pid}")
    try:
        megabytes = int((folder / "statm").read_text().split()[1]) * _PAGE_MB
        files, threads = len(os.listdir(folder / "fd")), len(os.listdir(folder / "task"))
        ticks = sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:13]))
        return Sample(time.monotonic(), megabytes, files, threads, ticks / _HERTZ, tasks)
    except (OSError, IndexError):
        return None


def _busy() -> tuple[float, float]:
    """(busy, all) ticks of all cores since the machine started."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return float(sum(ticks) - ticks[3] - ticks[4]), float(sum(ticks))
