"""A recording as the simulator plays it: book frames by market and REST bodies by request, per exchange.

Frames are kept as recorded, byte for byte. Only what is needed to hand them out is read from them: the market.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hoga.domain.errors import ConfigError, TapeError
from hoga.wire import tape as layout
from services.simulator.listings import CODES

MAX_SPEED = float("inf")
_HOSTS = {
    "fstream.binance.com": "binance_future", "fapi.binance.com": "binance_future",
    "dstream.binance.com": "binance_future", "dapi.binance.com": "binance_future",
    "stream.binance.com": "binance_spot", "data-stream.binance.vision": "binance_spot",
    "api.binance.com": "binance_spot", "stream.binance.us": "binance_spot", "api.binance.us": "binance_spot",
    "api.upbit.com": "upbit",
    "ws-api.bithumb.com": "bithumb", "api.bithumb.com": "bithumb", "pubwss.bithumb.com": "bithumb",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    ts_ns: int
    native: str
    payload: bytes


@dataclass(slots=True)
class Body:
    """A recorded REST answer. `asked` is the last part of the path, `market` the symbol or markets asked for."""

    ts_ns: int
    asked: str
    market: str
    payload: bytes
    position: int
    """Frames before it."""
    served: bool = False


@dataclass(slots=True)
class Track:
    """One exchange's part of a recording."""

    frames: list[Frame] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    skipped: int = 0
    """Received frames that are no order books (acknowledgements, trades, tickers)."""

    def natives(self) -> list[str]:
        return list(dict.fromkeys(frame.native for frame in self.frames))


@dataclass(slots=True)
class Tape:
    tracks: dict[str, Track]
    speed: float = 1.0

    @staticmethod
    def read(path: Path, speed: float = 1.0) -> Tape:
        """TapeError where it cannot be read or holds nothing that could be played."""
        tracks: dict[str, Track] = {}
        codes: dict[str, str] = {}
        for record in layout.read(path):
            code = code_of(record.url or "")
            if code is not None:
                codes[record.conn] = code
            code = code or codes.get(record.conn)
            if code is None or not record.data or record.kind not in ("recv", "http"):
                continue
            track = tracks.setdefault(code, Track())
            if record.kind == "http":
                asked, market = request_of(record.url or "")
                track.bodies.append(Body(record.ts_ns, asked, market, record.data.encode(), len(track.frames)))
                continue
            native = native_of(record.data)
            if native is None:
                track.skipped += 1
            else:
                track.frames.append(Frame(record.ts_ns, native, record.data.encode()))
        if not any(track.frames for track in tracks.values()):
            raise TapeError(f"{path} holds no order-book frames of {', '.join(CODES)}")
        return Tape(tracks, speed)


def speed_of(text: str) -> float:
    """A factor above 0, or `max`."""
    if text == "max":
        return MAX_SPEED
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < MAX_SPEED:
        raise ConfigError(f"--speed {text!r}: allowed is a factor above 0, or max")
    return speed


def code_of(url: str) -> str | None:
    return _HOSTS.get(urlsplit(url).hostname or "")


def request_of(url: str) -> tuple[str, str]:
    """(last part of the path, market asked for): `…/depth?symbol=BTCUSDT&limit=1000` -> ("depth", "BTCUSDT")."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    asked = parts.path.rstrip("/")
    asked = "/".join(asked.split("/")[-2:]) if asked.endswith(("/24hr", "/all")) else asked.rsplit("/", 1)[-1]
    return asked, query.get("symbol", query.get("markets", query.get("pair", "")))


def native_of(text: str) -> str | None:
    """The market of an order-book frame, None for any other frame."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        return None
    stream, inner = found.get("stream", ""), found.get("data", found)
    if isinstance(inner, dict):
        if inner.get("e") == "depthUpdate":
            return str(inner["s"])
        if "@depth" in str(stream):
            return str(stream).partition("@")[0].upper()
    if found.get("type", found.get("ty")) == "orderbook":
        return str(found.get("code", found.get("cd")))
    return None
