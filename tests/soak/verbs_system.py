"""Verbs on the market's lists, on our own processes and on the bus: rows 10, 11, 13 and 14 of the fault matrix."""

from __future__ import annotations

import asyncio
import signal
import time

from services.simulator.venues.registry import emulated
from tests.soak.hand import LINK_GAPS_S, Hand
from tests.soak.judge import BUDGET_S, GRACE_S


class ListingVerbs(Hand):
    """What is listed is asked once a minute: these take longer to be over than others."""

    async def do_halt(self) -> None:
        market = self.market("halt")
        self.faults.halt(*market)
        self.halted.append(market)

    async def do_resume(self) -> None:
        if self.halted and self.listed(self.halted[-1]):
            market = self.halted.pop()
            self.judge.caused("resume", f"{market[0]} {market[1]}")
            self.faults.resume(*market)

    async def do_delist(self) -> None:
        if len(self.delisted) < 3:
            market = self.market("delist")
            self.delist(market)
            self.delisted.append(market)

    async def do_relist(self) -> None:
        if self.delisted:
            self.relist(self.delisted[0])

    async def do_list(self) -> None:
        if len(self.guests) < 2:
            code = self.code("list")
            native = self.faults.relist(code)["listed"]
            self.judge.record.follow(code, native)
            if (code, native) in self.delisted:
                self.delisted.remove((code, native))
            else:
                self.guests.append((code, native))

    async def do_rename(self) -> None:
        movable = [code for code, venue in self.simulator.venues.items() if venue.emulator.catalogue.renamed]
        code, native = self.market("rename", gaps_s=120, among=movable)
        if (code, native) in (*self.halted, *self.quieted, *self.guests):
            return
        self.judge.record.ended(code, native)
        other = self.faults.rename(code, native)["listed"]
        self.judge.caused("rename", f"{code} {other}", gaps_s=120)
        self.judge.record.follow(code, other)


class ClockVerbs(Hand):
    async def do_clock(self) -> None:
        self.judge.caused("clock", "*")
        self.judge.gaps.excuse("clock", 30)  # of the audits alone: snapshots are put in order by time
        self.faults.clock(self.dice.choice((-3600, -60, -5, -1, 1, 5, 60, 3600)))


class ProcessVerbs(Hand):
    async def do_kill_validator(self) -> None:
        self.kill("validator", 0.0)

    async def do_kill_ingest(self) -> None:
        self.kill(f"ingest-{self.code('kill_ingest', gaps_s=LINK_GAPS_S)}", self.dice.choice((0.0, 0.5, 4.0)))

    async def do_kill_aggregator(self) -> None:
        self.judge.caused("kill_aggregator", "none")
        self.kill("aggregator", self.dice.uniform(0, 3))

    async def do_kill_monitor(self) -> None:
        self.kill("monitor", self.dice.uniform(0, 3))

    async def do_freeze_ingest(self) -> None:
        code = self.code("freeze_ingest", gaps_s=LINK_GAPS_S)
        self.judge.late(code, 8 + BUDGET_S)
        await self.freeze(f"ingest-{code}", self.dice.uniform(0.5, 8))

    async def do_freeze_validator(self) -> None:
        self.judge.blackout("freeze_validator")
        seconds = self.dice.uniform(0.5, 6)
        self.judge.blind(seconds + GRACE_S)
        await self.freeze("validator", seconds)

    async def do_freeze_aggregator(self) -> None:
        await self.freeze("aggregator", self.dice.uniform(0.5, 6))

    def kill(self, name: str, down_s: float) -> None:
        """SIGKILL, and a new one after a while."""
        if name in self.down:
            return
        self.down.add(name)
        self.pipeline.kill(name)
        if name.startswith("ingest-"):
            self.pipeline.watched.bans.forget(name.removeprefix("ingest-"))
        if name == "validator":
            self.judge.blackout("kill_validator")
        self.later(self._start(name, down_s))

    async def freeze(self, name: str, seconds: float) -> None:
        if name in self.down:
            return
        self.pipeline.signal(name, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.pipeline.signal(name, signal.SIGCONT)

    async def _start(self, name: str, down_s: float) -> None:
        await asyncio.sleep(down_s)
        self.pipeline.start(name)
        self.down.discard(name)


class BusVerbs(Hand):
    async def do_kill_nats(self) -> None:
        self.judge.blackout("kill_nats")
        self.judge.blind(60)
        self.pipeline.nats.kill()
        await asyncio.sleep(self.dice.choice((0.0, 0.5, 3.0)))
        await self.start_nats()

    async def do_restart_nats(self) -> None:
        """SIGTERM, as at an update."""
        self.judge.blackout("restart_nats")
        self.judge.blind(60)
        await asyncio.to_thread(self.pipeline.nats.stop)
        await self.start_nats()

    async def do_freeze_nats(self) -> None:
        self.judge.blackout("freeze_nats")
        seconds = self.dice.uniform(0.5, 6)
        self.judge.blind(seconds + GRACE_S)
        self.pipeline.nats.pause()
        await asyncio.sleep(seconds)
        self.pipeline.nats.resume()

    async def do_crash_nats(self) -> None:
        """It freezes, takes frames that it never delivers, and dies; some markets fall quiet just then."""
        self.judge.blackout("crash_nats")
        self.judge.blind(60)
        self.pipeline.nats.pause()
        await asyncio.sleep(self.dice.uniform(0.3, 1.5))
        for code in emulated():
            self.quiet((code, self.dice.choice(self.simulator.venues[code].natives())))
        self.pipeline.nats.kill()
        await self.start_nats()
        await asyncio.sleep(GRACE_S + 2)  # the quiet lasts long enough to be judged

    async def do_cut_bus(self) -> None:
        """One process loses its connection to NATS and what was on it, and all markets of an exchange fall quiet."""
        code = self.dice.choice(emulated())
        name = self.dice.choice(("validator", f"ingest-{code}", f"ingest-{code}"))
        if name in self.down:
            return
        if name == "validator":
            self.judge.blackout("cut_bus validator")
            self.judge.blind(GRACE_S)
        self.judge.caused("cut_bus ingest", code, gaps_s=LINK_GAPS_S)
        proxy = self.pipeline.bus_proxies[name]
        proxy.held = True
        await asyncio.sleep(self.dice.uniform(0.2, 0.5))
        for native in self.simulator.venues[code].natives():
            self.quiet((code, native))
        await asyncio.sleep(0.5)
        proxy.cut()
        await asyncio.sleep(GRACE_S)  # the quiet lasts long enough to be judged

    async def do_partition(self) -> None:
        """One process is cut off from NATS without a word, and the connection never ends by itself."""
        code = self.dice.choice(emulated())
        name = self.dice.choice(("validator", f"ingest-{code}", "aggregator", "monitor"))
        seconds = self.dice.uniform(1, 8)
        if name == "validator":
            self.judge.blackout("partition validator")
            self.judge.blind(seconds + GRACE_S)
        elif name.startswith("ingest-"):
            self.judge.caused("partition ingest", code, gaps_s=LINK_GAPS_S)
        proxy = self.pipeline.bus_proxies[name]
        proxy.held = True
        await asyncio.sleep(seconds)
        proxy.cut()

    async def start_nats(self) -> None:
        await asyncio.to_thread(self.pipeline.nats.start)
        self.judge.blind_until_s = time.monotonic() + GRACE_S
