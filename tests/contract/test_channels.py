"""Books are made per channel: a recording of an older one replays exactly, whatever the live one begins with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from hoga.domain.rules import BookRules
from hoga.domain.types import Stamp, State, Update
from hoga.exchanges import registry
from hoga.exchanges.base import BookStart, Exchange
from hoga.runtime.replay import replay
from services.simulator.venues.registry import emulated
from tests.contract.samples import SAMPLES
from tests.support import simtape
from tests.support.shelf import OpenShelf
from tests.unit.test_simtape import check

AT = Stamp(10**9, 1_790_000_000 * 10**9)


def grown_older(code: str, start: BookStart) -> Exchange:
    """The exchange as it would be had it moved on to a channel that begins otherwise."""
    real = registry.get(code)

    def parse(frame: bytes) -> list[Update]:
        return [msgspec.structs.replace(update, channel="older") for update in real.handler.parse(frame)]

    handler = type("Handler", (type(real.handler),), {"parse": lambda _self, frame: parse(frame)})()
    live = dataclasses.replace(real.traits, name="newer", start=start, truncates=False)
    return dataclasses.replace(real, handler=handler, channels=(live, dataclasses.replace(real.traits, name="older")))


@pytest.mark.parametrize("start", BookStart)
@pytest.mark.parametrize("code", emulated())
def test_an_older_channel_replays_to_the_truth_beside_a_live_one_of_any_start(
    code: str, start: BookStart, tmp_path: Path
) -> None:
    records, truth = simtape.record(code, seconds=4.0, seed=3, symbols=2)
    check(replay(simtape.write(tmp_path / "tape.jsonl", records), grown_older(code, start)), truth)


@pytest.mark.parametrize(("code", "exchange"), registry.EXCHANGES.items())
def test_names_are_unique_and_every_older_channel_is_seen_in_a_sample(code: str, exchange: Exchange) -> None:
    names = [channel.name for channel in exchange.channels]
    assert len(set(names)) == len(names)
    told = {update.channel for frame in SAMPLES[code].books for update in exchange.handler.parse(frame)}
    assert told - {""} <= set(names)
    others = [channel for channel in exchange.channels[1:] if channel.start is not exchange.traits.start]
    assert {channel.name for channel in others} <= told, "of a channel that begins otherwise there is a frame"


def test_a_book_takes_no_frame_of_another_channel() -> None:
    exchange = registry.get("okx_spot")
    frame = next(one for one in SAMPLES["okx_spot"].books if b'"action":"snapshot"' in one and b'"books"' in one)
    (native,) = exchange.strategy.route(frame).symbols
    shelf = OpenShelf(exchange, BookRules())
    shelf.frame(native, native, frame, "a", AT)
    before = shelf.builders[native].book.texts(9)
    assert shelf.builders[native].state is State.LIVE
    shelf.frame(native, native, frame.replace(b'"books"', b'"books50-l2-tbt"').replace(b"0.", b"7."), "a", AT)
    assert shelf.builders[native].counters.rejected == 1
    assert shelf.builders[native].book.texts(9) == before
