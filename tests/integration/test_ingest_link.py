"""One link against a real websocket server: handshake, pings, odd frames, refusals, watchdogs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from hoga.wire import pb, subjects
from services.ingest.connector import ExchangeConnector
from services.ingest.line import Patience
from tests.integration.ingest_support import FAST, OF_LINKS, Venue, beating, collecting, natives_of, symbols_of, until

QUICK = Patience(connect_s=5.0, ack_s=0.1, look_s=0.05, settle_s=5.0, first_frame_s=0.1)


@pytest.fixture
async def venue():
    found = Venue(natives_of(12))
    await found.start()
    yield found
    await found.stop()


class Bus:
    """Keeps every envelope in order."""

    def __init__(self) -> None:
        self.taken: list[pb.RawFrame] = []
        self.subjects: list[str] = []

    def publish(self, subject: str, payload: bytes) -> bool:
        frame = pb.RawFrame.FromString(payload)
        if frame.kind not in OF_LINKS:
            self.subjects.append(subject)
            self.taken.append(frame)
        return True


async def test_a_frame_arrives_untouched_in_its_envelope(venue):
    bus = Bus()
    async with collecting(venue, ["C000-USDT"], publish=bus.publish) as connector:
        for _ in range(3):
            await venue.deliver("C000USDT")
        await until(lambda: len(bus.taken) == 3)
        assert set(bus.subjects) == {subjects.raw("binance_future", "C000-USDT")}
        assert [bytes(frame.payload) for frame in bus.taken] == [venue.frame("C000USDT", n) for n in (1, 2, 3)]
        assert [frame.link_seq for frame in bus.taken] == [1, 2, 3]
        assert {frame.link for frame in bus.taken} == {f"binance_future-0.{connector.instance}1"}
        frame = bus.taken[0]
        assert (frame.exchange, frame.symbol, frame.native_symbol) == ("binance_future", "C000-USDT", "C000USDT")
        assert (frame.kind, frame.encoding) == (pb.RawFrame.KIND_STREAM, pb.RawFrame.ENCODING_IDENTITY)
        times = [frame.receive_time_ns for frame in bus.taken]
        assert times == sorted(times)


async def test_binary_frames_are_frames(venue):
    bus = Bus()
    async with collecting(venue, ["C000-USDT"], publish=bus.publish):
        await venue.send(venue.live[0], venue.frame("C000USDT", 1), binary=True)
        await until(lambda: len(bus.taken) == 1)
        assert bytes(bus.taken[0].payload) == venue.frame("C000USDT", 1)


async def test_the_handshake_sends_no_origin_and_offers_no_compression(venue):
    async with collecting(venue, ["C000-USDT"]):
        headers = {name.lower() for name in venue.connections[0].headers}
        assert "origin" not in headers
        assert "sec-websocket-extensions" not in headers
        assert venue.connections[0].headers["User-Agent"].startswith("hoga/")


async def test_a_ping_is_answered_with_its_own_payload(venue):
    async with collecting(venue, ["C000-USDT"]):
        await venue.live[0].socket.ping(b"1790000000123")
        await until(lambda: venue.connections[0].pongs == [b"1790000000123"])


async def test_heartbeats_go_out_as_text_or_as_ping(venue):
    for beat in ('{"method":"LIST_SUBSCRIPTIONS","id":0}', None):
        async with collecting(venue, ["C000-USDT"], exchange=venue.exchange(own=beating(0.02, beat))):
            connection = venue.live[0]
            if beat is None:
                await until(lambda: len(connection.pings) >= 3)  # noqa: B023
            else:
                texts = connection.texts
                await until(lambda: sum(text == beat for _, text in texts) >= 3)  # noqa: B023


async def test_one_refused_symbol_costs_no_other(venue, caplog):
    venue.refused = {"C003USDT"}
    natives = natives_of(8)
    connector = ExchangeConnector(venue.exchange(), venue.settings(), patience=QUICK)
    try:
        assert await connector.connect()
        assert not await connector.subscribe(symbols_of(natives))
        assert venue.live[0].subscribed == set(natives) - {"C003USDT"}
        slot = next(iter(connector.parts.pool))
        assert dict(slot.link.refused) == {"C003USDT": "2 Invalid request: no such stream"}
        assert "C003-USDT" not in slot.status(0).symbols
        assert len(slot.status(0).symbols) == 7
        assert sum("refuses the subscription of C003USDT" in line for line in caplog.messages) == 1
        assert len(venue.connections) == 1
    finally:
        await connector.disconnect()


async def test_hostile_frames_are_counted_and_the_link_lives(venue):
    bus = Bus()
    hostile = [
        b"",
        b"\xff\xfe\x00",
        b"{" * 5000,
        b"[" * 5000,
        b'{"e":"depthUpdate"}',
        b'{"e":"depthUpdate","s":""}',
        b'{"e":"depthUpdate","s":"',
        b"<html>busy</html>",
        b"NaN",
        b'{"result":null,"id":99999}',
        b'{"code":3,"msg":"no id"}',
        venue.frame("NOBODYUSDT", 1),
    ]
    async with collecting(venue, ["C000-USDT"], publish=bus.publish) as connector:
        for frame in hostile:
            await venue.send(venue.live[0], frame, binary=True)
        await venue.deliver("C000USDT")
        await until(lambda: bus.taken)
        assert len(bus.taken) == 1
        assert len(venue.connections) == 1
        tally = connector.parts.pool.tally
        assert tally.stray == 1
        assert tally.unknown >= 5
        assert connector.oddities.counts["unknown"] == tally.unknown
        assert connector.oddities.kept["unknown"]


async def test_a_flood_of_nonsense_ends_the_link(venue):
    async with collecting(venue, ["C000-USDT"], patience=QUICK) as connector:
        first = venue.live[0]
        while first.open:
            for _ in range(100):  # evenly, so that no look falls between two bursts
                await venue.send(first, b"nonsense")
            await asyncio.sleep(0.005)
        await until(lambda: connector.parts.pool.reconnects.get("flood") == 1)
        await until(lambda: venue.live and venue.live[-1].subscribed == {"C000USDT"})


async def test_a_frame_above_the_limit_ends_the_link_and_the_next_one_works(venue):
    bus = Bus()
    async with collecting(venue, ["C000-USDT"], publish=bus.publish) as connector:
        await venue.deliver("C000USDT", padding=2 << 20)
        await until(lambda: connector.parts.pool.reconnects.get("oversize") == 1)
        await until(lambda: venue.live and venue.live[-1].subscribed == {"C000USDT"})
        await venue.deliver("C000USDT")
        await until(lambda: bus.taken)
        assert bytes(bus.taken[0].payload) == venue.frame("C000USDT", 2)


async def test_a_large_frame_travels_compressed(venue):
    bus = Bus()
    async with collecting(venue, ["C000-USDT"], publish=bus.publish):
        await venue.deliver("C000USDT", padding=600_000)
        await until(lambda: bus.taken)
        frame = bus.taken[0]
        assert frame.encoding == pb.RawFrame.ENCODING_ZSTD
        assert len(frame.payload) < 10_000


async def test_a_subscription_that_is_not_answered_is_asked_again_and_then_the_link_is_given_up(venue):
    venue.deaf = True
    connector = ExchangeConnector(venue.exchange(), venue.settings(), patience=QUICK)
    try:
        assert await connector.connect()
        connector.collect({"C000-USDT": ""})
        await until(lambda: connector.parts.pool.reconnects.get("deaf"))
        assert len([request for request in venue.connections[0].requests if request["method"] == "SUBSCRIBE"]) == 3
        venue.deaf = False
        await until(lambda: connector.is_connected and next(iter(connector.parts.pool)).ready)
    finally:
        await connector.disconnect()


async def test_a_symbol_that_delivers_counts_as_accepted_even_without_an_answer(venue):
    venue.deaf = True
    # Its frame comes long before it would be asked for again.
    connector = ExchangeConnector(venue.exchange(), venue.settings(), patience=replace(QUICK, ack_s=10.0))
    try:
        assert await connector.connect()
        connector.collect({"C000-USDT": ""})
        await until(lambda: venue.live[0].subscribed)
        await venue.deliver("C000USDT")
        await until(lambda: next(iter(connector.parts.pool)).ready)
        assert "deaf" not in connector.parts.pool.reconnects
        assert len(venue.connections[0].requests) == 1
    finally:
        await connector.disconnect()


async def test_a_subscribed_symbol_without_a_frame_is_mentioned_once(venue, caplog):
    async with collecting(venue, ["C000-USDT", "C001-USDT"], patience=QUICK) as connector:
        await venue.deliver("C000USDT")
        link = next(iter(connector.parts.pool)).link
        await until(lambda: link.silent() == ["C001-USDT"])
        await until(lambda: any("no frame within" in line for line in caplog.messages))
        await asyncio.sleep(0.3)
        assert sum("no frame within" in line and "C001-USDT" in line for line in caplog.messages) == 1
        await venue.deliver("C001USDT")
        await until(lambda: not link.silent())


async def test_a_redirect_is_refused(venue):
    venue.handshake = lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})
    connector = ExchangeConnector(venue.exchange(), venue.settings(), patience=Patience(connect_s=1.0))
    try:
        await connector.start()
        connector.collect({"C000-USDT": ""})
        await until(lambda: any("redirect" in slot.reason for slot in connector.parts.pool))
    finally:
        await connector.disconnect()


async def test_messages_are_paced(venue):
    natives = natives_of(12)
    rate = 20.0
    exchange = venue.exchange(messages_per_s=rate, symbols_per_request=1)
    async with collecting(venue, symbols_of(natives), exchange=exchange):
        times = [at for at, _ in venue.live[0].texts]
        assert len(times) == 12
        # A late first and a punctual last message shorten the span; sending too fast would make it near zero.
        assert times[-1] - times[0] > 0.7 * 11 / rate


async def test_the_user_can_send_texts_and_objects(venue):
    async with collecting(venue, ["C000-USDT"]) as connector:
        assert await connector.send_message("hello ✓".replace("hello ✓", '{"method":"PING","id":7}'))
        assert await connector.send_message({"method": "LIST_SUBSCRIPTIONS", "id": 8})
        await until(lambda: len(venue.live[0].texts) == 3)
        assert venue.live[0].texts[-1][1] == '{"method":"LIST_SUBSCRIPTIONS","id":8}'
        socket = await connector.get_websocket()
        assert socket is not None
        assert not socket.closed
    assert not await connector.send_message("gone")
    assert await connector.get_websocket() is None


async def test_nothing_is_left_running_after_disconnect(venue):
    before = asyncio.all_tasks()
    async with collecting(venue, symbols_of(natives_of(12)), settings=venue.settings(FAST, symbols_per_link=3)):
        assert len(venue.live) == 4
    await until(lambda: not venue.live)
    left = {task for task in asyncio.all_tasks() - before if "ingest" in repr(task.get_coro())}
    assert not left
