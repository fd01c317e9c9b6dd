"""Phases of a market: what its exchange does with orders just now, and what follows for a book.

Every exchange has its own words for them. The module of an exchange holds one table of its words, and this file the one
table of what a phase means to everybody else:

    matches     Orders meet. A crossed book has lost something, and a whole and current one is LIVE: whoever sends an
                order now can have these prices. Where they do not meet a crossed book may be right: the book is kept
                and published as it is sent, with its phase, and is never LIVE.
    collected   The market has a book now, or will have one again soon: it keeps its place among what is collected.

A word that nobody knows is UNKNOWN. Its book is treated as that of a market which trades, for a new word must not take
books away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple


class Phase(IntEnum):
    """The numbers are those of `orderbook.v1.MarketPhase`."""

    UNKNOWN = 0
    TRADING = 1
    LIMIT_ONLY = 2
    POST_ONLY = 3
    AUCTION = 4
    PRE_OPEN = 5
    HALTED = 6
    MAINTENANCE = 7
    UNLISTED = 8

    @classmethod
    def _missing_(cls, value: object) -> Phase:
        """A number that a later version may send is not known."""
        return cls.UNKNOWN

    @property
    def matches(self) -> bool:
        return MEANINGS[self].matches

    @property
    def collected(self) -> bool:
        return MEANINGS[self].collected

    @property
    def text(self) -> str:
        """For people, after the name of an exchange or a symbol."""
        return MEANINGS[self].text

    @property
    def label(self) -> str:
        """For people, beside a state: empty where there is nothing to say."""
        return "" if self.matches and self is not Phase.LIMIT_ONLY else self.name.lower().replace("_", " ")


class Meaning(NamedTuple):
    matches: bool
    collected: bool
    text: str


MEANINGS: Mapping[Phase, Meaning] = {
    Phase.UNKNOWN: Meaning(True, True, "does not say whether it trades"),
    Phase.TRADING: Meaning(True, True, "trades"),
    Phase.LIMIT_ONLY: Meaning(True, True, "takes limit orders only, and matches them"),
    Phase.POST_ONLY: Meaning(False, True, "takes only orders that do not match at once: nothing trades"),
    Phase.AUCTION: Meaning(False, True, "collects orders for an auction: the book may be crossed"),
    Phase.PRE_OPEN: Meaning(False, False, "has not opened yet"),
    Phase.HALTED: Meaning(False, False, "has halted trading"),
    Phase.MAINTENANCE: Meaning(False, True, "is being maintained"),
    Phase.UNLISTED: Meaning(False, False, "is not listed (any more)"),
}


class Told(NamedTuple):
    """What an exchange says of one market, or of all of them."""

    phase: Phase
    word: str = ""
    """The exchange's own word."""
    native_symbol: str = ""
    """Empty: the whole exchange."""
    until_ns: int = 0
    """When the phase ends by itself and trading begins, by the wall clock; 0 where nobody says."""

    def at(self, now_ns: int) -> Told:
        """As it is at a wall time."""
        over = 0 < self.until_ns <= now_ns
        return self._replace(phase=Phase.TRADING, until_ns=0) if over else self

    @property
    def reason(self) -> str:
        """Why orders do not match, for people; empty where they do."""
        if self.phase.matches:
            return ""
        return f"the {'market' if self.native_symbol else 'exchange'} {self.phase.text}" + (
            f" ({self.word})" if self.word else ""
        )


def phase_of(words: Mapping[str, Phase], word: str) -> Phase:
    """The phase that an exchange's word stands for in its table."""
    return words.get(word, Phase.UNKNOWN)


FETCH_NS = 2_000_000_000
"""A list may have been made so long before its answer was taken."""
CLOCKS_NS = 300_000_000_000
"""A new list that looks so much older than a message was stamped by a clock that was set since."""


MOST_TOLD = 20_000
"""Markets of which messages are remembered between two lists; the longest list seen has some thousands."""


class MarketPhases:
    """The phases of one exchange, as its list and its messages tell them; the newer one counts.

    1. A list tells all markets at once. One that is repeated is as old as it was.
    2. A message counts until a list that was fetched after it.
    3. What concerns the whole exchange is in force until the exchange says otherwise, and stands before what its
       markets are said to do.
    """

    def __init__(self) -> None:
        self._whole = Told(Phase.UNKNOWN)
        self._listed: dict[str, Told] = {}
        self._list_ns = 0
        self._news: dict[str, tuple[Told, int, int]] = {}
        """Native id -> what a message told, when, and how old the list was then."""

    def listed(self, every: Iterable[Told], time_ns: int) -> None:
        """The list as it was fetched at `time_ns`."""
        self._listed = {told.native_symbol: told for told in every}
        self._list_ns = time_ns
        self._news = {
            native: (told, told_ns, list_ns)
            for native, (told, told_ns, list_ns) in self._news.items()
            if time_ns == list_ns or told_ns - CLOCKS_NS < time_ns < told_ns + FETCH_NS
        }

    def heard(self, told: Told, time_ns: int) -> None:
        """A message that arrived at `time_ns`."""
        if not told.native_symbol:
            self._whole = told
        elif told.native_symbol in self._news or len(self._news) < MOST_TOLD:
            self._news[told.native_symbol] = told, time_ns, self._list_ns

    def of(self, native: str, now_ns: int) -> Told:
        """What is known of a market at a wall time."""
        whole = self._whole.at(now_ns)
        if not whole.phase.matches:
            return whole
        news = self._news.get(native)
        told = news[0] if news is not None else self._listed.get(native)
        if told is None:
            return Told(Phase.UNLISTED if self._listed else Phase.UNKNOWN, "", native)
        return told.at(now_ns)
