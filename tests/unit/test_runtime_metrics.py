"""Plain integers that Prometheus reads: the same figures as its own histogram gives."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from hoga.runtime.metrics import LATENCY_BUCKETS_S, PlainHistogram

durations_ns = st.lists(
    st.one_of(st.integers(0, 20_000_000_000), st.sampled_from([round(bound * 1e9) for bound in LATENCY_BUCKETS_S]))
)


def samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): round(sample.value, 6)
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


@given(durations_ns, durations_ns)
@example([100_000], [])
def test_a_plain_histogram_says_what_prometheus_own_says(one, two):
    plain, theirs = CollectorRegistry(), CollectorRegistry()
    ours = PlainHistogram("x_seconds", "text", "exchange", LATENCY_BUCKETS_S, plain)
    reference = Histogram("x_seconds", "text", ["exchange"], buckets=LATENCY_BUCKETS_S, registry=theirs)
    for label, found in (("one", one), ("two", two)):
        child, other = ours.labels(label), reference.labels(label)
        for duration_ns in found:
            child.observe(duration_ns)
            other.observe(duration_ns / 1e9)
    assert samples(plain) == samples(theirs)
