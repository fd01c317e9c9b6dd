"""Promises of the builder where snapshots come in the stream, over one line and two.

A world holds what the exchange tells, the slots with what is on its way from them (frames and reports, in order), and
the builder. Hypothesis says what happens next; after each step a LIVE book must be the truth at its id.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.domain.actions import Action, Publish, Resubscribe
from hoga.domain.rules import BookRules
from hoga.domain.types import GapPolicy, Stamp, State, Update
from hoga.testing.histories import ERA_IDS, Account, accounts
from tests.support.driver import in_band

RESERVED = 2
"""Frames kept for the end, so that every loss is betrayed by a later one."""
Step = tuple[str, int]


@dataclass
class Line:
    """A slot of ingest. What it says arrives in the order in which it was said: frames, and reports on its links."""

    name: str
    link: str = ""
    """The connection that is open, empty where there is none."""
    old: str = ""
    """The one before, while a planned replacement overlaps."""
    queue: deque[tuple[str, Update | bool]] = field(default_factory=deque)
    """(link, its frame), or (link, whether it opens): what happens to links comes in the order of their frames."""
    told: set[str] = field(default_factory=set)
    """The links that are open, by what has arrived (or was lost on the way)."""


class World:
    def __init__(self, account: Account, lines: str, policy: GapPolicy = GapPolicy.CONTINUE) -> None:
        self.account = account
        self.policy = policy
        self.told = 0
        self.ms = 0
        self.numbers = 0
        self.lines = [Line(name) for name in lines]
        self.mute: set[str] = set()
        """Connections whose subscription was not answered: they bring nothing until they are asked for again."""
        self.asked: list[str] = []
        self.states: list[State] = []
        for line in self.lines:
            self.connect(line)
        self.restart()

    # --- the exchange and the connections

    def connect(self, line: Line, *, mute: bool = False) -> None:
        self.numbers += 1
        line.link = f"{line.name}{self.numbers}"
        line.queue.append((line.link, True))
        if mute:
            self.mute.add(line.link)
        else:
            line.queue.append((line.link, self.account.subscription(self.told)))

    def tell(self, update: Update) -> None:
        for line in self.lines:
            for link in (line.old, line.link):
                if link and link not in self.mute:
                    line.queue.append((link, update))

    def advance(self) -> None:
        self.tell(self.account.frames[self.told])
        self.told += 1

    def serve(self, choice: int) -> None:
        """A request is carried out over the link that it names, or over any."""
        lines = [line for line in self.lines if line.link]
        if self.asked and lines:
            named = self.asked.pop(0)
            line = next((line for line in lines if line.link == named), lines[choice % len(lines)])
            line.queue.append((line.link, self.account.subscription(self.told)))
            self.mute.discard(line.link)

    # --- the builder

    def restart(self) -> None:
        """The validator begins; what is on its way arrives all the same."""
        self.keeper = in_band(BookRules(depth=5, gap_policy=self.policy), kept=400)

    def report(self) -> None:
        """Every slot tells once more which links it has."""
        self.take(self.keeper.report({link for line in self.lines for link in line.told}, self.stamp))

    def deliver(self, line: Line) -> None:
        if not line.queue:
            return
        link, update = line.queue.popleft()
        if isinstance(update, Update):
            self.take(self.keeper.receive(update, link, self.stamp))
        elif update:
            line.told.add(link)
            self.take(self.keeper.open(link, self.stamp))
        else:
            line.told.discard(link)
            self.take(self.keeper.close(link, self.stamp, planned=bool(line.told)))

    def tick(self, ms: int) -> None:
        for _ in range(max(ms // 500, 1)):
            self.ms += min(ms, 500)
            self.take(self.keeper.tick(self.stamp))

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.ms * 1_000_000, self.ms * 1_000_000)

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Resubscribe):
                self.asked.append(action.link)
            if isinstance(action, Publish):
                self.states.append(self.keeper.state)
        if self.keeper.state is State.LIVE:
            assert self.book() == self.account.truth(self.keeper.sequence)

    def book(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        book = self.keeper.book
        return list(zip(*book.top_bids(10_000), strict=True)), list(zip(*book.top_asks(10_000), strict=True))

    # --- what happens

    def do(self, step: Step) -> None:
        what, choice = step
        self.ms += 1
        line = self.lines[choice % len(self.lines)]
        match what:
            case "advance" if self.told < len(self.account.frames) - RESERVED:
                self.advance()
            case "keep alive":
                seq = self.account.subscription(self.told).seq
                self.tell(Update("X", False, [], [], prev_seq=seq, seq=seq))
            case "deliver":
                self.deliver(line)
            case "deliver all":
                while line.queue:
                    self.deliver(line)
            case "repeat" if line.queue and isinstance(line.queue[0][1], Update):
                line.queue.appendleft(line.queue[0])
            case "tick":
                self.tick((50, 1000, 4000)[choice % 3])
            case "kill" if line.link:
                self.kill(line)
            case "connect" if not line.link:
                self.connect(line)
            case "connect in vain" if not line.link:
                self.connect(line, mute=True)
            case "overlap" if line.link and not line.old:
                line.old = line.link
                self.connect(line)
            case "retire" if line.old:
                line.queue.append((line.old, False))
                line.old = ""
            case "report":
                self.report()
            case "serve":
                self.serve(choice)
            case "ignore" if self.asked:
                self.asked.pop(0)
            case "lose" if line.queue and isinstance(line.queue[0][1], Update):
                line.queue.popleft()
            case "deafen":
                self.lose(choice % 4)
                self.take(self.keeper.report(set(), self.stamp, planned=False))
                self.report()
            case "restart":
                self.restart()
                self.lose(choice % 4)
            case _:
                pass

    def kill(self, line: Line) -> None:
        """Both connections of a slot end; the exchange may have said more than arrived."""
        for link in (line.old, line.link):
            if link:
                line.queue.append((link, False))
        line.link = line.old = ""

    def lose(self, count: int) -> None:
        """Frames and events are lost; the next report tells of the events."""
        for line in self.lines:
            for _ in range(min(count, len(line.queue))):
                link, update = line.queue.popleft()
                if update is True:
                    line.told.add(link)
                elif update is False:
                    line.told.discard(link)

    def drain(self) -> None:
        """All that is on its way arrives, and all reports."""
        for line in self.lines:
            while line.queue:
                self.deliver(line)
        self.report()

    def settle(self) -> None:
        """Time passes, and requests are carried out."""
        for _ in range(30):
            self.drain()
            while self.asked:
                self.serve(0)
            self.drain()
            self.tick(4000)

    def current(self) -> bool:
        return self.keeper.sequence == self.account.subscription(self.told).seq

    def end(self) -> None:
        """Everything comes back, and two more frames betray whatever was lost."""
        for line in self.lines:
            if line.old:
                line.queue.append((line.old, False))
                line.old = ""
            if not line.link:
                self.connect(line)
        for _ in range(RESERVED):
            self.settle()
            self.advance()
        self.settle()
        assert self.keeper.state is State.LIVE, (self.keeper.state, self.keeper.reason)
        assert self.current()


def steps(*more: str) -> st.SearchStrategy[list[Step]]:
    usual = ["advance", "advance", "deliver", "deliver", "deliver all", "tick", "serve", "report"]
    return st.lists(st.tuples(st.sampled_from([*usual, *more]), st.integers(0, 11)), max_size=60)


QUIET_FAULTS = (
    "kill",
    "connect",
    "connect",
    "connect in vain",
    "overlap",
    "retire",
    "repeat",
    "keep alive",
    "ignore",
    "restart",
)
"""Nothing that a sound builder could take for a loss."""


def play(world: World, script: list[Step]) -> None:
    world.report()
    for step in script:
        world.do(step)


@settings(max_examples=250, deadline=None)
@given(accounts(), st.sampled_from(["a", "ab"]), steps(*QUIET_FAULTS, "lose", "deafen"), st.booleans())
def test_whatever_happens_a_live_book_is_the_truth_at_its_id_and_it_heals(
    account: Account, lines: str, script: list[Step], strict: bool
) -> None:
    world = World(account, lines, GapPolicy.RESYNC if strict else GapPolicy.CONTINUE)
    play(world, script)
    world.end()


@settings(max_examples=250, deadline=None)
@given(accounts(), st.sampled_from(["a", "ab"]), steps(*QUIET_FAULTS))
def test_without_a_loss_there_is_no_gap_and_no_reversal_and_what_is_live_is_current(
    account: Account, lines: str, script: list[Step]
) -> None:
    world = World(account, lines)
    play(world, script)
    world.drain()
    world.tick(4000)  # nothing is asked for, nothing is on its way
    if world.keeper.state is State.LIVE:
        assert world.current()
    world.end()
    counters = world.keeper.counters
    assert (counters.gaps, counters.reversals, counters.disagreements, counters.crossed) == (0, 0, 0, 0)


@settings(max_examples=150, deadline=None)
@given(accounts(), st.data())
def test_either_of_two_lines_in_step_may_die_at_any_moment_and_nothing_but_live_is_published(
    account: Account, data: st.DataObject
) -> None:
    world = World(account, "ab")
    world.drain()
    assert world.keeper.state is State.LIVE
    world.states.clear()
    dying = data.draw(st.sampled_from("ab"))
    moment = data.draw(st.integers(0, len(account.frames)))
    for n in range(len(account.frames)):
        if n == moment:
            world.kill(world.lines["ab".index(dying)])
        world.advance()
        for line in data.draw(st.permutations(range(2))):
            if data.draw(st.booleans()):
                world.do(("deliver all", line))
    world.drain()
    world.tick(20_000)
    assert set(world.states) == {State.LIVE}
    assert world.current()
    assert world.asked == []


def test_an_id_says_which_moment_is_meant() -> None:
    """The oracle rests on it."""

    @settings(max_examples=50, database=None)
    @given(accounts())
    def check(account: Account) -> None:
        ids = [ERA_IDS, *(frame.seq for frame in account.frames)]
        assert len(set(ids)) == len(ids)

    check()
