"""The ConnectionManager: what it calls a disagreement, when it asks for a reconnect, and when it must not."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.domain.types import Stamp
from services.monitor.connections import ConnectionManager, Findings
from services.monitor.links import Patience
from services.monitor.problems import Severity

from .monitor_support import BACKOFF, CLOSED, CONNECTED, SECOND, Clock, status

IDLE_S = 30.0
MISMATCH_S = 5.0


def manager() -> ConnectionManager:
    patience = Patience(mismatch_ns=int(MISMATCH_S * SECOND), silent_ns=3 * SECOND)
    return ConnectionManager(idle_timeout_s=lambda _exchange: IDLE_S, patience=patience)


class Scene:
    """A manager whose links report each second, and what it found."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.manager = manager()
        self.frames = 0
        self.asked: list[tuple[float, str]] = []
        """(seconds since the start, link) of every reconnect asked for."""
        self._start = self.clock.mono_ns

    def second(
        self, *, grow: int = 100, age_s: float = 0.0, link: str = "", slots: tuple[str, ...] = ("upbit-0",)
    ) -> Findings:
        now = self.clock.forward(1)
        self.frames += grow
        for slot in slots:
            self.manager.observe_link(status(slot, frames=self.frames, age_s=age_s, link=link), now)
        findings = self.manager.check(now)
        elapsed = (now.mono_ns - self._start) / SECOND
        self.asked += [(elapsed, advice.link) for advice in findings.reconnects]
        return findings

    def keys(self, findings: Findings) -> set[str]:
        return {problem.key for problem in findings.problems}


@given(
    pauses=st.lists(st.floats(0.05, 2.9), max_size=40), grow=st.lists(st.integers(1, 1000), min_size=40, max_size=40)
)
def test_a_link_that_reads_and_reports_is_never_a_problem(pauses: list[float], grow: list[int]) -> None:
    clock, found, frames = Clock(), manager(), 0
    for pause, more in zip(pauses, grow, strict=False):
        now = clock.forward(pause)
        frames += more
        found.observe_link(status(frames=frames), now)
        assert found.check(now) == Findings((), (), frozenset())


def test_a_frozen_link_is_asked_to_reconnect_after_its_idle_timeout_and_the_patience_and_not_before() -> None:
    scene = Scene()
    scene.second()
    for still_s in range(1, 60):
        scene.second(grow=0, age_s=still_s)
        if scene.asked:
            break
    at, link = scene.asked[0]
    assert at == 1 + IDLE_S + MISMATCH_S + 1
    assert link == "upbit-0.a1", "the request must name the connection it judged"


def test_a_link_that_only_hears_heartbeats_is_not_frozen() -> None:
    scene = Scene()
    for _ in range(120):
        findings = scene.second(grow=0, age_s=2)
    assert not findings.problems
    assert not scene.asked


def test_a_counter_that_grows_beats_an_age_that_claims_otherwise() -> None:
    scene = Scene()
    for second in range(120):
        findings = scene.second(grow=1, age_s=second)
    assert not findings.problems


def test_a_link_without_symbols_owes_no_frames() -> None:
    clock, found = Clock(), manager()
    for second in range(120):
        now = clock.forward(1)
        found.observe_link(status(symbols=(), age_s=second), now)
        assert not found.check(now).problems


def test_a_fresh_connection_starts_with_a_clean_slate() -> None:
    scene = Scene()
    scene.second()
    for still_s in range(1, 34):
        scene.second(grow=0, age_s=still_s)
    for still_s in range(1, 34):
        scene.second(grow=0, age_s=still_s, link="upbit-0.a2")
    assert not scene.asked


def test_a_silent_link_is_unknown_and_reported_but_not_asked_to_reconnect() -> None:
    scene = Scene()
    scene.second()
    findings = Findings((), (), frozenset())
    for _ in range(600):
        findings = scene.manager.check(scene.clock.forward(1))
        assert not findings.reconnects
    (problem,) = findings.problems
    assert problem.severity is Severity.CRITICAL
    assert "no report" in problem.text
    now = scene.clock()
    assert scene.manager.link_state(scene.manager.links()[0], now) == "SILENT"
    assert not scene.manager.get_connection_status("upbit", now).connected


@pytest.mark.parametrize("silence_s", [2.9, 3.1])
def test_three_seconds_without_a_report_is_the_limit(silence_s: float) -> None:
    scene = Scene()
    scene.second()
    findings = scene.manager.check(scene.clock.forward(silence_s / 2))
    findings = scene.manager.check(scene.clock.forward(silence_s / 2))
    assert bool(findings.problems) == (silence_s > 3)


