"""Ways to spoil one frame. Each takes the payload and the market's native id and knows no exchange: it looks for what
looks like a price, a checksum or that id."""

from __future__ import annotations

import re
from collections.abc import Callable

Mangle = Callable[[bytes, str], bytes]
_PRICES = ((b'[["', b'"'), (b'"ask_price":', b","), (b'"ap":', b","), (b'"price_level":"', b'"'), (b'"price":', b","))
_CHECKSUM = re.compile(rb'("checksum":"?)(-?\d+)')


def truncated(payload: bytes, native: str = "") -> bytes:
    return payload[: len(payload) // 2]


def off_by_one(payload: bytes, native: str = "") -> bytes:
    """A wrong checksum; a frame without one is left as it is."""
    return _CHECKSUM.sub(lambda found: found[1] + str(int(found[2]) + 1).encode(), payload, count=1)


def _first_number(value: bytes) -> Mangle:
    """Puts `value` in place of the first price of the frame."""

    def mangle(payload: bytes, native: str) -> bytes:
        for opening, closing in _PRICES:
            before, found, rest = payload.partition(opening)
            _, closed, after = rest.partition(closing)
            if found and closed:
                return before + opening + value + closing + after
        return payload

    return mangle


def _wrong_symbol(payload: bytes, native: str) -> bytes:
    """Names a market that does not exist in place of its own, wherever the id stands."""
    return payload.replace(native.encode(), b"NOPE")


MANGLERS: dict[str, Mangle] = {
    "truncated": truncated,
    "empty": lambda payload, native: b"",
    "html": lambda payload, native: b"<html><body>502 Bad Gateway</body></html>",
    "binary": lambda payload, native: bytes(range(256)) + payload,
    "nan": _first_number(b"NaN"),
    "negative": _first_number(b"-1"),
    "infinite": _first_number(b"1e400"),
    "long_number": _first_number(b"9" * 60),
    "deep": lambda payload, native: b"[" * 100_000,
    "wrong_type": lambda payload, native: b'{"e":17,"data":[],"type":{},"code":null}',
    "huge": lambda payload, native: payload[:-1] + b" " * (6 << 20) + payload[-1:],
    "wrong_symbol": _wrong_symbol,
}
"""By name."""
