"""The validator on an in-memory bus: what it publishes, asks for, and survives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.domain.rules import BookRules
from hoga.domain.types import State
from hoga.exchanges.registry import EXCHANGES
from hoga.runtime.books import make_builder
from hoga.runtime.config import load_settings
from hoga.runtime.health import HealthBoard
from hoga.runtime.service import ServiceContext
from hoga.testing.fake_bus import FakeBus
from hoga.wire import books, pb, subjects
from services.validator.entry import Entry
from services.validator.service import Validator

MS = 1_000_000
NOW_MS = 1_790_134_742_000


class World:
    """A validator with clocks in the test's hand, and everything it published."""

    def __init__(self, env: dict[str, str]) -> None:
        self.bus = FakeBus()
        self.ctx = ServiceContext(
            "validator", load_settings(env=env), self.bus, HealthBoard("validator", "i"), "i", asyncio.Event(), None
        )
        self.validator = Validator(self.ctx)
        self.books: list[pb.OrderBook] = []
        self.requests: list[str] = []
        self.link_seq = 0
        self.links: dict[str, tuple] = {}
        self.link_events = 0
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.bus.subscribe(
            subjects.book("*"), lambda _, payload: self.books.append(pb.OrderBook.FromString(payload))
        )
        for code in ("upbit", "binance_spot"):
            await self.bus.serve(subjects.rpc("snapshot", code), self._snapshot)
        self.task = asyncio.create_task(self.validator.run())
        await self.settle()

    async def _snapshot(self, _: str, payload: bytes) -> bytes:
        self.requests.append(pb.SnapshotRequest.FromString(payload).symbol)
        return pb.RpcReply().SerializeToString()

    async def settle(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)

    def link(self, exchange="upbit", symbols=("BTC-KRW", "ETH-KRW"), link="L1", *, lost=False) -> None:
        """The one link of the exchange, in a beat; `lost`: it had frames thrown away."""
        changed = lost or (link, symbols) != self.links.get(exchange)
        self.links[exchange] = (link, symbols)
        self.link_events += changed
        told = pb.LinkBeat.Link(link=link, events=self.link_events)
        beat = pb.LinkBeat(slot="s0", symbols=symbols, links=[told])
        frame = pb.RawFrame(exchange=exchange, kind=pb.RawFrame.KIND_LINK_BEAT, link_beat=beat)
        self.bus.publish(subjects.raw_link(exchange), frame.SerializeToString())

    def raw(self, payload: bytes, symbol="BTC-KRW", native="KRW-BTC", exchange="upbit", link="L1", **fields) -> None:
        self.link_seq += 1
        fields.setdefault("link_seq", self.link_seq)
        fields.setdefault("kind", pb.RawFrame.KIND_STREAM)
        fields.setdefault("receive_time_ns", self.ctx.now().wall_ns)
        frame = pb.RawFrame(
            exchange=exchange, symbol=symbol, native_symbol=native, link=link, payload=payload,
            encoding=pb.RawFrame.ENCODING_IDENTITY, **fields,
        )  # fmt: skip
        self.bus.publish(subjects.raw(exchange, symbol), frame.SerializeToString())

    def newest(self, symbol="BTC-KRW") -> pb.OrderBook:
        return next(book for book in reversed(self.books) if book.symbol == symbol)

    def state(self, symbol="BTC-KRW") -> State:
        return State(self.newest(symbol).state)


@pytest.fixture
async def make() -> AsyncIterator:
    worlds: list[World] = []

    async def made(**env: str) -> World:
        world = World(env)
        worlds.append(world)
        await world.start()
        return world

    yield made
    for world in worlds:
        world.ctx.stopping.set()
        assert world.task is not None
        await world.task


def upbit(bid: float, ask: float, time_ms: int = NOW_MS, code: str = "KRW-BTC", size: str = "1") -> bytes:
    unit = f'{{"ask_price":{ask},"bid_price":{bid},"ask_size":{size},"bid_size":{size}}}'
    return f'{{"type":"orderbook","code":"{code}","timestamp":{time_ms},"orderbook_units":[{unit}]}}'.encode()


