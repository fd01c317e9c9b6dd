"""What all parts of a book builder share: the streams and which is published, facts, counters and decisions."""

from __future__ import annotations

from hoga.domain.actions import Decisions, FactKind
from hoga.domain.arbiter import Arbiter
from hoga.domain.errors import FrameError
from hoga.domain.rules import BookRules, Counters, Kind
from hoga.domain.status import Status
from hoga.domain.types import State


class Ledger:
    __slots__ = ("anew", "arbiter", "counters", "kind", "matching", "out", "prove_by_ns", "rules", "status")

    def __init__(self, rules: BookRules, kind: Kind) -> None:
        self.rules = rules
        self.kind = kind
        self.arbiter = Arbiter(ordered=kind.ordered)
        self.status = Status()
        self.counters = Counters()
        self.out = Decisions()
        self.matching = True
        """Whether the exchange matches orders now; where it does not a crossed book is right."""
        self.anew = False
        """Whether this event said already that ids begin anew, or went backwards."""
        self.prove_by_ns = 0
        """When the published book must have been shown to be current, 0 where it need not."""

    @property
    def grade(self) -> State:
        return self.arbiter.front.grade if self.arbiter.front is not None else State.SYNCING

    @property
    def state(self) -> State:
        return self.status.state(self.grade)

    @property
    def grade_reason(self) -> str:
        return self.arbiter.front.reason if self.arbiter.front is not None else "waiting for the first snapshot"

    @property
    def reason(self) -> str:
        return self.status.reason(self.grade, self.grade_reason)

    def doubt(self, reason: str) -> None:
        """Nothing shows any more that the published book is what the exchange has."""
        self.status.doubt = reason
        if self.arbiter.front is not None:
            self.arbiter.front.doubted = True

    def believe(self) -> None:
        """The published book is shown to be what the exchange has."""
        self.status.doubt, self.prove_by_ns = "", 0
        if self.arbiter.front is not None:
            self.arbiter.front.doubted = False

    def prove_within(self, wait_ns: int, now_ns: int) -> None:
        due_ns = now_ns + wait_ns
        self.prove_by_ns = min(self.prove_by_ns or due_ns, due_ns)

    def reject(self, error: FrameError) -> None:
        """Counts and tells a frame or body that could not be used."""
        self.counters.rejected += 1
        self.counters.crossed += error.reason == "crossed"
        self.out.note(FactKind.REJECTED, f"{error.reason}: {error}")

    def renumbered(self, before: int, found: int) -> None:
        self.anew = True
        words = f"the exchange counts anew: {found} after {before}"
        self.out.note(FactKind.RENUMBERED, words, before, found)

    def went_back(self, before: int, found: int) -> None:
        self.anew = True
        self.counters.reversals += 1
        self.out.note(FactKind.REVERSAL, f"시퀀스 역전 감지: {found} < {before}, 새 스냅샷 요청", before, found)

    def missed(self, before: int, found: int) -> None:
        """Ids are missing in the published book."""
        missing = found - before
        self.counters.gaps += 1
        self.out.note(FactKind.GAP, f"{missing} ids between {before} and {found} are missing", before, found, missing)
