"""Random faults against the whole system for minutes or hours: `python -m tests.soak.chaos --minutes 3 --seed 1`.

Faults strike at random moments for a while, then all are ended, and every book of every listed market has to be LIVE
and current again within a bound. The same seed draws the same faults; their moments differ with the machine.
Exit code 1 on any violation.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hoga.exchanges.registry import supported
from hoga.wire import pb, subjects
from services.simulator.options import Options
from tests.soak.judge import Judge
from tests.soak.proxy import ProxiedPipeline
from tests.soak.verbs import Verbs

BOUND_S = 90.0
CALM_S = 2.0
GROWTH_MB = 40.0
WARM_S = 30.0
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


class Chaos:
    def __init__(self, pipeline: ProxiedPipeline, judge: Judge, seed: int) -> None:
        self.pipeline, self.judge = pipeline, judge
        self.dice = random.Random(seed)
        self.verbs = Verbs(pipeline, judge, self.dice)
        self.injected: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.stuck: list[str] = []
        self.waits: list[float] = []
        self.memory: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
        """(process, pid) -> (moment, MB, open files)."""
        self.blocked_s = 0.0

    async def run(self, minutes: float, only: list[str]) -> None:
        assert self.pipeline.bus is not None
        await self.pipeline.bus.subscribe(subjects.event("*"), self._event)
        watch = asyncio.create_task(self._watch())
        await self._recover("start")
        end_s = time.monotonic() + minutes * 60
        names = only or list(self.verbs.all)
        bag: list[str] = []
        while time.monotonic() < end_s:
            recent: list[str] = []
            storm_end_s = time.monotonic() + self.dice.uniform(4, 20)
            while time.monotonic() < storm_end_s:
                if not bag:
                    bag = self.dice.sample(names, len(names))
                name = bag.pop()
                recent.append(name)
                self.injected[name] += 1
                await self.verbs.strike(name)
                await asyncio.sleep(self.dice.choice((0.05, 0.3, 1.0, 2.0)) * self.dice.random() * 2)
            await self.verbs.mend()
            await self._recover(" ".join(recent))
        watch.cancel()

    async def _recover(self, after: str) -> None:
        """Every book is LIVE and current within the bound, and stays so for a moment."""
        began = good_s = time.monotonic()
        while time.monotonic() - good_s < CALM_S:
            await asyncio.sleep(0.05)
            if missing := self.judge.missing():
                good_s = time.monotonic()
                if good_s - began > BOUND_S:
                    states = {key: self.judge.states.get(key) for key in missing}
                    said = [f"{key}: {b.state} {b.reason!r}" if b else f"{key}: nothing" for key, b in states.items()]
                    self.stuck.append(f"{time.strftime('%T')} after {after}: {'; '.join(said)}")
                    return
        self.waits.append(good_s - began)

    def _event(self, _subject: str, payload: bytes) -> None:
        self.events[pb.BookEvent.Kind.Name(pb.BookEvent.FromString(payload).kind)] += 1

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.25)
            late_s = time.monotonic() - before - 0.25
            self.blocked_s = max(self.blocked_s, late_s)
            if late_s > 1:  # what has arrived meanwhile is still to be read
                self.judge.blind_until_s = max(self.judge.blind_until_s, time.monotonic() + 3)
            if "validator" not in self.verbs.down:
                self.judge.inspect()
            for name, process in self.pipeline._processes.items():
                self._measure(name, process.pid)

    def _measure(self, name: str, pid: int) -> None:
        samples = self.memory.setdefault((name, pid), [])
        if samples and time.monotonic() - samples[-1][0] < 5:
            return
        try:
            resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
            files = len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, IndexError):
            return
        samples.append((time.monotonic(), resident, files))

    def growth(self) -> list[tuple[str, float, float, float, int]]:
        """(process, minutes, MB when warm, MB at the end, most files) of the longest life of each process."""
        found = {}
        for (name, _), samples in sorted(self.memory.items(), key=lambda item: len(item[1])):
            warm = [sample for sample in samples if sample[0] - samples[0][0] > WARM_S]
            if len(warm) > 1:
                minutes = (warm[-1][0] - warm[0][0]) / 60
                found[name] = (name, minutes, warm[0][1], warm[-1][1], max(sample[2] for sample in warm))
        return list(found.values())


def report(chaos: Chaos, seed: int, minutes: float) -> bool:
    """Prints what was found; whether nothing is wrong."""
    judge = chaos.judge
    struck: Counter[str] = Counter()
    for code in ("binance_spot", "binance_future"):
        struck.update(judge.faults[code].struck)
    wrong = [line for line in judge.wrong if line.startswith("W")]
    order = [line for line in judge.wrong if not line.startswith("W")]
    grown = [row for row in chaos.growth() if row[3] - row[2] > GROWTH_MB]
    verdicts = (
        ("W wrong LIVE books", len(wrong), f"{judge.checked.total()} checked, {judge.unchecked.total()} not"),
        ("S stale LIVE books", len(judge.stale), f"worst lag in s: {dict(judge.worst_lag)}"),
        ("O revisions, epochs", len(order), ""),
        (
            "books stuck",
            len(chaos.stuck),
            f"longest of {len(chaos.waits)} recoveries: {max(chaos.waits, default=0):.1f} s",
        ),
        ("memory", len(grown), f"more than {GROWTH_MB:g} MB"),
    )
    print(f"\n## Chaos: seed {seed}, {minutes:g} min, {chaos.injected.total()} faults, late {chaos.blocked_s:.1f} s")
    print("\n| verdict | violations | |\n|---|---:|---|")
    for row in verdicts:
        print("| {} | {} | {} |".format(*row))
    print(f"\nGap events {chaos.events['KIND_GAP']}, dropped frames with ids {struck['drop']}; {dict(chaos.events)}")
    print("\n| fault | injected | outages | p50 s | p99 s | max s |\n|---|---:|---:|---:|---:|---:|")
    for kind in sorted(chaos.injected.keys() | judge.recoveries.keys()):
        times = sorted(judge.recoveries.get(kind, []))
        figures = [f"{times[min(int(len(times) * q), len(times) - 1)]:.2f}" if times else "" for q in (0.5, 0.99, 1)]
        print(f"| {kind} | {chaos.injected[kind] or ''} | {len(times)} | {' | '.join(figures)} |")
    print("\n| process | min | MB warm | MB end | files |\n|---|---:|---:|---:|---:|")
    for name, lived, warm, last, files in chaos.growth():
        print(f"| {name} | {lived:.1f} | {warm:.0f} | {last:.0f} | {files} |")
    for line in (*wrong[:20], *judge.stale[:40], *order[:20], *chaos.stuck):
        print("VIOLATION", line)
    return not (wrong or judge.stale or order or chaos.stuck or grown)


async def soak(minutes: float, seed: int, folder: Path, only: list[str]) -> bool:
    options = Options(symbols=4, rate=8.0, seed=seed, max_levels=1200, history_s=180.0)
    pipeline = ProxiedPipeline(folder, options=options, env={"HOGA_INGEST_BACKOFF_MAX_S": "4"})
    judge = Judge(pipeline.simulator)
    pipeline.oracle = judge
    async with pipeline:
        chaos = Chaos(pipeline, judge, seed)
        await chaos.run(minutes, only)
        return report(chaos, seed, minutes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--only", nargs="*", default=[], help="nothing but these faults")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hoga-chaos-"))
    print(f"seed {args.seed}, {len(supported())} exchanges, logs in {folder}", flush=True)
    good = asyncio.run(soak(args.minutes, args.seed, folder, args.only))
    print(f"seed {args.seed}: {'no violation' if good else 'VIOLATIONS, logs in ' + str(folder)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
