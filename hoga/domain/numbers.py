"""Decimal text to exact integers and back.

An exchange sends `"61800.20"`, `1.16539E8` or `0E-8`; a book keeps `mantissa * 10**exponent` with one
exponent for all its prices and one for all its sizes. Binary floats appear nowhere.

Rules for text from outside:
1. plain or exponent notation of JSON, ASCII digits, an optional leading minus; nothing else;
2. at most `MAX_CHARS` characters, a whole part of at most `MAX_WHOLE` digits and at most `MAX_DECIMALS` decimals. So
   every value is below 10**38, which fits 128 bits, at whatever exponent its column comes to: no level is refused
   for what another one is. The widest seen at an exchange has 20 digits in all;
3. what breaks a rule raises FrameError("number"), naming what was found.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hoga.domain.errors import FrameError, snippet

MAX_CHARS = 48
MAX_WHOLE = 20
MAX_DECIMALS = 18
POW10: tuple[int, ...] = tuple(10**n for n in range(MAX_WHOLE + MAX_DECIMALS + 1))

INT64_MAX = 2**63 - 1
_EPOCH_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
"""Below the first: seconds, milliseconds, microseconds; beyond: nanoseconds."""
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?\Z", re.ASCII)


class FinerError(Exception):
    """A value needs `decimals` decimals, more than the column holds: widen it and try again."""

    def __init__(self, decimals: int) -> None:
        super().__init__(decimals)
        self.decimals = decimals


@lru_cache(maxsize=16384)
def scale(text: str, decimals: int) -> int:
    """The integer `text * 10**decimals`, exactly; not negative.

    Raises FinerError where more decimals are needed, FrameError("number") where the text is no such number.
    """
    # The common case first: plain notation. int() itself would take '1_0', ' 1' and other scripts' digits.
    whole, _, fraction = text.partition(".")
    if len(fraction) > decimals:
        fraction = fraction.rstrip("0")
    missing = decimals - len(fraction)
    digits = whole + fraction
    if (
        missing >= 0
        and 0 < len(whole) <= MAX_WHOLE
        and len(text) <= MAX_CHARS
        and text[-1] != "."
        and digits.isascii()
        and digits.isdigit()
    ):
        return int(digits) * POW10[missing]
    mantissa, needed = parse(text)
    if needed > decimals:
        raise FinerError(needed)
    return mantissa * POW10[decimals - needed]


def parse(text: str) -> tuple[int, int]:
    """(mantissa, decimals) with the fewest decimals, at least 0: `text == mantissa / 10**decimals`.

    Raises FrameError("number") where the text is not a number, is negative, or has too many digits.
    """
    match = _NUMBER.match(text) if len(text) <= MAX_CHARS else None
    if match is None:
        raise FrameError("number", f"not a decimal number: {snippet(text)!r}")
    sign, whole, fraction, exponent = match.groups()
    fraction = fraction or ""
    mantissa = int(whole + fraction)
    if sign and mantissa:
        raise FrameError("number", f"negative number: {snippet(text)!r}")
    if mantissa == 0:
        return 0, 0
    decimals = len(fraction) - int(exponent or 0)
    if abs(decimals) > MAX_CHARS:
        raise FrameError("number", f"number out of range: {snippet(text)!r}")
    if decimals < 0:
        mantissa *= 10**-decimals
        decimals = 0
    while decimals > 0 and mantissa % 10 == 0:
        mantissa //= 10
        decimals -= 1
    if decimals > MAX_DECIMALS or mantissa >= POW10[MAX_WHOLE + decimals]:
        limits = f"more than {MAX_WHOLE} digits before the point or {MAX_DECIMALS} behind it"
        raise FrameError("number", f"{limits}: {snippet(text)!r}")
    return mantissa, decimals


def is_zero(text: str) -> bool:
    """Whether decimal text means zero; garbage does not."""
    return text == "0" or (text.startswith("0") and parse(text)[0] == 0)


def text_of(mantissa: int, decimals: int) -> str:
    """`mantissa / 10**decimals` as plain decimal text without trailing zeros."""
    if decimals <= 0:
        return str(mantissa)
    digits = str(mantissa).rjust(decimals + 1, "0")
    fraction = digits[-decimals:].rstrip("0")
    whole = digits[:-decimals]
    return f"{whole}.{fraction}" if fraction else whole


def epoch_ns(value: int) -> int:
    """An exchange's epoch time of any documented unit as nanoseconds, the unit found by magnitude; 0 for none.

    Exchanges have switched units without notice (Upbit sent microseconds for a time in 2023). FrameError("time")
    where the value is no time that fits.
    """
    if value <= 0:
        return 0
    factor = next((factor for limit, factor in _EPOCH_UNITS if value < limit), 1)
    if value * factor > INT64_MAX:
        raise FrameError("time", f"{value} is no epoch time")
    return value * factor
