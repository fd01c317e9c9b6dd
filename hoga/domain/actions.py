"""What a book builder decides: values that the service carries out.

`Publish` the book as it stands; `RequestSnapshot` or `Resubscribe` to mend it; `Note` a fact to count and announce.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class FactKind(IntEnum):
    """The numbers are those of `orderbook.v1.BookEvent.Kind`."""

    GAP = 1
    REVERSAL = 2
    CROSSED = 3
    CHECKSUM_MISMATCH = 4
    STALE = 5
    RESYNC_STARTED = 6
    RESYNC_FINISHED = 7
    REJECTED = 8
    TIME_REVERSAL = 9
    TIME_FUTURE = 10
    TIME_LATE = 11
    BUS_LOSS = 12
    REPAIRED = 13
    HALTED = 14
    RECENTRE = 15
    AUDIT_MISMATCH = 16
    DISAGREEMENT = 17
    RENUMBERED = 18
    AUDIT_AGREED = 19


@dataclass(frozen=True, slots=True)
class Publish:
    """The book or its state changed."""


@dataclass(frozen=True, slots=True)
class RequestSnapshot:
    """A REST snapshot is wanted; smaller priorities go first."""

    priority: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """A fresh in-band snapshot is wanted, over `link` where one is named, else over whichever carries the symbol."""

    attempt: int
    link: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A fact about the book. Ids are exchange ids; `count` is ids, levels or nanoseconds, by kind."""

    kind: FactKind
    detail: str = ""
    expected: int = 0
    found: int = 0
    count: int = 0


Action = Publish | RequestSnapshot | Resubscribe | Note
PUBLISH = Publish()


class Decisions(list[Action]):
    """What was decided and is still to be carried out, in order; the service drains it after every event."""

    def note(self, kind: FactKind, detail: str = "", expected: int = 0, found: int = 0, count: int = 0) -> None:
        self.append(Note(kind, detail, expected, found, count))

    def drain(self) -> list[Action]:
        decided = self.copy()
        self.clear()
        return decided
