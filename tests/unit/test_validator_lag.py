"""How late frames are taken from the bus, whatever the clocks do."""

from __future__ import annotations

import pytest

from services.validator.desk import Lag

S = 1_000_000_000


class Host:
    """Ingest and the validator on one host: one wall clock, and a bus that takes its time."""

    def __init__(self) -> None:
        self.lag = Lag()
        self.offset_ns = 0

    def frame(self, read_s: float, taken_s: float, link: str = "s0.aaaaaa1", *, set_by_s: float = 0.0) -> float:
        """What is said of a frame read and taken at these moments, with the clock set in between; in seconds."""
        read_ns = int(read_s * S) + self.offset_ns
        self.offset_ns += int(set_by_s * S)
        difference_ns = int(taken_s * S) + self.offset_ns - read_ns
        return self.lag.behind(link, difference_ns, int(taken_s * S)) / S


@pytest.fixture
def host() -> Host:
    return Host()


def test_what_waits_longer_and_longer_is_late(host: Host) -> None:
    found = [host.frame(second, second * 1.5 + 0.01) for second in range(20)]
    assert found == pytest.approx([second * 0.5 for second in range(20)])


def test_a_burst_that_has_waited_is_late_until_it_is_through(host: Host) -> None:
    assert host.frame(0, 0.01) == 0
    assert [host.frame(second, 9.01) for second in (1, 5, 8)] == pytest.approx([8, 4, 1])
    assert host.frame(10, 10.01) == pytest.approx(0)


@pytest.mark.parametrize("seconds", [-3600.0, -5.0, -0.5, 0.5, 5.0, 3600.0])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_clock_that_is_set_while_frames_are_on_their_way_is_no_lag_afterwards(
    host: Host, seconds: float, before: int
) -> None:
    for second in range(before):
        host.frame(second, second + 0.01)
    host.frame(10, 10.01, set_by_s=seconds)
    assert host.frame(10.1, 10.11, "s0.aaaaaa2") == pytest.approx(0, abs=0.2)
    assert [host.frame(second, second + 0.01) for second in (11, 12)] == pytest.approx([0, 0], abs=0.2)
    assert host.frame(13, 19.01) == pytest.approx(6, abs=0.2)


def test_two_lines_of_which_one_waits(host: Host) -> None:
    for second in range(20):
        waits_s = min(second, 6)
        assert host.frame(second, second + 0.01, "s0.aaaaaa1") == pytest.approx(0, abs=0.001)
        assert host.frame(second, second + waits_s + 0.02, "s0.bbbbbb1") == pytest.approx(waits_s + 0.01, abs=0.001)
