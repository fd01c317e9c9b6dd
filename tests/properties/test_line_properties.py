"""Promises of the builder where links cannot be ordered, over one line and two.

A world holds what the exchange tells, the connections with what is on its way over them, what is reported of them, and
the builder. What the levels would be that a link truly carried is kept beside each connection, by plain dicts: a LIVE
book equals those of its link, down to the last level where the connection numbers its frames, and within the levels of
the checksum where a frame was lost on the way to us and nothing but a checksum tells.
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.domain.actions import Action, Publish, Resubscribe
from hoga.domain.checksum import Checksum
from hoga.domain.types import Level, Stamp, State, Update
from hoga.testing.histories import FIRST_ID, NATIVE, History, histories, lines
from tests.support.driver import by_connection

LEVELS, DEPTH = 3, 6
Books = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def compute(bids: list[Level], asks: list[Level]) -> int:
    return zlib.crc32(repr((bids, asks)).encode())


RULE = Checksum(LEVELS, compute)


@dataclass
class Frame:
    update: Update
    number: int
    """Of the connection; a loss before us leaves a hole in it."""
    after: Books
    """The truth as deep as the exchange keeps it, after this frame."""


@dataclass
class Link:
    subscribed: int
    """Where it stands: changes told."""
    queue: deque[Frame] = field(default_factory=deque)
    number: int = 0
    seen: int = 0
    """The number that arrived last."""
    true: Books = ([], [])
    mute: bool = False
    """Its subscription was not answered: it brings nothing until it is asked for again."""
    sound: bool = True
    """Nothing was lost without anybody's noticing since its last snapshot."""


