"""When to ask for a snapshot, and how urgently.

1. a request that brings nothing is repeated, less and less often;
2. some requests may go out at once, further ones only as fast as `REFILL_NS` allows: one bad symbol must not use up
   the request budget of all;
3. a more urgent wish overtakes a request that is already on its way;
4. a first request may wait a moment for what makes it useful, or needless (`hurry`).
"""

from __future__ import annotations

from hoga.domain.actions import Action, RequestSnapshot, Resubscribe
from hoga.domain.types import Stamp

URGENT, NORMAL, LOW, BACKGROUND = 1, 3, 5, 7
"""Priorities: no book at all, a wrong one, a gapped one, a re-centring."""
REFILL_NS = 8_000_000_000
AGAIN_NS = 1_000_000_000
"""A request so soon after another one costs little: what is on its way serves both."""
AT_ONCE = 20
TOO_OLD_NS = 300_000_000


class Asking:
    """The request of one symbol (of one of its links, where `link` is named): whether one is wanted, when it goes
    out, when it is repeated."""

    __slots__ = (
        "_asked_ns",
        "_at_ns",
        "_attempt",
        "_in_band",
        "_limit_ns",
        "_link",
        "_retry_ns",
        "_spent_ns",
        "priority",
        "wanted",
    )

    def __init__(self, *, in_band: bool, retry_ns: int, retry_limit_ns: int, link: str = "") -> None:
        """`in_band`: a snapshot is had by subscribing again. Repeated after `retry_ns`, doubled up to the limit."""
        self._link = link
        self._in_band = in_band
        self._retry_ns = retry_ns
        self._limit_ns = retry_limit_ns
        self.wanted = False
        self.priority = URGENT
        self._attempt = 0
        self._at_ns = 0
        self._asked_ns = -AGAIN_NS
        self._spent_ns = 0
        """When everything that was spent is earned again; each request spends `REFILL_NS`."""

    def begin(self, priority: int, stamp: Stamp, *, wait_ns: int = 0) -> list[Action]:
        """A snapshot is wanted from now on; `wait_ns` where one may come by itself, or the stream makes it needless."""
        self.wanted = True
        self.priority = priority
        self._attempt = 0
        wait_ns = max(wait_ns, self._spacing(stamp))
        self._at_ns = stamp.mono_ns + wait_ns
        return [] if wait_ns else [self._ask(stamp)]

    @property
    def unasked(self) -> bool:
        """Wanted, but no request has gone out yet."""
        return self.wanted and not self._attempt

    def hurry(self, stamp: Stamp) -> list[Action]:
        """What the first request has waited for is here."""
        if not self.unasked:
            return []
        self._at_ns = min(self._at_ns, stamp.mono_ns + self._spacing(stamp))
        return self.tick(stamp)

    def raise_to(self, priority: int) -> list[Action]:
        """The snapshot that is wanted has become more urgent."""
        if priority >= self.priority:
            return []
        self.priority = priority
        return [RequestSnapshot(priority, self._attempt)] if self._attempt and not self._in_band else []

    def end(self) -> None:
        self.wanted = False

    def again_in(self, wait_ns: int, stamp: Stamp) -> None:
        """What came did not do: asks again after `wait_ns`."""
        self._at_ns = stamp.mono_ns + wait_ns

    def again_soon(self, stamp: Stamp) -> None:
        """What came was too old: asks again soon, twice as late with each attempt, or sooner where due."""
        self._at_ns = min(self._at_ns, stamp.mono_ns + (TOO_OLD_NS << min(self._attempt, 5)))

    def tick(self, stamp: Stamp) -> list[Action]:
        return [self._ask(stamp)] if self.wanted and stamp.mono_ns >= self._at_ns else []

    def _ask(self, stamp: Stamp) -> Action:
        self._attempt += 1
        now_ns = stamp.mono_ns
        cost_ns = REFILL_NS if now_ns - self._asked_ns > AGAIN_NS else REFILL_NS // 4
        self._asked_ns = now_ns
        self._spent_ns = min(max(self._spent_ns, now_ns) + cost_ns, now_ns + AT_ONCE * REFILL_NS)
        wait_ns = self._retry_ns << min(self._attempt - 1, 10)
        self._at_ns = stamp.mono_ns + min(wait_ns, self._limit_ns)
        return (
            Resubscribe(self._attempt, self._link) if self._in_band else RequestSnapshot(self.priority, self._attempt)
        )

    def _spacing(self, stamp: Stamp) -> int:
        return max(0, self._spent_ns - stamp.mono_ns - (AT_ONCE - 1) * REFILL_NS)
