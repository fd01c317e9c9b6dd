"""A recording as the simulator plays it: book frames by market and REST bodies by request, per exchange.

Frames are kept as recorded, byte for byte. Only what is needed to hand them out is read from them: the market. Which
exchange an address belongs to, and what a REST address asks for, the exchanges themselves say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hoga.domain.errors import ConfigError, TapeError
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RestMatch, RouteKind
from hoga.wire import tape as layout

MAX_SPEED = float("inf")


@dataclass(frozen=True, slots=True)
class Frame:
    ts_ns: int
    natives: tuple[str, ...]
    payload: bytes


@dataclass(slots=True)
class Body:
    """A recorded REST answer."""

    ts_ns: int
    asked: RestMatch
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
    """What is no order book (acknowledgements, trades, tickers) and no request that is known."""

    def natives(self) -> list[str]:
        return list(dict.fromkeys(native for frame in self.frames for native in frame.natives))


@dataclass(slots=True)
class Tape:
    tracks: dict[str, Track]
    speed: float = 1.0

    @staticmethod
    def read(path: Path, speed: float = 1.0) -> Tape:
        """TapeError where it cannot be read or holds nothing that could be played."""
        tracks: dict[str, Track] = {}
        owners: dict[str, Exchange] = {}
        for record in layout.read(path):
            exchange = registry.detect(record.url) if record.url else None
            if exchange is not None:
                owners[record.conn] = exchange
            exchange = exchange or owners.get(record.conn)
            if exchange is None or not record.data or record.kind not in ("recv", "http"):
                continue
            track = tracks.setdefault(exchange.code, Track())
            if record.kind == "http":
                _add_body(track, exchange, record)
            else:
                _add_frame(track, exchange, record)
        if not any(track.frames for track in tracks.values()):
            raise TapeError(f"{path} holds no order-book frames of {', '.join(registry.supported())}")
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


def _add_frame(track: Track, exchange: Exchange, record: layout.Record) -> None:
    payload = (record.data or "").encode()
    route = exchange.strategy.route(payload)
    if route.kind is RouteKind.BOOK and route.symbols:
        track.frames.append(Frame(record.ts_ns, route.symbols, payload))
    else:
        track.skipped += 1


def _add_body(track: Track, exchange: Exchange, record: layout.Record) -> None:
    asked = exchange.strategy.match_rest(record.url or "")
    if asked is None:
        track.skipped += 1
    else:
        track.bodies.append(Body(record.ts_ns, asked, (record.data or "").encode(), len(track.frames)))
