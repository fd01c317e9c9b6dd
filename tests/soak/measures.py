"""Measured scenarios: one fault at a time on a system at rest, many times, how long until it is noticed and healed.

A repetition begins when every book concerned has been LIVE and current for a moment. It is *noticed* when the slowest
of the books was followed by a message that is not LIVE, and *over* when all of them are LIVE and hold what was sent
after the fault, and stay so.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from hoga.exchanges import registry
from hoga.exchanges.base import BookStart
from hoga.wire import pb, subjects
from services.simulator.venues.registry import emulated
from tests.soak.judge import GRACE_S, Key
from tests.soak.proxy import Pair
from tests.soak.verbs import Verbs

CALM_S = 1.0
LIMIT_S = 60.0
WATCH_S = 8.0
"""How long readers are watched after a line was lost."""
LINKS_EVERY, LINES_EVERY = 2, 5
"""Rounds; in each, several exchanges are struck."""


@dataclass
class Measure:
    title: str
    target_s: float
    """What `over` (`noticed` for half-open links) should stay below."""
    noticed: list[float] = field(default_factory=list)
    over: list[float] = field(default_factory=list)
    interruptions: int = 0
    """Messages that were not LIVE though nothing may be seen of the fault."""
    never: list[str] = field(default_factory=list)
    """Repetitions that were not over in time."""


class Measures:
    def __init__(self, verbs: Verbs, repeats: int) -> None:
        self.verbs, self.repeats = verbs, repeats
        self.pipeline, self.judge, self.dice = verbs.pipeline, verbs.judge, verbs.dice
        self.found: dict[str, Measure] = {}
        self.universes: dict[str, float] = defaultdict(float)
        """Exchange -> when the aggregator named its universe last."""

    async def run(self) -> None:
        """In rounds, with new validators in between: one that had to heal the same book many times in a row waits
        longer each time, on purpose."""
        bus = self.pipeline.bus
        assert bus is not None
        await bus.subscribe(subjects.universe("*"), self._universe)
        for number in range(self.repeats):
            await self.whole("kill -9 of the validator", self._kill_validator)
            await self.whole("kill -9 of nats-server", self._kill_nats)
            await self.whole("restart (TERM) of nats-server", self._restart_nats)
            await self.ingest(emulated()[number % len(emulated())])
            await self.aggregator()
            if number % LINKS_EVERY == 0:
                await self.whole("kill -9 of the validator", self._kill_validator)
                await self.links("RST", 0.0, Pair.reset)
                await self.links("half-open link", 5.0, _hold)
            if number % LINES_EVERY == 0:
                await self.lines("RST", Pair.reset)
                await self.lines("half-open", _hold)
            print(f"{time.strftime('%T')} round {number + 1} of {self.repeats}", flush=True)

    # links

    async def links(self, fault: str, target_s: float, strike: Callable[[Pair], None]) -> None:
        """All links of each exchange (so that a second line does not help), exchanges beside each other."""
        jobs = []
        for code in emulated():
            kind = registry.get(code).traits.start
            target = target_s or (5.0 if kind is BookStart.REST else 2.0)
            jobs.append(self._links(self._measure(f"{fault}, {kind.value}", target), code, strike))
        await asyncio.gather(*jobs)

    async def _links(self, measure: Measure, code: str, strike: Callable[[Pair], None]) -> None:
        await asyncio.sleep(self.dice.uniform(0, 3))
        if await self._rest(measure, self._keys(code)):
            since_s = time.monotonic()
            self.judge.caused(measure.title, code, gaps_s=40)
            for pair in self.pipeline.exchange_proxies[code].websockets():
                strike(pair)
            await self._over(measure, self._keys(code), since_s, code)

    async def lines(self, fault: str, strike: Callable[[Pair], None]) -> None:
        """One of two links of an exchange: readers must see nothing of it."""
        measure = self._measure(f"one of two lines lost, {fault}", 0.0)
        await asyncio.gather(*(self._lines(measure, code, strike) for code in self.pipeline.twofold))

    async def _lines(self, measure: Measure, code: str, strike: Callable[[Pair], None]) -> None:
        proxy, keys = self.pipeline.exchange_proxies[code], self._keys(code)
        if not await self._rest(measure, keys) or not await self._until(lambda: len(proxy.websockets()) > 1):
            measure.never.append(f"{code}: no second line")
            return
        await asyncio.sleep(self.dice.uniform(3, 4))  # both lines have brought their books
        since_s = time.monotonic()
        self.judge.caused(measure.title, code)
        strike(self.dice.choice(proxy.websockets()))
        await asyncio.sleep(WATCH_S)
        downs = [(key, reason) for key in keys for at_s, reason in self.judge.downs[key] if at_s > since_s]
        measure.interruptions += len(downs)
        measure.never += [f"{key} interrupted at {time.strftime('%T')}: {reason}" for key, reason in downs]
        measure.over.append(0.0 if not downs else WATCH_S)

    # processes

    async def whole(self, title: str, strike: Callable[[], Awaitable[float]]) -> None:
        """A fault that concerns every book; `strike` answers when it happened."""
        measure = self._measure(title, 5.0)
        if await self._rest(measure, self._keys()):
            since_s = await strike()
            await self._over(measure, self._keys(), since_s, title)

    async def ingest(self, code: str) -> None:
        measure = self._measure("kill -9 of an ingest", 5.0)
        if await self._rest(measure, self._keys(code)):
            since_s = time.monotonic()
            self.judge.caused(measure.title, code, gaps_s=40)
            self.verbs.kill(f"ingest-{code}", 0.0)
            await self._over(measure, self._keys(code), since_s, code)

    async def aggregator(self) -> None:
        """Readers must see nothing of it; it is over when every universe was named anew."""
        measure = self._measure("kill -9 of the aggregator", 5.0)
        if not await self._rest(measure, self._keys()):
            return
        since_s = time.monotonic()
        self.verbs.kill("aggregator", 0.0)
        if await self._until(partial(self._named, since_s)):
            measure.over.append(max(self.universes.values()) - since_s)
        else:
            measure.never.append("the aggregator named no universe")
        await asyncio.sleep(1.0)
        measure.interruptions += sum(at_s > since_s for key in self._keys() for at_s, _ in self.judge.downs[key])

    def _named(self, since_s: float) -> bool:
        return all(self.universes[code] > since_s for code in emulated())

    async def _kill_validator(self) -> float:
        since_s = time.monotonic()
        self.verbs.kill("validator", 0.0)
        return since_s

    async def _kill_nats(self) -> float:
        since_s = time.monotonic()
        self.judge.blackout("kill -9 of nats-server")
        self.judge.blind(GRACE_S + 5)
        self.pipeline.nats.kill()
        await self.verbs.start_nats()
        return since_s

    async def _restart_nats(self) -> float:
        since_s = time.monotonic()
        await self.verbs.do_restart_nats()
        return since_s

    # helpers

    def _measure(self, title: str, target_s: float) -> Measure:
        return self.found.setdefault(title, Measure(title, target_s))

    def _keys(self, code: str = "") -> list[Key]:
        """Books that have been seen of listed markets."""
        natives = {(name, native) for name, venue in self.judge.simulator.venues.items() for native in venue.natives()}
        return sorted(
            key
            for key in self.judge.orders
            if (not code or key[0] == code) and (key[0], self.judge.natives.get(key, "")) in natives
        )

    async def _rest(self, measure: Measure, keys: list[Key]) -> bool:
        """Waits for books that are LIVE and current for a moment, and a random while longer."""
        since_s = good_s = time.monotonic()
        pause_s = CALM_S + self.dice.uniform(0, 0.5)
        while time.monotonic() - good_s < pause_s:
            await asyncio.sleep(0.05)
            if not all(self.judge.fresh(key, time.monotonic() - 3) for key in keys):
                good_s = time.monotonic()
                if good_s - since_s > LIMIT_S:
                    bad = [key for key in keys if not self.judge.fresh(key, time.monotonic() - 3)]
                    measure.never.append(f"no rest before it: {bad}")
                    return False
        return True

    async def _over(self, measure: Measure, keys: list[Key], since_s: float, what: str) -> None:
        step_s = 0.01 if len(keys) < 10 else 0.05
        good_s: float | None = None
        last: Key | None = None
        while good_s is None or time.monotonic() - good_s < CALM_S:
            await asyncio.sleep(step_s)
            bad_key = next((key for key in keys if not self.judge.fresh(key, since_s)), None)
            if bad_key is not None:
                good_s, last = None, bad_key
                if time.monotonic() - since_s > LIMIT_S:
                    bad = {key: self.judge.states.get(key) for key in keys if not self.judge.fresh(key, since_s)}
                    said = "; ".join(f"{key}: {book.reason if book else 'nothing'}" for key, book in bad.items())
                    measure.never.append(f"{what}: {said}")
                    return
            elif good_s is None:
                good_s = time.monotonic()
        measure.over.append(good_s - since_s)
        if measure.over[-1] > measure.target_s:
            said = f"{measure.title} took {measure.over[-1]:.2f} s, the last was {last}"
            print(f"{time.strftime('%T')} {said}", flush=True)
        firsts = [min((at_s for at_s, _ in self.judge.downs[key] if at_s > since_s), default=0.0) for key in keys]
        if all(firsts):
            measure.noticed.append(max(firsts) - since_s)

    async def _until(self, condition: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
        end_s = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end_s:
                return False
            await asyncio.sleep(0.02)
        return True

    def _universe(self, _subject: str, payload: bytes) -> None:
        self.universes[pb.Universe.FromString(payload).exchange] = time.monotonic()


def _hold(pair: Pair) -> None:
    pair.held = True
