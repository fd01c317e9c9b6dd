"""The connector through its standard interface, as a program of one's own would use it."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from hoga.domain.errors import SNIPPET_CHARS, ConfigError, RestError
from hoga.runtime.config import Settings
from services.ingest.connector import ExchangeConnector
from services.ingest.factory import ExchangeConnectorFactory
from services.ingest.interface import ExchangeConnectorInterface
from services.ingest.line import Patience
from tests.integration.ingest_support import FAST, Venue, collecting, natives_of, symbols_of, until

CODE = "binance_future"


@pytest.fixture
async def venue():
    found = Venue(natives_of(4))
    await found.start()
    yield found
    await found.stop()


class Manager:
    """The connection manager's face that a connector knows."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, bool]] = []

    def update_exchange_status(self, exchange_code: str, is_connected: bool) -> None:
        self.updates.append((exchange_code, is_connected))


def quick(venue: Venue, **extra) -> ExchangeConnector:
    return ExchangeConnector(
        venue.exchange(), venue.settings(), patience=Patience(connect_s=5.0, settle_s=5.0), **extra
    )


def test_every_method_of_the_interface_is_there():
    methods = {
        "add_message_callback", "add_orderbook_callback", "connect", "disconnect", "get_orderbook_snapshot",
        "get_websocket", "is_connected", "reconnect", "refresh_snapshots", "remove_message_callback",
        "remove_orderbook_callback", "send_message", "subscribe", "unsubscribe",
    }  # fmt: skip
    assert ExchangeConnectorInterface.__abstractmethods__ == methods
    assert not inspect.isabstract(ExchangeConnector)


async def test_the_refusal_of_a_snapshot_repeats_a_sane_length_of_the_symbol(venue):
    connector = quick(venue)
    assert connector.ask_snapshot("NO-SUCH", 1) == f"{CODE} does not collect 'NO-SUCH'"
    assert connector.ask_snapshot("A" * 2000, 1) == f"{CODE} does not collect '{'A' * SNIPPET_CHARS}…'"


async def test_connecting_twice_connects_once(venue, caplog):
    caplog.set_level("INFO")
    connector = quick(venue)
    try:
        assert not connector.is_connected
        assert await connector.connect()
        assert connector.is_connected
        assert await connector.connect()
        assert len(venue.connections) == 1
        assert sum("이미 연결되어 있음" in line for line in caplog.messages) == 1
    finally:
        assert await connector.disconnect()
    assert not connector.is_connected
    assert await connector.disconnect()


async def test_the_connection_manager_hears_of_every_change(venue):
    manager = Manager()
    connector = quick(venue, connection_manager=manager)
    try:
        assert await connector.connect()
        assert manager.updates == [(CODE, True)]
        venue.live[0].reset()
        await until(lambda: len(manager.updates) == 3)
        assert manager.updates[1:] == [(CODE, False), (CODE, True)]
        # More symbols than fit on one link: a link that is only being opened is no lost connection.
        assert await connector.subscribe(symbols_of(natives_of(4)))
        assert len(manager.updates) == 3
    finally:
        await connector.disconnect()
    assert manager.updates[3:] == [(CODE, False)]


async def test_growing_by_a_link_is_no_disconnect(venue):
    manager = Manager()
    settings = venue.settings(symbols_per_link=1)
    connector = ExchangeConnector(venue.exchange(), settings, connection_manager=manager)
    try:
        assert await connector.connect()
        assert await connector.subscribe(symbols_of(natives_of(4)))
        assert len(venue.live) == 4
        assert manager.updates == [(CODE, True)]
    finally:
        await connector.disconnect()


async def test_an_exchange_out_of_reach_is_a_false_and_is_tried_on(venue):
    port = venue.port
    await venue.stop()
    ingest = FAST.__class__(connect_timeout_s=0.2, backoff_min_s=0.01, backoff_max_s=0.05)
    connector = ExchangeConnector(venue.exchange(), venue.settings(ingest))
    try:
        assert not await connector.connect()
        await venue.start(port)
        await until(lambda: connector.is_connected)
    finally:
        await connector.disconnect()


