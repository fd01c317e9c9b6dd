"""One connection through the fault proxy: two directions, each with its own conditions, and what can befall it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from struct import pack
from typing import Any

WAYS = ("up", "down")
BOTH = "both"
_CHUNK = 1 << 16
_CHUNKS = 256
"""Read ahead of a late or slow direction; then the sender has to wait."""
_SHARE_S = 0.02
"""A throttled direction sends about so much at once."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Conditions:
    """What one direction does to the bytes of every connection."""

    dice: Random
    most: int = 0
    """Largest piece; 0: whole."""
    delay: tuple[float, float] = (0.0, 0.0)
    """(seconds, up to so many more)"""
    bytes_per_s: float = 0.0
    """0: as fast as they come."""

    def set(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    def clear(self) -> None:
        self.most, self.delay, self.bytes_per_s = 0, (0.0, 0.0), 0.0

    def wait_s(self) -> float:
        by_s, jitter_s = self.delay
        return by_s + self.dice.random() * jitter_s if by_s or jitter_s else 0.0

    def pieces(self, data: bytes) -> Iterator[tuple[bytes, float | None]]:
        """(piece, pause after it in seconds; None for none at all)"""
        start = 0
        while start < len(data):
            size = len(data)
            if self.bytes_per_s:
                size = max(1, int(self.bytes_per_s * _SHARE_S))
            if self.most:
                size = min(size, self.dice.randint(1, self.most))
            piece = data[start : start + size]
            start += len(piece)
            if self.bytes_per_s:
                yield piece, len(piece) / self.bytes_per_s
            else:
                yield piece, 0.0 if self.most else None


class Connection:
    """Pumps both ways until both ends are done."""

    def __init__(self, client: Stream, server: Stream, conditions: dict[str, Conditions]) -> None:
        self._readers = {"up": client[0], "down": server[0]}
        self._writers = {"up": server[1], "down": client[1]}
        self._conditions = conditions
        self._lost: set[str] = set()
        """Ways on which everything vanishes."""
        self._damaged = False
        """Bytes, or an end, have vanished."""

    async def run(self) -> None:
        await asyncio.gather(*(self._pump(way) for way in WAYS))

    def close(self) -> None:
        for writer in self._writers.values():
            _quietly(writer.transport.abort)

    # what can befall it

    def reset(self, ways: tuple[str, ...]) -> None:
        """A reset to the ends that lie that way; the other end hears nothing of it, and is not heard any more."""
        self._cut()
        for way in ways:
            reset(self._writers[way])

    def finish(self, ways: tuple[str, ...]) -> None:
        """An orderly end; otherwise as `reset`."""
        self._cut()
        for way in ways:
            _quietly(self._writers[way].write_eof)

    def lose(self, ways: tuple[str, ...]) -> None:
        self._lost.update(ways)

    def mend(self) -> None:
        """The hole ends; what has lost something is reset."""
        if self._damaged:
            self.reset(WAYS)
        else:
            self._lost.clear()

    def _cut(self) -> None:
        self._damaged = True
        self._lost.update(WAYS)

    # inside

    async def _pump(self, way: str) -> None:
        reader, conditions = self._readers[way], self._conditions[way]
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS)
        sender = asyncio.create_task(self._send(way, queue))
        now, due_s = asyncio.get_running_loop().time, 0.0
        try:
            while data := await reader.read(_CHUNK):
                if way in self._lost:
                    self._damaged = True
                else:
                    due_s = max(due_s, now() + conditions.wait_s())
                    await queue.put((due_s, data))
            await queue.put((due_s, b""))
            await sender
        except OSError:  # an end was reset: so is the other one, unless it must not know
            if way in self._lost:
                self._damaged = True
            else:
                reset(self._writers[way])
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sender

    async def _send(self, way: str, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        writer, conditions, now = self._writers[way], self._conditions[way], asyncio.get_running_loop().time
        while True:
            due_s, data = await queue.get()
            wait_s = due_s - now()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if not data:
                break
            for piece, pause_s in conditions.pieces(data):
                if way in self._lost:
                    self._damaged = True
                    break
                writer.write(piece)
                await writer.drain()
                if pause_s is not None:
                    await asyncio.sleep(pause_s)
        if way in self._lost:
            self._damaged = True
        else:
            _quietly(writer.write_eof)


def ways(way: str) -> tuple[str, ...]:
    """ValueError where it is none."""
    if way == BOTH:
        return WAYS
    if way not in WAYS:
        raise ValueError(f"way is {way!r}; allowed is up, down or both")
    return (way,)


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes a socket at once, with a reset for whoever is at its other end."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
    _quietly(writer.transport.abort)


def _quietly(deed: Callable[[], None]) -> None:
    """An end that is gone already needs no telling."""
    with contextlib.suppress(OSError, RuntimeError):
        deed()
