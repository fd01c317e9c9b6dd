"""What a chaos run can do to the system: one method each, named after the fault it is counted under."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

from hoga.domain.errors import BusError
from hoga.exchanges.registry import supported
from hoga.wire import pb, subjects
from services.simulator.faults import MANGLERS
from tests.soak.judge import GRACE_S, SILENCE_S, Judge
from tests.soak.proxy import ProxiedPipeline

BODIES = (None, "<html>502</html>", '{"code":-1121,"msg":"Invalid symbol."}', "[]", "{}", "")
REFUSALS = (400, 403, 404, 418, 429, 451, 500, 502, 503, 504)
Verb = Callable[[], Coroutine[Any, Any, None]]


class Verbs:
    def __init__(self, pipeline: ProxiedPipeline, judge: Judge, dice: random.Random) -> None:
        self.pipeline, self.judge, self.dice = pipeline, judge, dice
        self.faults = pipeline.simulator.faults
        self.halted: list[tuple[str, str]] = []
        self.delisted: list[tuple[str, str]] = []
        self.down: set[str] = set()
        self.validator_up_s = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self.all: dict[str, Verb] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    async def strike(self, name: str) -> None:
        await self.all[name]()

    async def mend(self) -> None:
        """Ends every fault that lasts."""
        await asyncio.gather(*self._tasks)
        self.faults.clear()
        for code, native in self.halted:
            if native in self.pipeline.simulator.market.exchanges[code].symbols:
                self.faults.resume(code, native)
        self.halted.clear()
        for code, native in list(self.delisted):
            self._relist(code, native)

    # frames

    async def do_drop(self) -> None:
        code, native = self._market("drop")
        self.faults.drop(code, native, self.dice.choice((1, 1, 2, 5, 20)))

    async def do_duplicate(self) -> None:
        self.faults.duplicate(*self._market("duplicate"), self.dice.randint(1, 5))

    async def do_swap(self) -> None:
        self.faults.swap(*self._market("swap"), self.dice.randint(1, 3))

    async def do_malformed(self) -> None:
        kind = self.dice.choice(list(MANGLERS))
        self.faults.malformed(*self._market(f"malformed {kind}"), kind, self.dice.randint(1, 3))

    async def do_inject(self) -> None:
        payload = self.dice.choice(("{}", "[]", "null", "\x00", '{"e":"depthUpdate"}', '{"type":"orderbook"}', "{" * 9))
        self.faults.inject(*self._market("inject"), payload)

    # links, REST

    async def do_close(self) -> None:
        self.faults.close(self._code("close"), self.dice.choice((1000, 1001, 1006, 1008, 1011, 1012)))

    async def do_abort(self) -> None:
        self.faults.abort(self._code("abort"))

    async def do_silence(self) -> None:
        code = self._code("silence")
        self.judge.silent_until_s[code] = time.monotonic() + SILENCE_S
        self.faults.silence(code)

    async def do_shutdown(self) -> None:
        self.faults.shutdown(self._code("shutdown"))

    async def do_refuse_rest(self) -> None:
        code, status, seconds = self._code("refuse_rest"), self.dice.choice(REFUSALS), self.dice.uniform(1, 4)
        self.faults.refuse_rest(code, status, seconds, retry_after_s=self.dice.choice((1, 2)))
        self._need_snapshot(code)

    async def do_spoil_rest(self) -> None:
        code, seconds, body = self._code("spoil_rest"), self.dice.uniform(1, 4), self.dice.choice(BODIES)
        delay_s = self.dice.choice((0.0, 0.0, 1.0, 4.0))
        self.faults.refuse_rest(code, 200, seconds, body=body, delay_s=delay_s, cut=body is None)
        self._need_snapshot(code)

    async def do_refuse_connects(self) -> None:
        code = self._code("refuse_connects")
        self.faults.refuse_connects(code, self.dice.choice((400, 403, 429, 500, 503)), self.dice.uniform(1, 5))
        self.faults.abort(code)

    async def do_reconnect(self) -> None:
        code, bus = self._code("reconnect"), self.pipeline.bus
        assert bus is not None
        request = pb.ReconnectRequest(link=f"{code}-0", reason="chaos").SerializeToString()
        with contextlib.suppress(BusError):
            await bus.request(subjects.rpc("reconnect", code), request, timeout_s=1.0)

    # the market

    async def do_clock(self) -> None:
        self.judge.caused("clock", "*")
        self.faults.clock(self.dice.choice((-3600, -60, -5, -1, 1, 5, 60, 3600)))

    async def do_halt(self) -> None:
        code, native = self._market("halt")
        self.faults.halt(code, native)
        self.halted.append((code, native))

    async def do_resume(self) -> None:
        if self.halted:
            code, native = self.halted.pop()
            if native in self.pipeline.simulator.market.exchanges[code].symbols:
                self.judge.caused("resume", f"{code} {native}")
                self.faults.resume(code, native)

    async def do_delist(self) -> None:
        code, native = self._market("delist")
        if len(self.delisted) < 3:
            self.judge.lives[code, native][-1].ended_s = time.monotonic()
            self.faults.delist(code, native)
            self.delisted.append((code, native))

    async def do_relist(self) -> None:
        if self.delisted:
            self._relist(*self.delisted[0])

    # our own processes, the bus

    async def do_kill_validator(self) -> None:
        self._kill("validator", 0.0)

    async def do_kill_ingest(self) -> None:
        killed = self._code("kill_ingest")
        for code, native in list(self.delisted):
            if code == killed:  # an ingest that never saw the market listed looks again only after an hour
                self._relist(code, native)
        self._kill(f"ingest-{killed}", self.dice.choice((0.0, 0.5, 4.0)))

    async def do_kill_aggregator(self) -> None:
        self._kill("aggregator", self.dice.uniform(0, 3))

    async def do_kill_nats(self) -> None:
        self.judge.blackout("kill_nats")
        self.judge.blind_until_s = time.monotonic() + GRACE_S
        self.pipeline.nats.kill()
        await asyncio.sleep(self.dice.choice((0.0, 0.5, 3.0)))
        self.pipeline.nats.start()
        self.judge.blind_until_s = time.monotonic() + GRACE_S

    async def do_freeze_nats(self) -> None:
        self.judge.blackout("freeze_nats")
        self.pipeline.nats.pause()
        seconds = self.dice.uniform(0.5, 6)
        self.judge.blind_until_s = time.monotonic() + seconds + GRACE_S
        await asyncio.sleep(seconds)
        self.pipeline.nats.resume()

    async def do_crash_nats(self) -> None:
        """It freezes, takes frames that it never delivers, and dies; some markets fall quiet just then."""
        self.judge.blackout("crash_nats")
        self.judge.blind_until_s = time.monotonic() + 60
        self.pipeline.nats.pause()
        await asyncio.sleep(self.dice.uniform(0.3, 1.5))
        for code in supported():
            native = self.dice.choice(self.pipeline.simulator.venues[code].natives())
            self.faults.halt(code, native)
            self.halted.append((code, native))
        self.pipeline.nats.kill()
        self.pipeline.nats.start()
        self.judge.blind_until_s = time.monotonic() + GRACE_S
        await asyncio.sleep(GRACE_S + 2)  # the quiet lasts long enough to be judged

    async def do_freeze_ingest(self) -> None:
        await self._freeze(f"ingest-{self._code('freeze_ingest')}", self.dice.uniform(0.5, 8))

    async def do_freeze_validator(self) -> None:
        self.judge.blackout("freeze_validator")
        seconds = self.dice.uniform(0.5, 6)
        self.judge.blind_until_s = time.monotonic() + seconds + GRACE_S
        await self._freeze("validator", seconds)

    async def do_cut_bus(self) -> None:
        """One process loses its connection to NATS and what was on it, and all markets of an exchange fall quiet."""
        code = self._code("cut_bus")
        proxy = self.pipeline.proxies[self.dice.choice(("validator", f"ingest-{code}"))]
        proxy.held = True
        await asyncio.sleep(self.dice.uniform(0.2, 0.5))
        for native in self.pipeline.simulator.venues[code].natives():
            self.faults.halt(code, native)
            self.halted.append((code, native))
        await asyncio.sleep(0.5)
        proxy.cut()
        await asyncio.sleep(GRACE_S)  # the quiet lasts long enough to be judged

    # helpers

    async def _freeze(self, name: str, seconds: float) -> None:
        if name in self.down:
            return
        process = self.pipeline._processes[name]
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def _code(self, kind: str) -> str:
        code = self.dice.choice(supported())
        self.judge.caused(kind, code)
        return code

    def _market(self, kind: str) -> tuple[str, str]:
        code = self.dice.choice(supported())
        native = self.dice.choice(self.pipeline.simulator.venues[code].natives())
        self.judge.caused(kind, f"{code} {native}")
        return code, native

    def _need_snapshot(self, code: str) -> None:
        for native in self.pipeline.simulator.venues[code].natives():
            self.faults.drop(code, native, 1)

    def _relist(self, code: str, native: str) -> None:
        self.delisted.remove((code, native))
        self.judge.caused("relist", f"{code} {native}")
        self.faults.relist(code, native)
        self.judge.follow(code, native)

    def _kill(self, name: str, down_s: float) -> None:
        if name in self.down:
            return
        self.down.add(name)
        self.pipeline.kill(name)
        task = asyncio.create_task(self._start(name, down_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if name == "validator":
            self.judge.blackout("kill_validator")

    async def _start(self, name: str, down_s: float) -> None:
        await asyncio.sleep(down_s)
        self.pipeline.start(name)
        self.down.discard(name)
