"""Which links are in step with a book, and what is to be made of those that are not. Pure: time comes in as a stamp.

A link is in step when what it brought fitted the book: it led it on, or stood at the very same id. Of any other nobody
knows yet whether its ids count the same:

1. one that brings only older ids for a while, though nothing newer arrives, counts otherwise than the book: it is the
   exchange that began anew; of a link in step the same means that it is late, so it is given much longer, unless
   what it brings was sent after the book was: older ids at a later time are no lateness;
2. one that begins beyond the book is merely faster than the others, while another one goes on: the ids in between
   are on their way (what it brings meanwhile is kept by the keeper);
3. one that is astray (see `sequencer`) for a while is asked for a snapshot of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from hoga.domain.actions import Action, Resubscribe
from hoga.domain.asking import LOW, Asking
from hoga.domain.sequencer import REMEMBERED_LINKS
from hoga.domain.types import Stamp

FROZEN_NS = 3_000_000_000
"""A stream that brings only what is already known for so long is not the one the book was built from."""
BEREFT_NS = 1_500_000_000
"""When one of several links is gone, so long may pass before what is left has shown that the book is current: that the
link was gone may have taken three seconds to show."""
LATE_NS = 30_000_000_000
"""The same for a link that was in step."""
AHEAD_NS = 1_000_000_000
"""How long a fresh link may be ahead of what the others are still to bring, since one of them has led the book on."""


class Steps:
    def __init__(self, asking: Callable[[str], Asking]) -> None:
        """`asking(link)` makes the request for a fresh snapshot over a link."""
        self._asking = asking
        self.in_step: set[str] = set()
        self._ahead_since_ns: dict[str, int] = {}
        self._older_since_ns: int | None = None
        self._older_patience_ns = FROZEN_NS
        self._strays: dict[str, Asking] = {}

    def begin(self, links: set[str]) -> None:
        """A new book, which these links led to."""
        self.in_step = links
        self._ahead_since_ns.clear()
        self._older_since_ns = None

    def moved(self, link: str) -> None:
        """A link led the book on, and so brings what lies between it and where another one has begun."""
        self._older_since_ns = None
        self._ahead_since_ns.clear()
        self.agreed(link)

    def agreed(self, link: str) -> None:
        """A link brought what another one had brought under the same id, or stands where the book does."""
        if link not in self.in_step:
            if len(self.in_step) >= REMEMBERED_LINKS:
                self.in_step.clear()
            self.in_step.add(link)
            self._ahead_since_ns.pop(link, None)

    def frozen(self, link: str, stamp: Stamp, *, sent_later: bool = False) -> bool:
        """A link brought an id older than the book's: whether nothing else has arrived for too long. `sent_later`: by
        the exchange's own clock it was sent after what the book holds."""
        if self._older_since_ns is None:
            self._older_since_ns = stamp.mono_ns
        self._older_patience_ns = LATE_NS if link in self.in_step and not sent_later else FROZEN_NS
        return self.backward(stamp)

    def backward(self, stamp: Stamp) -> bool:
        """Whether only what is older than the book has arrived for a while, over whatever link: nothing shows any more
        that the book is what the exchange has."""
        return self._older_since_ns is not None and stamp.mono_ns - self._older_since_ns > self._older_patience_ns

    def current(self) -> None:
        """A link showed that the book is what the exchange has."""
        self._older_since_ns = None

    def ahead(self, link: str, stamp: Stamp) -> bool:
        """Whether a fresh link that begins beyond the book, while another one goes on, need not mean a gap."""
        if len(self._ahead_since_ns) >= REMEMBERED_LINKS:
            self._ahead_since_ns.clear()
        return stamp.mono_ns - self._ahead_since_ns.setdefault(link, stamp.mono_ns) <= AHEAD_NS

    def overdue(self, stamp: Stamp) -> bool:
        """Whether what lies between the book and where a faster link began has not come for too long."""
        return any(stamp.mono_ns - since_ns > AHEAD_NS for since_ns in self._ahead_since_ns.values())

    def tick(self, strays: list[str], stamp: Stamp) -> list[Resubscribe]:
        """Requests for those of the live links that are astray now."""
        self._strays = {link: asking for link, asking in self._strays.items() if link in strays}
        asked: list[Action] = []
        for link in strays:
            asking = self._strays.get(link)
            if asking is None:
                asking = self._strays[link] = self._asking(link)
                asked += asking.begin(LOW, stamp, wait_ns=FROZEN_NS)
            asked += asking.tick(stamp)
        return [request for request in asked if isinstance(request, Resubscribe)]
