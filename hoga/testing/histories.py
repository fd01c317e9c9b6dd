"""Hypothesis strategies: one history of a market, and the many ways a stream may tell it.

A history is a true book and single changes with consecutive ids; no prefix of it is crossed. A line cuts it into
deltas anywhere. What a network does to a line (losing, repeating, swapping) is drawn on top.
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


def _crosses(bid: bool, price: int, other: int, size: int) -> bool:
    return bool(size) and (other <= price if bid else other >= price)


def _texts(levels: list[tuple[int, int]]) -> list[Level]:
    return [(str(price), str(size)) for price, size in levels]
