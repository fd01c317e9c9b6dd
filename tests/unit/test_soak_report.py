"""The report of the soak says what was violated, and says so whatever was violated."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from services.simulator.options import Options
from tests.soak import report
from tests.soak.gauges import Gauges, Sample, growth
from tests.soak.judge import Judge
from tests.soak.measures import Measure, Measures
from tests.soak.proxy import ProxiedPipeline
from tests.soak.record import Record, WatchedServer
from tests.soak.verbs import Verbs


@pytest.fixture
def run(tmp_path: Path) -> report.Run:
    server = WatchedServer(Options(symbols=1, max_levels=40))
    judge = Judge(server, Record(server))
    pipeline = ProxiedPipeline(tmp_path, server, {}, ["kraken"])
    measures = Measures(Verbs(pipeline, judge, random.Random(1)), 1)
    gauges = Gauges(dict, lambda late_s: None)
    return report.Run("make soak MINUTES=1 SEED=1", 1, 1.0, judge, gauges, measures, ["kraken"])


def leak(run: report.Run) -> None:
    samples = [Sample(float(at_s), 50.0 + at_s / 10, 10, 3, 0.0) for at_s in range(0, 1000, 5)]
    run.gauges._lives["validator", 1] = samples


def tasks(run: report.Run, count: Callable[[int], int]) -> None:
    samples = [Sample(float(at_s), 50.0, 10, 3, 0.0, 12 + count(at_s)) for at_s in range(0, 1000, 5)]
    run.gauges._lives["ingest-kraken", 1] = samples


SPOILS: list[Callable[[report.Run], object]] = [
    lambda run: run.judge.wrong.append("W x"),
    lambda run: run.judge.wrong.append("O x"),
    lambda run: run.judge.stale.append("S x"),
    lambda run: run.judge.gaps.missed.append("G x"),
    lambda run: run.judge.gaps.false.append("F x"),
    lambda run: run.judge.gaps.doubts.append("A x"),
    lambda run: run.stuck.append("x"),
    lambda run: cast(WatchedServer, run.judge.simulator).bans.broken.append("R x"),
    lambda run: run.measures.found.update(x=Measure("x", 1.0, never=["y"])),
    lambda run: run.measures.found.update(x=Measure("x", 0.0, interruptions=1)),
    leak,
    lambda run: tasks(run, lambda at_s: at_s // 30),
]


def test_a_clean_run_is_good_and_its_report_complete(run: report.Run) -> None:
    run.measures.found["RST"] = Measure("RST", 2.0, noticed=[0.1, 0.2], over=[0.4, 0.6])
    run.injected["drop"] = 3
    tasks(run, lambda at_s: 3)
    text = report.text(run)
    assert report.good(run)
    assert "| 15 / 15 |" in text
    assert "| no violation; all 1 targets met |" in text
    for heading in ("Verdicts", "Measured scenarios", "Faults", "Exchanges", "Leaks", "What was not judged"):
        assert f"## {heading}" in text
    assert "| RST | 2 | 0.20 | 0.20 | 0.20 | 0.60 | 0.60 | 0.60 | 0 | 2 s | yes |" in text
    assert "make soak MINUTES=1 SEED=1" in text


@pytest.mark.parametrize("spoil", SPOILS)
def test_any_violation_spoils_the_run(run: report.Run, spoil: Callable[[report.Run], object]) -> None:
    spoil(run)
    assert not report.good(run)
    assert "**violations**" in report.text(run)


def test_a_missed_target_is_shown_and_no_violation(run: report.Run) -> None:
    run.measures.found["RST"] = Measure("RST", 0.5, noticed=[0.1], over=[0.6])
    assert report.good(run)
    assert "| 0.5 s | no |" in report.text(run)
    assert "| no violation; **1 of 1 targets missed** |" in report.text(run)


def test_a_half_open_link_is_judged_by_when_it_is_noticed() -> None:
    assert report.met(Measure("half-open link", 5.0, noticed=[3.0], over=[6.0]))
    assert not report.met(Measure("half-open link", 5.0, noticed=[5.1], over=[5.2]))
    assert not report.met(Measure("RST", 5.0))
    assert report.met(Measure("one of two lines lost, half-open", 0.0, over=[9.0]))


def test_growth_is_a_slope_after_the_first_minutes() -> None:
    samples = [Sample(float(at_s), 500.0 if at_s < 100 else 60 + at_s / 360, 12, 3, 0.0) for at_s in range(0, 1200, 5)]
    found = growth("validator", samples)
    assert found.slope == pytest.approx(10.0)
    assert found.first.megabytes == pytest.approx(60 + 120 / 360)
    assert growth("validator", samples[:60]).slope is None


def test_quantiles_are_of_the_ordered_values() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (report.quantile(values, 0.5), report.quantile(values, 0.99), report.quantile([7.0], 0.5)) == (51, 100, 7)
