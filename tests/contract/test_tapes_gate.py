"""A recording of 2021 in Gate's older channel, whose books begin with a REST snapshot and not in the stream as those of
the live one: through the path of production, compared level by level with an independent book."""

from __future__ import annotations

import json
from pathlib import Path

from hoga.exchanges import registry
from hoga.exchanges.base import BookStart
from hoga.runtime.replay import replay
from tests.contract.test_tapes import check_equal
from tests.support import naive, tapes
from tests.support.naive_gate import follow_gate

TAPE = "other/cryptofeed2021_gateio.jsonl.gz"


def test_every_book_of_the_older_channel_ends_in_exactly_the_naive_one() -> None:
    run = replay(tapes.tape(TAPE))
    assert run.exchange is registry.get("gate_spot")
    assert run.exchange.traits.start is BookStart.IN_BAND
    assert {channel.name for channel in run.shelf.channels.values()} == {"spot.order_book_update"}
    truth = follow_gate(tapes.tape(TAPE))
    assert len(truth) == 10
    check_equal(run, truth)
    assert (run.unknown, run.troubles) == (0, [])


def test_each_delta_taken_out_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    lines = list(naive.records(tapes.tape(TAPE)))
    books = [n for n, line in enumerate(lines) if line["kind"] == "recv" and '"s":"OMG_USDT"' in (line["data"] or "")]
    whole = replay(tapes.tape(TAPE)).shelf.builders["OMG_USDT"].book.texts(1000)
    assert len(books) > 40
    for victim in books[1:-1:6]:
        path = tmp_path / f"{victim}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for n, line in enumerate(lines) if n != victim))
        keeper = replay(path).shelf.builders["OMG_USDT"]
        assert keeper.counters.gaps or keeper.book.texts(1000) == whole, victim
