"""One rule for every exchange that gives ids.

Each delta says what it builds on (`prev`) and where it leads (`seq`); `last` is where the book stands:

    prev == last            APPLY
    prev <  last <  seq     APPLY       it spans a snapshot or the cut of a second line; sizes are absolute
            seq <= last     STALE       already in the book
    prev >  last            GAP         ids last+1 … prev are missing

and an id that goes backwards on the link that brought it is a REVERSAL: a lower `seq`, or a `prev` below what that
very link has just led to. Ids of different links may interleave: two lines of the same stream, or the old and the
new connection of an overlapping reconnect.
"""

from __future__ import annotations

from enum import Enum

REMEMBERED_LINKS = 8


class Verdict(Enum):
    APPLY = "apply"
    STALE = "stale"
    GAP = "gap"
    REVERSAL = "reversal"


class Sequencer:
    """Where a book stands in its stream."""

    __slots__ = ("_links", "_mover", "last")

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        self._links: dict[str, int] = {}
        self._mover = ""
        """The link that led to `last`."""

    def judge(self, link: str, prev: int, seq: int) -> Verdict:
        """What to do with a delta; on APPLY and GAP the sequencer stands at `seq` afterwards."""
        seen = self._links.get(link)
        if seen is not None and seq < seen:
            return Verdict.REVERSAL
        if seen is None and len(self._links) >= REMEMBERED_LINKS:
            del self._links[next(iter(self._links))]
        self._links[link] = seq
        last = self.last
        if last is not None:
            if seq <= last:
                return Verdict.STALE
            if prev < last and link == self._mover:
                return Verdict.REVERSAL
        self.last = seq
        self._mover = link
        return Verdict.APPLY if last is None or prev <= last else Verdict.GAP
