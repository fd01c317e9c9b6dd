"""The number of a validator's life: the wall clock in microseconds, and always above that of the life before.

Whoever reads books takes the one with the higher epoch for the newer one. Clocks are set back now and then, so the
stream of last values is asked what the life before was called.
"""

from __future__ import annotations

import asyncio
import logging
import time

from google.protobuf.message import DecodeError

from hoga.domain.errors import BusError
from hoga.runtime.bus import Bus
from hoga.wire import pb, subjects

PATIENCE_S = 2.0
log = logging.getLogger(__name__)


async def new_epoch(bus: Bus) -> int:
    """Above the epoch of the newest book in the stream; the wall clock alone where there is no answer."""
    try:
        newest = await asyncio.wait_for(bus.last(subjects.BOOKS_STREAM, subjects.book("*")), PATIENCE_S)
        before = pb.OrderBook.FromString(newest or b"").epoch
    except (BusError, TimeoutError, DecodeError) as error:
        log.warning("the epoch before is unknown (%s): the wall clock decides", error or "no answer")
        before = 0
    wall = time.time_ns() // 1000
    if before >= wall:
        log.warning("the clock of this host was set back: epoch %d follows %d", before + 1, before)
    return max(wall, before + 1)
