"""What the monitor does about a disagreement: reconnect requests and probes, over a bus."""

from __future__ import annotations

import asyncio

import pytest

from hoga.domain.errors import BusError
from hoga.testing.fake_bus import FakeBus
from hoga.wire import pb, subjects
from services.monitor.connections import ConnectionManager, ReconnectAdvice
from services.monitor.probes import Probes
from services.monitor.reconnects import MAX_IN_FLIGHT, Reconnects

ADVICE = ReconnectAdvice("upbit", "upbit-0", "upbit-0.a1", "frozen", "says connected, but has read no frame for 40 s")


class Office:
    """Reconnects over a bus of memory, and what became of each."""

    def __init__(self) -> None:
        self.bus = FakeBus()
        self.manager = ConnectionManager()
        self.outcomes: asyncio.Queue[str] = asyncio.Queue()
        self.reconnects = Reconnects(self.bus, self.manager, lambda _advice, outcome: self.outcomes.put_nowait(outcome))
        self.requests: list[pb.ReconnectRequest] = []

    async def serve(self, answer: bytes) -> None:
        async def ingest(_subject: str, payload: bytes) -> bytes:
            self.requests.append(pb.ReconnectRequest.FromString(payload))
            return answer

        await self.bus.serve(subjects.rpc("reconnect", "upbit"), ingest)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (pb.RpcReply().SerializeToString(), "accepted"),
        (pb.RpcReply(error="no link upbit-0.a1").SerializeToString(), "refused"),
        (b"\xff\xff", "refused"),
    ],
)
async def test_ingest_is_asked_for_the_very_link_with_the_reason(answer: bytes, outcome: str) -> None:
    office = Office()
    await office.serve(answer)
    office.reconnects.ask(ADVICE)
    assert await office.outcomes.get() == outcome
    assert office.requests == [pb.ReconnectRequest(link="upbit-0.a1", reason=ADVICE.reason)]


async def test_an_ingest_that_does_not_answer_is_counted() -> None:
    office = Office()
    office.reconnects.ask(ADVICE)
    assert await office.outcomes.get() == "unanswered"


async def test_a_registered_connector_is_asked_instead_of_the_bus() -> None:
    class Mine:
        def __init__(self) -> None:
            self.asked: list[tuple[str, str]] = []

        async def reconnect(self, link: str, reason: str) -> str:
            self.asked.append((link, reason))
            return ""

    office, mine = Office(), Mine()
    office.manager.register_connector("upbit", mine)
    office.reconnects.ask(ADVICE)
    assert await office.outcomes.get() == "accepted"
    assert mine.asked == [(ADVICE.link, ADVICE.reason)]


async def test_requests_that_pile_up_are_not_sent() -> None:
    office = Office()

    async def never(_subject: str, _payload: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    await office.bus.serve(subjects.rpc("reconnect", "upbit"), never)
    for _ in range(MAX_IN_FLIGHT + 3):
        office.reconnects.ask(ADVICE)
    assert [office.outcomes.get_nowait() for _ in range(3)] == ["skipped"] * 3
    await office.reconnects.stop()
    assert office.outcomes.empty()


async def test_a_probe_counts_raw_frames_only_while_it_is_wanted() -> None:
    bus, counts = FakeBus(), list[tuple[str, int]]()
    probes = Probes(bus, lambda exchange, frames: counts.append((exchange, frames)))

    async def publish(frames: int) -> None:
        for _ in range(frames):
            bus.publish(subjects.raw("upbit", "BTC-KRW"), b"\xff never decoded")
        await bus.settle()

    async def want(*exchanges: str) -> None:
        probes.want(frozenset(exchanges))
        async with asyncio.timeout(10):
            while probes.open != frozenset(exchanges):
                await asyncio.sleep(0)

    await publish(3)
    await want("upbit")
    await publish(5)
    await want("upbit")
    await publish(2)
    (subscription,) = bus.subscriptions
    await want()
    subscription.handler(subjects.raw("upbit", "BTC-KRW"), b"still on its way")
    await publish(4)
    await want()
    assert counts == [("upbit", 5), ("upbit", 2)]
    assert not bus.subscriptions


async def test_a_bus_that_denies_the_probe_is_no_catastrophe(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, counts = FakeBus(), list[tuple[str, int]]()
    probes = Probes(bus, lambda exchange, frames: counts.append((exchange, frames)))
    asked = asyncio.Event()

    async def denied(*_: object, **__: object) -> None:
        asked.set()
        raise BusError("permissions violation")

    monkeypatch.setattr(bus, "subscribe", denied)
    probes.want(frozenset({"upbit"}))
    await asked.wait()
    probes.want(frozenset({"upbit"}))
    await probes.stop()
    assert probes.open == frozenset()