class World:
    def __init__(self, history: History, names: str, *, numbered: bool) -> None:
        self.history = history
        self.numbered = numbered
        self.told = 0
        self.ms = 0
        self.numbers = 0
        self.lines: dict[str, str] = dict.fromkeys(names, "")
        self.links: dict[str, Link] = {}
        self.asked: list[str] = []
        self.states: list[State] = []
        self.lossless = True
        for name in names:
            self.connect(name)
        self.restart()

    # --- the exchange

    @property
    def depth(self) -> int | None:
        return None if self.numbered else DEPTH

    def truth(self, told: int) -> Books:
        bids, asks = self.history.at(FIRST_ID + told)
        return bids[: self.depth], asks[: self.depth]

    def frame(self, link: Link, told: int, *, snapshot: bool) -> Frame:
        """What leads a link to so many changes. With a depth: deletes only of what is in it, and what moves up."""
        old, new = self.truth(link.subscribed), self.truth(told)
        if snapshot:
            bids, asks = new
        else:
            bids, asks = _moves(old[0], new[0], self.depth), _moves(old[1], new[1], self.depth)
        link.subscribed = told
        link.number += 1
        summed = None if self.numbered else compute(*(_texts(side[:LEVELS]) for side in new))
        return Frame(Update(NATIVE, snapshot, _texts(bids), _texts(asks), checksum=summed), link.number, new)

    def connect(self, line: str, *, mute: bool = False) -> None:
        self.numbers += 1
        name = self.lines[line] = f"{line}{self.numbers}"
        link = self.links[name] = Link(self.told, mute=mute)
        if not mute:
            link.queue.append(self.frame(link, self.told, snapshot=True))

    def advance(self, changes: int) -> None:
        """The market moves, while there is anything left of its history; afterwards it is quiet."""
        told, self.told = self.told, min(self.told + changes, len(self.history.changes))
        for name in self.lines.values():
            if name and not self.links[name].mute and self.told > told:
                self.links[name].queue.append(self.frame(self.links[name], self.told, snapshot=False))

    def serve(self, choice: int) -> None:
        names = [name for name in self.lines.values() if name]
        if self.asked and names:
            name = self.asked.pop(0)
            link = self.links[name if name in names else names[choice % len(names)]]
            link.mute = False
            link.queue.append(self.frame(link, self.told, snapshot=True))

    # --- the builder

    def restart(self) -> None:
        checksum, depth = (None, 0) if self.numbered else (RULE, DEPTH)
        self.keeper = by_connection(depth=depth, checksum=checksum, numbered=self.numbered)
        for link in self.links.values():
            link.seen = 0

    def report(self) -> None:
        self.take(self.keeper.report({name for name in self.lines.values() if name}, self.stamp))

    def deliver(self, name: str) -> None:
        link = self.links[name]
        if not link.queue:
            return
        frame = link.queue.popleft()
        missing = frame.number - link.seen - 1 if link.seen else 0
        link.seen = frame.number
        link.sound = link.sound or frame.update.snapshot
        link.true = frame.after
        if missing and self.numbered:
            self.take(self.keeper.connection_gap(name, missing, self.stamp))
        elif missing:  # our own counter tells
            self.take(self.keeper.bus_loss(missing, name, self.stamp))
        self.take(self.keeper.receive(frame.update, name, self.stamp))

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
            self.check()

    def check(self) -> None:
        elected = self.keeper.ledger.arbiter.front
        assert elected is not None
        link = self.links[elected.link]
        stop = None if link.sound else LEVELS
        bids, asks = self.book()
        assert (bids[:stop], asks[:stop]) == (link.true[0][:stop], link.true[1][:stop])

    def book(self) -> Books:
        book = self.keeper.book
        return list(zip(*book.top_bids(10_000), strict=True)), list(zip(*book.top_asks(10_000), strict=True))

    # --- what happens

    def do(self, what: str, choice: int) -> None:
        self.ms += 1
        names = list(self.links)
        name = names[choice % len(names)]
        line = list(self.lines)[choice % len(self.lines)]
        match what:
            case "advance":
                self.advance(1 + choice % 3)
            case "deliver":
                self.deliver(name)
            case "deliver all":
                while self.links[name].queue:
                    self.deliver(name)
            case "tick":
                self.tick((50, 1000, 4000)[choice % 3])
            case "kill" if self.lines[line]:
                while len(self.links[self.lines[line]].queue) > choice % 3:
                    self.links[self.lines[line]].queue.pop()
                self.lines[line] = ""
                self.report()
            case "connect" if not self.lines[line]:
                self.connect(line)
            case "connect in vain" if not self.lines[line]:
                self.connect(line, mute=True)
            case "renew" if self.lines[line]:
                self.connect(line)
                self.deliver(self.lines[line])
                self.report()
            case "report":
                self.report()
            case "serve":
                self.serve(choice)
            case "ignore" if self.asked:
                self.asked.pop(0)
            case "lose" if self.links[name].queue:
                self.lossless = False
                lost = self.links[name].queue.popleft()
                if not self.numbered:  # on its way to us: a checksum alone can tell
                    self.links[name].sound = False
                    self.links[name].seen = lost.number
            case "deafen":
                self.lossless = False
                self.take(self.keeper.report(set(), self.stamp, planned=False))
                for other in self.links.values():
                    for _ in range(min(choice % 3, len(other.queue))):
                        other.queue.popleft()
                self.report()
            case "restart":
                self.restart()
                for other in self.links.values():
                    for _ in range(min(choice % 3, len(other.queue))):
                        other.queue.popleft()
            case _:
                pass

    def drain(self) -> None:
        self.report()
        for name in list(self.links):
            while self.links[name].queue:
                self.deliver(name)

    def end(self) -> None:
        """Everything comes back; all heals, though the market may be quiet by now."""
        for line, name in self.lines.items():
            if not name:
                self.connect(line)
        for _ in range(30):
            self.drain()
            while self.asked:
                self.serve(0)
            self.drain()
            self.tick(4000)
        self.drain()
        assert self.keeper.state is State.LIVE, (self.keeper.state, self.keeper.reason)


def _texts(levels: list[tuple[int, int]]) -> list[Level]:
    return [(str(price), str(size)) for price, size in levels]


def _moves(old: list[tuple[int, int]], new: list[tuple[int, int]], depth: int | None) -> list[tuple[int, int]]:
    """The levels to send: what is new or changed, and deletes; none of what merely fell out of the depth."""
    before, after = dict(old), dict(new)
    gone = [price for price in before if price not in after]
    if depth is not None and len(new) == depth and new:
        worst = new[-1][0]
        ascending = len(new) < 2 or new[0][0] < worst
        gone = [price for price in gone if (price < worst if ascending else price > worst)]
    return [(price, 0) for price in gone] + [level for level in new if before.get(level[0]) != level[1]]


