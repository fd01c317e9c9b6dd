"""Late joiners over a real nats-server: last values first, then live, without a race, whatever breaks.

The stream keeps one value per subject, so one that is replaced before its delivery is skipped: numbers may
jump under load, but never repeat, never go back, and always end at the newest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from nats.aio.msg import Msg

from hoga.domain.errors import BusError
from hoga.runtime import nats_last_values
from hoga.runtime.nats_bus import NatsBus
from hoga.testing.nats_server import NatsServer

from .nats_bus_support import PATIENCE_S, Connection, Received, bus_on

SUBJECTS = [f"b.{index}" for index in range(40)]


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as running:
        yield running


async def with_stream(bus: NatsBus) -> None:
    await bus.ensure_stream("BOOKS", ["b.*"], max_bytes=8 << 20)


def publish_round(bus: NatsBus, number: int) -> None:
    for subject in SUBJECTS:
        bus.publish(subject, b"%d" % number)


def assert_forward(received: Received, last: int) -> None:
    """Per subject: each number at most once, in order, and `last` at the end."""
    for subject in SUBJECTS:
        numbers = [int(payload) for payload in received.of(subject)]
        assert numbers == sorted(set(numbers)), subject
        assert numbers[-1] == last, subject


def lose_next_delivery(subscription: Any) -> list[bytes]:
    """Swallows one message between nats-py and us, and gives it."""
    inbox, lost = subscription._inbox, []
    receive = inbox._cb

    async def lossy(message: Msg) -> None:
        if lost:
            await receive(message)
        else:
            lost.append(message.data)

    inbox._cb = lossy
    return lost


async def all_seen(received: Received, number: int) -> None:
    await received.until(lambda: all(received.of(subject)[-1:] == [b"%d" % number] for subject in SUBJECTS))


async def kept(bus: NatsBus, subject: str, payload: bytes) -> None:
    """Waits until the stream has it: subscribers of the subject may get it a little earlier."""
    async with asyncio.timeout(PATIENCE_S):
        while await bus.last("BOOKS", subject) != payload:
            await asyncio.sleep(0.005)


async def test_joiners_amid_traffic_never_see_a_subject_repeat_or_go_back(server: NatsServer) -> None:
    async with bus_on(server) as sender, bus_on(server) as receiver:
        await with_stream(sender)
        publish_round(sender, 0)
        joiners: list[Received] = []

        async def traffic() -> None:
            for number in range(1, 300):
                publish_round(sender, number)
                await asyncio.sleep(0.001)

        async def join() -> None:
            for _ in range(6):
                received = Received()
                joiners.append(received)
                await receiver.subscribe_last("BOOKS", "b.*", received)
                await asyncio.sleep(0.02)

        await asyncio.gather(traffic(), join())
        for received in joiners:
            await all_seen(received, 299)
            assert_forward(received, 299)
        assert sender.dropped == 0


async def test_values_published_one_by_one_all_arrive(server: NatsServer) -> None:
    async with bus_on(server) as sender, bus_on(server) as receiver:
        await with_stream(sender)
        publish_round(sender, 0)
        received = Received()
        await receiver.subscribe_last("BOOKS", "b.*", received)
        for number in range(50):
            await all_seen(received, number)
            publish_round(sender, number + 1)
        await all_seen(received, 50)
        assert len(received.messages) == 51 * len(SUBJECTS)
        assert_forward(received, 50)


async def test_only_subjects_that_match_are_delivered(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        await with_stream(bus)
        publish_round(bus, 1)
        received = Received()
        await bus.subscribe_last("BOOKS", "b.7", received)
        await received.payload(b"1")
        publish_round(bus, 2)
        await received.payload(b"2")
        assert received.messages == [("b.7", b"1"), ("b.7", b"2")]


async def test_a_server_that_lost_its_memory_gets_its_streams_and_subscriptions_back(server: NatsServer) -> None:
    async with bus_on(server) as sender, bus_on(server) as receiver:
        await with_stream(sender)
        sending = Connection(sender)
        received = Received()
        for number in range(5):
            publish_round(sender, number)
        await receiver.subscribe_last("BOOKS", "b.*", received)
        await all_seen(received, 4)
        for attempt in range(2):
            server.kill()
            await sending.count(2 * attempt + 1)
            server.restart()
            await sending.count(2 * attempt + 2)
            received.messages.clear()
            first = 100 * (attempt + 1)
            for number in range(first, first + 10):
                publish_round(sender, number)
            await all_seen(received, first + 9)
            assert_forward(received, first + 9)


async def test_a_receiver_that_reconnects_misses_and_repeats_nothing_newest(server: NatsServer) -> None:
    async with bus_on(server) as sender, bus_on(server) as receiver:
        await with_stream(sender)
        received, connection = Received(), Connection(receiver)
        publish_round(sender, 1)
        await receiver.subscribe_last("BOOKS", "b.*", received)
        await all_seen(received, 1)
        assert receiver._link is not None
        receiver._link.lose("the test cuts it")
        sender.publish("b.3", b"2")
        sender.publish("b.3", b"3")
        await connection.count(2)
        await received.payload(b"3")
        sender.publish("b.5", b"2")
        await received.until(lambda: received.of("b.5") == [b"1", b"2"])
        assert received.of("b.3") in ([b"1", b"3"], [b"1", b"2", b"3"])
        assert received.of("b.4") == [b"1"]


async def test_a_stream_that_comes_later_is_waited_for(server: NatsServer) -> None:
    async with bus_on(server) as sender, bus_on(server) as receiver:
        received = Received()
        await receiver.subscribe_last("BOOKS", "b.*", received)
        await with_stream(sender)
        sender.publish("b.1", b"1")
        await received.payload(b"1")
        assert received.messages == [("b.1", b"1")]


async def test_a_stream_made_anew_on_a_living_server_is_followed(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_last_values, "HEARTBEAT_S", 0.2)
    async with bus_on(server) as sender, bus_on(server) as receiver:
        await with_stream(sender)
        received = Received()
        for number in range(3):
            publish_round(sender, number)
        await receiver.subscribe_last("BOOKS", "b.*", received)
        await all_seen(received, 2)
        await sender.request("$JS.API.STREAM.DELETE.BOOKS", b"", timeout_s=PATIENCE_S)
        await with_stream(sender)
        sender.publish("b.1", b"new")
        await received.payload(b"new")
        # The rounds before the last may have been on their way still when the receiver came.
        assert received.of("b.1")[-2:] == [b"2", b"new"]


async def test_a_lost_delivery_is_noticed_and_made_good(server: NatsServer) -> None:
    async with bus_on(server) as sender, bus_on(server) as receiver:
        await with_stream(sender)
        received = Received()
        publish_round(sender, 1)
        subscription = await receiver.subscribe_last("BOOKS", "b.*", received)
        await all_seen(received, 1)
        lost = lose_next_delivery(subscription)
        publish_round(sender, 2)
        await all_seen(received, 2)
        assert_forward(received, 2)
        assert lost == [b"2"]


async def test_a_lost_last_delivery_is_noticed_by_the_heartbeat(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_last_values, "HEARTBEAT_S", 0.2)
    async with bus_on(server) as sender, bus_on(server) as receiver:
        await with_stream(sender)
        received = Received()
        publish_round(sender, 1)
        subscription = await receiver.subscribe_last("BOOKS", "b.*", received)
        await all_seen(received, 1)
        last = received.messages.pop()
        subscription._delivered -= 1
        subscription._sequence -= 1
        await received.until(lambda: last in received.messages)


async def test_nothing_arrives_after_unsubscribe(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        await with_stream(bus)
        left, stays = Received(), Received()
        subscription = await bus.subscribe_last("BOOKS", "b.*", left)
        await bus.subscribe_last("BOOKS", "b.*", stays)
        await subscription.unsubscribe()
        bus.publish("b.1", b"1")
        await stays.payload(b"1")
        assert left.messages == []


async def test_one_value_can_be_read(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        with pytest.raises(BusError, match="no stream BOOKS"):
            await bus.last("BOOKS", "b.1")
        await with_stream(bus)
        received = Received()
        await bus.subscribe("b.*", received)
        bus.publish("b.1", b"old")
        bus.publish("b.1", b"new")
        await received.payload(b"new")
        await kept(bus, "b.1", b"new")
        assert await bus.last("BOOKS", "b.2") is None


async def test_ensuring_a_stream_again_changes_it_and_keeps_its_values(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        await with_stream(bus)
        received = Received()
        await bus.subscribe(">", received)
        bus.publish("b.1", b"1")
        await received.payload(b"1")
        await bus.ensure_stream("BOOKS", ["b.*", "c.*"], max_bytes=16 << 20, max_age_s=60)
        bus.publish("c.1", b"2")
        await received.payload(b"2")
        assert await bus.last("BOOKS", "b.1") == b"1"
        await kept(bus, "c.1", b"2")


async def test_a_stream_that_the_server_refuses_says_why(server: NatsServer) -> None:
    async with bus_on(server) as bus:
        with pytest.raises(BusError, match=r"STREAM\.CREATE\.BOOKS: insufficient memory"):
            await bus.ensure_stream("BOOKS", ["b.*"], max_bytes=1 << 40)
