"""The simulated exchanges of a world: the simulator's own markets, emulators and faults, paced by the virtual clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from hoga.domain.types import Stamp
from services.simulator.options import Options
from services.simulator.venues.base import BookView
from services.simulator.world import World as Exchanges
from tests.sim.loop import SimLoop

ROUND_S = 0.001


class SimExchanges(Exchanges):
    """`pace` starts every market; nothing listens anywhere, `tests.sim.network` is the way in."""

    def __init__(self, loop: SimLoop, options: Options) -> None:
        super().__init__(options, lambda: Stamp(time.monotonic_ns(), time.time_ns()))
        self._loop = loop
        self._behind_until = 0.0
        for market in self.market.exchanges.values():
            setattr(market, "book", partial(self._book, market.book))  # noqa: B010 - mypy knows no other way

    def set_back(self, seconds: float) -> None:
        """The exchanges' clock was set back: until it has caught up, a time means two moments."""
        self._behind_until = max(self._behind_until, self._loop.now) + seconds

    def pace(self) -> None:
        self.begin()
        self._advance()

    def _book(self, book: Callable[..., BookView], native: str, at_ms: int | None = None) -> BookView:
        """A snapshot as of a time is what an exchange holds, not what it held at that time on the clock before."""
        return book(native, None if self._loop.now < self._behind_until else at_ms)

    def _advance(self) -> None:
        more = self.advance()
        due = self._loop.now if more else max(self.next_due_s(), self._loop.now + ROUND_S)
        self._loop.call_at(due, self._advance)
