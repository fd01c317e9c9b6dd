"""A TCP proxy that breaks connections on demand: pure transport, it knows no protocol.

    async with FaultProxy("127.0.0.1", 4222) as proxy:
        connect(proxy.host, proxy.port)
        proxy.rst()                     # both ends of every connection get a reset
        proxy.half_open(5.0)            # what is sent vanishes, nothing closes

`way` says in which direction: "down" towards the client, "up" towards the server, or "both". `seconds` None means until
`heal`. `count` means the oldest connections, None all of them.

Rules it keeps:
1. Bytes are never changed and never change places; they are late, in pieces, or gone.
2. What concerns open connections (rst, fin, half_open) leaves new ones alone; stall and refuse concern new ones only;
   the others both.
3. A connection that has lost bytes is never resumed: when its hole ends, both ends are reset, as a peer that has
   forgotten it would do.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from types import TracebackType
from typing import Any

from services.simulator.proxy_pipe import BOTH, WAYS, Conditions, Connection, reset, ways

_BACKLOG = 512


class FaultProxy:
    """Between whoever connects to `url` and `target`, which may be changed for connections to come."""

    def __init__(
        self, host: str, port: int, *, listen: tuple[str, int] = ("127.0.0.1", 0), scheme: str = "http", seed: int = 0
    ) -> None:
        self.target = (host, port)
        self.host, self.port = listen
        self.struck: Counter[str] = Counter()
        """Verbs, and connections they concerned where they concern some."""
        self.accepted = 0
        self.conditions: dict[str, Conditions] = {way: Conditions(Random(f"{seed}:{way}")) for way in WAYS}
        self._scheme = scheme
        self._open: dict[Connection, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._guard: socket.socket | None = None
        """Bound and deaf: keeps the port ours while nobody may connect."""
        self._flowing = asyncio.Event()
        """Cleared while new connections get no answer."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._holes = 0

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        """Open now."""
        return len(self._open)

    async def start(self) -> str:
        """Listens; its `url`. OSError where the port is taken."""
        self._guard = _bound(self.host, self.port)
        self.port = self._guard.getsockname()[1]
        self._flowing.set()
        await self._listen()
        return self.url

    async def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._deafen()
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> FaultProxy:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # open connections

    def rst(self, count: int | None = None, way: str = BOTH) -> int:
        """Resets connections. With one `way` only that end is told, and the other one's bytes vanish."""
        told = ways(way)
        return self._each("rst", count, lambda one: one.reset(told))

    def fin(self, count: int | None = None, way: str = BOTH) -> int:
        """Ends connections in order; with one `way` as `rst`."""
        told = ways(way)
        return self._each("fin", count, lambda one: one.finish(told))

    def half_open(self, seconds: float | None = None, count: int | None = None, way: str = BOTH) -> int:
        """Bytes are accepted and vanish, nothing closes (rule 3)."""
        holes, chosen = ways(way), list(self._open)[:count]
        self._holes += 1  # a later hole must not forget the end of this one
        self._until(f"half_open {self._holes}", seconds, partial(_mend, chosen))
        return self._each("half_open", count, lambda one: one.lose(holes))

    # new connections

    def stall(self, seconds: float | None = None) -> None:
        """New connections are accepted and get no answer; those who waited are served when it ends."""
        self.struck["stall"] += 1
        self._flowing.clear()
        self._until("stall", seconds, self._flowing.set)

    def refuse(self, seconds: float | None = None) -> None:
        """New connections are refused."""
        self.struck["refuse"] += 1
        self._deafen()
        self._until("refuse", seconds, lambda: self._spawn(self._listen()))

    # all connections

    def slice(self, most: int = 1, seconds: float | None = None, way: str = BOTH) -> None:
        """Bytes arrive in pieces of 1 to `most`."""
        self._change("slice", way, seconds, most=_positive("most", most))

    def delay(self, by_s: float, seconds: float | None = None, way: str = BOTH, jitter_s: float = 0.0) -> None:
        """Bytes arrive `by_s` later, up to `jitter_s` more."""
        self._change("delay", way, seconds, delay=(_positive("by_s", by_s), jitter_s))

    def throttle(self, bytes_per_s: float, seconds: float | None = None, way: str = BOTH) -> None:
        """No more bytes a second than that on each connection."""
        self._change("throttle", way, seconds, bytes_per_s=_positive("bytes_per_s", bytes_per_s))

    def heal(self) -> None:
        """Ends every fault that lasts."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for conditions in self.conditions.values():
            conditions.clear()
        _mend(list(self._open))
        self._flowing.set()
        if self._server is None and self._guard is not None:
            self._spawn(self._listen())

    # inside

    def _change(self, verb: str, way: str, seconds: float | None, **values: Any) -> None:
        """Sets conditions of a direction, and what they are otherwise after `seconds`."""
        usual = Conditions(Random(0))
        for one in ways(way):
            conditions = self.conditions[one]
            conditions.set(**values)
            end = partial(conditions.set, **{name: getattr(usual, name) for name in values})
            self._until(f"{verb} {one}", seconds, end)
        self.struck[verb] += 1

    def _each(self, verb: str, count: int | None, deed: Callable[[Connection], None]) -> int:
        chosen = list(self._open)[:count]
        for one in chosen:
            deed(one)
        self.struck[verb] += len(chosen)
        return len(chosen)

    def _until(self, verb: str, seconds: float | None, end: Callable[[], object]) -> None:
        """Ends a verb after `seconds`; the same verb once more begins anew."""
        earlier = self._timers.pop(verb, None)
        if earlier is not None:
            earlier.cancel()
        if seconds is not None:
            self._timers[verb] = asyncio.get_running_loop().call_later(seconds, end)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=_bound(self.host, self.port), backlog=_BACKLOG)

    def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: Connection | None = None
        try:
            await self._flowing.wait()
            upstream = await asyncio.open_connection(*self.target)
            connection = Connection((reader, writer), upstream, self.conditions)
            self._open[connection] = None
            await connection.run()
        except OSError:
            reset(writer)  # the target is away
        finally:
            if connection is not None:
                self._open.pop(connection, None)
                connection.close()
            writer.transport.abort()


def _mend(connections: list[Connection]) -> None:
    for one in connections:
        one.mend()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio wants to see that it is TCP
    try:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _positive(name: str, value: Any) -> Any:
    if value <= 0:
        raise ValueError(f"{name} is {value}; allowed is more than 0")
    return value
