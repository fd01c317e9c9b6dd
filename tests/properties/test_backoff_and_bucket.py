"""The back-off and the token bucket, whatever they are made of and however they are used."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hoga.domain.backoff import Backoff
from hoga.domain.bucket import TokenBucket

spans_ns = st.integers(1, 10**13)
failures = st.integers(0, 10_000)
buckets = st.builds(TokenBucket, capacity=st.integers(1, 50), interval_ns=st.integers(1, 10**10))
uses = st.lists(st.tuples(st.integers(0, 10**10), st.integers(1, 8)), min_size=1, max_size=60)
"""A pause, and how many tokens are wanted after it."""


@given(spans_ns, spans_ns, failures)
def test_each_failure_doubles_the_wait_up_to_the_longest(first, longest, count):
    backoff = Backoff(first, longest)
    assert backoff.after(count) <= longest
    assert backoff.after(count + 1) in (longest, 2 * backoff.after(count), min(first, longest))


@given(spans_ns, spans_ns)
def test_the_first_failure_costs_the_first_wait(first, longest):
    assert Backoff(first, longest).after(1) == min(first, longest)
    assert Backoff(float(first), float(longest)).after(1) == min(first, longest)


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6), failures, st.floats(0, 1), st.floats(0, 1))
def test_what_is_drawn_lies_between_the_least_share_and_the_whole_wait(first, longest, count, least, chance):
    backoff = Backoff(first, longest)
    whole = backoff.after(count)
    drawn = backoff.drawn(count, lambda: chance, least)
    assert least * whole * (1 - 1e-9) <= drawn <= whole * (1 + 1e-9)
    assert backoff.drawn(count, lambda: 0.0) == 0.0, "where nothing is said all of it is drawn"


@given(buckets, uses)
def test_no_window_holds_more_than_the_burst_and_what_came_back(bucket, uses):
    now_ns, taken = 0, []
    for pause_ns, tokens in uses:
        now_ns += pause_ns
        if tokens <= bucket.capacity and bucket.try_take(now_ns, tokens):
            taken.append((now_ns, tokens))
    for index, (start_ns, _) in enumerate(taken):
        total = 0
        for end_ns, tokens in taken[index:]:
            total += tokens
            assert (total - bucket.capacity) * bucket.interval_ns <= end_ns - start_ns


@given(buckets, uses)
def test_it_lets_go_at_the_moment_it_names_and_not_before(bucket, uses):
    now_ns = 0
    for pause_ns, tokens in uses:
        now_ns += pause_ns
        wait_ns = bucket.wait_ns(now_ns, tokens)
        wanted = min(tokens, bucket.capacity)
        assert wait_ns == 0 or bucket.level(now_ns + wait_ns - 1) < wanted
        assert wait_ns == 0 or not bucket.try_take(now_ns, tokens)
        now_ns += wait_ns
        assert bucket.level(now_ns) >= wanted * (1 - 1e-9) - 1e-9
        assert bucket.try_take(now_ns, tokens)


@given(buckets, uses, st.integers(-100, 50))
def test_it_keeps_no_more_than_it_is_left_with_and_never_gives_back(bucket, uses, left):
    now_ns = 0
    for pause_ns, tokens in uses:
        now_ns += pause_ns
        bucket.take(now_ns, tokens)
    before = bucket.level(now_ns)
    bucket.leave(now_ns, left)
    assert abs(bucket.level(now_ns) - min(before, left)) < 1e-6


@given(buckets, uses)
def test_a_bucket_that_rests_is_full_and_no_fuller(bucket, uses):
    for pause_ns, tokens in uses:
        bucket.take(pause_ns, tokens)
    assert bucket.level(bucket.full_ns) == bucket.level(bucket.full_ns + 10**15) == bucket.capacity
    assert bucket.level(bucket.full_ns - 1) < bucket.capacity
