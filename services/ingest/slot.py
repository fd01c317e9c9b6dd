"""A place that one connection fills. It survives reconnects, keeps its symbols, and is never given up.

1. A lost link is replaced after an exponentially growing, fully random delay, for ever; the record of failures
   is cleared after lasting health.
2. A planned replacement (the exchange's lifetime limit, its announcement, somebody's wish) overlaps: the new
   link subscribes and settles, both deliver for `overlap_s`, then the old one goes. Ids dedupe downstream. For
   their age, links of two lines are not replaced at the same time.
3. The reported link is the one that carries the books: during an overlap the old one until the new has settled.
4. A change of symbols goes to every live link of the slot and disturbs no other symbol.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from hoga.domain.backoff import Backoff
from hoga.runtime.host import clock_id
from hoga.runtime.logs import RateLimited
from hoga.runtime.settings import IngestSettings
from hoga.wire import pb
from services.ingest.handshake import Refused
from services.ingest.line import FIRST, ONLY, SECOND, End, EndKind, Shared, Tally
from services.ingest.link import Link
from services.ingest.pacing import Pacer

LIFETIME_SHARE = {ONLY: (0.90, 0.96), FIRST: (0.90, 0.96), SECOND: (0.78, 0.84)}
"""Line -> the share of the lifetime that the exchange allows, drawn at random, after which a link is replaced."""
LATEST_SHARE = 0.97

log = logging.getLogger(__name__)
limited = RateLimited(log)


class Slot:
    """Keeps one connection up. `assign` symbols, `run` it as a task; cancelling the task closes everything."""

    def __init__(
        self,
        shared: Shared,
        settings: IngestSettings,
        gate: Pacer,
        name: str,
        instance: str,
        on_change: Callable[[Slot], None],
        line: str = ONLY,
    ) -> None:
        """`gate` paces the connects of the process; `on_change(slot)` is called whenever the status changes."""
        self.name = name
        self.line = line
        self.state: pb.LinkState = pb.LinkState.LINK_STATE_CONNECTING
        self.reason = "starting"
        self.symbols: dict[str, str] = {}
        """Native id -> canonical: what this slot carries."""
        self.link: Link | None = None
        """The link that is reported."""
        self.reconnects: Counter[str] = Counter()
        """Connections lost or replaced, by why (`EndKind` values)."""
        self._shared = shared
        self._gate = gate
        self._overlap_s = settings.overlap_s
        self._instance = instance
        self._on_change = on_change
        self._backoff = Backoff(settings.backoff_min_s, max(settings.backoff_min_s, settings.backoff_max_s))
        self._failures = 0
        self._live: list[Link] = []
        self._ending: list[Link] = []
        self._burials: set[asyncio.Task[None]] = set()
        self._past = Tally()
        self._number = 0
        self._lifetime_share = 1.0
        self._link_name = ""
        self._connected_ns = 0
        self._wish = ""
        self._wished = asyncio.Event()

    # --- from outside

    def assign(self, symbols: Mapping[str, str]) -> None:
        """Carries exactly these symbols, native id -> canonical."""
        self.symbols = dict(symbols)
        for link in self._live:
            link.want(self.symbols)
        self._on_change(self)

    def owns(self, link_or_slot: str) -> bool:
        """Whether that is the name of this slot or of one of its live links."""
        return link_or_slot == self.name or any(link_or_slot == link.name for link in self._live)

    def reports(self, link_or_slot: str) -> bool:
        """Whether that is the name of this slot or of the link that carries it now."""
        return link_or_slot == self.name or (self.link is not None and link_or_slot == self.link.name)

    def renew(self, native: str, link_name: str = "") -> bool:
        """Takes the subscription of a symbol anew, or connects anew where the exchange has no other way.

        `link_name` is the link that is meant; without it, or with the slot's name, the reported one.
        """
        link = next((link for link in self._live if link.name == link_name), self.link)
        if link is None or not link.alive:
            return False
        if not link.renew(native):
            self.replace(f"a fresh subscription of {native} was asked for")
        return True

    def replace(self, why: str) -> None:
        """Replaces the connection by a fresh one, overlapping."""
        self._wish = why
        self._wished.set()

    @property
    def connected(self) -> bool:
        return self.state == pb.LinkState.LINK_STATE_CONNECTED

    @property
    def starting(self) -> bool:
        """The very first attempt is under way."""
        return self.state == pb.LinkState.LINK_STATE_CONNECTING and self._number <= 1

    @property
    def ready(self) -> bool:
        """Connected, and every symbol was asked for and answered."""
        return self.connected and self.link is not None and self.link.settled

    @property
    def tally(self) -> Tally:
        """Counts of all links of this slot so far."""
        total = Tally()
        total.add(self._past)
        for link in (*self._live, *self._ending):
            total.add(link.tally)
        return total

    def status(self, time_ns: int) -> pb.LinkStatus:
        tally = self.tally
        refused = self.link.refused if self.link is not None else {}
        put_off = self.link.put_off if self.link is not None else ()
        return pb.LinkStatus(
            exchange=self._shared.exchange.code,
            link=self._link_name,
            slot=self.name,
            state=self.state,
            symbols=[symbol for native, symbol in self.symbols.items() if native not in refused],
            time_ns=time_ns,
            connected_time_ns=self._connected_ns,
            last_frame_age_ns=self.link.last_frame_age_ns if self.link is not None else -1,
            frames=tally.frames,
            bytes=tally.bytes,
            reconnects=self.reconnects.total(),
            dropped=tally.dropped,
            reason=self.reason,
            instance=self._instance,
            line=self.line,
            behind_ns=self.link.behind_ns if self.link is not None else 0,
            clock=clock_id(),
            mono_ns=time.monotonic_ns(),
            waiting=[symbol for native, symbol in self.symbols.items() if native in put_off],
        )

    def beat(self) -> pb.LinkBeat:
        """Which links are open, and what each has told so far."""
        refused = self.link.refused if self.link is not None else {}
        symbols = dict.fromkeys(symbol for native, symbol in self.symbols.items() if native not in refused)
        links = [link.events for link in self._live if link.alive]
        for events in links:
            symbols.update(dict.fromkeys(events.open))
        return pb.LinkBeat(
            slot=self.name,
            symbols=symbols,
            links=[events.state(symbols) for events in links],
            clock=clock_id(),
            mono_ns=time.monotonic_ns(),
        )

    def missed(self) -> None:
        """What its links have published of late may be lost."""
        for link in self._live:
            link.events.missed()

    # --- life

    async def run(self) -> None:
        try:
            link = await self._establish(first=True)
            while True:
                await self._until(link.ended, self._wished.wait(), timeout_s=self._lifetime_s(link))
                if link.ended.done():
                    self._lost(link)
                    link = await self._establish()
                elif self._waits_for_other_line(link):
                    await self._until(link.ended, self._wished.wait(), timeout_s=self._shared.patience.look_s)
                else:
                    self._shared.replacing[self.line] += 1
                    try:
                        link = await self._hand_over(link)
                    finally:
                        self._shared.replacing[self.line] -= 1
        finally:
            await self._close()

    async def _establish(self, *, first: bool = False, old: Link | None = None) -> Link:
        """A fresh link that carries our symbols. Tries for ever; `old` keeps the slot CONNECTED while it lives."""
        delay_s = 0.0 if first or old is not None else self._failed_s()
        while True:
            if delay_s > 0:
                self._report_unless(old, pb.LinkState.LINK_STATE_BACKOFF, self.reason)
                await asyncio.sleep(delay_s)
            self._number += 1
            self._lifetime_share = random.uniform(*LIFETIME_SHARE[self.line])
            name = f"{self.name}.{self._instance}{self._number}"
            link = Link(self._shared, name, self.replace, lambda: self._on_change(self), self.name)
            self._report_unless(old, pb.LinkState.LINK_STATE_CONNECTING, self.reason, link)
            await self._gate.wait()
            try:
                await link.open()
            except Refused as error:
                if error.hold_s:
                    self._gate.hold(error.hold_s)
                delay_s = max(self._failed_s(), error.hold_s)
                self.reason = str(error)
                limited.warning(self.name, "%s: %s; next attempt in %.1f s", self.name, error, delay_s)
                continue
            self._live.append(link)
            link.want(self.symbols)
            if old is None or not old.alive:
                self._promote(link)
            return link

    async def _hand_over(self, old: Link) -> Link:
        """Replaces a living link; gives the one that carries the slot from now on."""
        why, self._wish = self._wish or "the exchange allows a connection only so long", ""
        self._wished.clear()
        self._lasted(time.monotonic() - old.connected_mono_s)
        log.info("%s: replacing the connection: %s", self.name, why)
        new = await self._establish(old=old)
        settled = self._shared.changed.until(lambda: new.settled, self._shared.patience.settle_s)
        await self._until(new.ended, old.ended, settled)
        if new.alive:
            self._promote(new)
            await self._until(new.ended, old.ended, timeout_s=self._overlap_s)
        if old.alive and not new.alive:
            return await self._fall_back(old, new, why)
        old.end(EndKind.REPLACED, why)
        self._retire(old)
        return new

    async def _fall_back(self, old: Link, new: Link, why: str) -> Link:
        """The fresh link ended during the overlap: goes on with the old one, to try again after a while."""
        detail = new.ended.result().detail
        limited.warning(f"{self.name} overlap", "%s: the fresh connection failed: %s", self.name, detail)
        self._retire(new)
        self._promote(old)
        await self._until(old.ended, timeout_s=self._failed_s())
        self.replace(why)
        return old

    def _failed_s(self) -> float:
        """Counts a failure, and draws the delay before the next attempt."""
        self._failures += 1
        return self._backoff.drawn(self._failures, random.random)

    def _lasted(self, held_s: float) -> None:
        """A connection held for so long; only lasting health clears the record."""
        if held_s >= self._shared.patience.healthy_s:
            self._failures = 0

    def _lost(self, link: Link) -> None:
        end = link.ended.result()
        held_s = time.monotonic() - link.connected_mono_s
        self._lasted(held_s)
        self._retire(link)
        self.reason = end.detail
        log.warning("%s: link %s lost after %.1f s: %s", self.name, link.name, held_s, end.detail)

    def _retire(self, link: Link) -> None:
        """Books a link out, once it has ended, and lets it close behind."""
        if link not in self._live:
            return
        self._live.remove(link)
        end = link.ended.result() if link.ended.done() else End(EndKind.STOPPED, "")
        if end.kind is not EndKind.STOPPED:
            self.reconnects[end.kind.value] += 1
        self._ending.append(link)
        task = asyncio.create_task(self._bury(link))
        self._burials.add(task)
        task.add_done_callback(self._burials.discard)

    async def _bury(self, link: Link) -> None:
        await link.closed()
        self._ending.remove(link)
        self._past.add(link.tally)

    async def _close(self) -> None:
        for link in list(self._live):
            link.end(EndKind.STOPPED, "stopped")
            self._retire(link)
        self._report(pb.LinkState.LINK_STATE_CLOSED, "stopped")
        if self._burials:
            await asyncio.wait(set(self._burials))

    # --- the status

    def _promote(self, link: Link) -> None:
        if self.link is link or not link.alive:
            return
        if self.link is not None:
            self.link.succeeded = True
        self.link = link
        link.succeeded = False
        self._connected_ns = link.connected_ns
        link.ended.add_done_callback(lambda ended: self._on_end(link, ended.result()))
        self._report(pb.LinkState.LINK_STATE_CONNECTED, "", link)
        log.info("%s: link %s connected, %d symbols", self.name, link.name, len(self.symbols))

    def _on_end(self, link: Link, end: End) -> None:
        """The reported link ended, perhaps while its successor is still on the way."""
        if self.link is link:
            self._report(pb.LinkState.LINK_STATE_BACKOFF, end.detail)

    def _report_unless(self, old: Link | None, state: pb.LinkState, reason: str, link: Link | None = None) -> None:
        if old is None or not old.alive:
            self._report(state, reason, link)

    def _report(self, state: pb.LinkState, reason: str, link: Link | None = None) -> None:
        self.state, self.reason = state, reason
        if link is not None:
            self._link_name = link.name
        if state != pb.LinkState.LINK_STATE_CONNECTED:
            self.link = None
            self._connected_ns = 0
        self._on_change(self)
        self._shared.changed.fire()

    def _waits_for_other_line(self, link: Link) -> bool:
        """Only its age speaks for a replacement, it can still wait, and the other line is at it."""
        allowed_s = self._shared.exchange.limits.lifetime_s or 0.0
        if self._wished.is_set() or time.monotonic() - link.connected_mono_s > LATEST_SHARE * allowed_s:
            return False
        return any(count for line, count in self._shared.replacing.items() if line != self.line)

    def _lifetime_s(self, link: Link) -> float | None:
        allowed_s = self._shared.exchange.limits.lifetime_s
        if allowed_s is None:
            return None
        age_s = time.monotonic() - link.connected_mono_s
        return max(0.0, allowed_s * self._lifetime_share - age_s)

    async def _until(self, *events: Any, timeout_s: float | None = None) -> None:
        """The first of some events, or the time; waits of ours are cancelled, links' futures are left alone."""
        own = [asyncio.ensure_future(event) for event in events if asyncio.iscoroutine(event)]
        futures = [event for event in events if not asyncio.iscoroutine(event)]
        try:
            await asyncio.wait([*futures, *own], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in own:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
