"""Kraken's book frames: websocket v2, and v1 as recordings hold it.

v2 (recorded by others, shortened); JSON numbers, whose trailing zeros the checksum needs, so their text is kept (the
guide on checksums shows them quoted, which is read too):

    {"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":78858.8,"qty":0.00000000}],
     "asks":[],"checksum":2416540570,"timestamp":"2026-08-24T22:21:58.343688Z"}]}

v1 (recorded): an array, channel and pair last; where both sides change, one object for each, the checksum in the last:

    [1920,{"a":[["0.042990","364630.28272081","1618678145.920470"]]},
     {"b":[["0.042990","0.00000000","1618678145.920708"]],"c":"4105471083"},"book-1000","SC/EUR"]

Rules:
1. quantities are absolute, 0 deletes; of one price in one message the last counts;
2. after the whole message each side is cut to the depth of the subscription: no delete comes for what falls out of it,
   and what comes back into it is sent again (v1 marks that "r");
3. then the checksum must be right: CRC32 of the ten best asks, then of the ten best bids, best first, for each level
   the price and then the quantity, without "." and leading zeros. v2 snapshots carry one, v1 snapshots do not.
   Were a number ever written with an exponent, it would be summed as its plain digits: 1.7e-7 as 0.00000017, "17".
   Nobody has seen one; the sum itself would tell if that were wrong;
4. there is no id: one message, one update.
Sources: docs.kraken.com, websocket v2 and v1 `book`, and the guides on their checksums.
"""

from __future__ import annotations

import re
from typing import Annotated
from zlib import crc32

import msgspec

from hoga.domain import level_shape
from hoga.domain.errors import FrameError, snippet
from hoga.domain.types import Level, Update
from hoga.exchanges.decoding import check_levels, decode, raw_number
from hoga.exchanges.kraken.names import native_of
from hoga.exchanges.times import Time, moment, rfc3339_ns, seconds_ns

Crc = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_V1_CHANNEL = re.compile(r"book-([1-9][0-9]{0,5})\Z")


class PriceLevel(msgspec.Struct, gc=False):
    price: msgspec.Raw
    qty: msgspec.Raw


class Book(msgspec.Struct, gc=False):
    symbol: str
    bids: list[PriceLevel] | None = None
    asks: list[PriceLevel] | None = None
    checksum: Crc | None = None
    timestamp: Time = msgspec.UNSET


class BookFrame(msgspec.Struct, gc=False):
    channel: str
    type: str
    data: list[Book]


class V1Level(msgspec.Struct, gc=False, array_like=True):
    """[price, volume, time] and "r" where it is sent again (rule 2)."""

    price: msgspec.Raw
    size: msgspec.Raw
    time: Time


class V1Sides(msgspec.Struct, gc=False, rename={"snapshot_asks": "as", "snapshot_bids": "bs"}):
    snapshot_asks: list[V1Level] | None = None
    snapshot_bids: list[V1Level] | None = None
    a: list[V1Level] | None = None
    b: list[V1Level] | None = None
    c: str | None = None


LEVELS = level_shape.objects("price", "qty", quoted=False)
"""How the levels of a frame look."""
_frame = msgspec.json.Decoder(BookFrame)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_sides = msgspec.json.Decoder(V1Sides)
_text = msgspec.json.Decoder(str)


def checksum(bids: list[Level], asks: list[Level]) -> int:
    """Rule 3; both sides best first, at most ten levels each, texts as received."""
    texts = [text for side in (asks, bids) for level in side for text in level]
    digits = "".join([text.replace(".", "").lstrip("0") for text in texts])
    if not digits.isdigit():
        digits = "".join(map(_plain_digits, texts))
    return crc32(digits.encode())


def parse_v2(frame: bytes) -> list[Update]:
    found = decode(_frame, frame)
    if found.channel != "book" or found.type not in ("snapshot", "update") or not found.data:
        raise FrameError("shape", f"no book in a {snippet(found.type)!r} of {snippet(found.channel)!r}")
    if not all(book.symbol for book in found.data):
        raise FrameError("symbol", f"a book without a symbol: {snippet(frame)}")
    return [
        Update(
            native_symbol=book.symbol,
            snapshot=found.type == "snapshot",
            bids=_levels(book.bids),
            asks=_levels(book.asks),
            exchange_time_ns=time.ns,
            odd_time=time.odd,
            checksum=book.checksum,
        )
        for book, time in ((book, moment(rfc3339_ns, book.timestamp)) for book in found.data)
    ]


def parse_v1(frame: bytes) -> list[Update]:
    pieces = decode(_array, frame)
    if len(pieces) < 4:
        raise FrameError("shape", f"too short for a book: {snippet(frame)}")
    channel, pair = (decode(_text, bytes(piece)) for piece in pieces[-2:])
    match = _V1_CHANNEL.match(channel)
    if match is None:
        raise FrameError("shape", f"expected a book, found {snippet(channel)!r}")
    parts = [decode(_sides, bytes(piece)) for piece in pieces[1:-2]]
    whole = [part for part in parts if part.snapshot_asks is not None or part.snapshot_bids is not None]
    changes = [part for part in parts if part.a is not None or part.b is not None]
    if bool(whole) == bool(changes):
        raise FrameError("shape", f"neither a snapshot nor an update alone: {snippet(frame)}")
    asks = [level for part in parts for level in part.snapshot_asks or part.a or ()]
    bids = [level for part in parts for level in part.snapshot_bids or part.b or ()]
    times = [moment(seconds_ns, level.time) for level in (*bids, *asks)]
    return [
        Update(
            native_symbol=native_of(pair),
            snapshot=bool(whole),
            bids=check_levels([(raw_number(level.price), raw_number(level.size)) for level in bids]),
            asks=check_levels([(raw_number(level.price), raw_number(level.size)) for level in asks]),
            exchange_time_ns=max((time.ns for time in times), default=0),
            odd_time=any(time.odd for time in times),
            checksum=_v1_checksum(parts),
            channel=channel,
        )
    ]


def _levels(levels: list[PriceLevel] | None) -> list[Level]:
    return check_levels([(raw_number(level.price), raw_number(level.qty)) for level in levels or ()])


def _plain_digits(text: str) -> str:
    """Rule 3 for whatever notation."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    zeros = int(exponent) - len(fraction) if exponent else 0
    return (whole + fraction + "0" * zeros).lstrip("0")


def _v1_checksum(parts: list[V1Sides]) -> int | None:
    text = next((part.c for part in reversed(parts) if part.c is not None), None)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise FrameError("shape", f"not a checksum: {snippet(text)!r}")
    return int(text)
