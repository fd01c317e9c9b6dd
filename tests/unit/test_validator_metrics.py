"""What is counted with every frame reaches Prometheus once a second, each time what is new."""

from __future__ import annotations

from prometheus_client import REGISTRY

from hoga.domain.rules import Counters
from hoga.runtime.health import HealthBoard
from services.validator.metrics import REPEATED_AGE_NS, Meters

CODE = "an-exchange-of-this-test"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"exchange": CODE, **labels}) or 0.0


def test_counts_are_carried_over_once_and_as_often_as_asked():
    board = HealthBoard("validator", "test")
    meters = Meters(board).of(CODE)
    for kind in (False, False, True):
        meters.frame(kind)
    meters.published(3_000_000)
    meters.published(REPEATED_AGE_NS)
    meters.conflated()
    assert value("hoga_validator_frames_total", kind="stream") == 0
    for _ in range(2):
        meters.carry_over([Counters(audits_agreed=2), Counters(audits_agreed=1, checksum_bad=4)])
        assert value("hoga_validator_frames_total", kind="stream") == 2
        assert value("hoga_validator_frames_total", kind="snapshot") == 1
        assert value("hoga_validator_books_published_total") == 2
        assert value("hoga_validator_books_conflated_total") == 1
        assert value("hoga_validator_audits_total", outcome="agreed") == 3
        assert value("hoga_validator_checksums_total", outcome="wrong") == 4
    meters.frame(False)
    meters.carry_over([])
    assert value("hoga_validator_frames_total", kind="stream") == 3
    assert value("hoga_validator_latency_seconds_count") == 1, "a book that is repeated has no latency"
    assert value("hoga_validator_latency_seconds_bucket", le="0.005") == 1
    assert value("hoga_validator_latency_seconds_bucket", le="0.0025") == 0
    counts = board.exchange(CODE)
    assert (counts.raw_messages, counts.book_messages, counts.conflated) == (4, 2, 1)
