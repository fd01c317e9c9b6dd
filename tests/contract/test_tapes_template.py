"""A recording of Template through the path of production, compared level by level with an independent book."""

from __future__ import annotations

from hoga.runtime.replay import replay
from tests.contract.test_tapes import check_equal
from tests.support import tapes
from tests.support.naive_template import follow_template

TAPE = "template/recording.jsonl.gz"


def test_the_tape_ends_in_exactly_the_naive_book() -> None:
    run = replay(tapes.tape(TAPE))
    assert run.exchange.code == "template"
    check_equal(run, follow_template(tapes.tape(TAPE)))
    assert (run.unknown, run.troubles) == (0, [])
