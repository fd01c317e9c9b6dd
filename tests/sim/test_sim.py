"""Simulated worlds in the suite: some hundreds of seeds, and the same seed twice."""

import json
import os
import subprocess
import sys

import pytest

from tests.sim.bias import WORLDS

SEEDS = 150


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.sim.run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(1200)
def test_no_world_shows_a_wrong_or_stale_book_and_every_world_recovers(tmp_path):
    figures = tmp_path / "figures.json"
    done = run("--seeds", str(SEEDS), "--jobs", str(min(2, os.cpu_count() or 1)), "--quiet", "--json", str(figures))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text())
    assert found["worlds"].keys() == WORLDS.keys()
    assert found["seeds"] == SEEDS
    assert sum(found["injected"].values()) > 30 * SEEDS
    assert sum(found["checked"].values()) > 300 * SEEDS
    assert {"LIVE", "SYNCING", "GAPPED", "STALE", "CROSSED", "HALTED"} <= found["states"].keys()
    assert {"GAP", "REVERSAL", "CROSSED", "CHECKSUM_MISMATCH", "BUS_LOSS", "REJECTED"} <= found["events"].keys()
    assert found["events"]["AUDIT_AGREED"] > SEEDS
    assert found["events"]["DISAGREEMENT"] > SEEDS // 100


@pytest.mark.timeout(300)
def test_the_same_seed_is_the_same_world_to_the_last_byte():
    first, second = run("--seed", "3", "-v"), run("--seed", "3", "-v")
    assert first.stdout.count("\n") > 100
    assert first.stdout == second.stdout
    assert first.stdout != run("--seed", "4", "-v").stdout


@pytest.mark.timeout(300)
def test_a_world_does_not_depend_on_the_worlds_before_it():
    several = [json.loads(line) for line in run("--worker", "--start", "0", "--seeds", "4").stdout.splitlines()]
    alone = json.loads(run("--worker", "--start", "3", "--seeds", "4").stdout)
    assert [found["seed"] for found in several] == [0, 1, 2, 3]
    assert several[3]["digest"] == alone["digest"]


@pytest.mark.timeout(600)
def test_phases_of_markets_and_maintenance_are_shown_and_over_when_they_are():
    done = run("--world", "phases", "--seeds", "6", "--jobs", str(min(2, os.cpu_count() or 1)), "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
