"""Hours of drift: what a snapshot could not know is never shown as known, however far prices wander and return.

A market in virtual time, one frame a second, as an exchange tells it whose snapshots hold few levels a side and whose
stream tells of every change, near or far: of most levels out there the book learns nothing until they change. Prices
are numbers of different lengths and decimals, so that an order of texts would be another one.
"""

from __future__ import annotations

from random import Random

import pytest

from hoga.domain import book as book_module
from hoga.domain.actions import Action, RequestSnapshot
from hoga.domain.books import Book
from hoga.domain.rules import SECOND_NS, BookRules
from hoga.domain.types import Level, Stamp, State, Update
from tests.support.driver import rest

DEPTH, LIMIT = 10, 60
"""Levels that are published; levels of a snapshot."""
HOURS = 2
LEG_S = 1200
"""The price goes one way for so long, then back."""
Side = list[tuple[int, int]]


def text(price: int) -> str:
    """In tenths, as an exchange might write it: 9.9, 10, 10.1."""
    return f"{price // 10}.{price % 10}" if price % 10 else str(price // 10)


class Market:
    """A true book, dense near the price and thin far away; ids count changes."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.mid = 1000
        self.seq = 1
        self.bids = {price: self.size() for price in range(500, 1000) if self.dice.random() < 0.7}
        self.asks = {price: self.size() for price in range(1001, 1500) if self.dice.random() < 0.7}

    def size(self) -> int:
        return self.dice.randrange(1, 1000)

    def step(self, drift: float) -> Update:
        """One second: the price moves and eats what is in its way, levels come and go."""
        changed: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.mid = max(300, self.mid + round(self.dice.gauss(drift, 1.0)))
        for price in [price for price in self.bids if price >= self.mid]:
            changed[0][price] = 0
        for price in [price for price in self.asks if price <= self.mid]:
            changed[1][price] = 0
        for _ in range(8):
            distance = 1 + min(int(self.dice.expovariate(0.04)), 250)
            bid = self.dice.random() < 0.5
            price = self.mid - distance if bid else self.mid + distance
            if price > 0:
                changed[0 if bid else 1][price] = 0 if self.dice.random() < 0.35 else self.size()
        prev, self.seq = self.seq, self.seq + 1 + len(changed[0]) + len(changed[1])
        for side, changes in zip((self.bids, self.asks), changed, strict=True):
            side.update(changes)
            for price in [price for price, size in changes.items() if not size]:
                side.pop(price, None)
        bids, asks = ([(text(price), str(size)) for price, size in changes.items()] for changes in changed)
        return Update("X", False, bids, asks, prev_seq=prev, seq=self.seq)

    def best(self, depth: int) -> tuple[Side, Side]:
        return sorted(self.bids.items(), reverse=True)[:depth], sorted(self.asks.items())[:depth]

    def snapshot(self) -> Update:
        bids, asks = ([(text(price), str(size)) for price, size in side] for side in self.best(LIMIT))
        return Update("X", True, bids, asks, seq=self.seq)


class Follower:
    """A builder, and the exchange's REST side, which answers after a while."""

    def __init__(self, market: Market, rules: BookRules) -> None:
        self.market = market
        self.keeper = rest(rules)
        self.second = 0
        self.answers: list[tuple[int, Update]] = []
        self.requests = 0
        self.take(self.keeper.open("a", self.stamp))

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.second * SECOND_NS, self.second * SECOND_NS)

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, RequestSnapshot):
                self.requests += 1
                self.answers.append((self.second + self.market.dice.randrange(1, 8), self.market.snapshot()))

    def step(self, drift: float) -> None:
        self.second += 1
        self.take(self.keeper.receive(self.market.step(drift), "a", self.stamp))
        for due in [answer for answer in self.answers if answer[0] <= self.second]:
            self.answers.remove(due)
            self.take(self.keeper.snapshot(due[1], LIMIT, self.stamp))
        self.take(self.keeper.tick(self.stamp))

    def known(self) -> int:
        return min(self.keeper.book.bids_known, self.keeper.book.asks_known)


def levels(book: Book, depth: int) -> tuple[Side, Side]:
    """The best levels of a book, prices in tenths."""
    factor = 10 if book.price_decimals == 0 else 1
    (bid_prices, bid_sizes), (ask_prices, ask_sizes) = book.top_bids(depth), book.top_asks(depth)
    return (
        [(price * factor, size) for price, size in zip(bid_prices, bid_sizes, strict=True)],
        [(price * factor, size) for price, size in zip(ask_prices, ask_sizes, strict=True)],
    )


