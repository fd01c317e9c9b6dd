"""What the links of one connector have in common, and the words in which they report their end.

A *line* is a whole set of connections that carries every symbol; a second one beside it, independent of the first,
makes the loss of a connection harmless (the knob `lines`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

import aiohttp

from hoga.exchanges.base import Exchange
from services.ingest.lane import Publish
from services.ingest.observers import Observers, Oddities, Pulse
from services.ingest.subscriptions import ACK_PATIENCE_S, REFUSAL_S, SETBACK_S

ONLY, FIRST, SECOND = "", "a", "b"
"""The names of lines: of the only one, and of two."""


class EndKind(Enum):
    """Why a link ended; the values are metric labels."""

    CLOSED = "closed"
    """The exchange closed it in order."""
    LOST = "lost"
    """Reset, or gone without a close frame."""
    SILENT = "silent"
    """Nothing arrived for the idle timeout, or a question was not answered."""
    OVERSIZE = "oversize"
    FLOOD = "flood"
    """Little but frames that nobody understands."""
    DEAF = "deaf"
    """Subscription requests are not answered."""
    REPLACED = "replaced"
    """A fresh link took over."""
    STOPPED = "stopped"
    """Nobody needs it any more."""


@dataclass(frozen=True, slots=True)
class End:
    kind: EndKind
    detail: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a link waits for what; seconds."""

    connect_s: float = 10.0
    ack_s: float = ACK_PATIENCE_S
    first_frame_s: float = 30.0
    """Silence of a subscribed symbol after which it is mentioned."""
    look_s: float = 1.0
    """Period of the watchdog."""
    quiet_s: float = 1.0
    """Silence after which a link is asked whether it still lives."""
    answer_s: float = 2.0
    """How long the answer may take on a link that has answered before."""
    ask_s: float = 2.0
    """A link that answers is asked so often how late its frames are."""
    hopeless_s: float = 15.0
    """A link whose frames are later than this is replaced."""
    refusal_s: float = REFUSAL_S
    setback_s: float = SETBACK_S
    settle_s: float = 30.0
    """How long a fresh link may take to get its subscriptions answered before it replaces the old one anyway."""
    arrival_s: float = 3.0
    """What a fresh subscription brings by itself, its snapshot, has come after this."""
    healthy_s: float = 10.0
    """A connection that held for so long clears the record of failures; the pacing of connects is against haste."""


BELIEVED = 3
"""Links in a row that may end without an answer before it is taken for a place that gives none (any more)."""


@dataclass(slots=True)
class Habit:
    """Whether the other end answers questions, as its links so far have shown to those that come."""

    credit: int = 0

    @property
    def answers(self) -> bool:
        return self.credit > 0

    def answered(self) -> None:
        self.credit = BELIEVED

    def failed(self) -> None:
        """A link ended for want of an answer, and had never had one."""
        self.credit -= 1


@dataclass(slots=True)
class Tally:
    """Counts of one link; `add` sums them up over the links of a slot."""

    frames: int = 0
    """Of any sort, heartbeats included."""
    bytes: int = 0
    published: int = 0
    dropped: int = 0
    """Book frames that the bus did not take."""
    stray: int = 0
    """Book frames of symbols that this link does not carry (any more)."""
    unknown: int = 0
    requests: int = 0
    """Sent to subscribe and unsubscribe."""

    def add(self, other: Tally) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Shared:
    """Handed to every link; `changed` fires whenever the state of any of them does."""

    exchange: Exchange
    url: str
    session: aiohttp.ClientSession
    publish: Publish
    observers: Observers
    patience: Patience = field(default_factory=Patience)
    oddities: Oddities = field(default_factory=Oddities)
    changed: Pulse = field(default_factory=Pulse)
    habit: Habit = field(default_factory=Habit)
    replacing: Counter[str] = field(default_factory=Counter)
    """Line -> connections of it that are just being replaced as planned."""
