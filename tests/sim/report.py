"""Many worlds in figures."""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from typing import Any

from tests.support.revision import revision

VERDICTS = {
    "W": "wrong as LIVE",
    "S": "stale as LIVE for more than 5 s",
    "D": "wrong below the proven levels, though nothing was tampered with",
    "O": "order of revisions and epochs",
    "R": "ids that go back unannounced",
    "N": "frames lost on the bus without an event",
    "G": "false gaps",
    "M": "LIVE though orders do not match",
    "Q": "requests for books whose orders do not match",
    "A": "true books contradicted by an audit or a second line at the same id",
    "L": "books that did not come back",
    "B": "REST requests during a ban",
    "T": "tasks left over",
    "P": "processes that gave up or did not end",
    "H": "handlers that raised",
    "E": "other errors",
}
TITLES = {"states": "Books published, by state", "events": "Events published", "totals": "In all"}
WORLDS = (
    "Every other world is mixed; those between are biased in turn: two lines by each kind of exchange, new counts, "
    "lines of unequal distance, planned reconnects, faults of links."
)
FAULTS = (
    "Faults come alone or many at a time; only an outage that began after one that came alone is put down to it. "
    "Detected: fault to the first message that is not LIVE; recovered: from there to LIVE. Each book counts; a fault "
    "that a book bears without leaving LIVE is not detected."
)


class Report:
    def __init__(self, world: str = "") -> None:
        """`world`: the sort that all worlds are of, where one was asked for."""
        self.replay = f"python -m tests.sim.run{f' --world {world}' if world else ''} --seed"
        self.worlds: dict[str, Counter[str]] = defaultdict(Counter)
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
        self._count(self.worlds[result["world"]], result)
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

    def _count(self, world: Counter[str], result: dict[str, Any]) -> None:
        events = result["events"]
        world["seeds"] += 1
        world["failed"] += bool(result["problems"])
        world["faults"] += sum(result["injected"].values())
        world["checked"] += sum(result["checked"].values())
        world["REST requests"] += result["totals"]["REST requests"]
        world["gaps"] += events.get("GAP", 0)
        world["resyncs"] += events.get("RESYNC_STARTED", 0)

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
            "worlds": {name: dict(counter) for name, counter in self.worlds.items()},
            **{name: dict(counter) for name, counter in self.counts.items()},
            **{name: {kind: quantiles(found) for kind, found in times.items()} for name, times in self.times.items()},
            "final_recovery": quantiles(self.recovery),
        }

    def verdicts(self) -> Counter[str]:
        """Violations by their letter."""
        return Counter(problem.partition(" ")[0] for found in self.failed.values() for problem in found)

    def markdown(self, command: str, elapsed_s: float) -> str:
        """The report as a page."""
        verdicts, counts = self.verdicts(), self.counts
        head = [
            ("command", f"`{command}`"),
            ("tree", revision()),
            ("seeds", self.seeds),
            ("speed", f"{3600 * self.seeds / elapsed_s:.0f} seeds an hour on {os.cpu_count()} cores"),
            ("virtual time", f"{self.virtual_s / 3600:.1f} hours"),
            ("faults injected", counts["injected"].total()),
            ("books compared", f"{counts['checked'].total()} LIVE books, each at its own id or time"),
            ("result", "**violations**" if self.failed else "no violation"),
        ]
        lines = ["# Simulation", "", "|  |  |", "|---|---|", *(f"| {name} | {value} |" for name, value in head), ""]
        lines += ["## Verdicts", "", "| verdict | violations |", "|---|---:|"]
        lines += [f"| {meaning} ({letter}) | {verdicts[letter]} |" for letter, meaning in VERDICTS.items()]
        lines += [""] + [f"- seed {seed}: {found[0]}" for seed, found in sorted(self.failed.items())[:40]]
        lines += ["## Worlds", "", WORLDS, "", *self._world_table(), "", "## What happened", ""]
        for name in ("states", "events", "totals"):
            said = ", ".join(f"{kind} {count}" for kind, count in sorted(counts[name].items()))
            lines.append(f"- {TITLES[name]}: {said.lower().replace('_', ' ')}")
        lines += ["", "## Faults", "", FAULTS, "", *self._table()]
        return "\n".join(lines) + "\n"

    def text(self, elapsed_s: float) -> str:
        verdicts = self.verdicts()
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
            *self._world_table(),
            "",
            *self._table(),
        ]
        for seed, problems in sorted(self.failed.items())[:40]:
            lines += [f"VIOLATION seed {seed}: {problem}" for problem in problems[:3]]
            lines.append(f"    {len(problems)} in all; again with: {self.replay} {seed} -v")
        return "\n".join(lines)

    def _world_table(self) -> list[str]:
        columns = ("seeds", "failed", "faults", "checked", "gaps", "resyncs", "REST requests")
        lines = ["| world | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
        return lines + [
            f"| {name} | " + " | ".join(str(counts[column]) for column in columns) + " |"
            for name, counts in sorted(self.worlds.items())
        ]

    def _table(self) -> list[str]:
        lines = [
            "| fault | injected | detected | p50 s | p99 s | max s | recovered | p50 s | p99 s | max s |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        kinds = self.counts["injected"].keys() | self.times["recoveries"].keys() | self.times["detections"].keys()
        for kind in sorted(kinds):
            detected, recovered = (self.times[name].get(kind, []) for name in ("detections", "recoveries"))
            injected = self.counts["injected"][kind] or ""
            lines.append(f"| {kind} | {injected} | {_row(detected)} | {_row(recovered)} |")
        return lines


def quantiles(found: list[float]) -> list[float]:
    """[count, p50, p99, max]."""
    if not found:
        return [0]
    times = sorted(found)
    return [len(times), *(times[min(int(len(times) * q), len(times) - 1)] for q in (0.5, 0.99, 1.0))]


def _row(found: list[float]) -> str:
    count, *rest = quantiles(found)
    return " | ".join([str(count), *(f"{value:.2f}" for value in rest)] if count else [""] * 4)
