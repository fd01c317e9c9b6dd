"""The message broker of a world, and its connections.

What is modelled as measured with nats-server and our adapter: order per publisher and subscription, none between
subscriptions; a killed server loses what was on its way, silently, and its memory streams; a frozen one is noticed
after two unanswered pings of a second and goes on later with what it had taken.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from hoga.testing.fake_bus import matches
from tests.sim.loop import SimLoop
from tests.sim.pipe import Pipe

PINGS_S = (2.0, 3.0)
"""A dead connection is noticed after so long."""
DIRECT_GET = "$JS.API.DIRECT.GET."

Reply = Callable[[bytes | None], None]
"""Takes the answer to a request; None where nobody serves it."""
Message = tuple[str, bytes, Reply | None]


@dataclass
class Stream:
    subjects: list[str]
    max_age_s: float = 0.0
    values: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    """Subject -> (when it came, its last value), the newest last."""

    def kept(self, subject: str, now: float) -> list[tuple[str, bytes]]:
        """The last values of subjects that match, but for those that are too old."""
        since = now - self.max_age_s if self.max_age_s else 0.0
        return [
            (name, value) for name, (came, value) in self.values.items() if came >= since and matches(subject, name)
        ]


@dataclass(eq=False)
class Sub:
    """What a process subscribed to, or serves; it outlives connections."""

    subject: str
    queue: str = ""
    stream: str = ""
    serves: bool = False
    handler: Callable[[str, bytes, Reply | None], None] = lambda _subject, _payload, _reply: None
    pipe: Pipe[Message] | None = None
    """Its way to the client on the present connection."""


Route = tuple[list[Sub], dict[tuple[str, str], list[Sub]], list[str]]
"""Where a subject goes: plain subscriptions, groups of which one member gets it, streams that keep it."""


class Client(Protocol):
    """The process at the other end of a session."""

    context: Context
    slow_up_s: float
    slow_down_s: float

    def lost(self, session: Session) -> None: ...


class Broker:
    """The server. `tap(subject, payload)` hears every message that reaches it."""

    def __init__(self, loop: SimLoop, dice: Random) -> None:
        self.loop, self.dice = loop, dice
        self.latency_s, self.jitter_s = 0.0002, 0.0008
        self.up = True
        self.frozen = False
        self.streams: dict[str, Stream] = {}
        self.sessions: list[Session] = []
        self.world = copy_context()
        self.tap: Callable[[str, bytes], None] = lambda _subject, _payload: None
        self.lost = 0
        """Messages that vanished without a word."""
        self._leftovers: list[Pipe[Message]] = []
        """What connections that have ended had sent while the server was frozen."""
        self._routes: dict[str, Route] = {}
        """By subject, as long as nothing changes."""
        self._turn = 0

    def latency(self) -> float:
        return self.latency_s + self.jitter_s * self.dice.random()

    # --- faults of the server

    def kill(self) -> None:
        self.up, self.frozen = False, False
        self.streams.clear()
        self.changed()
        for pipe in self._leftovers:
            self.lost += pipe.lose()
        for session in list(self.sessions):
            self.lost += session.up.lose()
            session.cut()

    def start(self) -> None:
        self.up = True

    def freeze(self) -> None:
        self.frozen = True
        for session in self.sessions:
            session.hold("freeze")

    def thaw(self) -> None:
        self.frozen = False
        for pipe in self._leftovers:
            pipe.release("freeze")
        self._leftovers.clear()
        for session in list(self.sessions):
            session.release("freeze")

    # --- messages

    def route(self, subject: str, payload: bytes, reply: Reply | None) -> None:
        self.tap(subject, payload)
        if reply is not None and subject.startswith(DIRECT_GET):
            self._direct_get(subject, reply)
            return
        found = self._routes.get(subject)
        if found is None:
            found = self._routes[subject] = self._find(subject)
        plain, groups, streams = found
        for name in streams:
            values = self.streams[name].values
            values.pop(subject, None)
            values[subject] = self.loop.now, payload
        for sub in plain:
            if sub.pipe is not None:
                sub.pipe.put((subject, payload, None), len(payload))
        self._turn += 1
        answered = False
        for members in groups.values():
            sub = members[self._turn % len(members)]
            if sub.pipe is not None:
                sub.pipe.put((subject, payload, reply if sub.serves else None), len(payload))
                answered = answered or sub.serves
        if reply is not None and not answered:
            reply(None)

    def changed(self) -> None:
        """Somebody subscribed or left, or there is another stream."""
        self._routes.clear()

    def ensure(self, name: str, subjects: list[str], max_age_s: float = 0.0) -> None:
        """Makes a stream, or changes what it keeps."""
        stream = self.streams.setdefault(name, Stream([]))
        stream.max_age_s = max_age_s
        if stream.subjects != subjects:
            stream.subjects = list(subjects)
            self.changed()

    def replay(self, sub: Sub) -> None:
        """Sends the last values of the subscription's stream."""
        stream = self.streams.get(sub.stream)
        for subject, payload in stream.kept(sub.subject, self.loop.now) if stream else []:
            if sub.pipe is not None:
                sub.pipe.put((subject, payload, None), len(payload))

    def _direct_get(self, subject: str, reply: Reply) -> None:
        """The newest value of a stream that matches; empty where there is none, None where there is no stream."""
        name, _, wanted = subject.removeprefix(DIRECT_GET).partition(".")
        stream = self.streams.get(name)
        kept = stream.kept(wanted, self.loop.now) if stream else []
        reply(None if stream is None else kept[-1][1] if kept else b"")

    def keep(self, pipe: Pipe[Message]) -> None:
        self._leftovers.append(pipe)

    def _find(self, subject: str) -> Route:
        plain: list[Sub] = []
        groups: dict[tuple[str, str], list[Sub]] = {}
        for session in self.sessions:
            for sub in session.subs:
                if not matches(sub.subject, subject):
                    continue
                if sub.serves or sub.queue:
                    groups.setdefault((sub.subject, sub.queue), []).append(sub)
                else:
                    plain.append(sub)
        streams = [
            name
            for name, stream in self.streams.items()
            if any(matches(pattern, subject) for pattern in stream.subjects)
        ]
        return plain, groups, streams


