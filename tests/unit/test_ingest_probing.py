"""Questions to a link that falls silent: who answers is held to it, who does not is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.probing import Probing

QUIET, ANSWER, IDLE, TICK = 1.5, 2.0, 15.0, 0.25


def probing() -> Probing:
    return Probing(quiet_s=QUIET, answer_s=ANSWER, idle_s=IDLE)


def proven() -> Probing:
    """Connected at 0, asked at 0, answered at once."""
    made = probing()
    made.asked(0.0)
    made.answered()
    return made


def test_the_first_question_waits_for_nothing_and_the_next_ones_for_silence():
    made = probing()
    assert made.first
    made.asked(0.0)
    assert not made.first
    assert made.due_s(0.0) == float("inf"), "one question at a time"
    assert made.due_s(5.0) == 5.0 + QUIET


def test_a_proven_link_whose_question_stays_open_is_dead():
    made = proven()
    made.asked(10.0)
    assert made.verdict(10.0 + ANSWER, 8.5, None) == ""
    assert "not answered for 2 s" in made.verdict(10.01 + ANSWER, 8.5, None)


def test_any_frame_shows_life_even_if_it_does_not_answer():
    made = proven()
    made.asked(10.0)
    assert made.verdict(14.0, 10.001, None) == ""
    assert made.due_s(10.001) == pytest.approx(10.001 + QUIET)
    made.asked(10.001 + QUIET)
    assert made.verdict(10.1 + QUIET + ANSWER, 10.001, None)


def test_a_link_that_never_answers_is_left_to_the_idle_timeout():
    made = probing()
    made.asked(0.0)
    assert made.verdict(IDLE, 0.0, 0.5) == ""
    assert made.verdict(IDLE + 0.1, 0.0, None) == "nothing arrived for 15 s"


def test_a_sign_of_life_that_answers_nothing_proves_nothing():
    made = probing()
    made.answered()
    made.asked(1.0)
    assert not made.proven
    made.answered()
    assert made.proven
    made.answered()
    assert made.due_s(1.0) == 1.0 + QUIET


def test_while_a_write_hangs_silence_alone_counts():
    made = proven()
    assert made.verdict(10.0 + QUIET + ANSWER, 9.0, 10.0) == ""
    assert "hung" in made.verdict(10.1 + QUIET + ANSWER, 9.0, 10.0)
    assert made.verdict(10.1 + QUIET + ANSWER, 10.2, 10.0) == "", "what arrives shows that the other end lives"
    assert "hung" in made.verdict(10.3 + QUIET + ANSWER, 10.2, 10.0)


@given(pauses=st.lists(st.floats(0.01, 4.0), min_size=1, max_size=30), lag=st.floats(0.0, 0.9))
def test_silence_is_noticed_in_time_and_nothing_else_is(pauses, lag):
    """`lag` is what the message limit may hold a question back."""
    made, now, last = proven(), 0.0, 0.0
    due_since = None
    arrivals = []
    at = 0.0
    for pause in pauses:
        at += pause
        arrivals.append(at)
    dead_at = None
    while now < at + IDLE + 1 and dead_at is None:
        now += TICK / 10
        while arrivals and arrivals[0] <= now:
            last = arrivals.pop(0)
        if now >= made.due_s(last):
            due_since = now if due_since is None else due_since
            if now >= due_since + lag:
                made.asked(now)
                due_since = None
        else:
            due_since = None
        if made.verdict(now, last, None):
            dead_at = now
    assert dead_at is not None
    silence = dead_at - last
    assert silence > ANSWER, "it was dead while it lived"
    assert silence <= QUIET + lag + ANSWER + 3 * TICK / 10
    assert all(later > dead_at for later in arrivals)
