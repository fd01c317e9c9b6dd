"""Questions to a link that falls silent: who answers is held to it, who does not is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.probing import Probing

QUIET, ANSWER, IDLE, TICK = 1.5, 2.0, 15.0, 0.25
ASK, HOPELESS = 2.0, 12.0


def probing(hopeless_s: float = HOPELESS) -> Probing:
    return Probing(quiet_s=QUIET, answer_s=ANSWER, idle_s=IDLE, ask_s=ASK, hopeless_s=hopeless_s)


def proven(hopeless_s: float = HOPELESS) -> Probing:
    """Connected at 0, asked at 0, answered at once."""
    made = probing(hopeless_s)
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


def expected() -> Probing:
    """Connected and asked at 0, where the links before it answered."""
    made = Probing(quiet_s=QUIET, answer_s=ANSWER, idle_s=IDLE, hopeless_s=HOPELESS, expected=True)
    made.asked(0.0)
    return made


def test_a_link_whose_forerunners_answered_is_held_to_it_from_its_first_moment():
    made = expected()
    assert made.verdict(ANSWER, 0.0, None) == ""
    assert "not answered for 2 s" in made.verdict(ANSWER + 0.1, 0.0, None)


def test_and_is_called_late_for_a_while_but_never_ended_for_it():
    made = expected()
    assert made.behind_s(HOPELESS) == HOPELESS
    assert made.verdict(HOPELESS + 1, HOPELESS, None) == "", "its first frames may be many megabytes"
    assert made.behind_s(HOPELESS + 1) == 0.0
    assert not made.expected


def test_a_sign_of_life_that_answers_nothing_proves_nothing():
    made = probing()
    made.answered()
    made.asked(1.0)
    assert not made.proven
    made.answered()
    assert made.proven
    made.answered()
    assert made.due_s(1.0) == 1.0 + QUIET


def test_a_link_that_answers_is_asked_again_while_frames_arrive():
    made = proven()
    assert made.due_s(0.9) == ASK
    made.asked(ASK)
    assert made.due_s(ASK + 0.5) == ASK + 0.5 + QUIET, "one question at a time, but for silence"
    made.answered()
    assert made.due_s(2 * ASK) == 2 * ASK


def test_a_link_that_does_not_answer_is_asked_only_when_it_is_silent():
    made = probing()
    made.asked(0.0)
    assert made.due_s(100.0) == 100.0 + QUIET
    assert made.behind_s(100.0) == 0.0


def test_an_open_question_tells_how_late_frames_are():
    made = proven()
    made.asked(10.0)
    assert made.behind_s(10.0) == 0.0
    assert made.behind_s(13.0) == 3.0
    made.asked(13.0)  # silence between the frames
    assert made.behind_s(14.0) == 4.0, "the oldest question counts"
    made.answered()
    assert made.behind_s(15.0) == 0.0


def test_a_link_that_is_hopelessly_late_is_replaced():
    made = proven()
    made.asked(10.0)
    assert made.verdict(10.0 + HOPELESS, 9.9 + HOPELESS, None) == ""
    assert "as old" in made.verdict(10.1 + HOPELESS, 10.0 + HOPELESS, None)


def test_while_a_write_hangs_silence_alone_counts():
    made = proven()
    assert made.verdict(10.0 + QUIET + ANSWER, 9.0, 10.0) == ""
    assert "hung" in made.verdict(10.1 + QUIET + ANSWER, 9.0, 10.0)
    assert made.verdict(10.1 + QUIET + ANSWER, 10.2, 10.0) == "", "what arrives shows that the other end lives"
    assert "hung" in made.verdict(10.3 + QUIET + ANSWER, 10.2, 10.0)


@given(pauses=st.lists(st.floats(0.01, 4.0), min_size=1, max_size=30), lag=st.floats(0.0, 0.9))
def test_silence_is_noticed_in_time_and_nothing_else_is(pauses, lag):
    """`lag` is what the message limit may hold a question back."""
    made, now, last = proven(hopeless_s=1000.0), 0.0, 0.0
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
