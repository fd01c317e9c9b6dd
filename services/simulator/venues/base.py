"""What a venue emulator is: an exchange's protocol seen from the exchange's side, for the simulator and for tests.

An `Emulator` is pure: request text in, actions and frames out; a REST call in, an answer out. It owns no socket,
no clock and no book: time comes in as a `Stamp`, books through a `MarketPort`. It shares nothing with the
module that parses its exchange, so that the two can be tested against each other.

Prices and sizes are integers here: mantissas with `price_decimals` and `size_decimals` of the `Listing`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp

IntLevel = tuple[int, int]
"""(price, size) as mantissas."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One market as the exchange lists it."""

    native: str
    base: str
    quote: str
    kind: str = "spot"
    """"spot", "perpetual" or "dated"."""
    price_decimals: int = 8
    size_decimals: int = 8
    shown_size_decimals: int = 8
    """Decimals of a size as the exchange shows it, at most `size_decimals`."""
    tick: int = 1
    """Smallest price step around the present price, as a mantissa."""
    size_step: int = 1
    """Smallest size step, as a mantissa."""
    delivery_ms: int = 0
    contract_size: str = ""
    """Base units of one contract, decimal text; sizes are then contracts. Empty where sizes are in base units."""
    korean_name: str = ""
    english_name: str = ""


class BookView(NamedTuple):
    """A whole book at one moment, best level first on both sides."""

    seq: int
    time_ms: int
    bids: list[IntLevel]
    asks: list[IntLevel]


class Change(NamedTuple):
    """What changed between two frames of one market; absolute sizes, both sides by ascending price."""

    first_seq: int
    last_seq: int
    prev_seq: int
    time_ms: int
    bids: list[IntLevel]
    asks: list[IntLevel]


class Day(NamedTuple):
    """24 h figures as mantissas: prices with `price_decimals`, volume in base with `size_decimals`,
    turnover in quote with 8 decimals."""

    last: int
    open: int
    high: int
    low: int
    volume: int
    turnover: int
    trades: int


class MarketPort(Protocol):
    """What an emulator may ask of the market of its exchange."""

    def listings(self) -> Sequence[Listing]: ...

    def listing(self, native: str) -> Listing | None: ...

    def phase(self, native: str) -> Phase:
        """What the exchange does with the orders of a market now; a maintenance of all is one of each."""

    @property
    def maintained(self) -> bool:
        """Whether the whole exchange is."""

    def book(self, native: str, at_ms: int | None = None) -> BookView:
        """The book at `at_ms`, or (None) as the latest frame left it. KeyError for an unlisted market."""

    def day(self, native: str) -> Day: ...


class Topic(NamedTuple):
    """What a link can be subscribed to: frames of one market in one form.

    Two links with equal topics receive identical bytes. `interval_ms` 0 is every frame of the market; otherwise
    changes are merged over at least so long.
    """

    native: str
    form: str
    interval_ms: int = 0


@dataclass(frozen=True, slots=True)
class Send:
    """A frame to this link; text or binary by type."""

    data: str | bytes