async def test_message_callbacks_get_frames_and_book_callbacks_get_updates(venue):
    frames, updates, awaited = [], [], []

    async def later(update):
        await asyncio.sleep(0)
        awaited.append(update["seq"])

    def broken(_):
        raise RuntimeError("mine")

    async with collecting(venue, ["C000-USDT"]) as connector:
        connector.add_message_callback(broken)
        connector.add_message_callback(frames.append)
        connector.add_orderbook_callback(broken)
        connector.add_orderbook_callback(updates.append)
        connector.add_orderbook_callback(later)
        await venue.deliver("C000USDT")
        await venue.send(venue.live[0], venue.frame("C003USDT", 1))
        await venue.deliver("C000USDT")
        await until(lambda: awaited == [1, 2])
        assert [update["seq"] for update in updates] == [1, 2]
        assert updates[0] == {
            "exchange": CODE,
            "symbol": "C000-USDT",
            "native_symbol": "C000USDT",
            "type": "delta",
            "ts": 1790000000000,
            "seq": 1,
            "prev_seq": 0,
            "bids": [("1.0", "1.0")],
            "asks": [],
        }
        assert [frame for frame in frames if b'"C000USDT"' in frame] == [venue.frame("C000USDT", n) for n in (1, 2)]
        assert connector.remove_message_callback(frames.append)
        assert not connector.remove_message_callback(frames.append)
        assert connector.remove_orderbook_callback(updates.append)
        assert len(venue.connections) == 1


async def test_frames_are_parsed_only_while_somebody_wants_books(venue, monkeypatch):
    exchange = venue.exchange()
    parsed = []
    parse = exchange.handler.parse
    monkeypatch.setattr(exchange.handler, "parse", lambda frame: parsed.append(1) or parse(frame))
    async with collecting(venue, ["C000-USDT"], exchange=exchange) as connector:
        tally = connector.parts.pool
        await venue.deliver("C000USDT")
        await until(lambda: tally.tally.published == 1)
        assert not parsed
        seen = []
        connector.add_orderbook_callback(seen.append)
        await venue.deliver("C000USDT")
        await until(lambda: seen)
        connector.remove_orderbook_callback(seen.append)
        await venue.deliver("C000USDT")
        await until(lambda: tally.tally.published == 3)
        assert len(parsed) == 1


async def test_snapshots_are_fetched_and_refreshed(venue):
    async with collecting(venue, ["C000-USDT", "C001-USDT"]) as connector:
        await venue.deliver("C000USDT")
        snapshot = await connector.get_orderbook_snapshot("C000-USDT")
        assert (snapshot["type"], snapshot["seq"], snapshot["asks"]) == ("snapshot", 1, [("2.0", "1.0")])
        with pytest.raises(RestError, match="C00X-USDT"):
            await connector.get_orderbook_snapshot("C00X-USDT")
        updates = []
        connector.add_orderbook_callback(updates.append)
        await connector.refresh_snapshots()
        await until(lambda: len(updates) == 2)
        assert {update["symbol"] for update in updates} == {"C000-USDT", "C001-USDT"}


async def test_reconnect_replaces_every_link(venue):
    async with collecting(venue, symbols_of(natives_of(4)), settings=venue.settings(symbols_per_link=2)) as connector:
        before = {slot.name: slot.link.name for slot in connector.parts.pool}
        assert await connector.reconnect()
        after = {slot.name: slot.link.name for slot in connector.parts.pool}
        assert before.keys() == after.keys()
        assert not set(before.values()) & set(after.values())


async def test_what_the_exchange_does_not_list_is_a_false(venue):
    async with collecting(venue, ["C000-USDT"]) as connector:
        assert not await connector.subscribe(["C001-USDT", "NONE-USDT"])
        await until(lambda: venue.live[0].subscribed == {"C000USDT", "C001USDT"})
        assert not await connector.unsubscribe(["C001-USDT", "C002-USDT"])
        await until(lambda: venue.live[0].subscribed == {"C000USDT"})


async def test_symbols_named_before_connecting_are_subscribed_then(venue):
    connector = quick(venue)
    try:
        assert await connector.subscribe(["C002-USDT"])
        assert await connector.connect()
        await until(lambda: venue.live[-1].subscribed == {"C002USDT"})
    finally:
        await connector.disconnect()


async def test_a_connector_can_be_used_again_after_disconnect(venue):
    connector = quick(venue)
    for _ in range(2):
        assert await connector.connect()
        assert await connector.subscribe(["C002-USDT"])
        await connector.disconnect()
    await until(lambda: not venue.live)
    assert len(venue.connections) == 2


async def test_the_factory_makes_one_connector_per_exchange():
    factory, manager = ExchangeConnectorFactory(Settings()), Manager()
    assert factory.get_supported_exchanges()[:2] == ["binance_future", "binance_spot"]
    assert factory.get_connector("upbit") is None
    connector = factory.create_connector(exchange_code="upbit", connection_manager=manager)
    assert connector.exchange.code == "upbit"
    assert connector.connection_manager is manager
    assert factory.create_connector("upbit") is factory.get_connector("upbit") is connector
    assert connector.connection_manager is manager
    with pytest.raises(ConfigError, match="upbit"):
        factory.create_connector("upbitt")
