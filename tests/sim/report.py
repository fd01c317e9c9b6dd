"""Many worlds in figures."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from typing import Any


class Report:
    def __init__(self) -> None:
        self.seeds = 0
        self.failed: dict[int, list[str]] = {}
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.times: dict[str, dict[str, list[float]]] = {
            "detections": defaultdict(list),
            "recoveries": defaultdict(list),
        }
        self.recovery: list[float] = []
        self.virtual_s = self.wall_s = 0.0

    def add(self, result: dict[str, Any]) -> None:
        self.seeds += 1
        if result["problems"]:
            self.failed[result["seed"]] = result["problems"]
            sys.stderr.write(f"\nseed {result['seed']}: {result['problems'][0]}\n")
        for name in ("injected", "checked", "states", "events", "totals"):
            self.counts[name].update(result[name])
        for name, times in self.times.items():
            for kind, found in result[name].items():
                times[kind] += found
        self.recovery.append(result["recovery_s"])
        self.virtual_s += result["virtual_s"]
        self.wall_s += result["wall_s"]

    def progress(self, wanted: int, elapsed_s: float) -> None:
        """One line that is written over on a terminal; twenty lines in a file."""
        before, after = ("\r", "") if sys.stderr.isatty() else ("", "\n")
        if after and self.seeds % max(1, wanted // 20):
            return
        sys.stderr.write(
            f"{before}{self.seeds}/{wanted} seeds, {self.seeds / max(elapsed_s, 1e-9):.1f}/s, "
            f"{self.counts['injected'].total()} faults, {len(self.failed)} failed {after}"
        )
        sys.stderr.flush()

    def data(self) -> dict[str, Any]:
        return {
            "seeds": self.seeds,
            "failed": {str(seed): problems for seed, problems in self.failed.items()},
            "virtual_hours": self.virtual_s / 3600,
            "cpu_s": self.wall_s,
            **{name: dict(counter) for name, counter in self.counts.items()},
            **{name: {kind: quantiles(found) for kind, found in times.items()} for name, times in self.times.items()},
            "final_recovery": quantiles(self.recovery),
        }

    def text(self, elapsed_s: float) -> str:
        verdicts = Counter(problem.partition(" ")[0] for found in self.failed.values() for problem in found)
        lines = [
            "",
            f"## {self.seeds} seeds, {self.virtual_s / 3600:.1f} virtual hours in {elapsed_s:.0f} s "
            f"({self.seeds / elapsed_s:.2f} seeds/s), {self.counts['injected'].total()} faults, "
            f"{self.counts['checked'].total()} LIVE books compared",
            f"violations: {dict(verdicts) or 'none'}",
            f"states {dict(self.counts['states'])}",
            f"events {dict(self.counts['events'])}",
            f"totals {dict(self.counts['totals'])}",
            f"recovery at the end: {_row(self.recovery)}",
            "",
            "| fault | injected | detected | p50 s | p99 s | max s | recovered | p50 s | p99 s | max s |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        kinds = self.counts["injected"].keys() | self.times["recoveries"].keys() | self.times["detections"].keys()
        for kind in sorted(kinds):
            detected, recovered = (self.times[name].get(kind, []) for name in ("detections", "recoveries"))
            injected = self.counts["injected"][kind] or ""
            lines.append(f"| {kind} | {injected} | {_row(detected)} | {_row(recovered)} |")
        for seed, problems in sorted(self.failed.items())[:40]:
            lines += [f"VIOLATION seed {seed}: {problem}" for problem in problems[:3]]
            lines.append(f"    {len(problems)} in all; again with: python -m tests.sim.run --seed {seed} -v")
        return "\n".join(lines)


def quantiles(found: list[float]) -> list[float]:
    """[count, p50, p99, max]."""
    if not found:
        return [0]
    times = sorted(found)
    return [len(times), *(times[min(int(len(times) * q), len(times) - 1)] for q in (0.5, 0.99, 1.0))]


def _row(found: list[float]) -> str:
    count, *rest = quantiles(found)
    return " | ".join([str(count), *(f"{value:.2f}" for value in rest or (0.0, 0.0, 0.0))])
