"""What an exchange is to the rest of the system: pure functions and data, no socket, no clock.

An exchange module gives one `Exchange`: a `ConnectionStrategy` (how to talk to it) and a `DataHandler`
(what its bytes mean). Everything that differs between exchanges ends here; whoever needs to decide by
exchange asks `traits` and `limits`, never the name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from hoga.domain.checksum import Checksum as Checksum
from hoga.domain.errors import FrameError, snippet
from hoga.domain.level_shape import LevelShape
from hoga.domain.phases import Told
from hoga.domain.types import Instrument, RawDelta, Turnover, Update


class Continuity(Enum):
    """By what the exchange lets us prove that nothing is missing."""

    LINKED_IDS = "linked ids"
    """Each delta names the id it builds on."""
    CONSECUTIVE_IDS = "consecutive ids"
    """Each delta's first id is the last one's final id plus one."""
    CONNECTION_IDS = "consecutive ids of the connection"
    """One counter for every frame of a connection; a jump concerns all its symbols."""
    CHECKSUM = "checksum"
    """No ids, but each delta carries a checksum over the best levels."""
    TIMESTAMP = "timestamp only"
    """Nothing can be proven; frames are ordered by time."""


class BookStart(Enum):
    REST = "REST snapshot"
    IN_BAND = "snapshot in the stream"
    WHOLE_FRAME = "every frame is the whole book"


@dataclass(frozen=True, slots=True)
class Channel:
    """One form in which an exchange sends books, and what it lets us prove. Books are made per channel."""

    name: str
    """As the exchange calls it; with its depth or its age where one name means several forms."""
    continuity: Continuity
    start: BookStart
    depth: int | None
    """Levels a side that the exchange keeps correct for us; None where only the snapshot's range is proven."""
    snapshot_depth: int = 0
    """Levels a side a REST snapshot holds at most; a side with fewer is known to its end."""
    blind_spots: tuple[str, ...] = ()
    checksum: Checksum | None = None
    """Verified on every update that carries one."""
    truncates: bool = False
    """No delete is sent for a level that falls out of `depth`: the client cuts each side itself."""

    @property
    def verified(self) -> bool:
        return self.continuity is not Continuity.TIMESTAMP

    @property
    def by_link(self) -> bool:
        """Deltas of two connections cannot be ordered against each other: each link has a book of its own."""
        if self.continuity is Continuity.TIMESTAMP:
            return self.start is BookStart.IN_BAND
        return self.continuity in (Continuity.CONNECTION_IDS, Continuity.CHECKSUM)

    @property
    def proven_levels(self) -> int:
        """Levels a side that are proven at every update; 0: all of the known ones. Deeper levels rest on the order
        of one TCP connection and on the audit."""
        return self.checksum.levels if self.checksum and self.continuity is Continuity.CHECKSUM else 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The exchange's documented limits, and how ingest behaves within them."""

    symbols_per_link: int
    symbols_per_request: int
    messages_per_s: float
    """Frames we may send on one link each second (pings and pongs included)."""
    connects_per_s: float
    """New connections from this address each second, sustained."""
    connect_burst: int = 1
    requests_per_hour: int = 0
    """Requests to subscribe and unsubscribe on one link each hour; 0: as many as `messages_per_s` lets through."""
    lifetime_s: float | None = None
    """The exchange cuts a connection after this long; a fresh one overlaps before."""
    idle_timeout_s: float = 30.0
    """A link on which nothing at all arrives for so long is dead."""
    max_frame_bytes: int = 4 << 20
    rest_weight_per_minute: int = 600
    rest_min_interval_s: float = 0.1
    rest_away_s: Mapping[int, float] = field(default_factory=dict)
    """REST status -> seconds to stay away where the answer names none and the exchange bans for longer than usual."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base addresses without a trailing slash; every one can be overridden by the configuration."""

    ws: str
    rest: str


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A GET below the REST base: `path` begins with '/' and holds the query; `weight` is its cost."""

    path: str
    weight: int = 1


class RouteKind(Enum):
    BOOK = "book"
    """Holds book data of `symbols`."""
    ACK = "ack"
    """The exchange accepted the request `request_id`."""
    REFUSED = "refused"
    """The exchange refused a request; `detail` says why, `request_id` which where known."""
    ALIVE = "alive"
    """A heartbeat or an answer to ours."""
    PHASE = "phase"
    """Says what the exchange does with the orders of markets (`parse_phases`)."""
    CLOSING = "closing"
    """The exchange announces that it will close the link: reconnect now."""
    OTHER = "other"
    """Understood and of no interest here (trades, tickers, status lines); `detail` says why where it is book data."""
    UNKNOWN = "unknown"
    """Not understood: counted, kept for inspection."""


@dataclass(frozen=True, slots=True)
class Route:
    kind: RouteKind
    symbols: tuple[str, ...] = ()
    """Native ids; of an ACK or a REFUSED those that it concerns, empty where it concerns the whole request."""
    request_id: int | None = None
    detail: str = ""


ALIVE = Route(RouteKind.ALIVE)
OTHER = Route(RouteKind.OTHER)
UNKNOWN = Route(RouteKind.UNKNOWN)


class RestKind(Enum):
    SNAPSHOT = "snapshot"
    INSTRUMENTS = "instruments"
    TICKERS = "tickers"


@dataclass(frozen=True, slots=True)
class RestMatch:
    """What a recorded REST address asked for."""

    kind: RestKind
    native_symbol: str = ""
    limit: int = 0
    """Levels a side that a snapshot was asked for."""


class ConnectionStrategy(ABC):
    """How to connect, subscribe, keep alive and ask. Pure: text in, text out; `now_ns` is the wall time at which a text
    is sent, for exchanges that want it in their requests."""

    endpoints: Endpoints
    limits: Limits
    heartbeat_s: float | None = None
    """How often the client must send `heartbeat` to stay connected; None: it need not."""
    replaces_subscription: bool = False
    """A subscribe request replaces the whole subscription of the link (and nothing can be unsubscribed)."""
    send_origin: bool = True
    acknowledges: bool = True
    """Whether a subscribe request is answered (`RouteKind.ACK`)."""

    @abstractmethod
    def ws_url(self, endpoints: Endpoints) -> str: ...

    def greeting(self, now_ns: int) -> list[str]:
        """Text frames to send on every new connection, before any subscription."""
        return []

    def heartbeat(self, now_ns: int) -> str | None:
        """What keeps a link connected; None: a websocket ping frame."""
        return None

    def probe(self, now_ns: int) -> str | None:
        """A question that the exchange answers at once (`RouteKind.ALIVE`), for links that fall silent; None: a
        websocket ping frame."""
        return None

    @abstractmethod
    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        """One text frame that subscribes `natives` (at most `symbols_per_request`; with
        `replaces_subscription` all that the link shall hold). ValueError when empty."""

    @abstractmethod
    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        """One text frame that ends the subscription, or None where the exchange has no such request."""

    @abstractmethod
    def route(self, frame: bytes) -> Route:
        """Whose frame this is, without a full parse. Never raises: what is not understood is UNKNOWN."""

    @abstractmethod
    def snapshot_request(self, native: str) -> RestRequest: ...

    @abstractmethod
    def instruments_requests(self) -> list[RestRequest]: ...

    def next_instruments(self, body: bytes) -> RestRequest | None:
        """The request for the page behind this answer to one of `instruments_requests`; None after the last."""
        return None

    @abstractmethod
    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        """Requests that together bring the 24 h figures; `natives` for exchanges that want them named."""

    @abstractmethod
    def match_rest(self, url: str) -> RestMatch | None:
        """What a recorded REST address was asked for; None where it is not ours or of no interest."""

    @abstractmethod
    def rest_error(self, body: bytes) -> str | None:
        """The error an exchange reports inside an HTTP 200 body; None where there is none."""

    used_weight_header: str | None = None
    """Response header with the weight used in the current minute, as the exchange counts it."""


class DataHandler(ABC):
    """What the bytes mean. Every method raises FrameError with a reason for anything undocumented."""

    levels: LevelShape | None = None
    """How the levels of a `glance` look."""

    def glance(self, frame: bytes) -> RawDelta | None:
        """The usual delta of the live channel, its levels unread; None for anything else, which `parse` judges, and
        where a module has no such short way. What both read they read alike."""
        return None

    @abstractmethod
    def parse(self, frame: bytes) -> list[Update]:
        """The updates of one websocket frame that `route` called BOOK. They name their channel where the frame tells it
        and the exchange has more than one."""

    def link_seq(self, frame: bytes) -> int | None:
        """The connection's number of a frame of any sort (CONNECTION_IDS); None where it carries none. Cheap, and
        never raises."""
        return None

    def parse_phases(self, frame: bytes) -> list[Told]:
        """What a websocket frame that `route` called PHASE says of markets, or of all of them."""
        return []

    @abstractmethod
    def parse_snapshot(self, native: str, body: bytes) -> Update:
        """The snapshot in a REST body."""

    @abstractmethod
    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]: ...

    @abstractmethod
    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]: ...

    @abstractmethod
    def normalize_symbol(self, native: str) -> str:
        """The canonical symbol of a native id without an instrument list. Exact where the native id has a
        separator, otherwise the best reading; instruments, where known, always win."""


@dataclass(frozen=True)
class Exchange:
    """One exchange: its code, its Korean and English names, and its two halves."""

    code: str
    name: str
    korean_name: str
    strategy: ConnectionStrategy
    handler: DataHandler
    channels: tuple[Channel, ...]
    """The first is the one we subscribe to; the others are found in recordings."""
    hosts: tuple[str, ...]
    """Host names (or suffixes beginning with a dot) by which a recording is recognised."""
    documentation: str = ""

    @property
    def traits(self) -> Channel:
        """What the live channel can prove."""
        return self.channels[0]

    def channel_of(self, update: Update) -> Channel:
        """The channel of a recorded update: the one that it names. Where frames name none and sides are cut to a depth,
        a snapshot tells it by its size; in doubt it is the live one. FrameError for one that is not known."""
        live = self.channels[0]
        if update.channel:
            for channel in self.channels:
                if channel.name == update.channel:
                    return channel
            raise FrameError("channel", f"no such channel here: {snippet(update.channel)!r}")
        if not (live.truncates and update.snapshot):
            return live
        bids, asks = len(update.bids), len(update.asks)
        exact = [channel for channel in self.channels if channel.depth == bids == asks]
        deep = [channel for channel in self.channels if (channel.depth or 0) >= max(bids, asks, live.depth or 0)]
        return next(iter(exact or sorted(deep, key=lambda one: one.depth or 0)), live)

    @property
    def limits(self) -> Limits:
        return self.strategy.limits
