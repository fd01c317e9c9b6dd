"""The actions of the fault control, one method each; the names are those of `POST /control` and of scenario files.

Each returns a small dictionary of what was done at once, or armed to strike later. What armed faults have done is in
`report()`. KeyError names an unknown exchange or market, ValueError says why an exchange cannot do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hoga.exchanges import registry
from services.simulator.faults import RestFault
from services.simulator.link import Link, wire
from services.simulator.manglers import MANGLERS, off_by_one
from services.simulator.market_deeds import Deed, MarketDeeds
from services.simulator.tcp_deeds import TcpDeeds
from services.simulator.venues.base import Answer, Call

if TYPE_CHECKING:
    from services.simulator.desk import Desk
    from services.simulator.world import World

FOREVER_S = 1e9


class Faults(MarketDeeds, TcpDeeds):
    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.rest_struck: dict[str, int] = {}
        self._rest: dict[str, list[RestFault]] = {}
        self._connects: dict[str, RestFault] = {}

    # single frames

    def drop(self, code: str, native: str, count: int = 1) -> Deed:
        """The next `count` frames of a market reach nobody."""
        return self._arm(code, native, "drop", count)

    def duplicate(self, code: str, native: str, count: int = 1) -> Deed:
        """The next `count` frames arrive twice."""
        return self._arm(code, native, "duplicate", count)

    def swap(self, code: str, native: str, count: int = 1) -> Deed:
        """The next frame comes after the one behind it, `count` times."""
        return self._arm(code, native, "swap", count)

    def malformed(self, code: str, native: str, kind: str = "truncated", count: int = 1) -> Deed:
        """The next `count` frames arrive spoiled."""
        if kind not in MANGLERS:
            raise ValueError(f"unknown kind {kind!r}; known: {', '.join(MANGLERS)}")
        mangle = MANGLERS[kind]
        self._arm(code, native, "malformed", count, lambda payload: mangle(payload, native))
        return {"armed": count, "kind": kind}

    def corrupt_checksum(self, code: str, native: str, count: int = 1) -> Deed:
        """The next `count` checksums of a market are off by one."""
        if registry.get(self._known(code, native).code).traits.checksum is None:
            raise ValueError(f"{code} sends no checksums")
        return self._arm(code, native, "corrupt_checksum", count, off_by_one)

    def inject(self, code: str, native: str, payload: str) -> Deed:
        """An extra frame, now, to every subscriber of a market."""
        venue = self._venue(code)
        frame = wire(payload.encode(), 2 if venue.emulator.binary else 1)
        links = [link for link in venue.links if any(topic.native == native for topic in link.topics)]
        for link in links:
            link.send(frame)
        return {"links": len(links)}

    def delay(self, code: str, native: str, seconds: float = 1.0) -> Deed:
        """Frames of a market are held back for a while, and then come in order."""
        self._known(code, native).hold(native, seconds)
        return {"held": native, "seconds": seconds}

    # links

    def close(self, code: str, close_code: int = 1001, count: int | None = None) -> Deed:
        """Closes links (all, or the oldest `count`) with a close frame."""
        links = self._oldest(code, count)
        for link in links:
            self._venue(code).close(link, close_code)
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
        venue, now = self._venue(code), self.world.now()
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
        until_s = self.world.now().mono_ns / 1e9 + seconds
        data = None if body is None else body.encode()
        fault = RestFault(until_s, status, path, data, retry_after_s, delay_s, cut, count)
        self._rest.setdefault(code, []).append(fault)
        return {"status": status, "seconds": seconds, "path": path}

    def refuse_connects(self, code: str, status: int = 503, seconds: float = FOREVER_S) -> Deed:
        """Websocket handshakes get `status`."""
        self._venue(code)
        self._connects[code] = RestFault(self.world.now().mono_ns / 1e9 + seconds, status)
        return {"status": status, "seconds": seconds}

    def clear(self) -> Deed:
        """Disarms every fault that has not struck yet; silent links and halted or quiet markets stay as they are."""
        for venue in self.world.venues.values():
            venue.faults.clear()
            venue.release()
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
            for code, venue in self.world.venues.items()
        }

    def rest_fault(self, venue: Desk, call: Call) -> RestFault | None:
        """The fault that strikes a REST call, None for none; counted."""
        for fault in self._rest.get(venue.code, ()):
            if fault.strikes(call.path, call.now.mono_ns / 1e9):
                self.rest_struck[venue.code] = self.rest_struck.get(venue.code, 0) + 1
                return fault
        return None

    def connect_answer(self, venue: Desk) -> Answer | None:
        fault = self._connects.get(venue.code)
        if fault is None or not fault.strikes("", self.world.now().mono_ns / 1e9):
            return None
        return Answer(fault.status, b"")

    def _arm(
        self, code: str, native: str, kind: str, count: int, mangle: Callable[[bytes], bytes] | None = None
    ) -> Deed:
        self._known(code, native).faults.arm(native, kind, count, mangle)
        return {"armed": count}

    def _known(self, code: str, native: str) -> Desk:
        """The desk of an exchange that has a market; KeyError where it has not."""
        venue = self._venue(code)
        if native not in venue.natives():
            raise KeyError(native)
        return venue

    def _oldest(self, code: str, count: int | None) -> list[Link]:
        return sorted(self._venue(code).links, key=lambda link: link.number)[:count]
