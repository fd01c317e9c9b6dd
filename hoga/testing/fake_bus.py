"""An in-memory bus for tests: wildcards, queue groups, last-value streams, requests, outages.

Messages are delivered in order, one loop tick after `publish`, as over the real bus; `await settle()` returns
when all of them are. `go_away()` and `come_back()` play an outage: what is published meanwhile is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hoga.domain.errors import BusError
from hoga.runtime.bus import Bus, MessageHandler, RequestHandler, Subscription


@dataclass(slots=True)
class _Stream:
    subjects: list[str]
    values: dict[str, bytes] = field(default_factory=dict)


class _FakeSubscription:
    def __init__(self, bus: FakeBus, subject: str, handler: MessageHandler, queue: str) -> None:
        self.subject = subject
        self.handler = handler
        self.queue = queue
        self._bus = bus

    async def unsubscribe(self) -> None:
        if self in self._bus.subscriptions:
            self._bus.subscriptions.remove(self)


class FakeBus:
    """See `hoga.runtime.bus.Bus`. `published` keeps all that was sent, `max_payload` refuses what is larger."""

    def __init__(self, *, max_payload: int = 8 << 20) -> None:
        self.max_payload = max_payload
        self.slow_dropped = 0
        self.published: list[tuple[str, bytes]] = []
        self.subscriptions: list[_FakeSubscription] = []
        self.streams: dict[str, _Stream] = {}
        self._servers: list[tuple[str, RequestHandler]] = []
        self._listeners: list[Callable[[bool], None]] = []
        self._pending: deque[Callable[[], None]] = deque()
        self._connected = True
        self._dropped = 0
        self._turn = 0

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def dropped(self) -> int:
        return self._dropped

    def messages(self, subject: str) -> list[bytes]:
        """Payloads published so far on subjects that match, oldest first."""
        return [payload for found, payload in self.published if matches(subject, found)]

    def go_away(self, *, lose_streams: bool = False) -> None:
        self._connected = False
        if lose_streams:
            for stream in self.streams.values():
                stream.values.clear()
        self._tell()

    def come_back(self) -> None:
        self._connected = True
        self._tell()

    async def settle(self) -> None:
        """Returns when everything published, by handlers too, has been delivered."""
        while self._pending:  # noqa: ASYNC110 - one tick is what a message takes here
            await asyncio.sleep(0)

    # --- the port

    def publish(self, subject: str, payload: bytes) -> bool:
        if not self._connected or len(payload) > self.max_payload:
            self._dropped += 1
            return False
        self.published.append((subject, payload))
        for stream in self.streams.values():
            if any(matches(pattern, subject) for pattern in stream.subjects):
                stream.values.pop(subject, None)
                stream.values[subject] = payload
        for subscription in self._receivers(subject):
            self._later(subscription, subject, payload)
        return True

    async def subscribe(self, subject: str, handler: MessageHandler, *, queue: str = "") -> Subscription:
        subscription = _FakeSubscription(self, subject, handler, queue)
        self.subscriptions.append(subscription)
        return subscription

    async def subscribe_last(self, stream: str, subject: str, handler: MessageHandler) -> Subscription:
        subscription = _FakeSubscription(self, subject, handler, "")
        for found, payload in list(self.streams.get(stream, _Stream([])).values.items()):
            if matches(subject, found):
                self._later(subscription, found, payload)
        self.subscriptions.append(subscription)
        return subscription

    async def last(self, stream: str, subject: str) -> bytes | None:
        self._check()
        if stream not in self.streams:
            raise BusError(f"there is no stream {stream} (yet)")
        found = [value for name, value in self.streams[stream].values.items() if matches(subject, name)]
        return found[-1] if found else None

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = 5.0) -> bytes:
        self._check()
        for pattern, handler in self._servers:
            if matches(pattern, subject):
                try:
                    return await asyncio.wait_for(handler(subject, payload), timeout_s)
                except Exception:
                    raise BusError(f"no answer on {subject} within {timeout_s:g} s") from None
        raise BusError(f"nobody answers on {subject}")

    async def serve(self, subject: str, handler: RequestHandler, *, queue: str = "") -> Subscription:
        entry = (subject, handler)
        self._servers.append(entry)
        return _FakeServer(self._servers, entry)

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, max_age_s: float = 0.0) -> None:
        self.streams.setdefault(name, _Stream([])).subjects = list(subjects)

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        self._listeners.append(handler)

    async def close(self) -> None:
        if self._connected:
            await self.settle()
        self._connected = False

    # --- inside

    def _check(self) -> None:
        if not self._connected:
            raise BusError("the message bus is away")

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self._connected)

    def _receivers(self, subject: str) -> list[_FakeSubscription]:
        chosen: list[_FakeSubscription] = []
        groups: dict[tuple[str, str], list[_FakeSubscription]] = {}
        for subscription in self.subscriptions:
            if not matches(subscription.subject, subject):
                continue
            if subscription.queue:
                groups.setdefault((subscription.subject, subscription.queue), []).append(subscription)
            else:
                chosen.append(subscription)
        self._turn += 1
        return chosen + [members[self._turn % len(members)] for members in groups.values()]

    def _later(self, subscription: _FakeSubscription, subject: str, payload: bytes) -> None:
        self._pending.append(lambda: subscription.handler(subject, payload))
        asyncio.get_running_loop().call_soon(self._deliver_one)

    def _deliver_one(self) -> None:
        deliver = self._pending[0]
        try:
            deliver()
        finally:
            self._pending.popleft()


_PORT: type[Bus] = FakeBus  # the type checker sees to it that the port is complete


class _FakeServer:
    def __init__(self, servers: list[tuple[str, RequestHandler]], entry: tuple[str, RequestHandler]) -> None:
        self._servers = servers
        self._entry = entry

    async def unsubscribe(self) -> None:
        if self._entry in self._servers:
            self._servers.remove(self._entry)


def matches(pattern: str, subject: str) -> bool:
    """NATS subject matching: `*` is one token, a final `>` one or more."""
    wanted, found = pattern.split("."), subject.split(".")
    for index, part in enumerate(wanted):
        if part == ">":
            return len(found) > index
        if index >= len(found) or part not in ("*", found[index]):
            return False
    return len(wanted) == len(found)
