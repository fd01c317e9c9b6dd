"""When to ask for a snapshot, and how urgently.

1. a request that brings nothing is repeated, less and less often;
2. a few resyncs in a row ask at once, further ones wait longer each time, until there was calm for a while: one bad
   symbol must not use up the request budget of all;
3. a more urgent wish overtakes a request that is already on its way.
"""

from __future__ import annotations

from hoga.domain.actions import Action, RequestSnapshot, Resubscribe
from hoga.domain.types import Stamp

URGENT, NORMAL, LOW, BACKGROUND = 1, 3, 5, 7
"""Priorities: no book at all, a wrong one, a gapped one, a re-centring."""
SPACING_NS = 1_000_000_000
SPACING_LIMIT_NS = 8_000_000_000
CALM_NS = 20_000_000_000
UNSPACED = 5


class Asking:
    """The request of one symbol (of one of its links, where `link` is named): whether one is wanted, when it goes
    out, when it is repeated."""

    __slots__ = (
        "_at_ns",
        "_attempt",
        "_in_band",
        "_limit_ns",
        "_link",
        "_priority",
        "_retry_ns",
        "_streak",
        "_wanted_at_ns",
        "wanted",
    )

    def __init__(self, *, in_band: bool, retry_ns: int, retry_limit_ns: int, link: str = "") -> None:
        """`in_band`: a snapshot is had by subscribing again. Repeated after `retry_ns`, doubled up to the limit."""
        self._link = link
        self._in_band = in_band
        self._retry_ns = retry_ns
        self._limit_ns = retry_limit_ns
        self.wanted = False
        self._priority = URGENT
        self._attempt = 0
        self._at_ns = 0
        self._streak = 0
        self._wanted_at_ns = 0

    def begin(self, priority: int, stamp: Stamp, *, wait_ns: int = 0) -> list[Action]:
        """A snapshot is wanted from now on; `wait_ns` where one may come by itself."""
        self.wanted = True
        self._priority = priority
        self._attempt = 0
        wait_ns = max(wait_ns, self._spacing(stamp))
        self._at_ns = stamp.mono_ns + wait_ns
        return [] if wait_ns else [self._ask(stamp)]

    def raise_to(self, priority: int) -> list[Action]:
        """The snapshot that is wanted has become more urgent."""
        if priority >= self._priority:
            return []
        self._priority = priority
        return [RequestSnapshot(priority, self._attempt)] if self._attempt and not self._in_band else []

    def end(self) -> None:
        self.wanted = False

    def again_in(self, wait_ns: int, stamp: Stamp) -> None:
        """What came did not do: asks again after `wait_ns`."""
        self._at_ns = stamp.mono_ns + wait_ns

    def again_soon(self, wait_ns: int, stamp: Stamp) -> None:
        """What came was too old: asks again after `wait_ns`, twice as long with each attempt, or sooner where due."""
        self._at_ns = min(self._at_ns, stamp.mono_ns + (wait_ns << min(self._attempt, 5)))

    def tick(self, stamp: Stamp) -> list[Action]:
        return [self._ask(stamp)] if self.wanted and stamp.mono_ns >= self._at_ns else []

    def _ask(self, stamp: Stamp) -> Action:
        self._attempt += 1
        wait_ns = self._retry_ns << min(self._attempt - 1, 10)
        self._at_ns = stamp.mono_ns + min(wait_ns, self._limit_ns)
        return (
            Resubscribe(self._attempt, self._link) if self._in_band else RequestSnapshot(self._priority, self._attempt)
        )

    def _spacing(self, stamp: Stamp) -> int:
        calm = stamp.mono_ns - self._wanted_at_ns > CALM_NS
        self._streak = 0 if calm else self._streak + 1
        self._wanted_at_ns = stamp.mono_ns
        if self._streak < UNSPACED:
            return 0
        return min(SPACING_NS << min(self._streak - UNSPACED, 10), SPACING_LIMIT_NS)