USUAL = ["advance", "advance", "deliver", "deliver", "deliver all", "tick", "serve", "report"]
FAULTS = ["kill", "connect", "connect", "connect in vain", "renew", "ignore", "restart"]


def scripts(*faults: str) -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(st.sampled_from([*USUAL, *faults]), st.integers(0, 11)), max_size=60)


@settings(max_examples=250, deadline=None)
@given(histories(min_changes=6), st.sampled_from(["a", "ab"]), st.booleans(), scripts(*FAULTS, "lose"))
def test_whatever_happens_a_live_book_is_what_its_link_carried_and_it_heals(
    history: History, names: str, numbered: bool, script: list[tuple[str, int]]
) -> None:
    world = World(history, names, numbered=numbered)
    world.report()
    for what, choice in script:
        world.do(what, choice)
    world.end()


@settings(max_examples=150, deadline=None)
@given(histories(min_changes=6), st.sampled_from(["a", "ab"]), st.booleans(), scripts(*FAULTS, "deafen"))
def test_what_was_lost_while_the_bus_was_away_is_no_part_of_a_live_book(
    history: History, names: str, numbered: bool, script: list[tuple[str, int]]
) -> None:
    world = World(history, names, numbered=numbered)
    world.report()
    for what, choice in script:
        world.do(what, choice)
    world.end()


@settings(max_examples=200, deadline=None)
@given(histories(min_changes=6), st.sampled_from(["a", "ab"]), st.booleans(), scripts(*FAULTS))
def test_without_a_loss_there_is_no_false_alarm_and_what_is_live_is_current(
    history: History, names: str, numbered: bool, script: list[tuple[str, int]]
) -> None:
    world = World(history, names, numbered=numbered)
    world.report()
    for what, choice in script:
        world.do(what, choice)
    world.drain()
    world.tick(4000)  # nothing is asked for, nothing is on its way
    if world.keeper.state is State.LIVE:
        assert world.book() == world.truth(world.told)
    world.end()
    counters = world.keeper.counters
    assert (counters.gaps, counters.reversals, counters.crossed, counters.checksum_bad) == (0, 0, 0, 0)


@settings(max_examples=150, deadline=None)
@given(histories(min_changes=6), st.booleans(), st.sampled_from("ab"), st.data())
def test_either_of_two_lines_that_stand_may_die_and_nothing_but_live_is_published(
    history: History, numbered: bool, dying: str, data: st.DataObject
) -> None:
    world = World(history, "ab", numbered=numbered)
    world.drain()
    world.states.clear()
    moment = data.draw(st.integers(0, 10))
    for n in range(12):
        if n == moment:
            world.do("kill", "ab".index(dying))
        world.advance(1 + n % 3)
        for name in data.draw(st.permutations(sorted(name for name in world.lines.values() if name))):
            if data.draw(st.booleans()):
                world.do("deliver all", list(world.links).index(name))
    world.drain()
    world.tick(20_000)
    assert set(world.states) == {State.LIVE}
    assert world.book() == world.truth(world.told)
    assert world.asked == []


@settings(max_examples=150, deadline=None)
@given(histories(min_changes=4, max_changes=30), st.data())
def test_a_wrong_level_within_the_checksum_is_seen_at_the_very_next_update(
    history: History, data: st.DataObject
) -> None:
    """A frame that changed the covered levels is lost: LIVE ends with the next one, unless that one mends it."""
    world = World(history, "a", numbered=False)
    world.drain()
    for update in data.draw(lines(history)):
        world.advance(update.seq - update.prev_seq)
        if data.draw(st.integers(0, 3)) == 0:
            world.do("lose", 0)
        world.drain()
    name = world.lines["a"]
    if world.keeper.state is State.LIVE and world.links[name].true == world.truth(world.told):
        bids, asks = world.book()
        true_bids, true_asks = world.truth(world.told)
        assert (bids[:LEVELS], asks[:LEVELS]) == (true_bids[:LEVELS], true_asks[:LEVELS])
