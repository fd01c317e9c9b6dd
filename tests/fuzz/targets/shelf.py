"""The whole path from bytes to books: route, BookShelf, keepers. A script of what a link and REST bring.

A, B   a frame over the first or the second link        S   the body of a REST snapshot (of the market in turn)
T      a second passes    d, u, m   the first link goes, comes, is replaced    H   halt or resume
L      frames were lost on the bus    Q   an audit begins    O   the symbols are opened
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache, partial

from hoga.domain.actions import Action, Note
from hoga.domain.errors import FrameError
from hoga.domain.keeper import KeeperRules
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
    states = sorted({keeper.state for keeper in player.shelf.keepers.values()})
    return tuple(states), frozenset(player.met)


class Player:
    """A shelf, and everything that was promised about it, checked after each event."""

    def __init__(self, exchange: Exchange, policy: GapPolicy) -> None:
        self.exchange = exchange
        self.shelf = BookShelf(exchange, KeeperRules(gap_policy=policy, buffer_updates=100))
        self.natives = seeds.of(exchange.code).natives
        self.live_links = {"A", "B"}
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
            self._check(
                native, self.shelf.snapshot(native, native, payload, self.exchange.traits.snapshot_depth, self.stamp)
            )
        elif what == b"T":
            for native, actions in self.shelf.tick(self.stamp):
                self._check(native, actions)
        else:
            for native in self.natives:
                self._happen(native, what)

    def finish(self) -> None:
        for native, keeper in self.shelf.keepers.items():
            promises.keeper(keeper)
            promises.message(keeper, 20)
            whole = promises.message(keeper, 0)
            promise(whole.exchange_time_ns == keeper.exchange_time_ns, f"{native}: another time")

    def _frame(self, frame: bytes, link: str) -> None:
        route = self.exchange.strategy.route(frame)
        readable, found = self.shelf.connection(frame, link, self.stamp)
        for native, actions in found:
            self._check(native, actions)
        if not readable or route.kind is not RouteKind.BOOK:
            return
        for native in route.symbols:
            if native in self.natives:  # as ingest: what is not subscribed is a stray
                self._check(native, self.shelf.frame(native, native, frame, link, self.stamp))
                self._unread_is_not_live(native, frame)

    def _unread_is_not_live(self, native: str, frame: bytes) -> None:
        """A book of which a frame could not be read is not LIVE, unless another link vouches for it."""
        try:
            unread = all(update.native_symbol != native for update in self.exchange.handler.parse(frame))
        except FrameError:
            unread = True
        if unread and not self.exchange.traits.by_link:
            promise(
                self.shelf.keepers[native].state is not State.LIVE, "LIVE although its newest frame could not be read"
            )

    def _happen(self, native: str, what: bytes) -> None:
        keeper, stamp = self.shelf.keeper(native), self.stamp
        keeper.live_links = self.live_links
        match what:
            case b"d":
                self.live_links.discard("A")
                actions = keeper.link_down("the link is down", stamp)
            case b"u":
                self.live_links.add("A")
                actions = keeper.link_up(stamp)
            case b"m":
                actions = keeper.link_moved(stamp)
            case b"H":
                actions = keeper.halt("" if keeper.halt_reason else "halted")
            case b"L":
                actions = keeper.bus_loss(3, "A", stamp)
            case b"Q":
                actions = keeper.audit(stamp)
            case b"O":
                actions = keeper.open(stamp)
            case _:
                actions = []
        self._check(native, actions)

    def _check(self, native: str, actions: list[Action]) -> None:
        keeper = self.shelf.keepers[native]
        promises.actions(actions, keeper, self.exchange.code, native)
        promises.keeper(keeper)
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
