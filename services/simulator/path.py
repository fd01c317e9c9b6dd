"""The price of every asset, common to all exchanges: a seeded random walk on a 100 ms grid of time.

The walk has spells of drift, so that a price leaves the range of an old snapshot, and is drawn back softly
towards where it began, so that hours later it is still plausible.
"""

from __future__ import annotations

from math import exp, sin
from random import Random

GRID_MS = 100
_LONGEST_CATCH_UP = 600


class PricePath:
    """One asset's price in USD. `speed` multiplies volatility and drift."""

    def __init__(self, seed: object, usd: float, start_ms: int, speed: float = 1.0) -> None:
        self._dice = Random(f"{seed}:path")
        self._usd, self._speed = usd, speed
        self._cell = start_ms // GRID_MS
        self._log = 0.0
        self._drift = 0.0
        self._volatility = 0.00002 * (1 + 2 * self._dice.random())
        """Relative, per grid step."""

    def price(self, now_ms: int) -> float:
        """The price at `now_ms`; an earlier time than the last one asked for gives the last one's price."""
        cell = now_ms // GRID_MS
        if cell > self._cell:
            for _ in range(min(cell - self._cell, _LONGEST_CATCH_UP)):
                self._step()
            self._cell = cell
        return self._usd * exp(self._log)

    def _step(self) -> None:
        dice = self._dice
        if dice.random() < 0.002:
            self._drift = dice.uniform(-1, 1) * self._volatility * 0.15
        jump = dice.gauss(0, 12) if dice.random() < 0.0005 else 0.0
        self._log += (dice.gauss(jump, 1) * self._volatility + self._drift) * self._speed - self._log * 2e-5


class Premium:
    """How much dearer one exchange is than the common price, slowly swinging: the 김프 of the KRW markets, the basis
    of futures."""

    def __init__(self, base: float, swing: float, period_s: float = 900.0, phase: float = 0.0) -> None:
        self._base, self._swing, self._period_s, self._phase = base, swing, period_s, phase

    def factor(self, now_ms: int) -> float:
        return 1.0 + self._base + self._swing * sin(now_ms / 1000 / self._period_s * 6.283185307 + self._phase)
