"""The words of the domain: updates, states, stamps and decisions.

Nothing here knows an exchange, a socket or a clock. Prices and sizes travel as the decimal text the
exchange sent (`Level`), until the book turns them into exact integers.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple

import msgspec

from hoga.domain.phases import Phase, Told

Level = tuple[str, str]
"""(price, size) as decimal text; size zero deletes the level."""


class Side(IntEnum):
    BID = 0
    ASK = 1


class State(IntEnum):
    """What a book promises; the numbers are those of `orderbook.v1.BookState`."""

    LIVE = 1
    SYNCING = 2
    GAPPED = 3
    STALE = 4
    CROSSED = 5
    HALTED = 6


class GapPolicy(Enum):
    """What happens to a book when ids are missing (the exchange's own rule or the user's)."""

    CONTINUE = "continue"
    IGNORE = "ignore"
    RESYNC = "resync"


class Stamp(NamedTuple):
    """A moment: monotonic to order and to time out by, wall to show. Nanoseconds both."""

    mono_ns: int
    wall_ns: int


NO_SEQ = -2
"""Where an exchange gives no id."""


class Update(msgspec.Struct, frozen=True, gc=False):
    """One parsed snapshot or delta of one symbol.

    `prev_seq` is the id this update builds on and `seq` the id it leads to; both are NO_SEQ where the
    exchange gives no ids. A snapshot replaces the book, a delta changes levels to absolute sizes.
    """

    native_symbol: str
    snapshot: bool
    bids: list[Level]
    asks: list[Level]
    prev_seq: int = NO_SEQ
    seq: int = NO_SEQ
    exchange_time_ns: int = 0
    """0 where there is none."""
    odd_time: bool = False
    """A time was sent that cannot be read: there is none, which is counted."""
    checksum: int | None = None
    """The exchange's checksum over the book after this update; None where it gives none."""
    channel: str = ""
    """The channel of the exchange that it came in, where the frame tells it; empty where it does not."""


class RawDelta(msgspec.Struct, frozen=True, gc=False):
    """A delta with ids whose levels are still the bytes of its frame; as `Update`, of the live channel."""

    native_symbol: str
    prev_seq: int
    seq: int
    exchange_time_ns: int
    bids: msgspec.Raw
    asks: msgspec.Raw


class Instrument(msgspec.Struct, frozen=True):
    """One listed market. Canonical symbols and native ids are a bijection within an exchange."""

    symbol: str
    native_symbol: str
    base: str
    quote: str
    phase: Phase = Phase.UNKNOWN
    kind: str = "spot"
    """"spot", "perpetual" or "dated"."""
    price_tick: str = ""
    size_step: str = ""
    contract_size: str = ""
    """Units of `contract_currency` that one contract stands for, decimal text; empty where sizes are in base units."""
    contract_currency: str = ""
    """The base for linear contracts, the quote for inverse ones; empty where sizes are in base units."""
    korean_name: str = ""
    status: str = ""
    """The exchange's own word for the phase, shown to people; empty where it gives none."""
    phase_until_ns: int = 0
    """When the phase ends by itself and trading begins, by the wall clock; 0 where nobody says."""

    @property
    def trading(self) -> bool:
        """Orders match, as far as the exchange says."""
        return self.phase.matches

    @property
    def told(self) -> Told:
        return Told(self.phase, self.status, self.native_symbol, self.phase_until_ns)

    def at(self, now_ns: int) -> Instrument:
        """As it is at a wall time: a phase that ends by itself may be over."""
        told = self.told.at(now_ns)
        return self if told.phase is self.phase else msgspec.structs.replace(self, phase=told.phase, phase_until_ns=0)


class Turnover(msgspec.Struct, frozen=True):
    """24 h figures of one market, decimal text; turnover in the quote currency."""

    native_symbol: str
    last_price: str
    quote_turnover: str
