"""nats-py's client with a short way for plain messages; all else (connecting, logins, TLS, pings, requests) stays its.

1. Whole `MSG` items of subscriptions made by `listen` go straight to their handler, as the bytes are read. Every other
   item, and a message that wants a reply, is given whole to nats-py's own parser, in its place.
2. `put` appends to nats-py's own list of pending bytes and wakes its flusher once a turn of the event loop, so the
   order with all that nats-py sends itself is kept; a ping goes out behind what was put before it.
3. A handler must not raise: it would end nats-py's reading. Nothing waits for a slow one but the bytes in the socket.

This reaches into private attributes of nats-py; `tests/contract/test_nats_py.py` names them, the minor version is
pinned, and `nats.lean = false` does without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError
from nats.protocol.parser import Parser

Receive = Callable[[str, bytes], None]

_CRLF = b"\r\n"
_KNOWN = 1 << 16


class LeanParser(Parser):
    """nats-py's own buffer is always empty between two reads: what is incomplete is kept here."""

    def __init__(self, client: Client) -> None:
        self.receivers: dict[bytes, Receive] = {}
        """Subscription id -> who takes its messages."""
        self._heads: dict[bytes, tuple[Receive, str]] = {}
        """`MSG <subject> <sid>` -> who takes such messages, and the subject."""
        super().__init__(client)

    def reset(self) -> None:
        super().reset()
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 0
        """Bytes below which it is no use to look again."""

    def forget(self, sid: int) -> None:
        if self.receivers.pop(b"%d" % sid, None) is not None:
            self._heads.clear()

    async def parse(self, data: bytes = b"") -> None:
        if self._parts:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._parts)
            self._parts = []
        rest = await self._take(data)
        if rest:
            self._parts, self._have = [rest], len(rest)

    async def _take(self, data: bytes) -> bytes:
        """Takes in all whole items; gives what is left, and sets how much is needed to go on."""
        at, size, heads = 0, len(data), self._heads
        messages = payloads = 0
        try:
            while at < size:
                line_end = data.find(_CRLF, at)
                if line_end < 0:
                    self._need = 0
                    return data[at:]
                line = data[at:line_end]
                head, _, length = line.rpartition(b" ")
                known = heads.get(head)
                if known is not None and length.isdigit():
                    start = line_end + 2
                    end = start + int(length)
                    if end + 2 > size:
                        self._need = end + 2 - at
                        return data[at:]
                    at = end + 2
                    messages += 1
                    payloads += end - start
                    known[0](known[1], data[start:end])
                elif known is None and self._learn(head):
                    continue
                else:
                    end = line_end + 2
                    if line.startswith((b"MSG ", b"HMSG ")) and length.isdigit():
                        end += int(length) + 2
                    if end > size:
                        self._need = end - at
                        return data[at:]
                    await super().parse(data[at:end])
                    at = end
        finally:
            stats = self.nc.stats
            stats["in_msgs"] += messages
            stats["in_bytes"] += payloads
        return b""

    def _learn(self, head: bytes) -> bool:
        """Whether messages with this head go to a receiver; remembers it."""
        parts = head.split(b" ")
        receive = self.receivers.get(parts[2]) if len(parts) == 3 and parts[0] == b"MSG" else None
        if receive is None:
            return False
        if len(self._heads) >= _KNOWN:
            self._heads.clear()
        self._heads[head] = (receive, parts[1].decode())
        return True


class LeanClient(Client):
    def __init__(self) -> None:
        super().__init__()
        self._ps: LeanParser = LeanParser(self)
        self._heads: dict[str, bytes] = {}

    async def listen(self, subject: str, queue: str, receive: Receive) -> Subscription:
        """Subscribes; `receive(subject, payload)` is called for each message."""

        async def unusual(message: Msg) -> None:
            receive(message.subject, message.data)

        sid = self._sid + 1  # messages may come before `subscribe` returns
        self._ps.receivers[b"%d" % sid] = receive
        try:
            return await self.subscribe(subject, queue=queue, cb=unusual)
        except BaseException:
            self._ps.forget(sid)
            raise

    def put(self, subject: str, payload: bytes) -> None:
        """Publishes; the caller minds `pending_data_size`."""
        head = self._heads.get(subject)
        if head is None:
            if len(self._heads) >= _KNOWN:
                self._heads.clear()
            head = self._heads[subject] = b"PUB %b " % subject.encode()
        item = b"%b%d\r\n%b\r\n" % (head, len(payload), payload)
        self._pending.append(item)
        self._pending_data_size += len(item)
        wake = self._flush_queue
        if wake is not None and wake.empty():
            wake.put_nowait(asyncio.Future())

    async def flushed(self) -> None:
        """Returns when what is pending was written, as far as the socket takes it, or after the patience for that."""
        if not self.is_connected:
            raise ConnectionClosedError
        await self._flush_pending(force_flush=True)

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self._ps.forget(sid)
        super()._remove_sub(sid, max_msgs)

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        if self._pending and self._transport is not None:
            self._transport.writelines(self._pending)
            self._pending, self._pending_data_size = [], 0
        await super()._send_ping(future)
