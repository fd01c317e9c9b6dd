"""A broken rule is noticed: each mutant of production fails within a few seeds."""

import json
import subprocess
import sys

import pytest

from tests.sim.mutants import MUTANTS

SEEDS = 40


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_rule_is_noticed(mutant):
    command = [sys.executable, "-m", "tests.sim.run", "--worker", "--seeds", str(SEEDS), "--mutant", mutant]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["problems"], f"{SEEDS} worlds did not notice {mutant}"
