"""Runs worlds: `python -m tests.sim.run --seeds 500 --jobs 2`, or one again, line by line: `--seed 17 -v`, or of one
book, with its frames: `--seed 17 --trace binance BTC-USDT`. `--world links` takes all from one sort of world.

The same seed gives the same world, whatever ran before it; hashes are seeded, too, so the command starts itself anew
with PYTHONHASHSEED=0. Exit code 1 on any violation, with the numbers of the seeds and how to replay them.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import selectors
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from tests.sim.bias import ANY, EVERY_WORLD, Bias, world_of
from tests.sim.clock import Clock, real_perf_counter
from tests.sim.loop import SimLoop, SimulationError
from tests.sim.mutants import MUTANTS
from tests.sim.one_book import OneBook
from tests.sim.report import Report
from tests.sim.trace import Trace
from tests.sim.world import World

LIMIT_S = 1000.0


def run_seed(
    clock: Clock,
    seed: int,
    write: Callable[[str], object] | None = None,
    bias: Bias = ANY,
    watch: OneBook | None = None,
) -> dict[str, Any]:
    """One world from beginning to end; what came of it, as JSON values."""
    trace = Trace(watch.line if watch else write)
    loop = SimLoop(LIMIT_S)
    if watch is not None:
        watch.loop = loop
    clock.begin(loop, seed)
    began = real_perf_counter()
    world = World(loop, clock, seed, trace, bias, watch)
    loop.set_exception_handler(lambda _loop, context: world.fail(f"E {_describe(context)}"))
    try:
        loop.run_until_complete(world.run())
    except SimulationError as error:
        world.fail(f"E {error}")
    except Exception:
        world.fail(f"E the simulation itself failed: {traceback.format_exc(limit=-4)}")
    result = world.result() | {"wall_s": real_perf_counter() - began, "digest": trace.digest(), "lines": trace.lines}
    bury(loop, world)
    return result


def bury(loop: SimLoop, world: World) -> None:
    """Lets every task that is left run to its end, so that nothing of this world reaches the next."""
    loop.set_exception_handler(lambda _loop, _context: None)
    world.broker.tap = lambda _subject, _payload: None
    for owner, _ in world.graveyard:
        loop.release(owner)
    for _ in range(20):
        left = [task for _, task in loop.unfinished()]
        if not left:
            break
        for task in left:
            task.cancel()
        loop.call_later(20.0, loop.stop)
        loop.run_forever()
    loop.close()


def work(seeds: range, args: argparse.Namespace) -> int:
    """Runs seeds one after the other; a line of JSON each, or the trace."""
    mutant = args.mutant
    named = MUTANTS.get(mutant or args.world_of)
    watch = OneBook(*args.trace, sys.stdout.write) if args.trace else None
    logging.disable(logging.CRITICAL)
    gc.disable()
    with Clock() as clock, named.broken() if named and mutant else nullcontext():
        for count, seed in enumerate(seeds):
            world = args.world or ("mixed" if named else world_of(seed))
            bias = named.bias if named else EVERY_WORLD[world]
            result = run_seed(clock, seed, sys.stdout.write if args.verbose else None, bias, watch)
            if not (args.verbose or watch):
                sys.stdout.write(json.dumps({"world": world, **result}) + "\n")
                sys.stdout.flush()
            if mutant and result["problems"]:
                break
            if count % 8 == 7:
                gc.collect()
    return 0


def lead(args: argparse.Namespace) -> int:
    """Starts workers, gathers what they found."""
    report = Report(args.world)
    command = [sys.executable, "-m", "tests.sim.run", "--worker", "--mutant", args.mutant]
    command += ["--world", args.world, "--world-of", args.world_of]
    began = real_perf_counter()
    workers = []
    for number in range(args.jobs):
        seeds = ["--start", str(args.start + number), "--seeds", str(args.start + args.seeds), "--step", str(args.jobs)]
        workers.append(subprocess.Popen([*command, *seeds], stdout=subprocess.PIPE, text=True, env=_environment()))
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            assert worker.stdout is not None
            selector.register(worker.stdout, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if not line:
                    selector.unregister(key.fileobj)
                    continue
                report.add(json.loads(line))
                if not args.quiet:
                    report.progress(args.seeds, real_perf_counter() - began)
    codes = [worker.wait() for worker in workers]
    print(report.text(real_perf_counter() - began))
    if args.report:
        command = " ".join(["python -m tests.sim.run", *sys.argv[1:]])
        with open(args.report, "w") as file:
            file.write(report.markdown(command, real_perf_counter() - began))
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report.data(), file, indent=1)
    return 1 if report.failed or any(codes) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--seeds", type=int, default=100, help="how many")
    add("--start", type=int, default=0, help="the first")
    add("--seed", type=int, help="only this one")
    add("--jobs", type=int, default=2, help="processes")
    add("--json", help="file for the figures")
    add("--report", help="file for a page of Markdown")
    add("-v", "--verbose", action="store_true", help="with --seed: every line of the trace")
    add("--trace", nargs=2, metavar=("EXCHANGE", "SYMBOL"), help="with --seed: one book, its frames and what it says")
    add("--world", default="", choices=["", *EVERY_WORLD], help="the sort of every world; else the seed says which")
    add("--mutant", default="", choices=["", *MUTANTS], help="a rule to break: ends with the first violation")
    add("--world-of", default="", choices=["", *MUTANTS], help="the worlds of that mutant, but with every rule whole")
    add("--quiet", action="store_true", help="no progress")
    add("--worker", action="store_true", help=argparse.SUPPRESS)
    add("--step", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        return subprocess.call([sys.executable, "-m", "tests.sim.run", *sys.argv[1:]], env=_environment())
    if args.worker:
        return work(range(args.start, args.seeds, args.step), args)
    if args.seed is not None:
        return work(range(args.seed, args.seed + 1), args)
    return lead(args)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONHASHSEED": "0"}


def _describe(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context.get('message', '')}: {error!r}"


if __name__ == "__main__":
    sys.exit(main())