def spot_delta(first: int, last: int, bids=(), asks=()) -> bytes:
    event = {"e": "depthUpdate", "E": NOW_MS, "s": "BTCUSDT", "U": first, "u": last, "b": list(bids), "a": list(asks)}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": event}, separators=(",", ":")).encode()


SPOT = {"symbol": "BTC-USDT", "native": "BTCUSDT", "exchange": "binance_spot"}
SNAPSHOT = b'{"lastUpdateId":10,"bids":[["99","1"]],"asks":[["101","1"]]}'


async def test_a_frame_is_a_live_book_only_under_a_reported_link(make) -> None:
    world = await make()
    world.raw(upbit(100, 101))
    await world.settle()
    assert world.state() is State.STALE
    world.link()
    await world.settle()
    assert world.state() is State.STALE, "what came before the link was open proves nothing"
    world.raw(upbit(100, 101))
    await world.settle()
    assert world.state() is State.LIVE
    book = world.newest()
    assert books.levels(book) == ([("100", "1")], [("101", "1")])
    assert (book.exchange, book.native_symbol, book.verified) == ("upbit", "KRW-BTC", False)
    assert book.epoch == world.validator.epoch


async def test_every_update_is_published_with_the_next_revision(make) -> None:
    world = await make()
    world.link()
    for n in range(5):
        world.raw(upbit(100 + n, 110 + n, NOW_MS + n))
        await world.settle()
    revisions = [book.revision for book in world.books if book.symbol == "BTC-KRW"]
    assert revisions == list(range(1, len(revisions) + 1))
    assert books.levels(world.newest())[0] == [("104", "1")]


async def test_changes_that_come_together_are_one_message_with_the_newest(make) -> None:
    world = await make()
    world.link()
    await world.settle()
    before = len(world.books)
    desk = world.validator.desks["upbit"]
    for n in range(5):
        frame = pb.RawFrame(exchange="upbit", symbol="BTC-KRW", native_symbol="KRW-BTC", link="L1", link_seq=n + 1,
                            payload=upbit(100 + n, 110 + n, NOW_MS + n), kind=pb.RawFrame.KIND_STREAM)  # fmt: skip
        desk.raw(frame, world.ctx.now(), 0)
    await world.settle()
    assert len(world.books) == before + 1
    assert books.levels(world.newest())[0] == [("104", "1")]
    assert desk.entries["BTC-KRW"].conflated == 4


async def test_a_change_of_state_does_not_wait_for_the_least_interval(make) -> None:
    world = await make(HOGA_VALIDATOR_MIN_INTERVAL_MS="60000")
    world.link()
    world.raw(upbit(100, 110))
    await world.settle()
    world.raw(upbit(101, 111, NOW_MS + 1))
    await world.settle()
    assert books.levels(world.newest())[0] == [("100", "1")], "too soon for the next one"
    world.raw(b'{"type":"orderbook","code":"KRW-BTC","timestamp":1,"orderbook_units":5}')
    await world.settle()
    assert world.state() is State.STALE


@pytest.mark.parametrize("time_ms", [17_901_347_421_060, 10**18, 2**63 - 1, 99_999_999_999_999])
async def test_an_absurd_time_harms_nobody_else(make, time_ms: int) -> None:
    world = await make()
    world.link()
    world.raw(upbit(100, 110, time_ms))
    world.raw(upbit(200, 210, code="KRW-ETH"), symbol="ETH-KRW", native="KRW-ETH")
    await world.settle()
    assert world.state("ETH-KRW") is State.LIVE
    assert world.task is not None
    assert not world.task.done()


