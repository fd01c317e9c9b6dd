"""Verbs on frames, links and REST: rows 1 to 9 and 16 of the fault matrix."""

from __future__ import annotations

import asyncio
import contextlib

from hoga.domain.errors import BusError
from hoga.exchanges import registry
from hoga.exchanges.base import Continuity
from hoga.wire import pb, subjects
from services.simulator.manglers import MANGLERS
from services.simulator.venue import Venue
from services.simulator.venues.registry import emulated
from tests.soak.hand import LINK_GAPS_S, Hand
from tests.soak.judge import BUDGET_S

BODIES = (None, "<html>502</html>", '{"code":-1121,"msg":"Invalid symbol."}', "[]", "{}", "")
REFUSALS = (400, 403, 404, 418, 429, 451, 500, 502, 503, 504)
CLOSE_CODES = (1000, 1001, 1006, 1008, 1011, 1012, 4000)
STRAYS = ("{}", "[]", "null", "\x00", '{"e":"depthUpdate"}', '{"type":"orderbook"}', '{"channel":"book"}', "{" * 9)


class FrameVerbs(Hand):
    async def do_drop(self) -> None:
        self.faults.drop(*self.market("drop"), self.dice.choice((1, 1, 2, 5, 20)))

    async def do_duplicate(self) -> None:
        self.faults.duplicate(*self.market("duplicate"), self.dice.randint(1, 5))

    async def do_swap(self) -> None:
        self.faults.swap(*self.market("swap"), self.dice.randint(1, 3))

    async def do_malformed(self) -> None:
        code, native = self.market("malformed")
        self.judge.caused("malformed", code, gaps_s=LINK_GAPS_S)  # some kinds end the connection
        self.faults.malformed(code, native, self.dice.choice(list(MANGLERS)), self.dice.randint(1, 3))

    async def do_delay(self) -> None:
        code, native = self.market("delay")
        seconds = self.dice.uniform(0.3, 6)
        self.judge.late(f"{code} {native}", seconds + BUDGET_S)
        self.faults.delay(code, native, seconds)

    async def do_corrupt_checksum(self) -> None:
        summed = [code for code in emulated() if registry.get(code).traits.checksum is not None]
        self.faults.corrupt_checksum(*self.market("corrupt_checksum", gaps_s=20, among=summed), self.dice.randint(1, 2))

    async def do_cross(self) -> None:
        self.faults.cross(*self.market("cross", gaps_s=20))

    async def do_inject(self) -> None:
        code, native = self.market("inject", gaps_s=20)
        self.judge.caused("inject", code, gaps_s=20)
        self.faults.inject(code, native, self.dice.choice(STRAYS))

    async def do_reset(self) -> None:
        ided = (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS)
        numbered = [code for code in emulated() if registry.get(code).traits.continuity in ided]
        code, native = self.market("reset", gaps_s=20, among=numbered)
        self.judge.caused("reset", code, gaps_s=20)
        self.faults.reset(code, native)

    async def do_quiet(self) -> None:
        self.quiet(self.market("quiet"))

    async def do_wake(self) -> None:
        if self.quieted and self.listed(self.quieted[-1]):
            self.faults.wake(*self.quieted.pop())

    async def do_burst(self) -> None:
        """Ten times the rate, one exchange or all."""
        for code in emulated() if self.dice.random() < 0.2 else [self.code("burst")]:
            for symbol in self.simulator.market.exchanges[code].symbols.values():
                symbol.generator.burst_left = int(self.simulator.options.rate * self.dice.uniform(20, 60))


