"""Times written as text, as exact epoch nanoseconds. FrameError("time") for anything else.

RFC 3339 in UTC with up to nine decimals ("2026-08-24T22:34:13.793075885Z") and decimal seconds ("1618678133.365913").
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from hoga.domain.errors import FrameError, snippet
from hoga.domain.numbers import INT64_MAX

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_SECONDS = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339_ns(text: str) -> int:
    """Nanoseconds of a UTC time; 0 for 1970-01-01T00:00:00Z and before, which stands where there is no time."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise FrameError("time", f"no RFC 3339 time in UTC: {snippet(text)!r}")
    return max(_checked(_second(match[1]), match[2], text), 0)


def seconds_ns(text: str) -> int:
    """Nanoseconds of decimal seconds."""
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise FrameError("time", f"not a time in seconds: {snippet(text)!r}")
    return _checked(int(match[1]), match[2], text)


def _checked(seconds: int, fraction: str | None, text: str) -> int:
    found = seconds * 10**9 + int((fraction or "0").ljust(9, "0"))
    if found > INT64_MAX:
        raise FrameError("time", f"out of range: {snippet(text)!r}")
    return found


@lru_cache(maxsize=256)
def _second(text: str) -> int:
    """Epoch seconds of "2026-08-24T22:34:13"; many frames share a second."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise FrameError("time", f"no such time: {snippet(text)!r}: {error}") from None
    return (moment - _EPOCH) // timedelta(seconds=1)