async def test_a_clock_that_ran_ahead_does_not_freeze_the_book(make) -> None:
    world = await make()
    world.link()
    world.raw(upbit(100, 110, NOW_MS + 3_600_000))
    await world.settle()
    keeper = world.validator.desks["upbit"].entries["BTC-KRW"].builder
    world.raw(upbit(101, 111, NOW_MS))
    await world.settle()
    keeper.ledger.arbiter.front.moved_ns -= 2_000_000_000  # two seconds pass
    world.raw(upbit(102, 112, NOW_MS + 100))
    await world.settle()
    assert books.levels(world.newest())[0] == [("102", "1")]


async def test_another_market_under_a_symbol_is_left_out(make) -> None:
    world = await make()
    world.link()
    world.raw(upbit(100, 110))
    world.raw(upbit(500, 510, NOW_MS + 1, code="KRW-XYZ"), native="KRW-XYZ")
    await world.settle()
    assert books.levels(world.newest())[0] == [("100", "1")]


async def test_frames_that_waited_too_long_are_not_live(make) -> None:
    world = await make()
    world.link()
    world.raw(upbit(100, 110))
    late_ns = world.ctx.now().wall_ns - 60_000 * MS
    world.raw(upbit(101, 111, NOW_MS + 1), link="L2", receive_time_ns=late_ns)  # of one process they come in order
    await world.settle()
    assert world.state() is State.STALE
    assert "late" in world.newest().reason
    world.raw(upbit(102, 112, NOW_MS + 2))
    await world.settle()
    assert world.state() is State.LIVE


async def test_a_symbol_collected_again_starts_anew_and_its_revision_goes_on(make) -> None:
    world = await make()
    world.link(exchange="binance_spot", symbols=["BTC-USDT"])
    world.raw(spot_delta(9, 10), **SPOT)
    world.raw(SNAPSHOT, kind=pb.RawFrame.KIND_REST_SNAPSHOT, **SPOT)
    await world.settle()
    assert world.state("BTC-USDT") is State.LIVE
    world.link(exchange="binance_spot", symbols=["ETH-USDT"])
    await world.settle()
    assert world.state("BTC-USDT") is State.HALTED
    revision = world.newest("BTC-USDT").revision
    world.link(exchange="binance_spot", symbols=["ETH-USDT", "BTC-USDT"])
    await world.settle()
    assert world.state("BTC-USDT") is State.SYNCING
    assert world.newest("BTC-USDT").revision == revision + 1


async def test_a_link_that_lost_frames_proves_nothing_until_it_delivers(make) -> None:
    world = await make()
    world.link(exchange="binance_spot", symbols=["BTC-USDT"])
    world.raw(spot_delta(9, 10), **SPOT)
    world.raw(SNAPSHOT, kind=pb.RawFrame.KIND_REST_SNAPSHOT, **SPOT)
    await world.settle()
    world.requests.clear()
    world.link(exchange="binance_spot", symbols=["BTC-USDT"], lost=True)
    await world.settle()
    assert world.state("BTC-USDT") is State.STALE
    assert world.requests == []
    world.raw(spot_delta(11, 12), **SPOT)
    await world.settle()
    assert world.state("BTC-USDT") is State.LIVE
    assert world.requests == [], "what fits the book proves it"


async def test_frames_lost_on_the_bus_are_counted_and_announced_once_and_repeated_ones_are_not(make) -> None:
    world = await make()
    events: list[pb.BookEvent] = []
    await world.bus.subscribe(subjects.event("*"), lambda _, payload: events.append(pb.BookEvent.FromString(payload)))
    world.link()
    for link_seq in (1, 2, 5, 6, 6, 7):
        world.raw(upbit(100, 101, NOW_MS + link_seq), link_seq=link_seq)
    await world.settle()
    assert [event.count for event in events if event.kind == pb.BookEvent.Kind.KIND_BUS_LOSS] == [2]
    assert world.validator.desks["upbit"].entries["BTC-KRW"].builder.counters.bus_lost == 2


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 30))))
def test_every_lost_frame_of_a_link_is_counted_once_and_a_repeated_one_is_told(arrivals) -> None:
    exchange = EXCHANGES["upbit"]
    entry = Entry(exchange, "BTC-KRW", make_builder(exchange.traits, BookRules()), epoch=1)
    heard: dict[str, list[int]] = {"a": [], "b": []}
    lost = {"a": 0, "b": 0}
    for link, number in arrivals:
        found = entry.builder.lost_before(link, number)
        assert (found < 0) == (number <= max(heard[link], default=0))
        if found >= 0:
            lost[link] += found
            heard[link].append(number)
    for link, numbers in heard.items():
        whole = set(range(numbers[0], numbers[-1] + 1)) if numbers else set()
        assert lost[link] == len(whole - set(numbers))


