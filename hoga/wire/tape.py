"""Tapes: recorded exchange traffic, one JSON object a line, gzip or plain.

    {"kind": "http|connect|send|recv", "ts_ns": …, "conn": "…", "url": …, "data": "…"}

`kind=http`: `url` is the request, `data` the body of the answer, standing where it arrived.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from hoga.domain.errors import TapeError, snippet

MAX_LINE_BYTES = 64 << 20


class Record(msgspec.Struct, gc=False):
    kind: str
    ts_ns: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    conn: str = ""
    url: str | None = None
    data: str | None = None


_decoder = msgspec.json.Decoder(Record)


def read(path: Path) -> Iterator[Record]:
    """The records of a tape in order; TapeError naming the file and line where it cannot be read."""
    number = 0
    try:
        with gzip.open(path, "rb") if _is_gzip(path) else path.open("rb") as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                number += 1
                if line.strip():
                    yield _record(path, number, line)
    except (OSError, EOFError, zlib.error) as error:
        where = f" after line {number}" if number else ""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TapeError(f"cannot read tape {path}{where}: {reason}") from None


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TapeError(
            f"{path} line {number} is no tape record ({error}): {snippet(line)} — a tape holds one JSON object a line "
            "with kind, ts_ns, conn, url and data"
        ) from None


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