@dataclass(frozen=True, slots=True)
class SendFirst:
    """The topic's first frame (the present book), rendered `delay_s` from now."""

    topic: Topic
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ping:
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Ends the link with a close frame; `code` 1006 means without one (the TCP connection is aborted)."""

    code: int
    reason: str = ""


Action = Send | SendFirst | Ping | Close


class Session(ABC):
    """The conversation on one link. `topics` is what it is subscribed to now; replaced, never mutated."""

    topics: frozenset[Topic] = frozenset()

    @abstractmethod
    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        """A text or binary message of the client."""

    def stamp(self, payload: bytes) -> bytes:
        """A market frame as this very link gets it (`Emulator.per_link`): the place for a number of the connection."""
        return payload

    def ping(self, data: bytes, now: Stamp) -> list[Action]:
        """A ping frame of the client (the pong itself is sent by the server)."""
        return []

    def pong(self, data: bytes, now: Stamp) -> list[Action]:
        return []

    def tick(self, now: Stamp) -> list[Action]:
        """Called every few tens of milliseconds: pings that are due, cuts, idle limits."""
        return []

    def shutdown(self, now: Stamp) -> list[Action]:
        """The exchange is about to stop this link; says so where the protocol has words for it."""
        return [Close(1001, "going away")]


@dataclass(frozen=True, slots=True)
class Call:
    """A REST request, or the opening request of a websocket; `client` is the caller's address."""

    path: str
    query: Mapping[str, str]
    client: str
    now: Stamp
    origin: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class IdStyle(Enum):
    """How an exchange numbers what happens."""

    CHANGE = "one id for each change, consecutive in each market"
    SHARED = "one counter for all markets, with holes"
    FRAME = "one id for each frame, consecutive in each market"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What an exchange lists, for whoever invents its markets."""

    style: Literal["spot", "derivatives", "korean"]
    quote: str
    """The main quote currency."""
    native: Callable[[str, str, str], str]
    """(base, quote, delivery "YYMMDD" or "") -> native id."""
    share: float
    """The exchange's part of an asset's turnover."""
    crosses: tuple[str, ...] = ()
    """Further quote currencies."""
    price_decimals: int | None = None
    """Decimals of every price as sent; None: as the tick of the market needs."""
    size_decimals: int | None = None
    shown_size_decimals: int | None = None
    """Decimals of a size as shown, where they are fewer."""
    bands: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Tick tables by quote: (lowest price of the band, tick) as decimal text, the first from 0. A quote that is not
    here has one tick a market, by its price."""
    renamed: Callable[[str], str] | None = None
    """Another native id for the same base, quote and delivery, as after a migration; applied twice it gives the first.
    None where the native id is spelled from them."""
    contracts: bool = False
    """Sizes are numbers of contracts."""
    dated: bool = False
    """Lists dated futures beside the perpetuals."""
    most_levels: int = 0
    """Levels a side at most; 0: no limit of its own."""


class Emulator(ABC):
    """One exchange's side of its protocol."""

    code: str
    catalogue: ClassVar[Catalogue]
    ids: ClassVar[IdStyle] = IdStyle.CHANGE
    per_link: ClassVar[bool] = False
    """Whether frames differ from link to link (`Session.stamp`)."""
    binary: bool = False
    """Whether frames are binary."""
    whole_frames: bool = False
    """Whether every frame holds the whole book (otherwise changes)."""
    words: ClassVar[Mapping[Phase, str]] = {Phase.TRADING: ""}
    """Its words for the phases that it knows. A halted market that it has no word for leaves its list."""
    repeats: ClassVar[float] = 0.0
    """Share of frames that repeat the previous book, where frames are whole."""

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        self.market = market

    @abstractmethod
    def open(self, call: Call) -> Session | Answer:
        """Admits a websocket connection, or refuses it with an HTTP answer."""

    @abstractmethod
    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        """One frame of a topic: `change` for delta forms, `book` where `wants_book(topic)`."""

    @abstractmethod
    def wants_book(self, topic: Topic) -> int:
        """Levels a side of the book that `render` needs for this topic; 0 for forms made of changes."""

    def first(self, topic: Topic) -> bytes | None:
        """The frame that follows a new subscription, None where there is none."""
        return None

    def window(self, topic: Topic) -> int:
        """Levels a side that the topic keeps; its changes then are the differences of the best levels: what falls
        out is deleted, what moves in is set. 0: every change of the market."""
        return 0

    def renumbered(self, topic: Topic, listing: Listing, change: Change, book: BookView) -> bytes | None:
        """The frame by which a topic learns that ids begin anew: `change.prev_seq` is the last old id,
        `change.last_seq` and `book.seq` the first new one. None where the exchange has no such thing."""
        return None

    def keep_alive(self, topic: Topic, listing: Listing, seq: int, time_ms: int) -> bytes | None:
        """What a quiet topic sends now and then; None where the exchange sends nothing."""
        return None

    def unlimited(self) -> None:  # noqa: B027 - a hook
        """Lifts the limits on clients (connections, messages, REST)."""

    @abstractmethod
    def rest(self, call: Call) -> Answer: ...


def read_json(text: str | bytes) -> Any:
    """What a client sent. ValueError where it is no JSON, nests too deep, or holds half a character, which no answer
    could quote."""
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deep") from None
    return found


def merge(changes: Sequence[Change]) -> Change:
    """Consecutive changes of one market as one; the last size of a level wins."""
    if len(changes) == 1:
        return changes[0]
    bids = sorted({price: size for change in changes for price, size in change.bids}.items())
    asks = sorted({price: size for change in changes for price, size in change.asks}.items())
    first, last = changes[0], changes[-1]
    return Change(first.first_seq, last.last_seq, first.prev_seq, last.time_ms, bids, asks)
