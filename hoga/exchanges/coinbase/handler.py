"""What Coinbase's frames mean. An update of the Advanced Trade feed and one of the old Coinbase Pro feed (recorded):

    {"channel":"l2_data","timestamp":"2026-08-24T22:34:13.793075885Z","sequence_num":2,"events":[
     {"type":"update","product_id":"BTC-USD","updates":[
      {"side":"offer","event_time":"2026-08-24T22:34:13.483122Z","price_level":"78856.06","new_quantity":"0"}]}]}
    {"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"]],
     "time":"2021-04-17T16:43:37.075687Z"}

1. Every frame of a connection has the next `sequence_num`: an update builds on the frame before, whatever that was.
2. A frame may hold several events, of one product or of several; one product's events become one update, in their
   order: of one price the last size counts, and a snapshot forgets what stood before it.
3. The time is the frame's `timestamp`. A level's `event_time` may be 1970 or the year 1 and is not read. `updates`
   that are null are none.
4. Coinbase Pro frames have no number; their snapshot has no time either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from hoga.domain import level_shape
from hoga.domain.errors import FrameError
from hoga.domain.types import Instrument, Level, Turnover, Update
from hoga.exchanges.base import BookStart, Channel, Continuity, DataHandler
from hoga.exchanges.coinbase import rest
from hoga.exchanges.decoding import Row, Seq, check_levels, decode, rows
from hoga.exchanges.times import Time, moment, rfc3339_ns

_HEAD = 512
_PRO_START = b'{"type"'
_SEQUENCE_KEY = b'"sequence_num"'
_SEQUENCE = re.compile(rb'"sequence_num":\s*([0-9]{1,18})\s*[,}]')


class Change(msgspec.Struct, gc=False):
    side: Literal["bid", "offer"]
    price_level: str
    new_quantity: str


class Event(msgspec.Struct, gc=False):
    type: Literal["snapshot", "update"]
    product_id: str
    updates: list[Change] | None


class Level2(msgspec.Struct, gc=False):
    channel: Literal["l2_data"]
    timestamp: Time
    sequence_num: Seq
    events: list[Event]


class Numbered(msgspec.Struct, gc=False):
    sequence_num: Seq | None = None


class ProSnapshot(msgspec.Struct, gc=False, tag_field="type", tag="snapshot"):
    product_id: str
    bids: list[Row] | None
    asks: list[Row] | None
    time: Time = msgspec.UNSET


class ProChange(msgspec.Struct, gc=False, array_like=True):
    side: Literal["buy", "sell"]
    price: str
    size: str


class ProUpdate(msgspec.Struct, gc=False, tag_field="type", tag="l2update"):
    product_id: str
    changes: list[ProChange] | None
    time: Time = msgspec.UNSET


LEVELS = level_shape.sided("side", ("bid", "offer"), "price_level", "new_quantity")
"""How the levels of a frame look."""
_level2 = msgspec.json.Decoder(Level2)
_numbered = msgspec.json.Decoder(Numbered)
_pro = msgspec.json.Decoder(ProSnapshot | ProUpdate)


PRO = "level2 of Coinbase Pro"
CHANNELS = (
    Channel(
        name="level2",
        continuity=Continuity.CONNECTION_IDS,
        start=BookStart.IN_BAND,
        depth=None,
        snapshot_depth=rest.DEPTH,
        blind_spots=(
            "numbers count the frames of a connection: one lost frame puts all its books in doubt",
            "USDC markets that share the book of a USD market are not listed on their own",
        ),
    ),
    Channel(
        name=PRO,
        continuity=Continuity.TIMESTAMP,
        start=BookStart.IN_BAND,
        depth=None,
        blind_spots=("frames carry no number: a lost one cannot be noticed",),
    ),
)


class CoinbaseHandler(DataHandler):
    def parse(self, frame: bytes) -> list[Update]:
        likely, other = (_read_pro, _read_level2) if frame.startswith(_PRO_START) else (_read_level2, _read_pro)
        try:
            return likely(frame)
        except FrameError as error:
            if error.reason != "shape":
                raise
            try:
                return other(frame)
            except FrameError:
                raise error from None

    def link_seq(self, frame: bytes) -> int | None:
        # Before the events stands the number of the frame itself; anywhere else only a parse can tell.
        found = _SEQUENCE.search(frame, 0, _HEAD)
        if found is not None and frame.find(b'"events"', 0, found.start()) < 0:
            return int(found[1])
        if _SEQUENCE_KEY not in frame[:_HEAD] and _SEQUENCE_KEY not in frame[-_HEAD:]:
            return None
        try:
            return _numbered.decode(frame).sequence_num
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        return rest.snapshot(native, body)

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [instrument for body in bodies for instrument in rest.instruments(body)]

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        return [turnover for body in bodies for turnover in rest.turnovers(body)]

    def normalize_symbol(self, native: str) -> str:
        return native


def _read_level2(data: bytes) -> list[Update]:
    """One update a product, in order of appearance."""
    frame = decode(_level2, data)
    taken: dict[str, tuple[bool, list[Level], list[Level]]] = {}
    for event in frame.events:
        snapshot = event.type == "snapshot"
        if snapshot or event.product_id not in taken:
            taken[event.product_id] = (snapshot, [], [])
        _, bids, asks = taken[event.product_id]
        for change in event.updates or ():
            (bids if change.side == "bid" else asks).append((change.price_level, change.new_quantity))
    time = moment(rfc3339_ns, frame.timestamp)
    return [
        Update(
            native_symbol=native,
            snapshot=snapshot,
            bids=check_levels(bids),
            asks=check_levels(asks),
            prev_seq=frame.sequence_num - 1,
            seq=frame.sequence_num,
            exchange_time_ns=time.ns,
            odd_time=time.odd,
            channel="level2",
        )
        for native, (snapshot, bids, asks) in taken.items()
    ]


def _read_pro(data: bytes) -> list[Update]:
    frame = decode(_pro, data)
    if isinstance(frame, ProSnapshot):
        bids, asks = rows(frame.bids), rows(frame.asks)
    else:
        changes = frame.changes or ()
        bids = check_levels([(change.price, change.size) for change in changes if change.side == "buy"])
        asks = check_levels([(change.price, change.size) for change in changes if change.side == "sell"])
    time = moment(rfc3339_ns, frame.time)
    update = Update(
        native_symbol=frame.product_id,
        snapshot=isinstance(frame, ProSnapshot),
        bids=bids,
        asks=asks,
        exchange_time_ns=time.ns,
        odd_time=time.odd,
        channel=PRO,
    )
    return [update]
