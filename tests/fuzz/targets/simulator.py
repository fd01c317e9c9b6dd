"""The simulator: what clients send it. Scripts:

`emulator:…` is one exchange's side of its protocol, with a connection open:
    O  another one is opened at this address    t, b  a text or binary message    p, q  a ping or a pong
    R  a REST address    T  some time passes
`control` is the fault control over HTTP:
    C  the body of POST /control    g  the path and query of GET /truth/…    T  the world goes on
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from functools import cache, partial
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from hoga.domain.types import Stamp
from hoga.exchanges import registry
from services.simulator import control
from services.simulator.actions import ACTIONS, SPOKEN
from services.simulator.market import ExchangeMarket, Market
from services.simulator.options import Options
from services.simulator.server import SimulatorServer
from services.simulator.venues.base import Action, Answer, Call, Close, Ping, Send, SendFirst, Session
from services.simulator.venues.registry import EMULATORS
from tests.fuzz.harness import in_loop
from tests.fuzz.inputs import script, seeds
from tests.fuzz.inputs.mutate import edit_bytes, mutate
from tests.fuzz.target import Target, promise

START_MS = 1_790_000_000_000
WORLD = Options(symbols=2, max_levels=20, quiet=0.0, seed=5, rate=20.0)


def targets() -> Iterator[Target]:
    mutator = script.mutator(
        {b"t": mutate, b"b": mutate, b"O": _edit_url, b"R": _edit_url}, [(b"T", b""), (b"p", b"x")]
    )
    for code in EMULATORS:
        yield Target(f"emulator:{code}", partial(speak, code), partial(_sessions, code), mutator, suite_runs=100)
    commands = script.mutator({b"C": _edit_command, b"g": _edit_url}, [(b"T", b"")])
    yield Target(
        "control", lambda data: in_loop(_control(data)), _commands, commands, suite_runs=30, memory_factor=3000
    )


def speak(code: str, data: bytes) -> Hashable:
    market = _market(code)
    emulator = EMULATORS[code](market, seed=5)
    now = Stamp(10**12, START_MS * 10**6)
    opened = emulator.open(_call(_address(code), now))
    session: Session | None = opened if isinstance(opened, Session) else None
    met: set[Hashable] = set()
    for what, payload in script.read(data):
        passed_ns = 10**9 if what == b"T" else 10**8
        now = Stamp(now.mono_ns + passed_ns, now.wall_ns + passed_ns)
        match what:
            case b"O":
                opened = emulator.open(_call(payload, now))
                session = opened if isinstance(opened, Session) else None
                met.add(_answer(opened) if isinstance(opened, Answer) else "open")
            case b"R":
                met.add(_answer(emulator.rest(_call(payload, now))))
            case b"T" if session:
                _check_actions(session.tick(now), met)
            case b"p" if session:
                _check_actions(session.ping(payload, now), met)
            case b"q" if session:
                _check_actions(session.pong(payload, now), met)
            case b"t" if session:
                _check_actions(session.receive(payload.decode("utf-8", "replace"), now), met)
            case b"b" if session:
                _check_actions(session.receive(payload, now), met)
        if session is not None:
            for topic in list(session.topics)[:3]:
                emulator.wants_book(topic)
                emulator.window(topic)
    return frozenset(met), session is not None and min(len(session.topics), 3)


def _check_actions(actions: list[Action], met: set[Hashable]) -> None:
    for action in actions:
        match action:
            case Send(data=data):
                (data.encode() if isinstance(data, str) else data).decode()
            case SendFirst(delay_s=delay_s):
                promise(0 <= delay_s < 60, f"a first frame after {delay_s} s")
            case Close(code=code):
                promise(1000 <= code < 5000, f"close code {code}")
            case Ping():
                pass
            case _:
                promise(False, f"no action: {action!r}")
        met.add(type(action).__name__)


def _answer(found: Answer) -> int:
    promise(isinstance(found, Answer) and 100 <= found.status < 600, f"{found!r}"[:200])
    for name, text in found.headers.items():
        promise((name + text).isprintable(), f"header {name}: {text!r}")
    return found.status


def _call(address: bytes, now: Stamp) -> Call:
    """As the server makes it from a request."""
    try:
        parts = urlsplit(address.decode("utf-8", "replace"))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        return Call("/", {}, "a", now)
    return Call(parts.path or "/", query, "a", now)


def _address(code: str) -> bytes:
    strategy = registry.get(code).strategy
    return strategy.ws_url(strategy.endpoints).encode()


@cache
def _market(code: str) -> ExchangeMarket:
    return Market(Options(symbols=3, max_levels=20, quiet=0.0, exchanges=(code,)), START_MS).exchanges[code]


@cache
def _sessions(code: str) -> list[bytes]:
    """What a client of ours says, and addresses of REST calls; of two sorts of manners."""
    exchange, seed = registry.get(code), seeds.of(code)
    strategy = exchange.strategy
    opened = (b"O", _address(code))
    said = [text.encode() for text in strategy.greeting(0)] + [data for kind, data in seed.stream if kind == "send"]
    asked = (strategy.subscribe(seed.natives, 7, 0), strategy.unsubscribe(seed.natives, 8, 0))
    said += [text.encode() for text in (*asked, strategy.probe(0), strategy.heartbeat(0)) if text]
    talk: list[script.Event] = [opened, *((b"t", text) for text in said), (b"p", b"x"), (b"q", b""), (b"T", b"")]
    rest: list[script.Event] = [(b"R", address.encode()) for address in seed.urls]
    return [script.write(talk), script.write(rest), script.write([*talk[:3], *rest[:2], *talk[1:]])]


# --- the control


async def _control(data: bytes) -> Hashable:
    clock = [10**12]

    def now() -> Stamp:
        return Stamp(clock[0], START_MS * 10**6 + clock[0])

    codes = tuple(EMULATORS)[:2]
    server = SimulatorServer(Options(**{**_as_dict(WORLD), "exchanges": codes}), clock=now)
    server.begin()
    app = web.Application()
    control.add_routes(app, server)
    handlers: dict[Any, Any] = {
        (route.method, route.resource.canonical): route.handler for route in app.router.routes() if route.resource
    }
    statuses = []
    for what, payload in script.read(data)[:40]:
        if what == b"C":
            response = await handlers["POST", "/control"](_Request(body=payload))
        elif what == b"g":
            response = await handlers["GET", "/truth/{code}/{native}"](_Request(address=payload))
        else:
            clock[0] += 200_000_000
            for _ in range(50):
                if not server.advance():
                    break
            response = await handlers["GET", "/control"](_Request())
            await handlers["GET", "/status"](_Request())
        promise(response.status in (200, 400, 404), f"status {response.status}")
        statuses.append(response.status)
    return tuple(statuses), bool(server.faults.report())


class _Request:
    """As much of a request as the routes look at."""

    def __init__(self, body: bytes = b"", address: bytes = b"") -> None:
        self._body = body
        parts = address.decode("utf-8", "replace").partition("?")
        segments = parts[0].strip("/").split("/")
        self.query = dict(parse_qsl(parts[2]))
        self.match_info = {"code": segments[0], "native": segments[-1]}

    async def json(self) -> Any:
        return json.loads(self._body.decode("utf-8", "replace"))


def _as_dict(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in Options.__slots__}


@cache
def _commands() -> list[bytes]:
    """Every action, with every argument it has."""
    code = next(iter(EMULATORS))
    native = seeds.of(code).natives[0]
    values = {"code": code, "native": native, "payload": "x", "kind": "truncated"}
    bodies = []
    for name, action in ACTIONS.items():
        asked: dict[str, Any] = {"action": name}
        asked |= {word: values[word] for word, taken in zip(SPOKEN, _targets(action), strict=True) if taken}
        for argument in action.arguments.values():
            if argument.required or argument.default is not None:
                asked[argument.name] = values.get(argument.name, 1 if argument.required else argument.default)
        bodies.append((b"C", json.dumps(asked).encode()))
    truths: Sequence[script.Event] = [
        (b"g", f"{code}/{native}".encode()),
        (b"g", f"{code}/{native}?depth=3&seq=5".encode()),
    ]
    step: script.Event = (b"T", b"")
    return [script.write([step, *bodies[:15], step, step, *truths]), script.write([step, *bodies[15:], step, step])]


def _targets(action: Any) -> tuple[bool, bool]:
    return action.takes_exchange, action.takes_symbol


def _edit_command(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    return mutate(data, chance, pool)[: 8 << 10]


def _edit_url(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    """Path and query change; the query mostly by its values."""
    head, mark, query = data.partition(b"?")
    if not mark or chance.random() < 0.3:
        return edit_bytes(data, chance, pool)
    pairs = query.split(b"&")
    index = chance.randrange(len(pairs))
    name, _, value = pairs[index].partition(b"=")
    pairs[index] = name + b"=" + edit_bytes(value, chance, ())
    return head + mark + b"&".join(pairs)