def check(follower: Follower, depth: int) -> None:
    """What is called known, to this depth at most, is the truth: no ghost, nothing missing."""
    book = follower.keeper.book
    bids, asks = levels(book, depth)
    true_bids, true_asks = follower.market.best(depth)
    known_bids, known_asks = min(book.bids_known, depth), min(book.asks_known, depth)
    assert bids[:known_bids] == true_bids[:known_bids]
    assert asks[:known_asks] == true_asks[:known_asks]


def drift(second: int) -> float:
    """Far away and back: in one leg the price leaves the range of any snapshot several times over."""
    return (0.6, 0.0, -0.6, 0.0)[second // LEG_S % 4]


@pytest.mark.parametrize("seed", [1, 2])
def test_hours_of_drift_leave_no_ghost_among_what_is_known_and_the_book_is_recentred_in_time(seed: int) -> None:
    follower = Follower(Market(seed), BookRules(depth=DEPTH))
    short_s = longest_s = 0
    for second in range(HOURS * 3600):
        follower.step(drift(second))
        if second < 20:
            continue
        assert follower.keeper.state is State.LIVE
        check(follower, DEPTH)
        if second % 60 == 0:
            check(follower, 10_000)
        short_s = short_s + 1 if follower.known() < DEPTH else 0
        longest_s = max(longest_s, short_s)
    rules = follower.keeper.rules
    assert longest_s <= rules.recentre_ns // SECOND_NS + 10, "as long as recentring is put off, and an answer takes"
    assert follower.requests >= 10, "it was recentred again and again"
    assert follower.requests <= HOURS * 3600 * SECOND_NS // rules.recentre_ns + 2
    counters = follower.keeper.counters
    assert (counters.gaps, counters.crossed, counters.audits_disagreed) == (0, 0, 0)


def test_without_recentring_the_book_claims_less_and_less_and_never_more_than_is_true() -> None:
    follower = Follower(Market(4), BookRules(depth=DEPTH, recentre_ns=10**18))
    fewest = LIMIT
    for second in range(HOURS * 3600 // 2):
        follower.step(drift(second))
        if second >= 20 and second % 20 == 0:
            check(follower, 10_000)
            fewest = min(fewest, follower.known())
    assert fewest == 0, "the price left what was known"
    ghosts = set(levels(follower.keeper.book, 10_000)[0]) - set(follower.market.bids.items())
    assert not ghosts, "the stream told of every change that it knew of"


def test_audits_of_a_drifting_book_agree() -> None:
    follower = Follower(Market(5), BookRules(depth=DEPTH))
    for second in range(1800):
        follower.step(drift(second))
        if second > 20 and second % 30 == 0:
            follower.take(follower.keeper.audit(follower.stamp))
    counters = follower.keeper.counters
    assert counters.audits_agreed > 20
    assert counters.audits_disagreed == 0


def test_an_audit_finds_a_ghost_that_drift_has_brought_near() -> None:
    follower = Follower(Market(6), BookRules(depth=DEPTH))
    for second in range(100):
        follower.step(drift(second))
    ghost = follower.market.mid + 30
    follower.market.asks.pop(ghost, None)
    follower.keeper.book.apply([], [(text(ghost), "77777")])
    assert ghost in dict(levels(follower.keeper.book, follower.keeper.book.asks_known)[1])
    for _ in range(10):
        follower.take(follower.keeper.audit(follower.stamp))
        for _ in range(15):
            follower.step(0.0)
        if follower.keeper.counters.audits_disagreed:
            break
    assert follower.keeper.counters.audits_disagreed == 1
    assert (ghost, 77777) not in levels(follower.keeper.book, 10_000)[1]
    assert follower.keeper.state is State.LIVE
    check(follower, 10_000)


@pytest.mark.parametrize("seed", [7, 8])
def test_an_overgrown_side_forgets_its_farthest_levels_by_number(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a trim follows a trim, and prices of one, two and three digits meet."""
    monkeypatch.setattr(book_module, "MAX_SIDE_LEVELS", 60)
    monkeypatch.setattr(book_module, "TRIMMED_SIDE_LEVELS", 50)
    dice = Random(seed)
    book, bids, asks = book_module.PythonBook(), {}, {}
    for _ in range(3000):
        changes: list[list[Level]] = [[], []]
        for side, true, low, high in ((0, bids, 1, 1000), (1, asks, 1001, 2000)):
            price = dice.randrange(low, high)
            size = 0 if dice.random() < 0.45 else dice.randrange(1, 99)
            true[price] = size
            changes[side].append((text(price), str(size)))
            if not size:
                del true[price]
        book.apply(*changes)
        found = levels(book, 10_000)
        known = (book.bids_known, book.asks_known)
        for side, expected in enumerate((sorted(bids.items(), reverse=True), sorted(asks.items()))):
            assert len(found[side]) <= 60
            assert known[side] <= len(found[side])
            assert found[side][: known[side]] == expected[: known[side]]
            assert set(found[side]) <= set(expected)
