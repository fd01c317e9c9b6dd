"""Symbols over the slots of one line: how many connections there are and which symbol sits where.

1. A symbol stays where it is as long as it is wanted; adding or removing others never moves it.
2. Places that become free are filled first, then new slots are opened, never above the exchange's own limit.
3. A slot that has lost its last symbol is closed; new ones are opened before old ones are closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from services.ingest.line import SECOND, Tally
from services.ingest.slot import Slot

RESTART_S = 1.0

log = logging.getLogger(__name__)


class Line:
    """A set of slots that carries every symbol. `place` symbols; `close` at the end."""

    def __init__(self, code: str, line: str, capacity: int, make: Callable[[str, str], Slot]) -> None:
        """`make(name, line)` gives a slot; it holds `capacity` symbols at most."""
        self._prefix = f"{code}-"
        self._suffix = SECOND if line == SECOND else ""
        self._line = line
        self._capacity = capacity
        self._make = make
        self._slots: dict[int, Slot] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._leaving: list[Slot] = []
        self._past = Tally()
        self._past_reconnects: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Slot]:
        return iter([self._slots[number] for number in sorted(self._slots)])

    def place(self, wanted: Mapping[str, str], *, open_when_idle: bool) -> None:
        """Carries exactly these symbols, native id -> canonical."""
        kept = {
            number: {native: symbol for native, symbol in slot.symbols.items() if wanted.get(native) == symbol}
            for number, slot in self._slots.items()
        }
        placed = {native for symbols in kept.values() for native in symbols}
        waiting = [(native, symbol) for native, symbol in wanted.items() if native not in placed]
        for native, symbol in waiting:
            number = self._free_place(kept)
            kept.setdefault(number, {})[native] = symbol
        idle = 0 if open_when_idle and not any(kept.values()) else None
        if idle is not None:
            kept.setdefault(idle, {})
        self._apply(kept, idle)

    def add_to(self, tally: Tally, reconnects: Counter[str]) -> None:
        """Adds the counts of all slots so far, those given up included."""
        tally.add(self._past)
        reconnects.update(self._past_reconnects)
        for slot in (*self._slots.values(), *self._leaving):
            tally.add(slot.tally)
            reconnects.update(slot.reconnects)

    async def close(self) -> None:
        """Closes every connection; nothing is left running."""
        for number in list(self._slots):
            self._close(number)
        if self._closing:
            await asyncio.wait(set(self._closing))

    def _free_place(self, kept: Mapping[int, Mapping[str, str]]) -> int:
        for number in sorted(kept):
            if len(kept[number]) < self._capacity:
                return number
        return next(number for number in range(len(kept) + 1) if number not in kept)

    def _apply(self, kept: Mapping[int, dict[str, str]], idle: int | None) -> None:
        for number, symbols in sorted(kept.items()):
            if symbols or number == idle:
                slot = self._slots.get(number) or self._open(number)
                if slot.symbols != symbols:
                    slot.assign(symbols)
        for number, symbols in kept.items():
            if not symbols and number in self._slots and number != idle:
                self._slots[number].assign({})
                self._close(number)

    def _open(self, number: int) -> Slot:
        slot = self._make(f"{self._prefix}{number}{self._suffix}", self._line)
        self._slots[number] = slot
        self._tasks[number] = asyncio.create_task(_keep_running(slot), name=f"slot {slot.name}")
        return slot

    def _close(self, number: int) -> None:
        slot = self._slots.pop(number)
        self._leaving.append(slot)
        task = self._tasks.pop(number)
        task.cancel()
        closing = asyncio.create_task(self._book_out(slot, task))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _book_out(self, slot: Slot, task: asyncio.Task[None]) -> None:
        await asyncio.wait({task})
        self._leaving.remove(slot)
        self._past.add(slot.tally)
        self._past_reconnects.update(slot.reconnects)


async def _keep_running(slot: Slot) -> None:
    """A slot ends only by cancellation; an error of ours must not cost its symbols."""
    while True:
        try:
            await slot.run()
        except Exception as error:
            log.error("%s: internal error, starting again: %r", slot.name, error, exc_info=error)
            await asyncio.sleep(RESTART_S)
