"""Asks ingest for snapshots and resubscriptions; what fails is asked again by the keeper in its own time."""

from __future__ import annotations

import asyncio
import logging

from hoga.domain.errors import BusError
from hoga.runtime.bus import Bus
from hoga.runtime.logs import RateLimited
from hoga.wire import pb, subjects
from services.validator.metrics import Meters

MAX_ASKING = 1024
TIMEOUT_S = 3.0
log = logging.getLogger(__name__)


class Mender:
    def __init__(self, bus: Bus, meters: Meters) -> None:
        self._bus = bus
        self._meters = meters
        self._asking: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._limited = RateLimited(log, interval_s=10.0)

    def snapshot(self, exchange: str, symbol: str, priority: int) -> None:
        """Asks for the REST snapshot of a symbol; it will arrive with the raw frames."""
        request = pb.SnapshotRequest(symbol=symbol, priority=priority)
        self._ask("snapshot", exchange, symbol, request.SerializeToString())

    def resubscribe(self, exchange: str, symbol: str) -> None:
        """Asks for a fresh in-band snapshot."""
        self._ask("resubscribe", exchange, symbol, pb.ResubscribeRequest(symbol=symbol).SerializeToString())

    def _ask(self, method: str, exchange: str, symbol: str, payload: bytes) -> None:
        key = (method, exchange, symbol)
        if key in self._asking or len(self._asking) >= MAX_ASKING:
            return
        self._meters.of(exchange).requested(method)
        task = asyncio.get_running_loop().create_task(self._request(key, payload))
        self._asking[key] = task
        task.add_done_callback(lambda _: self._asking.pop(key, None))

    async def _request(self, key: tuple[str, str, str], payload: bytes) -> None:
        method, exchange, symbol = key
        try:
            answer = await self._bus.request(subjects.rpc(method, exchange), payload, timeout_s=TIMEOUT_S)
            error = pb.RpcReply.FromString(answer).error
        except BusError as failure:
            error = str(failure)
        if error:
            self._meters.of(exchange).refused()
            self._limited.log(
                logging.WARNING, f"{method} {exchange}", "%s of %s %s: %s", method, exchange, symbol, error
            )
