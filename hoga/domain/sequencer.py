"""One rule for every exchange that gives ids.

Each delta says what it builds on (`prev`) and where it leads (`seq`); `last` is where the book stands:

    prev == last            APPLY
    prev <  last <  seq     APPLY       it spans a snapshot or the cut of a second line; sizes are absolute
            seq <= last     STALE       already in the book
    prev >  last            GAP         ids last+1 … prev are missing

and an id that goes backwards on the link that brought it is a REVERSAL: a lower `seq`, or a `prev` below what that
very link has just led to. Ids of different links may interleave: two lines of the same stream, or the old and the
new connection of an overlapping reconnect.

An exchange may begin to count anew and say so: by a delta that leads below what it builds on (`seq < prev`), or by a
snapshot. Each such beginning is an era, and every link crosses it at a moment of its own. Ids of different eras cannot
be compared: a link that counts in another era than the book is astray and brings nothing, until it crosses too or
a snapshot over it says where it stands.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

REMEMBERED_LINKS = 8


class Verdict(Enum):
    APPLY = "apply"
    STALE = "stale"
    GAP = "gap"
    REVERSAL = "reversal"


class Place(NamedTuple):
    """Where one link stands."""

    seq: int
    era: int | None
    """None: it went backwards without saying so, or came late; its next snapshot tells where it stands."""


class Sequencer:
    """Where a book stands in its stream."""

    __slots__ = ("_ahead", "_era", "_links", "last", "mover")

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        self._era = 0
        self._links: dict[str, Place] = {}
        self._ahead: dict[str, int] = {}
        """Links that began ahead of the book -> where; they count as it does if it gets there."""
        self.mover = ""
        """The link that led to `last`."""

    def judge(self, link: str, prev: int, seq: int) -> Verdict:
        """What to do with a delta; on APPLY and GAP the sequencer stands at `seq` afterwards."""
        place = self._links.get(link)
        era = self._era if place is None else place.era
        if era is None:
            if seq < prev or (place is not None and seq < place.seq):
                self._ahead.pop(link, None)  # gone elsewhere
            self._remember(link, seq, None)
            return Verdict.STALE
        if seq < prev and place is None and prev != self.last:
            self._remember(link, seq, None)  # it may well be the beginning that the others have crossed
            return Verdict.STALE
        if seq < prev and (place is None or seq != place.seq):
            return self._renumber(link, era + 1, prev, seq)
        if place is not None and seq < place.seq:
            self._remember(link, seq, None)
            return Verdict.REVERSAL if era == self._era else Verdict.STALE
        self._remember(link, seq, era)
        if era != self._era:
            return Verdict.STALE
        return self._follow(link, prev, seq)

    def start(self, link: str, seq: int | None, at: int | None = None, mover: str = "") -> None:
        """A snapshot over `link` is the book from here on; it stands at `at`, where `mover` had brought what follows on
        the snapshot. A book that goes back to where the others were before cannot be reconciled with them: an era."""
        stands = seq if at is None else at
        own = None if seq is None else self.era_after(link, seq)
        if own is not None and own > self._era:
            self._era = own
        elif stands is None or (self.last is not None and stands < self.last) or (own is not None and own < self._era):
            self._era += 1
        self.last = stands
        self.mover = mover or link
        self._ahead.clear()
        if seq is not None:
            self._remember(link, seq, self._era)

    def behind(self, link: str, seq: int) -> None:
        """A snapshot over `link` was passed over: another link had brought as much already, or is eras ahead."""
        own = self.era_after(link, seq)
        self._ahead.pop(link, None)
        self._remember(link, seq, self._era if own is None else min(own, self._era))

    def begin_ahead(self, link: str, seq: int) -> None:
        """A snapshot over a link of which nothing is known was passed over, though it is ahead of the book."""
        self._remember(link, seq, None)
        self._ahead[link] = seq

    def hear(self, link: str, prev: int, seq: int) -> bool:
        """Takes note of a delta while there is no book; whether the link counts in the newest era there is."""
        place = self._links.get(link)
        era = self._era if place is None else place.era
        if era is not None and seq < prev and (place is None or seq != place.seq):
            era += 1
        elif place is not None and seq < place.seq:
            era = None
        self._remember(link, seq, era)
        return era is None or all(era >= (other.era or 0) for other in self._links.values())

    def doubt(self, link: str) -> None:
        """A link has been astray for so long that nobody knows in which era it is."""
        self._remember(link, self._links[link].seq, None)

    def knows(self, link: str) -> bool:
        """Whether a link has brought anything yet."""
        return link in self._links

    def astray(self, link: str) -> bool:
        """Whether a link counts in another era than the book, or nobody knows in which."""
        place = self._links.get(link)
        return place is not None and place.era != self._era

    def ahead(self, link: str) -> bool:
        """Whether a link began ahead of the book, which has not come there yet."""
        return link in self._ahead

    def short(self, link: str) -> bool:
        """Whether a link is known to have stopped short of the book."""
        place = self._links.get(link)
        return place is not None and self.last is not None and place.era == self._era and place.seq < self.last

    def crossed(self, others: set[str], link: str, seq: int) -> bool:
        """Whether one of the others is in a newer era than the book, and a snapshot over `link` not known to be."""
        own = self.era_after(link, seq)
        eras = {self._links[one].era for one in others if one in self._links}
        return any(era is not None and era > self._era and era != own for era in eras)

    def strays(self) -> list[str]:
        return [link for link, place in self._links.items() if place.era != self._era]

    def abreast(self) -> list[str]:
        """The links that count in the era of the book."""
        return [link for link, place in self._links.items() if place.era == self._era]

    def newer(self, link: str, seq: int) -> bool | None:
        """Whether a snapshot over `link` is of a newer era than the book (False: of an older one); None where it is of
        the same, or nobody knows."""
        own = self.era_after(link, seq)
        return None if own is None or own == self._era else own > self._era

    def era_after(self, link: str, seq: int) -> int | None:
        """The era in which a snapshot at `seq` puts a link; None where that is not known."""
        place = self._links.get(link)
        if place is None or place.era is None:
            return None
        return place.era + (seq < place.seq)

    def _follow(self, link: str, prev: int, seq: int) -> Verdict:
        last = self.last
        if last is not None:
            if seq <= last:
                return Verdict.STALE
            if prev < last and link == self.mover:
                self._remember(link, seq, None)
                return Verdict.REVERSAL
        self.last = seq
        self.mover = link
        if self._ahead:
            self._meet(seq)
        return Verdict.APPLY if last is None or prev <= last else Verdict.GAP

    def _meet(self, last: int) -> None:
        """Places the links that the book has caught up with where they began: what they brought since is kept."""
        for link in [link for link, seq in self._ahead.items() if seq <= last]:
            place = self._links.get(link)
            if place is not None and place.era is None:
                self._links[link] = Place(self._ahead[link], self._era)
            del self._ahead[link]

    def _renumber(self, link: str, era: int, prev: int, seq: int) -> Verdict:
        """A delta that leads over into `era`: from the end of the era before it to the beginning of this one, so that
        no other link can have been beyond `prev` in that, or short of `seq` in this."""
        last = self.last
        self._remember(link, seq, era)
        if era == self._era and last is not None and seq > last:
            self._remember(link, seq, None)
        if era != self._era + 1:
            return Verdict.STALE
        if last is not None and prev < last:
            self._remember(link, seq, None)
            return Verdict.REVERSAL if link == self.mover else Verdict.STALE
        self._era = era
        self.last = seq
        self.mover = link
        self._ahead.clear()
        return Verdict.APPLY if last is None or prev == last else Verdict.GAP

    def _remember(self, link: str, seq: int, era: int | None) -> None:
        """The links heard of longest ago are forgotten first."""
        if self._links.pop(link, None) is None and len(self._links) >= REMEMBERED_LINKS:
            del self._links[next(iter(self._links))]
        self._links[link] = Place(seq, era)