def test_books_that_stand_still_on_a_link_alive_by_heartbeats_ask_for_a_reconnect() -> None:
    scene = Scene()
    for _ in range(60):
        scene.second()
        scene.manager.observe_books({("upbit", "BTC-KRW"): 10}, scene.clock())
    for _ in range(59):
        scene.second(grow=1)
        scene.manager.observe_books({}, scene.clock())
    assert not scene.asked
    for _ in range(3):
        findings = scene.second(grow=1)
    assert [link for _, link in scene.asked] == ["upbit-0.a1"]
    assert scene.keys(findings) == {"link.quiet.upbit.upbit-0"}


def test_a_quiet_market_is_left_alone() -> None:
    """A book that moves every 20 s has not lost its subscription after 10 minutes of the same."""
    scene = Scene()
    for second in range(20 * 150):
        scene.second(grow=1)
        scene.manager.observe_books({("upbit", "BTC-KRW"): 1} if second % 20 == 0 else {}, scene.clock())
    for _ in range(600):
        scene.second(grow=1)
        scene.manager.observe_books({}, scene.clock())
    assert not scene.asked


def test_what_moved_on_the_last_connection_proves_nothing_about_this_one() -> None:
    scene = Scene()
    for _ in range(60):
        scene.second()
        scene.manager.observe_books({("upbit", "BTC-KRW"): 10}, scene.clock())
    for _ in range(300):
        scene.second(grow=1, link="upbit-0.a2")
        scene.manager.observe_books({}, scene.clock())
    assert not scene.asked


def test_one_link_is_asked_ever_more_rarely() -> None:
    scene = Scene()
    for still_s in range(3600):
        scene.second(grow=0, age_s=still_s)
    times = [at for at, _ in scene.asked]
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == [30, 60, 120, 240, 480, 600, 600, 600, 600][: len(pauses)]
    assert 6 <= len(times) <= 10


def test_all_links_together_are_asked_six_times_a_minute_at_most() -> None:
    scene = Scene()
    slots = tuple(f"upbit-{number}" for number in range(50))
    for still_s in range(600):
        scene.second(grow=0, age_s=still_s, slots=slots)
    times = [at for at, _ in scene.asked]
    assert len(times) > 12, "and yet every link is asked in the end"
    assert all(sum(at <= other < at + 60 for other in times) <= 6 for at in times)


def test_a_pause_of_the_monitor_itself_is_nobody_elses_silence() -> None:
    scene = Scene()
    for _ in range(5):
        scene.second()
    findings = scene.manager.check(scene.clock.forward(300))
    assert not findings.problems
    assert not scene.second(grow=0).problems


def test_what_falls_silent_after_such_a_pause_is_seen_in_time() -> None:
    scene = Scene()
    scene.second()
    now = scene.clock.forward(300)
    scene.manager.observe_link(status(frames=scene.frames), now)
    scene.manager.check(now)
    for _ in range(4):
        findings = scene.manager.check(scene.clock.forward(1))
    assert scene.keys(findings) == {"link.silent.upbit.upbit-0"}


def test_an_outage_of_the_bus_is_nobodys_silence() -> None:
    scene = Scene()
    scene.second()
    now = scene.clock.forward(2.5)
    scene.manager.check(now)
    now = scene.clock.forward(2.5)
    scene.manager.bus_returned(5 * SECOND, now)
    assert not scene.manager.check(now).problems


def test_a_link_that_is_not_connected_is_told_with_its_reason_and_gets_worse() -> None:
    clock, found = Clock(), manager()
    severities = []
    for _ in range(15):
        now = clock.forward(1)
        found.observe_link(status(state=BACKOFF, reason="connection refused"), now)
        (problem,) = found.check(now).problems
        assert "connection refused" in problem.text
        severities.append(problem.severity)
    assert severities[0] is Severity.WARNING
    assert severities[-1] is Severity.CRITICAL


def test_a_link_that_reconnects_again_and_again_is_told() -> None:
    clock, found = Clock(), manager()
    for count in range(4):
        now = clock.forward(5)
        found.check(now)
        found.observe_link(status(frames=count, link=f"upbit-0.a{count}", reconnects=count), now)
    assert [problem.key for problem in found.check(now).problems] == ["link.flapping.upbit.upbit-0"]


def test_a_link_closed_on_purpose_is_no_problem_and_is_forgotten() -> None:
    clock, found = Clock(), manager()
    found.observe_link(status(), clock())
    found.observe_link(status(state=CLOSED), clock.forward(1))
    assert not found.check(clock()).problems
    for _ in range(61):
        found.check(clock.forward(1))
    assert found.links() == []


