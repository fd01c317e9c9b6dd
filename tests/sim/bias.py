"""What a world draws from. Without a name for anything it is the whole variety of worlds and faults."""

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


ANY = Bias()
