"""Update ids, in the three styles of `IdStyle`.

CHANGE  each change of a market has the next id
SHARED  one counter for all markets: each change takes the next id and leaves holes for what cannot be seen
FRAME   all changes of a window have the id of the frame that will carry them
"""

from __future__ import annotations

from random import Random

from services.simulator.venues.base import IdStyle

_SHARED_START = 5_123_107_832_006
_HOLES = 60


class Ids:
    """The counter of one market (of an exchange, where it is shared)."""

    def __init__(self, style: IdStyle, dice: Random) -> None:
        self.style = style
        self._dice = dice
        self._open = False
        """FRAME: whether the coming frame has its id already."""
        self.last = self._start()

    def take(self) -> int:
        """The id of the next change."""
        match self.style:
            case IdStyle.CHANGE:
                self.last += 1
            case IdStyle.SHARED:
                self.last += 1 + int(self._dice.random() * _HOLES)
            case IdStyle.FRAME:
                self.last += not self._open
                self._open = True
        return self.last

    def sent(self) -> None:
        """A frame has left: the next change belongs to the next one."""
        self._open = False

    def restart(self) -> None:
        """Ids begin anew, far below; the next one taken is the first of the new life (1 in the FRAME style)."""
        self.last = 0 if self.style is IdStyle.FRAME else self.last // 2
        self._open = False

    def _start(self) -> int:
        if self.style is IdStyle.SHARED:
            return _SHARED_START
        # So far up that half of it is never reached again within a run.
        return self._dice.randrange(*((10**6, 10**8) if self.style is IdStyle.FRAME else (10**9, 10**11)))
