"""Log lines: one per event, whatever is in them, and not many of the same."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from hoga.runtime.logs import MAX_KEYS, RateLimited, setup_logging
from hoga.runtime.settings import LogSettings


@pytest.fixture
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream(root_as_it_was: None) -> io.StringIO:
    output = io.StringIO()
    setup_logging(LogSettings(level="INFO"), "ingest-x", output)
    return output


def test_a_line_has_time_level_service_and_origin(stream: io.StringIO) -> None:
    logging.getLogger("services.ingest.link").warning("reconnecting in %.1f s", 0.4)
    line = stream.getvalue()
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING ingest-x link: reconnecting in 0\.4 s\n"
    assert re.fullmatch(pattern, line)


def test_times_are_utc(stream: io.StringIO) -> None:
    record = logging.LogRecord("a.b", logging.INFO, "f", 1, "x", None, None)
    record.created, record.msecs = 1_767_225_600.25, 250.0
    logging.getLogger().handle(record)
    assert stream.getvalue().startswith("2026-01-01T00:00:00.250Z ")


def test_line_breaks_and_tracebacks_stay_on_one_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("a").exception("failed on\r\n2026-01-01T00:00:00.000Z ERROR forged")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: first | second" in stream.getvalue()


def test_levels_below_the_setting_are_silent(stream: io.StringIO) -> None:
    logging.getLogger("a").debug("not this")
    logging.getLogger("a").info("this")
    assert "not this" not in stream.getvalue()
    assert "this" in stream.getvalue()


def test_a_second_setup_replaces_the_first(stream: io.StringIO) -> None:
    again = io.StringIO()
    setup_logging(LogSettings(), "x", again)
    logging.getLogger("a").info("once")
    assert (stream.getvalue(), again.getvalue().count("once")) == ("", 1)


def test_repeats_are_counted_and_told_with_the_next_line(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    limited = RateLimited(logging.getLogger("t"), interval_s=10.0, clock=lambda: now)
    written = [limited.warning("key", "trouble %d at 100%%", number) for number in range(5)]
    assert written == [True, False, False, False, False]
    assert limited.error("other", "else")
    now = 10.0
    assert limited.warning("key", "trouble %d at 100%%", 5)
    assert caplog.messages == ["trouble 0 at 100%", "else", "trouble 5 at 100% (and 4 more since the last such line)"]


def test_the_keys_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    limited = RateLimited(logging.getLogger("t"))
    for number in range(3 * MAX_KEYS):
        limited.info(str(number), "x")
    assert len(limited._keys) == MAX_KEYS
