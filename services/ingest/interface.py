"""What every exchange connector offers: the standard interface of the collector.

There is one implementation for all exchanges, `connector.ExchangeConnector`; what differs between exchanges
is in their strategy and handler (`hoga.exchanges`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from services.ingest.handshake import Socket
from services.ingest.observers import MessageCallback, OrderbookCallback, OrderbookUpdate


class ConnectionManager(Protocol):
    """Whoever keeps the state of all connections: it is told of every change."""

    def update_exchange_status(self, exchange_code: str, is_connected: bool, /) -> object: ...


class ExchangeConnectorInterface(ABC):
    """One exchange's connections, subscriptions and snapshots. Symbols are canonical (`BTC-USDT`)."""

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Every connection that is needed is up."""

    @abstractmethod
    async def connect(self) -> bool:
        """Connects; True when connected in time. It goes on trying after a False."""

    @abstractmethod
    async def disconnect(self) -> bool:
        """Closes everything."""

    @abstractmethod
    async def reconnect(self) -> bool:
        """Replaces every connection by a fresh one without a pause in the data."""

    @abstractmethod
    async def subscribe(self, symbols: Sequence[str]) -> bool:
        """Adds symbols; True when the exchange took every one of them."""

    @abstractmethod
    async def unsubscribe(self, symbols: Sequence[str]) -> bool:
        """Gives symbols up; True when every one of them was subscribed."""

    @abstractmethod
    def add_message_callback(self, callback: MessageCallback) -> None:
        """Calls `callback(frame)` with every frame, as received."""

    @abstractmethod
    def remove_message_callback(self, callback: MessageCallback) -> bool:
        """Whether it was registered."""

    @abstractmethod
    def add_orderbook_callback(self, callback: OrderbookCallback) -> None:
        """Calls `callback(update)` with every parsed snapshot and delta."""

    @abstractmethod
    def remove_orderbook_callback(self, callback: OrderbookCallback) -> bool:
        """Whether it was registered."""

    @abstractmethod
    async def send_message(self, message: str | dict[str, Any] | list[Any]) -> bool:
        """Sends a text, or an object as JSON, on the first connection, within the message limit."""

    @abstractmethod
    async def get_orderbook_snapshot(self, symbol: str) -> OrderbookUpdate:
        """Fetches the REST snapshot of a symbol. RestError or FrameError where there is none."""

    @abstractmethod
    async def refresh_snapshots(self, symbols: Sequence[str] | None = None) -> None:
        """Asks for fresh snapshots (of all symbols); they arrive as frames and through the callbacks."""

    @abstractmethod
    async def get_websocket(self) -> Socket | None:
        """The first connection's websocket, None while there is none."""
