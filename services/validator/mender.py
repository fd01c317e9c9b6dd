"""Asks ingest for snapshots and resubscriptions; what fails is asked again by the book's builder in its own time."""

from __future__ import annotations

import asyncio
import logging
import time

from google.protobuf.message import DecodeError

from hoga.domain.errors import BusError
from hoga.runtime.bus import Bus
from hoga.runtime.logs import RateLimited
from hoga.wire import pb, subjects
from services.validator.metrics import Meters

MAX_ASKING = 1024
TIMEOUT_S = 3.0
AGAIN_S = 0.25
PHASES_S = 5.0
"""Least time between two requests for the phases of an exchange's markets."""
log = logging.getLogger(__name__)


class Mender:
    def __init__(self, bus: Bus, meters: Meters) -> None:
        self._bus = bus
        self._meters = meters
        self._asking: dict[tuple[str, str, str, bytes], asyncio.Task[None]] = {}
        self._phases_asked_s: dict[str, float] = {}
        self._limited = RateLimited(log, interval_s=10.0)

    def snapshot(self, exchange: str, symbol: str, priority: int) -> None:
        """Asks for the REST snapshot of a symbol; it will arrive with the raw frames."""
        request = pb.SnapshotRequest(symbol=symbol, priority=priority)
        self._ask("snapshot", exchange, symbol, request.SerializeToString())

    def resubscribe(self, exchange: str, symbol: str, link: str = "") -> None:
        """Asks for a fresh in-band snapshot, over `link` where one is named."""
        self._ask("resubscribe", exchange, symbol, pb.ResubscribeRequest(symbol=symbol, link=link).SerializeToString())

    def phases(self, exchange: str) -> None:
        """Asks for the list of markets as it is now: a book that looks wrong may be right in an auction."""
        now_s = time.monotonic()
        if now_s - self._phases_asked_s.get(exchange, -PHASES_S) >= PHASES_S:
            self._phases_asked_s[exchange] = now_s
            self._ask("listing", exchange, "", pb.ListingRequest(phases=True).SerializeToString())

    def _ask(self, method: str, exchange: str, symbol: str, payload: bytes) -> None:
        key = (method, exchange, symbol, payload)
        if key in self._asking or len(self._asking) >= MAX_ASKING:
            return
        self._meters.of(exchange).requested(method)
        task = asyncio.get_running_loop().create_task(self._request(key))
        self._asking[key] = task
        task.add_done_callback(lambda _: self._asking.pop(key, None))

    async def _request(self, key: tuple[str, str, str, bytes]) -> None:
        method, exchange, symbol, payload = key
        error = await self._deliver(subjects.rpc(method, exchange), payload)
        if error:
            self._meters.of(exchange).refused()
            self._limited.log(
                logging.WARNING, f"{method} {exchange}", "%s of %s %s: %s", method, exchange, symbol, error
            )

    async def _deliver(self, subject: str, payload: bytes) -> str:
        """The answer's error (every reply has it in the same field), empty where the request was accepted. Ingest may
        just be coming back to the bus, as after a restart: while nobody answers it is asked again for a moment."""
        give_up_s = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return pb.RpcReply.FromString(await self._bus.request(subject, payload, timeout_s=TIMEOUT_S)).error
            except DecodeError as failure:
                return f"the answer is no RpcReply: {failure}"
            except BusError as failure:
                if time.monotonic() >= give_up_s:
                    return str(failure)
            await asyncio.sleep(AGAIN_S)