class Session:
    """One connection between a process and the broker."""

    def __init__(self, broker: Broker, client: Client) -> None:
        self.broker, self.client = broker, client
        self.subs: list[Sub] = []
        self.over = False
        self._holds: set[str] = set()
        self._ping = 0
        self.up: Pipe[Message] = Pipe(broker.loop, self._up_s, lambda item: broker.route(*item), broker.world)
        broker.sessions.append(self)

    def add(self, sub: Sub) -> None:
        pipe = Pipe[Message](self.broker.loop, self._down_s, lambda item: sub.handler(*item), self.client.context)
        for why in self._holds:
            pipe.hold(why)
        sub.pipe = pipe
        self.subs.append(sub)
        self.broker.changed()

    def remove(self, sub: Sub) -> None:
        self.subs.remove(sub)
        sub.pipe = None
        self.broker.changed()

    def cut(self) -> None:
        """The connection ends, and both sides are told; of what is on the way only a beginning arrives."""
        if self.over:
            return
        dice, broker = self.broker.dice, self.broker
        for pipe in self._pipes():
            broker.lost += pipe.lose(dice.randrange(len(pipe) + 1))
        self.leave()
        broker.loop.call_later(broker.latency(), self.client.lost, self, context=self.client.context)

    def leave(self) -> None:
        """The client's end is gone; what it had sent still arrives."""
        self.over = True
        self.broker.sessions.remove(self)
        self.broker.changed()
        for why in list(self._holds):
            if why == "freeze":
                self.broker.keep(self.up)
            else:
                self.up.release(why)

    def bury(self) -> None:
        """The client knows: nothing more is read."""
        for sub in self.subs:
            if sub.pipe is not None:
                self.broker.lost += sub.pipe.lose()
                sub.pipe = None

    def hold(self, why: str) -> None:
        """Nothing passes until `release`; the client notices after a while."""
        self._holds.add(why)
        for pipe in self._pipes():
            pipe.hold(why)
        self._ping += 1
        patience_s = self.broker.dice.uniform(*PINGS_S)
        self.broker.loop.call_later(patience_s, self._unanswered, self._ping, context=self.client.context)

    def release(self, why: str) -> None:
        self._holds.discard(why)
        self._ping += not self._holds
        for pipe in self._pipes():
            pipe.release(why)

    def _unanswered(self, ping: int) -> None:
        if ping == self._ping and self._holds and not self.over:
            self.cut()

    def _pipes(self) -> list[Pipe[Message]]:
        return [self.up, *(sub.pipe for sub in self.subs if sub.pipe is not None)]

    def _up_s(self) -> float:
        return self.broker.latency() + self.client.slow_up_s

    def _down_s(self) -> float:
        return self.broker.latency() + self.client.slow_down_s
