"""The validator's desk: what the exchange lists, and frames whose numbers are those of their connection."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator

import pytest

from hoga.domain.phases import Phase
from hoga.domain.types import State
from hoga.wire import packing, pb, subjects
from tests.unit.test_validator_desk import NOW_MS, World, upbit

COINBASE = {"exchange": "coinbase"}
BTC = {"symbol": "BTC-USD", "native": "BTC-USD", **COINBASE}
ETH = {"symbol": "ETH-USD", "native": "ETH-USD", **COINBASE}
KRAKEN = {"symbol": "BTC-USD", "native": "BTC/USD", "exchange": "kraken"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World({})
    await made.start()
    yield made
    made.ctx.stopping.set()
    assert made.task is not None
    await made.task


def level2(number: int, *products: str, kind: str = "update", size: str = "2") -> bytes:
    levels = [("bid", "99", size), ("offer", "101", "1")]
    updates = [
        {"side": s, "event_time": "2026-08-24T22:34:13Z", "price_level": p, "new_quantity": q} for s, p, q in levels
    ]
    events = [{"type": kind, "product_id": product, "updates": updates} for product in products]
    frame = {"channel": "l2_data", "timestamp": "2026-08-24T22:34:13.5Z", "sequence_num": number, "events": events}
    return json.dumps(frame, separators=(",", ":")).encode()


def heartbeat(number: int, padding: int = 0) -> bytes:
    return f'{{"channel":"heartbeats","sequence_num":{number},"events":["{"x" * padding}"]}}'.encode()


def between(world: World, payload: bytes) -> None:
    """A frame of the link that is of no symbol, as ingest publishes it."""
    encoding, payload = packing.pack(payload)
    frame = pb.RawFrame(exchange="coinbase", link="L1", link_seq=1, encoding=encoding, payload=payload)
    world.bus.publish(subjects.raw_link("coinbase"), frame.SerializeToString())


def listed(world: World, *entries: tuple[str, str, bool], exchange: str = "upbit", **fields) -> None:
    message = pb.InstrumentList(exchange=exchange)
    for symbol, native, trading in entries:
        message.instruments.add(symbol=symbol, native_symbol=native, trading=trading, **fields)
    world.bus.publish(subjects.instruments(exchange), message.SerializeToString())


async def begun(world: World) -> None:
    """Two Coinbase books, LIVE; the last number of their connection is 2."""
    world.link(symbols=["BTC-USD", "ETH-USD"], **COINBASE)
    world.raw(level2(1, "BTC-USD", kind="snapshot"), link_seq=1, **BTC)
    world.raw(level2(2, "ETH-USD", kind="snapshot"), link_seq=1, **ETH)
    await world.settle()
    assert states(world) == (State.LIVE, State.LIVE)


def states(world: World) -> tuple[State, State]:
    return world.state("BTC-USD"), world.state("ETH-USD")


class TestConnectionNumbers:
    async def test_frames_of_no_symbol_are_counted_too(self, world) -> None:
        await begun(world)
        between(world, heartbeat(3))
        world.raw(level2(4, "BTC-USD"), link_seq=2, **BTC)
        await world.settle()
        assert states(world) == (State.LIVE, State.LIVE)

    async def test_so_are_large_ones_that_travel_compressed(self, world) -> None:
        await begun(world)
        between(world, heartbeat(3, padding=2 * packing.COMPRESS_BYTES))
        world.raw(level2(4, "BTC-USD"), link_seq=2, **BTC)
        await world.settle()
        assert states(world) == (State.LIVE, State.LIVE)

    async def test_a_missing_number_concerns_every_book_of_the_link(self, world) -> None:
        await begun(world)
        world.raw(level2(4, "BTC-USD"), link_seq=2, **BTC)
        await world.settle()
        assert states(world) == (State.GAPPED, State.GAPPED)

    async def test_a_frame_of_two_products_arrives_twice_and_is_no_gap(self, world) -> None:
        await begun(world)
        for number in (3, 4):
            for seq, kind in ((number - 1, BTC), (number - 1, ETH)):
                world.raw(level2(number, "BTC-USD", "ETH-USD", size=str(number)), link_seq=seq, **kind)
        await world.settle()
        assert states(world) == (State.LIVE, State.LIVE)
        keepers = world.validator.desks["coinbase"].shelf.builders.values()
        assert [keeper.counters.gaps for keeper in keepers] == [0, 0]

    async def test_where_one_of_the_two_copies_is_lost_that_book_is_gapped(self, world) -> None:
        await begun(world)
        world.raw(level2(3, "BTC-USD", "ETH-USD", size="7"), link_seq=2, **BTC)
        world.raw(level2(4, "BTC-USD", "ETH-USD"), link_seq=3, **BTC)
        world.raw(level2(4, "BTC-USD", "ETH-USD"), link_seq=3, **ETH)
        await world.settle()
        assert states(world) == (State.LIVE, State.GAPPED)

    async def test_a_lost_frame_is_counted_once(self, world) -> None:
        await begun(world)
        world.raw(level2(4, "BTC-USD"), link_seq=3, **BTC)
        await world.settle()
        keeper = world.validator.desks["coinbase"].entries["BTC-USD"].builder
        assert (keeper.counters.gaps, keeper.missing, keeper.counters.bus_lost) == (1, 1, 1)

    async def test_a_number_from_the_past_is_not_read(self, world) -> None:
        await begun(world)
        world.raw(level2(1, "BTC-USD", size="9"), link_seq=2, **BTC)
        await world.settle()
        assert states(world) == (State.SYNCING, State.SYNCING)
        world.raw(level2(3, "ETH-USD", kind="snapshot"), link_seq=2, **ETH)
        await world.settle()
        assert world.state("ETH-USD") is State.LIVE


class TestFramesFromThePast:
    """Kraken's frames carry no number: nothing but our own counter orders them."""

    def frame(self, kind: str, qty: str) -> bytes:
        level = f'{{"price":45283.5,"qty":{qty}}}'
        ask = '{"price":45285.2,"qty":0.00100000}'
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{level}],"asks":[{ask}],'
            f'"checksum":{self.checksum(qty)},"timestamp":"2026-08-24T22:21:57.110183Z"}}]}}'
        ).encode()

    def checksum(self, qty: str) -> int:
        digits = [("45285.2", "0.00100000"), ("45283.5", qty)]
        text = "".join(part.replace(".", "").lstrip("0") for level in digits for part in level)
        return zlib.crc32(text.encode())

    async def test_a_repeated_one_is_not_applied_again_and_is_no_loss(self, world) -> None:
        world.link(exchange="kraken", symbols=["BTC-USD"])
        frames = [self.frame("snapshot", "0.1"), self.frame("update", "0.2"), self.frame("update", "0.3")]
        for seq, frame in ((1, frames[0]), (2, frames[1]), (3, frames[2]), (2, frames[1])):
            world.raw(frame, link_seq=seq, **KRAKEN)
        await world.settle()
        keeper = world.validator.desks["kraken"].entries["BTC-USD"].builder
        assert world.state("BTC-USD") is State.LIVE
        assert keeper.book.texts(1)[0] == [("45283.5", "0.3")]
        world.raw(self.frame("update", "0.4"), link_seq=4, **KRAKEN)
        await world.settle()
        assert world.state("BTC-USD") is State.LIVE
        assert keeper.counters.bus_lost == 0


