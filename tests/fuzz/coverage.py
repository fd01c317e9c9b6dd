"""The engine led by coverage: atheris (libFuzzer), where it is installed. One child process for each target.

libFuzzer ends its process at the first error, so a child is started again until its time is over; an error that was
found is passed over from then on. Inputs change by our own mutations, and by libFuzzer's.

    python -m tests.fuzz.coverage TARGET SEED FOLDER [libFuzzer's own arguments]
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import engine
from tests.fuzz.engine import Outcome
from tests.fuzz.minimise import minimise
from tests.fuzz.target import Target

LEAST_S = 3
"""A child needs so long to instrument and to read its corpus."""
WORTH_S = 8
MEMORY_MB = 2048
INPUT_S = 20
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+)")
_INPUTS, _PASSED_OVER = "inputs", "passed-over"


def fuzz(target: Target, *, seed: int, seconds: float, bounds: bool = True) -> Outcome:
    """As `engine.fuzz`; `sorts` are the places covered. The bounds are libFuzzer's here: of one input, in seconds and
    in memory."""
    outcome = Outcome(target.name)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hoga-fuzz-") as name:
        folder = Path(name)
        (folder / _INPUTS).mkdir()
        for number, data in enumerate(target.seeds()):
            (folder / _INPUTS / f"seed-{number}").write_bytes(data)
        while (left_s := seconds - (time.monotonic() - begin)) >= LEAST_S or not outcome.executions:
            _child(target, seed, max(int(left_s), LEAST_S), folder, outcome)
            seed += 1000
    outcome.seconds = time.monotonic() - begin
    return outcome


def _child(target: Target, seed: int, seconds: int, folder: Path, outcome: Outcome) -> None:
    command = [sys.executable, "-m", __spec__.name, target.name, str(seed), str(folder), str(folder / _INPUTS)]
    command += [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        "-print_final_stats=1",
        "-max_len=131072",
        "-len_control=0",
    ]
    command += [
        f"-artifact_prefix={folder}/found-",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={INPUT_S}",
        "-verbosity=1",
    ]
    told = subprocess.run(command, capture_output=True, check=False, cwd=engine.ROOT, env=_environment()).stderr.decode(
        "utf-8", "replace"
    )
    executed = _EXECUTED.search(told)
    outcome.executions += int(executed[1]) if executed else 0
    outcome.sorts = max([outcome.sorts, *(int(number) for number in _COVERED.findall(told))])
    found = sorted(folder.glob("found-*"))
    for path in found:
        _look(target, path.read_bytes(), path.name, folder, outcome)
        path.unlink()
    if not executed and not found:
        raise RuntimeError(f"atheris failed on {target.name}:\n{told[-2000:]}")


def _look(target: Target, data: bytes, name: str, folder: Path, outcome: Outcome) -> None:
    """Makes a finding of what libFuzzer kept."""
    _, error = engine.run_once(target, data)
    if error is None:
        error = RuntimeError(f"libFuzzer kept {name}, which passes by itself")
        outcome.findings.append(engine.Finding(target.name, data, error, name.partition("-")[0]))
        return
    place = engine.place_of(error)
    with (folder / _PASSED_OVER).open("a") as passed_over:
        passed_over.write(place + "\n")

    def same(candidate: bytes) -> bool:
        _, found = engine.run_once(target, candidate)
        return found is not None and engine.place_of(found) == place

    smallest = minimise(data, same)
    outcome.findings.append(engine.Finding(target.name, smallest, engine.run_once(target, smallest)[1] or error, place))


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(engine.ROOT), os.environ.get("PYTHONPATH"))))}


def child(argv: list[str]) -> None:
    """What runs in the child."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    name, _, folder, *arguments = argv
    with atheris.instrument_imports(include=["hoga", "services"], enable_loader_override=False):
        from tests.fuzz.targets import every

        target = every()[name]  # imports what is to be followed
    pool = list(target.seeds())
    passed_over = Path(folder) / _PASSED_OVER
    places = set(passed_over.read_text().splitlines()) if passed_over.exists() else set()

    def run(data: bytes) -> None:
        _, error = engine.run_once(target, data)
        if error is not None and engine.place_of(error) not in places:
            raise error

    def change(data: bytes, most: int, number: int) -> bytes:
        chance = Random(number)
        if chance.random() < 0.25:
            return bytes(atheris.Mutate(data, most))
        return target.mutate(data, chance, pool)[:most]

    setup: Any = atheris.Setup
    setup([sys.argv[0], *arguments], run, custom_mutator=change)
    with contextlib.suppress(KeyboardInterrupt):
        atheris.Fuzz()


if __name__ == "__main__":
    child(sys.argv[1:])
