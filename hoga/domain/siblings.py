"""What a stream has from its siblings: a book where it has none or a worse one, and time before it goes over a gap.

1. a stream without a sound book takes that of a sibling of its own count, where its chain begins at or before it, even
   ahead of the chain: by copy, with its grade;
2. where nobody knows whether the two count the same, only from one that stands still (its link is gone, ids are
   missing to it, or it is doubted) and whose id lies within the chain; after a reversal only where it is exactly one
   of the ids of the chain. From one that goes on, the next step tells;
3. a stream that is GAPPED or CROSSED takes the book of a sound sibling of its count that is not behind, without a
   chain;
4. a stream without any book takes a GAPPED one over, with what is missing, from one that brings nothing any more;
5. a link that has brought nothing since it opened, while a sibling was quiet too, stands where that one stands: what
   comes next comes over both;
6. a gap is waited for where a sibling may fill it; else the published stream goes over it, or, where its link is
   gone, a fresh one goes over from its book.
"""

from __future__ import annotations

from hoga.domain.errors import FrameError
from hoga.domain.ledger import Ledger
from hoga.domain.recovery import Recovery
from hoga.domain.rules import SECOND_NS
from hoga.domain.stream import Stream
from hoga.domain.troubles import Troubles
from hoga.domain.types import GapPolicy, Stamp, State

QUIET_NS = SECOND_NS
"""A link that is open for so long has brought what its siblings brought before."""


class Siblings:
    def __init__(self, ledger: Ledger, recovery: Recovery, troubles: Troubles) -> None:
        self._ledger = ledger
        self._recovery = recovery
        self._troubles = troubles

    def heal(self, stamp: Stamp) -> None:
        """Joins what can be joined, and goes over gaps that nobody fills. One may be healed by what another has just
        had, so there are two rounds."""
        sources = self._ledger.arbiter.sources
        if len(sources) > 1:
            streams = list(self._ledger.arbiter.streams.values())
            for stream in [*streams, *streams]:
                if not stream.sound:
                    self._join(stream, sources, stamp)
        self._leap(stamp)

    def _join(self, stream: Stream, sources: list[Stream], stamp: Stamp) -> None:
        for source in sources:
            if source is not stream and self._may_inherit(stream, source, stamp):
                self._inherit(stream, source, stamp)
                return

    def _inherit(self, stream: Stream, source: Stream, stamp: Stamp) -> None:
        try:
            self._ledger.counters.applied += stream.inherit(source, stamp.mono_ns, stamp.wall_ns)
        except FrameError as error:
            self._recovery.lose(stream, str(error), stamp)
            return
        if stream.sound:
            self._recovery.joined(stream, stamp)

    def _may_inherit(self, stream: Stream, source: Stream, stamp: Stamp) -> bool:
        bookless = stream.grade is State.SYNCING
        same = stream.count is source.count
        if not bookless and not stream.stuck_ns:  # rule 3
            keeps = self._ledger.rules.gap_policy is GapPolicy.IGNORE or stream.crossed_as_sent
            return same and source.sound and source.last >= stream.last and not keeps
        if not stream.chain:
            return bookless and self._both_quiet(stream, source, stamp)
        if stream.chain.begins > source.last:
            return False
        if same and stream.stuck_ns and source.grade is stream.grade and not source.stuck_ns:
            return True
        if source.grade is State.GAPPED:  # rule 4
            if not bookless or source is not self._ledger.arbiter.front or (source.open and not source.stuck_ns):
                return False
        elif source.grade is not State.LIVE or stream.grade is State.CROSSED:
            return False
        if same:
            return bookless or source.last >= stream.last
        return self._comes_by(stream, source)

    def _comes_by(self, stream: Stream, source: Stream) -> bool:
        """Rule 2."""
        doubted = source is self._ledger.arbiter.front and bool(self._ledger.status.doubt)
        still = not source.open or bool(source.stuck_ns) or doubted
        within = source.last <= stream.chain.ends
        known = not stream.reversed or stream.chain.names(source.last)
        return still and within and known and stream.open

    def _both_quiet(self, stream: Stream, source: Stream, stamp: Stamp) -> bool:
        """Rule 5. A snapshot would come by itself where it comes in the stream."""
        if self._ledger.kind.in_band or not (stream.open and source.open and source.sound) or stream.heard_ns:
            return False
        before_ns = stamp.mono_ns - QUIET_NS
        return stream.opened_ns <= before_ns and source.heard_ns <= before_ns and not self._ledger.status.doubt

    def _leap(self, stamp: Stamp) -> None:
        arbiter, now_ns = self._ledger.arbiter, stamp.mono_ns
        front = arbiter.front
        if front is None:
            return
        if front.stuck_ns:
            if not arbiter.may_fill(front, front.last, now_ns, since_ns=front.stuck_ns):
                self._troubles.leap(front, front, stamp)
            return
        if self._ledger.kind.in_band or front.open or front.grade not in (State.LIVE, State.GAPPED):
            return
        for stream in list(arbiter.streams.values()):
            if stream.grade is not State.SYNCING or not stream.open or not stream.chain or stream.reversed:
                continue
            beyond = stream.chain.begins > front.last
            since_ns = stream.chain.since_ns
            if beyond and not arbiter.may_fill(stream, front.last, now_ns, since_ns=since_ns, own_count=False):
                self._troubles.leap(stream, front, stamp)
                return
