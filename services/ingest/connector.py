"""The connector of any exchange: links, instruments and snapshots behind the standard interface.

It keeps no books. Frames go, as received, to `publish` and to the message callbacks; they are parsed only
while an order-book callback is registered.

    connector = ExchangeConnector(registry.get("upbit"), settings)
    connector.add_orderbook_callback(print)
    await connector.connect()
    await connector.subscribe(["BTC-KRW"])
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from hoga.domain.errors import RestError, snippet
from hoga.exchanges.base import Endpoints, Exchange
from hoga.runtime.config import Settings
from hoga.runtime.rest import RestClient
from services.ingest.directory import Directory
from services.ingest.handshake import Socket, new_session
from services.ingest.interface import ConnectionManager, ExchangeConnectorInterface
from services.ingest.lane import Publish
from services.ingest.line import Patience, Shared
from services.ingest.observers import (
    MessageCallback,
    Observers,
    Oddities,
    OrderbookCallback,
    OrderbookUpdate,
    Pulse,
    describe,
)
from services.ingest.pacing import Pacer
from services.ingest.pool import Pool
from services.ingest.slot import Slot
from services.ingest.snapshots import Snapshots
from services.ingest.wishes import Wishes

DIRECT_PRIORITY = 1
"""REST priority of `get_orderbook_snapshot`: somebody is waiting."""
REFRESH_PRIORITY = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs between `start` and `disconnect`."""

    session: aiohttp.ClientSession
    rest: RestClient
    directory: Directory
    snapshots: Snapshots
    pool: Pool
    tasks: list[asyncio.Task[None]]


