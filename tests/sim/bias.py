"""What a world draws from. Without a name for anything it is the whole variety of worlds and faults.

`WORLDS` are those worth having more of: two lines of one kind of exchange, and what strikes two lines. Few of them find
what many mixed ones do not. Every other seed is a mixed world, those between take the biased ones in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hoga.exchanges.base import BookStart, Continuity, Exchange
from hoga.exchanges.registry import EXCHANGES
from services.simulator.venues.registry import emulated


def such(fits: Callable[[Exchange], bool]) -> tuple[str, ...]:
    """The codes of the emulated exchanges that fit."""
    return tuple(sorted(code for code in emulated() if fits(EXCHANGES[code])))


BY_IDS = such(lambda one: one.traits.continuity in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS))
BY_REST = such(lambda one: one.traits.start is BookStart.REST)
"""Books are begun by a REST snapshot."""
BY_CHECKSUM = such(lambda one: one.traits.continuity is Continuity.CHECKSUM)
NOT_WHOLE = such(lambda one: one.traits.verified)
WHOLE = such(lambda one: not one.traits.verified)
"""Every frame is the whole book, and nothing proves that none is missing."""
FREE = such(lambda one: not one.strategy.limits.requests_per_hour)
"""Subscriptions may be taken anew as often as frames are lost. Elsewhere the hour's requests run short, and a book that
loses frame after frame rightly waits for minutes."""


@dataclass(frozen=True)
class Bias:
    """The choices of a world; each is drawn with equal chance."""

    faults: tuple[str, ...] = ()
    """Empty: all there are."""
    exchanges: tuple[str, ...] = tuple(sorted(emulated()))
    lines: tuple[str, ...] = ("one", "one", "two", "apart")
    """One connection for each symbol; two of one process; or two processes with one each."""
    policies: tuple[str, ...] = ("continue", "continue", "continue", "resync", "resync", "ignore")
    depths: tuple[int, ...] = (5, 10, 20)
    symbols: tuple[int, ...] = (1, 2, 2, 3)
    far_s: tuple[float, ...] = (0.0, 0.0, 0.0, 0.02, 0.15, 0.4)
    """How much farther a connection is than others to the same exchange: it takes another way, or starts elsewhere."""


ANY = Bias()
TWO = ("two", "apart")
LINK_FAULTS = (
    *("drop", "swap", "duplicate", "reset", "finish", "close", "half_open", "stall", "silence", "latency"),
    *("reconnect", "kill_ingest", "stop_ingest", "freeze_ingest", "resubscribe", "quiet", "halt", "hold_bus"),
    *("cut_bus", "delay"),
)
WORLDS = {
    "mixed": ANY,
    "rest": Bias(exchanges=BY_REST, lines=TWO),
    "inband": Bias(exchanges=tuple(sorted({*BY_IDS} - {*BY_REST})), lines=TWO),
    "connection": Bias(exchanges=tuple(sorted({*NOT_WHOLE} - {*BY_IDS})), lines=TWO),
    "whole": Bias(exchanges=WHOLE, lines=TWO),
    "renumber": Bias(
        ("renumber", "latency", "reset", "reconnect", "drop", "quiet", "resubscribe", "stall"), BY_IDS, TWO
    ),
    "far": Bias(
        ("latency", "reset", "drop", "swap", "burst", "reconnect", "quiet", "kill_ingest", "silence"),
        lines=TWO,
        far_s=(0.0, 0.02, 0.3, 1.2),
    ),
    "replace": Bias(("reconnect", "shutdown", "latency", "burst", "quiet", "reset"), lines=("one", *TWO)),
    "links": Bias(LINK_FAULTS, BY_IDS, TWO),
}
PHASE_FAULTS = ("phase", "maintain", "auction")
PHASES_IN_ALL = False
"""Whether mixed worlds draw phases, too; what was said of their seeds before is void then."""
EVERY_WORLD = WORLDS | {
    "phases": Bias((*PHASE_FAULTS, *PHASE_FAULTS, "drop", "reset", "reconnect", "kill_validator", "quiet"), NOT_WHOLE),
}
"""Those of the suite, and what has to be asked for."""
_BIASED = [name for name in WORLDS if name != "mixed"]


def world_of(seed: int) -> str:
    """The world that a seed is, where none is asked for."""
    return _BIASED[seed // 2 % len(_BIASED)] if seed % 2 else "mixed"
