"""What a book promises: every row of the table, and the words for people."""

from __future__ import annotations

import pytest

from hoga.domain.status import GRADES, TABLE, Status
from hoga.domain.types import State

HALT, UNCOVERED, DOUBT, OWN = "delisted", "the link is down", "it is silent", "2 ids are missing"

ROWS = [
    # halt, uncovered, doubted; the state for a book that is LIVE, GAPPED, CROSSED, SYNCING by itself
    (False, False, False, "current", "LIVE GAPPED CROSSED SYNCING"),
    (False, False, True, "doubted", "STALE STALE STALE SYNCING"),
    (False, True, False, "uncovered", "STALE STALE STALE SYNCING"),
    (False, True, True, "uncovered", "STALE STALE STALE SYNCING"),
    (True, False, False, "halted", "HALTED HALTED HALTED HALTED"),
    (True, False, True, "halted", "HALTED HALTED HALTED HALTED"),
    (True, True, False, "halted", "HALTED HALTED HALTED HALTED"),
    (True, True, True, "halted", "HALTED HALTED HALTED HALTED"),
]


def status(halt: bool, uncovered: bool, doubt: bool) -> Status:
    made = Status()
    made.halt, made.uncovered, made.doubt = HALT * halt, UNCOVERED * uncovered, DOUBT * doubt
    return made


@pytest.mark.parametrize(("halt", "uncovered", "doubt", "fact", "states"), ROWS)
def test_every_row(halt: bool, uncovered: bool, doubt: bool, fact: str, states: str) -> None:
    made = status(halt, uncovered, doubt)
    assert made.fact == fact
    assert [made.state(grade).name for grade in GRADES] == states.split()


@pytest.mark.parametrize(("halt", "uncovered", "doubt", "fact", "states"), ROWS)
def test_the_reason_is_that_of_the_state(halt: bool, uncovered: bool, doubt: bool, fact: str, states: str) -> None:
    made = status(halt, uncovered, doubt)
    words = {
        State.LIVE: "",
        State.HALTED: HALT,
        State.STALE: UNCOVERED if uncovered else DOUBT,
    }
    for grade in GRADES:
        assert made.reason(grade, OWN) == words.get(made.state(grade), OWN)


def test_only_a_whole_and_current_book_is_live() -> None:
    live = [(fact, grade) for fact, row in TABLE.items() for grade, state in zip(GRADES, row, strict=True)
            if state is State.LIVE]  # fmt: skip
    assert live == [("current", State.LIVE)]


def test_nothing_is_known_of_a_symbol_at_first() -> None:
    assert (Status().fact, Status().state(State.LIVE)) == ("uncovered", State.STALE)
