"""REST requests of one exchange, all through one gate, so that we are never banned.

1. **Budget**: a bucket of weight, refilled evenly, such that no 60 seconds hold more than `rest_share` of the
   documented weight per minute, or half of it where two processes collect the exchange (`ingest.line`). What the
   exchange reports as used (other processes on this address count there too) shrinks it.
2. **Order**: smaller priority first, then first come; at least the cooldown between two requests.
3. **Gate**: 429, 418, 403 and 451 close it until Retry-After, or a growing time of ours. While it is closed
   nothing leaves: whoever waits or comes gets a RestError with the time that remains.
4. **Bodies**: at most 32 MB after decompression, read in pieces; redirects are refused, they are no data.

Every failure is a RestError whose `retry_after_s` says when to try again (None: not at all).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from hoga import __version__
from hoga.domain.backoff import Backoff
from hoga.domain.errors import RestError, snippet
from hoga.exchanges.base import Endpoints, Exchange, RestRequest
from hoga.runtime.logs import RateLimited
from hoga.runtime.rest_gate import Budget, Gate, retry_after_s
from hoga.runtime.settings import Settings

USER_AGENT = f"hoga/{__version__}"
MAX_BODY_BYTES = 32 << 20
RETRY = Backoff(1.0, 60.0)
MAX_WAITING = 4096
MAX_IN_FLIGHT = 4
TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
GATE_STATUSES: Mapping[int, float] = {429: 10.0, 418: 120.0, 403: 60.0, 451: 60.0}
"""Status that closes the gate -> seconds where the exchange names none; doubled each time in a row."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RestStats:
    """What happened so far, for the metrics."""

    requests: int = 0
    """Requests that left."""
    errors: Counter[int] = field(default_factory=Counter)
    """Status -> failures; 0 counts timeouts and broken connections, 200 bodies that are errors."""
    weight: int = 0
    """Weight of the requests that left."""
    reported_weight: int = 0
    """The exchange's own last word on the weight used in its minute."""
    gate_closed: int = 0
    """How often the exchange sent us away."""
    bytes: int = 0


