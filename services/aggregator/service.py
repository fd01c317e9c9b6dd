"""The aggregator: chooses each exchange's symbols by turnover and publishes the universes.

1. Rates come from the tickers of all exchanges, as long as those are recent. Where something could not be
   measured for want of a rate, it is judged again as soon as another exchange may have brought it.
2. A universe is published at every refresh, when it changes, and when the bus comes back (its memory may be
   gone). The revision grows only when the set of symbols changed; a restart goes on from the last one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from hoga.domain.rates import rates
from hoga.domain.symbols import SymbolMap
from hoga.domain.universe import Selection
from hoga.exchanges.registry import EXCHANGES
from hoga.runtime.service import ServiceContext
from hoga.wire import subjects
from services.aggregator.desk import Desk, describe
from services.aggregator.follower import Follower
from services.aggregator.names import NameCheck

STREAM_MAX_BYTES = 16 << 20
SETTLE_S = 30.0
"""After this long nobody waits any more for exchanges that have not answered yet."""
RATE_PERIODS = 3
RATE_MIN_AGE_S = 900.0
"""A rate may be as old as three refresh periods, or this where those are shorter."""
TICK_S = 1.0
HEALTH_PREFIX = "ingest-"

log = logging.getLogger(__name__)


class Aggregator:
    def __init__(self, ctx: ServiceContext) -> None:
        """ConfigError where the rules of an exchange contradict each other."""
        self._ctx = ctx
        settings = ctx.settings.universe
        self._names = NameCheck(settings)
        self._started_ns = ctx.now().mono_ns
        self._rate_age_ns = int(max(RATE_PERIODS * settings.refresh_s, RATE_MIN_AGE_S) * 1e9)
        self._said: dict[str, set[str]] = {}
        """Reasons already reported why symbols of an exchange could not be measured."""
        self.followers = {
            code: Follower(ctx, Desk(exchange, settings.rules(code)), self._on_listing)
            for code, exchange in EXCHANGES.items()
            if ctx.settings.exchange(code).enabled
        }

    async def run(self) -> None:
        """Until the context says stop."""
        bus = self._ctx.bus
        await bus.ensure_stream(subjects.UNIVERSE_STREAM, [subjects.universe(">")], max_bytes=STREAM_MAX_BYTES)
        bus.on_connection(self._on_connection)
        for code in self.followers:
            await bus.subscribe(subjects.health(HEALTH_PREFIX + code), self._on_ingest_health)
        tasks = [asyncio.create_task(follower.run()) for follower in self.followers.values()]
        tasks.append(asyncio.create_task(self._watch()))
        stop = asyncio.create_task(self._ctx.stopping.wait())
        try:
            done, _ = await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                task.result()  # they run for ever: whatever ended one is not to be passed over
        finally:
            for task in (stop, *tasks):
                task.cancel()
            await asyncio.gather(stop, *tasks, return_exceptions=True)

    # What happens.

    def _on_ingest_health(self, subject: str, _payload: bytes) -> None:
        _, service, instance = subjects.split(subject)
        self.followers[service.removeprefix(HEALTH_PREFIX)].heard(instance)

    def _on_connection(self, connected: bool) -> None:
        if connected:
            for follower in self.followers.values():
                self._publish(follower.desk)

    def _on_listing(self, follower: Follower) -> None:
        desk = follower.desk
        self._warn(self._names.own(desk.code, self._listed()[desk.code]))
        if not self._choose(follower):
            self._publish(desk)
        for other in self.followers.values():
            if other is not follower and other.desk.unmeasured:
                self._choose(other)

    async def _watch(self) -> None:
        """Health, and what had to wait for exchanges that might still have answered."""
        while True:
            await asyncio.sleep(TICK_S)
            now_ns = self._ctx.now().mono_ns
            for code, follower in self.followers.items():
                overdue = follower.overdue(now_ns)
                self._ctx.health.set(f"universe {code}", not overdue, overdue)
            if self._settled():
                for follower in self.followers.values():
                    if follower.desk.listing is not None and not follower.desk.revision:
                        self._choose(follower)
                self._warn(self._names.common(self._listed()))

    # Choosing and publishing.

    def _choose(self, follower: Follower) -> bool:
        """Judges an exchange's last listing; publishes where the set of symbols changed, and says whether it did."""
        desk, meters = follower.desk, follower.meters
        prices = (price for other in self.followers.values() for price in other.desk.prices)
        now_ns = self._ctx.now().mono_ns
        selection = desk.judge(rates(prices, desk.common, now_ns=now_ns, max_age_ns=self._rate_age_ns))
        meters.unmeasured.set(sum(selection.unmeasured.values()))
        if desk.blind(selection) and not self._settled():
            return False
        self._say_unmeasured(desk, selection)
        changed = desk.take(selection)
        meters.entered.inc(len(selection.entered))
        meters.left.inc(len(selection.left))
        meters.symbols.set(len(desk.members))
        meters.revision.set(desk.revision)
        if changed:
            log.info(
                "%s: universe revision %d has %d of %d symbols; %s",
                desk.code,
                desk.revision,
                len(desk.members),
                desk.trading,
                describe(selection) or "ids changed",
            )
            self._publish(desk)
        return changed

    def _publish(self, desk: Desk) -> None:
        if desk.revision:
            self._ctx.bus.publish(subjects.universe(desk.code), desk.message(self._ctx.now().wall_ns))

    def _settled(self) -> bool:
        """Whether every exchange that runs has answered, or has had the time to."""
        waited_s = (self._ctx.now().mono_ns - self._started_ns) / 1e9
        return waited_s >= SETTLE_S or all(follower.desk.listing for follower in self.followers.values())

    def _listed(self) -> dict[str, SymbolMap]:
        desks = (follower.desk for follower in self.followers.values())
        return {desk.code: desk.listing.symbols for desk in desks if desk.listing is not None}

    def _say_unmeasured(self, desk: Desk, selection: Selection) -> None:
        """Each reason once, and again only after it was gone."""
        said = self._said.setdefault(desk.code, set())
        for reason, count in selection.unmeasured.items():
            if reason not in said:
                log.warning("%s: %s: %d symbol(s) cannot be ranked", desk.code, reason, count)
        self._said[desk.code] = set(selection.unmeasured)

    def _warn(self, lines: Iterable[str]) -> None:
        for line in lines:
            log.warning("%s", line)


async def main(ctx: ServiceContext) -> None:
    """Runs the aggregator until it is told to stop."""
    await Aggregator(ctx).run()
