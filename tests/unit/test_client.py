"""The client over an in-memory bus: streams, callbacks, point reads, and what it says when things are wrong."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator

import pytest

from hoga.client import BookView, Client, State
from hoga.domain.errors import BusError, ConfigError, FrameError, HogaError
from hoga.testing.fake_bus import FakeBus
from hoga.wire import pb, subjects

EPOCH = 77


def publish(bus: FakeBus, revision: int, *, exchange: str = "upbit", symbol: str = "BTC-KRW") -> None:
    book = pb.OrderBook(
        exchange=exchange,
        symbol=symbol,
        epoch=EPOCH,
        revision=revision,
        state=pb.BookState.BOOK_STATE_LIVE,
        bid_price=[95_000_000],
        bid_size=[revision],
        ask_price=[95_001_000],
        ask_size=[5],
    )
    assert bus.publish(subjects.book(exchange, symbol), book.SerializeToString())


def publish_health(bus: FakeBus, epoch: int = EPOCH) -> None:
    bus.publish(subjects.health("validator", "a1"), pb.Health(service="validator", epoch=epoch).SerializeToString())


@pytest.fixture
async def bus() -> FakeBus:
    bus = FakeBus()
    await bus.ensure_stream(subjects.BOOKS_STREAM, [subjects.book("*")], max_bytes=1 << 20)
    await bus.ensure_stream(subjects.UNIVERSE_STREAM, [subjects.universe("*")], max_bytes=1 << 20)
    return bus


@pytest.fixture
async def client(bus: FakeBus) -> AsyncIterator[Client]:
    """A client whose publisher is known to live."""
    async with Client(bus=bus) as client:
        publish_health(bus)
        await bus.settle()
        yield client


# Streams.


async def test_the_current_book_comes_first_and_then_every_change(bus: FakeBus, client: Client) -> None:
    publish(bus, 1)
    publish(bus, 2)
    async with client.books("upbit", "BTC-KRW", conflate=False) as books:
        assert (await anext(books)).revision == 2
        publish(bus, 3)
        publish(bus, 4)
        assert [(await anext(books)).revision for _ in range(2)] == [3, 4]


async def test_wildcards_bring_the_books_that_match_and_no_others(bus: FakeBus, client: Client) -> None:
    for exchange, symbol in (("upbit", "BTC-KRW"), ("upbit", "ETH-KRW"), ("bithumb", "BTC-KRW")):
        publish(bus, 1, exchange=exchange, symbol=symbol)

    async def found(exchange: str, symbol: str, count: int) -> set[tuple[str, str]]:
        async with client.books(exchange, symbol) as books:
            got = {(book.exchange, book.symbol) for book in [await anext(books) for _ in range(count)]}
            await bus.settle()
            assert books.waiting == 0
            return got

    assert await found("upbit", "*", 2) == {("upbit", "BTC-KRW"), ("upbit", "ETH-KRW")}
    assert await found("*", "BTC-KRW", 2) == {("upbit", "BTC-KRW"), ("bithumb", "BTC-KRW")}
    assert len(await found("*", "*", 3)) == 3


async def test_a_symbol_that_is_no_plain_token_is_found(bus: FakeBus, client: Client) -> None:
    publish(bus, 1, symbol="币安人生-USDT")
    async with client.books("upbit", "币安人生-USDT") as books:
        assert (await anext(books)).symbol == "币安人生-USDT"


async def test_a_busy_consumer_gets_the_newest_and_is_told_what_it_missed(bus: FakeBus, client: Client) -> None:
    async with client.books("upbit", "BTC-KRW") as books:
        for revision in (1, 2, 5):
            publish(bus, revision)
        await bus.settle()
        book = await anext(books)
        assert (book.revision, book.skipped, book.lost) == (5, 2, 2)
        assert (books.skipped, books.lost) == (2, 2)


async def test_a_stream_that_is_left_or_forgotten_unsubscribes(bus: FakeBus, client: Client) -> None:
    before = len(bus.subscriptions)
    publish(bus, 1)
    async for book in client.books():
        assert book.revision == 1
        break
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(bus.subscriptions) == before


async def test_closing_the_client_ends_every_iteration(bus: FakeBus) -> None:
    client = Client(bus=bus)
    await client.connect()

    async def consume() -> int:
        return len([book async for book in client.books()])

    task = asyncio.create_task(consume())
    await asyncio.sleep(0)
    await client.close()
    assert await task == 0
    assert bus.subscriptions == []
    assert bus.connected, "a bus that was given stays open"
    with pytest.raises(BusError, match="closed"):
        await client.connect()


async def test_what_is_no_book_is_counted_and_the_stream_goes_on(bus: FakeBus, client: Client) -> None:
    async with client.books("upbit") as books:
        bus.publish(subjects.book("upbit", "BTC-KRW"), b"\xff\xff\xff")
        publish(bus, 1)
        assert (await anext(books)).revision == 1
        assert books.unreadable == 1


async def test_a_kept_live_book_is_held_until_its_publisher_is_heard(bus: FakeBus) -> None:
    publish(bus, 1)
    async with Client(bus=bus, stale_after_s=60) as client, client.books() as books:
        await bus.settle()
        assert books.waiting == 0
        publish_health(bus)
        assert (await anext(books)).live


async def test_books_turn_stale_when_nobody_is_heard_and_live_again(bus: FakeBus) -> None:
    async with Client(bus=bus, stale_after_s=0.2) as client, client.books() as books:
        publish_health(bus)
        publish(bus, 1)
        assert (await anext(books)).live
        stale = await anext(books)
        assert (stale.state, stale.reason, stale.revision) == (State.STALE, "its publisher is silent", 1)
        publish_health(bus)
        assert (await anext(books)).live
        bus.go_away()
        assert not client.connected
        assert (await anext(books)).reason == "the message bus is away"


async def test_without_a_limit_of_silence_books_are_taken_at_their_word(bus: FakeBus) -> None:
    publish(bus, 1)
    async with Client(bus=bus, stale_after_s=0) as client, client.books() as books:
        assert (await anext(books)).live


async def test_events_links_and_health_arrive_as_published(bus: FakeBus, client: Client) -> None:
    async with client.events("upbit") as events, client.links() as links, client.health("validator") as health:
        bus.publish(subjects.event("upbit", "BTC-KRW"), pb.BookEvent(exchange="upbit", count=3).SerializeToString())
        bus.publish(subjects.link("upbit", "upbit-0"), pb.LinkStatus(slot="upbit-0").SerializeToString())
        publish_health(bus)
        assert (await anext(events)).count == 3
        assert (await anext(links)).slot == "upbit-0"
        assert (await anext(health)).epoch == EPOCH


async def test_a_busy_listener_keeps_the_newest_messages(bus: FakeBus, client: Client) -> None:
    async with client.events(limit=2) as events:
        for count in range(5):
            bus.publish(subjects.event("upbit", "BTC-KRW"), pb.BookEvent(count=count).SerializeToString())
        await bus.settle()
        assert [(await anext(events)).count for _ in range(2)] == [3, 4]
        assert events.dropped == 3


# Callbacks.


async def test_callbacks_sync_and_async_get_books_until_they_are_removed(bus: FakeBus) -> None:
    seen: list[int] = []
    awaited: asyncio.Queue[BookView] = asyncio.Queue()
    client = Client(bus=bus, stale_after_s=0)

    def on_book(book: BookView) -> None:
        seen.append(book.revision)

    async def on_book_async(book: BookView) -> None:
        await awaited.put(book)

    client.add_orderbook_callback(on_book)
    client.add_orderbook_callback(on_book_async, "upbit", "BTC-KRW")
    publish(bus, 1)
    async with client:
        assert (await awaited.get()).revision == 1
        publish(bus, 2)
        assert (await awaited.get()).revision == 2
        assert seen == [1, 2]
        assert client.remove_orderbook_callback(on_book)
        assert not client.remove_orderbook_callback(on_book)
        publish(bus, 3)
        assert (await awaited.get()).revision == 3
        assert seen == [1, 2]


async def test_a_callback_that_fails_is_logged_once_and_called_again(
    bus: FakeBus, caplog: pytest.LogCaptureFixture
) -> None:
    calls: asyncio.Queue[int] = asyncio.Queue()

    def on_book(book: BookView) -> None:
        calls.put_nowait(book.revision)
        raise RuntimeError("mine to break")

    with caplog.at_level(logging.ERROR):
        async with Client(bus=bus, stale_after_s=0) as client:
            client.add_orderbook_callback(on_book)
            await asyncio.sleep(0)
            for revision in (1, 2, 3):
                publish(bus, revision)
                assert await calls.get() == revision
    assert len(caplog.records) == 1


async def test_a_slow_callback_does_not_delay_another(bus: FakeBus) -> None:
    quick: asyncio.Queue[int] = asyncio.Queue()
    release = asyncio.Event()
    slow: asyncio.Queue[int] = asyncio.Queue()

    async def wait(book: BookView) -> None:
        slow.put_nowait(book.revision)
        await release.wait()

    async with Client(bus=bus, stale_after_s=0) as client:
        client.add_orderbook_callback(wait)
        client.add_orderbook_callback(lambda book: quick.put_nowait(book.revision))
        await asyncio.sleep(0)
        for revision in (1, 2, 3, 4):
            publish(bus, revision)
            assert await quick.get() == revision
        assert await slow.get() == 1
        assert slow.empty()
        release.set()
        assert await slow.get() == 4, "the slow one goes on with the newest"


# Reading once.


async def test_a_point_read_gives_the_book_or_none(bus: FakeBus, client: Client) -> None:
    assert await client.book("upbit", "BTC-KRW") is None
    publish(bus, 4)
    book = await client.book("upbit", "BTC-KRW")
    assert book is not None
    assert (book.live, book.revision) == (True, 4)


async def test_a_point_read_of_a_dead_publisher_is_stale(bus: FakeBus) -> None:
    publish(bus, 4)
    async with Client(bus=bus, stale_after_s=0.1) as client:
        book = await client.book("upbit", "BTC-KRW")
        assert book is not None
        assert book.state is State.STALE


async def test_all_current_books_are_read_once_each_in_order(bus: FakeBus, client: Client) -> None:
    for symbol in ("XRP-KRW", "BTC-KRW", "ETH-KRW"):
        publish(bus, 1, symbol=symbol)
    assert [book.symbol for book in await client.current("upbit")] == ["BTC-KRW", "ETH-KRW", "XRP-KRW"]
    assert await client.current("bithumb") == []
    assert len(bus.subscriptions) == 1


async def test_the_full_book_is_asked_for_and_refusals_are_told(bus: FakeBus, client: Client) -> None:
    async def answer(_subject: str, payload: bytes) -> bytes:
        request = pb.BookRequest.FromString(payload)
        if request.symbol != "BTC-KRW":
            return pb.BookReply(error=f"no book of {request.symbol}").SerializeToString()
        sizes = list(range(1, (request.depth or 1000) + 1))
        book = pb.OrderBook(symbol=request.symbol, bid_price=sizes, bid_size=sizes)
        return pb.BookReply(book=book).SerializeToString()

    with pytest.raises(BusError):
        await client.full_book("upbit", "BTC-KRW")
    await bus.serve(subjects.rpc("book", "upbit"), answer)
    assert len((await client.full_book("upbit", "BTC-KRW")).bids) == 1000
    assert len((await client.full_book("upbit", "BTC-KRW", depth=3)).bids) == 3
    with pytest.raises(HogaError, match="no book of DOGE-KRW"):
        await client.full_book("upbit", "DOGE-KRW")
    with pytest.raises(ConfigError, match="depth = -1"):
        await client.full_book("upbit", "BTC-KRW", depth=-1)


async def test_the_universe_is_read_or_none(bus: FakeBus, client: Client) -> None:
    assert await client.universe("upbit") is None
    bus.publish(subjects.universe("upbit"), pb.Universe(exchange="upbit", listed=200).SerializeToString())
    universe = await client.universe("upbit")
    assert universe is not None
    assert universe.listed == 200


async def test_a_kept_universe_that_is_none_is_refused_in_our_own_words(bus: FakeBus, client: Client) -> None:
    bus.publish(subjects.universe("upbit"), b"B")
    with pytest.raises(FrameError, match="what the bus keeps for upbit is no Universe message") as caught:
        await client.universe("upbit")
    assert caught.value.reason == "shape"


# Mistakes.


@pytest.mark.parametrize("exchange", ["", "upbit.>", ">", "a b", "up*", "업비트"])
async def test_what_cannot_be_an_exchange_never_reaches_a_subject(client: Client, exchange: str) -> None:
    with pytest.raises(ConfigError, match="exchange code"):
        client.books(exchange)
    with pytest.raises(ConfigError, match="exchange code"):
        await client.universe(exchange)


async def test_a_point_read_needs_one_symbol(client: Client) -> None:
    for symbol in ("", "*"):
        with pytest.raises(ConfigError, match="symbol"):
            await client.book("upbit", symbol)


async def test_a_client_that_is_not_connected_says_so(bus: FakeBus) -> None:
    client = Client(bus=bus)
    assert not client.connected
    with pytest.raises(BusError, match="async with"):
        await client.book("upbit", "BTC-KRW")
    with pytest.raises(BusError, match="async with"):
        await anext(client.books())
