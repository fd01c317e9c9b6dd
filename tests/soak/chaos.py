"""Random faults against the whole system for minutes or hours: `python -m tests.soak.chaos --minutes 60 --seed 1`.

First storms that leave our processes alone, then storms that strike them and the bus too, then measured scenarios.
After every storm its faults are ended, and every book of every listed market has to be LIVE and current again within
a bound. The same seed draws the same faults; their moments differ with the machine. The report goes to a file, its
violations to the console too; exit code 1 on any.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hoga.wire import pb, subjects
from services.simulator.options import Options
from services.simulator.venues.registry import emulated
from tests.soak import report
from tests.soak.gauges import Gauges
from tests.soak.judge import Judge
from tests.soak.measures import Measures
from tests.soak.proxy import ProxiedPipeline
from tests.soak.record import Record, WatchedServer
from tests.soak.verbs import Verbs

START_BOUND_S = 180.0
BOUND_S = 90.0
LISTING_BOUND_S = 240.0
"""What is listed is asked once a minute, and told twice."""
CALM_S = 2.0
STORMY = 0.58
"""Share of the time that storms take; measured scenarios take what they need."""
GENTLE = 0.7
"""Share of the storms that leave our processes alone."""
LISTING = 0.05
"""Share of storms with faults of the lists."""
FULL_REPEATS = 30


class Chaos:
    def __init__(self, pipeline: ProxiedPipeline, judge: Judge, seed: int, run: report.Run) -> None:
        self.pipeline, self.judge, self.run = pipeline, judge, run
        self.dice = random.Random(seed)
        self.verbs = run.measures.verbs

    async def storms(self, seconds: float, groups: tuple[str, ...], only: list[str]) -> None:
        end_s = time.monotonic() + seconds
        common = only or self.verbs.names(*groups)
        bag: list[str] = []
        while time.monotonic() < end_s:
            listing = not only and self.dice.random() < LISTING
            names = common + self.verbs.names("listing") * 2 if listing else common
            bag = [] if listing else bag
            recent: list[str] = []
            storm_end_s = time.monotonic() + self.dice.uniform(4, 20)
            while time.monotonic() < storm_end_s:
                if not bag:
                    bag = self.dice.sample(names, len(names))
                recent.append(bag.pop())
                try:
                    await self.verbs.strike(recent[-1], self.run.injected)
                except Exception as error:
                    self.run.stuck.append(f"the fault {recent[-1]} failed: {error!r}")
                await asyncio.sleep(self.dice.choice((0.05, 0.3, 1.0, 2.0)) * self.dice.random() * 2)
            bag = [] if listing else bag
            await self.verbs.mend()
            slow = not set(recent).isdisjoint(self.verbs.names("listing"))
            await self.recover(" ".join(recent), LISTING_BOUND_S if slow else BOUND_S)

    async def recover(self, after: str, bound_s: float) -> None:
        """Every book is LIVE and current within the bound, and stays so for a moment."""
        began = good_s = time.monotonic()
        while time.monotonic() - good_s < CALM_S:
            await asyncio.sleep(0.1)
            if missing := self.judge.missing():
                good_s = time.monotonic()
                if good_s - began > bound_s:
                    states = {key: self.judge.states.get(key) for key in missing}
                    said = [f"{key}: {b.state} {b.reason!r}" if b else f"{key}: nothing" for key, b in states.items()]
                    self.run.stuck.append(f"{time.strftime('%T')} after {after}: {'; '.join(said)}")
                    return
        self.run.waits.append(good_s - began)

    async def inspect(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            if "validator" not in self.verbs.down:
                self.judge.inspect()

    def health(self, subject: str, payload: bytes) -> None:
        health = pb.Health.FromString(payload)
        self.run.gauges.tasks[health.service.replace("-", "_")] = health.tasks

    def event(self, subject: str, payload: bytes) -> None:
        self.run.events[pb.BookEvent.Kind.Name(pb.BookEvent.FromString(payload).kind)] += 1
        self.judge.event(subject, payload)


async def soak(args: argparse.Namespace, folder: Path, command: str) -> report.Run:
    options = Options(
        symbols=args.symbols,
        rate=args.rate,
        seed=args.seed,
        max_levels=150,
        history_s=180.0,
        bursts=0.0,
        burst_factor=10,
        keep_alive_s=5.0,
    )
    simulator = WatchedServer(options)
    record = Record(simulator)
    judge = Judge(simulator, record)
    twofold = emulated()[1::2]
    env = {
        "HOGA_INGEST_BACKOFF_MAX_S": "4",
        "HOGA_INGEST_CONNECT_TIMEOUT_S": "4",
        "HOGA_UNIVERSE_REFRESH_S": "30",  # each costs two snapshots of Binance; 300 s is the default
    }
    pipeline = ProxiedPipeline(folder, simulator, env, twofold)
    pipeline.oracle = judge
    gauges = Gauges(pipeline.pids, lambda late_s: judge.blind(late_s + 3))
    verbs = Verbs(pipeline, judge, random.Random(args.seed))
    repeats = args.repeats or (FULL_REPEATS if args.minutes >= 20 else max(1, round(args.minutes)))
    measures = Measures(verbs, repeats)
    run = report.Run(command, args.seed, args.minutes, judge, gauges, measures, twofold)
    chaos = Chaos(pipeline, judge, args.seed, run)
    began_s = time.monotonic()
    async with pipeline:
        assert pipeline.bus is not None
        await pipeline.bus.subscribe(subjects.event("*"), chaos.event)
        await pipeline.bus.subscribe(subjects.link("*"), judge.link)
        await pipeline.bus.subscribe(subjects.health("*"), chaos.health)
        watches = [asyncio.create_task(gauges.run()), asyncio.create_task(chaos.inspect())]
        await chaos.recover("start", START_BOUND_S)
        stormy_s = args.minutes * 60 * (1.0 if args.only else STORMY) * (0.0 if args.measures else 1.0)
        await phase(run, "storms on feeds", chaos.storms(stormy_s * GENTLE, ("feed",), args.only))
        await phase(run, "storms on everything", chaos.storms(stormy_s * (1 - GENTLE), ("feed", "system"), args.only))
        if not args.only:
            await phase(run, "measured scenarios", measures.run())
            await chaos.recover("everything", BOUND_S)
        for watch in watches:
            watch.cancel()
        results = await asyncio.gather(*watches, return_exceptions=True)
        run.stuck += [f"the judge failed: {result!r}" for result in results if isinstance(result, Exception)]
        run.minutes = (time.monotonic() - began_s) / 60
        return run


async def phase(run: report.Run, name: str, work: Coroutine[Any, Any, None]) -> None:
    began_s = time.monotonic()
    try:
        await work
    except Exception as error:  # the report of what came before is worth having
        traceback.print_exc()
        run.stuck.append(f"{name} came to an end: {error!r}")
    run.phases.append(f"{name} {(time.monotonic() - began_s) / 60:.1f} min")
    print(
        f"{time.strftime('%T')} {run.phases[-1]}, {run.injected.total()} faults, {run.judge.checked.total()} books",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--report", type=Path, help="where the report goes; the console otherwise")
    parser.add_argument("--command", default="", help="the command as the report names it")
    parser.add_argument("--symbols", type=int, default=3, help="books of each exchange")
    parser.add_argument("--rate", type=float, default=6.0, help="frames a second of each book")
    parser.add_argument("--repeats", type=int, default=0, help="of each measured scenario; 0: 30, fewer in short runs")
    parser.add_argument("--only", nargs="*", default=[], help="nothing but these faults")
    parser.add_argument("--measures", action="store_true", help="nothing but the measured scenarios")
    args = parser.parse_args()
    repeats = f" REPEATS={args.repeats}" if args.repeats else ""
    command = args.command or f"make soak MINUTES={args.minutes:g} SEED={args.seed}{repeats}"
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%T")
    logging.getLogger("hoga.runtime.nats_bus").setLevel(logging.INFO)
    folder = Path(tempfile.mkdtemp(prefix="hoga-soak-"))
    print(f"{time.strftime('%T')} seed {args.seed}, {len(emulated())} exchanges, logs in {folder}", flush=True)
    run = asyncio.run(soak(args, folder, command))
    text = report.text(run)
    if args.report is None:
        print(text)
    else:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        args.report.write_text(text, "utf-8")
        print(text[: text.index("## Measured")], f"\nreport: {args.report}")
    print(f"seed {args.seed}: {'no violation' if report.good(run) else 'VIOLATIONS, logs in ' + str(folder)}")
    return 0 if report.good(run) else 1


if __name__ == "__main__":
    sys.exit(main())
