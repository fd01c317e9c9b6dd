"""What users type is understood, and what is not is answered with what they probably meant."""

from __future__ import annotations

import pytest

from hoga.cli.markets import find_book, match, near
from hoga.client import Client
from hoga.domain.errors import ConfigError, HogaError
from hoga.testing.fake_bus import FakeBus
from hoga.wire import pb, subjects

KNOWN = {"BTC-KRW": "KRW-BTC", "BTC-USDT": "USDT-BTC", "ETH-KRW": "KRW-ETH", "DOGE-KRW": "KRW-DOGE"}


@pytest.mark.parametrize("typed", ["BTC-KRW", "btc-krw", "BTC/KRW", "btc_krw", "BTCKRW", "KRW-BTC", "krw-btc"])
def test_every_usual_spelling_of_a_market_is_understood(typed: str) -> None:
    assert match(typed, KNOWN) == "BTC-KRW"


def test_a_spelling_that_could_be_two_markets_is_none() -> None:
    assert match("ab-c", {"A-BC": "1", "AB-C": "2"}) is None
    assert match("AB-C", {"A-BC": "1", "AB-C": "2"}) == "AB-C"
    assert match("SOL-KRW", KNOWN) is None


def test_near_matches_begin_with_the_same_coin() -> None:
    assert near("BTC-USD", KNOWN)[:2] == ["BTC-KRW", "BTC-USDT"]
    assert near("DOG-KRW", KNOWN)[0] == "DOGE-KRW"
    assert near("ZZZZZZ", KNOWN) == []


@pytest.fixture
async def bus() -> FakeBus:
    bus = FakeBus()
    await bus.ensure_stream(subjects.BOOKS_STREAM, [subjects.book("*")], max_bytes=1)
    await bus.ensure_stream(subjects.UNIVERSE_STREAM, [subjects.universe("*")], max_bytes=1)
    return bus


def publish(bus: FakeBus, symbol: str, native: str) -> None:
    book = pb.OrderBook(exchange="upbit", symbol=symbol, native_symbol=native)
    bus.publish(subjects.book("upbit", symbol), book.SerializeToString())


async def test_a_book_is_found_by_the_exchanges_own_id(bus: FakeBus) -> None:
    publish(bus, "BTC-KRW", "KRW-BTC")
    async with Client(bus=bus, stale_after_s=0) as client:
        assert (await find_book(client, "upbit", "krw-btc")).symbol == "BTC-KRW"


async def test_every_mistake_is_one_line_that_helps(bus: FakeBus) -> None:
    async with Client(bus=bus, stale_after_s=0) as client:
        with pytest.raises(ConfigError, match=r"unknown exchange 'upbitt'.*'upbit'"):
            await find_book(client, "upbitt", "BTC-KRW")
        with pytest.raises(ConfigError, match="nothing is collected of upbit yet: does `hoga up`"):
            await find_book(client, "upbit", "BTC-KRW")
        publish(bus, "BTC-KRW", "KRW-BTC")
        with pytest.raises(ConfigError, match="no book of 'BTC-USD' on upbit; did you mean BTC-KRW"):
            await find_book(client, "upbit", "BTC-USD")
        with pytest.raises(ConfigError, match="no book of 'QQ' on upbit; among its 1 are BTC-KRW"):
            await find_book(client, "upbit", "QQ")
        entry = pb.Universe.Entry(symbol="XRP-KRW", native_symbol="KRW-XRP")
        bus.publish(subjects.universe("upbit"), pb.Universe(exchange="upbit", entries=[entry]).SerializeToString())
        with pytest.raises(HogaError, match="XRP-KRW is chosen for collecting, but there is no book"):
            await find_book(client, "upbit", "xrp-krw")
