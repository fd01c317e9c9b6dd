"""The ingest service of one exchange: the connector, wired to the bus.

1. What is collected: the configured symbols at once, and the universe as soon as the aggregator names one.
2. Every change of a slot is reported at once, and every slot once a second: as LinkBeat among the frames, for the
   books, and as LinkStatus for whoever watches. What the exchange lists is at every change, and every half minute.
3. While the bus is away the links are read on; what they bring is dropped and counted, never kept for later.
4. Healthy while every link is up, with two lines every symbol on one at least, and the instruments are known.
   Without any symbol there is nothing to connect.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError

from hoga.domain.errors import BusError
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange
from hoga.runtime.service import ServiceContext
from hoga.wire import pb, subjects
from services.ingest.connector import ExchangeConnector
from services.ingest.instruments import PERIOD_S, STREAM_MAX_BYTES, Instruments
from services.ingest.line import Patience
from services.ingest.metrics import Metrics
from services.ingest.rpc import Rpc
from services.ingest.slot import Slot

DESCRIPTION = "Collects the order books of one exchange and publishes its frames as received."
SETUP_RETRY_S = 1.0

log = logging.getLogger(__name__)


def service_name(args: argparse.Namespace) -> str:
    """`ingest-<code>` with '-'; ConfigError where the exchange is unknown."""
    return f"ingest-{registry.get(args.exchange).code.replace('_', '-')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exchange", required=True, metavar="CODE", help=f"one of: {', '.join(registry.supported())}")


async def main(ctx: ServiceContext) -> None:
    """Collects the exchange of `ctx.args.exchange` until told to stop; nothing where it is switched off."""
    exchange = registry.get(ctx.args.exchange)
    if not ctx.settings.exchange(exchange.code).enabled:
        log.info("%s: switched off (HOGA_EXCHANGES_%s_ENABLED)", exchange.code, exchange.code.upper())
        await ctx.stopping.wait()
        return
    service = Ingest(ctx, exchange)
    try:
        await service.start()
        await ctx.stopping.wait()
    finally:
        await service.stop()


class Ingest:
    """One exchange, collected."""

    def __init__(self, ctx: ServiceContext, exchange: Exchange, *, patience: Patience | None = None) -> None:
        self._ctx = ctx
        self._code = exchange.code
        self._settings = ctx.settings.exchange(exchange.code)
        self._metrics = Metrics(exchange.code)
        self._counts = ctx.health.exchange(exchange.code)
        self._universe: dict[str, str] = {}
        self._bus_losses = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._instruments = Instruments(exchange.code, ctx.instance, ctx.bus.publish)
        self.connector = ExchangeConnector(
            exchange,
            ctx.settings,
            publish=ctx.bus.publish,
            on_status=self._publish_status,
            on_rest=self._metrics.on_rest,
            on_list=self._instruments.update,
            instance=ctx.instance,
            patience=patience,
        )

    async def start(self) -> None:
        await self.connector.start()
        self._collect()
        self._ctx.bus.on_connection(self._on_bus)
        self._look()
        self._tasks = [asyncio.create_task(self._beat()), asyncio.create_task(self._talk())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connector.disconnect()

    # --- what is collected

    def _collect(self) -> None:
        self.connector.collect({**dict.fromkeys(self._settings.symbols, ""), **self._universe})

    def _on_universe(self, _subject: str, payload: bytes) -> None:
        try:
            universe = pb.Universe.FromString(payload)
        except DecodeError:
            log.error("%s: the universe cannot be read (%d bytes); the last one stays", self._code, len(payload))
            return
        entries = {entry.symbol: entry.native_symbol for entry in universe.entries}
        new, old = entries.keys() - self._universe.keys(), self._universe.keys() - entries.keys()
        if new or old:
            log.info("%s: universe of %d symbols: %d new, %d gone", self._code, len(entries), len(new), len(old))
        self._universe = entries
        self._collect()

    async def _talk(self) -> None:
        """Serves requests, follows the universe and keeps what is listed known; tries for ever, as the bus may be
        away just now."""
        bus = self._ctx.bus
        await self._persist(lambda: Rpc(self.connector).serve(bus))
        if self._settings.follow_universe:
            subject = subjects.universe(self._code)
            await self._persist(lambda: bus.subscribe_last(subjects.UNIVERSE_STREAM, subject, self._on_universe))
        stream, listed = subjects.INSTRUMENTS_STREAM, [subjects.instruments("*")]
        await self._persist(lambda: bus.ensure_stream(stream, listed, max_bytes=STREAM_MAX_BYTES))
        while True:
            self._instruments.publish()
            await asyncio.sleep(PERIOD_S)

    async def _persist(self, set_up: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await set_up()
                return
            except BusError as error:
                log.warning("%s: the bus is not ready: %s", self._code, error)
                await asyncio.sleep(SETUP_RETRY_S)

    # --- what is reported

    async def _beat(self) -> None:
        period_s = self._ctx.settings.ingest.heartbeat_s
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + period_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())
            self._report_all()
            self._look()

    def _on_bus(self, connected: bool) -> None:
        if not connected:  # what the bus had accepted and not delivered is lost, whatever was counted
            self._bus_losses += 1
            for slot in self._slots():
                slot.missed()
        else:
            self._report_all()
            self._instruments.publish()

    def _report_all(self) -> None:
        for slot in self._slots():
            self._publish_status(slot)

    def _slots(self) -> list[Slot]:
        return list(self.connector.parts.pool) if self.connector.started else []

    def _publish_status(self, slot: Slot) -> None:
        now_ns = time.time_ns()
        beat = pb.RawFrame(
            exchange=self._code, receive_time_ns=now_ns, kind=pb.RawFrame.KIND_LINK_BEAT, link_beat=slot.beat()
        )
        self._ctx.bus.publish(subjects.raw_link(self._code), beat.SerializeToString())
        status = slot.status(now_ns)
        status.dropped += self._bus_losses
        self._ctx.bus.publish(subjects.link(self._code, slot.name), status.SerializeToString())
        self._check_links()

    def _look(self) -> None:
        """Once a second: metrics, counts and health."""
        parts = self.connector.parts
        self._metrics.sync(self.connector)
        tally = parts.pool.tally
        self._counts.raw_messages = tally.published
        self._counts.dropped = max(tally.dropped, self._ctx.bus.dropped)  # the bus also drops what it had accepted
        directory = parts.directory
        self._ctx.health.set("instruments", directory.loaded, directory.problem)
        self._check_links()

    def _check_links(self) -> None:
        slots = self._slots()
        down = [f"{slot.name}: {slot.reason or 'connecting'}" for slot in slots if not slot.connected]
        self._ctx.health.set("links", not down or self._carried(slots), "; ".join(down))

    def _carried(self, slots: list[Slot]) -> bool:
        """Whether the other line carries every symbol of what is down; the monitor hears of it all the same."""
        live = {native for slot in slots if slot.connected for native in slot.symbols}
        return bool(live) and all(slot.symbols.keys() <= live for slot in slots)
