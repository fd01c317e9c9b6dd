"""Which symbols a live link carries, by what ingest reports."""

from __future__ import annotations

from hoga.wire import pb
from services.validator.coverage import NOTHING, Coverage

S = 1_000_000_000


def report(
    link="L1", state=pb.LinkState.LINK_STATE_CONNECTED, symbols=("A", "B"), slot="s0", **fields
) -> pb.LinkStatus:
    return pb.LinkStatus(exchange="x", link=link, slot=slot, state=state, symbols=list(symbols), **fields)


def coverage() -> Coverage:
    return Coverage(silent_after_ns=3 * S, idle_after_ns=15 * S)


def test_a_connected_link_covers_its_symbols_and_a_lost_one_says_why() -> None:
    watch = coverage()
    assert watch.status(report(), 0).covered == {"A", "B"}
    assert watch.live_links == {"L1"}
    assert watch.status(report(), S) == NOTHING
    lost = watch.status(report(state=pb.LinkState.LINK_STATE_BACKOFF, reason="reset by peer"), 2 * S)
    assert lost.lost == {"A": "reset by peer", "B": "reset by peer"}
    assert not watch.live_links
    assert watch.status(report(link="L2"), 3 * S).covered == {"A", "B"}


def test_a_link_that_is_no_longer_reported_is_dead_and_one_report_revives_it() -> None:
    watch = coverage()
    watch.status(report(), 0)
    assert watch.tick(2 * S) == NOTHING
    assert set(watch.tick(4 * S).lost) == {"A", "B"}
    assert watch.tick(5 * S) == NOTHING
    assert watch.status(report(), 6 * S).covered == {"A", "B"}


def test_a_connected_link_on_which_nothing_arrives_is_dead() -> None:
    watch = coverage()
    watch.status(report(), 0)
    assert set(watch.status(report(last_frame_age_ns=16 * S), S).lost) == {"A", "B"}


def test_a_link_whose_frames_arrive_late_proves_nothing_until_it_has_caught_up() -> None:
    watch = coverage()
    watch.status(report(), 0)
    assert watch.status(report(behind_ns=1_900_000_000), S) == NOTHING
    late = watch.status(report(behind_ns=2_100_000_000), 2 * S)
    assert late.lost["A"] == "frames arrive at least 2.1 s late"
    assert watch.status(report(), 3 * S).covered == {"A", "B"}


def test_a_symbol_that_leaves_the_subscription_is_dropped_and_no_other_is_touched() -> None:
    watch = coverage()
    watch.status(report(), 0)
    change = watch.status(report(symbols=("A", "C")), S)
    assert (change.covered, change.lost, change.dropped) == ({"C"}, {}, {"B"})


def test_a_symbol_that_moves_to_another_slot_stays_covered() -> None:
    watch = coverage()
    watch.status(report(), 0)
    watch.status(report(slot="s1", link="L9", symbols=("B",)), S)
    change = watch.status(report(symbols=("A",)), 2 * S)
    assert change == NOTHING or (not change.lost and not change.dropped)


def test_a_planned_reconnect_moves_an_unreported_break_breaks() -> None:
    watch = coverage()
    watch.status(report(), 0)
    assert watch.status(report(link="L2"), S).moved == {"A", "B"}
    assert watch.live_links == {"L2"}
    assert watch.status(report(link="L2", reconnects=1), 2 * S) == NOTHING
    broken = watch.status(report(link="L3", reconnects=2), 3 * S)
    assert set(broken.broken) == {"A", "B"}


def test_frames_that_ingest_threw_away_break_its_symbols() -> None:
    watch = coverage()
    watch.status(report(), 0)
    assert set(watch.status(report(dropped=3), S).broken) == {"A", "B"}
    assert watch.status(report(dropped=3), 2 * S) == NOTHING


def test_a_closed_slot_is_no_live_one_and_an_empty_closed_one_is_forgotten() -> None:
    watch = coverage()
    watch.status(report(), 0)
    closed = watch.status(report(state=pb.LinkState.LINK_STATE_CLOSED, reason="ingest stops"), S)
    assert closed.lost == {"A": "ingest stops", "B": "ingest stops"}
    assert not closed.dropped, "stopped is not the same as no longer wanted"
    gone = watch.status(report(state=pb.LinkState.LINK_STATE_CLOSED, symbols=()), 2 * S)
    assert gone.dropped == {"A", "B"}


def test_a_symbol_whose_subscription_is_not_in_effect_is_not_carried_though_it_is_meant_to_be() -> None:
    watch = coverage()
    watch.status(report(), 0)
    change = watch.status(report(waiting=["B"]), S)
    assert (set(change.lost), change.dropped) == ({"B"}, frozenset())
    assert "refused for now" in change.lost["B"]
    assert "L1" not in watch.carriers("B")
    assert watch.covers("A")
    assert watch.status(report(), 2 * S).covered == {"B"}


def test_a_report_that_was_long_on_its_way_counts_from_when_it_was_made() -> None:
    watch = Coverage(silent_after_ns=3 * S, idle_after_ns=15 * S, clock="ours")
    watch.status(report(clock="ours", mono_ns=10 * S), 12 * S)
    assert watch.tick(13 * S) == NOTHING
    assert set(watch.tick(13 * S + 1).lost) == {"A", "B"}
    watch.status(report(clock="another", mono_ns=1), 20 * S)
    assert watch.tick(23 * S) == NOTHING, "another host's clock says nothing to us"


def test_a_report_from_before_the_silence_revives_nothing() -> None:
    watch = Coverage(silent_after_ns=3 * S, idle_after_ns=15 * S, clock="ours")
    watch.status(report(clock="ours", mono_ns=10 * S), 10 * S)
    assert watch.tick(14 * S).lost
    assert watch.status(report(clock="ours", mono_ns=11 * S), 15 * S) == NOTHING
    assert watch.status(report(clock="ours", mono_ns=13 * S), 15 * S).covered == {"A", "B"}