def test_published_frames_that_never_arrive_are_probed_and_then_blamed_on_the_bus() -> None:
    clock, found = Clock(), manager()
    probed_at, told_at, published = 0, 0, 0
    for second in range(1, 12):
        now = clock.forward(1)
        published += 100
        found.observe_published("upbit", "i1", published, now)
        found.observe_link(status(frames=published), now)
        findings = found.check(now)
        assert not findings.reconnects, "a reconnect does not mend the bus"
        if "upbit" in findings.probes:
            probed_at = probed_at or second
        if findings.problems:
            told_at = told_at or second
            assert "arrived on the bus" in findings.problems[0].text
    assert 0 < probed_at < told_at


def test_frames_that_only_the_probe_sees_are_blamed_on_the_validator() -> None:
    clock, found = Clock(), manager()
    for second in range(12):
        now = clock.forward(1)
        found.observe_link(status(frames=second), now)
        found.observe_published("upbit", "i1", 100 * second, now)
        findings = found.check(now)
        if "upbit" in findings.probes:
            found.observe_probe("upbit", 100)
    (problem,) = findings.problems
    assert "no validator has read one" in problem.text
    found.observe_validated("upbit", "v1", 1)
    found.observe_validated("upbit", "v1", 2)
    assert found.check(clock()) == Findings((), (), frozenset())


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=60))
def test_totals_that_both_grow_within_the_patience_are_never_probed(steps: list[tuple[int, int]]) -> None:
    """However unevenly the two totals grow, as long as the reader's grows at every second report."""
    clock, found = Clock(), manager()
    published = validated = 0
    for number, (more, read) in enumerate(steps):
        now = clock.forward(0.9)
        published, validated = published + more, validated + read + number % 2
        found.observe_link(status(frames=published), now)
        found.observe_published("upbit", "i1", published, now)
        found.observe_validated("upbit", "v1", validated)
        assert found.check(now).probes == frozenset()


def test_a_monitor_that_comes_late_takes_standing_totals_for_what_they_are() -> None:
    clock, found = Clock(), manager()
    for number in range(30):
        now = clock.forward(1)
        found.observe_link(status(frames=number), now)
        found.observe_validated("upbit", "v1", 900_000)
        found.observe_published("upbit", "i1", 1_000_000, now)
        assert found.check(now) == Findings((), (), frozenset())


def test_a_restart_of_ingest_is_no_loss_of_frames() -> None:
    clock, found = Clock(), manager()
    for number in range(20):
        now = clock.forward(1)
        count = 100 * number if number < 10 else 7 * (number - 9)
        found.observe_link(status(frames=number), now)
        found.observe_published("upbit", "old" if number < 10 else "new", count, now)
        found.observe_validated("upbit", "v1", 100 * number)
        assert not found.check(now).problems


def test_the_status_of_an_exchange_counts_what_can_be_vouched_for() -> None:
    clock, found = Clock(), manager()
    found.observe_link(status("upbit-0", symbols=("BTC-KRW", "ETH-KRW"), reconnects=2), clock())
    found.observe_link(status("upbit-1", state=BACKOFF, reason="refused"), clock())
    shown = found.get_connection_status("upbit", clock())
    assert (shown.connected, shown.links, shown.links_connected, shown.symbols) == (True, 2, 1, 2)
    assert shown.reconnects == 2
    assert "refused" in shown.reason
    unknown = found.get_connection_status("nowhere", clock())
    assert (unknown.connected, unknown.reason) == (False, "no link reported")


def test_the_guides_bare_status_calls_work_too() -> None:
    clock, found = Clock(), manager()
    found.register_connector("bithumb")
    assert not found.check(clock()).problems  # the system has only just started
    for _ in range(10):
        checked = found.check(clock.forward(1))
    assert [problem.key for problem in checked.problems] == ["link.none.bithumb"]
    found.update_exchange_status("bithumb", True, clock())
    assert found.get_connection_status("bithumb", clock()).connected
    assert not found.check(clock()).problems
    found.update_exchange_status("bithumb", False, clock.forward(1), reason="closed by the exchange")
    shown = found.get_connection_status("bithumb", clock())
    assert not shown.connected
    assert "closed by the exchange" in shown.reason


def test_a_registered_connector_is_kept_when_its_exchange_is_heard_of_again() -> None:
    class Mine:
        async def reconnect(self, link: str, reason: str) -> str:
            return ""

    found, mine = manager(), Mine()
    found.register_connector("upbit", mine)
    found.register_connector("upbit")
    found.observe_link(status(state=CONNECTED), Clock()())
    assert found.connector("upbit") is mine


async def test_monitoring_checks_every_period_until_it_is_cancelled() -> None:
    clock, checked = Clock(), asyncio.Queue[Findings]()

    def tick() -> Stamp:
        return clock.forward(1)

    task = asyncio.create_task(manager().start_monitoring(tick, checked.put_nowait, period_s=0.001))
    for _ in range(3):
        await checked.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
