"""What an exchange lists and trades, asked of its ingest and read by its own module.

1. One request brings instruments and tickers together, fetched within the exchange's one REST budget.
2. Bodies are unpacked within a bound, and what the exchange does not document is refused (FrameError).
3. A listing in which nothing trades, or without a figure, is not believed: exchanges answer so while they are
   being maintained, and a universe made of it would throw everything out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from hoga.domain.errors import FrameError, RestError, snippet
from hoga.domain.rates import MarketPrice, market_prices
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Turnover
from hoga.exchanges.base import Exchange
from hoga.runtime.bus import Bus
from hoga.wire import packing, pb, subjects

TIMEOUT_S = 60.0
"""Ingest queues the requests behind its snapshots; some exchanges need several."""
MAX_BYTES = 192 << 20
"""All bodies of one listing together, unpacked."""


@dataclass(frozen=True, slots=True)
class Listing:
    symbols: SymbolMap
    turnovers: list[Turnover]
    prices: list[MarketPrice]

    @property
    def trading(self) -> int:
        """How many symbols are listed and trading."""
        return sum(instrument.trading for instrument in self.symbols.by_symbol.values())


async def ask(bus: Bus, code: str) -> pb.ListingReply:
    """Ingest's answer. BusError where nobody answers, RestError with the exchange's reason, FrameError for no reply."""
    request = pb.ListingRequest(instruments=True, tickers=True).SerializeToString()
    payload = await bus.request(subjects.rpc("listing", code), request, timeout_s=TIMEOUT_S)
    try:
        reply = pb.ListingReply.FromString(payload)
    except DecodeError as error:
        raise FrameError("shape", f"ingest's answer is no ListingReply: {error}") from None
    if reply.error:
        raise RestError(f"ingest could not fetch the listing: {snippet(reply.error)}")
    return reply


def read(exchange: Exchange, reply: pb.ListingReply, time_ns: int) -> Listing:
    """The listing in a reply that arrived at monotonic `time_ns`."""
    room = MAX_BYTES
    unpacked: list[list[bytes]] = []
    for packed in (reply.instruments, reply.tickers):
        bodies = list(_unpack(packed, room))
        room -= sum(map(len, bodies))
        unpacked.append(bodies)
    symbols = SymbolMap(one.at(time.time_ns()) for one in exchange.handler.parse_instruments(unpacked[0]))
    turnovers = exchange.handler.parse_tickers(unpacked[1])
    listing = Listing(symbols, turnovers, market_prices(symbols, turnovers, time_ns))
    if not listing.trading:
        raise FrameError("shape", f"of {len(symbols)} listed symbols none is trading; not believed")
    if not turnovers:
        raise FrameError("shape", f"{len(symbols)} symbols are listed but there are no 24 h figures; not believed")
    return listing


def _unpack(bodies: Iterable[bytes], room: int) -> Iterable[bytes]:
    for body in bodies:
        found = packing.decompress(body, min(room, packing.UNPACKED_BYTES))
        room -= len(found)
        yield found
