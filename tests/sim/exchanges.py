"""The simulated exchanges of a world: the simulator's own markets, dialects and faults, paced by the virtual clock."""

from __future__ import annotations

import time

from hoga.domain.types import Stamp
from services.simulator.options import Options
from services.simulator.world import World as Exchanges
from tests.sim.loop import SimLoop

ROUND_S = 0.001


class SimExchanges(Exchanges):
    """`pace` starts every market; nothing listens anywhere, `tests.sim.network` is the way in."""

    def __init__(self, loop: SimLoop, options: Options) -> None:
        super().__init__(options, lambda: Stamp(time.monotonic_ns(), time.time_ns()))
        self._loop = loop

    def pace(self) -> None:
        self.begin()
        self._advance()

    def _advance(self) -> None:
        more = self.advance()
        due = self._loop.now if more else max(self.next_due_s(), self._loop.now + ROUND_S)
        self._loop.call_at(due, self._advance)
