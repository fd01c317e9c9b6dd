"""What a book promises: one table. A state is a function of facts, not of the way that led to them.

The strongest fact counts:

    halted      orders do not match (or nobody collects the symbol): the book is shown as it is
    uncovered   no live link carries the symbol
    doubted     nothing shows any more that the book is what the exchange has
    current     none of these

Each is the reason for people where it holds, and empty where it does not. The table tells the state that is published
from it and from the grade of the published stream. Nothing is LIVE that was not checked.
"""

from __future__ import annotations

from hoga.domain.types import State

_LIVE, _SYNCING, _GAPPED, _STALE, _CROSSED, _HALTED = State
GRADES = (State.LIVE, State.GAPPED, State.CROSSED, State.SYNCING)
"""What the book of a stream is worth, best first."""
TABLE: dict[str, tuple[State, ...]] = {
    "halted": (_HALTED, _HALTED, _HALTED, _HALTED),
    "uncovered": (_STALE, _STALE, _STALE, _SYNCING),
    "doubted": (_STALE, _STALE, _STALE, _SYNCING),
    "current": (_LIVE, _GAPPED, _CROSSED, _SYNCING),
}
"""Fact -> state by grade, in the order of `GRADES`."""


class Status:
    """The facts about the book of one symbol."""

    __slots__ = ("doubt", "halt", "uncovered")

    def __init__(self) -> None:
        self.halt = ""
        self.uncovered = "nothing is reported yet on the link that carries it"
        self.doubt = ""

    @property
    def fact(self) -> str:
        return "halted" if self.halt else "uncovered" if self.uncovered else "doubted" if self.doubt else "current"

    def state(self, grade: State) -> State:
        return TABLE[self.fact][GRADES.index(grade)]

    def reason(self, grade: State, own: str) -> str:
        """Why the state is not LIVE, for people; `own`: why the grade is not. Empty where it is."""
        match self.state(grade):
            case State.HALTED:
                return self.halt
            case State.STALE:
                return self.uncovered or self.doubt
            case State.LIVE:
                return ""
        return own
