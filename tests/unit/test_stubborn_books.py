"""Symbols that no snapshot heals: their requests must not use up the budget of all, and a checksum that is always wrong
must not take a right book away for ever."""

from __future__ import annotations

import zlib

import pytest

from hoga.domain.actions import FactKind, Resubscribe
from hoga.domain.checksum import Checksum
from hoga.domain.rules import BookRules
from hoga.domain.troubles import BAD_SUMS, GOOD_SUMS
from hoga.domain.types import State, Update
from tests.support.driver import at, by_connection, in_band
from tests.support.lines import ASKS, Links, delta, snapshot

HOUR_MS = 3_600_000
RULE = Checksum(2, lambda bids, asks: zlib.crc32(repr((bids, asks)).encode()))


@pytest.mark.parametrize("links", [("a",), ("a", "b")])
def test_a_symbol_that_crosses_after_every_snapshot_is_asked_for_ever_more_rarely(links: tuple[str, ...]) -> None:
    keeper = in_band(BookRules(), kept=400)
    keeper.report(set(links), at(0))
    seq, fresh, asked = 10, set(links), []
    for ms in range(500, HOUR_MS, 500):
        actions = []
        for link in sorted(fresh):
            actions += keeper.receive(snapshot(seq), link, at(ms))
        if fresh or ms % 1000 == 0:
            change = ("101", "1") if fresh else ("97", str(ms))  # what follows a snapshot crosses it
            for link in links:
                actions += keeper.receive(delta(seq, seq + 1, [change]), link, at(ms))
            seq += 1
        actions += keeper.tick(at(ms))
        fresh = {action.link for action in actions if isinstance(action, Resubscribe)}
        asked += fresh
        assert keeper.state is State.CROSSED
    assert 10 < len(asked) < 40
    assert "less and less often" in keeper.reason


class Summed(Links):
    """One link whose every update carries a sum; `kind` tells what orders its deltas."""

    def __init__(self, kind: str) -> None:
        self.numbered = kind == "ids"
        make = in_band if self.numbered else by_connection
        super().__init__(make(BookRules(), checksum=RULE), "a")
        self.seq = 10

    def summed(self, size: str, *, whole: bool, right: bool) -> Update:
        bids = [("99", size), ("98", "2")]
        ids = {"prev_seq": self.seq - 1, "seq": self.seq} if self.numbered else {}
        checksum = RULE.compute(bids, ASKS) if right else 7
        if whole:
            return Update("X", True, bids, ASKS, seq=ids.get("seq", -2), checksum=checksum)
        return Update("X", False, bids[:1], [], checksum=checksum, **ids)

    def bring(self, size: str, *, right: bool) -> None:
        self.seq += 1
        self.send("a", self.summed(size, whole=False, right=right))

    def serve(self, *, right: bool) -> None:
        self.send("a", self.summed("1", whole=True, right=right))


@pytest.mark.parametrize("kind", ["ids", "connection"])
def test_a_checksum_that_is_always_wrong_is_not_believed_in_the_end(kind: str) -> None:
    lines = Summed(kind)
    lines.serve(right=False)
    served, tries = 0, 0
    while lines.keeper.verified:
        tries += 1
        assert tries < 20
        lines.bring("5", right=False)
        lines.wait(1000)
        if len(lines.asked) > served:
            served = len(lines.asked)
            assert lines.state is State.SYNCING
            lines.serve(right=False)
    assert lines.keeper.counters.checksum_bad == BAD_SUMS
    lines.serve(right=False)
    asked = len(lines.asked)
    for n in range(20):
        lines.bring(str(10 + n), right=False)
        assert (lines.state, lines.best, lines.keeper.verified) == (State.LIVE, ("99", str(10 + n)), False)
    lines.wait(60_000)
    assert len(lines.asked) == asked
    assert lines.facts.count(FactKind.CHECKSUM_MISMATCH) == BAD_SUMS, "the rest is no news"


@pytest.mark.parametrize("kind", ["ids", "connection"])
def test_it_is_where_snapshots_bear_it_out_for_something_may_be_missing_behind_them(kind: str) -> None:
    lines = Summed(kind)
    lines.serve(right=True)
    for _ in range(3 * BAD_SUMS):
        lines.bring("5", right=False)
        lines.serve(right=True)
    lines.bring("5", right=False)
    assert (lines.state, lines.keeper.verified) == (State.SYNCING, True)


@pytest.mark.parametrize("kind", ["ids", "connection"])
def test_it_is_verified_again_after_some_that_come_out(kind: str) -> None:
    lines = Summed(kind)
    for _ in range(BAD_SUMS + 1):
        lines.serve(right=False)
    assert (lines.state, lines.keeper.verified) == (State.LIVE, False)
    for n in range(GOOD_SUMS):
        assert not lines.keeper.verified
        lines.bring(str(n + 2), right=True)
    assert (lines.state, lines.keeper.verified) == (State.LIVE, True)
    lines.bring("9", right=False)
    assert (lines.state, lines.asked[-1:]) == (State.SYNCING, ["a"]), "it proves something again"


@pytest.mark.parametrize("kind", ["ids", "connection"])
def test_a_wrong_one_now_and_then_is_believed_every_time(kind: str) -> None:
    lines = Summed(kind)
    for _ in range(3 * BAD_SUMS):
        lines.serve(right=True)
        for n in range(GOOD_SUMS):
            lines.bring(str(n + 2), right=True)
        assert lines.state is State.LIVE
        lines.bring("9", right=False)
        assert (lines.state, lines.keeper.verified) == (State.SYNCING, True)
