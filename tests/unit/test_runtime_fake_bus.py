"""The fake bus keeps the promises of the port, so that tests on it mean something."""

from __future__ import annotations

import pytest

from hoga.domain.errors import BusError
from hoga.testing.fake_bus import FakeBus, matches


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*.c", "a.b.c", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        ("a.b", "a", False),
        ("a", "a.b", False),
    ],
)
def test_wildcards(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected


async def test_messages_arrive_in_order_after_publish_returned() -> None:
    bus, received = FakeBus(), []
    await bus.subscribe("a.>", lambda subject, payload: received.append((subject, payload)))
    assert bus.publish("a.1", b"x")
    assert bus.publish("a.2", b"y")
    assert received == []
    await bus.settle()
    assert received == [("a.1", b"x"), ("a.2", b"y")]
    assert bus.messages("a.*") == [b"x", b"y"]


async def test_settle_waits_for_what_handlers_publish() -> None:
    bus, received = FakeBus(), []
    await bus.subscribe("a", lambda subject, payload: bus.publish("b", payload + b"!") and None)
    await bus.subscribe("b", lambda subject, payload: received.append(payload))
    bus.publish("a", b"x")
    await bus.settle()
    assert received == [b"x!"]


async def test_queue_groups_share() -> None:
    bus, one, two = FakeBus(), [], []
    await bus.subscribe("a", lambda subject, payload: one.append(payload), queue="q")
    await bus.subscribe("a", lambda subject, payload: two.append(payload), queue="q")
    for _ in range(10):
        bus.publish("a", b"")
    await bus.settle()
    assert (len(one), len(two)) == (5, 5)


async def test_late_joiners_get_last_values_then_live() -> None:
    bus, received = FakeBus(), []
    await bus.ensure_stream("BOOKS", ["b.*"], max_bytes=1)
    for payload in (b"1", b"2"):
        bus.publish("b.x", payload)
    await bus.subscribe_last("BOOKS", "b.*", lambda subject, payload: received.append(payload))
    bus.publish("b.x", b"3")
    await bus.settle()
    assert received == [b"2", b"3"]
    assert await bus.last("BOOKS", "b.x") == b"3"
    assert await bus.last("BOOKS", "b.y") is None
    with pytest.raises(BusError, match="no stream"):
        await bus.last("OTHER", "b.x")


async def test_an_outage_drops_and_tells() -> None:
    bus, changes = FakeBus(), []
    bus.on_connection(changes.append)
    bus.go_away()
    assert not bus.publish("a", b"")
    with pytest.raises(BusError):
        await bus.request("a", b"")
    bus.come_back()
    assert bus.publish("a", b"")
    assert (bus.dropped, changes) == (1, [False, True])


async def test_requests() -> None:
    bus = FakeBus()

    async def echo(subject: str, payload: bytes) -> bytes:
        if payload == b"bad":
            raise ValueError
        return payload

    serving = await bus.serve("rpc.*", echo)
    assert await bus.request("rpc.x", b"hi") == b"hi"
    with pytest.raises(BusError, match=r"no answer on rpc\.x"):
        await bus.request("rpc.x", b"bad")
    await serving.unsubscribe()
    with pytest.raises(BusError, match=r"nobody answers on rpc\.x"):
        await bus.request("rpc.x", b"hi")
