"""The whole path from bytes to books: route, BookShelf, builders. A script of what a link and REST bring.

A, B   a frame over the first or the second link        S   the body of a REST snapshot (of the market in turn)
T      a second passes    d, u, m   the first link goes, comes, is settled    H   halt or resume
L      frames were lost on the bus    Q   an audit begins    O   both links open
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache, partial

from hoga.domain.actions import Note
from hoga.domain.errors import FrameError
from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.domain.rules import BookRules
from hoga.domain.types import GapPolicy, Stamp, State
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RouteKind
from hoga.runtime.books import BookShelf
from tests.fuzz import promises
from tests.fuzz.inputs import script, seeds
from tests.fuzz.inputs.mutate import mutate
from tests.fuzz.target import Target, promise

STEP_NS = 20_000_000
START_NS = 10**12
WALL_NS = 1_790_000_000 * 10**9
POLICIES = tuple(GapPolicy)
_EXTRA = [(what, b"") for what in (b"T", b"T", b"d", b"u", b"m", b"H", b"L", b"Q", b"O")]


def targets() -> Iterator[Target]:
    payloads = dict.fromkeys((b"A", b"B", b"S"), mutate)
    for code, exchange in registry.EXCHANGES.items():
        mutator = script.mutator(payloads, _EXTRA)
        yield Target(f"shelf:{code}", partial(run, exchange), partial(scripts, code), mutator, suite_runs=25)


def run(exchange: Exchange, data: bytes) -> Hashable:
    events = script.read(data)
    player = Player(exchange, POLICIES[len(events) % len(POLICIES)])
    for what, payload in events:
        player.play(what, payload)
    player.finish()
    states = sorted({builder.state for builder in player.shelf.builders.values()})
    return tuple(states), frozenset(player.met)


class Player:
    """A shelf, and everything that was promised about it, checked after each event."""

    def __init__(self, exchange: Exchange, policy: GapPolicy) -> None:
        self.exchange = exchange
        self.shelf = BookShelf(exchange, BookRules(gap_policy=policy, buffer_updates=100))
        self.natives = seeds.of(exchange.code).natives
        self.mono_ns = START_NS
        self.asked = 0
        self.met: set[str] = set()
        """What has happened, by name."""

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.mono_ns, WALL_NS + self.mono_ns)

    def play(self, what: bytes, payload: bytes) -> None:
        self.mono_ns += 10**9 if what == b"T" else STEP_NS
        if what in (b"A", b"B"):
            self._frame(payload, what.decode())
        elif what == b"S":
            self.asked += 1
            native = self.natives[self.asked % len(self.natives)]
            self.shelf.snapshot(native, native, payload, self.exchange.traits.snapshot_depth, self.stamp)
            self._check(native)
        elif what == b"T":
            self.shelf.tick(self.stamp)
            for native, _ in self.shelf.decided():
                self._check(native)
        else:
            for native in self.natives:
                self._happen(native, what)

    def finish(self) -> None:
        for native, builder in self.shelf.builders.items():
            promises.builder(builder)
            promises.message(builder, 20)
            whole = promises.message(builder, 0)
            promise(whole.exchange_time_ns == builder.exchange_time_ns, f"{native}: another time")

    def _frame(self, frame: bytes, link: str) -> None:
        route = self.exchange.strategy.route(frame)
        readable = self.shelf.connection(frame, link, self.stamp)
        for native, _ in self.shelf.decided():
            self._check(native)
        if not readable or route.kind is not RouteKind.BOOK:
            return
        for native in route.symbols:
            if native in self.natives:  # as ingest: what is not subscribed is a stray
                self.shelf.frame(native, native, frame, link, self.stamp)
                self._check(native)
                self._unread_is_not_live(native, frame, link)

    def _unread_is_not_live(self, native: str, frame: bytes, link: str) -> None:
        """A book of which a frame could not be read is not LIVE, unless another link vouches for it."""
        try:
            unread = all(update.native_symbol != native for update in self.exchange.handler.parse(frame))
        except FrameError:
            unread = True
        builder = self.shelf.builders[native]
        arbiter = builder.ledger.arbiter
        front = arbiter.front
        if unread and front is not None and front.link == link and not any(one.sound for one in arbiter.others(front)):
            promise(builder.state is not State.LIVE, "LIVE although its newest frame could not be read")

    def _happen(self, native: str, what: bytes) -> None:
        builder, stamp = self.shelf.builder(native), self.stamp
        match what:
            case b"d":
                builder.on_link(LinkEvent(LinkEventKind.CLOSED, "A", reason="the link is down"), stamp)
            case b"u":
                builder.on_link(LinkEvent(LinkEventKind.OPENED, "A"), stamp)
            case b"m":
                builder.on_link(LinkEvent(LinkEventKind.SETTLED, "A"), stamp)
            case b"H":
                builder.halt("" if builder.ledger.status.halt else "halted", matching=bool(self.asked % 2))
            case b"L":
                builder.bus_loss(3, "A", stamp)
            case b"Q":
                builder.audit(stamp)
            case b"O":
                for link in "AB":
                    builder.on_link(LinkEvent(LinkEventKind.OPENED, link), stamp)
            case _:
                pass
        self._check(native)

    def _check(self, native: str) -> None:
        builder = self.shelf.builders[native]
        actions = builder.drain()
        promises.actions(actions, builder, self.exchange.code, native)
        promises.builder(builder)
        self.met |= {action.kind.name if isinstance(action, Note) else type(action).__name__ for action in actions}


@cache
def scripts(code: str) -> list[bytes]:
    """A link from its first frame on, with the snapshots as they were asked for; the same over two links."""
    stream = seeds.of(code).stream
    one: list[script.Event] = [(b"O", b"")]
    for kind, data in stream:
        if kind == "recv":
            one.append((b"A", data))
        elif kind.startswith("http:snapshot"):
            one += [(b"T", b""), (b"S", data)]
    one = one[:60] + [event for event in one[60:] if event[0] != b"A"]
    two = [pair for event in one for pair in ([event, (b"B", event[1])] if event[0] == b"A" else [event])]
    return [
        script.write(one),
        script.write(two),
        script.write(one[:12]),
        script.write([*one, (b"Q", b""), *[(b"T", b"")] * 8]),
    ]
