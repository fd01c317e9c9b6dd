"""Who is believed when one stream speaks and the published one is silent.

1. a live sibling that tells what the published one does not know, while that one says nothing, is waited out:
   `AHEAD_NS` where it is ahead, `PATIENCE_NS` where it is behind, `LATE_NS` where it may only be late (of the same
   count, or of earlier event times). Then it is published where it has a sound book of its own; else the book is
   doubted (it is ahead), or the ids of the published one were of a count that is gone (it is behind);
2. no patience where the published one was silent for long already;
3. when the link of the published one is gone, one that has its own sound book a few steps behind may come up within a
   moment; where none has, nothing is shown to be current;
4. doubt is about a stream: it ends when that one goes on, or another sound one is published;
5. a published stream that was joined ahead of what its link brings has to come there, else it was of another count.
"""

from __future__ import annotations

from hoga.domain.arbiter import AHEAD_NS, PATIENCE_NS
from hoga.domain.episode import LOW, URGENT
from hoga.domain.ledger import Ledger
from hoga.domain.recovery import Recovery
from hoga.domain.rules import SECOND_NS
from hoga.domain.stream import WENT_BACK, Count, Stream, Took
from hoga.domain.troubles import BEREFT_NS
from hoga.domain.types import Stamp, State

LATE_NS = 30 * SECOND_NS
"""A link is not later than this."""


class Doubts:
    def __init__(self, ledger: Ledger, recovery: Recovery) -> None:
        self._ledger = ledger
        self._recovery = recovery
        self._short_ns = 0
        """Since when the published stream brings only what lies before its book; 0 where it does not."""

    def heard(self, stream: Stream, took: Took, stamp: Stamp) -> None:
        """A stream has brought something: does the published one know it?"""
        arbiter, now_ns = self._ledger.arbiter, stamp.mono_ns
        front = arbiter.front
        if front is None or not self._ledger.kind.ordered:
            return
        if stream is front:
            if took is Took.OLD and stream.heard is not None and stream.heard < stream.last:
                self._short_ns = self._short_ns or now_ns
            elif stream.heard == stream.last:
                self._short_ns = 0
            if took is not Took.HELD and took is not Took.OLD:
                for one in arbiter.streams.values():
                    one.unanswered_ns = 0
        elif stream.heard == front.last or (
            stream.count is front.count and stream.last == front.last and not stream.stuck_ns
        ):
            stream.unanswered_ns = 0
        elif front.grade is not State.SYNCING:
            stream.unanswered_ns = stream.unanswered_ns or now_ns
            long_ago = now_ns - front.heard_ns > PATIENCE_NS and stream.sound and stream.last > front.last
            if stream.open and long_ago:
                self._contradicted(stream, stamp, ahead=True)

    def proves(self, stream: Stream, took: Took) -> bool:
        """Whether what a stream just brought shows that the published book is what the exchange has."""
        front = self._ledger.arbiter.front
        if front is None or not stream.open or stream.grade is State.SYNCING or stream.stuck_ns:
            return False
        if stream is not front and not (stream.count is front.count and stream.last == front.last):
            return False
        if took is Took.OLD and self._ledger.kind.ordered:
            return stream.heard == stream.last
        return True

    def settle(self) -> None:
        """Ends a doubt that was about another stream than the one that is published now."""
        ledger, front = self._ledger, self._ledger.arbiter.front
        if ledger.status.doubt and front is not None and front.sound and ledger.arbiter.current(front):
            ledger.believe()

    def orphaned(self, reason: str, *, planned: bool, stamp: Stamp) -> None:
        """The link of the published stream is gone, and no other stream has taken over."""
        arbiter, front = self._ledger.arbiter, self._ledger.arbiter.front
        if front is None or front.grade is State.SYNCING:
            return
        near = arbiter.ordered and any(
            one.sound and one.open and (one.last < front.last or front.count.follows(one.count))
            for one in arbiter.streams.values()
        )
        if near:
            self._ledger.prove_within(PATIENCE_NS if planned else BEREFT_NS, stamp.mono_ns)
        else:
            self._doubt(reason, stamp)

    def tick(self, stamp: Stamp) -> None:
        ledger, now_ns = self._ledger, stamp.mono_ns
        arbiter, front = ledger.arbiter, ledger.arbiter.front
        if self._short_ns and now_ns - self._short_ns > PATIENCE_NS:
            self._never_reached(stamp)
        if front is None or front.grade is State.SYNCING:
            return
        if ledger.prove_by_ns and now_ns >= ledger.prove_by_ns:
            ledger.prove_by_ns = 0
            if not arbiter.current(front):
                self._doubt("nothing that fits the book has arrived over the links that are left", stamp)
        if not ledger.kind.ordered:
            return
        for stream in list(arbiter.others(front)):
            patience_ns = self._patience_ns(stream, front)
            if patience_ns == LATE_NS and now_ns - stream.heard_ns > PATIENCE_NS:
                stream.unanswered_ns = 0  # it was late, and says no more either
            if stream.unanswered_ns and stream.open and now_ns - stream.unanswered_ns > patience_ns:
                self._contradicted(stream, stamp, ahead=(stream.heard or 0) > front.last)

    def _patience_ns(self, stream: Stream, front: Stream) -> int:
        if (stream.heard or 0) > front.last:
            return AHEAD_NS
        mine, its = stream.times.last_ns, front.times.last_ns
        earlier = 0 < mine < its
        later = 0 < its < mine
        return LATE_NS if earlier or (stream.count is front.count and not later) else PATIENCE_NS

    def _contradicted(self, stream: Stream, stamp: Stamp, *, ahead: bool) -> None:
        """A sibling goes on with what the published stream does not know, which says nothing."""
        ledger, arbiter, front = self._ledger, self._ledger.arbiter, self._ledger.arbiter.front
        stream.unanswered_ns = 0
        if front is None or front.count.follows(stream.count):
            return
        if stream.sound:
            if stream.last < front.last:
                ledger.renumbered(front.last, stream.last)
                if stream.count is front.count:
                    stream.count = Count(front.count)
            arbiter.front = stream
            ledger.believe()
        elif ahead:
            self._doubt("what lies before that of a faster link does not come", stamp)
        else:
            before = front.last
            ledger.went_back(before, stream.heard or 0)
            self._lose_count(front, stamp)
            stream.reversed, stream.before = True, before

    def _never_reached(self, stamp: Stamp) -> None:
        """Rule 5."""
        self._short_ns = 0
        front = self._ledger.arbiter.front
        if front is None or front.heard is None or front.heard >= front.last or front.grade is State.SYNCING:
            return
        self._ledger.went_back(front.last, front.heard)
        self._lose_count(front, stamp, below=front.last)
        self._recovery.want(front, URGENT, stamp)

    def _lose_count(self, front: Stream, stamp: Stamp, *, below: int | None = None) -> None:
        """The ids of a count are not the exchange's any more."""
        count, before = front.count, front.last
        for one in self._ledger.arbiter.sources:
            if one.count is not count or one.grade is State.SYNCING:
                continue
            if below is None:
                self._recovery.lose(one, WENT_BACK, stamp)
            elif (one.heard or 0) < below:
                one.lose(WENT_BACK)
                one.reversed, one.before = True, before

    def _doubt(self, reason: str, stamp: Stamp) -> None:
        self._ledger.doubt(reason)
        self._recovery.want(self._ledger.arbiter.front, LOW, stamp)
