"""The builder where snapshots come in the stream: one line, new counts, old checksums."""

from __future__ import annotations

import zlib

from hoga.domain.actions import FactKind
from hoga.domain.checksum import Checksum
from hoga.domain.rules import BookRules
from hoga.domain.types import State, Update
from tests.support.driver import Driver, at, in_band
from tests.support.lines import ASKS, Links, delta, snapshot, step

BIDS = [("99", "1"), ("98", "2")]


class Lines(Links):
    def __init__(self, *links: str) -> None:
        super().__init__(in_band(BookRules(), kept=200), *links)


class TestOneLine:
    def test_the_first_snapshot_comes_by_itself_and_is_the_book(self) -> None:
        lines = Lines("a")
        lines.wait(1900)
        assert lines.asked == []
        lines.send("a", snapshot(10), step(11))
        assert (lines.state, lines.best, lines.keeper.sequence) == (State.LIVE, ("99", "5"), 11)

    def test_one_that_does_not_come_is_asked_for_again_and_again(self) -> None:
        lines = Lines("a")
        lines.send("a", step(11))
        lines.wait(20_000)
        assert len(lines.asked) == 4

    def test_a_gap_goes_on_and_a_fresh_subscription_heals(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(10), step(15))
        assert (lines.state, lines.keeper.missing, lines.asked) == (State.GAPPED, 4, ["a"])
        lines.send("a", snapshot(16, "7"))
        assert (lines.state, lines.best) == (State.LIVE, ("99", "7"))

    def test_a_snapshot_with_a_lower_id_begins_a_new_count(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(1000), step(1001), snapshot(1, "3"), step(2, "4"))
        assert (lines.state, lines.best, lines.keeper.sequence) == (State.LIVE, ("99", "4"), 2)
        assert FactKind.RENUMBERED in lines.facts
        assert lines.false_alarms() == []

    def test_a_delta_that_leads_back_begins_a_new_count(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(1000), delta(1000, 7, [("99", "3")]), step(8, "4"))
        assert (lines.state, lines.best, lines.keeper.sequence) == (State.LIVE, ("99", "4"), 8)
        assert FactKind.RENUMBERED in lines.facts
        assert lines.false_alarms() == []

    def test_a_loss_before_a_new_count_is_a_gap_of_so_many_ids(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(1000), delta(1002, 7, [("99", "3")]))
        assert (lines.state, lines.keeper.missing) == (State.GAPPED, 2)

    def test_a_keep_alive_changes_nothing_and_proves_a_quiet_book_after_a_reconnect_of_the_bus(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(10))
        lines.down()
        lines.up("a")
        assert lines.state is State.STALE
        lines.send("a", delta(10, 10))
        assert lines.state is State.LIVE

    def test_a_keep_alive_of_a_later_id_tells_of_a_loss(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(10), delta(12, 12))
        assert lines.state is State.GAPPED

    def test_a_snapshot_may_come_before_the_report_on_its_link(self) -> None:
        lines = Lines()
        lines.send("a", snapshot(10), step(11))
        assert lines.state is State.STALE
        lines.up("a")
        assert lines.state is State.STALE, "it may have been on its way for long"
        lines.send("a", step(12))
        assert lines.state is State.LIVE
        lines.wait(5000)
        assert lines.asked == []

    def test_a_snapshot_of_before_a_break_does_not_make_a_dead_link_live(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(10))
        lines.down()
        lines.send("a", step(11))
        lines.up("b")
        assert lines.state is State.STALE
        lines.wait(2000)
        assert lines.asked == ["b"], "a quiet symbol brings nothing by itself"
        lines.send("b", snapshot(11))
        assert lines.state is State.LIVE

    def test_what_the_stream_proves_after_a_break_is_not_asked_for(self) -> None:
        """Exchanges allow few subscription requests an hour, and every book of a link is broken at once."""
        lines = Lines("a")
        lines.send("a", snapshot(10))
        lines.down()
        lines.up("a")
        lines.send("a", step(11))
        assert lines.state is State.LIVE
        lines.wait(10_000)
        assert lines.asked == []

    def test_a_validator_that_begins_in_the_middle_asks_for_what_does_not_come_by_itself(self) -> None:
        lines = Lines("a")
        lines.send("a", step(50), step(51))
        assert lines.state is State.SYNCING
        lines.wait(2100)
        assert lines.asked == ["a"]
        lines.send("a", snapshot(51), step(52))
        assert lines.state is State.LIVE
        assert lines.false_alarms() == []

    def test_a_swapped_pair_is_a_reversal_and_heals(self) -> None:
        lines = Lines("a")
        lines.send("a", snapshot(10), step(12), step(11))
        assert (lines.state, lines.asked[-1:]) == (State.SYNCING, ["a"])
        lines.send("a", step(13), snapshot(13), step(14))
        assert (lines.state, lines.keeper.sequence) == (State.LIVE, 14)

    def test_a_book_that_the_exchange_sends_crossed_is_kept_and_nothing_is_asked_for(self) -> None:
        """As in a call auction: orders do not match, and nothing was lost."""
        lines = Lines("a")
        lines.send("a", Update("X", True, [("105", "1"), ("99", "1")], ASKS, seq=3))
        lines.send("a", delta(3, 4, [("106", "1")]))
        lines.wait(60_000)
        assert (lines.state, lines.best, lines.asked) == (State.CROSSED, ("106", "1"), [])
        lines.send("a", delta(4, 5, [("106", "0"), ("105", "0")]))
        assert (lines.state, lines.best, lines.asked) == (State.LIVE, ("99", "1"), [])


class TestChecksums:
    """Recordings of before the ids: the checksum proves, over texts as they were received."""

    RULE = Checksum(2, lambda bids, asks: zlib.crc32(repr((bids, asks)).encode()))

    def made(self) -> Driver:
        return in_band(BookRules(), kept=400, checksum=self.RULE)

    def test_a_delta_with_neither_is_rejected(self) -> None:
        keeper = self.made()
        keeper.receive(Update("X", True, BIDS, ASKS, checksum=self.RULE.compute(BIDS, ASKS)), "a", at(1))
        keeper.receive(Update("X", False, [("99", "7")], []), "a", at(2))
        assert keeper.state is State.GAPPED

    def test_a_snapshot_whose_checksum_is_wrong_is_no_book(self) -> None:
        keeper = self.made()
        keeper.receive(Update("X", True, BIDS, ASKS, checksum=1), "a", at(1))
        assert keeper.state is State.SYNCING
