"""The short way of a frame: whatever a module lets pass there, its ordinary reading says the same of."""

from __future__ import annotations

import contextlib
import random

import pytest

from hoga.domain.errors import FrameError
from hoga.domain.types import Update
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RouteKind
from tests.contract.samples import SAMPLES
from tests.fuzz.inputs.mutate import mutate
from tests.support.raw_levels import OrdinaryReader

SHORT = [(code, exchange) for code, exchange in registry.EXCHANGES.items() if exchange.handler.levels is not None]


def check(exchange: Exchange, frame: bytes) -> bool:
    """Whether the frame is one of the short way; that it means the same where it is."""
    found = exchange.handler.glance(frame)
    levels = exchange.handler.levels
    if found is None or levels is None:
        return False
    try:
        bids, asks = OrdinaryReader(levels).read(bytes(found.bids), bytes(found.asks))
    except FrameError:
        return False  # the strict reader refuses these bytes, too: the frame is read the ordinary way
    (update,) = exchange.handler.parse(frame)
    assert update == Update(
        found.native_symbol, False, bids, asks, found.prev_seq, found.seq, found.exchange_time_ns,
        channel=update.channel, checksum=update.checksum,
    )  # fmt: skip
    assert exchange.channel_of(update) is exchange.traits
    return True


@pytest.mark.parametrize(("code", "exchange"), SHORT)
def test_deltas_of_the_live_channel_take_it_and_nothing_else_does(code: str, exchange: Exchange) -> None:
    frames = SAMPLES[code].books
    taken = [check(exchange, frame) for frame in frames]
    assert any(taken), "no sample of a usual delta"
    for frame, short in zip(frames, taken, strict=True):
        if not short:
            continue
        assert exchange.strategy.route(frame).kind is RouteKind.BOOK


@pytest.mark.parametrize(("code", "exchange"), SHORT)
def test_nor_does_a_spoilt_frame_say_other_things_there(code: str, exchange: Exchange) -> None:
    dice = random.Random(7)
    for frame in SAMPLES[code].books:
        for _ in range(300):
            spoilt = mutate(frame, dice, SAMPLES[code].books)
            with contextlib.suppress(FrameError):  # of a key that stands twice the last one counts on either way
                check(exchange, spoilt)
