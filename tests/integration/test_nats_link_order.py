"""Frames and what is told of links among them keep their order on the way to one subscriber, through a server with
deploy/nats/nats.conf, whoever else publishes at the same time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from hoga.runtime.nats_bus import NatsBus
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb, subjects
from services.ingest.lane import Lane
from services.ingest.link_events import LinkEvents
from tests.integration.deployed_nats import bus_of, deployed_server
from tests.integration.ingest_support import until
from tests.support.told_links import Order

PUBLISHERS = 3
ROUNDS = 150
SYMBOLS = [f"C{number:03d}-USDT" for number in range(20)]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with deployed_server(tmp_path_factory.mktemp("nats")) as running:
        yield running


async def publish(bus: NatsBus, code: str, dice: random.Random) -> int:
    """Links that come and go in one slot, their frames within; the number of messages."""
    count = 0

    def put(subject: str, payload: bytes) -> bool:
        nonlocal count
        count += 1
        assert bus.publish(subject, payload)
        return True

    for number in range(ROUNDS):
        name = f"{code}-0.{number}"
        events = LinkEvents(code, f"{code}-0", name, put)
        carried = dice.sample(SYMBOLS, dice.randint(1, len(SYMBOLS)))
        events.update(dict.fromkeys(carried, False), str)
        lanes = [Lane(code, symbol, symbol, name, put) for symbol in carried]
        for lane in dice.choices(lanes, k=30):
            lane.send(b"x" * dice.choice((10, 2_000)), 0)
        events.update(dict.fromkeys(carried, True), str)
        beat = pb.LinkBeat(slot=f"{code}-0", symbols=SYMBOLS, links=[events.state(SYMBOLS)])
        frame = pb.RawFrame(exchange=code, kind=pb.RawFrame.KIND_LINK_BEAT, link_beat=beat)
        put(subjects.raw_link(code), frame.SerializeToString())
        for lane in dice.choices(lanes, k=10):
            lane.send(b"x", 0)
        events.close("over", planned=dice.random() < 0.5)
        await asyncio.sleep(0)
    return count


async def test_frames_of_several_publishers_come_while_their_link_is_open(server: NatsServer) -> None:
    order, taken = Order(), 0
    wrong: list[str] = []

    def take(_subject: str, payload: bytes) -> None:
        nonlocal taken
        taken += 1
        try:
            order.take(pb.RawFrame.FromString(payload))
        except (AssertionError, KeyError) as error:
            wrong.append(repr(error))

    async with AsyncExitStack() as stack:
        validator = await stack.enter_async_context(bus_of(server, "validator"))
        await validator.subscribe(subjects.raw("*"), take)
        buses = [await stack.enter_async_context(bus_of(server, "ingest")) for _ in range(PUBLISHERS)]
        sent = await asyncio.gather(
            *(publish(bus, f"x{number}", random.Random(number)) for number, bus in enumerate(buses))
        )
        await until(lambda: taken == sum(sent))
    assert wrong == []
    assert len(order.ends) == PUBLISHERS * ROUNDS
