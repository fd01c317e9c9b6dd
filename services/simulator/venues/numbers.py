"""How exchanges write numbers, from a mantissa and its decimal places. No floats."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=1 << 16)
def fixed(mantissa: int, decimals: int) -> str:
    """Decimal text with exactly `decimals` places: fixed(6150010, 2) == "61500.10"."""
    if not decimals:
        return str(mantissa)
    digits = str(mantissa).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


@lru_cache(maxsize=1 << 16)
def plain(mantissa: int, decimals: int) -> str:
    """Shortest decimal text without an exponent: plain(478800, 2) == "4788", plain(12, 3) == "0.012"."""
    text = fixed(mantissa, decimals)
    return text.rstrip("0").rstrip(".") if decimals else text


@lru_cache(maxsize=1 << 16)
def floating(mantissa: int, decimals: int) -> str:
    """As a JVM writes a number: "127.0", "0.00012221", and from 1e7 up or below 1e-6 with an exponent ("1.16539E8")."""
    if not mantissa:
        return "0.0"
    digits = str(mantissa).rstrip("0")
    exponent = len(str(mantissa)) - 1 - decimals
    if exponent >= 7:
        return f"{digits[0]}.{digits[1:] or 0}E{exponent}"
    if exponent < -6:
        return f"{digits[0]}.{digits[1:]}E{exponent}" if digits[1:] else f"{digits[0]}E{exponent}"
    text = plain(mantissa, decimals)
    return text if "." in text else f"{text}.0"


def rescale(mantissa: int, decimals: int, shown: int) -> int:
    """A mantissa with `decimals` places rounded half up to `shown` places."""
    if shown >= decimals:
        return mantissa * scale_of(shown - decimals)
    unit = scale_of(decimals - shown)
    return (mantissa + unit // 2) // unit


def scale_of(decimals: int) -> int:
    return int(10**decimals)


def total(levels: Iterable[tuple[int, int]]) -> int:
    """The sizes of all levels."""
    return sum(size for _, size in levels)
