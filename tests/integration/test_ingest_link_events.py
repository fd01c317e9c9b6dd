"""What is told of links among their frames, against a real server: every frame comes while its link is open."""

from __future__ import annotations

import asyncio

import pytest

from hoga.testing.fake_bus import FakeBus
from services.ingest.line import Patience
from services.ingest.link_events import THROWN_AWAY
from tests.integration.ingest_support import Recorder, Venue, beating, collecting, natives_of, symbols_of, until
from tests.integration.test_ingest_slot import Stream
from tests.support.told_links import Order

CODE = "binance_future"
PATIENCE = Patience(connect_s=5.0, look_s=0.05, settle_s=5.0, arrival_s=0.3)


@pytest.fixture
async def venue():
    found = Venue(natives_of(30))
    await found.start()
    yield found
    await found.stop()


def told(recorder: Recorder) -> Order:
    order = Order()
    for frame in recorder.raw():
        order.take(frame)
    return order


async def test_a_subscription_opens_settles_and_is_given_up(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    async with collecting(venue, symbols_of(natives_of(3)), publish=bus.publish, patience=PATIENCE) as connector:
        link = next(iter(connector.parts.pool)).link.name
        await until(lambda: set(told(recorder).open[link].values()) == {True})
        await connector.unsubscribe(["C001-USDT"])
        await connector.subscribe(["C005-USDT"])
        opened = told(recorder).open[link]
        assert opened == {"C000-USDT": True, "C002-USDT": True, "C005-USDT": False}
        await until(lambda: told(recorder).open[link]["C005-USDT"])
    order = told(recorder)
    assert order.open == {link: {}}
    assert order.ends == {link: (False, "stopped")}


@pytest.mark.parametrize("two_lines", [False, True])
async def test_a_planned_replacement_is_told_link_by_link(venue, two_lines):
    bus, natives = FakeBus(), natives_of(3)
    recorder = Recorder(bus, CODE)
    settings = venue.settings(lines=1 + two_lines)
    async with (
        collecting(venue, symbols_of(natives), settings=settings, publish=bus.publish, patience=PATIENCE) as connector,
        Stream(venue, natives),
    ):
        slot = next(iter(connector.parts.pool))
        old = slot.link
        slot.replace("its time has come")
        await until(lambda: slot.link is not old)
        assert {len(carried) for carried in told(recorder).open.values()} == {3}, (
            "both carry, and so does the other line"
        )
        await until(lambda: not told(recorder).open[old.name])
        count = len(recorder.frames())
        await until(lambda: len(recorder.frames()) > count + 50)
    order = told(recorder)
    assert order.ends.pop(old.name) == (True, "its time has come")
    assert set(order.ends.values()) == {(False, "stopped")}
    assert len(order.ends) == 1 + two_lines


@pytest.mark.parametrize("fault", ["reset", "close", "silence"])
async def test_the_end_of_a_lost_link_is_told_at_once_and_behind_its_last_frame(venue, fault):
    bus, natives = FakeBus(), natives_of(3)
    recorder = Recorder(bus, CODE)
    exchange = venue.exchange(idle_timeout_s=0.5, own=beating(0.05))
    async with collecting(
        venue, symbols_of(natives), exchange=exchange, publish=bus.publish, patience=PATIENCE
    ) as connector:
        link = next(iter(connector.parts.pool)).link
        async with Stream(venue, natives):
            await until(lambda: len(recorder.frames()) > 10)
            if fault == "reset":
                venue.live[0].reset()
            elif fault == "close":
                await venue.live[0].socket.close(code=1001, message=b"maintenance")
        if fault == "silence":
            venue.silent = True
        await link.ended
        planned, reason = told(recorder).ends[link.name]
        assert not planned
        assert reason == link.ended.result().detail
        venue.silent = False
        await until(lambda: any(len(carried) == 3 for carried in told(recorder).open.values()))


async def test_a_link_that_is_lost_while_its_successor_carries_the_slot_ends_as_planned(venue):
    bus, natives = FakeBus(), natives_of(2)
    recorder = Recorder(bus, CODE)
    async with collecting(venue, symbols_of(natives), publish=bus.publish, patience=PATIENCE) as connector:
        slot = next(iter(connector.parts.pool))
        slot._overlap_s = 60.0
        old = slot.link
        slot.replace("its time has come")
        await until(lambda: slot.link is not old)
        venue.live[0].reset()
        await old.ended
        assert told(recorder).ends[old.name][0]


async def test_frames_that_were_thrown_away_close_their_symbol_until_the_next_look(venue):
    bus, natives = FakeBus(max_payload=4096), natives_of(2)
    recorder = Recorder(bus, CODE)
    async with collecting(venue, symbols_of(natives), publish=bus.publish, patience=PATIENCE) as connector:
        link = next(iter(connector.parts.pool)).link
        await venue.deliver(natives[0])
        await until(lambda: recorder.frames())
        large = venue.frame(natives[0], 2)
        await venue.send(venue.live[0], large[:-1] + b',"x":"' + b"x" * 5000 + b'"}')
        await until(lambda: told(recorder).ends.get(link.name) == (False, THROWN_AWAY))
        await until(lambda: len(told(recorder).open[link.name]) == 2)
        assert link.tally.dropped == 1


async def test_what_the_bus_does_not_take_leaves_a_number_out(venue):
    bus, natives = FakeBus(), natives_of(2)
    recorder = Recorder(bus, CODE)
    async with collecting(venue, symbols_of(natives), publish=bus.publish, patience=PATIENCE) as connector:
        slot = next(iter(connector.parts.pool))
        number = slot.link.events.state(()).events
        bus.go_away()
        await venue.deliver(natives[0])
        await until(lambda: slot.link.tally.dropped == 1)
        bus.come_back()
        assert slot.link.events.state(()).events > number
        await asyncio.sleep(0)
        told(recorder)  # nothing of it has been heard, and so nothing is out of order so far


async def test_a_refused_symbol_is_closed_with_the_exchanges_words(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    async with collecting(venue, ["C000-USDT"], publish=bus.publish, patience=PATIENCE) as connector:
        link = next(iter(connector.parts.pool)).link
        venue.refused.add("C001USDT")
        assert not await connector.subscribe(["C001-USDT"])
        assert told(recorder).open[link.name].keys() == {"C000-USDT"}
        assert venue.refusal in told(recorder).ends[link.name][1]