class TestInstruments:
    async def test_a_halt_and_a_resumption_are_shown_with_the_exchanges_word(self, world) -> None:
        world.link()
        world.raw(upbit(100, 110))
        listed(world, ("BTC-KRW", "KRW-BTC", False), status="BREAK")
        await world.settle()
        assert world.state() is State.HALTED
        assert "BREAK" in world.newest().reason
        listed(world, ("BTC-KRW", "KRW-BTC", True))
        await world.settle()
        assert world.state() is State.LIVE

    async def test_a_symbol_that_is_halted_already_when_its_first_frame_comes_is_never_live(self, world) -> None:
        listed(world, ("BTC-KRW", "KRW-BTC", False))
        world.link()
        world.raw(upbit(100, 110))
        await world.settle()
        assert {book.state for book in world.books if book.symbol == "BTC-KRW"} == {int(State.HALTED)}

    async def test_a_delisted_symbol_is_halted(self, world) -> None:
        world.link()
        world.raw(upbit(100, 110))
        listed(world, ("ETH-KRW", "KRW-ETH", True))
        await world.settle()
        assert world.state() is State.HALTED

    async def test_an_empty_list_halts_nobody(self, world) -> None:
        world.link()
        world.raw(upbit(100, 110))
        listed(world)
        listed(world, ("BTC-KRW", "KRW-BTC", True))
        await world.settle()
        assert world.state() is State.LIVE

    async def test_a_symbol_that_becomes_another_market_begins_anew(self, world) -> None:
        world.link()
        world.raw(upbit(100, 110))
        await world.settle()
        revision = world.newest().revision
        listed(world, ("BTC-KRW", "KRW-XBT", True))
        await world.settle()
        assert world.state() is State.SYNCING
        assert world.newest().revision == revision + 1
        world.raw(upbit(200, 210, NOW_MS + 1))
        await world.settle()
        assert world.state() is State.SYNCING, "a frame of the old market"
        world.raw(upbit(300, 310, NOW_MS + 2, code="KRW-XBT"), native="KRW-XBT")
        await world.settle()
        assert world.state() is State.LIVE

    async def test_a_symbol_that_is_no_longer_collected_is_not_revived_by_a_rename(self, world) -> None:
        world.link()
        world.raw(upbit(100, 110))
        await world.settle()
        world.link(symbols=["ETH-KRW"])
        listed(world, ("BTC-KRW", "KRW-XBT", True))
        await world.settle()
        assert world.state() is State.HALTED
        desk = world.validator.desks["upbit"]
        desk.tick(world.ctx.now()._replace(mono_ns=world.ctx.now().mono_ns + 61_000_000_000))
        assert "BTC-KRW" not in desk.entries

    async def test_the_phase_is_published_with_the_book(self, world) -> None:
        listed(world, ("BTC-KRW", "KRW-BTC", True), phase=Phase.LIMIT_ONLY)
        world.link()
        world.raw(upbit(100, 110))
        await world.settle()
        assert (world.state(), Phase(world.newest().phase)) == (State.LIVE, Phase.LIMIT_ONLY)
        listed(world, ("BTC-KRW", "KRW-BTC", False), phase=Phase.POST_ONLY, status="post_only")
        await world.settle()
        assert (world.state(), Phase(world.newest().phase)) == (State.HALTED, Phase.POST_ONLY)
        assert "post_only" in world.newest().reason
        listed(world, ("BTC-KRW", "KRW-BTC", True), phase=Phase.TRADING)
        await world.settle()
        assert (world.state(), Phase(world.newest().phase)) == (State.LIVE, Phase.TRADING)

    async def test_a_phase_that_a_later_version_knows_halts_nobody(self, world) -> None:
        listed(world, ("BTC-KRW", "KRW-BTC", True), phase=99)
        world.link()
        world.raw(upbit(100, 110))
        await world.settle()
        assert (world.state(), Phase(world.newest().phase)) == (State.LIVE, Phase.UNKNOWN)

    async def test_a_phase_that_ends_by_itself_ends_without_a_word(self, world) -> None:
        now = world.ctx.now()
        until_ns = now.wall_ns + 3_600_000_000_000
        listed(world, ("BTC-KRW", "KRW-BTC", False), phase=Phase.AUCTION, phase_until_ns=until_ns)
        world.link()
        world.raw(upbit(100, 110))
        await world.settle()
        assert (world.state(), Phase(world.newest().phase)) == (State.HALTED, Phase.AUCTION)
        world.validator.desks["upbit"].tick(now._replace(wall_ns=until_ns))
        await world.settle()
        assert (world.state(), Phase(world.newest().phase)) == (State.LIVE, Phase.TRADING)

    async def test_a_message_of_the_exchange_concerns_its_books_in_the_order_of_the_frames(self, world) -> None:
        def say(system: str) -> None:
            payload = f'{{"channel":"status","type":"update","data":[{{"system":"{system}"}}]}}'.encode()
            frame = pb.RawFrame(exchange="kraken", link="L1", link_seq=1, payload=payload)
            frame.encoding = pb.RawFrame.ENCODING_IDENTITY
            frame.receive_time_ns = world.ctx.now().wall_ns
            world.bus.publish(subjects.raw_link("kraken"), frame.SerializeToString())

        room = TestFramesFromThePast()
        world.link(exchange="kraken", symbols=["BTC-USD"])
        world.raw(room.frame("snapshot", "0.1"), link_seq=1, **KRAKEN)
        await world.settle()
        assert world.state("BTC-USD") is State.LIVE
        say("maintenance")
        world.raw(room.frame("update", "0.2"), link_seq=2, **KRAKEN)
        await world.settle()
        newest = world.newest("BTC-USD")
        assert (world.state("BTC-USD"), Phase(newest.phase)) == (State.HALTED, Phase.MAINTENANCE)
        assert newest.bid_size[0] == 2 * 10 ** (-newest.size_exponent - 1), "it is kept as it is sent"
        assert "maintenance" in newest.reason
        say("a new word")
        await world.settle()
        assert (world.state("BTC-USD"), Phase(world.newest("BTC-USD").phase)) == (State.LIVE, Phase.UNKNOWN)

    async def test_a_book_that_crosses_asks_for_the_phases_of_its_exchange_and_not_again_and_again(self, world) -> None:
        asked = []

        async def list_(_subject: str, payload: bytes) -> bytes:
            asked.append(pb.ListingRequest.FromString(payload))
            return pb.ListingReply().SerializeToString()

        await world.bus.serve(subjects.rpc("listing", "coinbase"), list_)
        await begun(world)
        assert not asked
        for number in (3, 4, 5):
            frame = level2(number, "BTC-USD", kind="snapshot").replace(b'"99"', b'"102"')
            world.raw(frame, link_seq=number - 1, **BTC)
        await world.settle()
        assert [request.phases for request in asked] == [True]

    async def test_the_size_of_a_contract_is_published_with_the_book(self, world) -> None:
        listed(world, ("BTC-KRW", "KRW-BTC", True), contract_size="0.01", contract_currency="BTC")
        world.link()
        world.raw(upbit(100, 110))
        await world.settle()
        assert (world.newest().contract_size, world.newest().contract_currency) == ("0.01", "BTC")


async def test_a_bus_that_was_away_leaves_no_book_live_until_its_link_has_brought_something(world) -> None:
    await begun(world)
    desk = world.validator.desks["coinbase"]
    desk.deafened("the bus was away", world.ctx.now())
    await world.settle()
    assert states(world) == (State.STALE, State.STALE)
    world.link(symbols=["BTC-USD", "ETH-USD"], **COINBASE)
    await world.settle()
    assert states(world) == (State.STALE, State.STALE)
    world.raw(level2(3, "BTC-USD"), link_seq=2, **BTC)
    await world.settle()
    assert states(world) == (State.LIVE, State.STALE), "a quiet symbol proves nothing by itself"
    world.raw(level2(5, "BTC-USD"), link_seq=3, **BTC)
    await world.settle()
    assert states(world) == (State.GAPPED, State.STALE)
