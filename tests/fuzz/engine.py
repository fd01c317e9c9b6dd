"""The seeded engine: the same seed makes the same inputs, on every machine.

A finding is an error that an input caused; of findings with the same error at the same place one is kept, made as
small as it gets. An input that behaves like none before joins those that are mutated.
"""

from __future__ import annotations

import re
import time
import traceback
import tracemalloc
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.minimise import minimise
from tests.fuzz.target import BrokenError, Target

MAX_POOL = 600
MEMORY_EVERY = 40
"""Every so many inputs the memory is measured, which costs time."""
SLOW_S = 0.25
SLOW_S_PER_BYTE = 100e-6
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Finding:
    target: str
    data: bytes
    error: BaseException
    place: str

    @property
    def title(self) -> str:
        return f"{type(self.error).__name__} at {self.place}: {str(self.error)[:200]}"


@dataclass
class Outcome:
    target: str
    executions: int = 0
    seconds: float = 0.0
    sorts: int = 0
    """Different outcomes seen."""
    slowest_s: float = 0.0
    slowest_bytes: int = 0
    peak_bytes: int = 0
    """Of the memory that was measured."""
    findings: list[Finding] = field(default_factory=list)


def run_once(target: Target, data: bytes) -> tuple[Hashable, BaseException | None]:
    """(sort of outcome, what went wrong)."""
    try:
        return target.run(data), None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # MemoryError and whatever a C library panics with are findings, too
        return None, error


def fuzz(
    target: Target,
    *,
    seed: int,
    executions: int = 0,
    seconds: float = 0.0,
    bounds: bool = False,
) -> Outcome:
    """Runs `executions` inputs, or as many as go into `seconds`. `bounds`: each must also be handled within a time (of
    the processor) that fits its size; only for runs outside the test suite."""
    chance = Random(f"{target.name} {seed}")
    pool = list(dict.fromkeys(target.seeds()))
    outcome = Outcome(target.name)
    seen: set[Hashable] = set()
    places: set[str] = set()
    begin = time.monotonic()
    waiting = list(pool)
    while outcome.executions < executions or (seconds and time.monotonic() - begin < seconds):
        data = waiting.pop() if waiting else target.mutate(chance.choice(pool), chance, pool)
        outcome.executions += 1
        began_s = time.process_time()
        sort, error = run_once(target, data)
        spent_s = time.process_time() - began_s
        if spent_s > outcome.slowest_s:
            outcome.slowest_s, outcome.slowest_bytes = spent_s, len(data)
        if error is None and bounds and spent_s > SLOW_S + SLOW_S_PER_BYTE * len(data):
            error = too_slow(target, data)
        if error is None and outcome.executions % MEMORY_EVERY == 0:
            error, peak = too_large(target, data)
            outcome.peak_bytes = max(outcome.peak_bytes, peak)
        if error is not None:
            place = place_of(error)
            if place not in places:
                places.add(place)
                outcome.findings.append(_finding(target, data, error, place))
        elif sort not in seen:
            seen.add(sort)
            if len(pool) < MAX_POOL and not waiting:
                pool.append(data)
    outcome.seconds = time.monotonic() - begin
    outcome.sorts = len(seen)
    return outcome


def too_slow(target: Target, data: bytes) -> BaseException | None:
    """Whether an input is slow again and again."""
    best_s = SLOW_S * 1000
    for _ in range(3):
        began_s = time.process_time()
        run_once(target, data)
        best_s = min(best_s, time.process_time() - began_s)
    allowed_s = SLOW_S + SLOW_S_PER_BYTE * len(data)
    return BrokenError(f"{best_s:.2f} s for {len(data)} bytes") if best_s > allowed_s else None


def too_large(target: Target, data: bytes) -> tuple[BaseException | None, int]:
    """(what is wrong with the memory that an input costs at its peak, the peak)."""
    tracemalloc.start()
    try:
        run_once(target, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    allowed = target.memory_bytes + target.memory_factor * len(data)
    return (BrokenError(f"{peak} bytes of memory for an input of {len(data)}") if peak > allowed else None), peak


def place_of(error: BaseException) -> str:
    """Where in our code an error came from (the function, not the line, so that it outlives edits), and its class."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT) and "/.venv/" not in frame.filename]
    code = [frame for frame in ours if "/tests/" not in frame.filename]
    if isinstance(error, BrokenError):
        return "BrokenError " + re.sub(r"[0-9]+", "…", str(error))[:40]
    frame = (code or ours)[-1] if ours else None
    where = f"{Path(frame.filename).relative_to(ROOT)} {frame.name}" if frame else "?"
    return f"{where} {type(error).__name__}"


def _finding(target: Target, data: bytes, error: BaseException, place: str) -> Finding:
    def same(candidate: bytes) -> bool:
        _, found = run_once(target, candidate)
        return found is not None and place_of(found) == place

    smallest = minimise(data, same) if same(data) else data
    _, again = run_once(target, smallest)
    return Finding(target.name, smallest, again or error, place)
