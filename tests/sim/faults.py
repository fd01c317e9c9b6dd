"""What can happen to a world: one method each, named after the fault it is counted under.

A fault that lasts ends by itself; `mend` ends everything at once. Whoever draws is the world's dice, so that a seed
always draws the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from hoga.domain.phases import Phase
from hoga.exchanges.base import BookStart, Channel, Continuity
from hoga.exchanges.registry import EXCHANGES
from hoga.wire import pb, subjects
from services.simulator.manglers import MANGLERS
from services.simulator.venues import registry as emulators
from tests.sim.bias import PHASE_FAULTS, PHASES_IN_ALL
from tests.sim.oracle import BUDGET_S

if TYPE_CHECKING:
    from tests.sim.process import Process
    from tests.sim.websocket import Wire
    from tests.sim.world import World

BODIES = (None, "<html>502</html>", '{"code":-1121,"msg":"Invalid symbol."}', "[]", "{}", "")
REFUSALS = (400, 403, 404, 418, 429, 451, 500, 502, 503, 504)
GATES = (403, 418, 429, 451)
OWN_IDS = (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS)
CONFUSED_S = 2.0
"""For so long after a clock was set back a frame may be taken for a late one, where it has nothing but its time."""
INJECTED = ("{}", "[]", "null", "\x00", '{"e":"depthUpdate"}', '{"type":"orderbook"}', "{" * 9, '{"id":1}')
COMMON_MANGLERS = tuple(kind for kind in MANGLERS if kind not in ("huge", "deep"))


class Faults:
    def __init__(self, world: World, dice: random.Random) -> None:
        self.world, self.dice = world, dice
        self.deeds = world.exchanges.faults
        self.delisted: list[tuple[str, str]] = []
        self.relisted = False
        self._ends: dict[int, Callable[[], None]] = {}
        self._number = 0
        self.all: dict[str, Callable[[], str]] = {
            name.removeprefix("do_"): getattr(self, name) for name in sorted(dir(self)) if name.startswith("do_")
        }

    @property
    def usual(self) -> list[str]:
        """What a world without a bias draws from."""
        return [name for name in self.all if PHASES_IN_ALL or name not in PHASE_FAULTS]

    def strike(self, name: str) -> str:
        """Does it; what was done, for the trace."""
        return self.all[name]()

    def finish(self) -> None:
        """Ends every fault that lasts, but for what has left the lists."""
        for end in list(self._ends.values()):
            end()
        self.deeds.clear()
        for weather in self.world.network.weather.values():
            weather.connects_until = weather.rest_until = 0.0
            weather.latency_s, weather.jitter_s = 0.005, 0.005

    def mend(self) -> None:
        """Ends every fault."""
        self.finish()
        while self.delisted:
            self.do_relist()
        self.world.want_all()

    # --- frames

    def do_drop(self) -> str:
        code, native = self._market("drop")
        count = self.dice.choice((1, 1, 1, 2, 5, 20))
        self.deeds.drop(code, native, count)
        return f"{code} {native} {count}"

    def do_duplicate(self) -> str:
        code, native = self._market("duplicate")
        self.deeds.duplicate(code, native, self.dice.randint(1, 5))
        return f"{code} {native}"

    def do_swap(self) -> str:
        code, native = self._market("swap")
        self.deeds.swap(code, native, self.dice.randint(1, 3))
        return f"{code} {native}"

    def do_malformed(self) -> str:
        kind = self.dice.choice(COMMON_MANGLERS if self.dice.random() < 0.97 else tuple(MANGLERS))
        code, native = self._market(f"malformed {kind}")
        self.deeds.malformed(code, native, kind, self.dice.randint(1, 3))
        return f"{code} {native} {kind}"

    def do_delay(self) -> str:
        code, native = self._market("delay")
        seconds = self.dice.choice((0.2, 1.0, 3.0))
        self.deeds.delay(code, native, seconds)
        self.world.oracle.delayed_until[code, native] = self.world.loop.now + seconds + 0.1
        return f"{code} {native}"

    def do_cross(self) -> str:
        code, native = self._market("cross")
        self.deeds.cross(code, native)
        return f"{code} {native}"

    def do_corrupt_checksum(self) -> str:
        code, native = self._market("corrupt_checksum", lambda traits: traits.checksum is not None)
        if not code:
            return "nothing"
        self.deeds.corrupt_checksum(code, native, self.dice.randint(1, 3))
        return f"{code} {native}"

    def do_renumber(self) -> str:
        code, native = self._market("renumber", lambda traits: traits.continuity in OWN_IDS)
        if not code:
            return "nothing"
        self.deeds.reset(code, native)
        return f"{code} {native}"

    def do_disagree(self) -> str:
        """One frame is another on one of two lines. Only while nothing else is wrong: who hears but one line cannot
        know that it lies."""
        world = self.world
        code, native = self._market("disagree", lambda traits: traits.continuity in OWN_IDS)
        if not code or world.lines[code] == "one" or not world.calm():
            return "nothing"
        world.oracle.watched[code].calm = world.calm
        world.oracle.watched[code].disagree(native, self.dice.randrange(2))
        return f"{code} {native}"

    def do_inject(self) -> str:
        code, native = self._market("inject")
        payload = self.dice.choice(INJECTED)
        self.deeds.inject(code, native, payload)
        return f"{code} {native} {payload!r}"

    def do_burst(self) -> str:
        code, native = self._market("burst")
        self.world.exchanges.market.exchanges[code].symbols[native].generator.burst_left = self.dice.randint(10, 60)
        return f"{code} {native}"

    # --- links

    def do_close(self) -> str:
        code = self._code("close")
        close_code = self.dice.choice((1000, 1001, 1006, 1008, 1011, 1012))
        self.deeds.close(code, close_code)
        return f"{code} {close_code}"

    def do_reset(self) -> str:
        return self._wires("reset", lambda wire: wire.reset())

    def do_finish(self) -> str:
        return self._wires("finish", lambda wire: wire.finish())

    def do_half_open(self) -> str:
        said = self._wires("half_open", lambda wire: wire.half_open())
        self._silent(said.split()[0])
        return said

    def do_stall(self) -> str:
        code, seconds = self._code("stall"), self.dice.uniform(0.2, 6.0)
        wires = self.world.network.alive(code)
        for wire in wires:
            wire.stall()
        self._silent(code, seconds)
        self._until(seconds, lambda: [wire.flow() for wire in wires])
        return f"{code} {seconds:.1f}"

    def do_silence(self) -> str:
        code = self._code("silence")
        self.deeds.silence(code)
        self._silent(code)
        return code

    def do_shutdown(self) -> str:
        code = self._code("shutdown")
        self.deeds.shutdown(code)
        return code

    def do_refuse_connects(self) -> str:
        code, status = self._code("refuse_connects"), self.dice.choice((400, 403, 429, 500, 503))
        self.deeds.refuse_connects(code, status, self.dice.uniform(1, 4))
        self.deeds.abort(code)
        return f"{code} {status}"

    def do_unreachable(self) -> str:
        code = self._code("unreachable")
        weather = self.world.network.weather[code]
        weather.connects = self.dice.choice(("refused", "dns", "tls", "stall"))
        weather.connects_until = self.world.loop.now + self.dice.uniform(0.5, 5)
        for wire in self.world.network.alive(code):
            wire.reset()
        return f"{code} {weather.connects}"

    def do_latency(self) -> str:
        code = self._code("latency")
        weather = self.world.network.weather[code]
        weather.latency_s = self.dice.choice((0.0005, 0.02, 0.1, 0.4))
        weather.jitter_s = weather.latency_s * self.dice.random()
        return f"{code} {weather.latency_s}"

    # --- REST

    def do_refuse_rest(self) -> str:
        code, status = self._code("refuse_rest"), self.dice.choice(REFUSALS)
        retry_s = self.dice.choice((1, 2)) if status in GATES else None
        self.deeds.refuse_rest(code, status, self.dice.uniform(1, 4), retry_after_s=retry_s)
        self._need_snapshot(code)
        return f"{code} {status}"

    def do_spoil_rest(self) -> str:
        code, body = self._code("spoil_rest"), self.dice.choice(BODIES)
        delay_s = self.dice.choice((0.0, 0.0, 1.0, 4.0, 20.0))
        self.deeds.refuse_rest(code, 200, self.dice.uniform(1, 4), body=body, delay_s=delay_s, cut=body is None)
        self._need_snapshot(code)
        return f"{code} {body!r} {delay_s}"

    def do_break_rest(self) -> str:
        code = self._code("break_rest")
        weather = self.world.network.weather[code]
        weather.rest = self.dice.choice(("refused", "dns", "stall", "reset", "gzip", "slow"))
        weather.rest_until = self.world.loop.now + self.dice.uniform(1, 5)
        self._need_snapshot(code)
        return f"{code} {weather.rest}"

    # --- the market

    def do_clock(self) -> str:
        seconds = self.dice.choice((-3600, -60, -5, -1, 1, 5, 60, 3600))
        self.world.oracle.caused("clock")
        if seconds < 0:
            self.world.oracle.confused_until = self.world.loop.now + CONFUSED_S
            self.world.exchanges.set_back(-seconds)
        self.deeds.clock(seconds)
        return str(seconds)

    def do_halt(self) -> str:
        code, native = self._market("halt")
        self.deeds.halt(code, native)

        def resume() -> None:
            if native in self.world.exchanges.market.exchanges[code].symbols:
                self.deeds.resume(code, native)

        self._until(self.dice.uniform(1, 15), resume)
        return f"{code} {native}"

    def do_phase(self) -> str:
        """Orders are not taken as usual; a list says so, or the stream."""
        return self._phase("phase", (Phase.POST_ONLY, Phase.LIMIT_ONLY, Phase.PRE_OPEN, Phase.HALTED))

    def do_auction(self) -> str:
        """Orders are collected and not matched: the book crosses, and is right."""
        return self._phase("auction", (Phase.AUCTION,))

    def do_maintain(self) -> str:
        """A whole exchange stands still, and says so."""
        codes = [code for code in self.world.exchanges.venues if Phase.MAINTENANCE in emulators.get(code).words]
        if not codes:
            return "nothing"
        code = self.dice.choice(codes)
        self.world.oracle.caused("maintain", code)
        self.deeds.maintain(code)
        for native in self.world.exchanges.venues[code].natives():
            self.world.oracle.phased(code, native)
        self._until(self.dice.uniform(5, 120), lambda: self.deeds.reopen(code))
        return code

    def _phase(self, kind: str, wanted: tuple[Phase, ...]) -> str:
        chances = [
            (code, phase)
            for code in self.world.exchanges.venues
            for phase in wanted
            if phase in emulators.get(code).words
        ]
        if not chances:
            return "nothing"
        code, phase = self.dice.choice(chances)
        native = self.dice.choice(self.world.exchanges.venues[code].natives())
        self.world.oracle.caused(kind, f"{code} {native}")
        self.deeds.phase(code, native, phase.name.lower())
        self.world.oracle.phased(code, native)

        def resume() -> None:
            if native in self.world.exchanges.market.exchanges[code].symbols:
                self.deeds.resume(code, native)

        self._until(self.dice.uniform(5, 120), resume)
        return f"{code} {native} {phase.name}"

    def do_quiet(self) -> str:
        code, native = self._market("quiet")
        self.deeds.quiet(code, native)

        def wake() -> None:
            if native in self.world.exchanges.market.exchanges[code].symbols:
                self.deeds.wake(code, native)

        self._until(self.dice.uniform(1, 20), wake)
        return f"{code} {native}"

    def do_delist(self) -> str:
        code, native = self._market("delist")
        if len(self.world.exchanges.market.exchanges[code].symbols) < 2 or len(self.delisted) > 1:
            return "nothing"
        self.deeds.delist(code, native)
        self.delisted.append((code, native))
        return f"{code} {native}"

    def do_relist(self) -> str:
        if not self.delisted:
            return "nothing"
        code, native = self.delisted.pop(0)
        self.relisted = True
        self.world.oracle.caused("relist", f"{code} {native}")
        self.deeds.relist(code, native)
        self.world.oracle.follow(code, native)
        return f"{code} {native}"

    def do_rename(self) -> str:
        """A market comes back under another native id, with the same base and quote."""
        code, native = self._market("rename", lambda traits: traits.start is BookStart.REST)
        if not code:
            return "nothing"
        other = self.deeds.rename(code, native)["listed"]
        self.relisted = True
        self.world.oracle.rename(code, native, other)
        return f"{code} {native} {other}"

    def do_universe(self) -> str:
        """The aggregator's choice changes: a symbol leaves, or all are back."""
        self.world.oracle.caused("universe")
        return self.world.want_some(self.dice)

    # --- our own processes

    def do_kill_validator(self) -> str:
        return self._kill(self.world.validator, "kill_validator")

    def do_stop_validator(self) -> str:
        return self._stop(self.world.validator, "stop_validator")

    def do_freeze_validator(self) -> str:
        return self._freeze(self.world.validator, "freeze_validator")

    def do_kill_ingest(self) -> str:
        return self._kill(self.dice.choice(self.world.ingests), "kill_ingest")

    def do_stop_ingest(self) -> str:
        return self._stop(self.dice.choice(self.world.ingests), "stop_ingest")

    def do_freeze_ingest(self) -> str:
        return self._freeze(self.dice.choice(self.world.ingests), "freeze_ingest")

    def do_wall_clock(self) -> str:
        """The clock of our host is set; the exchanges' clocks go on as they were."""
        self.world.oracle.caused("wall_clock")
        seconds = self.dice.choice((-3600, -5, -0.5, 0.5, 5, 3600))
        self.world.clock.offset_ns += int(seconds * 1e9)
        self.world.exchanges.clock_offset_ns -= int(seconds * 1e9)
        return str(seconds)

    # --- requests

    def do_reconnect(self) -> str:
        code = self._code("reconnect")
        request = pb.ReconnectRequest(link=f"{code}-0", reason="chaos").SerializeToString()
        self.world.ask(subjects.rpc("reconnect", code), request)
        return code

    def do_resubscribe(self) -> str:
        code, native = self._market("resubscribe")
        symbol = self.world.symbols[code][self.world.oracle.key(code, native)[1]]
        self.world.ask(subjects.rpc("resubscribe", code), pb.ResubscribeRequest(symbol=symbol).SerializeToString())
        return f"{code} {symbol}"

    # --- the bus

    def do_kill_bus(self) -> str:
        broker, seconds = self.world.broker, self.dice.choice((0.0, 0.3, 2.0))
        if not broker.up:
            return "nothing"
        self.world.oracle.blackout("kill_bus")
        broker.thaw()
        broker.kill()
        self._until(seconds, broker.start)
        return f"{seconds}"

    def do_freeze_bus(self) -> str:
        broker, seconds = self.world.broker, self.dice.uniform(0.3, 5)
        if not broker.up or broker.frozen:
            return "nothing"
        self.world.oracle.blackout("freeze_bus")
        broker.freeze()
        self._until(seconds, broker.thaw)
        return f"{seconds:.1f}"

    def do_cut_bus(self) -> str:
        """One process loses its connection and what is on it; all markets of an exchange may fall quiet just then."""
        process = self._process("cut_bus")
        if process.bus is None or process.bus.session is None:
            return "nothing"
        if process is self.world.validator:
            self.world.oracle.blackout("cut_bus")
        if self.dice.random() < 0.3:
            for _ in range(3):
                self.do_halt()
        process.bus.session.cut()
        return process.name

    def do_hold_bus(self) -> str:
        """One process's connection is half-open for a while."""
        process, seconds = self._process("hold_bus"), self.dice.uniform(0.3, 5)
        session = process.bus.session if process.bus is not None else None
        if session is None:
            return "nothing"
        if process is self.world.validator:
            self.world.oracle.blackout("hold_bus")
        session.hold("partition")
        self._until(seconds, lambda: None if session.over else session.release("partition"))
        return f"{process.name} {seconds:.1f}"

    def do_slow_bus(self) -> str:
        process, seconds = self._process("slow_bus"), self.dice.uniform(1, 6)
        bus = process.bus
        if bus is None:
            return "nothing"
        slow_s = self.dice.choice((0.05, 0.5, 2.0))
        if process is self.world.validator:
            bus.slow_down_s = slow_s
        else:
            bus.slow_up_s = slow_s * 2

        def end() -> None:
            bus.slow_down_s = bus.slow_up_s = 0.0

        self._until(seconds, end)
        return f"{process.name} {slow_s}"

    # --- helpers

    def _code(self, kind: str) -> str:
        code = self.dice.choice(list(self.world.exchanges.venues))
        self.world.oracle.caused(kind, code)
        return code

    def _market(self, kind: str, fits: Callable[[Channel], bool] = lambda _: True) -> tuple[str, str]:
        """A market that is listed, of an exchange that fits; empty where there is none."""
        codes = [code for code in self.world.exchanges.venues if fits(EXCHANGES[code].traits)]
        if not codes:
            return "", ""
        code = self.dice.choice(codes)
        native = self.dice.choice(self.world.exchanges.venues[code].natives())
        self.world.oracle.caused(kind, f"{code} {native}")
        return code, native

    def _process(self, kind: str) -> Process:
        process = self.dice.choice([self.world.validator, *self.world.ingests])
        self.world.oracle.caused(kind)
        return process

    def _wires(self, kind: str, do: Callable[[Wire], object]) -> str:
        """Strikes every connection of an exchange, or (of two lines) one."""
        code = self._code(kind)
        wires = self.world.network.alive(code)
        for wire in self.dice.sample(wires, 1) if wires and self.dice.random() < 0.4 else wires:
            do(wire)
        return code

    def _silent(self, code: str, seconds: float = 1e9) -> None:
        """A link of this exchange brings nothing for so long, or until its idle timeout."""
        patience_s = min(seconds, EXCHANGES[code].limits.idle_timeout_s)
        silent_until = self.world.oracle.silent_until
        silent_until[code] = max(silent_until[code], self.world.loop.now + patience_s + BUDGET_S)

    def _need_snapshot(self, code: str) -> None:
        for native in self.world.exchanges.venues[code].natives():
            self.deeds.drop(code, native, 1)

    def _kill(self, process: Process, kind: str) -> str:
        if not process.running:
            return "nothing"
        self._gone(process, kind)
        process.kill()
        self._until(self.dice.choice((0.3, 1.0, 4.0)), process.start)
        return process.name

    def _stop(self, process: Process, kind: str) -> str:
        if not process.ready or process.frozen:
            return "nothing"
        self._gone(process, kind)
        process.stop()
        self.world.when_ended(process, process.owner, process.start)
        return process.name

    def _freeze(self, process: Process, kind: str) -> str:
        seconds = self.dice.uniform(0.3, 12)
        if not process.running or process.frozen:
            return "nothing"
        self._gone(process, kind)
        process.freeze()
        life = process.owner
        self._until(seconds, lambda: process.thaw() if process.owner == life else None)
        return f"{process.name} {seconds:.1f}"

    def _gone(self, process: Process, kind: str) -> None:
        if process is self.world.validator:
            self.world.oracle.blackout(kind)
        else:
            self.world.oracle.caused(kind, process.name.removeprefix("ingest-").partition("-")[0])

    def _until(self, seconds: float, end: Callable[[], object]) -> None:
        """Calls `end` once, after `seconds` or when everything is mended."""
        self._number += 1
        number = self._number

        def once() -> None:
            if self._ends.pop(number, None) is not None:
                end()

        self._ends[number] = once
        self.world.loop.call_later(seconds, once)
