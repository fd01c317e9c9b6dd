"""The budget and the gate by themselves: pure arithmetic over a clock."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.runtime.rest_gate import MAX_GATE_S, Budget, Gate, retry_after_s

SECOND_NS = 1_000_000_000


@given(
    per_minute=st.integers(60, 6000),
    weights=st.lists(st.integers(1, 400), min_size=1, max_size=200),
    pauses=st.lists(st.integers(0, 20 * SECOND_NS), min_size=200, max_size=200),
)
def test_no_minute_holds_more_than_the_budget(per_minute: int, weights: list[int], pauses: list[int]) -> None:
    budget, now_ns, spent = Budget(per_minute), 0, []
    for weight, pause_ns in zip(weights, pauses, strict=False):
        now_ns += pause_ns
        now_ns += budget.wait_ns(now_ns, weight)
        budget.take(now_ns, weight)
        spent.append((now_ns, weight))
    for index, (start_ns, _) in enumerate(spent):
        window = [weight for moment_ns, weight in spent[index:] if moment_ns < start_ns + 60 * SECOND_NS]
        # One request heavier than the bucket may have been let in on credit at the end.
        assert sum(window) <= per_minute + max(0, max(window) - per_minute * 0.25) + 1e-6


@given(st.integers(60, 6000), st.integers(1, 100))
def test_the_budget_is_used_not_only_kept(per_minute: int, weight: int) -> None:
    budget, now_ns, spent = Budget(per_minute), 0, 0
    while now_ns < 600 * SECOND_NS:
        now_ns += budget.wait_ns(now_ns, weight)
        budget.take(now_ns, weight)
        spent += weight
    assert spent >= per_minute * 0.75 * 10


@given(st.integers(60, 6000), st.integers(0, 10**9))
def test_whatever_is_reported_as_used_is_forgotten_after_a_minute(per_minute: int, used: int) -> None:
    budget = Budget(per_minute)
    budget.reported(0, used)
    assert budget.wait_ns(0) > 0 or per_minute - used >= 1
    assert budget.level(60 * SECOND_NS) >= -1e-6


def test_an_absurd_report_makes_no_debt_of_ours_smaller() -> None:
    budget = Budget(600)
    budget.take(0, 1000)
    budget.reported(0, 10**9)
    assert budget.level(0) == pytest.approx(150 - 1000)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_gate_never_opens_earlier_because_of_a_later_answer() -> None:
    clock = Clock()
    gate = Gate(clock)
    gate.close(418, 100.0, 120.0)
    gate.close(429, 1.0, 10.0)
    assert gate.remaining_s() == 100
    clock.now += 99
    assert gate.remaining_s() == 1
    clock.now += 5
    assert gate.remaining_s() == 0


def test_answers_of_requests_already_on_their_way_do_not_count_as_repeated_refusals() -> None:
    clock = Clock()
    gate = Gate(clock)
    for _ in range(4):
        gate.close(429, None, 10.0)
    assert gate.remaining_s() == 10
    clock.now += 30
    gate.opened()
    assert gate.close(429, None, 10.0) == 10


def test_a_success_that_was_on_its_way_does_not_forgive_a_fresh_refusal() -> None:
    clock = Clock()
    gate = Gate(clock)
    gate.close(418, None, 10.0)
    gate.opened()
    clock.now += 11
    assert gate.close(418, None, 10.0) == 20


def test_the_longest_wait_is_the_longest_documented_ban() -> None:
    gate = Gate(Clock())
    assert gate.close(418, 1e12, 120.0) == MAX_GATE_S


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), (" 0.5 ", 0.5), ("0", 0), ("", None), ("soon", None), ("-3", None), ("nan", None), ("inf", None)],
)
def test_retry_after_as_a_number(text: str, seconds: float | None) -> None:
    assert retry_after_s(text, 0.0) == seconds


def test_retry_after_as_a_date() -> None:
    assert retry_after_s(formatdate(1_000_030, usegmt=True), 1_000_000.0) == 30
    assert retry_after_s(formatdate(1_000_000, usegmt=True), 1_000_030.0) is None


@given(st.text(max_size=40))
def test_no_header_text_is_ever_trouble(text: str) -> None:
    seconds = retry_after_s(text, 0.0)
    assert seconds is None or 0 <= seconds < float("inf")
