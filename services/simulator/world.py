"""All simulated exchanges at work, without a socket, a task or a clock of their own: time comes from `clock`.

    world = World(options, clock)
    world.begin()
    world.advance()          # whenever time has passed: frames that are due, pings, what was put off

`SimulatorServer` puts sockets in front of it and paces it; tests run it in memory.

Rules it keeps:
1. A late round sends less, it never catches up in a rush.
2. The frames of a market are due one interval after the other, markets are spread evenly over the first one.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

from hoga.domain.types import Stamp
from services.simulator.deeds import Faults
from services.simulator.desk import Desk
from services.simulator.market import Market, Truth
from services.simulator.options import Options
from services.simulator.venue import Venue

if TYPE_CHECKING:
    from services.simulator.proxy import FaultProxy

TICK_S = 0.05
_LATEST_S = 0.25
"""A market further behind than this skips the windows it missed."""
_BATCH = 200


class World:
    def __init__(self, options: Options, clock: Callable[[], Stamp]) -> None:
        self.options = options
        self.clock_offset_ns = 0
        """What `faults.clock` added to the wall clock."""
        self._clock = clock
        self.market = Market(options, clock().wall_ns // 1_000_000)
        self.venues: dict[str, Desk] = {}
        for code, market in self.market.exchanges.items():
            self.venues[code] = Venue(market, self.now, options.slow_client_bytes)
        self.faults = Faults(self)
        self.proxy: FaultProxy | None = None
        """The TCP proxy in front, where one runs; the `tcp_…` faults are its."""
        self.late_rounds = 0
        self._due: list[tuple[float, int, str, str]] = []
        """(monotonic seconds, order of listing, exchange, native id)"""
        self._pushed = 0
        self._numbers: dict[tuple[str, str], int] = {}
        """The entry of `_due` that counts: a market that leaves and comes back between two steps has an older one."""
        self._next_tick_s = 0.0

    def now(self) -> Stamp:
        """The exchanges' clock: monotonic, and wall time with the offset that `faults.clock` made."""
        stamp = self._clock()
        return Stamp(stamp.mono_ns, stamp.wall_ns + self.clock_offset_ns)

    def truth(
        self,
        code: str,
        native: str,
        *,
        seq: int | None = None,
        time_ms: int | None = None,
        depth: int | None = None,
        life: int | None = None,
    ) -> Truth:
        """The true book; see `ExchangeMarket.truth`."""
        return self.market.truth(code, native, seq=seq, time_ms=time_ms, depth=depth, life=life)

    def begin(self) -> None:
        """Begins to step every market."""
        self._next_tick_s = self._now_s()
        for code, market in self.market.exchanges.items():
            for place, native in enumerate(market.symbols):
                self._push(code, native, place / len(market.symbols) / self.options.rate)

    def enlist(self, code: str, native: str) -> None:
        """Begins to step a market that was listed meanwhile."""
        venue = self.venues[code]
        if isinstance(venue, Venue):
            venue.listed(native)
        self._push(code, native)

    def next_due_s(self) -> float:
        """When something is to be done, monotonic seconds."""
        return min(self._due[0][0], self._next_tick_s) if self._due else self._next_tick_s

    def advance(self) -> bool:
        """Does what is due and hands it to the links; whether more is due at once (a batch at a time)."""
        now_s = self._now_s()
        more = self._step_due(now_s)
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + TICK_S
            stamp = self.now()
            for venue in self.venues.values():
                venue.tick(stamp)
        for venue in self.venues.values():
            venue.flush()
        return more

    def _step_due(self, now_s: float) -> bool:
        wall_ms = self.now().wall_ns // 1_000_000
        done = 0
        while self._due and self._due[0][0] <= now_s:
            due_s, number, code, native = heapq.heappop(self._due)
            venue = self.venues[code]
            if self._numbers.get((code, native)) != number or not isinstance(venue, Venue):
                continue
            interval_ms = venue.step(native, wall_ms)
            if interval_ms is None:
                continue
            if now_s - due_s > _LATEST_S:
                self.late_rounds += 1
                due_s = now_s
            heapq.heappush(self._due, (due_s + interval_ms / 1000, number, code, native))
            done += 1
            if done >= _BATCH:
                return bool(self._due and self._due[0][0] <= now_s)
        return False

    def _push(self, code: str, native: str, delay_s: float = 0.0) -> None:
        number = self._pushed = self._pushed + 1
        self._numbers[code, native] = number
        heapq.heappush(self._due, (self._now_s() + delay_s, number, code, native))

    def _now_s(self) -> float:
        return self._clock().mono_ns / 1e9
