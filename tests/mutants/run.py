"""Hand-made bugs, one at a time: is each caught by the suite? `python -m tests.mutants.run [--only NAME …] [--jobs N]`

The tree is copied, one mutant is applied to the copy, and the tests that guard its part are run there. A mutant is
caught where a test fails; that the tests cannot be run, or do not end, is no catch. The copy is tested unchanged too:
a suite that fails anyway catches nothing. Ends with 1 unless every mutant is caught.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.support import tapes

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".peers", "__pycache__", ".*_cache", ".hypothesis", "logs", "run")
PATIENCE_S = 900.0
PASSED, FAILED = 0, 1
"""What pytest ends with; anything else says that the tests could not be run."""


class Fate(Enum):
    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    OUTDATED = "OUTDATED"
    """The code it changes has changed."""
    UNTRIED = "UNTRIED"
    """Its tests could not be run."""


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    fate: Fate
    seconds: float
    detail: str

    def __str__(self) -> str:
        return f"{self.fate.value:8}  {self.mutant.name:26} {self.seconds:4.0f} s  {self.detail}"


@dataclass(frozen=True)
class Outcome:
    code: int | None
    """None: it did not end."""
    output: str
    seconds: float

    @property
    def fate(self) -> Fate:
        return {PASSED: Fate.SURVIVED, FAILED: Fate.CAUGHT}.get(self.code, Fate.UNTRIED)

    @property
    def detail(self) -> str:
        """The first test that failed, or what is wrong."""
        if self.code is None:
            return f"the tests did not end within {PATIENCE_S:.0f} s"
        if self.code == PASSED:
            return "no test failed"
        lines = [line for line in self.output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return lines[0].split(" - ")[0] if lines else f"pytest ended with {self.code}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of mutants (all)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tested at once (2)")
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    args = parser.parse_args()
    if args.list:
        for mutant in MUTANTS:
            print(f"{mutant.name:26} {mutant.file}: {mutant.what}")
        return 0
    chosen = [mutant for mutant in MUTANTS if not args.only or mutant.name in args.only]
    unknown = set(args.only) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}; see --list")
    with tempfile.TemporaryDirectory(prefix="hoga-mutants-") as folder, ThreadPoolExecutor(args.jobs) as pool:
        tree = Path(folder) / "tree"
        _copy(ROOT, tree)  # once, so that the sources may be edited meanwhile
        unchanged = pool.submit(_baseline, tree, chosen)
        verdicts = list(pool.map(lambda mutant: _try(tree, mutant), chosen))
        sound = unchanged.result()
    return _conclude(sound, verdicts)


def _conclude(sound: Outcome, verdicts: list[Verdict]) -> int:
    """Prints what is to be mended and the count; returns the exit code."""
    at_large = [verdict for verdict in verdicts if verdict.fate is not Fate.CAUGHT]
    if at_large:
        print("\nnot caught:")
    for verdict in at_large:
        print(f"  {verdict.mutant.name}: {verdict.mutant.what} ({verdict.mutant.file}; {verdict.detail})")
    if sound.code != PASSED:
        print(f"\n{sound.output[-3000:]}\nthe tests fail without any mutant, so that nothing is caught")
        return 1
    counts = Counter(verdict.fate for verdict in verdicts)
    print(f"\n{len(verdicts)} mutants: " + ", ".join(f"{counts[fate]} {fate.value.lower()}" for fate in Fate))
    return 1 if at_large else 0


def _baseline(tree: Path, chosen: list[Mutant]) -> Outcome:
    """All tests of the chosen mutants on the unchanged tree."""
    copy = tree.with_name("unchanged")
    _copy(tree, copy)
    outcome = _pytest(copy, sorted({test for mutant in chosen for test in mutant.tests}))
    mark = "sound" if outcome.code == PASSED else "UNSOUND"
    said = outcome.output.splitlines()[-1:] if outcome.code == PASSED else [outcome.detail]
    print(f"{mark:8}  {'(no mutant)':26} {outcome.seconds:4.0f} s  {''.join(said)}", flush=True)
    shutil.rmtree(copy)
    return outcome


def _try(tree: Path, mutant: Mutant) -> Verdict:
    copy = tree.with_name(mutant.name)
    _copy(tree, copy)
    path = copy / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        detail = f"the code to change stands {text.count(mutant.old)} times in {mutant.file}, not once"
        verdict = Verdict(mutant, Fate.OUTDATED, 0.0, detail)
    else:
        path.write_text(text.replace(mutant.old, mutant.new))
        outcome = _pytest(copy, list(mutant.tests))
        verdict = Verdict(mutant, outcome.fate, outcome.seconds, outcome.detail)
    shutil.rmtree(copy)
    print(verdict, flush=True)
    return verdict


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=LEFT_OUT)


def _pytest(copy: Path, tests: list[str]) -> Outcome:
    """The copy's own packages are imported, not the installed ones."""
    began = time.monotonic()
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "tests.mutants.hurry", "--no-header"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=_environment(copy), capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Outcome(None, "", time.monotonic() - began)
    return Outcome(done.returncode, done.stdout + done.stderr, time.monotonic() - began)


def _environment(copy: Path) -> dict[str, str]:
    recorded = tapes.folder()
    named = {"HOGA_TAPES": str(recorded.resolve())} if recorded else {}
    # The Python book, for it is the one that mutants break.
    return {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "HOGA_BOOK": "python", **named}


if __name__ == "__main__":
    sys.exit(main())
