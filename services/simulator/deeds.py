"""The actions of the fault control, one method each; the names are those of `POST /control`.

Each returns a small dictionary of what was done at once, or armed to strike later. What armed faults have done is in
`report()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hoga.exchanges.dialect import Answer, Call
from services.simulator.faults import MANGLERS, RestFault, truncated
from services.simulator.link import Link, wire

if TYPE_CHECKING:
    from services.simulator.desk import Desk
    from services.simulator.market import ExchangeMarket
    from services.simulator.server import SimulatorServer

Deed = dict[str, Any]
FOREVER_S = 1e9
ACTIONS = (
    "drop", "duplicate", "swap", "malformed", "inject", "close", "abort", "silence", "shutdown", "refuse_rest",
    "refuse_connects", "clock", "halt", "resume", "delist", "relist", "clear",
)  # fmt: skip
ALIASES = {"list": "relist"}


class Faults:
    def __init__(self, server: SimulatorServer) -> None:
        self._server = server
        self._rest: dict[str, list[RestFault]] = {}
        self._connects: dict[str, RestFault] = {}
        self.rest_struck: dict[str, int] = {}

    # single frames

    def drop(self, code: str, native: str, count: int = 1) -> Deed:
        """The next `count` frames of a market reach nobody."""
        return self._arm(code, native, "drop", count)

    def duplicate(self, code: str, native: str, count: int = 1) -> Deed:
        return self._arm(code, native, "duplicate", count)

    def swap(self, code: str, native: str, count: int = 1) -> Deed:
        """The next frame comes after the one behind it, `count` times."""
        return self._arm(code, native, "swap", count)

    def malformed(self, code: str, native: str, kind: str = "truncated", count: int = 1) -> Deed:
        """The next `count` frames arrive spoiled (see `MANGLERS`)."""
        if kind not in MANGLERS:
            raise ValueError(f"unknown kind {kind!r}; known: {', '.join(MANGLERS)}")
        self._arm(code, native, "malformed", count, MANGLERS[kind])
        return {"armed": count, "kind": kind}

    def inject(self, code: str, native: str, payload: str) -> Deed:
        """An extra frame, now, to every subscriber of a market."""
        venue = self._venue(code)
        frame = wire(payload.encode(), 2 if venue.dialect.binary else 1)
        links = [link for link in venue.links if any(topic.native == native for topic in link.topics)]
        for link in links:
            link.send(frame)
        return {"links": len(links)}

    # links

    def close(self, code: str, close_code: int = 1001, count: int | None = None) -> Deed:
        """Closes links (all, or the oldest `count`) with a close frame."""
        links = self._oldest(code, count)
        for link in links:
            link.close(close_code, "")
        return {"links": len(links), "close_code": close_code}

    def abort(self, code: str, count: int | None = None) -> Deed:
        """Drops the TCP connections without a word."""
        links = self._oldest(code, count)
        for link in links:
            link.abort()
        return {"links": len(links)}

    def silence(self, code: str, count: int | None = None) -> Deed:
        """Links stay open, but nothing is sent on them any more, not even a pong. New links are not concerned."""
        links = self._oldest(code, count)
        for link in links:
            link.silent = True
        return {"links": len(links)}

    def shutdown(self, code: str) -> Deed:
        """The exchange announces the end of every link, where its protocol can, and ends it."""
        venue, now = self._venue(code), self._server.now()
        links = list(venue.links)
        for link in links:
            venue.perform(link, link.session.shutdown(now))
        return {"links": len(links)}

    # REST and handshakes

    def refuse_rest(
        self,
        code: str,
        status: int = 503,
        seconds: float = FOREVER_S,
        path: str = "",
        body: str | None = None,
        retry_after_s: int | None = None,
        delay_s: float = 0.0,
        cut: bool = False,
        count: int | None = None,
    ) -> Deed:
        """REST calls get `status` (200 keeps the real answer, cut in half with `cut`), after `delay_s`."""
        self._venue(code)
        until_s = self._server.now().mono_ns / 1e9 + seconds
        data = None if body is None else body.encode()
        fault = RestFault(until_s, status, path, data, retry_after_s, delay_s, cut, count)
        self._rest.setdefault(code, []).append(fault)
        return {"status": status, "seconds": seconds, "path": path}

    def refuse_connects(self, code: str, status: int = 503, seconds: float = FOREVER_S) -> Deed:
        """Websocket handshakes get `status`."""
        self._venue(code)
        self._connects[code] = RestFault(self._server.now().mono_ns / 1e9 + seconds, status)
        return {"status": status, "seconds": seconds}

    # the market

    def clock(self, seconds: float) -> Deed:
        """The clock of all exchanges jumps; the sum of all jumps so far is told."""
        self._server.clock_offset_ns += int(seconds * 1e9)
        for market in self._server.market.exchanges.values():
            for symbol in market.symbols.values():
                symbol.shift_clock(int(seconds * 1000))
        return {"offset_s": self._server.clock_offset_ns / 1e9}

    def halt(self, code: str, native: str) -> Deed:
        """Trading stops: no more changes; the status in the lists says so."""
        self._market(code).symbols[native].halted = True
        return {"halted": native}

    def resume(self, code: str, native: str) -> Deed:
        self._market(code).symbols[native].halted = False
        return {"resumed": native}

    def delist(self, code: str, native: str) -> Deed:
        """The market is gone from the lists; its streams are silent."""
        self._market(code).delist(native)
        return {"delisted": native}

    def relist(self, code: str, native: str = "") -> Deed:
        """Lists a market: a delisted one, a named spare, or the next spare. Its ids and book begin anew."""
        market = self._market(code)
        spare = market.spare()
        if not native and spare is None:
            raise ValueError("no market is left to list")
        name = native or (spare.listing.native if spare else "")
        market.list_market(name, self._server.now().wall_ns // 1_000_000)
        self._server.enlist(code, name)
        return {"listed": name}

    def clear(self) -> Deed:
        """Disarms every fault that has not struck yet; silent links stay silent."""
        for venue in self._server.venues.values():
            venue.faults.clear()
        self._rest.clear()
        self._connects.clear()
        return {"cleared": True}

    # what the server asks

    def report(self) -> dict[str, Deed]:
        """Per exchange: what struck, and what is still armed."""
        return {
            code: {
                "struck": dict(venue.faults.struck) | {"rest": self.rest_struck.get(code, 0)},
                "armed": {native: sum(f.left for f in queue) for native, queue in venue.faults.armed.items()},
            }
            for code, venue in self._server.venues.items()
        }

    async def rest_answer(self, venue: Desk, call: Call) -> Answer | None:
        """The answer a fault gives instead of the exchange, None for the exchange's own."""
        for fault in self._rest.get(venue.code, ()):
            if not fault.strikes(call.path, call.now.mono_ns / 1e9):
                continue
            self.rest_struck[venue.code] = self.rest_struck.get(venue.code, 0) + 1
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            retry = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
            if fault.status == 200 and fault.body is None:
                answer = await venue.rest(call)
                return Answer(answer.status, truncated(answer.body) if fault.cut else answer.body, answer.headers)
            return Answer(fault.status, fault.body or b"", retry)
        return None

    def connect_answer(self, venue: Desk) -> Answer | None:
        fault = self._connects.get(venue.code)
        if fault is None or not fault.strikes("", self._server.now().mono_ns / 1e9):
            return None
        return Answer(fault.status, b"")

    def _arm(
        self, code: str, native: str, kind: str, count: int, mangle: Callable[[bytes], bytes] | None = None
    ) -> Deed:
        venue = self._venue(code)
        if native not in venue.natives():
            raise KeyError(native)
        venue.faults.arm(native, kind, count, mangle)
        return {"armed": count}

    def _venue(self, code: str) -> Desk:
        return self._server.venues[code]

    def _market(self, code: str) -> ExchangeMarket:
        return self._server.market.exchanges[code]

    def _oldest(self, code: str, count: int | None) -> list[Link]:
        return sorted(self._venue(code).links, key=lambda link: link.number)[:count]
