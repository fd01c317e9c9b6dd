"""One client's websocket as the simulator writes to it: ready-made frames, joined per round, cut off when slow.

Server frames carry no mask, so the bytes of a frame are built once and shared by every subscriber. What it writes to
is a `Pipe`: a transport of asyncio, or a list in memory.
"""

from __future__ import annotations

from struct import pack
from typing import Protocol

from services.simulator.venues.base import Session, Topic

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CLOSE_WAIT_S = 2.0


class Pipe(Protocol):
    """What a link needs of an `asyncio.Transport`."""

    def write(self, data: bytes, /) -> None: ...

    def is_closing(self) -> bool: ...

    def get_write_buffer_size(self) -> int: ...

    def abort(self) -> None: ...


def wire(payload: bytes, opcode: int) -> bytes:
    """A complete unmasked websocket frame (RFC 6455)."""
    size = len(payload)
    if size < 126:
        return pack("!BB", 0x80 | opcode, size) + payload
    if size < 1 << 16:
        return pack("!BBH", 0x80 | opcode, 126, size) + payload
    return pack("!BBQ", 0x80 | opcode, 127, size) + payload


class Link:
    def __init__(self, number: int, client: str, session: Session, transport: Pipe) -> None:
        self.number, self.client, self.session = number, client, session
        self.topics: frozenset[Topic] = frozenset()
        """As registered with the venue."""
        self.silent = False
        """Open, but nothing is sent any more."""
        self.sent = 0
        self._transport = transport
        self._out: list[bytes] = []
        self._closing = False

    def send(self, frame: bytes) -> None:
        if not self.silent and not self._closing:
            self._out.append(frame)
            self.sent += 1

    @property
    def dirty(self) -> bool:
        return bool(self._out)

    def flush(self, most_unsent: int) -> bool:
        """Hands everything to the socket; False where the client is too slow and was cut off."""
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            if not self._transport.is_closing():
                self._transport.write(data)
        if self._transport.get_write_buffer_size() > most_unsent:
            self.abort()
            return False
        return True

    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""
        return self._transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> bool:
        """Says goodbye; whether the client is given time to answer. 1006 means without a word."""
        if code == 1006:
            self.abort()
        elif not self._closing:
            self.send(wire(pack("!H", code) + reason.encode(), CLOSE))
            self.flush(1 << 62)
            self._closing = True
            return True
        return False

    def abort(self) -> None:
        self._out.clear()
        self._transport.abort()

    def __hash__(self) -> int:
        return self.number  # sets of links have the same order in every run

    def __eq__(self, other: object) -> bool:
        return self is other
