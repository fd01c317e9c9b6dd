"""Answers to subscriptions: by symbol or by request, for good or for a while, and none at all."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.refusals import LONGEST_PAUSE_S, is_passing
from services.ingest.subscriptions import LONGEST_SETBACK_S, MAX_ATTEMPTS, Subscriptions
from tests.unit.test_ingest_subscriptions import NATIVES, strategy

A, B, C, D = NATIVES[:4]


def asked(subscriptions: Subscriptions, now_s: float = 0.0) -> list[str]:
    """The natives of the next request."""
    frame = subscriptions.next_frame(now_s, 0)
    assert frame is not None
    return [param.partition("@")[0].upper() for param in json.loads(frame)["params"]]


def made(*natives: str, per_request: int = 8, **patience: float) -> Subscriptions:
    """With all of them asked for in one request at 0."""
    subscriptions = Subscriptions(strategy("acks", per_request), **patience)
    subscriptions.want(natives)
    assert asked(subscriptions) == list(natives)
    return subscriptions


def test_a_request_is_answered_when_each_of_its_symbols_is():
    subscriptions = made(A, B, C)
    subscriptions.acknowledged(None, (B,))
    assert not subscriptions.settled
    assert subscriptions.refuse(None, "unknown symbol", (A,)).natives == (A,)
    assert not subscriptions.settled
    subscriptions.acknowledged(None, (C,))
    assert subscriptions.settled
    assert dict(subscriptions.refused) == {A: "unknown symbol"}


def test_frames_are_an_answer_only_where_they_came_after_the_question():
    frames = Counter({A: 5})
    subscriptions = Subscriptions(strategy("acks", 8), frames=frames.__getitem__)
    subscriptions.want([A, B])
    asked(subscriptions)
    frames.update([B])
    subscriptions.check(1.0)
    assert not subscriptions.settled
    frames.update([A])
    subscriptions.check(2.0)
    assert subscriptions.settled


def test_answers_by_symbol_find_their_request_whatever_the_order():
    subscriptions = Subscriptions(strategy("acks", 2))
    subscriptions.want([A, B, C, D])
    asked(subscriptions)
    asked(subscriptions)
    for native in (D, A, C, B):
        assert not subscriptions.settled
        subscriptions.acknowledged(None, (native,))
    assert subscriptions.settled


def test_answers_that_name_both_request_and_symbol_close_that_symbol_of_that_request():
    subscriptions = made(A, B)
    assert subscriptions.renew(A)
    assert asked(subscriptions) == [A]
    assert asked(subscriptions) == [A]
    subscriptions.acknowledged(1, (A,))
    subscriptions.acknowledged(1, (B,))
    subscriptions.acknowledged(3, (A,))
    assert not subscriptions.settled
    subscriptions.acknowledged(2)
    assert subscriptions.settled


def test_a_refusal_that_names_symbols_refuses_only_those():
    subscriptions = made(A, B, C)
    refusal = subscriptions.refuse(1, "unknown symbol", (B,))
    assert refusal.natives == (B,)
    assert subscriptions.next_frame(0.0, 0) is None, "nothing is asked again in halves"
    subscriptions.acknowledged(1, (A, C))
    assert dict(subscriptions.refused) == {B: "unknown symbol"}
    assert subscriptions.settled


def test_a_symbol_that_was_accepted_once_may_still_be_refused():
    subscriptions = made(A, B)
    subscriptions.acknowledged(1)
    subscriptions.refuse(None, "delisted", (A,))
    assert dict(subscriptions.refused) == {A: "delisted"}
    assert subscriptions.refuse(None, "who", ("NOBODY",)).natives == ("NOBODY",)
    assert list(subscriptions.refused) == [A]


@pytest.mark.parametrize(
    "text",
    [
        "-1003 Too many requests; current limit is 5",
        "Rate limit exceeded",
        "50011 Requests too frequent",
        "internal error",
        "50026 System error. Try again later",
        "Service temporarily unavailable",
        "server is busy",
        "Exceeded msg rate",
    ],
)
def test_a_passing_refusal_is_asked_again_later_as_it_was(text):
    subscriptions = made(A, B, C, setback_s=2.0)
    assert subscriptions.refuse(1, text).natives == (A, B, C)
    assert not subscriptions.refused
    assert not subscriptions.settled
    subscriptions.want([A, B, C])
    assert subscriptions.next_frame(0.0, 0) is None
    subscriptions.check(10.0)
    subscriptions.check(11.9)
    assert not subscriptions.has_work
    subscriptions.check(12.0)
    assert asked(subscriptions, 12.0) == [A, B, C]
    subscriptions.acknowledged(2)
    assert subscriptions.settled


@pytest.mark.parametrize("text", ["Invalid symbol", "60018 channel:books,instId:X doesn't exist", "no such stream", ""])
def test_the_exchanges_word_about_a_symbol_is_not_passing(text):
    assert not is_passing(text)


def test_pauses_after_passing_refusals_grow_to_a_limit():
    subscriptions, now_s, pauses = made(A, setback_s=2.0), 0.0, []
    for number in range(1, 13):
        subscriptions.refuse(number, "too many requests")
        subscriptions.check(now_s)
        began_s = now_s
        while not subscriptions.has_work:
            now_s += 1.0
            subscriptions.check(now_s)
        pauses.append(now_s - began_s)
        asked(subscriptions, now_s)
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert pauses[-1] == LONGEST_SETBACK_S


def test_a_refused_symbol_is_tried_again_ever_later_and_stays_refused_meanwhile():
    subscriptions, now_s, pauses = made(A, B, refusal_s=120.0), 0.0, []
    subscriptions.acknowledged(1, (B,))
    subscriptions.refuse(1, "no such symbol", (A,))
    for number in range(2, 9):
        subscriptions.check(now_s)
        began_s = now_s
        while not subscriptions.has_work:
            now_s += 10.0
            subscriptions.check(now_s)
        pauses.append(now_s - began_s)
        assert asked(subscriptions, now_s) == [A], "the others are not disturbed"
        assert list(subscriptions.refused) == [A]
        subscriptions.refuse(number, "no such symbol")
    assert pauses[:3] == [120.0, 240.0, 480.0]
    assert pauses[-1] == LONGEST_PAUSE_S


@pytest.mark.parametrize("how", ["acknowledged", "frames", "wish"])
def test_a_refused_symbol_is_taken_when_the_exchange_takes_it(how):
    frames: Counter[str] = Counter()
    subscriptions = Subscriptions(strategy("acks", 8), frames=frames.__getitem__, refusal_s=60.0)
    subscriptions.want([A])
    asked(subscriptions)
    subscriptions.refuse(1, "no such symbol")
    subscriptions.check(0.0)
    if how == "wish":
        subscriptions.want([])
        subscriptions.want([A])
        assert asked(subscriptions) == [A]
        return
    subscriptions.check(60.0)
    asked(subscriptions, 60.0)
    if how == "acknowledged":
        subscriptions.acknowledged(2)
    else:
        frames[A] += 1
        subscriptions.check(61.0)
    assert not subscriptions.refused
    assert subscriptions.settled
    assert subscriptions.asked_s(A) == 60.0


def test_a_symbol_that_sends_frames_all_the_same_is_not_refused():
    frames = Counter({A: 3})
    subscriptions = Subscriptions(strategy("acks", 8), frames=frames.__getitem__)
    subscriptions.want([A])
    asked(subscriptions)
    subscriptions.refuse(1, "already subscribed")
    subscriptions.check(1.0)
    assert list(subscriptions.refused) == [A]
    frames[A] += 1
    subscriptions.check(2.0)
    assert not subscriptions.refused
    subscriptions.want([A])
    assert subscriptions.next_frame(2.0, 0) is None


def test_one_silent_symbol_among_answered_ones_is_refused_and_the_link_is_not_deaf():
    subscriptions, now_s = made(A, B, C, ack_patience_s=10.0), 0.0
    subscriptions.acknowledged(None, (A,))
    subscriptions.acknowledged(None, (C,))
    for _ in range(MAX_ATTEMPTS - 1):
        now_s += 10.0
        subscriptions.check(now_s)
        assert asked(subscriptions, now_s) == [B]
    subscriptions.check(now_s + 10.0)
    assert not subscriptions.deaf
    assert list(subscriptions.refused) == [B]
    assert subscriptions.settled


def test_a_refused_symbol_that_is_not_even_answered_any_more_makes_no_link_deaf():
    subscriptions, now_s = made(A, ack_patience_s=10.0, refusal_s=60.0), 0.0
    subscriptions.refuse(1, "no such symbol")
    tries = 0
    for _ in range(4 * MAX_ATTEMPTS):
        now_s += 3600.0
        subscriptions.check(now_s)
        while subscriptions.next_frame(now_s, 0) is not None:
            tries += 1
    assert tries >= MAX_ATTEMPTS
    assert not subscriptions.deaf
    assert list(subscriptions.refused) == [A]


def test_where_requests_replace_a_refusal_is_asked_again_as_a_whole():
    subscriptions = Subscriptions(strategy("replaces"), setback_s=2.0)
    subscriptions.want([A, B])
    first = json.loads(subscriptions.next_frame(0.0, 0) or "")
    subscriptions.refuse(None, "WRONG_FORMAT")
    subscriptions.check(1.0)
    assert not subscriptions.has_work
    subscriptions.check(3.0)
    again = json.loads(subscriptions.next_frame(3.0, 0) or "")
    assert again[1]["codes"] == first[1]["codes"] == [A, B]
    subscriptions.check(4.0)
    assert subscriptions.settled


def test_where_requests_replace_a_symbol_that_is_named_is_left_out_and_tried_again_with_all_others():
    subscriptions = Subscriptions(strategy("replaces"), refusal_s=60.0)
    subscriptions.want([A, B, C])
    subscriptions.next_frame(0.0, 0)
    subscriptions.refuse(None, "no such code", (B,))
    subscriptions.want([A, B, C, D])
    assert json.loads(subscriptions.next_frame(1.0, 0) or "")[1]["codes"] == [A, C, D]
    subscriptions.check(1.0)
    subscriptions.check(61.0)
    assert json.loads(subscriptions.next_frame(61.0, 0) or "")[1]["codes"] == [A, B, C, D]


@given(
    bad=st.sets(st.sampled_from(NATIVES[:8]), max_size=4),
    per_request=st.integers(1, 8),
    shuffle=st.randoms(use_true_random=False),
    ids=st.booleans(),
    lost=st.floats(0.0, 0.6),
    hasty=st.floats(0.0, 0.6),
)
@settings(deadline=None)
def test_an_exchange_that_answers_symbol_by_symbol_ends_with_what_is_wanted(
    bad, per_request, shuffle: random.Random, ids, lost, hasty
):
    """In any order, with or without request ids; some answers are lost, some requests come too fast."""
    subscriptions = Subscriptions(strategy("acks", per_request), ack_patience_s=1.0, setback_s=1.0, refusal_s=1e9)
    subscriptions.want(NATIVES[:8])
    subscribed: set[str] = set()
    for now in range(200):
        answers = []
        while (frame := subscriptions.next_frame(float(now), 0)) is not None or subscriptions.has_work:
            if frame is None:
                continue
            request = json.loads(frame)
            request_id = request["id"] if ids else None
            for param in request["params"]:
                native = param.partition("@")[0].upper()
                if now < 20 and shuffle.random() < hasty:
                    answers.append((request_id, native, "too many requests"))
                    continue
                if native not in bad:
                    subscribed.add(native)
                if now > 20 or shuffle.random() >= lost:
                    answers.append((request_id, native, "no such symbol" if native in bad else ""))
        shuffle.shuffle(answers)
        for request_id, native, refusal in answers:
            if refusal:
                subscriptions.refuse(request_id, refusal, (native,))
            else:
                subscriptions.acknowledged(request_id, (native,))
        subscriptions.check(float(now))
        if subscriptions.deaf:
            return  # nobody can do better where no answer came at all
        if subscriptions.settled and now > 25:
            break
    assert subscriptions.settled
    assert bad <= set(subscriptions.refused)
    assert subscribed >= set(NATIVES[:8]) - bad
    assert not subscriptions.deaf
