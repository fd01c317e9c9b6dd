"""When a frame was sent, as exact epoch nanoseconds.

1. Exchanges write RFC 3339 ("2026-08-24T22:34:13.793075885Z", or with an offset), decimal seconds
   ("1618678133.365913") or an epoch number of some unit, as a JSON number or as text.
2. A book needs its levels and its ids; its time is for people and for order among frames that have no ids. So a time
   that cannot be read (null, 0, a month 13, a second 60) makes no frame bad: the frame has none, and that is counted.
3. A second 60 is one of these: by epoch time it is the second after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from hoga.domain.errors import FrameError, snippet
from hoga.domain.numbers import INT64_MAX, epoch_ns

Time = Any
"""A field that holds a time, whatever it holds. `msgspec.UNSET`, its default, where it is not there at all."""

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):([0-5]\d))", re.ASCII)
_SECONDS = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?", re.ASCII)
_EPOCH_TEXT = re.compile(r"\d{1,19}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(NamedTuple):
    ns: int
    """0: none."""
    odd: bool
    """A time was sent, but none that can be read."""


def moment(read: Callable[[object], int], *fields: object) -> Moment:
    """The first of the fields that can be read and is a time."""
    odd = False
    for value in fields:
        if value is msgspec.UNSET or value == "":
            continue
        try:
            ns = read(value)
        except FrameError:
            ns = 0
        if ns:
            return Moment(ns, odd=False)
        odd = True
    return Moment(0, odd)


def epoch_time_ns(value: object) -> int:
    """Nanoseconds of an epoch number of any unit, or of its digits as text; 0 for 0 and below. FrameError("time")."""
    if isinstance(value, str) and _EPOCH_TEXT.fullmatch(value):
        value = int(value)
    if type(value) is not int:
        raise FrameError("time", f"no epoch time: {snippet(repr(value))}")
    return epoch_ns(value)


def rfc3339_ns(text: object) -> int:
    """Nanoseconds of an RFC 3339 time; 0 for 1970-01-01T00:00:00Z and before, which stands where there is no time."""
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise FrameError("time", f"no RFC 3339 time: {snippet(repr(text))}")
    day, clock, fraction, sign, hours, minutes = match.groups()
    ahead = 0 if sign is None else int(f"{sign}1") * (int(hours) * 3600 + int(minutes) * 60)
    return max(_checked(_second(f"{day}T{clock}") - ahead, fraction, match[0]), 0)


def seconds_ns(text: object) -> int:
    """Nanoseconds of decimal seconds."""
    match = _SECONDS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise FrameError("time", f"not a time in seconds: {snippet(repr(text))}")
    return _checked(int(match[1]), match[2], match[0])


def _checked(seconds: int, fraction: str | None, text: str) -> int:
    found = seconds * 10**9 + int((fraction or "0").ljust(9, "0"))
    if found > INT64_MAX:
        raise FrameError("time", f"out of range: {snippet(text)!r}")
    return found


@lru_cache(maxsize=256)
def _second(text: str) -> int:
    """Epoch seconds of "2026-08-24T22:34:13"; many frames share a second."""
    try:
        found = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise FrameError("time", f"no such time: {snippet(text)!r}: {error}") from None
    return (found - _EPOCH) // timedelta(seconds=1)
