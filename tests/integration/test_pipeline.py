"""End to end: simulator → ingest → NATS → validator → NATS → here, the simulator's truth as the judge."""

from __future__ import annotations

from pathlib import Path

from hoga.wire import pb, subjects
from services.simulator.venues.registry import emulated
from tests.support.pipeline import Pipeline

EACH = 3


def all_live(pipeline: Pipeline) -> bool:
    return all(len(pipeline.oracle.live(code)) >= EACH for code in emulated())


async def test_every_live_book_published_is_the_truth_at_its_id(tmp_path: Path) -> None:
    async with Pipeline(tmp_path) as pipeline:
        oracle = pipeline.oracle
        await pipeline.until(lambda: all_live(pipeline), "a LIVE book of every symbol of every exchange")
        await pipeline.until(
            lambda: all(oracle.checked[code] >= 150 for code in emulated()), "150 compared books an exchange"
        )
        assert oracle.wrong == []
        assert oracle.skipped_revisions == 0


async def test_a_planned_reconnect_makes_no_book_blink(tmp_path: Path) -> None:
    async with Pipeline(tmp_path, env={"HOGA_INGEST_OVERLAP_S": "1"}) as pipeline:
        oracle, bus = pipeline.oracle, pipeline.bus
        assert bus is not None
        links: dict[str, str] = {}

        def link(_: str, payload: bytes) -> None:
            status = pb.LinkStatus.FromString(payload)
            links[status.slot] = status.link

        await bus.subscribe(subjects.link("*"), link)
        await pipeline.until(lambda: all_live(pipeline), "a LIVE book of every symbol of every exchange")
        await pipeline.until(lambda: len(links) == len(emulated()), "a report on every link")
        before, slots = dict(links), {slot: slot.rsplit("-", 1)[0] for slot in links}
        unlive = {key: count for key, count in oracle.seen.items() if key[1] != pb.BookState.BOOK_STATE_LIVE}
        for slot, code in slots.items():
            request = pb.ReconnectRequest(link=slot, reason="test").SerializeToString()
            answer = await bus.request(subjects.rpc("reconnect", code), request)
            assert pb.RpcReply.FromString(answer).error == ""
        await pipeline.until(lambda: all(links[slot] != before[slot] for slot in slots), "every link replaced")
        checked = dict(oracle.checked)
        await pipeline.until(
            lambda: all(oracle.checked[code] >= checked[code] + 60 for code in emulated()), "books over the new links"
        )
        assert oracle.wrong == []
        assert {k: n for k, n in oracle.seen.items() if k[1] != pb.BookState.BOOK_STATE_LIVE} == unlive
