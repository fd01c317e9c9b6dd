"""Frames to measure with: from a file, or made by the venue emulators of the simulator."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hoga.domain.errors import FrameError
from hoga.domain.types import Stamp
from hoga.exchanges.base import Exchange, RestKind, RouteKind
from tests.support.simtape import record

SYMBOLS = 10
SECONDS = 16.0
MAKING: dict[str, Any] = {"rate": 10.0, "changes": 20.0, "max_levels": 1000, "bursts": 0.0, "drift": 0.5}
"""10 books of up to 1000 levels a side, 20 changes a frame."""
START_NS = 1_760_000_000_000_000_000
STEP_NS = 1_000_000


@dataclass(frozen=True)
class Feed:
    exchange: Exchange
    frames: list[tuple[bytes, Stamp]]
    """As received, each with a moment that fits its exchange time: a frame that is old is another case."""
    snapshots: dict[str, bytes]
    """REST body by native id."""


def read(exchange: Exchange, frames: Path, snapshots: Path | None) -> Feed:
    """`frames`: one frame a line; `snapshots`: a JSON object, native id -> REST body (as JSON, or as text)."""
    lines = [line for line in frames.read_bytes().splitlines() if line.strip()]
    bodies = json.loads(snapshots.read_bytes()) if snapshots else {}
    found = {
        native: (body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))).encode()
        for native, body in bodies.items()
    }
    return Feed(exchange, stamped(exchange, lines), found)


def made(exchange: Exchange, symbols: int = SYMBOLS, seconds: float = SECONDS) -> Feed:
    """The traffic of a client that subscribes to so many markets, always the same."""
    records, _ = record(exchange.code, seconds=seconds, seed=5, symbols=symbols, quiet=0.0, **MAKING)
    lines, snapshots = [], {}
    for one in records:
        if one["kind"] == "recv":
            lines.append(one["data"].encode())
        elif one["kind"] == "http":
            match = exchange.strategy.match_rest(one["url"])
            if match is not None and match.kind is RestKind.SNAPSHOT:
                snapshots[match.native_symbol] = one["data"].encode()
    return Feed(exchange, stamped(exchange, lines), snapshots)


def stamped(exchange: Exchange, lines: list[bytes]) -> list[tuple[bytes, Stamp]]:
    """Each frame is received when its exchange says that it was sent, and not before the one before it."""
    found, now_ns = [], 0
    for line in lines:
        now_ns = max(now_ns + STEP_NS, _sent_ns(exchange, line)) if now_ns else _sent_ns(exchange, line) or START_NS
        found.append((line, Stamp(now_ns, now_ns)))
    return found


def _sent_ns(exchange: Exchange, line: bytes) -> int:
    if exchange.strategy.route(line).kind is not RouteKind.BOOK:
        return 0
    try:
        return max((update.exchange_time_ns for update in exchange.handler.parse(line)), default=0)
    except FrameError:
        return 0
