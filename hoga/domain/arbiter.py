"""Which of the streams of a symbol is published, and which of them count the same.

1. the better grade first; a stream whose link is not open, or that is doubted, has none, nor, where nothing orders
   deltas of two links, one that was silent while another went on;
2. among equals of one count the one that is ahead (the first arrival of an id leads); one of a newer count leads;
   otherwise the choice is kept;
3. never back: a better stream that lies behind what was published takes over when it gets there, or after `PATIENCE_NS`
   without a sound one; never to one in a count that the published one is known to have left;
4. two streams count the same once both have brought the same step with the same levels, or stand at the same id with
   the same book; other levels under one step are a disagreement.
"""

from __future__ import annotations

from collections.abc import Iterator

from hoga.domain.stream import Stream, digest
from hoga.domain.types import State, Update

PATIENCE_NS = 3_000_000_000
AHEAD_NS = 1_000_000_000
"""How long ids that a sibling may still bring are waited for."""
WORTH = {State.LIVE: 3, State.GAPPED: 2, State.CROSSED: 1, State.SYNCING: 0}


class Arbiter:
    __slots__ = ("front", "lost_ns", "newest_ns", "ordered", "sequence", "streams")

    def __init__(self, *, ordered: bool) -> None:
        """`ordered`: ids of different links can be compared."""
        self.ordered = ordered
        self.streams: dict[str, Stream] = {}
        """Link -> its stream."""
        self.front: Stream | None = None
        """The stream that is published; it may be one whose link is gone, until another takes its place."""
        self.sequence = 0
        """The id that was published last."""
        self.newest_ns = 0
        """When any stream last moved; only where they cannot be ordered."""
        self.lost_ns = 0
        """Since when the published stream is not sound and current; 0 where it is."""

    @property
    def sources(self) -> list[Stream]:
        """Every stream that has a book to give."""
        return [*self.streams.values(), *([self.front] if self.front is not None and self.orphaned else [])]

    @property
    def orphaned(self) -> bool:
        """Whether the published stream has lost its link."""
        return self.front is not None and self.streams.get(self.front.link) is not self.front

    @property
    def covered(self) -> bool:
        """Whether any live link carries the symbol."""
        return any(stream.open for stream in self.streams.values())

    def others(self, than: Stream) -> Iterator[Stream]:
        return (stream for stream in self.streams.values() if stream is not than)

    def current(self, stream: Stream) -> bool:
        """Whether what a stream says shows what the exchange has."""
        if not self.ordered and self.newest_ns - stream.moved_ns > PATIENCE_NS:
            return False
        return stream.open and not stream.doubted

    def worth(self, stream: Stream) -> int:
        return WORTH[stream.grade] if self.current(stream) else 0

    def choose(self, now_ns: int) -> bool:
        """Chooses anew; whether another stream is published from now on."""
        before = choice = self.front
        if before is not None and self.worth(before) == WORTH[State.LIVE]:
            self.lost_ns = 0
        else:
            self.lost_ns = self.lost_ns or now_ns
        for stream in self.streams.values():
            if stream is not choice and self._beats(stream, choice, now_ns):
                choice = stream
        self.front = choice
        return choice is not before

    def _beats(self, stream: Stream, other: Stream | None, now_ns: int) -> bool:
        if other is None or stream.grade is State.SYNCING:
            return other is None
        mine, its = self.worth(stream), self.worth(other)
        if mine == its:
            return self._leads(stream, other)
        if mine < its:
            return False
        if not self.ordered or stream.count.follows(other.count):
            return True
        if stream.count is other.count and stream.last < other.last:
            return False  # what the other one brought is known to be newer
        if other.count.follows(stream.count):
            return False
        anew = stream.count is not other.count and other.grade is State.SYNCING
        late = bool(self.lost_ns) and now_ns - self.lost_ns > PATIENCE_NS
        return stream.last >= self.sequence or anew or late

    def _leads(self, stream: Stream, other: Stream) -> bool:
        """Of two that are worth the same."""
        if not self.ordered or stream.grade is not other.grade or stream.grade is State.CROSSED:
            return False
        return stream.last > other.last if stream.count is other.count else stream.count.follows(other.count)

    # --- counts of ids

    def compare(self, stream: Stream, update: Update) -> Stream | None:
        """Holds what a stream brought against what its siblings did; the one that brought other levels, if any."""
        seq, prev, value = update.seq, update.prev_seq, digest(update)
        stream.remember(seq, prev, value)
        for other in self.others(stream):
            known = other.digests.get(seq)
            if known is None or known[0] != prev:
                continue
            if known[1] == value:
                if update.bids or update.asks:
                    self.agree(stream, other)
            elif stream.count is other.count or (stream.count.fresh and other.count.fresh):
                return other
        return None

    def agree(self, stream: Stream, other: Stream) -> None:
        """Two streams are known to count the same."""
        stream.anchor = other.anchor = 0
        if stream.count is other.count:
            return
        kept, dropped = (stream.count, other.count) if stream is self.front else (other.count, stream.count)
        for one in self.streams.values():
            if one.count is dropped:
                one.count = kept

    # --- who may still bring something

    def may_fill(self, stream: Stream, last: int, now_ns: int, *, since_ns: int, own_count: bool = True) -> bool:
        """Whether a sibling may still bring what is missing between `last` and the chain of a stream, for which it has
        been waited since `since_ns`. `own_count`: only a sibling of the same count, or one without a book."""
        if now_ns - since_ns > AHEAD_NS:
            return False
        for other in self.others(stream):
            if not other.open or other.stuck_ns or now_ns - other.heard_ns > PATIENCE_NS:
                continue
            if other.grade is State.LIVE and (other.count is stream.count or not own_count):
                return True
            if other.grade is State.SYNCING and other.chain and other.chain.begins <= last:
                return True
        return False
