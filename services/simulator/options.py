"""Everything the simulator can be told, with defaults for a demo."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.simulator.venues.registry import emulated


def _everything() -> tuple[str, ...]:
    return tuple(emulated())


@dataclass(slots=True)
class Options:
    host: str = "127.0.0.1"
    port: int = 9200
    seed: int = 7
    symbols: int = 10
    """Markets of each exchange, up to 500."""
    rate: float = 20.0
    """Frames a second of a busy market."""
    exchanges: tuple[str, ...] = field(default_factory=_everything)
    changes: float = 8.0
    """Mean level changes in one frame."""
    quiet: float = 0.2
    """Share of markets that hardly move (the first six of an exchange never are among them)."""
    bursts: float = 0.002
    """Chance per frame that a spell of about a second begins in which a market sends `burst_factor` times as much."""
    burst_factor: int = 3
    drift: float = 1.0
    """Multiplies the speed of prices."""
    max_levels: int = 2400
    history_s: float = 90.0
    """How far back the truth can be asked for."""
    keep_alive_s: float = 30.0
    """A topic that was quiet for so long sends its keep-alive, where the exchange has one."""
    slow_client_bytes: int = 8 << 20
    """Unsent bytes at which a client is cut off."""
    client_limits: bool = True
    """Whether connection and REST limits are enforced."""
