"""Levels that the native book reads from the bytes of a frame are those that the exchange's parser finds in it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from hoga.domain.book import PythonBook
from hoga.domain.books import RawBook, Status, raw_shape
from hoga.domain.level_shape import LevelShape
from hoga.exchanges import gate, korbit, registry, units
from hoga.exchanges.base import RouteKind
from hoga.exchanges.binance import common as binance
from hoga.exchanges.bybit import handler as bybit
from hoga.exchanges.coinbase import handler as coinbase
from hoga.exchanges.kraken import frames as kraken
from hoga.exchanges.okx import common as okx
from tests.support import naive, simtape, tapes
from tests.support.books import NativeBook, needs_native
from tests.support.raw_levels import OrdinaryReader, dig

pytestmark = needs_native

Path = tuple[str | int, ...]
BINANCE: tuple[LevelShape, Path, Path] = (binance.LEVELS, ("data", "b"), ("data", "a"))
BYBIT: tuple[LevelShape, Path, Path] = (bybit.LEVELS, ("data", "b"), ("data", "a"))
OKX: tuple[LevelShape, Path, Path] = (okx.LEVELS, ("data", 0, "bids"), ("data", 0, "asks"))
UNITS: tuple[LevelShape, Path, Path] = (units.LEVELS, ("orderbook_units",), ("none",))
WHERE = {
    "binance_spot": BINANCE,
    "binance_future": BINANCE,
    "bybit_spot": BYBIT,
    "bybit_future": BYBIT,
    "okx_spot": OKX,
    "okx_swap": OKX,
    "coinbase": (coinbase.LEVELS, ("events", 0, "updates"), ("none",)),
    "kraken": (kraken.LEVELS, ("data", 0, "bids"), ("data", 0, "asks")),
    "upbit": UNITS,
    "gate_spot": (gate.LEVELS, ("result", "b"), ("result", "a")),
    "korbit": (korbit.LEVELS, ("data", "bids"), ("data", "asks")),
}
"""Exchange -> shape, and where the two lists stand in a frame."""


def frames(code: str) -> Iterator[bytes]:
    """Simulated traffic of one market."""
    exchange = registry.get(code)
    records, _ = simtape.record(code, seconds=20.0, symbols=1, seed=3, max_levels=200)
    for record in records:
        data = (record["data"] or "").encode()
        if record["kind"] == "recv" and exchange.strategy.route(data).kind is RouteKind.BOOK:
            yield data


@pytest.mark.parametrize("code", WHERE)
def test_a_book_fed_with_bytes_is_the_book_fed_with_parsed_texts(code: str) -> None:
    layout, first, second = WHERE[code]
    shape, ordinary, handler = raw_shape(layout), OrdinaryReader(layout), registry.get(code).handler
    raw: RawBook = NativeBook()  # type: ignore[assignment, misc]
    typed = PythonBook()
    taken = 0
    for frame in frames(code):
        (update,) = handler.parse(frame)[:1]
        bids, asks = dig(frame, *first), dig(frame, *second)
        if not layout.one_list:
            bids, asks = bids or b"[]", asks or b"[]"
        assert ordinary.read(bids, asks) == (update.bids, update.asks)
        (typed.replace if update.snapshot else typed.apply)(update.bids, update.asks)
        feed = raw.replace_raw if update.snapshot else raw.apply_raw
        assert feed(shape, msgspec.Raw(bids), msgspec.Raw(asks)) <= Status.THIN, frame[:300]
        assert raw.digest == raw.digest_of(update.bids, update.asks) == raw.digest_raw(shape, bids, asks)
        taken += 1
        assert raw.equals(typed)
    assert taken > 30


@pytest.mark.parametrize("name", ["btcusdt_20240808_depth100ms.jsonl.gz", "cryptofeed2021_binance.jsonl.gz"])
def test_a_recorded_tape_of_bytes_is_that_of_texts(name: str) -> None:
    """Recorded spot books, every frame: the digits that an exchange really sends."""
    path = tapes.tape(f"binance_spot/{name}")
    handler = registry.get("binance_spot").handler
    shape = raw_shape(binance.LEVELS)
    books: dict[str, tuple[RawBook, PythonBook]] = {}
    frames_taken = 0
    for record in naive.records(path):
        data = record.get("data") or ""
        if '"depthUpdate"' not in data:
            continue
        frame = data.encode()
        (update,) = handler.parse(frame)
        raw, typed = books.setdefault(update.native_symbol, (NativeBook(), PythonBook()))  # type: ignore[arg-type, misc]
        inner = dig(frame, "data") or frame
        assert raw.apply_raw(shape, dig(inner, "b"), dig(inner, "a")) <= Status.THIN
        typed.apply(update.bids, update.asks)
        frames_taken += 1
    assert frames_taken > 100
    for raw, typed in books.values():
        assert raw.orphan_deletes == typed.orphan_deletes
        assert raw.equals(typed)


def test_thin_and_crossed_are_told_and_refusals_name_side_and_place() -> None:
    shape = raw_shape(binance.LEVELS)
    book: RawBook = NativeBook()  # type: ignore[assignment, misc]
    levels = b'[["9","1"],["8","1"]]', b'[["11","1"],["12","1"]]'
    assert book.replace_raw(shape, *levels, 2) == Status.TAKEN
    assert book.apply_raw(shape, b"[]", b"[]", 2) == Status.TAKEN
    assert book.apply_raw(shape, b'[["8","0"]]', b"[]", 2) == Status.THIN
    assert book.apply_raw(shape, b'[["8","0"]]', b"[]", 1) == Status.TAKEN
    before = book.values()
    assert book.apply_raw(shape, b"[]", b'[["11","2"],["13","1_0"]]') == Status.NUMBER
    assert book.refused == (1, 1)
    assert book.apply_raw(shape, b'[["7","1"],["6","1","x"]]', b"[]") == Status.SHAPE
    assert book.refused == (0, 1)
    assert book.values() == before
    assert book.apply_raw(shape, b'[["11","1"]]', b"[]") == Status.CROSSED


def test_a_finer_number_within_a_unit_moves_what_was_read_of_it_already() -> None:
    book: RawBook = NativeBook()  # type: ignore[assignment, misc]
    first = b'{"ask_price":3,"ask_size":2,"bid_price":1.25,"bid_size":0.5}'
    second = b'{"bid_size":7,"bid_price":1,"ask_size":0.125,"ask_price":4.5}'
    assert book.replace_raw(raw_shape(units.LEVELS), b"[" + first + b"," + second + b"]", b"") == Status.TAKEN
    assert book.texts(5) == ([("1.25", "0.5"), ("1", "7")], [("3", "2"), ("4.5", "0.125")])


def test_a_key_that_comes_twice_is_for_the_ordinary_way_to_read() -> None:
    book: RawBook = NativeBook()  # type: ignore[assignment, misc]
    twice = b'[{"price":1,"qty":2,"price":3}]'
    assert book.apply_raw(raw_shape(kraken.LEVELS), twice, b"[]") == Status.SHAPE
    assert book.bid_count == 0
