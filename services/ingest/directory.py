"""What the exchange lists: the map between canonical symbols and native ids, fetched over REST and kept fresh.

1. It is fetched at the start, for ever: each failed attempt is one clear line and a growing, random pause.
2. It is fetched again every minute where that costs little of the exchange's REST budget, else every five; so
   listings, halts, delistings and renames are noticed within that time.
3. An answer that cannot be read, or lists nothing, changes nothing; one that has lost many markets at once is
   believed when the next one says so too. Two markets that claim one symbol are both named in an error line; the
   second is left out.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from hoga.domain.backoff import Backoff
from hoga.domain.errors import FrameError, RestError, snippet
from hoga.domain.phases import Phase
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Instrument
from hoga.exchanges.base import Exchange, RestRequest
from hoga.runtime.rest import RestClient

REFRESH_S = 60.0
CHEAP_SHARE = 0.02
"""The share of the exchange's REST budget that refreshing every `REFRESH_S` may cost."""
DEAR_REFRESH_S = 300.0
ASK_SPACING_S = 60.0
URGENT_SPACING_S = 10.0
"""The same where a phase of a market may have changed, if the list is cheap."""
RETRY = Backoff(1.0, 60.0)
MANY = 20
MANY_SHARE = 0.1
"""Losing more markets at once than either is doubted."""
DOUBT_S = 5.0
MOST_PAGES = 20
MOST_NAMED = 100
PRIORITY = 0
"""Nothing works without the list: it goes before everything else."""

log = logging.getLogger(__name__)


