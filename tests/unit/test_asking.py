"""When a snapshot is asked for: at once, again while nothing comes, and never faster than the budget of all allows."""

from __future__ import annotations

from hoga.domain.actions import RequestSnapshot
from hoga.domain.asking import AT_ONCE, LOW, REFILL_NS, URGENT, Asking
from hoga.domain.types import Stamp

S = 1_000_000_000


def asking() -> Asking:
    return Asking(in_band=False, retry_ns=5 * S, retry_limit_ns=60 * S)


def at(seconds: float) -> Stamp:
    return Stamp(int(seconds * S), 0)


def times(made: Asking, begin_every_s: float, until_s: float) -> list[float]:
    """When requests go out, where each is answered at once by something that does not last."""
    asked, step, next_begin = [], 0.1, 0.0
    for tick in range(int(until_s / step)):
        now = tick * step
        actions = []
        if now >= next_begin and not made.wanted:
            next_begin = now + begin_every_s
            actions = made.begin(LOW, at(now))
        actions += made.tick(at(now)) if not actions else []
        if actions:
            asked.append(now)
            made.end()
    return asked


def test_some_resyncs_ask_at_once_and_a_symbol_that_never_settles_asks_every_eight_seconds() -> None:
    asked = times(asking(), 1.2, 400.0)
    assert asked[AT_ONCE - 1] < 1.3 * AT_ONCE
    pauses = [second - first for first, second in zip(asked[-10:], asked[-9:], strict=False)]
    assert all(abs(pause - REFILL_NS / S) < 0.2 for pause in pauses)


def test_resyncs_that_are_rare_never_wait() -> None:
    made = asking()
    for number in range(100):
        assert made.begin(URGENT, at(number * 9.0)) == [RequestSnapshot(URGENT, 1)]
        made.end()


def test_wishes_that_follow_one_another_at_once_cost_little() -> None:
    made = asking()
    for number in range(3 * AT_ONCE):
        assert made.begin(URGENT, at(number * 0.01)) == [RequestSnapshot(URGENT, 1)]
        made.end()


def test_a_wish_that_never_went_out_costs_nothing() -> None:
    made = asking()
    for number in range(100):
        assert made.begin(LOW, at(number * 0.01), wait_ns=S) == []
        made.end()
    assert made.begin(LOW, at(2.0)) == [RequestSnapshot(LOW, 1)]


def test_an_unanswered_request_is_repeated_less_and_less_often() -> None:
    made = asking()
    made.begin(LOW, at(0.0))
    asked = [tick / 10 for tick in range(1, 4000) if made.tick(at(tick / 10))]
    assert asked[:4] == [5.0, 15.0, 35.0, 75.0]
    assert asked[4] - asked[3] == 60.0
