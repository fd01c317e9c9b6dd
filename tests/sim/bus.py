"""What a process sees of the broker: the Bus port, with the habits of our NATS adapter.

`publish` never waits and refuses what does not fit; reconnects come within 0.1 to 0.5 s, and everything that was
subscribed, served and ensured is made again before anyone hears of it; open requests fail with the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial

from hoga.domain.errors import BusError
from hoga.runtime.bus import Bus, MessageHandler, RequestHandler, Subscription
from tests.sim.broker import DIRECT_GET, Broker, Reply, Session, Sub

MAX_PAYLOAD = 8 << 20
PENDING_BYTES = 8 << 20
RECONNECT_S = (0.1, 0.5)
CONNECT_PATIENCE_S = 2.0


class SimBus:
    """See `hoga.runtime.bus.Bus`. Make it in the context of its process."""

    def __init__(self, broker: Broker, name: str, fail: Callable[[str], None]) -> None:
        """`fail(text)` is told of handlers that raise: none of ours may."""
        self.name = name
        self.context = copy_context()
        self.slow_up_s = self.slow_down_s = 0.0
        self.session: Session | None = None
        self.hear: Callable[[str, bytes], None] | None = None
        """Sees every message before its handler does."""
        self.in_vain = False
        """A last value was asked for, and there was none, or no answer."""
        self._broker, self._fail = broker, fail
        self._closed = False
        self._dropped = 0
        self._subs: list[Sub] = []
        self._streams: dict[str, tuple[list[str], float]] = {}
        self._listeners: list[Callable[[bool], None]] = []
        self._pending: dict[asyncio.Future[bytes | None], None] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._first = asyncio.Event()

    # --- the connection

    async def start(self) -> None:
        """Returns when connected for the first time."""
        self._connect()
        await self._first.wait()

    def vanish(self) -> None:
        """The process is killed: its kernel closes the connection."""
        self._closed = True
        session, self.session = self.session, None
        if session is not None and not session.over:
            session.leave()
            session.bury()

    def lost(self, session: Session) -> None:
        """The connection has ended."""
        if session is not self.session:
            return
        self.session = None
        session.bury()
        for future in list(self._pending):
            if not future.done():
                future.set_exception(BusError("the message bus went away"))
        self._tell(False)
        self._later(self._broker.dice.uniform(*RECONNECT_S), self._connect)

    def _connect(self) -> None:
        broker = self._broker
        if self._closed:
            return
        if not broker.up:
            self._later(broker.dice.uniform(*RECONNECT_S), self._connect)
        elif broker.frozen:
            self._later(CONNECT_PATIENCE_S, self._connect)
        else:
            self._later(4 * broker.latency(), self._connected)

    def _connected(self) -> None:
        broker = self._broker
        if self._closed or not broker.up or broker.frozen:
            self._connect()
            return
        self.session = Session(broker, self)
        for sub in self._subs:
            self.session.add(sub)
        for name, (subjects, max_age_s) in self._streams.items():
            broker.ensure(name, subjects, max_age_s)
        self._first.set()
        self._tell(True)
        for sub in self._subs:
            broker.replay(sub)

    def _tell(self, up: bool) -> None:
        for listener in list(self._listeners):
            try:
                listener(up)
            except Exception as error:
                self._fail(f"{self.name}: a connection listener failed: {error!r}")

    # --- the port

    @property
    def connected(self) -> bool:
        return self.session is not None

    @property
    def dropped(self) -> int:
        return self._dropped

    slow_dropped = 0
    """Our handlers are never too slow here."""

    def publish(self, subject: str, payload: bytes) -> bool:
        session = self.session
        if session is None or len(payload) > MAX_PAYLOAD or session.up.size + len(payload) > PENDING_BYTES:
            self._dropped += 1
            return False
        session.up.put((subject, payload, None), len(payload))
        return True

    async def subscribe(self, subject: str, handler: MessageHandler, *, queue: str = "") -> Subscription:
        sub = Sub(subject, queue)
        sub.handler = partial(self._deliver, handler)
        return await self._add(sub)

    async def subscribe_last(self, stream: str, subject: str, handler: MessageHandler) -> Subscription:
        sub = Sub(subject, stream=stream)
        sub.handler = partial(self._deliver, handler)
        subscription = await self._add(sub)
        self._broker.replay(sub)
        return subscription

    async def serve(self, subject: str, handler: RequestHandler, *, queue: str = "") -> Subscription:
        sub = Sub(subject, queue, serves=True)
        sub.handler = partial(self._serve, handler)
        return await self._add(sub)

    async def last(self, stream: str, subject: str) -> bytes | None:
        self.in_vain = True
        value = await self.request(f"{DIRECT_GET}{stream}.{subject}", b"")
        self.in_vain = not value
        return value or None

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = 5.0) -> bytes:
        session = self.session
        if session is None:
            raise BusError("the message bus is away")
        future: asyncio.Future[bytes | None] = self._broker.loop.create_future()

        def answer(data: bytes | None) -> None:
            self._later(self._broker.latency(), lambda: future.done() or session.over or future.set_result(data))

        session.up.put((subject, payload, answer), len(payload))
        self._pending[future] = None
        try:
            data = await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise BusError(f"no answer on {subject} within {timeout_s:g} s") from None
        finally:
            self._pending.pop(future, None)
        if data is None:
            raise BusError(f"nobody answers on {subject}")
        return data

    async def ensure_stream(self, name: str, subjects: list[str], *, max_bytes: int, max_age_s: float = 0.0) -> None:
        self._streams[name] = (list(subjects), max_age_s)
        await asyncio.sleep(2 * self._broker.latency())
        if self.session is not None:
            self._broker.ensure(name, subjects, max_age_s)

    def on_connection(self, handler: Callable[[bool], None]) -> None:
        self._listeners.append(handler)

    async def close(self) -> None:
        """What was handed over is sent."""
        while self.session is not None and len(self.session.up) and not self._broker.frozen:
            await asyncio.sleep(0.01)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.vanish()

    # --- inside

    async def _add(self, sub: Sub) -> Subscription:
        await asyncio.sleep(2 * self._broker.latency())
        self._subs.append(sub)
        if self.session is not None:
            self.session.add(sub)
        return _Subscription(self, sub)

    def remove(self, sub: Sub) -> None:
        self._subs.remove(sub)
        if self.session is not None:
            self.session.remove(sub)

    def _later(self, delay_s: float, work: Callable[[], object]) -> None:
        self._broker.loop.call_later(delay_s, work, context=self.context)

    def _deliver(self, handler: MessageHandler, subject: str, payload: bytes, _reply: Reply | None) -> None:
        if self.hear is not None:
            self.hear(subject, payload)
        try:
            handler(subject, payload)
        except Exception as error:
            self._fail(f"{self.name}: the handler of {subject} failed: {error!r}")

    def _serve(self, handler: RequestHandler, subject: str, payload: bytes, reply: Reply | None) -> None:
        task = self._broker.loop.create_task(self._answer(handler, subject, payload, reply))
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _answer(self, handler: RequestHandler, subject: str, payload: bytes, reply: Reply | None) -> None:
        try:
            data = await handler(subject, payload)
        except Exception as error:
            self._fail(f"{self.name}: the request on {subject} failed: {error!r}")
            return
        if self.session is not None and reply is not None:
            self._later(self._broker.latency() + self.slow_up_s, lambda: reply(data))


class _Subscription:
    def __init__(self, bus: SimBus, sub: Sub) -> None:
        self._bus, self._sub = bus, sub

    async def unsubscribe(self) -> None:
        self._bus.remove(self._sub)


_PORT: type[Bus] = SimBus  # the type checker sees to it that the port is complete
