"""All slots of one connector: one line of them, or two that each carry every symbol.

Lines share nothing but the pacing of connects: each has its own connections, failures and ages. Which lines there are:
`lines` = 1 or 2; where this process is told to be one line of an exchange (`ingest.line`), that one alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from hoga.runtime.settings import Settings
from services.ingest.line import FIRST, ONLY, SECOND, Shared, Tally
from services.ingest.pacing import Pacer
from services.ingest.placing import Line
from services.ingest.slot import Slot

log = logging.getLogger(__name__)


class Pool:
    """The slots of one connector. `place` symbols; `close` at the end."""

    def __init__(
        self, shared: Shared, settings: Settings, gate: Pacer, instance: str, on_change: Callable[[Slot], None]
    ) -> None:
        code = shared.exchange.code
        limits, chosen = shared.exchange.limits, settings.exchange(code).symbols_per_link
        capacity = min(chosen, limits.symbols_per_link) if chosen else limits.symbols_per_link
        if chosen > limits.symbols_per_link:
            log.warning(
                "%s: symbols_per_link = %d is above the exchange's limit; %d are used",
                code,
                chosen,
                limits.symbols_per_link,
            )

        def make(name: str, line: str) -> Slot:
            return Slot(shared, settings.ingest, gate, name, instance, on_change, line)

        self._shared = shared
        self._lines = [Line(code, line, capacity, make) for line in _lines(settings, code)]
        self.open_when_idle = False
        """Keep one connection open even without any symbol."""

    def place(self, wanted: Mapping[str, str]) -> None:
        """Carries exactly these symbols on every line, native id -> canonical."""
        for line in self._lines:
            line.place(wanted, open_when_idle=self.open_when_idle)
        self._shared.changed.fire()

    def __iter__(self) -> Iterator[Slot]:
        return (slot for line in self._lines for slot in line)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def lines(self) -> list[list[Slot]]:
        """The slots, line by line."""
        return [list(line) for line in self._lines]

    @property
    def connected(self) -> bool:
        """Something is connected, and every symbol on one line at least; a slot that has only just been opened
        beside others does not count yet."""
        live: set[str] = set()
        down: set[str] = set()
        connected = False
        for slot in self:
            if slot.connected:
                connected = True
                live |= slot.symbols.keys()
            elif not slot.starting:
                down |= slot.symbols.keys()
        return connected and down <= live

    @property
    def tally(self) -> Tally:
        return self._counts()[0]

    @property
    def reconnects(self) -> dict[str, int]:
        """Connections lost or replaced since the start, by why."""
        return dict(self._counts()[1])

    def _counts(self) -> tuple[Tally, Counter[str]]:
        tally, reconnects = Tally(), Counter[str]()
        for line in self._lines:
            line.add_to(tally, reconnects)
        return tally, reconnects

    def carrying(self, native: str) -> list[Slot]:
        """The slots that carry a symbol: one of each line."""
        return [slot for slot in self if native in slot.symbols]

    async def close(self) -> None:
        """Closes every connection; nothing is left running."""
        self.open_when_idle = False
        await asyncio.gather(*(line.close() for line in self._lines))


def _lines(settings: Settings, code: str) -> list[str]:
    if settings.ingest.line:
        return [settings.ingest.line]
    return [FIRST, SECOND] if settings.exchange(code).lines == 2 else [ONLY]
