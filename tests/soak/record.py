"""What the simulated exchanges did, written down as it happens: the judge's only source.

Every frame of every market is remembered with the moment it was sent and the life of its ids, so that a jump of the
exchange's clock, a market that is listed anew or ids that begin anew leave no doubt about what was true. REST answers
that forbid further requests are remembered with the time they name.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.simulator.desk import Desk
from services.simulator.faults import FrameFaults, Package
from services.simulator.link import Link
from services.simulator.options import Options
from services.simulator.server import SimulatorServer
from services.simulator.symbol import SymbolMarket
from services.simulator.venue import Venue
from services.simulator.venues.base import Answer, BookView, Call, Topic

LEVELS = 28
FRAMES = 600
"""Remembered of each market."""
KEPT_S = 300.0
"""How long a listing that has ended is remembered."""
IN_FLIGHT_S = 0.5
"""A request that arrives so soon after the answer that forbids it was under way already."""
CROSS_S = 2.0
"""How long a book may be under way from the simulator to the judge."""


class Frame(NamedTuple):
    sent_s: float
    life: int
    view: BookView


@dataclass(eq=False)
class Life:
    """One listing of a market; its ids may begin anew in it."""

    market: SymbolMarket
    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=FRAMES))
    ended_s: float = 0.0


@dataclass
class Ban:
    from_s: float
    until_s: float
    forgotten: bool = False
    """The process that was told has died since."""


class Bans:
    """REST requests against the answers that forbade them."""

    def __init__(self) -> None:
        self.windows = 0
        self.requests = 0
        self.in_flight = 0
        self.by_the_forgetful = 0
        """By a process that was started after the ban."""
        self.broken: list[str] = []
        self._open: dict[str, list[Ban]] = defaultdict(list)

    def request(self, code: str, path: str, now_s: float) -> None:
        self.requests += 1
        bans = self._open[code] = [ban for ban in self._open[code] if now_s < ban.until_s]
        for ban in bans:
            if ban.forgotten:
                self.by_the_forgetful += 1
            elif now_s < ban.from_s + IN_FLIGHT_S:
                self.in_flight += 1
            else:
                left_s = ban.until_s - now_s
                self.broken.append(f"R {code} {path} asked {left_s:.1f} s before the ban of its address ended")
            return

    def answered(self, code: str, answer: Answer, now_s: float) -> None:
        wait = answer.headers.get("Retry-After", "")
        if answer.status in (403, 418, 429, 451) and wait.isdigit():
            self.windows += 1
            self._open[code].append(Ban(now_s, now_s + int(wait)))

    def forget(self, code: str) -> None:
        """The process that asks this exchange dies and knows of no ban when it comes back."""
        for ban in self._open[code]:
            ban.forgotten = True


class WatchedServer(SimulatorServer):
    """The simulator, its REST side under watch."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.bans = Bans()
        self.on_snapshot: Callable[[str, str], None] = lambda code, native: None
        """(code, native), when a REST request about one market was answered."""

    async def _answer(self, venue: Desk, call: Call) -> Answer:
        self.bans.request(venue.code, call.path, time.monotonic())
        answer = await super()._answer(venue, call)
        self.bans.answered(venue.code, answer, time.monotonic())
        if answer.status == 200 and (native := call.query.get("symbol")):
            self.on_snapshot(venue.code, native)
        return answer


class Watched(FrameFaults):
    """Tells when a frame was tampered with, and how."""

    def __init__(self, struck: Callable[[str, str], None]) -> None:
        """`struck(native, kind)` is called for every frame a fault took hold of."""
        super().__init__()
        self._tell = struck

    def strike(self, native: str, package: Package) -> Package:
        queue = self.armed.get(native)
        kind = queue[0].kind if queue else ""
        before = self.struck[kind] if kind else 0
        result = super().strike(native, package)
        if kind and (self.struck[kind] > before or native in self._held):
            self._tell(native, kind)
        return result

    def clear(self) -> None:
        for native in self._held:
            self._tell(native, "drop")
        super().clear()


