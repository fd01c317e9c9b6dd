"""One client's websocket as the simulator writes to it: ready-made frames, joined per round, cut off when slow.

Server frames carry no mask, so the bytes of a frame are built once and shared by every subscriber.
"""

from __future__ import annotations

import asyncio
from struct import pack

from hoga.exchanges.dialect import Session, Topic

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CLOSE_WAIT_S = 2.0


def wire(payload: bytes, opcode: int) -> bytes:
    """A complete unmasked websocket frame (RFC 6455)."""
    size = len(payload)
    if size < 126:
        return pack("!BB", 0x80 | opcode, size) + payload
    if size < 1 << 16:
        return pack("!BBH", 0x80 | opcode, 126, size) + payload
    return pack("!BBQ", 0x80 | opcode, 127, size) + payload


class Link:
    def __init__(self, number: int, client: str, session: Session, transport: asyncio.Transport) -> None:
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

    def close(self, code: int, reason: str) -> None:
        """Begins a closing handshake; the client has `CLOSE_WAIT_S` to answer. 1006 means without one."""
        if code == 1006:
            self.abort()
        elif not self._closing:
            self.send(wire(pack("!H", code) + reason.encode(), CLOSE))
            self.flush(1 << 62)
            self._closing = True
            asyncio.get_running_loop().call_later(CLOSE_WAIT_S, self._transport.abort)

    def abort(self) -> None:
        self._out.clear()
        self._transport.abort()
