"""One seed, one world: exchanges, processes of ours, a bus, a network, and a schedule of faults.

It comes up, is struck in storms with calm between, is mended, and must then recover within a bound; at the end
everything is told to stop and nothing may be left running.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import msgspec

from hoga.domain.errors import BusError
from hoga.exchanges.registry import EXCHANGES
from hoga.runtime.settings import ExchangeSettings, IngestSettings, Settings, ValidatorSettings
from hoga.wire import pb, subjects
from services.ingest import service as ingest
from services.simulator.options import Options
from services.simulator.venues.base import Call
from services.validator import service as validator
from tests.sim.bias import ANY, PHASE_FAULTS, Bias
from tests.sim.broker import Broker
from tests.sim.bus import SimBus
from tests.sim.clock import Clock
from tests.sim.exchanges import SimExchanges
from tests.sim.faults import Faults
from tests.sim.loop import START_S, SimLoop
from tests.sim.network import Network
from tests.sim.one_book import OneBook
from tests.sim.oracle import Key, Oracle
from tests.sim.process import Process
from tests.sim.trace import Trace

BOUND_S = 100.0
RELISTED_BOUND_S = 400.0
"""A symbol that the exchange did not know is tried again after five minutes; lists are read once a minute."""
CALM_S = 2.0
CALM_PATIENCE_S = 15.0
LOOK_S = 0.25
STOP_S = 15.0
UNIVERSE_S = 5.0


class World:
    def __init__(
        self, loop: SimLoop, clock: Clock, seed: int, trace: Trace, bias: Bias = ANY, watch: OneBook | None = None
    ) -> None:
        """`watch` is told of what one book hears and says."""
        self.bias, self.watch = bias, watch
        self.loop, self.clock, self.seed, self.trace = loop, clock, seed, trace
        self.dice = random.Random(seed)
        self.problems: list[str] = []
        self.injected: Counter[str] = Counter()
        self.graveyard: list[tuple[str, asyncio.Task[None]]] = []
        self.recovery_s = 0.0
        self._links: dict[str, str] = {}
        self.draw()
        self.broker = Broker(loop, random.Random(f"{seed}:bus"))
        self.network = Network(loop, random.Random(f"{seed}:network"), self.exchanges, bias.far_s)
        self.symbols = {code: self._symbols(code) for code in self.exchanges.venues}
        """Exchange -> native -> canonical."""
        self.oracle = Oracle(loop, self.exchanges, self.symbols, self.depth, self.policy, self.fail)
        self.broker.tap = self._tap
        self.bus = SimBus(self.broker, "aggregator", self.fail)
        self.validator = Process(self, "validator", validator.main, argparse.Namespace(), self.settings)
        self.validator.hear = self._heard
        self.validator.on_start = self._validator_starts
        self.ingests = [process for code in self.exchanges.venues for process in self._collectors(code)]
        self.faults = Faults(self, random.Random(f"{seed}:faults"))
        self.names = list(bias.faults or self.faults.usual)
        self.wanted: dict[str, set[str]] = {code: set(self.symbols[code]) for code in self.symbols}

    def draw(self) -> None:
        """Everything about this world that stays as it is."""
        dice, bias = self.dice, self.bias
        count = min(dice.choice((1, 1, 2, 2, 3)), len(bias.exchanges))
        codes = sorted(dice.sample(bias.exchanges, count))
        self.depth = dice.choice(bias.depths)
        self.policy = dice.choice(bias.policies)
        options = Options(
            seed=self.seed,
            symbols=dice.choice(bias.symbols),
            rate=dice.choice((1.0, 2.0, 4.0, 6.0)),
            exchanges=tuple(codes),
            changes=dice.choice((2.0, 4.0)),
            max_levels=dice.choice((16, 30, 60)),
            bursts=0.0,
            burst_factor=5,
            drift=dice.choice((0.5, 1.0, 4.0)),
            history_s=600.0,
            slow_client_bytes=1 << 18,
        )
        self.exchanges = SimExchanges(self.loop, options)
        self.lines = {code: dice.choice(bias.lines) for code in codes}
        chosen = {
            code: ExchangeSettings(
                ws_url=f"ws://sim/{code}",
                rest_url=f"http://sim/{code}",
                gap_policy=self.policy,
                lines=2 if lines == "two" else 1,
            )
            for code, lines in self.lines.items()
        }
        others = {code: ExchangeSettings(enabled=False) for code in EXCHANGES if code not in codes}
        self.settings = Settings(
            exchanges=chosen | others,
            ingest=IngestSettings(backoff_max_s=4.0, overlap_s=dice.choice((0.5, 3.0))),
            validator=ValidatorSettings(depth=self.depth, min_interval_ms=dice.choice((0, 0, 50))),
        )
        self.episodes = dice.randint(6, 12)

    def _symbols(self, code: str) -> dict[str, str]:
        """Native -> canonical of everything that the exchange may list."""
        exchange, venue = EXCHANGES[code], self.exchanges.venues[code]
        bodies = []
        for request in exchange.strategy.instruments_requests():
            path, _, query = request.path.partition("?")
            pairs = dict(pair.split("=", 1) for pair in query.split("&") if pair)
            bodies.append(venue.emulator.rest(Call(path, pairs, "world", self.exchanges.now())).body)
        return {one.native_symbol: one.symbol for one in exchange.handler.parse_instruments(bodies)}

    def _collectors(self, code: str) -> list[Process]:
        args = argparse.Namespace(exchange=code)
        if self.lines[code] != "apart":
            return [Process(self, f"ingest-{code}", ingest.main, args, self.settings)]
        found = []
        for line in ("a", "b"):
            own = msgspec.structs.replace(self.settings.ingest, line=line)
            settings = msgspec.structs.replace(self.settings, ingest=own)
            found.append(Process(self, f"ingest-{code}-{line}", ingest.main, args, settings))
        return found

    def _validator_starts(self) -> None:
        self.oracle.reborn()

    # --- what happens

    async def run(self) -> None:
        with patch("services.ingest.connector.new_session", self.network.session):
            looking = self.loop.create_task(self._look())
            choosing = self.loop.create_task(self._choose())
            self.exchanges.pace()
            await self.bus.start()
            self.validator.start()
            for process in self.ingests:
                self.loop.call_later(self.dice.uniform(0, 2), process.start)
            await self._recover("the start")
            for _ in range(self.episodes):
                await self._episode()
            self.faults.mend()
            self.trace.note(self.loop.now, "mended")
            self.recovery_s = await self._recover("the faults")
            looking.cancel()
            choosing.cancel()
            await self._stop()

    async def _episode(self) -> None:
        """One fault and what follows from it, or many that overlap; then calm."""
        single = self.dice.random() < 0.5
        if single:
            await self._calm()
        self.oracle.alone = single
        count, pace_s = (1, 0.0) if single else (self.dice.randint(3, 20), self.dice.choice((0.1, 0.4, 1.0)))
        for _ in range(count):
            name = self.dice.choice(self.names)
            what = self.faults.strike(name)
            self.trace.note(self.loop.now, f"fault {name} {what}")
            if what != "nothing":
                self.injected[name] += 1
            await asyncio.sleep(self.dice.uniform(0, 2 * pace_s))
        await asyncio.sleep(self.dice.uniform(1, 6))
        if single and name in PHASE_FAULTS:
            await asyncio.sleep(self.dice.uniform(0, 120))  # they last, and take a while to be known
        self.oracle.alone = False

    async def _calm(self) -> None:
        """Waits for the end of all trouble, but not for ever."""
        end = self.loop.now + CALM_PATIENCE_S
        self.faults.finish()
        while self.oracle.missing(self.wanted_keys()) and self.loop.now < end:
            await asyncio.sleep(LOOK_S)

    def calm(self) -> bool:
        """Nothing but one fault is under way, and it has done no harm yet."""
        return self.oracle.alone and not self.oracle.missing(self.wanted_keys())

    async def _recover(self, after: str) -> float:
        """Every book is LIVE and current within the bound, and stays so for a moment; seconds it took."""
        began = good = self.loop.now
        while self.loop.now - good < CALM_S:
            await asyncio.sleep(LOOK_S)
            missing = self.oracle.missing(self.wanted_keys())
            if missing:
                good = self.loop.now
                if good - began > (RELISTED_BOUND_S if self.faults.relisted else BOUND_S):
                    said = "; ".join(f"{code} {native}: {why}" for (code, native), why in missing.items())
                    self.fail(f"L no recovery within {BOUND_S:g} s of {after}: {said}")
                    break
        return good - began

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            bus = self.validator.bus
            away = not self.validator.ready or bus is None or bus.session is None or self.broker.frozen
            if away or self.validator.frozen:
                self.oracle.blind_until = self.loop.now + 5.0
            self.oracle.inspect()

    async def _stop(self) -> None:
        """SIGTERM for everybody; whatever is not gone after a while has leaked."""
        for process in (*self.ingests, self.validator):
            process.stop()
        end = self.loop.now + STOP_S
        while self.loop.now < end and any(process.running for process in (*self.ingests, self.validator)):
            await asyncio.sleep(0.1)
        await asyncio.sleep(3.0)  # closing handshakes of a second
        await self.bus.close()
        dead = {owner for owner, _ in self.graveyard if self.loop.held(owner)}
        for owner, task in self.loop.unfinished():
            if owner != "world" and owner not in dead:
                self.fail(f"T task {task.get_name()} of {owner} is left over")

    # --- the aggregator's part

    async def _choose(self) -> None:
        while True:
            self.publish_universe()
            await asyncio.sleep(UNIVERSE_S)

    def publish_universe(self) -> None:
        self.broker.ensure(subjects.UNIVERSE_STREAM, [f"{subjects.PREFIX}.universe.*"])
        for code, natives in self.wanted.items():
            universe = pb.Universe(exchange=code)
            for native, symbol in self.symbols[code].items():
                if native in natives:
                    now = self.oracle.natives.get((code, native), native)
                    universe.entries.add(symbol=symbol, native_symbol=now)
            self.bus.publish(subjects.universe(code), universe.SerializeToString())

    def want_some(self, dice: random.Random) -> str:
        code = dice.choice(list(self.wanted))
        native = dice.choice(list(self.symbols[code]))
        self.wanted[code] ^= {native}
        if not self.wanted[code]:
            self.wanted[code] = set(self.symbols[code])
        self.publish_universe()
        return f"{code} {sorted(self.wanted[code])}"

    def want_all(self) -> None:
        for code, natives in self.symbols.items():
            self.wanted[code] = set(natives)
        self.publish_universe()

    def wanted_keys(self) -> set[Key]:
        return {(code, native) for code, natives in self.wanted.items() for native in natives}

    def ask(self, subject: str, payload: bytes) -> None:
        """A request of somebody's, the answer to which nobody reads."""

        async def asking() -> None:
            with suppress(BusError):
                await self.bus.request(subject, payload, timeout_s=1.0)

        self.loop.create_task(asking())

    # --- for the others

    def fail(self, problem: str) -> None:
        self.problems.append(problem)
        self.trace.note(self.loop.now, f"PROBLEM {problem}")

    def when_ended(self, process: Process, owner: str, then: Callable[[], None]) -> None:
        """Calls `then` soon after this life of a process has ended, unless something else ended it."""
        if process.owner != owner:
            return
        if process.running:
            self.loop.call_later(0.1, self.when_ended, process, owner, then)
        else:
            self.loop.call_later(0.3, then)

    def _heard(self, subject: str, payload: bytes) -> None:
        if self.watch is not None:
            self.watch.heard(subject, payload)
        self.oracle.heard(subject, payload)

    def _tap(self, subject: str, payload: bytes) -> None:
        if self.watch is not None:
            self.watch.sent(subject, payload)
        kind = subject.split(".", 3)[2]
        if kind == "book":
            self.oracle.forgotten = self.validator.bus is not None and self.validator.bus.in_vain
            self.trace.note(self.loop.now, self.oracle.book(payload))
        elif kind == "event":
            self.trace.note(self.loop.now, self.oracle.event(payload))
        elif kind == "rpc":
            self.oracle.asked(subject, payload)
        elif kind == "link":
            self._link(pb.LinkStatus.FromString(payload))

    def _link(self, status: pb.LinkStatus) -> None:
        said = f"link {status.link} {pb.LinkState.Name(status.state).removeprefix('LINK_STATE_')} {status.reason}"
        if self._links.get(status.slot) != said:
            self._links[status.slot] = said
            self.trace.note(self.loop.now, said)

    def result(self) -> dict[str, Any]:
        oracle = self.oracle
        problems = [*self.problems, *(f"B request during a ban: {said}" for said in self.network.rest.during_ban)]
        return {
            "seed": self.seed,
            "problems": problems,
            "injected": dict(self.injected),
            "checked": dict(oracle.checked),
            "states": dict(oracle.states),
            "events": dict(oracle.events),
            "detections": dict(oracle.detections),
            "recoveries": dict(oracle.recoveries),
            "recovery_s": self.recovery_s,
            "virtual_s": self.loop.now - START_S,
            "totals": {
                "bus messages lost": self.broker.lost,
                "frames tampered with": oracle.lost_frames,
                "wrong below the proven levels": oracle.deep_wrong,
                "REST requests": self.network.rest.requests.total(),
                "loop turns": self.loop.turns,
            },
        }
