"""An exchange's limit of requests an hour, over hours of virtual time: kept, and not used up by one bad symbol."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.exchanges.binance import future
from hoga.exchanges.okx import spot
from services.ingest.budget import HOUR_S, RequestBudget
from services.ingest.subscriptions import Subscriptions

BAD, GOOD = "BAD-USDT", [f"G{number}-USDT" for number in range(8)]
MOST = spot.EXCHANGE.limits.requests_per_hour


class Link:
    """A link to an exchange that answers everything at once and counts the requests of every hour."""

    def __init__(self) -> None:
        self.subscriptions = Subscriptions(spot.EXCHANGE.strategy)
        self.subscriptions.want([BAD, *GOOD[:4]])
        self.now_s = 0.0
        self.sent: list[tuple[float, str, set[str]]] = []
        self.hour: deque[float] = deque()
        self.most = 0

    def second(self) -> None:
        self.now_s += 1.0
        self.subscriptions.check(self.now_s)
        for _ in range(2):  # a second
            if not self.subscriptions.has_work:
                return
            frame = self.subscriptions.next_frame(self.now_s, 0)
            if frame is not None:
                self._take(json.loads(frame))

    def _take(self, request: dict) -> None:
        natives = {arg["instId"] for arg in request["args"]}
        self.sent.append((self.now_s, request["op"], natives))
        self.hour.append(self.now_s)
        while self.hour[0] <= self.now_s - HOUR_S:
            self.hour.popleft()
        self.most = max(self.most, len(self.hour))
        for native in natives:
            self.subscriptions.acknowledged(int(request["id"]), [native])

    def asked_at(self, native: str, since_s: float) -> float:
        """When it was subscribed after that moment; waits for it."""
        while True:
            found = [at_s for at_s, op, natives in self.sent if op == "subscribe" and native in natives]
            if found and found[-1] >= since_s:
                return found[-1]
            assert self.now_s < since_s + 60, f"{native} is not served"
            self.bad_second()

    def bad_second(self) -> None:
        """A second in which the snapshot of one symbol was wrong once more."""
        self.subscriptions.renew(BAD)
        self.second()


def test_a_symbol_that_never_heals_keeps_the_hour_and_costs_no_other():
    link = Link()
    for hour in range(3):
        while link.now_s < (hour + 1) * HOUR_S:
            link.bad_second()
        began_s = link.now_s
        link.subscriptions.renew(GOOD[0])
        assert link.asked_at(GOOD[0], began_s) <= began_s + 2, "a healthy symbol that needs it once"
        link.subscriptions.want([BAD, *GOOD[: 5 + hour]])
        new = GOOD[4 + hour]
        assert link.asked_at(new, began_s) <= began_s + 3, "a new symbol"
    assert link.most <= MOST
    renewals = sum(BAD in natives for _, op, natives in link.sent if op == "unsubscribe")
    assert renewals >= 3 * 60, "and it is not given up itself"


def test_many_healthy_symbols_are_served_at_once_after_hours_of_a_bad_one():
    link = Link()
    while link.now_s < 2 * HOUR_S:
        link.bad_second()
    began_s = link.now_s
    link.subscriptions.want([BAD, *GOOD])
    for native in GOOD:
        link.subscriptions.renew(native)
    assert all(link.asked_at(native, began_s) <= began_s + 5 for native in GOOD)
    assert link.most <= MOST


def test_what_is_held_is_said_and_the_link_rests_meanwhile():
    link = Link()
    while not link.subscriptions.held:
        link.bad_second()
        assert link.now_s < HOUR_S
    assert link.subscriptions.held == {BAD}
    assert not link.subscriptions.has_work
    assert link.subscriptions.settled, "the old subscription is still there"
    link.subscriptions.want(GOOD)
    link.second()
    assert link.subscriptions.held == set(), "what is not wanted any more waits for nothing"


def test_a_symbol_that_was_well_for_an_hour_starts_afresh():
    budget = RequestBudget(spot.EXCHANGE.limits)
    for _ in range(20):
        budget.renewed(BAD, 0.0)
        budget.take(0.0)
    assert not budget.allows_renewal(BAD, HOUR_S / 60)
    for _ in range(100):
        budget.take(HOUR_S)
    assert budget.allows_renewal(BAD, HOUR_S)


@given(st.lists(st.tuples(st.sampled_from(["renew", "want"]), st.integers(0, 7), st.floats(0, 120)), max_size=400))
@settings(deadline=None, max_examples=50)
def test_no_hour_holds_more_whatever_is_asked(asked):
    link = Link()
    for what, number, pause_s in asked:
        link.now_s += pause_s
        if what == "renew":
            link.subscriptions.renew(GOOD[number])
        else:
            link.subscriptions.want([BAD, *GOOD[:number]])
        link.second()
    assert link.most <= MOST


@pytest.mark.parametrize("per_hour", [10, 240])
def test_a_budget_that_is_spent_lets_nothing_out_until_it_comes_back(per_hour):
    budget = RequestBudget(replace(spot.EXCHANGE.limits, requests_per_hour=per_hour))
    for left in range(per_hour // 2, 0, -1):
        assert budget.allows(0.0)
        assert budget.allows_renewal(BAD, 0.0) == (left >= 2), "both of its requests, or none"
        budget.take(0.0)
    assert not budget.allows(HOUR_S / (per_hour / 2) - 0.01)
    assert budget.allows(HOUR_S / (per_hour / 2) + 0.01)


def test_where_no_hour_is_documented_the_limit_of_a_second_holds_for_it():
    limits = future.EXCHANGE.limits
    budget = RequestBudget(limits)
    assert limits.requests_per_hour == 0
    for _ in range(int(limits.messages_per_s * HOUR_S / 2)):
        budget.take(0.0)
    assert not budget.allows(0.1)
