"""The validator: raw frames in, trusted books out. See README.md for its table."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback

from google.protobuf.message import DecodeError

from hoga.domain.checks import TimeBudget
from hoga.domain.rules import BookRules
from hoga.domain.types import GapPolicy, Stamp
from hoga.exchanges.registry import EXCHANGES
from hoga.runtime.data_manager import get_orderbook_data_manager
from hoga.runtime.host import clock_id
from hoga.runtime.logs import RateLimited
from hoga.runtime.service import ServiceContext
from hoga.runtime.settings import Settings
from hoga.wire import envelope, pb, subjects
from services.validator.coverage import Coverage
from services.validator.desk import Desk
from services.validator.entry import Entry
from services.validator.epoch import new_epoch
from services.validator.mender import Mender
from services.validator.metrics import UNREADABLE, Meters
from services.validator.publisher import LAST_VALUE_AGE_S, Publisher

TICK_S = 0.1
BUFFER_AGE_NS = 15_000_000_000
"""More than any snapshot takes from its making to its arrival."""
COUNTS_NS = 1_000_000_000
BOOKS_MAX_BYTES = 64 << 20
log = logging.getLogger(__name__)


class Validator:
    """Every exchange's desk behind three handlers: raw frames and what is told of links among them, what exchanges
    list, requests for a book."""

    def __init__(self, ctx: ServiceContext, epoch: int = 0) -> None:
        """`epoch` 0: by the wall clock."""
        self._ctx = ctx
        settings = ctx.settings
        self.epoch = ctx.health.epoch = epoch or time.time_ns() // 1000
        meters = Meters(ctx.health)
        self._publisher = Publisher(
            ctx.bus,
            meters,
            depth=settings.validator.depth,
            min_interval_ns=settings.validator.min_interval_ms * 1_000_000,
        )
        mender = Mender(ctx.bus, meters)
        self.desks = {
            code: Desk(
                exchange,
                book_rules(settings, code),
                Coverage(
                    silent_after_ns=int(settings.validator.stale_after_s * 1e9),
                    clock=clock_id(),
                ),
                epoch=self.epoch,
                late_ns=int(settings.validator.stale_after_s * 1e9),
                audit_every_ns=int(settings.validator.audit_interval_s * 1e9),
                publisher=self._publisher,
                mender=mender,
                meters=meters,
            )
            for code, exchange in EXCHANGES.items()
            if settings.exchange(code).enabled
        }
        self._envelopes = envelope.Reader()
        self._limited = RateLimited(log, interval_s=10.0)
        if settings.log.debug_messages:
            self._log_messages(settings)

    async def run(self) -> None:
        bus = self._ctx.bus
        bus.on_connection(self._on_connection)
        for code in self.desks:
            await bus.serve(subjects.rpc("book", code), self._on_book_request)
        for code in self.desks:
            await bus.subscribe_last(subjects.INSTRUMENTS_STREAM, subjects.instruments(code), self._on_instruments)
        await bus.subscribe(subjects.raw("*"), self._on_raw)
        log.info("validating %s; epoch %d", ", ".join(self.desks), self.epoch)
        next_counts_ns, slow_dropped = 0, bus.slow_dropped
        while not self._ctx.stopping.is_set():
            stamp = self._ctx.now()
            if bus.slow_dropped != slow_dropped:
                slow_dropped = bus.slow_dropped
                self._deafened("messages were lost: this process was too slow for the bus")
            for code, desk in self.desks.items():
                try:
                    desk.tick(stamp)
                except Exception:  # one exchange's trouble is no other's
                    self._limited.log(logging.ERROR, code, "%s: %s", code, traceback.format_exc(limit=5))
            if stamp.mono_ns >= next_counts_ns:
                next_counts_ns = stamp.mono_ns + COUNTS_NS
                for desk in self.desks.values():
                    desk.state_counts()
            await _sleep(self._ctx.stopping, TICK_S)
        stamp = self._ctx.now()
        for desk in self.desks.values():
            self._publisher.publish_now(desk.retire("the validator was stopped", stamp))

    def _on_raw(self, subject: str, payload: bytes) -> None:
        try:
            frame = self._envelopes.read(subject, payload)
            desk = self.desks[frame.exchange]
        except (DecodeError, KeyError) as error:
            self._unreadable(subject, error)
            return
        desk.raw(frame, Stamp(time.monotonic_ns(), frame.receive_time_ns), time.time_ns())

    def _on_instruments(self, subject: str, payload: bytes) -> None:
        try:
            message = pb.InstrumentList.FromString(payload)
            desk = self.desks[message.exchange]
        except (DecodeError, KeyError) as error:
            self._unreadable(subject, error)
            return
        desk.instruments(message, self._ctx.now())

    async def _on_book_request(self, subject: str, payload: bytes) -> bytes:
        try:
            request = pb.BookRequest.FromString(payload)
        except DecodeError as error:
            return pb.BookReply(error=f"not a BookRequest: {error}").SerializeToString()
        desk = self.desks.get(request.exchange)
        entry = desk.entries.get(request.symbol) if desk else None
        if entry is None:
            return pb.BookReply(error=f"no book of {request.exchange} {request.symbol}").SerializeToString()
        return pb.BookReply(book=full_book(entry, request.depth)).SerializeToString()

    def _on_connection(self, connected: bool) -> None:
        if not connected:
            self._deafened("the bus was away: what was sent meanwhile is lost")
        for desk in self.desks.values():
            for entry in desk.entries.values():
                self._publisher.changed(entry)

    def _deafened(self, reason: str) -> None:
        for desk in self.desks.values():
            desk.deafened(reason, self._ctx.now())

    def _unreadable(self, subject: str, error: Exception) -> None:
        UNREADABLE.inc()
        self._limited.log(logging.WARNING, "unreadable", "message on %s is not ours: %s", subject, error)

    def _log_messages(self, settings: Settings) -> None:
        manager = get_orderbook_data_manager(settings.log)
        for code, desk in self.desks.items():
            manager.register_exchange(code)
            desk.shelf.observe = lambda _key, update, code=code: manager.log_raw_message(code, update)
        self._publisher.tap = manager.log_orderbook_data


def full_book(entry: Entry, depth: int) -> pb.OrderBook:
    """The book as asked for: its best `depth` proven levels a side, 0 for all. Not a revision of the subject."""
    message = entry.message(depth)
    message.revision = entry.revision
    message.publish_time_ns = time.time_ns()
    return message


def book_rules(settings: Settings, code: str) -> BookRules:
    """The rules of one exchange's book builders from the settings."""
    validator = settings.validator
    return BookRules(
        depth=validator.depth,
        gap_policy=GapPolicy(settings.exchange(code).gap_policy),
        buffer_updates=validator.buffer_updates,
        buffer_age_ns=BUFFER_AGE_NS,
        retry_ns=int(validator.snapshot_retry_s * 1e9),
        time=TimeBudget(
            late_after_ns=int(validator.late_after_s * 1e9), future_after_ns=int(validator.future_after_s * 1e9)
        ),
    )


async def main(ctx: ServiceContext) -> None:
    """Runs the validator until it is told to stop."""
    await ctx.bus.ensure_stream(
        subjects.BOOKS_STREAM, [subjects.book("*")], max_bytes=BOOKS_MAX_BYTES, max_age_s=LAST_VALUE_AGE_S
    )
    await Validator(ctx, await new_epoch(ctx.bus)).run()


async def _sleep(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
