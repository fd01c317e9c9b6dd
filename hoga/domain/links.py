"""What happens to the connections that carry a symbol, as the books of it hear of it.

Frames and events of one link come in one order. An overlapping pair of a planned replacement is two links, each
with events of its own.

    OPENED    from now on the link carries the subscription of the symbol, and what comes over it may be believed;
              what came before, over a link of which nobody had heard, proves nothing
    SETTLED   it carries the symbol, and what a fresh subscription brings by itself has had its time to come
    CLOSED    the link is gone, or carries the symbol no more: what came over it is not known to be current

A link that has long been open when it is first heard of is told as SETTLED alone. One may be OPENED or SETTLED again
after a CLOSED: it was late, or frames or reports of it were lost; what is missing between the two its ids must tell.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class LinkEventKind(IntEnum):
    """The numbers are those of `orderbook.v1.LinkEvent`."""

    OPENED = 1
    SETTLED = 2
    CLOSED = 3


class LinkEvent(NamedTuple):
    kind: LinkEventKind
    link: str
    planned: bool = False
    """Of CLOSED: another link carries on what this one carried, as was intended."""
    reason: str = ""
    """Of CLOSED, for people."""
