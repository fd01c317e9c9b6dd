"""Symbols over slots: how many connections there are and which symbol sits where.

1. A symbol stays where it is as long as it is wanted; adding or removing others never moves it.
2. Places that become free are filled first, then new slots are opened, never above the exchange's own limit.
3. A slot that has lost its last symbol is closed; new ones are opened before old ones are closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

from hoga.runtime.settings import Settings
from services.ingest.line import Line, Tally
from services.ingest.pacing import Pacer
from services.ingest.slot import Slot

RESTART_S = 1.0

log = logging.getLogger(__name__)


class Pool:
    """The slots of one connector. `place` symbols; `close` at the end."""

    def __init__(
        self, line: Line, settings: Settings, gate: Pacer, instance: str, on_change: Callable[[Slot], None]
    ) -> None:
        limits, chosen = line.exchange.limits, settings.exchange(line.exchange.code).symbols_per_link
        self.capacity = min(chosen, limits.symbols_per_link) if chosen else limits.symbols_per_link
        if chosen > limits.symbols_per_link:
            log.warning(
                "%s: symbols_per_link = %d is above the exchange's limit; %d are used",
                line.exchange.code,
                chosen,
                limits.symbols_per_link,
            )
        self._line = line
        self._settings = settings
        self._gate = gate
        self._instance = instance
        self._on_change = on_change
        self._slots: dict[int, Slot] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._leaving: list[Slot] = []
        self._past = Tally()
        self._past_reconnects: dict[str, int] = {}
        self.open_when_idle = False
        """Keep one connection open even without any symbol."""

    # --- symbols

    def place(self, wanted: Mapping[str, str]) -> None:
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
        if self.open_when_idle and not any(kept.values()):
            kept.setdefault(0, {})
        self._apply(kept)

    def _free_place(self, kept: Mapping[int, Mapping[str, str]]) -> int:
        for number in sorted(kept):
            if len(kept[number]) < self.capacity:
                return number
        return next(number for number in range(len(kept) + 1) if number not in kept)

    def _apply(self, kept: Mapping[int, dict[str, str]]) -> None:
        idle = 0 if self.open_when_idle and not any(kept.values()) else None
        for number, symbols in sorted(kept.items()):
            if symbols or number == idle:
                slot = self._slots.get(number) or self._open(number)
                if slot.symbols != symbols:
                    slot.assign(symbols)
        for number, symbols in kept.items():
            if not symbols and number in self._slots and number != idle:
                self._slots[number].assign({})
                self._close(number)
        self._line.changed.fire()

    def _open(self, number: int) -> Slot:
        name = f"{self._line.exchange.code}-{number}"
        slot = Slot(self._line, self._settings.ingest, self._gate, name, self._instance, self._on_change)
        self._slots[number] = slot
        self._tasks[number] = asyncio.create_task(_keep_running(slot), name=f"slot {name}")
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
        for kind, count in slot.reconnects.items():
            self._past_reconnects[kind] = self._past_reconnects.get(kind, 0) + count

    # --- the whole

    def __iter__(self) -> Iterator[Slot]:
        return iter([self._slots[number] for number in sorted(self._slots)])

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def connected(self) -> bool:
        """Every slot is connected; one that has only just been opened beside others does not count yet."""
        slots = self._slots.values()
        return any(slot.connected for slot in slots) and all(slot.connected or slot.starting for slot in slots)

    @property
    def tally(self) -> Tally:
        total = Tally()
        total.add(self._past)
        for slot in (*self._slots.values(), *self._leaving):
            total.add(slot.tally)
        return total

    @property
    def reconnects(self) -> dict[str, int]:
        """Connections lost or replaced since the start, by why."""
        total = dict(self._past_reconnects)
        for slot in (*self._slots.values(), *self._leaving):
            for kind, count in slot.reconnects.items():
                total[kind] = total.get(kind, 0) + count
        return total

    def find(self, native: str) -> Slot | None:
        """The slot that carries a symbol."""
        return next((slot for slot in self._slots.values() if native in slot.symbols), None)

    def named(self, link_or_slot: str) -> Slot | None:
        """A slot by its own name or by that of its current link."""
        for slot in self._slots.values():
            if link_or_slot == slot.name or (slot.link is not None and link_or_slot == slot.link.name):
                return slot
        return None

    async def close(self) -> None:
        """Closes every connection; nothing is left running."""
        self.open_when_idle = False
        for number in list(self._slots):
            self._close(number)
        if self._closing:
            await asyncio.wait(set(self._closing))


async def _keep_running(slot: Slot) -> None:
    """A slot ends only by cancellation; an error of ours must not cost its symbols."""
    while True:
        try:
            await slot.run()
        except Exception as error:
            log.error("%s: internal error, starting again: %r", slot.name, error, exc_info=error)
            await asyncio.sleep(RESTART_S)
