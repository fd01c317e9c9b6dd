"""Exchanges that number the frames of a connection: whoever reads what ingest publishes sees every number."""

from __future__ import annotations

import pytest

from hoga.exchanges.base import Continuity, Route, RouteKind
from hoga.exchanges.binance import future
from hoga.testing.fake_bus import FakeBus
from hoga.wire import subjects
from services.ingest.line import Patience
from tests.integration.ingest_support import Recorder, Venue, collecting, natives_of, until

CODE = "binance_future"
PATIENCE = Patience(connect_s=5.0, settle_s=5.0)


@pytest.fixture
async def venue():
    found = Venue(natives_of(4))
    await found.start()
    yield found
    await found.stop()


def route(_self, frame: bytes) -> Route:
    """As the exchange's own, and frames of several symbols at once."""
    if frame.startswith(b"both:"):
        return Route(RouteKind.BOOK, tuple(frame.decode().split(":")[1].split(",")))
    return future.EXCHANGE.strategy.route(frame)


async def deliver(venue: Venue, frames: list[bytes]) -> None:
    for frame in frames:
        await venue.send(venue.live[-1], frame)


async def test_what_no_symbol_takes_goes_to_the_lane_of_the_link(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    exchange = venue.exchange(continuity=Continuity.CONNECTION_IDS, own={"route": route})
    book = venue.frame("C000USDT", 1)
    stray = venue.frame("C003USDT", 1)
    both, one, neither = b"both:C000USDT,C001USDT", b"both:C000USDT,C003USDT", b"both:C002USDT,C003USDT"
    heartbeat, unknown, event = b'{"result":[],"id":0}', b"what is this", b'{"e":"trade","s":"C000USDT"}'
    async with collecting(
        venue, ["C000-USDT", "C001-USDT"], exchange=exchange, publish=bus.publish, patience=PATIENCE
    ) as connector:
        await deliver(venue, [heartbeat, book, stray, both, unknown, one, neither, event, b""])
        await until(lambda: connector.parts.pool.tally.unknown == 2)
        own = recorder.frames("_")
        acks = [bytes(frame.payload) for frame in own[:-6]]
        assert acks == [b'{"result":null,"id":1}']
        assert [bytes(frame.payload) for frame in own[-6:]] == [heartbeat, stray, unknown, neither, event, b""]
        assert {(frame.symbol, frame.native_symbol, frame.exchange) for frame in own} == {("", "", CODE)}
        assert [frame.link_seq for frame in own] == list(range(1, len(own) + 1))
        assert [bytes(frame.payload) for frame in recorder.frames("C000-USDT")] == [book, both, one]
        assert [bytes(frame.payload) for frame in recorder.frames("C001-USDT")] == [both]
        assert {frame.link for frame in recorder.frames()} == {next(iter(connector.parts.pool)).link.name}
        assert {subject for subject, _ in bus.published} == {
            subjects.raw_link(CODE),
            subjects.raw(CODE, "C000-USDT"),
            subjects.raw(CODE, "C001-USDT"),
        }
        tally = connector.parts.pool.tally
        assert (tally.published, tally.stray) == (4, 4)


async def test_every_link_counts_its_own_frames_from_one(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    exchange = venue.exchange(continuity=Continuity.CONNECTION_IDS)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, publish=bus.publish, patience=PATIENCE) as connector:
        slot = next(iter(connector.parts.pool))
        venue.live[0].reset()
        await until(lambda: slot.reconnects["lost"] == 1 and slot.ready)
        await until(lambda: len({frame.link for frame in recorder.frames("_")}) == 2)
        for link in {frame.link for frame in recorder.frames("_")}:
            seqs = [frame.link_seq for frame in recorder.frames("_") if frame.link == link]
            assert seqs == list(range(1, len(seqs) + 1))


async def test_what_the_bus_does_not_take_leaves_a_hole_and_is_counted(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    exchange = venue.exchange(continuity=Continuity.CONNECTION_IDS)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, publish=bus.publish, patience=PATIENCE) as connector:
        await deliver(venue, [b"one"])
        await until(lambda: connector.parts.pool.tally.unknown == 1)
        before = recorder.frames("_")[-1].link_seq
        bus.go_away()
        await deliver(venue, [b"two"])
        await until(lambda: connector.parts.pool.tally.unknown == 2)
        bus.come_back()
        await deliver(venue, [b"three"])
        await until(lambda: connector.parts.pool.tally.unknown == 3)
        assert recorder.frames("_")[-1].link_seq == before + 2
        assert connector.parts.pool.tally.dropped == 1


async def test_what_is_said_of_a_phase_goes_to_the_lane_of_the_link_on_every_exchange(venue):
    def route(_self, frame: bytes) -> Route:
        return Route(RouteKind.PHASE) if frame == b"halted" else future.EXCHANGE.strategy.route(frame)

    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    exchange = venue.exchange(own={"route": route})
    async with collecting(venue, ["C000-USDT"], exchange=exchange, publish=bus.publish, patience=PATIENCE) as connector:
        book = venue.frame("C000USDT", 1)
        await deliver(venue, [b"what is this", b"halted", book])
        await until(lambda: connector.parts.pool.tally.published == 1)
        assert [(frame.symbol, bytes(frame.payload)) for frame in recorder.frames()] == [
            ("", b"halted"),
            ("C000-USDT", book),
        ]


async def test_other_exchanges_publish_nothing_of_the_kind(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    async with collecting(venue, ["C000-USDT"], publish=bus.publish, patience=PATIENCE) as connector:
        await deliver(venue, [b"what is this", venue.frame("C003USDT", 1)])
        await until(lambda: connector.parts.pool.tally.stray == 1)
        assert not recorder.frames()
