"""Listings, halts and renames while ingest runs: noticed within a refresh, told on the bus, followed."""

from __future__ import annotations

import pytest

from hoga.testing.fake_bus import FakeBus
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb, subjects
from services.ingest.line import Patience
from tests.integration.ingest_support import Recorder, Venue, collecting, natives_of, until
from tests.integration.test_ingest_service import running
from tests.integration.test_ingest_slot import check_link_seqs

CODE = "binance_future"
PATIENCE = Patience(connect_s=5.0, look_s=0.05, settle_s=5.0)


@pytest.fixture
async def venue(monkeypatch):
    monkeypatch.setattr("services.ingest.directory.REFRESH_S", 0.1)
    monkeypatch.setattr("services.ingest.directory.CHEAP_SHARE", 1e9)
    found = Venue(natives_of(4))
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
def nats():
    with NatsServer() as server:
        yield server


async def test_what_is_listed_is_on_the_bus_also_for_who_comes_late(venue, nats, monkeypatch):
    monkeypatch.setattr("services.ingest.service.PERIOD_S", 0.1)
    async with running(venue, nats, "C000-USDT") as (service, outside, ctx):
        lists: list[pb.InstrumentList] = []
        subject = subjects.instruments(CODE)
        await outside.bus.subscribe_last(
            subjects.INSTRUMENTS_STREAM, subject, lambda _s, p: lists.append(pb.InstrumentList.FromString(p))
        )
        await until(lambda: lists)
        first = lists[-1]
        assert [instrument.native_symbol for instrument in first.instruments] == natives_of(4)
        assert (first.exchange, first.instance, first.revision) == (CODE, "abc123", 1)
        assert all(instrument.trading for instrument in first.instruments)
        # Again and again, and each time with the time of the last answer.
        await until(lambda: lists[-1].time_ns > first.time_ns)
        assert lists[-1].revision == 1
        venue.halted.add("C001USDT")
        await until(lambda: lists[-1].revision == 2)
        assert [i.symbol for i in lists[-1].instruments if not i.trading] == ["C001-USDT"]
        venue.natives.remove("C002USDT")
        await until(lambda: lists[-1].revision == 3)
        assert "C002-USDT" not in [instrument.symbol for instrument in lists[-1].instruments]
        # The server loses its memory: the list is there again without a change.
        nats.kill()
        nats.restart()
        await until(lambda: ctx.bus.connected and outside.bus.connected)
        count = len(lists)
        await until(lambda: len(lists) > count)
        assert service.connector.is_connected


async def test_a_new_listing_is_collected_and_a_delisted_market_is_given_up(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    async with collecting(venue, ["C000-USDT"], publish=bus.publish, patience=PATIENCE) as connector:
        connector.collect({"C000-USDT": "", "NEW-USDT": ""})
        venue.natives.append("NEWUSDT")
        await until(lambda: venue.live[0].subscribed == {"C000USDT", "NEWUSDT"})
        await venue.deliver("NEWUSDT")
        await until(lambda: recorder.frames("NEW-USDT"))
        venue.natives.remove("C000USDT")
        await until(lambda: venue.live[0].subscribed == {"NEWUSDT"})
        assert len(venue.connections) == 1


async def test_a_renamed_market_is_followed_under_its_symbol_and_goes_on_counting(venue):
    bus = FakeBus()
    recorder = Recorder(bus, CODE)
    async with collecting(venue, ["C000-USDT", "C001-USDT"], publish=bus.publish, patience=PATIENCE) as connector:
        for native in ("C000USDT", "C001USDT", "C001USDT"):
            await venue.deliver(native)
        await until(lambda: len(recorder.frames("C001-USDT")) == 2)
        venue.natives[venue.natives.index("C001USDT")] = "CRENAMEDUSDT"
        venue.bases["CRENAMEDUSDT"] = "C001"
        await until(lambda: venue.live[0].subscribed == {"C000USDT", "CRENAMEDUSDT"})
        slot = next(iter(connector.parts.pool))
        assert connector.native("C001-USDT") == "CRENAMEDUSDT"
        await until(lambda: slot.ready)
        assert sorted(slot.status(0).symbols) == ["C000-USDT", "C001-USDT"]
        await venue.deliver("CRENAMEDUSDT")
        await until(lambda: len(recorder.frames("C001-USDT")) == 3)
        last = recorder.frames("C001-USDT")[-1]
        assert (last.native_symbol, last.symbol, last.link_seq) == ("CRENAMEDUSDT", "C001-USDT", 3)
        assert {request["method"] for request in venue.live[0].requests[1:]} == {"SUBSCRIBE", "UNSUBSCRIBE"}
        assert all("c000" not in str(request["params"]) for request in venue.live[0].requests[1:])
        check_link_seqs(recorder.frames())
        assert len(venue.connections) == 1
        connector.ask_snapshot("C001-USDT", 1)
        await until(lambda: any("CRENAMEDUSDT" in path for path in venue.rest_times))
