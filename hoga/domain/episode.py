"""Mending one wound: when a snapshot is asked for, and how urgently.

1. an episode begins with a wound and ends when the book is whole, however that came about; nothing is asked for between
   episodes, and what arrives then heals nothing;
2. a first request may wait a moment for what makes it useful, or needless (`hurry`);
3. a request that brings nothing is repeated, less and less often, up to the limit of the rules; a more urgent wish
   overtakes one that is on its way;
4. an answer that is no good, and a wound that opens again at once, count as relapses: some are treated at once, then
   the wait doubles with every second one, up to an hour; only a book that has held forgets them. One bad symbol
   must not use up the request budget of all.
"""

from __future__ import annotations

from hoga.domain.actions import Decisions, FactKind, RequestSnapshot, Resubscribe
from hoga.domain.backoff import Backoff
from hoga.domain.rules import SECOND_NS
from hoga.domain.types import Stamp

URGENT, NORMAL, LOW, BACKGROUND = 1, 3, 5, 7
"""Priorities: no book at all, a wrong one, a gapped one, a re-centring."""
TOO_OLD = Backoff(300_000_000, 3600 * SECOND_NS)
PATIENT_AFTER = 8
"""Answers that are too old are asked for again within ten seconds so many times."""
RELAPSE_NS = 10 * SECOND_NS
"""A wound so soon after the last one was closed is the same one."""
AT_ONCE = 10
"""Relapses that are treated at once."""
SPACING = Backoff(8 * SECOND_NS, 3600 * SECOND_NS)
HELD_NS = 60 * SECOND_NS
"""A book that held for so long (and for as long as the last wait) is well."""


class Episode:
    """Of one symbol, or of its stream over `link` where one is named: then a snapshot is had by subscribing again."""

    __slots__ = ("_asked_ns", "_at_ns", "_attempt", "_ended_ns", "_out", "_retry", "link", "on",
                 "priority", "relapses")  # fmt: skip

    def __init__(self, out: Decisions, retry: Backoff[int], link: str = "") -> None:
        """`retry`: when an unanswered request is repeated."""
        self._out = out
        self._retry = retry
        self.link = link
        self.on = False
        self.priority = URGENT
        self.relapses = 0
        self._attempt = 0
        self._at_ns = self._asked_ns = self._ended_ns = 0

    @property
    def stubborn(self) -> bool:
        """Whether snapshots keep failing, so that the next one is not asked for at once."""
        return self.relapses > AT_ONCE

    def begin(self, priority: int, stamp: Stamp, *, wait_ns: int = 0) -> None:
        """A snapshot is wanted from now on; `wait_ns` where one may come by itself, or the stream makes it needless."""
        now_ns = stamp.mono_ns
        if self._ended_ns:
            held_ns = now_ns - self._ended_ns
            if held_ns < RELAPSE_NS:
                self._relapse()
            elif held_ns > max(HELD_NS, self._spacing_ns):
                self.relapses = 0
        self.on = True
        self.priority = priority
        self._attempt = 0
        self._at_ns = max(now_ns + wait_ns, self._allowed_ns)
        self.tick(stamp)

    def raise_to(self, priority: int) -> None:
        """The snapshot that is wanted has become more urgent."""
        if priority >= self.priority:
            return
        self.priority = priority
        if self._attempt and not self.link:
            self._out.append(RequestSnapshot(priority, self._attempt))

    def hurry(self, stamp: Stamp) -> None:
        """What the first request has waited for is here."""
        if self.on and not self._attempt:
            self._at_ns = min(self._at_ns, max(stamp.mono_ns, self._allowed_ns))
            self.tick(stamp)

    def again_in(self, wait_ns: int, stamp: Stamp) -> None:
        """What came does not suffice yet: asks again after `wait_ns`."""
        self._at_ns = stamp.mono_ns + wait_ns

    def too_old(self, stamp: Stamp) -> None:
        """What came was too old: asks again soon, twice as late with each attempt, or sooner where due."""
        over = max(self._attempt - PATIENT_AFTER, 0)
        at_ns = stamp.mono_ns + TOO_OLD.after(min(self._attempt, 5) + 1 + over)
        self._at_ns = at_ns if over else min(self._at_ns, at_ns)

    def failed(self, stamp: Stamp) -> None:
        """What came was no good."""
        self._relapse()
        self._at_ns = max(stamp.mono_ns + TOO_OLD.first, self._allowed_ns)

    def end(self, stamp: Stamp, *, healed: bool = True) -> None:
        """The book is whole, or nobody can mend it now. `healed`: by a snapshot; only then may the wound open again."""
        if self.on:
            self.on = False
            self._ended_ns = stamp.mono_ns if healed else 0

    def tick(self, stamp: Stamp) -> None:
        """Asks where it is time to."""
        if not self.on or stamp.mono_ns < self._at_ns:
            return
        self._attempt += 1
        self._asked_ns = stamp.mono_ns
        self._at_ns = stamp.mono_ns + max(self._retry.after(self._attempt), self._spacing_ns)
        asks = Resubscribe(self._attempt, self.link) if self.link else RequestSnapshot(self.priority, self._attempt)
        self._out.append(asks)

    def _relapse(self) -> None:
        self.relapses += 1
        if self.relapses == AT_ONCE + 1:
            words = "snapshots keep failing: each is asked for later than the one before, up to an hour"
            self._out.note(FactKind.RESYNC_STARTED, words, count=self.relapses)

    @property
    def _spacing_ns(self) -> int:
        return SPACING.after((self.relapses - AT_ONCE + 1) // 2) if self.stubborn else 0

    @property
    def _allowed_ns(self) -> int:
        """When the next request may go out."""
        return self._asked_ns + self._spacing_ns if self.stubborn else 0