class Directory:
    """The instruments of one exchange. `run` keeps them; `on_list` is called after every good answer."""

    def __init__(
        self, exchange: Exchange, rest: RestClient, on_list: Callable[[], None], *, backoff: Backoff[float] = RETRY
    ) -> None:
        self.symbols = SymbolMap()
        self.bodies: list[bytes] = []
        """The answers of the exchange that the list was read from."""
        self.fetched_s = 0.0
        """Monotonic time of the last good answer; 0 before the first."""
        self.fetched_ns = 0
        """The same by the wall clock."""
        self.problem = "not fetched yet"
        """Why the last attempt failed; empty when it did not."""
        self._exchange = exchange
        self._rest = rest
        self._on_list = on_list
        self._backoff = backoff
        self._failures = 0
        self._asked = asyncio.Event()
        self._urgent = asyncio.Event()
        self._doubted = False
        self._named: set[str] = set()
        """Words for a phase that nobody knows, and that were named in the log."""
        self.refresh_s = _refresh_s(exchange)

    @property
    def loaded(self) -> bool:
        return self.fetched_s > 0

    def ask(self, *, urgent: bool = False) -> None:
        """Somebody needs the list as it is now: fetch it soon. `urgent`: books wait for it."""
        self._asked.set()
        if urgent:
            self._urgent.set()

    def native(self, symbol: str, hint: str = "") -> str | None:
        """The native id of a canonical symbol. `hint` (from the universe) serves until there is a list."""
        instrument = self.symbols.by_symbol.get(symbol)
        if instrument is not None:
            return instrument.native_symbol
        return hint or None if not self.loaded else None

    def near(self, symbol: str) -> list[str]:
        """Listed symbols that somebody may have meant; the market with that native id first."""
        native = self.symbols.by_native.get(symbol) or self.symbols.by_native.get(symbol.upper())
        near = [native.symbol] if native else []
        return near + [found for found in self.symbols.near(symbol) if found not in near]

    @property
    def trading(self) -> list[Instrument]:
        return [instrument for instrument in self.symbols.by_native.values() if instrument.trading]

    @property
    def unknown_phases(self) -> list[Instrument]:
        """Markets whose phase the exchange tells in a word that is not known."""
        every = self.symbols.by_native.values()
        return [instrument for instrument in every if instrument.phase is Phase.UNKNOWN and instrument.status]

    async def run(self) -> None:
        while True:
            pause_s = await self.fetch()
            if pause_s > 0:
                await asyncio.sleep(pause_s)
                continue
            self._asked.clear()
            self._urgent.clear()
            spacing_s = min(ASK_SPACING_S, self.refresh_s)
            urgent_s = min(URGENT_SPACING_S, spacing_s) if self.refresh_s == REFRESH_S else spacing_s
            await asyncio.sleep(urgent_s)
            if not await _set_within(self._urgent, spacing_s - urgent_s):
                await _set_within(self._asked, self.refresh_s - spacing_s)

    async def fetch(self) -> float:
        """One attempt; 0, or the seconds after which to try again."""
        try:
            bodies = await self._bodies()
            listed = await asyncio.to_thread(self._exchange.handler.parse_instruments, bodies)
            found = SymbolMap(instrument.at(time.time_ns()) for instrument in listed)
            if not found:
                raise FrameError("shape", f"it lists nothing: {snippet(bodies[0] if bodies else b'')}")
        except (RestError, FrameError) as error:
            retry_after_s = (error.retry_after_s or 0.0) if isinstance(error, RestError) else 0.0
            self._failures += 1
            pause_s = max(self._backoff.drawn(self._failures, random.random), retry_after_s, 0.1)
            self.problem = str(error)
            log.warning(
                "%s: cannot read the instrument list: %s; next attempt in %.1f s", self._exchange.code, error, pause_s
            )
            return pause_s
        gone = len(self.symbols.by_native.keys() - found.by_native.keys())
        if gone > max(MANY, MANY_SHARE * len(self.symbols)) and not self._doubted:
            self._doubted = True
            log.error(
                "%s lists %d markets less than before: asked again before it is believed", self._exchange.code, gone
            )
            return DOUBT_S
        self._doubted = False
        self._take(found, bodies)
        return 0.0

    async def _bodies(self) -> list[bytes]:
        """Every page of every list."""
        bodies: list[bytes] = []
        for first in self._exchange.strategy.instruments_requests():
            request: RestRequest | None = first
            pages = 0
            while request is not None:
                pages += 1
                if pages > MOST_PAGES:
                    raise FrameError("shape", f"the list has more than {MOST_PAGES} pages")
                bodies.append(await self._rest.get(request, priority=PRIORITY))
                request = self._exchange.strategy.next_instruments(bodies[-1])
        return bodies

    def _take(self, found: SymbolMap, bodies: list[bytes]) -> None:
        self._failures = 0
        known = {(first.native_symbol, second.native_symbol) for first, second in self.symbols.collisions}
        for first, second in found.collisions:
            if (first.native_symbol, second.native_symbol) not in known:
                log.error(
                    "%s: markets %s and %s both claim the symbol %s; %s is left out",
                    self._exchange.code,
                    first.native_symbol,
                    second.native_symbol,
                    second.symbol,
                    second.native_symbol,
                )
        before, self.symbols, self.bodies = self.symbols, found, bodies
        self.fetched_s, self.fetched_ns, self.problem = time.monotonic(), time.time_ns(), ""
        unknown = {one.status for one in self.unknown_phases} - self._named
        if unknown and len(self._named) < MOST_NAMED:
            self._named |= unknown
            words = ", ".join(sorted(map(snippet, unknown)))
            log.warning("%s: what these words say of a market is not known: %s", self._exchange.code, words)
        if before.by_native != found.by_native:
            log.info("%s: %d instruments, %d trading", self._exchange.code, len(found), len(self.trading))
        self._on_list()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _refresh_s(exchange: Exchange) -> float:
    weight = sum(request.weight for request in exchange.strategy.instruments_requests())
    per_minute = weight * 60.0 / REFRESH_S
    return REFRESH_S if per_minute <= CHEAP_SHARE * exchange.limits.rest_weight_per_minute else DEAR_REFRESH_S