async def test_sizes_beyond_64_bits_are_published_as_text_and_no_level_is_missing(make) -> None:
    world = await make()
    world.link()
    units = (
        '{"ask_price":0.0007,"bid_price":0.0006,"ask_size":0.12345678,"bid_size":1},'
        '{"ask_price":0.0008,"bid_price":0.0005,"ask_size":1,"bid_size":250000000000}'
    )
    world.raw(f'{{"type":"orderbook","code":"KRW-BTC","timestamp":{NOW_MS},"orderbook_units":[{units}]}}'.encode())
    await world.settle()
    book = world.newest()
    assert books.levels(book) == (
        [("0.0006", "1"), ("0.0005", "250000000000")],
        [("0.0007", "0.12345678"), ("0.0008", "1")],
    )
    assert (book.bids_known, book.asks_known) == (2, 2)
    answer = await world.bus.request(
        subjects.rpc("book", "upbit"), pb.BookRequest(exchange="upbit", symbol="BTC-KRW").SerializeToString()
    )
    assert books.levels(pb.BookReply.FromString(answer).book) == books.levels(book)


async def test_the_full_book_by_request(make) -> None:
    world = await make()
    world.link()
    world.raw(upbit(100, 110))
    await world.settle()
    answer = await world.bus.request(
        subjects.rpc("book", "upbit"), pb.BookRequest(exchange="upbit", symbol="BTC-KRW").SerializeToString()
    )
    assert books.levels(pb.BookReply.FromString(answer).book)[0] == [("100", "1")]
    answer = await world.bus.request(
        subjects.rpc("book", "upbit"), pb.BookRequest(exchange="upbit", symbol="NO-PE").SerializeToString()
    )
    assert pb.BookReply.FromString(answer).error == "no book of upbit NO-PE"


async def test_messages_that_are_not_ours_are_counted_and_skipped(make) -> None:
    world = await make()
    world.link()
    world.bus.publish(subjects.raw("upbit", "BTC-KRW"), b"\xff\xff\xff")
    world.bus.publish(subjects.raw("nobody", "BTC-KRW"), pb.RawFrame(exchange="nobody").SerializeToString())
    world.bus.publish(subjects.link("upbit", "s0"), b"\xff")
    world.raw(upbit(100, 110))
    await world.settle()
    assert world.state() is State.LIVE


async def test_a_stopping_validator_leaves_no_live_book_behind(make) -> None:
    world = await make()
    world.link()
    world.raw(upbit(100, 110))
    await world.settle()
    world.ctx.stopping.set()
    assert world.task is not None
    await world.task
    assert world.state() is State.STALE
    assert world.newest().reason == "the validator was stopped"


async def test_a_rejected_frame_is_announced_whole(make) -> None:
    world = await make()
    events: list[pb.BookEvent] = []
    await world.bus.subscribe(subjects.event("*"), lambda _, payload: events.append(pb.BookEvent.FromString(payload)))
    world.link()
    broken = upbit(100, 110)[:-7]
    world.raw(broken)
    await world.settle()
    rejected = [event for event in events if event.kind == pb.BookEvent.Kind.KIND_REJECTED]
    assert [event.frame for event in rejected] == [broken]
    assert rejected[0].detail.startswith("json: ")
