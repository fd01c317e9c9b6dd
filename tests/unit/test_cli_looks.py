"""Numbers, ages and ports as the commands write and read them."""

from __future__ import annotations

import argparse
import socket
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.cli import ports
from hoga.cli.looks import amount, clock, decimals_of, duration, number, rate, uptime
from hoga.cli.options import shown, whole
from hoga.domain.errors import ConfigError

decimals = st.builds(
    lambda mantissa, places: Decimal(mantissa).scaleb(-places), st.integers(0, 10**18), st.integers(0, 18)
)


@given(decimals)
def test_a_number_with_all_its_decimals_is_exact_and_plain(value: Decimal) -> None:
    text = number(value, decimals_of(value))
    assert Decimal(text.replace(",", "")) == value
    assert "E" not in text


@given(decimals, st.integers(0, 8))
def test_fewer_decimals_are_at_most_half_a_step_off(value: Decimal, places: int) -> None:
    step = Decimal(1).scaleb(-places)
    assert abs(Decimal(number(value, places).replace(",", "")) - value) * 2 <= step


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.0 ms"),
        (400_000, "0.4 ms"),
        (23_400_000, "23 ms"),
        (4_100_000_000, "4.1 s"),
        (187_000_000_000, "3 m 07 s"),
        (7_500_000_000_000, "2 h 05 m"),
        (276_000_000_000_000, "3 d 04 h"),
        (-23_000_000, "-23 ms"),
    ],
)
def test_durations_are_short(ns: int, text: str) -> None:
    assert duration(ns) == text


@given(st.integers(-(2**62), 2**62))
def test_any_duration_fits_its_column(ns: int) -> None:
    assert len(duration(ns)) <= 16
    assert len(uptime(ns)) <= 20


def test_rates_sizes_and_clocks() -> None:
    assert [rate(value) for value in (-1, 0, 0.25, 9.96, 18.2, 1234.4)] == ["0", "0", "0.2", "10", "18", "1,234"]
    assert [amount(value) for value in (712, 48_300, 62e6, 1.44e9)] == ["712 B", "48 kB", "62 MB", "1.4 GB"]
    assert clock(1_771_579_800_123_999_999) == "09:30:00.123"
    assert uptime(192_000_000_000) == "00:03:12"
    assert uptime(86_400_000_000_000 + 61_000_000_000) == "1d 00:01:01"


def test_a_password_is_never_shown() -> None:
    assert shown("nats://user:secret@host:4222,tls://b:1") == "nats://host:4222,tls://b:1"


@pytest.mark.parametrize("text", ["-1", "1001", "x", "1.5", "", "٣", "²"])
def test_a_whole_number_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="levels from 0 to 1000"):
        whole(0, 1000, "a number of levels")(text)


def test_a_free_port_is_taken_as_asked_for() -> None:
    free = ports.any_free("127.0.0.1")
    assert ports.choose("127.0.0.1", free, explicit=True, what="page", change="--port") == free


def test_a_busy_default_gives_way_and_a_busy_wish_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert ports.accepts("127.0.0.1", port)
        assert not ports.greets("127.0.0.1", port, patience_s=0.05)
        chosen = ports.choose("127.0.0.1", port, explicit=False, what="page", change="--port")
        assert chosen not in (port, 0)
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is busy: the page .*--port"):
            ports.choose("127.0.0.1", port, explicit=True, what="page", change="--port")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"203\.0\.113\.7"):
        ports.choose("203.0.113.7", 8080, explicit=False, what="page", change="--port")
    with pytest.raises(ConfigError, match=r"203\.0\.113\.7"):
        ports.any_free("203.0.113.7")
