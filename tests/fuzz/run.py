"""`make fuzz`: runs targets for minutes, prints and keeps what it finds.

    python -m tests.fuzz.run --minutes 5 --target kraken
    python -m tests.fuzz.run --target frame:kraken --replay FILE

With atheris installed (`.venv/bin/pip install atheris`; wheels exist for Linux on x86-64) inputs are led by coverage;
without it, or with `--engine seeded`, by the seeded engine alone. atheris is no dependency of ours: where it has no
wheel, installing it needs a compiler, so it stays out of the locks.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import logging
import sys
import tempfile
import traceback
from pathlib import Path

from tests.fuzz import coverage, engine
from tests.fuzz.engine import Finding, Outcome
from tests.fuzz.target import Target
from tests.fuzz.targets import every

SHOWN_BYTES = 600
FOUND = Path(tempfile.gettempdir()) / "hoga-fuzz-findings"


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    logging.getLogger().addHandler(logging.NullHandler())
    chosen = [target for name, target in every().items() if args.target in name]
    if not chosen:
        sys.stderr.write(f"no target {args.target!r}; there are: {', '.join(every())}\n")
        return 2
    if args.replay:
        return _replay(chosen, args.replay)
    seconds = args.minutes * 60 / len(chosen)
    why_not = _why_not_led(args.engine, seconds)
    if why_not and args.engine == "atheris":
        sys.stderr.write(why_not + "\n")
        return 2
    _say(f"{len(chosen)} targets, {seconds:.1f} s each, seed {args.seed}; {why_not or 'led by coverage (atheris)'}")
    new = 0
    for target in chosen:
        run = engine.fuzz if why_not else coverage.fuzz
        outcome = run(target, seed=args.seed, seconds=seconds, bounds=True)
        _say(line(outcome))
        for finding in outcome.findings:
            _say(describe(finding))
        new += len(outcome.findings)
    return 1 if new else 0


def line(outcome: Outcome) -> str:
    rate = outcome.executions / outcome.seconds if outcome.seconds else 0
    slowest = (
        f"slowest {outcome.slowest_s * 1e3:.0f} ms for {outcome.slowest_bytes} bytes" if outcome.slowest_bytes else ""
    )
    return (
        f"{outcome.target:24} {outcome.executions:>10,} executions {rate:>8,.0f}/s {outcome.sorts:>5} sorts  {slowest}"
    )


def describe(finding: Finding) -> str:
    """What failed, the input, and how to run it again."""
    FOUND.mkdir(exist_ok=True)
    name = f"{finding.target.replace(':', '-')}-{hashlib.sha256(finding.data).hexdigest()[:10]}.bin"
    path = FOUND / name
    path.write_bytes(finding.data)
    shown = base64.b64encode(finding.data[:SHOWN_BYTES]).decode()
    more = f" (the first {SHOWN_BYTES} of {len(finding.data)} bytes)" if len(finding.data) > SHOWN_BYTES else ""
    return (
        f"  FINDING {finding.title}\n"
        f"    base64{more}: {shown}\n"
        f"    kept in {path}; again: make fuzz TARGET={finding.target} REPLAY={path}\n"
        f"    for good: cp it to tests/fuzz/cases/{finding.target.partition(':')[0]}/"
    )


def _replay(chosen: list[Target], path: Path) -> int:
    data, failed = path.read_bytes(), 0
    for target in chosen:
        sort, error = engine.run_once(target, data)
        if error is None:
            _say(f"{target.name}: passes: {sort}")
        else:
            failed = 1
            _say(f"{target.name}: {engine.place_of(error)}")
            traceback.print_exception(error)
    return failed


def _why_not_led(wanted: str, seconds: float) -> str:
    """Why inputs are not led by coverage; empty where they are."""
    if wanted == "seeded":
        return "the seeded engine alone"
    if importlib.util.find_spec("atheris") is None:
        return "the seeded engine alone: atheris is not installed (pip install atheris)"
    if seconds < coverage.WORTH_S:
        return f"the seeded engine alone: atheris is worth it from {coverage.WORTH_S} s for each target"
    return ""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzzes everything that reads bytes from outside.")
    parser.add_argument("--minutes", type=float, default=1.0, help="for all chosen targets together (default: 1)")
    parser.add_argument("--target", default="", help="only targets whose name holds this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("auto", "atheris", "seeded"), default="auto")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input again and print what it does")
    return parser


if __name__ == "__main__":
    sys.exit(main())
