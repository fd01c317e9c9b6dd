"""End to end: simulator → ingest → NATS → validator → NATS → here, the simulator's truth as the judge."""

from __future__ import annotations

from pathlib import Path

from hoga.exchanges.registry import supported
from tests.support.pipeline import Pipeline

EACH = 3


def all_live(pipeline: Pipeline) -> bool:
    return all(len(pipeline.oracle.live(code)) >= EACH for code in supported())


async def test_every_live_book_published_is_the_truth_at_its_id(tmp_path: Path) -> None:
    async with Pipeline(tmp_path) as pipeline:
        oracle = pipeline.oracle
        await pipeline.until(lambda: all_live(pipeline), "a LIVE book of every symbol of every exchange")
        await pipeline.until(
            lambda: all(oracle.checked[code] >= 150 for code in supported()), "150 compared books an exchange"
        )
        assert oracle.wrong == []
        assert oracle.skipped_revisions == 0
