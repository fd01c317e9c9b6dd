"""The native book against the reference: whatever is done to both, both are the same book, or both refuse."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.domain import book as reference
from hoga.domain.book import PythonBook
from hoga.domain.books import Book
from hoga.domain.checksum import Checksum, LevelTexts
from hoga.domain.errors import FrameError
from hoga.domain.types import Level, Side
from tests.support.books import NativeBook, needs_native

pytestmark = needs_native

digits = st.text("0123456789", min_size=1, max_size=24)
spelled = st.one_of(
    st.builds("{}".format, st.integers(0, 60)),
    st.builds("{}.{}".format, st.integers(0, 60), digits),
    st.builds(
        "{}{}{}".format, st.integers(0, 60), st.sampled_from(["e", "E", ".5e", ".0E+", "e-"]), st.integers(0, 22)
    ),
    st.builds("{}.{}".format, digits, digits),
    st.builds("{}e{}".format, digits, st.integers(-45, 45)),
    st.sampled_from(["0", "0.0", "0E-8", "-0.0", "0e999", "1." + "0" * 46, "9" * 20, "0." + "0" * 17 + "1"]),
)
hostile = st.one_of(
    st.text(max_size=8),
    st.text("0123456789.eE+-_ ", max_size=50),
    st.sampled_from(
        [
            "",
            "-1",
            "1.",
            ".5",
            "1e",
            "1e1234",
            "NaN",
            "1_0",
            " 1",
            "1 ",
            "٣",
            "0x1",
            "1e999",
            "9" * 21,
            "1" * 49,
            "1.5.2",
        ]
    ),
)
plain = st.builds(lambda n, d: f"{n / 10**d:.{d}f}", st.integers(1, 400), st.integers(0, 2))
sizes = st.one_of(st.just("0"), st.just("0.00"), plain)


def plain_level(drawn: int) -> Level:
    """Of one number, for lists long enough to fill chunks: drawing is what these tests spend their time on."""
    price, places, size = drawn // 24 + 1, drawn // 8 % 3, drawn % 8
    return f"{price / 10**places:.{places}f}", f"{size / 4:.{places}f}" if size > 1 else "0.00"


plain_levels = st.lists(st.integers(0, 24 * 400 - 1).map(plain_level), max_size=90)
levels = st.lists(st.tuples(plain, sizes), max_size=90)
levels = st.lists(st.tuples(st.one_of(plain, spelled), st.one_of(sizes, spelled)), max_size=8)
wild_levels = st.lists(st.tuples(st.one_of(plain, spelled, hostile), st.one_of(sizes, spelled, hostile)), max_size=4)
any_levels = st.one_of(plain_levels, levels, wild_levels)
operations = st.one_of(
    st.tuples(st.just("apply"), any_levels, any_levels),
    st.tuples(st.just("apply"), any_levels, any_levels),
    st.tuples(st.just("replace"), any_levels, any_levels, st.integers(0, 12)),
    st.tuples(st.just("truncate"), st.integers(0, 60)),
    st.tuples(st.just("remove_contradicted"), any_levels, any_levels),
    st.tuples(st.just("copy")),
)


def state(book: Book) -> list[Any]:
    return [
        book.texts(10_000),
        (book.bid_count, book.ask_count, book.bids_known, book.asks_known),
        (book.crossed, book.orphan_deletes, book.low, book.high, book.bid_range, book.ask_range),
    ]


def tried(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except FrameError as error:
        return error.reason


@settings(max_examples=200, deadline=None)
@given(st.lists(operations, max_size=6))
def test_every_operation_leaves_both_the_same_or_is_refused_by_both(done: list[tuple[Any, ...]]) -> None:
    python: Book = PythonBook()
    native: Book = NativeBook()
    for name, *arguments in done:
        before = state(native)
        found, expected = (tried(partial(getattr(book, name), *arguments)) for book in (native, python))
        if name == "copy":
            native, python = found, expected
        else:
            assert found == expected
        if isinstance(found, str):
            assert state(native) == before, "a refusal changes nothing"
        assert state(native) == state(python)
        assert native.equals(python)
        assert python.equals(native)
        for depth in (-1, 0, 1, 5, 200):
            assert native.texts(depth) == python.texts(depth)
    assert native.values() == python.values()
    if (native.price_decimals, native.size_decimals) == (python.price_decimals, python.size_decimals):
        assert native.top_bids(7) == python.top_bids(7)
        assert native.top_asks(7) == python.top_asks(7)


@settings(max_examples=150, deadline=None)
@given(st.one_of(spelled, hostile), st.one_of(spelled, hostile))
def test_both_take_the_same_numbers(price: str, size: str) -> None:
    python, native = PythonBook(), NativeBook()
    expected = tried(lambda: python.apply([(price, size)], []))
    assert tried(lambda: native.apply([(price, size)], [])) == expected
    assert native.values() == python.values()
    assert tried(lambda: native.size_at(Side.BID, price)) == tried(lambda: python.size_at(Side.BID, price))


@given(plain_levels, plain_levels, st.integers(0, 3))
def test_a_digest_is_of_values_whatever_the_columns_decimals(bids: list[Level], asks: list[Level], places: int) -> None:
    coarse, fine = NativeBook(), NativeBook()
    fine.apply([("1." + "0" * places + "1", "1." + "0" * places + "1")], [])
    digest = coarse.digest_of(bids, asks)
    assert fine.digest_of(bids, asks) == digest
    assert coarse.digest_of([*bids, ("3", "0")], asks) != digest
    assert coarse.digest_of(asks, bids) == digest or asks != bids
    assert coarse.bid_count == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(plain_levels, plain_levels), max_size=5), st.integers(1, 40))
def test_the_texts_as_sent_are_those_that_are_kept_beside_a_python_book(updates, depth: int) -> None:
    python, native = PythonBook(), NativeBook()
    kept = LevelTexts(python)
    for bids, asks in updates:
        for book in (python, native):
            book.apply(bids, asks)
        kept.apply(bids, asks)
        for book in (python, native):
            book.truncate(depth)
    seen: list[tuple[list[Level], list[Level]]] = []
    kept.sum(reference_rule(5, seen))
    assert native.sent_texts(5) == seen[0]
    bids, asks = seen[0]
    digits = [text.replace(".", "").lstrip("0") for side in (asks, bids) for level in side for text in level]
    assert native.sent_digits(5) == "".join(digits).encode()


def reference_rule(depth: int, seen: list[Any]) -> Checksum:
    return Checksum(depth, lambda bids, asks: seen.append((bids, asks)) or 0)


def test_a_refusal_is_worded_by_the_reference_with_side_and_place() -> None:
    book = NativeBook()
    with pytest.raises(FrameError, match=r"ask 1: not a decimal number: '1_0'") as refused:
        book.apply([("1", "1")], [("2", "1"), ("1_0", "1")])
    assert refused.value.reason == "number"
    with pytest.raises(FrameError, match=r"bid 0: price zero"):
        book.replace([("0.00", "1")], [])
    with pytest.raises(TypeError):
        book.apply([(1, "1")], [])  # type: ignore[list-item]
    with pytest.raises(FrameError, match="is not taken"):
        reference.refuse(True, 0, "1", "1")


def test_a_deep_copy_is_a_copy() -> None:
    book = NativeBook()
    book.apply([("1", "1")], [])
    twin = copy.deepcopy(book)
    twin.apply([("1", "0")], [])
    assert (book.bid_count, twin.bid_count) == (1, 0)


def test_an_overgrown_side_is_trimmed_as_the_reference_does() -> None:
    asks = [(f"{99.5 + n / 1000:.3f}", "1") for n in range(reference.MAX_SIDE_LEVELS)]
    bids = [(f"{99 - n / 1000:.3f}", "1") for n in range(reference.TRIMMED_SIDE_LEVELS + 9)]
    for limit in (0, 5):
        python, native = PythonBook(), NativeBook()
        for book in (python, native):
            book.replace(bids[: limit or None], asks[: limit or None], limit)
            book.apply(bids[5:], asks[5:])
            book.apply([("98.9995", "1")], [("500", "1")])
        assert state(native) == state(python)
        assert native.asks_known == (limit or reference.TRIMMED_SIDE_LEVELS)