class ExchangeConnector(ExchangeConnectorInterface):
    """Collects one exchange. `start` (or `connect`), `collect` or `subscribe`, and `disconnect` at the end."""

    def __init__(
        self,
        exchange: Exchange,
        settings: Settings | None = None,
        *,
        connection_manager: ConnectionManager | None = None,
        publish: Publish | None = None,
        on_status: Callable[[Slot], None] | None = None,
        on_rest: Callable[[int, float], None] | None = None,
        on_list: Callable[[Directory], None] | None = None,
        instance: str = "",
        patience: Patience | None = None,
    ) -> None:
        """`publish` takes the envelopes (`Bus.publish`); `on_status(slot)` hears of every change of a slot,
        `on_list(directory)` of every answer of the exchange about what it lists."""
        self.exchange = exchange
        self.settings = settings or Settings()
        self.instance = instance or secrets.token_hex(3)
        self.connection_manager = connection_manager
        self.changed = Pulse()
        self.observers = Observers(exchange)
        self.oddities = Oddities()
        self.endpoints = _endpoints(exchange, self.settings)
        self._publish: Publish = publish or (lambda _subject, _payload: True)
        self._on_status = on_status
        self._on_rest = on_rest
        self._on_list = on_list
        self._patience = patience or Patience(connect_s=self.settings.ingest.connect_timeout_s)
        # Two processes of one exchange share what it allows one address.
        share = 0.5 if self.settings.ingest.line else 1.0
        self._gate = Pacer(exchange.limits.connects_per_s * share, exchange.limits.connect_burst)
        self._wishes = Wishes(exchange.code)
        self._was_connected = False
        self._parts: Parts | None = None

    # --- life

    async def start(self) -> None:
        """Begins to fetch the instruments, to connect whatever symbols are wanted and to serve snapshots."""
        if self._parts is not None:
            return
        session = new_session()
        rest = RestClient(self.exchange, self.endpoints, self.settings, session, on_answer=self._on_rest)
        directory = Directory(self.exchange, rest, self._listed)
        snapshots = Snapshots(self.exchange, rest, self._publish, self.observers, self._wishes.__contains__)
        shared = Shared(
            self.exchange,
            self.exchange.strategy.ws_url(self.endpoints),
            session,
            self._publish,
            self.observers,
            self._patience,
            self.oddities,
            self.changed,
        )
        pool = Pool(shared, self.settings, self._gate, self.instance, self._slot_changed)
        tasks = [asyncio.create_task(directory.run()), asyncio.create_task(snapshots.run())]
        self._parts = Parts(session, rest, directory, snapshots, pool, tasks)
        log.info("%s: websocket %s, REST %s", self.exchange.code, shared.url, self.endpoints.rest)

    async def connect(self) -> bool:
        if self.is_connected:
            log.info("%s: 이미 연결되어 있음", self.exchange.code)
            return True
        await self.start()
        self.parts.pool.open_when_idle = True
        self._apply()
        connected = await self.changed.until(lambda: self.is_connected, self.settings.ingest.connect_timeout_s)
        if not connected:
            log.error("%s: not connected within %g s; still trying", self.exchange.code, self._patience.connect_s)
        return connected

    async def disconnect(self) -> bool:
        parts, self._parts = self._parts, None
        if parts is not None:
            for task in parts.tasks:
                task.cancel()
            await asyncio.gather(*parts.tasks, return_exceptions=True)
            await parts.pool.close()
            await parts.session.close()
        self._tell_manager()
        return True

    async def reconnect(self) -> bool:
        if self._parts is None:
            return await self.connect()
        # One line after the other: each time the other one carries on.
        done = [await self._reconnect_line(slots) for slots in self.parts.pool.lines]
        return all(done) and self.is_connected

    async def _reconnect_line(self, slots: list[Slot]) -> bool:
        """Whether a fresh link took the place of every one there was; what was down is on its way anyway."""
        before = {slot: slot.link for slot in slots if slot.link is not None}
        for slot in before:
            slot.replace("a reconnect was asked for")
        timeout_s = self.settings.ingest.connect_timeout_s + self._patience.settle_s
        return await self.changed.until(
            lambda: self.is_connected and all(slot.connected and slot.link is not old for slot, old in before.items()),
            timeout_s,
        )

    @property
    def is_connected(self) -> bool:
        return self._parts is not None and self._parts.pool.connected

    @property
    def started(self) -> bool:
        return self._parts is not None

    @property
    def parts(self) -> Parts:
        """The running parts; RuntimeError before `start`."""
        if self._parts is None:
            raise RuntimeError(f"the {self.exchange.code} connector is not started")
        return self._parts

    # --- symbols

    def collect(self, symbols: Mapping[str, str]) -> None:
        """Collects exactly these symbols: canonical -> native id where known, else "". Others are given up."""
        self._wishes.replace(symbols)
        self._apply()

    async def subscribe(self, symbols: Sequence[str]) -> bool:
        for symbol in symbols:
            self._wishes.add(symbol)
        if self._parts is None:
            return True
        timeout_s = self._patience.settle_s
        if not await self.changed.until(lambda: self.parts.directory.loaded, timeout_s):
            return False
        self._apply()
        natives = {self.native(symbol) for symbol in symbols}
        await self.changed.until(lambda: all(self._answered(native) for native in natives), timeout_s)
        return all(self._accepted(native) for native in natives)

    async def unsubscribe(self, symbols: Sequence[str]) -> bool:
        known = [self._wishes.remove(symbol) for symbol in symbols]
        self._apply()
        return all(known)

    @property
    def symbols(self) -> list[str]:
        """Canonical symbols that shall be collected, listed or not."""
        return list(self._wishes.symbols)

    def native(self, symbol: str) -> str | None:
        """The native id of a symbol that shall be collected; None where it is unknown."""
        if self._parts is None or symbol not in self._wishes:
            return None
        return self._wishes.native(symbol, self._parts.directory)

    def _apply(self) -> None:
        """Brings what is collected in line with what is wanted and listed."""
        if self._parts is None:
            return
        self._parts.pool.place(self._wishes.placed(self._parts.directory))

    def _listed(self) -> None:
        self._apply()
        if self._parts is not None and self._on_list is not None:
            self._on_list(self._parts.directory)

    def _answered(self, native: str | None) -> bool:
        """Accepted, or answered on every line."""
        slots = self.parts.pool.carrying(native) if native else []
        return self._accepted(native) or all(slot.ready or self._is_refused(slot, native) for slot in slots)

    def _accepted(self, native: str | None) -> bool:
        slots = self.parts.pool.carrying(native) if native else []
        return any(slot.ready and not self._is_refused(slot, native) for slot in slots)

    @staticmethod
    def _is_refused(slot: Slot, native: str | None) -> bool:
        return slot.link is not None and native in slot.link.refused

    # --- callbacks, messages, snapshots

    def add_message_callback(self, callback: MessageCallback) -> None:
        self.observers.add_message(callback)

    def remove_message_callback(self, callback: MessageCallback) -> bool:
        return self.observers.remove_message(callback)

    def add_orderbook_callback(self, callback: OrderbookCallback) -> None:
        self.observers.add_book(callback)

    def remove_orderbook_callback(self, callback: OrderbookCallback) -> bool:
        return self.observers.remove_book(callback)

    async def send_message(self, message: str | dict[str, Any] | list[Any]) -> bool:
        text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
        slots = list(self._parts.pool) if self._parts is not None else []
        return any(slot.link is not None and slot.link.send(text) for slot in slots)

    async def get_orderbook_snapshot(self, symbol: str) -> OrderbookUpdate:
        await self.start()
        await self.changed.until(lambda: self.parts.directory.loaded, self._patience.settle_s)
        native = self._wishes.native(symbol, self.parts.directory)
        if native is None:
            near = self.parts.directory.near(symbol)
            raise RestError(f"{self.exchange.code} lists no symbol {symbol!r}; near: {', '.join(near) or 'none'}")
        _, update = await self.parts.snapshots.fetch(native, priority=DIRECT_PRIORITY)
        return describe(self.exchange.code, symbol, update)

    async def refresh_snapshots(self, symbols: Sequence[str] | None = None) -> None:
        for symbol in self.symbols if symbols is None else symbols:
            self.ask_snapshot(symbol, REFRESH_PRIORITY)

    def ask_snapshot(self, symbol: str, priority: int) -> str:
        """Queues the snapshot of a collected symbol; the reason where that is not possible, else ""."""
        native = self.native(symbol)
        if native is None:
            return f"{self.exchange.code} does not collect {snippet(symbol)!r}"
        if not self.parts.snapshots.ask(symbol, native, priority):
            return f"{len(self.parts.snapshots)} snapshots are queued already"
        return ""

    async def get_websocket(self) -> Socket | None:
        slots = list(self._parts.pool) if self._parts is not None else []
        return next((slot.link.socket for slot in slots if slot.link is not None), None)

    # --- status

    def _slot_changed(self, slot: Slot) -> None:
        if self._on_status is not None:
            self._on_status(slot)
        self._tell_manager()

    def _tell_manager(self) -> None:
        connected = self.is_connected
        if connected != self._was_connected:
            self._was_connected = connected
            if self.connection_manager is not None:
                self.connection_manager.update_exchange_status(self.exchange.code, connected)


def _endpoints(exchange: Exchange, settings: Settings) -> Endpoints:
    own, chosen = exchange.strategy.endpoints, settings.exchange(exchange.code)
    return Endpoints(ws=chosen.ws_url or own.ws, rest=chosen.rest_url or own.rest)
