"""Hypothesis strategies: one history of a market, and the many ways a stream may tell it.

A history is a true book and single changes with consecutive ids; no prefix of it is crossed. A line cuts it into
deltas anywhere. What a network does to a line (losing, repeating, swapping) is drawn on top. An account is a history as
an exchange tells it that begins every subscription with a snapshot, and may begin to count anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from hoga.domain.types import Level, Update

NATIVE = "BTCUSDT"
FIRST_ID = 1000
Side = dict[int, int]


@dataclass(frozen=True)
class Change:
    """One side's level set to a size; zero deletes."""

    bid: bool
    price: int
    size: int


@dataclass(frozen=True)
class History:
    """`truth[n]` is (bids, asks) after `n` changes, that is at id FIRST_ID + n."""

    changes: tuple[Change, ...]
    truth: tuple[tuple[Side, Side], ...]

    def at(self, sequence: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """True bids and asks at an id, best first."""
        bids, asks = self.truth[sequence - FIRST_ID]
        return sorted(bids.items(), reverse=True), sorted(asks.items())

    @property
    def last(self) -> int:
        return FIRST_ID + len(self.changes)

    def snapshot(self, sequence: int, limit: int = 0) -> Update:
        """The whole-book snapshot at an id, its best `limit` levels a side (0: all)."""
        bids, asks = self.at(sequence)
        stop = limit or None
        return Update(NATIVE, True, _texts(bids[:stop]), _texts(asks[:stop]), seq=sequence)

    def delta(self, start: int, stop: int) -> Update:
        """The delta of changes `start` … `stop`-1, building on id FIRST_ID + start; of one level the last counts."""
        sides: tuple[Side, Side] = ({}, {})
        for change in self.changes[start:stop]:
            sides[0 if change.bid else 1][change.price] = change.size
        bids, asks = (_texts(list(side.items())) for side in sides)
        return Update(NATIVE, False, bids, asks, prev_seq=FIRST_ID + start, seq=FIRST_ID + stop)

    def line(self, cuts: list[int]) -> list[Update]:
        """The whole history as deltas that end at `cuts` and at the end."""
        ends = sorted({cut for cut in cuts if 0 < cut < len(self.changes)} | {len(self.changes)})
        starts = [0, *ends[:-1]]
        return [self.delta(start, end) for start, end in zip(starts, ends, strict=True)]


@st.composite
def histories(draw: st.DrawFn, *, min_changes: int = 2, max_changes: int = 40, drift: bool = True) -> History:
    """A market that moves: prices near a mid that wanders, deletes of levels there and not there."""
    bids: Side = dict.fromkeys(range(90, 100), 10)
    asks: Side = dict.fromkeys(range(101, 111), 10)
    mid = 100
    truth = [(dict(bids), dict(asks))]
    changes: list[Change] = []
    steps = draw(
        st.lists(
            st.tuples(st.booleans(), st.integers(1, 12), st.integers(0, 3), st.integers(-2, 2)),
            min_size=min_changes,
            max_size=max_changes,
        )
    )
    for bid, distance, size, move in steps:
        mid = max(30, mid + (move if drift else 0))
        price = mid - distance if bid else mid + distance
        opposite = sorted(asks if bid else bids)
        wanted = [Change(not bid, other, 0) for other in opposite if _crosses(bid, price, other, size)]
        for change in [*wanted, Change(bid, price, size)]:
            side = bids if change.bid else asks
            if change.size:
                side[change.price] = change.size
            else:
                side.pop(change.price, None)
            changes.append(change)
            truth.append((dict(bids), dict(asks)))
    return History(tuple(changes), tuple(truth))


@st.composite
def lines(draw: st.DrawFn, history: History) -> list[Update]:
    """The history cut into deltas anywhere."""
    return history.line(draw(st.lists(st.integers(1, max(1, len(history.changes) - 1)))))


ERA_IDS = 1_000_000
"""Where the first count of an account begins; each further one begins at half of the one before."""


@dataclass(frozen=True)
class Account:
    """A history as frames that every connection gets alike. Ids never come twice, so one id is one moment."""

    history: History
    frames: tuple[Update, ...]
    ends: tuple[int, ...]
    """Changes up to and with each frame."""

    def subscription(self, told: int) -> Update:
        """What a subscription begins with after so many frames were told."""
        seq = self.frames[told - 1].seq if told else ERA_IDS
        return self._whole(self.ends[told - 1] if told else 0, seq)

    def truth(self, seq: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """True bids and asks at an id, best first."""
        ends = {ERA_IDS: 0} | {frame.seq: end for frame, end in zip(self.frames, self.ends, strict=True)}
        return self.history.at(FIRST_ID + ends[seq])

    def _whole(self, end: int, seq: int) -> Update:
        bids, asks = self.history.at(FIRST_ID + end)
        return Update(NATIVE, True, _texts(bids), _texts(asks), seq=seq)


@st.composite
def accounts(draw: st.DrawFn, *, max_changes: int = 40, min_frames: int = 4) -> Account:
    """Cut anywhere; ids of any stride; new counts begin with a snapshot (as Bybit's) or a delta (as OKX's)."""
    history = draw(histories(min_changes=min_frames, max_changes=max_changes))
    count = len(history.changes)
    cuts = draw(st.sets(st.integers(1, count), min_size=min_frames - 1)) | {count}
    stride = draw(st.sampled_from([1, 7]))
    by_snapshot = draw(st.booleans())
    anew = draw(st.sets(st.integers(1, len(cuts) - 1), max_size=3))
    account = Account(history, (), ())
    frames: list[Update] = []
    seq, base, start = ERA_IDS, ERA_IDS, 0
    for n, end in enumerate(sorted(cuts)):
        prev = seq
        base, seq = (base // 2, base // 2) if n in anew else (base, seq + stride)
        if n in anew and by_snapshot:
            frames.append(account._whole(end, seq))
        else:
            delta = history.delta(start, end)
            frames.append(Update(NATIVE, False, delta.bids, delta.asks, prev_seq=prev, seq=seq))
        start = end
    return Account(history, tuple(frames), tuple(sorted(cuts)))


def _crosses(bid: bool, price: int, other: int, size: int) -> bool:
    return bool(size) and (other <= price if bid else other >= price)


def _texts(levels: list[tuple[int, int]]) -> list[Level]:
    return [(str(price), str(size)) for price, size in levels]
