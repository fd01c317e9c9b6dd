"""A broken rule is noticed: each mutant of production fails within a few worlds, which without it are sound."""

import json
import subprocess
import sys

import pytest

from tests.sim.mutants import MUTANTS

SEEDS = 20
SOUND_SEEDS = 4


def run(*arguments: str) -> list[list[str]]:
    """The problems of each seed."""
    command = [sys.executable, "-m", "tests.sim.run", "--worker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line)["problems"] for line in done.stdout.splitlines()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_rule_is_noticed(mutant):
    found = run("--mutant", mutant, "--seeds", str(SEEDS))
    assert found[-1], f"{SEEDS} worlds did not notice {mutant}"
    seeds = max(len(found), SOUND_SEEDS)
    assert run("--world-of", mutant, "--seeds", str(seeds)) == [[]] * seeds
