"""Decoding helpers that every exchange module shares: typed JSON with one kind of error."""

from __future__ import annotations

from typing import Annotated, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from hoga.domain.errors import FrameError, snippet
from hoga.domain.types import Level, RawDelta

T = TypeVar("T")
U = TypeVar("U")

Seq = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A sequence id."""
MAX_LEVELS = 100_000
"""Levels a side in one frame; more is absurd (the largest seen is 27 236, Coinbase BTC-USD)."""


MAX_GLANCE_BYTES = 1 << 20
"""A side that is longer is read the ordinary way, which counts its levels."""
_MILLISECONDS = range(10**11, 10**14)


def glanced(
    native: str, prev_seq: int, seq: int, time_ms: object, bids: msgspec.Raw, asks: msgspec.Raw
) -> RawDelta | None:
    """A delta whose levels are still bytes; None where it is not the usual one."""
    usual = 0 <= prev_seq < seq and isinstance(time_ms, int) and time_ms in _MILLISECONDS
    if not usual or len(bids) > MAX_GLANCE_BYTES or len(asks) > MAX_GLANCE_BYTES:
        return None
    return RawDelta(native, prev_seq, seq, time_ms * 1_000_000, bids, asks)  # type: ignore[operator]


class Row(msgspec.Struct, gc=False, array_like=True):
    """A level as it is read where it is no pair of texts: what stands behind the first two elements is passed over
    (old recordings of Binance have an empty list there), and numbers may be JSON numbers."""

    price: msgspec.Raw
    size: msgspec.Raw


def decode(decoder: msgspec.json.Decoder[T], data: bytes, wider: msgspec.json.Decoder[U] | None = None) -> T | U:
    """Typed JSON; FrameError("json" or "shape") naming what was wrong and what was found. What does not fit is tried
    with `wider` before it is refused."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        if wider is not None:
            return decode(wider, data)
        raise FrameError("shape", f"{snippet(str(error))}: {snippet(data)}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError("json", f"{error}: {snippet(data)}") from None


def check_levels(levels: list[Level] | None) -> list[Level]:
    """The levels, refused where absurdly many; a list that is null is an empty one."""
    if levels is None:
        return []
    if len(levels) > MAX_LEVELS:
        raise FrameError("levels", f"{len(levels)} levels on one side; at most {MAX_LEVELS} are taken")
    return levels


def raw_number(raw: msgspec.Raw) -> str:
    """The text of a number exactly as sent, as a JSON number or as a string (what is no number is refused where it is
    read)."""
    text = bytes(raw).decode("ascii", "replace")
    return text[1:-1] if text[:1] == '"' else text


def rows(levels: list[Level] | list[Row] | None) -> list[Level]:
    """As `check_levels`, from either reading of levels."""
    if levels and isinstance(levels[0], Row):
        levels = [(raw_number(row.price), raw_number(row.size)) for row in levels]
    return check_levels(cast(list[Level] | None, levels))


def json_string(data: bytes, start: int) -> str | None:
    """The JSON string whose first character stands at `start`, up to its closing quote; None where broken."""
    end = data.find(b'"', start, start + 128)
    if end <= start:
        return None
    piece = data[start:end]
    if b"\\" in piece:
        end = _closing_quote(data, start)
        if end == start:
            return None
        try:
            return msgspec.json.decode(b'"' + data[start:end] + b'"', type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return None


def path_and_query(url: str) -> tuple[str, dict[str, str]]:
    """The path and the (first) query values of an address; empty where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", {}
    return parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}


def _closing_quote(data: bytes, start: int) -> int:
    position = start
    while position < min(len(data), start + 256):
        if data[position] == 0x5C:
            position += 2
        elif data[position] == 0x22:
            return position
        else:
            position += 1
    return start
