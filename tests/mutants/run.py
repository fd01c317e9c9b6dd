"""Hand-made bugs, one at a time: is each caught by the suite? `python -m tests.mutants.run [--only NAME …] [--jobs N]`

The tree is copied, one mutant is applied to the copy, and the tests that guard its part are run there. A mutant that
survives, or that no longer applies because the code has changed, is a failure. The copy is tested unchanged first:
a suite that fails anyway catches nothing.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "logs", "run")
PATIENCE_S = 900.0


@dataclass
class Verdict:
    mutant: Mutant
    caught: bool
    seconds: float
    detail: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of mutants (all)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tested at once (2)")
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    args = parser.parse_args()
    if args.list:
        for mutant in MUTANTS:
            print(f"{mutant.name:32} {mutant.file}: {mutant.what}")
        return 0
    chosen = [mutant for mutant in MUTANTS if not args.only or mutant.name in args.only]
    unknown = set(args.only) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}; see --list")
    with tempfile.TemporaryDirectory(prefix="hoga-mutants-") as folder:
        sound = _baseline(Path(folder) / "sound", chosen)
        if sound:
            print(f"the tests fail without any mutant:\n{sound}")
            return 1
        with ThreadPoolExecutor(args.jobs) as pool:
            verdicts = list(pool.map(lambda mutant: _try(Path(folder), mutant), chosen))
    missed = [verdict for verdict in verdicts if not verdict.caught]
    print(f"\n{len(verdicts) - len(missed)} of {len(verdicts)} mutants caught")
    for verdict in missed:
        print(f"MISSED {verdict.mutant.name}: {verdict.mutant.what} ({verdict.detail})")
    return 1 if missed else 0


def _baseline(copy: Path, chosen: list[Mutant]) -> str:
    """The end of the output where the unchanged tree fails, else empty."""
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    _copy(copy)
    passed, output, seconds = _pytest(copy, tests)
    print(f"unchanged tree: {'passed' if passed else 'FAILED'} in {seconds:.0f} s", flush=True)
    shutil.rmtree(copy)
    return "" if passed else output[-3000:]


def _try(folder: Path, mutant: Mutant) -> Verdict:
    copy = folder / mutant.name
    _copy(copy)
    path = copy / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        detail = f"the code to change stands {text.count(mutant.old)} times in {mutant.file}, not once"
        verdict = Verdict(mutant, False, 0.0, detail)
    else:
        path.write_text(text.replace(mutant.old, mutant.new))
        passed, output, seconds = _pytest(copy, list(mutant.tests))
        lines = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
        verdict = Verdict(mutant, not passed, seconds, lines[0][:110] if lines else "no test failed")
    shutil.rmtree(copy)
    mark = "caught" if verdict.caught else "MISSED"
    print(f"{mark}  {mutant.name:32} {verdict.seconds:5.0f} s  {verdict.detail}", flush=True)
    return verdict


def _copy(target: Path) -> None:
    shutil.copytree(ROOT, target, ignore=LEFT_OUT)


def _pytest(copy: Path, tests: list[str]) -> tuple[bool, str, float]:
    """(passed, output, seconds); the copy's own packages are imported, not the installed ones."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=_environment(copy), capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False, "FAILED (no end within the patience)", time.monotonic() - began
    return done.returncode == 0, done.stdout + done.stderr, time.monotonic() - began


def _environment(copy: Path) -> dict[str, str]:
    import os

    tapes = os.environ.get("HOGA_TAPES") or str(ROOT.parent / "shared" / "tapes")
    return {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "HOGA_TAPES": tapes}


if __name__ == "__main__":
    sys.exit(main())