class RestClient:
    """`get` is all there is. One client per exchange and process; the session is the caller's."""

    def __init__(
        self,
        exchange: Exchange,
        endpoints: Endpoints,
        settings: Settings,
        session: aiohttp.ClientSession,
        *,
        timeout_s: float = TIMEOUT_S,
        gate_statuses: Mapping[int, float] = GATE_STATUSES,
        max_body_bytes: int = MAX_BODY_BYTES,
        on_answer: Callable[[int, float], None] | None = None,
    ) -> None:
        """`on_answer(status, seconds)` is called after every request; status 0 where there was no answer."""
        limits = exchange.limits
        self._exchange = exchange
        self._base = endpoints.rest.rstrip("/")
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        self._gate_statuses = {**gate_statuses, **limits.rest_away_s}
        self._max_body_bytes = max_body_bytes
        self._on_answer = on_answer
        self._cooldown_s = max(settings.ingest.snapshot_cooldown_ms / 1000, limits.rest_min_interval_s)
        share = settings.exchange(exchange.code).rest_share * (0.5 if settings.ingest.line else 1.0)
        self.budget = Budget(limits.rest_weight_per_minute * share)
        self.gate = Gate()
        self.stats = RestStats()
        self._queue: list[tuple[int, int, _Ticket]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._failures = 0
        self._next_ns = 0
        self._limited = RateLimited(log, interval_s=10.0)

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return sum(not ticket.turn.done() for _, _, ticket in self._queue)

    async def get(self, request: RestRequest, *, priority: int = 5) -> bytes:
        """The body of a 200 answer. RestError for everything else."""
        if len(self._queue) >= MAX_WAITING:
            raise RestError(f"{self._exchange.code}: {MAX_WAITING} REST requests wait already", retry_after_s=5.0)
        ticket = _Ticket(request.weight, asyncio.get_running_loop().create_future())
        heapq.heappush(self._queue, (priority, next(self._order), ticket))
        self._wake()
        try:
            await ticket.turn
            return await self._send(request)
        finally:
            if ticket.admitted:
                self._in_flight -= 1
            ticket.turn.cancel()
            self._changed.set()

    # --- whose turn it is

    def _wake(self) -> None:
        self._changed.set()
        if self._dispatcher is None or self._dispatcher.done():
            self._dispatcher = asyncio.create_task(self._dispatch())

    async def _dispatch(self) -> None:
        """Admits waiting requests one by one; ends when none is left."""
        while self._queue:
            self._changed.clear()
            ticket = self._queue[0][2]
            if ticket.turn.done():
                heapq.heappop(self._queue)
                continue
            remaining = self.gate.remaining_s()
            if remaining > 0:
                self._send_away()
                continue
            now_ns = time.monotonic_ns()
            delay_s = max(self._next_ns - now_ns, self.budget.wait_ns(now_ns, ticket.weight)) / 1e9
            if self._in_flight >= MAX_IN_FLIGHT:
                delay_s = 3600.0
            if delay_s > 0:
                await self._wait_for_change(delay_s)
                continue
            heapq.heappop(self._queue)
            self._admit(ticket, now_ns)

    async def _wait_for_change(self, delay_s: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), delay_s)
        except TimeoutError:
            return

    def _admit(self, ticket: _Ticket, now_ns: int) -> None:
        self.budget.take(now_ns, ticket.weight)
        self._next_ns = now_ns + int(self._cooldown_s * 1e9)
        self._in_flight += 1
        ticket.admitted = True
        ticket.turn.set_result(None)

    def _send_away(self) -> None:
        """Nobody waits before a closed gate: the callers know best what to do meanwhile."""
        waiting, self._queue = self._queue, []
        for _, _, ticket in waiting:
            if not ticket.turn.done():
                ticket.turn.set_exception(self._gate_error())

    def _check_gate(self) -> None:
        if self.gate.remaining_s() > 0:
            raise self._gate_error()

    def _gate_error(self) -> RestError:
        remaining = self.gate.remaining_s()
        return RestError(
            f"{self._exchange.code}: REST is closed for another {remaining:.1f} s ({self.gate.reason})",
            status=self.gate.status,
            retry_after_s=remaining,
        )

    # --- one request

    async def _send(self, request: RestRequest) -> bytes:
        self._check_gate()
        self.stats.requests += 1
        self.stats.weight += request.weight
        started = time.monotonic()
        status = 0
        try:
            async with self._session.get(
                URL(self._base + request.path, encoded=True),
                timeout=self._timeout,
                allow_redirects=False,
                headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            ) as response:
                status = response.status
                self._learn(response)
                if status in self._gate_statuses:
                    self._close_gate(status, response.headers)
                body = await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._failed(0, f"{_reason(error)}", self._backoff_s()) from None
        finally:
            if self._on_answer is not None:
                self._on_answer(status, time.monotonic() - started)
        return self._judge(request, status, body)

    def _learn(self, response: aiohttp.ClientResponse) -> None:
        header = self._exchange.strategy.used_weight_header
        text = response.headers.get(header, "") if header else ""
        if text.isascii() and text.isdigit() and len(text) < 10:
            self.stats.reported_weight = int(text)
            self.budget.reported(time.monotonic_ns(), int(text))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts = bytearray()
        async for part in response.content.iter_chunked(1 << 16):
            parts += part
            if len(parts) > self._max_body_bytes:
                raise self._failed(response.status, f"a body over {self._max_body_bytes} bytes", self._backoff_s())
        self.stats.bytes += len(parts)
        return bytes(parts)

    def _judge(self, request: RestRequest, status: int, body: bytes) -> bytes:
        if status == 200:
            if body.lstrip()[:1] not in (b"{", b"["):
                raise self._failed(200, f"{request.path} is no JSON: {snippet(body)}", self._backoff_s())
            problem = self._exchange.strategy.rest_error(body)
            if problem is not None:
                raise self._failed(200, f"{request.path}: {snippet(problem)}", self._backoff_s())
            self._failures = 0
            self.gate.opened()
            return body
        text = f"{request.path}: status {status}: {snippet(body)}"
        if status in self._gate_statuses:
            raise self._failed(status, text, self.gate.remaining_s())
        if status >= 500 or status == 408:
            raise self._failed(status, text, self._backoff_s())
        if 300 <= status < 400:
            raise self._failed(status, f"{request.path}: redirected (status {status}), which is refused", None)
        raise self._failed(status, text, None)

    def _close_gate(self, status: int, headers: Mapping[str, str]) -> None:
        asked = retry_after_s(headers.get("Retry-After", ""), time.time())
        seconds = self.gate.close(status, asked, self._gate_statuses[status])
        self.stats.gate_closed += 1
        self.budget.leave(time.monotonic_ns(), 0)
        log.error("%s answers %d: no REST request for %.1f s", self._exchange.code, status, seconds)
        self._changed.set()

    def _failed(self, status: int, text: str, retry_after: float | None) -> RestError:
        self.stats.errors[status] += 1
        self._failures += 1
        message = f"{self._exchange.code}: REST {text}"
        self._limited.warning(str(status), "%s", message)
        return RestError(message, status=status, retry_after_s=retry_after)

    def _backoff_s(self) -> float:
        return RETRY.drawn(self._failures + 1, random.random, 0.5)


@dataclass(slots=True)
class _Ticket:
    weight: int
    turn: asyncio.Future[None]
    admitted: bool = False


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return snippet(str(error) or type(error).__name__)