class LinkVerbs(Hand):
    async def do_close(self) -> None:
        self.faults.close(self.code("close", gaps_s=LINK_GAPS_S), self.dice.choice(CLOSE_CODES))

    async def do_abort(self) -> None:
        self.faults.abort(self.code("abort", gaps_s=LINK_GAPS_S))

    async def do_shutdown(self) -> None:
        self.faults.shutdown(self.code("shutdown", gaps_s=LINK_GAPS_S))

    async def do_silence(self) -> None:
        self.faults.silence(self.code("silence", gaps_s=LINK_GAPS_S))

    async def do_rst(self) -> None:
        code = self.code("rst", gaps_s=LINK_GAPS_S)
        for pair in self.pipeline.exchange_proxies[code].websockets():
            pair.reset()

    async def do_fin(self) -> None:
        code = self.code("fin", gaps_s=LINK_GAPS_S)
        for pair in self.pipeline.exchange_proxies[code].websockets():
            pair.finish()

    async def do_half_open(self) -> None:
        code = self.code("half_open", gaps_s=LINK_GAPS_S)
        for pair in self.pipeline.exchange_proxies[code].websockets():
            pair.held = True

    async def do_lose_line(self) -> None:
        """One of two lines; no reason for a gap or for anything else that a reader sees."""
        code = self.code("lose_line", among=self.twofold())
        pairs = self.pipeline.exchange_proxies[code].websockets()
        if len(pairs) > 1:
            pair = self.dice.choice(pairs)
            pair.held = self.dice.random() < 0.5
            if not pair.held:
                pair.reset()

    async def do_slice(self) -> None:
        """Bytes come a few at a time."""
        self.pipeline.exchange_proxies[self.code("slice")].slice = self.dice.choice((7, 40, 300))

    async def do_latency(self) -> None:
        code, seconds = self.code("latency"), self.dice.uniform(0.02, 0.3)
        self.pipeline.exchange_proxies[code].delay_s = seconds

    async def do_stall_handshakes(self) -> None:
        await self._without_handshakes("stall_handshakes", "stalling")

    async def do_refuse_tcp(self) -> None:
        await self._without_handshakes("refuse_tcp", "refusing")

    async def do_refuse_connects(self) -> None:
        code = self.code("refuse_connects", gaps_s=LINK_GAPS_S)
        self.faults.refuse_connects(code, self.dice.choice((400, 403, 429, 500, 503)), self.dice.uniform(1, 5))
        self.faults.abort(code)

    async def do_reconnect(self) -> None:
        """A planned one: the new link overlaps the old."""
        code, bus = self.code("reconnect"), self.pipeline.bus
        assert bus is not None
        request = pb.ReconnectRequest(link=f"{code}-0", reason="soak").SerializeToString()
        with contextlib.suppress(BusError):
            await bus.request(subjects.rpc("reconnect", code), request, timeout_s=1.0)

    async def do_herd(self) -> None:
        """Every link of every exchange at once."""
        self.judge.caused("herd", "*", gaps_s=LINK_GAPS_S)
        for proxy in self.pipeline.exchange_proxies.values():
            for pair in proxy.websockets():
                pair.reset()

    def twofold(self) -> list[str]:
        return [code for code in emulated() if code in self.pipeline.twofold]

    async def _without_handshakes(self, kind: str, mode: str) -> None:
        code = self.code(kind, gaps_s=LINK_GAPS_S)
        proxy = self.pipeline.exchange_proxies[code]
        setattr(proxy, mode, True)
        for pair in proxy.websockets():
            pair.reset()

        async def end() -> None:
            await asyncio.sleep(self.dice.uniform(1, 6))
            setattr(proxy, mode, False)

        self.later(end())


class RestVerbs(Hand):
    async def do_refuse_rest(self) -> None:
        code, status, seconds = self.code("refuse_rest"), self.dice.choice(REFUSALS), self.dice.uniform(1, 4)
        self.faults.refuse_rest(code, status, seconds, retry_after_s=self.dice.choice((1, 2, 3)))
        self._need_snapshots(code)

    async def do_spoil_rest(self) -> None:
        code, seconds, body = self.code("spoil_rest"), self.dice.uniform(1, 4), self.dice.choice(BODIES)
        delay_s = self.dice.choice((0.0, 0.0, 1.0, 4.0, 20.0))
        self.faults.refuse_rest(code, 200, seconds, body=body, delay_s=delay_s, cut=body is None and not delay_s)
        self._need_snapshots(code)

    def _need_snapshots(self, code: str) -> None:
        venue = self.simulator.venues[code]
        assert isinstance(venue, Venue)
        for native in venue.natives():
            self.faults.drop(code, native, 1)
