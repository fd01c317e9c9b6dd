"""Every process of the system, by its Health message each second: who is there, how it feels, what it counted.

Rules:
1. No message for `silent_ns` means the process is silent: down, stuck or cut off.
2. A silent process whose service lives on in another instance was replaced: it is forgotten after a while.
   One that was the last of its service stays, and stays a problem.
3. Counts are running totals of one process. The totals kept here begin with the monitor and go on across
   the restarts of others.
4. Books belong to the process that published them, found by its epoch. A validator that never told its epoch
   vouches for nothing, but while some validator is well and tells none, no book is doubted for it.
5. A process that has just started need not be well yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hoga.wire import pb

from .problems import Problem, Severity, seconds

SECOND = 1_000_000_000
REPLACED_NS = 30 * SECOND
DROPS_WINDOW_NS = 15 * SECOND
STARTING_NS = 10 * SECOND
MAX_PROCESSES = 512

Counts = pb.Health.ExchangeCounts


def is_ingest(service: str) -> bool:
    return service == "ingest" or service.startswith("ingest-")


def is_validator(service: str) -> bool:
    return service == "validator" or service.startswith("validator-")


@dataclass(slots=True)
class Process:
    health: pb.Health
    seen_ns: int
    cpu_percent: float = 0.0
    """Of one core, over the last report."""
    dropped: int = 0
    """Messages dropped within the last DROPS_WINDOW_NS."""
    _drops: deque[tuple[int, int]] = field(default_factory=deque)

    @property
    def service(self) -> str:
        return self.health.service

    @property
    def instance(self) -> str:
        return self.health.instance

    @property
    def starting(self) -> bool:
        return self.health.time_ns - self.health.start_time_ns < STARTING_NS

    def observe(self, health: pb.Health, mono_ns: int) -> None:
        elapsed_s = (health.time_ns - self.health.time_ns) / SECOND
        if elapsed_s > 0.2:
            self.cpu_percent = max(0.0, (health.cpu_seconds - self.health.cpu_seconds) / elapsed_s * 100)
        drops = sum(counts.dropped for counts in health.exchanges)
        if not self._drops or drops != self._drops[-1][1]:
            self._drops.append((mono_ns, drops))
        while len(self._drops) > 1 and mono_ns - self._drops[1][0] > DROPS_WINDOW_NS:
            self._drops.popleft()
        newest = mono_ns - self._drops[-1][0] <= DROPS_WINDOW_NS
        self.dropped = max(0, drops - self._drops[0][1]) if newest else 0
        self.health = health
        self.seen_ns = mono_ns


class Processes:
    def __init__(self, *, silent_ns: int = 3 * SECOND, start_time_ns: int = 0) -> None:
        """`start_time_ns`: since when (wall clock) totals are wanted."""
        self._silent_ns = silent_ns
        self._start_time_ns = start_time_ns
        self._processes: dict[tuple[str, str], Process] = {}
        self._totals: dict[str, tuple[int, int]] = {}
        """exchange -> (raw frames, books) of all processes, dead ones included."""

    def observe(self, health: pb.Health, mono_ns: int) -> None:
        """Takes a Health message."""
        key = (health.service, health.instance)
        process = self._processes.get(key)
        if process is not None:
            self._add_up(health, {counts.exchange: counts for counts in process.health.exchanges})
            process.observe(health, mono_ns)
        elif len(self._processes) < MAX_PROCESSES:
            older = health.start_time_ns < self._start_time_ns
            self._add_up(health, {counts.exchange: counts for counts in health.exchanges} if older else {})
            process = self._processes[key] = Process(health, mono_ns)
            process.observe(health, mono_ns)

    def all(self) -> list[Process]:
        return sorted(self._processes.values(), key=lambda process: (process.service, process.instance))

    def silent(self, process: Process, mono_ns: int) -> bool:
        return mono_ns - process.seen_ns > self._silent_ns

    def totals(self) -> dict[str, tuple[int, int]]:
        """exchange -> (raw frames, books) since `start_time_ns`."""
        return dict(sorted(self._totals.items()))

    def forgive(self, pause_ns: int, mono_ns: int) -> None:
        """We ourselves were away for so long, until now."""
        for process in self._processes.values():
            process.seen_ns = min(process.seen_ns + pause_ns, mono_ns)

    def forget(self, mono_ns: int) -> None:
        """Drops the processes that were replaced."""
        alive = {process.service for process in self._processes.values() if not self.silent(process, mono_ns)}
        for key, process in list(self._processes.items()):
            if process.service in alive and mono_ns - process.seen_ns > REPLACED_NS:
                del self._processes[key]

    def validators(self, mono_ns: int) -> tuple[int, int]:
        """(validators known, of them not silent)."""
        known = [process for process in self._processes.values() if is_validator(process.service)]
        return len(known), sum(not self.silent(process, mono_ns) for process in known)

    def doubt(self, mono_ns: int) -> Callable[[int], str]:
        """A function of a book's epoch: why its publisher cannot be relied on; empty where it can."""
        validators = [process for process in self._processes.values() if is_validator(process.service)]
        well = {process.health.epoch for process in validators if not self.silent(process, mono_ns)}
        seen = {process.health.epoch: process.seen_ns for process in validators}

        def why(epoch: int) -> str:
            if epoch in well or 0 in well:
                return ""
            if epoch in seen:
                return f"its validator has been silent for {seconds(mono_ns - seen[epoch])}"
            return "its validator is gone" if validators else "no validator is heard of"

        return why

    def problems(self, mono_ns: int) -> list[Problem]:
        found = []
        alive = {process.service for process in self._processes.values() if not self.silent(process, mono_ns)}
        for process in self._processes.values():
            name = f"{process.service}.{process.instance}"
            if self.silent(process, mono_ns):
                severity = Severity.INFO if process.service in alive else Severity.CRITICAL
                text = f"silent for {seconds(mono_ns - process.seen_ns)} (instance {process.instance})"
                found.append(Problem(f"service.silent.{name}", severity, process.service, text, process.seen_ns))
                continue
            if not process.health.healthy and not process.starting:
                text = process.health.reason or "not healthy, without a reason"
                found.append(Problem(f"service.unhealthy.{name}", Severity.WARNING, process.service, text))
            if process.dropped:
                text = f"dropped {process.dropped:,} messages within the last {seconds(DROPS_WINDOW_NS)}"
                found.append(Problem(f"service.drops.{name}", Severity.WARNING, process.service, text))
        return found

    def _add_up(self, health: pb.Health, before: dict[str, Counts]) -> None:
        """Raw frames are counted by ingest, books by the validators: nothing is counted twice."""
        ingest, validator = is_ingest(health.service), is_validator(health.service)
        if not (ingest or validator):
            return
        for counts in health.exchanges:
            old = before.get(counts.exchange)
            raw, books = self._totals.get(counts.exchange, (0, 0))
            if ingest:
                raw += _growth(counts.raw_messages, old.raw_messages if old else 0)
            if validator:
                books += _growth(counts.book_messages, old.book_messages if old else 0)
            self._totals[counts.exchange] = (raw, books)


def _growth(now: int, before: int) -> int:
    return now - before if now >= before else now
