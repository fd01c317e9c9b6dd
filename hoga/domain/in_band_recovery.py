"""Mending by subscribing again: one episode for each stream, which names its link.

1. a fresh subscription brings a snapshot by itself; it is asked for only where it does not come;
2. a stream with a sound sibling waits a moment: what it lacks may be had from that one;
3. while nothing shows that the published book is current, every live stream is asked for a snapshot.
"""

from __future__ import annotations

from hoga.domain.actions import FactKind
from hoga.domain.arbiter import AHEAD_NS
from hoga.domain.backoff import Backoff
from hoga.domain.episode import LOW, URGENT, Episode
from hoga.domain.ledger import Ledger
from hoga.domain.recovery import Recovery
from hoga.domain.rules import SECOND_NS
from hoga.domain.stream import Stream
from hoga.domain.types import GapPolicy, Stamp, State, Update

BY_ITSELF_NS = 2 * SECOND_NS
"""How long the snapshot of a fresh subscription is waited for before it is asked for."""


class InBandRecovery(Recovery):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._episodes: dict[str, Episode] = {}
        """Of the open links."""

    @property
    def wanting(self) -> bool:
        return any(episode.on for episode in self._episodes.values())

    @property
    def stubborn(self) -> bool:
        return any(episode.on and episode.stubborn for episode in self._episodes.values())

    def want(self, stream: Stream | None, priority: int, stamp: Stamp) -> None:
        stream = stream or self.ledger.arbiter.front
        episode = self._episodes.get(stream.link) if stream is not None else None
        if stream is None or episode is None or episode.on:
            return
        arbiter, now_ns = self.ledger.arbiter, stamp.mono_ns
        fresh = not stream.heard_ns and not stream.settled
        wait_ns = BY_ITSELF_NS if fresh else 0
        since_ns = stream.stuck_ns or (stream.chain.since_ns if stream.chain else now_ns)
        if self.ledger.kind.ordered and arbiter.may_fill(stream, stream.last, now_ns, since_ns=since_ns):
            wait_ns = max(wait_ns, AHEAD_NS)
        self.ledger.out.note(FactKind.RESYNC_STARTED, stream.reason or self.ledger.reason)
        episode.begin(priority, stamp, wait_ns=wait_ns)

    def opened(self, stream: Stream, stamp: Stamp) -> None:
        rules = self.ledger.rules
        retry = Backoff(min(rules.retry_ns, BY_ITSELF_NS), rules.retry_limit_ns)
        self._episodes[stream.link] = Episode(self.ledger.out, retry, stream.link)
        if stream.grade is State.SYNCING:
            self.want(stream, URGENT, stamp)

    def closed(self, stream: Stream, stamp: Stamp) -> None:
        self._episodes.pop(stream.link, None)

    def failed(self, stream: Stream, stamp: Stamp) -> None:
        episode = self._episodes.get(stream.link)
        if episode is not None and episode.on:
            episode.failed(stamp)
        else:
            self.want(stream, URGENT, stamp)

    def joined(self, stream: Stream, stamp: Stamp) -> None:
        episode = self._episodes.get(stream.link)
        if episode is not None:
            episode.end(stamp)

    def needless(self, front: Stream, stamp: Stamp) -> bool:
        episode = self._episodes.get(front.link)
        if episode is None or not episode.on:
            return False
        episode.end(stamp, healed=False)
        return True

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> None:
        pass  # a REST snapshot proves nothing where the stream brings its own; it may answer an audit

    def tick(self, stamp: Stamp) -> None:
        if self.ledger.status.halt:
            return
        for stream in self.ledger.arbiter.streams.values():
            episode = self._episodes.get(stream.link)
            if episode is None:
                continue
            if not episode.on and self._wounded(stream):
                episode.begin(LOW, stamp, wait_ns=BY_ITSELF_NS)
            episode.tick(stamp)

    def _wounded(self, stream: Stream) -> bool:
        match stream.grade:
            case State.SYNCING:
                return True
            case State.CROSSED:
                return not stream.crossed_as_sent
            case State.GAPPED:
                if self.ledger.rules.gap_policy is not GapPolicy.IGNORE:
                    return True
            case _:
                pass
        front, arbiter = self.ledger.arbiter.front, self.ledger.arbiter
        doubtful = bool(self.ledger.status.doubt) or front is None or not arbiter.current(front)
        return doubtful or bool(stream.stuck_ns)
