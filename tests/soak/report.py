"""The report of a soak run, in Markdown: what was done, what was compared, what was found, what was not judged."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hoga.exchanges import registry
from services.simulator.venues.registry import emulated
from tests.soak.gauges import OURSELVES, Gauges, Growth
from tests.soak.judge import BUDGET_S, Judge
from tests.soak.measures import Measure, Measures
from tests.support.revision import revision

GROWN_MB = 40.0
MORE_FILES = 20
MORE_TASKS = 20
SHOWN = 200
"""Violations that are spelled out."""


@dataclass
class Run:
    """What a run did, for the report."""

    command: str
    seed: int
    minutes: float
    judge: Judge
    gauges: Gauges
    measures: Measures
    twofold: list[str]
    injected: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    """Seconds until all books were well again after each storm."""
    stuck: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    phases: list[str] = field(default_factory=list)

    def verdicts(self) -> dict[str, list[str]]:
        """Violations by what they violate."""
        judge, gaps, bans = self.judge, self.judge.gaps, self.judge.record.simulator.bans
        return {
            "wrong as LIVE (W)": [line for line in judge.wrong if line.startswith("W")],
            f"stale as LIVE for more than {BUDGET_S:g} s (S)": judge.stale,
            "order of revisions and epochs (O)": [line for line in judge.wrong if line[0] not in "WR"],
            "ids that go back unannounced (R)": [line for line in judge.wrong if line.startswith("R")],
            "losses nobody noticed (G)": gaps.missed,
            "false gaps (F)": gaps.false,
            "true books contradicted by an audit or a second line (A)": gaps.doubts,
            "books that did not come back": self.stuck,
            "REST requests during a ban": bans.broken,
            "measured scenarios: not over in time, or interruptions": [
                f"{measure.title}: {line}" for measure in self.measures.found.values() for line in measure.never
            ]
            + [
                f"{measure.title}: {measure.interruptions} messages that were not LIVE"
                for measure in self.measures.found.values()
                if measure.interruptions
            ],
            f"leaks (more than {GROWN_MB:g} MB, {MORE_FILES} open files or {MORE_TASKS} tasks in one life)": [
                leak for growth in self.gauges.growth() if growth.name != OURSELVES and (leak := leaked(growth))
            ],
        }


def good(run: Run) -> bool:
    return not any(run.verdicts().values())


def met(measure: Measure) -> bool:
    """Whether a measured fault was over in time."""
    if measure.interruptions or measure.never:
        return False
    judged = measure.noticed if "half-open" in measure.title else measure.over
    return not measure.target_s or (bool(judged) and quantile(judged, 0.99) < measure.target_s)


def leaked(growth: Growth) -> str:
    first, last = growth.first, growth.last
    grown_mb, files, tasks = last.megabytes - first.megabytes, last.files - first.files, last.tasks - first.tasks
    if growth.slope is None or (grown_mb <= GROWN_MB and files <= MORE_FILES and tasks <= MORE_TASKS):
        return ""
    return f"{growth.name}: {grown_mb:+.0f} MB, {files:+d} open files, {tasks:+d} tasks in {growth.minutes:.0f} min"


def text(run: Run) -> str:
    parts = (_head(run), _verdicts(run), _measured(run), _faults(run), _books(run), _leaks(run), _unjudged(run))
    return "\n\n".join(parts) + "\n"


def _head(run: Run) -> str:
    venues = run.judge.simulator.venues
    options = run.judge.simulator.options
    used, busy = 100 * run.gauges.used(), 100 * run.gauges.busy()
    books = sum(len(venue.natives()) for venue in venues.values())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rows = [
        ("command", f"`{run.command}`"),
        ("tree", revision()),
        ("seed", run.seed),
        (
            "machine",
            f"{os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}",
        ),
        ("duration", f"{run.minutes:.1f} min: {'; '.join(run.phases)}"),
        ("processes", f"one ingest for each of {len(venues)} exchanges, validator, aggregator, monitor, nats-server"),
        ("exchanges", ", ".join(venues)),
        (
            "books",
            f"{books}, about {options.max_levels} levels a side",
        ),
        ("frames", f"about {options.rate:g} a second and book, {run.judge.record.delivered.total()} in all"),
        ("two lines", ", ".join(run.twofold)),
        ("faults injected", f"{run.injected.total()} (and {sum(_count(run).values())} in measured scenarios)"),
        ("books compared", f"{run.judge.checked.total()} LIVE books, each at its own id or time"),
        (
            "load",
            f"this run, simulator and judge included: {used:.0f} % of all cores; all processes: {busy:.0f} %",
        ),
        ("result", f"{'no violation' if good(run) else '**violations**'}; {_targets(run)}"),
    ]
    return "# Soak\n\n" + table(("", ""), rows)


def _targets(run: Run) -> str:
    measured = run.measures.found.values()
    missed = [measure.title for measure in measured if not met(measure)]
    if missed:
        return f"**{len(missed)} of {len(measured)} targets missed**"
    return f"all {len(measured)} targets met" if measured else "nothing measured"


def _verdicts(run: Run) -> str:
    found = run.verdicts()
    rows = [(name, len(lines)) for name, lines in found.items()]
    out = "## Verdicts\n\n" + table(("verdict", "violations"), rows, right=1)
    lines = [f"- {line}" for name in found for line in found[name]]
    if lines:
        more = f"\n- and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        out += "\n\n" + "\n".join(lines[:SHOWN]) + more
    gaps, bans = run.judge.gaps, run.judge.record.simulator.bans
    out += (
        f"\n\nLosses (frames in a row are one) on exchanges that can prove one: {gaps.injected.total()} injected, "
        f"{gaps.noticed.total()} noticed, {gaps.superseded.total()} superseded by another fault or a fresh snapshot, "
        f"{gaps.unseen.total()} below what the exchange lets us check, {len(gaps.missed)} missed; "
        f"{gaps.announced.total()} gaps announced, {len(gaps.false)} of them without a reason."
        f"\n\nAudits: {run.events['KIND_AUDIT_AGREED']} agreed with a LIVE book, "
        f"{run.events['KIND_AUDIT_MISMATCH']} did not; second lines disagreed {run.events['KIND_DISAGREEMENT']} times. "
        f"Of these {gaps.doubts_excused} came after a fault that may explain them, {len(gaps.doubts)} did not."
        f"\n\nREST: {bans.requests} requests, {bans.windows} answers that forbade further ones for a time; meanwhile "
        f"{len(bans.broken)} requests, {bans.in_flight} that were under way already, {bans.by_the_forgetful} by a "
        f"process started after the answer."
        f"\n\nRight in the proven levels and wrong beyond, after tampering: {len(run.judge.deep)} books."
    )
    return out


def _measured(run: Run) -> str:
    rows = []
    for measure in run.measures.found.values():
        target = f"{measure.target_s:g} s" if measure.target_s else "0 interruptions"
        noticed = figures(measure.noticed) if measure.noticed else ("", "", "")
        over = figures(measure.over) if measure.target_s else ("", "", "")
        rows.append(
            (
                measure.title,
                len(measure.over),
                *noticed,
                *over,
                measure.interruptions,
                target,
                "yes" if met(measure) else "no",
            )
        )
    head = ("fault", "count", *("noticed p50 s", "p99", "max"), *("LIVE again p50 s", "p99", "max"))
    words = (
        "One fault at a time, all books at rest before. *Noticed*: the first message that is not LIVE, of the slowest "
        "book. *LIVE again*: every book concerned is LIVE, holds what was sent after the fault, and stays so. Targets "
        "are for the p99 of LIVE again, for half-open links of noticed; of fewer than 100 the p99 is the maximum. "
        "The aggregator is over when it has named every universe anew; no book depends on the monitor."
    )
    columns = (*head, "interruptions", "target", "met")
    return f"## Measured scenarios\n\n{words}\n\n" + table(columns, rows, right=8)


def _faults(run: Run) -> str:
    judge = run.judge
    kinds = sorted(run.injected.keys() | judge.recoveries.keys() | judge.detections.keys())
    kinds = [kind for kind in kinds if kind not in run.measures.found]
    rows = [
        (
            kind,
            run.injected[kind] or "",
            len(judge.detections.get(kind, ())) or "",
            *figures(judge.detections.get(kind, [])),
            len(judge.recoveries.get(kind, ())) or "",
            *figures(judge.recoveries.get(kind, [])),
        )
        for kind in kinds
    ]
    words = (
        "Faults came in storms, many at a time, so a book's outage is put down to the last fault that touched it. "
        "Detection: fault to the first message that is not LIVE; recovery: from there to LIVE. Each book counts. "
        f"After {len(run.waits)} storms all books were well again in {' / '.join(figures(run.waits))} s (p50/p99/max)."
    )
    head = ("fault", "injected", "detected", "p50 s", "p99", "max", "recovered", "p50 s", "p99", "max")
    struck = ", ".join(f"{kind} {count}" for kind, count in sorted(judge.record.struck.items()))
    return (
        f"## Faults\n\n{words}\n\n"
        + table(head, rows, right=9)
        + f"\n\nFrames struck: {struck}.\n\nEvents published: "
        + ", ".join(f"{kind.removeprefix('KIND_').lower()} {count}" for kind, count in sorted(run.events.items()))
        + "."
    )


def _books(run: Run) -> str:
    judge, gaps = run.judge, run.judge.gaps
    rows = []
    for code in emulated():
        traits = registry.get(code).traits
        states = {state: count for (name, state), count in judge.seen.items() if name == code}
        rows.append(
            (
                code,
                traits.continuity.value if traits.verified else f"{traits.continuity.value} (not verified)",
                judge.record.delivered[code],
                sum(states.values()),
                judge.checked[code],
                judge.unchecked[code],
                gaps.injected[code],
                gaps.noticed[code],
                gaps.superseded[code],
                gaps.announced[code],
            )
        )
    head = ("exchange", "proof", "frames", "books", "compared", "not", "losses", "noticed", "superseded", "gap events")
    return "## Exchanges\n\n" + table(head, rows, right=8)


def _leaks(run: Run) -> str:
    rows = [
        (
            growth.name,
            f"{growth.minutes:.1f}",
            f"{growth.first.megabytes:.0f}",
            f"{growth.last.megabytes:.0f}",
            "" if growth.slope is None else f"{growth.slope:+.1f}",
            growth.first.files,
            growth.last.files,
            growth.most_files,
            f"{growth.first.threads} / {growth.last.threads}",
            f"{growth.first.tasks} / {growth.last.tasks}",
        )
        for growth in run.gauges.growth()
    ]
    head = ("process", "min", "MB warm", "MB end", "MB/h", "files warm", "end", "most", "threads", "tasks")
    words = (
        "The longest life of each process (storms that kill none come first). Warm: two minutes after its start. "
        "The slope is a least-squares line over what follows; it is empty where that is less than five minutes."
    )
    return f"## Leaks\n\n{words}\n\n" + table(head, rows, right=9)


def _unjudged(run: Run) -> str:
    judge, stalls = run.judge, run.gauges.stalls
    lag = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in sorted(judge.worst_lag.items()))
    lines = [
        f"The simulator and the judge share one event loop; it stood still for more than 50 ms {len(stalls)} times, at "
        f"most {max(stalls, default=0.0):.2f} s. Stalls are part of every time in this report.",
        f"For {judge.blind_s:.0f} s no book was called stale: while the bus or the validator was away and until books "
        f"are repeated, and after stalls. Books were compared with the truth all the same.",
        f"{judge.unchecked.total()} LIVE books were not compared: the simulator no longer knew that moment.",
        f"{judge.skipped_revisions} revisions never reached the judge (bus faults lose messages).",
        "A last frame that was lost or spoiled just before a market fell silent leaves no evidence: such a book is not "
        "called stale. Neither is one whose frames were held back or slowed down on purpose, for that time.",
        "Losses on exchanges without any proof (timestamps only) cannot be noticed and are not counted.",
        "Only the published levels are compared, 20 a side unless configured otherwise.",
        f"Greatest lag of a LIVE book that was judged: {lag or 'none'}.",
        "Memory of the simulator and judge, which remember what was true, is shown and not judged.",
        "TLS, DNS, permessage-deflate, disks, and the exchanges' real behaviour under faults.",
    ]
    return "## What was not judged\n\n" + "\n".join(f"- {line}" for line in lines)


def _count(run: Run) -> dict[str, int]:
    return {measure.title: len(measure.over) + len(measure.never) for measure in run.measures.found.values()}


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def figures(values: list[float]) -> tuple[str, ...]:
    """p50, p99 and max as text; empty without values."""
    if not values:
        return "", "", ""
    return tuple(f"{value:.2f}" for value in (quantile(values, 0.5), quantile(values, 0.99), max(values)))


def table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]], right: int = 0) -> str:
    """A Markdown table; the last `right` columns are numbers."""
    left = len(head) - right
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * left + "---:|" * right]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)