class Record:
    def __init__(self, simulator: WatchedServer) -> None:
        self.simulator = simulator
        self.lives: dict[tuple[str, str], list[Life]] = defaultdict(list)
        self.struck: Counter[str] = Counter()
        """Frames that faults took hold of, by kind."""
        self.struck_s: dict[tuple[str, str], float] = defaultdict(float)
        """(code, native) -> when a frame of the market was tampered with last."""
        self.first_s: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        """(code, native) -> link -> when a snapshot was sent on it last."""
        self.delivered_s: dict[tuple[str, str], float] = defaultdict(float)
        self.delivered: Counter[str] = Counter()
        self.on_strike: Callable[[str, str, str], None] = lambda code, native, kind: None
        """(code, native, kind), at every frame that a fault takes hold of."""
        for code, venue in simulator.venues.items():
            assert isinstance(venue, Venue)
            self._watch(code, venue)
            for native in venue.natives():
                self.follow(code, native)

    def follow(self, code: str, native: str) -> None:
        """A market was listed."""
        market = self.simulator.market.exchanges[code].symbols[native]
        life = Life(market)
        life.frames.append(Frame(time.monotonic(), market.lives, market.as_of_frame()))
        for name in ("emit", "idle", "begin_life"):
            setattr(market, name, _then(getattr(market, name), lambda: self._note(life)))
        self.lives[code, native].append(life)
        self.first_s.pop((code, native), None)

    def ended(self, code: str, native: str) -> None:
        """A market is delisted."""
        now = time.monotonic()
        self.lives[code, native][-1].ended_s = now
        for key, lives in list(self.lives.items()):
            lives[:] = [life for life in lives if not 0 < life.ended_s < now - KEPT_S]
            if not lives:
                del self.lives[key]

    def windowed(self, code: str, native: str) -> bool:
        """Whether the market's stream leaves out what changes below its depth, or frames that change nothing."""
        venue = self.simulator.venues[code]
        assert isinstance(venue, Venue)
        topics = [topic for topic in venue._streams if topic.native == native]
        return not topics or any(venue.emulator.window(topic) for topic in topics)

    def suspect(self, code: str, native: str) -> bool:
        """Whether a frame was tampered with since the newest snapshot of every link that carries the market."""
        struck_s = self.struck_s[code, native]
        if not struck_s:
            return False
        links = self._links(code, native)
        firsts = self.first_s[code, native]
        oldest = min((firsts.get(link.number, 0.0) for link in links), default=0.0)
        return oldest <= struck_s or time.monotonic() < oldest + CROSS_S

    def snapshot_since(self, code: str, native: str, moment_s: float) -> bool:
        return any(sent_s > moment_s for sent_s in self.first_s[code, native].values())

    def _links(self, code: str, native: str) -> set[Link]:
        topics = self.simulator.venues[code]._subscribers.get(native, {})
        return {link for links in topics.values() for link in links}

    def _note(self, life: Life) -> None:
        life.frames.append(Frame(time.monotonic(), life.market.lives, life.market.top(LEVELS)))

    def _watch(self, code: str, venue: Venue) -> None:
        def struck(native: str, kind: str) -> None:
            self.struck[kind] += 1
            self.struck_s[code, native] = time.monotonic()
            self.on_strike(code, native, kind)

        venue.faults = Watched(struck)
        deliver, send_first = venue.deliver, venue.send_first

        def delivered(native: str, package: list[tuple[Iterable[Link], bytes]]) -> None:
            self.delivered_s[code, native] = time.monotonic()
            self.delivered[code] += 1
            deliver(native, package)

        def sent_first(link: Link, topic: Topic) -> None:
            firsts = self.first_s[code, topic.native]
            firsts[link.number] = time.monotonic()
            while len(firsts) > 8:
                del firsts[next(iter(firsts))]
            send_first(link, topic)

        setattr(venue, "deliver", delivered)  # noqa: B010 - mypy refuses the plain assignment
        setattr(venue, "send_first", sent_first)  # noqa: B010


def _then(deed: Callable[[], Any], after: Callable[[], None]) -> Callable[[], Any]:
    """`deed`, and `after` it wherever it was done at all."""

    def both() -> Any:
        result = deed()
        if result is not None or deed.__name__ == "begin_life":
            after()
        return result

    return both
