"""No recording of Korbit was found. The emulator's is compared level by level with an independent book."""

from __future__ import annotations

from pathlib import Path

from hoga.runtime.replay import replay
from tests.contract.test_tapes import check_equal
from tests.support import simtape
from tests.support.naive_korbit import follow_korbit


def test_the_synthetic_tape_ends_in_exactly_the_naive_book(tmp_path: Path) -> None:
    records, truth = simtape.record("korbit", seconds=6.0, symbols=3, seed=4)
    run = replay(simtape.write(tmp_path / "tape.jsonl", records))
    assert run.exchange.code == "korbit"
    books = follow_korbit(record["data"] for record in records if record["kind"] == "recv")
    assert set(books) == set(truth)
    check_equal(run, books)
