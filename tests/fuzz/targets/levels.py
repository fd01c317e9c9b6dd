"""The raw reader of levels against the ordinary one: what it takes is the same book, what it refuses changes nothing.

It may refuse what is right (escapes, repeated keys, lists nested for fun); it takes nothing that is refused as texts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import partial

import msgspec

from hoga.domain.book import PythonBook
from hoga.domain.books import RawBook, Status, raw_shape
from hoga.domain.errors import FrameError
from hoga.domain.level_shape import LevelShape, objects, rows, sided, units
from tests.fuzz import promises
from tests.fuzz.target import Target, promise
from tests.support.books import NativeBook
from tests.support.raw_levels import OrdinaryReader

SHAPES = {
    "rows": rows(),
    "long_rows": rows(more=True),
    "objects": objects("price", "qty", quoted=False),
    "sided": sided("side", ("bid", "offer"), "price_level", "new_quantity"),
    "units": units(("bid_price", "bid_size"), ("ask_price", "ask_size")),
}
SEEDS = {
    "rows": [
        b'{"b":[["61837.63000000","3.78826000"],["61837.6","0"]],"a":[["61837.64","0.00000000"]]}',
        b'{"b":[["1e2","00.5"],["12345678901234567890.123456789012345678","1"]],"a":[]}',
        b'{"b":[["1.5","1"]],"a":[["1.50","2"],["0.7","1"],["1.5","0"]]}',
    ],
    "long_rows": [b'{"b":[["8476.98","415","0","13"]],"a":[["8477","7",0,null],["8477.34","85","0","2"]]}'],
    "objects": [b'{"b":[{"price":78858.8,"qty":0.00000000}],"a":[{"qty":1E-8,"price":78859,"x":"y"}]}'],
    "sided": [
        b'{"b":[{"side":"bid","event_time":"2026","price_level":"7.5","new_quantity":"0"},'
        b'{"side":"offer","price_level":"8","new_quantity":"0.06"}]}'
    ],
    "units": [
        b'{"b":[{"ask_price":1.16539E8,"bid_price":1.16538E8,"ask_size":0.1062,"bid_size":0.0365},'
        b'{"ask_price":0,"bid_price":0.0,"ask_size":0,"bid_size":0E-8}]}'
    ],
}


class Lists(msgspec.Struct):
    b: msgspec.Raw = msgspec.Raw(b"")
    a: msgspec.Raw = msgspec.Raw(b"")


_lists = msgspec.json.Decoder(Lists)
BEFORE = [("61837.5", "1"), ("7", "2")], [("61838", "1")]


def targets() -> Iterator[Target]:
    for name, shape in SHAPES.items():
        if NativeBook is not None:
            yield Target(f"levels:{name}", partial(levels, shape), partial(_seeds, name), suite_runs=1500)


def levels(shape: LevelShape, data: bytes) -> Hashable:
    """Both readers on a book that holds something."""
    try:
        found = _lists.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return "json"
    first, second = bytes(found.b), bytes(found.a)
    raw: RawBook = NativeBook()  # type: ignore[assignment, misc]
    typed = PythonBook()
    for book in (raw, typed):
        book.replace(*BEFORE, 2)
    status = raw.apply_raw(raw_shape(shape), first, second, 1)
    promises.book(raw)
    try:
        bids, asks = OrdinaryReader(shape).read(first, second)
        typed.apply(bids, asks)
    except FrameError as error:
        promise(status > Status.THIN, f"taken natively, refused as texts: {error}")
        promise(raw.equals(typed), "a refusal changed the book")
        return status, error.reason
    if status > Status.THIN:
        promise(raw.texts(100) == (BEFORE[0], BEFORE[1]), "a refusal changed the book")
        return status, "strict"
    promise(raw.equals(typed), "another book")
    known = (typed.bids_known, typed.asks_known, typed.crossed, typed.orphan_deletes)
    promise((raw.bids_known, raw.asks_known, raw.crossed, raw.orphan_deletes) == known, "other counts")
    promise(raw.digest == raw.digest_of(bids, asks), "another digest")
    promise((status == Status.CROSSED) == typed.crossed, "crossed is not told")
    return status, len(bids), len(asks), typed.orphan_deletes


def _seeds(name: str) -> Sequence[bytes]:
    return SEEDS[name]
