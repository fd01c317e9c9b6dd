"""The subscriptions of a link against a model of an exchange, for exchanges of every sort."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.exchanges import upbit
from hoga.exchanges.base import ConnectionStrategy
from hoga.exchanges.binance import future
from services.ingest.subscriptions import MAX_ATTEMPTS, Subscriptions

NATIVES = [f"C{number}USDT" for number in range(12)]
CAPACITY = 8


def strategy(kind: str, per_request: int = 3) -> ConnectionStrategy:
    """ "acks", "replaces" (the whole list each time, no answers) or "stuck" (nothing can be unsubscribed)."""
    base = upbit.EXCHANGE.strategy if kind == "replaces" else future.EXCHANGE.strategy
    limits = replace(
        base.limits,
        symbols_per_link=CAPACITY,
        symbols_per_request=CAPACITY if kind == "replaces" else per_request,
    )
    extra = {"unsubscribe": lambda self, natives, request_id, now_ns: None} if kind == "stuck" else {}
    made: ConnectionStrategy = type("Made", (type(base),), {"limits": limits, **extra})()
    return made


class Model:
    """What the exchange believes; it refuses whole requests that name a bad symbol."""

    def __init__(self, kind: str, bad: set[str]) -> None:
        self.kind, self.bad = kind, bad
        self.subscribed: set[str] = set()
        self.most = 0

    def take(self, frame: str, subscriptions: Subscriptions) -> None:
        request = json.loads(frame)
        if isinstance(request, list):
            self.subscribed = set(request[1]["codes"])
            return
        natives = {param.partition("@")[0].upper() for param in request["params"]}
        assert natives
        if request["method"] == "UNSUBSCRIBE":
            assert natives <= self.subscribed
            self.subscribed -= natives
        elif natives & self.bad:
            subscriptions.refuse(request["id"], "no such stream")
            return
        else:
            self.subscribed |= natives
        self.most = max(self.most, len(self.subscribed))
        subscriptions.acknowledged(request["id"])


def pump(subscriptions: Subscriptions, model: Model, now_s: float = 0.0) -> int:
    """Sends until there is nothing to send; gives the number of requests."""
    for count in range(200):
        frame = subscriptions.next_frame(now_s, 0)
        if frame is None and not subscriptions.has_work:
            return count
        if frame is not None:
            model.take(frame, subscriptions)
    raise AssertionError("it never comes to rest")


wishes = st.lists(st.sets(st.sampled_from(NATIVES), max_size=CAPACITY), min_size=1, max_size=8)


@given(
    kind=st.sampled_from(["acks", "replaces"]),
    per_request=st.integers(1, CAPACITY),
    wishes=wishes,
    pumped=st.lists(st.booleans(), min_size=8, max_size=8),
)
@settings(deadline=None)
def test_the_exchange_ends_with_exactly_what_is_wanted(kind, per_request, wishes, pumped):
    subscriptions, model = Subscriptions(strategy(kind, per_request)), Model(kind, set())
    for wish, now in zip(wishes, pumped, strict=False):
        subscriptions.want(sorted(wish))
        if now:
            pump(subscriptions, model)
    pump(subscriptions, model)
    last = wishes[-1]
    # An exchange whose requests replace cannot be asked for nothing at all: then the link is closed.
    assert model.subscribed == last or (kind == "replaces" and not last)
    assert model.most <= CAPACITY
    assert subscriptions.settled
    assert not subscriptions.refused


@given(bad=st.sets(st.sampled_from(NATIVES[:8]), max_size=4), per_request=st.integers(1, 8))
@settings(deadline=None)
def test_refused_symbols_stand_alone_and_cost_no_other(bad, per_request):
    subscriptions, model = Subscriptions(strategy("acks", per_request)), Model("acks", bad)
    subscriptions.want(NATIVES[:8])
    pump(subscriptions, model)
    assert set(subscriptions.refused) == bad
    assert model.subscribed == set(NATIVES[:8]) - bad
    assert subscriptions.settled
    # A refused symbol is not asked for again and again.
    subscriptions.want(NATIVES[:8])
    assert pump(subscriptions, model) == 0


@given(wishes=wishes)
@settings(deadline=None)
def test_where_nothing_can_be_unsubscribed_what_is_new_is_asked_once(wishes):
    subscriptions, model = Subscriptions(strategy("stuck")), Model("stuck", set())
    for wish in wishes:
        subscriptions.want(sorted(wish))
        pump(subscriptions, model)
    assert wishes[-1] <= model.subscribed


def test_a_wish_that_changes_while_requests_wait_melts_into_one():
    subscriptions, model = Subscriptions(strategy("acks", 8)), Model("acks", set())
    for native in NATIVES[:6]:
        subscriptions.want([native])
    subscriptions.want(NATIVES[:6])
    assert pump(subscriptions, model) == 1


def test_new_symbols_are_asked_for_before_old_ones_are_given_up_while_there_is_room():
    subscriptions, model = Subscriptions(strategy("acks", 8)), Model("acks", set())
    subscriptions.want(NATIVES[:4])
    pump(subscriptions, model)
    subscriptions.want(NATIVES[2:6])
    assert json.loads(subscriptions.next_frame(0.0, 0) or "")["method"] == "SUBSCRIBE"
    full = Subscriptions(strategy("acks", 8))
    full.want(NATIVES[:8])
    full.next_frame(0.0, 0)
    full.want(NATIVES[1:9])
    assert json.loads(full.next_frame(0.0, 0) or "")["method"] == "UNSUBSCRIBE"


def test_a_renewal_gives_up_and_asks_again_for_that_symbol_alone():
    subscriptions, model = Subscriptions(strategy("acks", 8)), Model("acks", set())
    subscriptions.want(NATIVES[:4])
    pump(subscriptions, model)
    assert subscriptions.renew(NATIVES[1])
    assert not subscriptions.settled
    requests = [json.loads(subscriptions.next_frame(0.0, 0) or "") for _ in range(2)]
    assert [request["method"] for request in requests] == ["UNSUBSCRIBE", "SUBSCRIBE"]
    assert all(request["params"] == ["c1usdt@depth@100ms"] for request in requests)
    assert not subscriptions.renew("NOBODY")
    assert not Subscriptions(strategy("stuck")).renew(NATIVES[0])


def test_many_renewals_are_all_made():
    subscriptions, model = Subscriptions(strategy("acks", 3)), Model("acks", set())
    subscriptions.want(NATIVES[:8])
    pump(subscriptions, model)
    for native in NATIVES[:8]:
        assert subscriptions.renew(native)
    gone: set[str] = set()
    while subscriptions.has_work:
        frame = subscriptions.next_frame(0.0, 0)
        if frame is not None:
            request = json.loads(frame)
            if request["method"] == "UNSUBSCRIBE":
                gone |= set(request["params"])
            model.take(frame, subscriptions)
    assert len(gone) == 8
    assert model.subscribed == set(NATIVES[:8])


def test_a_refused_symbol_may_be_tried_again_by_renewing_it():
    subscriptions, model = Subscriptions(strategy("acks")), Model("acks", {NATIVES[0]})
    subscriptions.want(NATIVES[:2])
    pump(subscriptions, model)
    model.bad = set()
    assert subscriptions.renew(NATIVES[0])
    pump(subscriptions, model)
    assert model.subscribed == set(NATIVES[:2])
    assert not subscriptions.refused


def test_a_request_without_an_answer_is_repeated_then_the_link_is_deaf():
    subscriptions = Subscriptions(strategy("acks", 8), ack_patience_s=10.0)
    subscriptions.want(NATIVES[:2])
    now_s = 0.0
    for attempt in range(MAX_ATTEMPTS):
        assert subscriptions.next_frame(now_s, 0) is not None, attempt
        assert subscriptions.next_frame(now_s, 0) is None
        subscriptions.check(now_s + 9.9)
        assert subscriptions.next_frame(now_s, 0) is None
        assert not subscriptions.deaf
        now_s += 10.0
        subscriptions.check(now_s)
    assert subscriptions.deaf


def test_only_silent_symbols_of_an_unanswered_request_are_repeated():
    frames = Counter({NATIVES[1]: 7})
    subscriptions = Subscriptions(strategy("acks", 8), frames=frames.__getitem__, ack_patience_s=10.0)
    subscriptions.want(NATIVES[:3])
    subscriptions.next_frame(0.0, 0)
    frames[NATIVES[0]] += 1
    subscriptions.check(10.0)
    request = json.loads(subscriptions.next_frame(10.0, 0) or "")
    assert request["params"] == ["c1usdt@depth@100ms", "c2usdt@depth@100ms"]


def test_a_refusal_without_an_id_belongs_to_the_oldest_request_that_subscribes_and_to_all_of_it():
    sent = Counter()
    made = Subscriptions(strategy("acks"), frames=lambda native: sent[native])
    made.want(NATIVES[:1])
    made.next_frame(0.0, 0)
    made.acknowledged(None, NATIVES[:1])
    made.renew(NATIVES[0])
    made.want(NATIVES[:2])
    requests = [made.next_frame(1.0, 0), made.next_frame(1.1, 0)]
    assert "UNSUBSCRIBE" in requests[0]
    sent[NATIVES[0]] += 1  # on its way when it was given up
    made.check(1.2)
    made.refuse(None, "no such stream")
    assert made.asked_s(NATIVES[0]) is None, "it was refused with the other one"
    again = [made.next_frame(2.0, 0), made.next_frame(2.1, 0)]
    assert [sum(native.lower() in request for native in NATIVES[:2]) for request in again] == [1, 1]


def test_an_answer_without_an_id_belongs_to_the_oldest_request():
    subscriptions = Subscriptions(strategy("acks", 1))
    subscriptions.want(NATIVES[:2])
    subscriptions.next_frame(0.0, 0)
    subscriptions.next_frame(0.0, 0)
    refusal = subscriptions.refuse(None, "no")
    assert refusal is not None
    assert refusal.natives == (NATIVES[0],)
    assert list(subscriptions.refused) == [NATIVES[0]]
    subscriptions.acknowledged(None)
    assert subscriptions.settled


@pytest.mark.parametrize("request_id", [None, 77])
def test_an_answer_to_nothing_changes_nothing(request_id):
    subscriptions = Subscriptions(strategy("acks"))
    subscriptions.acknowledged(request_id)
    refusal = subscriptions.refuse(request_id, "odd")
    assert refusal is not None
    assert refusal.natives == ()
    assert subscriptions.settled
