"""Who publishes the books, and whether they are still there.

The last book of a dead validator says LIVE for ever, and a quiet market sends nothing for minutes: neither the
book nor its age tells the two apart. What does is a sign of life of the publisher, which has one epoch per life
and names it in its books and, every second, in its `Health`. Here those signs are kept.

Pure: time comes in as monotonic nanoseconds.
"""

from __future__ import annotations

from enum import Enum

_EPOCHS_MAX = 256
"""Lives remembered; each restart of a validator is one more."""


class Life(Enum):
    ALIVE = "alive"
    UNKNOWN = "not heard yet"
    """Nothing heard, and not listened for long enough to call it silence."""
    SILENT = "silent"


class Publishers:
    """Signs of life by epoch. `stale_after_ns` = 0 turns the judgement off: everybody counts as alive."""

    def __init__(self, stale_after_ns: int) -> None:
        self._stale_after_ns = stale_after_ns
        self._heard: dict[int, int] = {}
        self._first_asked: dict[int, int] = {}

    def heard(self, epoch: int, now_ns: int) -> None:
        """A sign of life: a health message, or a book that cannot be an old one."""
        self._heard.pop(epoch, None)
        self._heard[epoch] = now_ns
        _trim(self._heard)

    def life(self, epoch: int, now_ns: int) -> Life:
        """The verdict on the publisher of `epoch`; patience begins with the first question."""
        if self._stale_after_ns == 0:
            return Life.ALIVE
        heard_ns = self._heard.get(epoch)
        if heard_ns is not None:
            return Life.ALIVE if now_ns - heard_ns <= self._stale_after_ns else Life.SILENT
        since_ns = self._first_asked.setdefault(epoch, now_ns)
        _trim(self._first_asked)
        return Life.UNKNOWN if now_ns - since_ns <= self._stale_after_ns else Life.SILENT


def _trim(by_epoch: dict[int, int]) -> None:
    while len(by_epoch) > _EPOCHS_MAX:
        del by_epoch[next(iter(by_epoch))]
