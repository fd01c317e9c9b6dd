"""Promises of numbers and books against plain Decimals."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hoga.domain.book import MAX_SIDE_LEVELS, TRIMMED_SIDE_LEVELS, UNIT_DECIMALS
from hoga.domain.errors import FrameError
from hoga.domain.numbers import FinerError, epoch_ns, is_zero, parse, scale, text_of
from hoga.domain.types import Side
from tests.support.books import each_book

mantissas = st.integers(0, 10**20 - 1) | st.integers(0, 10**6)
decimals = st.integers(0, 18)


def spelled(mantissa: int, places: int, style: int) -> str:
    """One of the spellings of a number."""
    value = Decimal(mantissa).scaleb(-places)
    if style == 0:
        return f"{value:f}"
    if style == 1:
        return f"{value:f}" + ("000" if "." in f"{value:f}" else ".000")
    return f"{value:E}"


@given(mantissas, decimals, st.integers(0, 2))
@example(116539, 0, 2)
def test_a_number_means_the_same_in_every_spelling(mantissa: int, places: int, style: int) -> None:
    text = spelled(mantissa, places, style)
    found, needed = parse(text)
    assert Decimal(found).scaleb(-needed) == Decimal(text)
    assert Decimal(text_of(found, needed)) == Decimal(text)
    assert is_zero(text) == (mantissa == 0)


@given(mantissas, decimals, st.integers(0, 2), st.integers(0, 18))
def test_scaling_is_exact_or_says_what_it_needs(mantissa: int, places: int, style: int, column: int) -> None:
    text = spelled(mantissa, places, style)
    needed = max(column, parse(text)[1])
    if needed > column:
        with pytest.raises(FinerError) as finer:
            scale(text, column)
        assert finer.value.decimals == needed
    assert Decimal(scale(text, needed)).scaleb(-needed) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "+1", "1_0", "١", "²", "0x10", "nan", "NaN", "Infinity", "-1", "-0.5", "1e999", "1e-40", "1.",
     ".5", "1" * 21, "1e20", "0." + "1" * 19, "1" * 60, '"1"', "null", "1,5", "1e", "--1", "1.2.3", "\n1"],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_its_reason(text: str) -> None:
    with pytest.raises(FrameError) as refused:
        scale(text, 8)
    assert refused.value.reason == "number"


@given(st.text(max_size=30))
def test_no_text_escapes_as_anything_but_a_frame_error(text: str) -> None:
    try:
        found = scale(text, 18)
    except FrameError:
        return
    assert Decimal(text) == Decimal(found).scaleb(-18)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1723161255, 1723161255 * 10**9), (1723161255408, 1723161255408 * 10**6), (1790133505546514, 1790133505546514000),
     (1790133505546514123, 1790133505546514123), (0, 0), (-5, 0)],
)  # fmt: skip
def test_epoch_times_of_every_unit(value: int, expected: int) -> None:
    assert epoch_ns(value) == expected


@given(st.integers(-(10**30), 10**30))
def test_an_epoch_time_fits_the_wire_or_is_refused(value: int) -> None:
    with suppress(FrameError):
        assert 0 <= epoch_ns(value) < 2**63


prices = st.tuples(st.integers(1, 40), st.integers(0, 3))
levels = st.lists(st.tuples(prices, st.tuples(st.integers(0, 5), st.integers(0, 3)), st.integers(0, 2)), max_size=12)


def texts(drawn):
    return [(spelled(p, pd, style), spelled(s, sd, style)) for (p, pd), (s, sd), style in drawn]


def naive(side: dict[Decimal, Decimal], changes) -> None:
    for price, size in changes:
        if Decimal(size):
            side[Decimal(price)] = Decimal(size)
        else:
            side.pop(Decimal(price), None)


@each_book
@given(st.lists(st.tuples(levels, levels), max_size=10))
def test_a_book_equals_a_dictionary_of_decimals(new_book, updates) -> None:
    """Every spelling of a price is one key; finer values widen the columns and nothing is lost."""
    book = new_book()
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    for drawn_bids, drawn_asks in updates:
        new_bids, new_asks = texts(drawn_bids), texts(drawn_asks)
        book.apply(new_bids, new_asks)
        naive(bids, new_bids)
        naive(asks, new_asks)
        found_bids, found_asks = book.texts(1000)
        assert [(Decimal(p), Decimal(s)) for p, s in found_bids] == sorted(bids.items(), reverse=True)
        assert [(Decimal(p), Decimal(s)) for p, s in found_asks] == sorted(asks.items())


@each_book
@given(levels, levels, levels)
def test_a_refused_update_changes_nothing(new_book, before, bids, asks) -> None:
    book = new_book()
    book.apply(texts(before), [])
    kept = book.texts(1000)
    for bad in (("x", "1"), ("1", "-3"), ("0", "1"), ("1", "NaN")):
        with pytest.raises(FrameError):
            book.apply(texts(bids), [*texts(asks), bad])
        with pytest.raises(FrameError):
            book.replace([*texts(bids), bad], texts(asks))
        assert book.texts(1000) == kept


@each_book
@given(levels, levels)
def test_repairing_leaves_no_crossing_that_one_side_of_the_update_made(new_book, bids, asks) -> None:
    book = new_book()
    book.apply([], texts(asks))
    update = [(price, size) for price, size in texts(bids) if Decimal(size)]
    assume(update)
    book.apply(update, [])
    kept = {Decimal(price) for price, _ in book.texts(1000)[0]}
    book.remove_contradicted(update, [])
    assert not book.crossed
    assert {Decimal(price) for price, _ in book.texts(1000)[0]} == kept


@each_book
@given(st.lists(st.tuples(st.integers(1_000, 199_999), st.integers(0, 3)), max_size=20))
def test_finer_numbers_move_no_bound_of_what_is_known(new_book, changes: list[tuple[int, int]]) -> None:
    """A snapshot of two levels a side proves 98 to 102; later prices have up to three decimals more."""
    book = new_book()
    book.replace([("99", "1"), ("98", "1")], [("101", "1"), ("102", "1")], 2)
    for mantissa, places in changes:
        price = str(Decimal(mantissa).scaleb(-3).quantize(Decimal(1).scaleb(-places)))
        level = [(price, "1.5")]
        book.apply(*((level, []) if Decimal(price) < 100 else ([], level)))
    bids, asks = book.texts(1000)
    assert book.bids_known == sum(Decimal(price) >= 98 for price, _ in bids)
    assert book.asks_known == sum(Decimal(price) <= 102 for price, _ in asks)


@each_book
def test_an_overgrown_side_is_trimmed_by_number_and_its_bound_moves(new_book) -> None:
    """Prices whose text order is not their number order: 99.5 … 159.5 must lose the far end, never the best."""
    book = new_book()
    asks = [(f"{99.5 + n / 1000:.3f}", "1") for n in range(MAX_SIDE_LEVELS + 1)]
    book.replace([], asks)
    book.apply([], [("500", "1")])
    assert book.texts(1)[1] == [("99.5", "1")]
    assert book.ask_count == TRIMMED_SIDE_LEVELS
    assert book.asks_known == TRIMMED_SIDE_LEVELS
    assert book.ask_range is not None
    assert book.high == book.ask_range[1] == scale("149.499", UNIT_DECIMALS)


@each_book
@given(levels, levels, levels)
def test_values_ranges_and_sizes_are_those_of_the_texts(new_book, bids, asks, finer) -> None:
    book = new_book()
    book.replace(texts(bids), texts(asks), 3)
    book.apply(texts(finer), [])
    for side, shown, values, reach in zip(
        Side, book.texts(1000), book.values(), (book.bid_range, book.ask_range), strict=True
    ):
        assert values == {scale(p, UNIT_DECIMALS): scale(s, UNIT_DECIMALS) for p, s in shown}
        assert reach == ((min(values), max(values)) if values else None)
        assert all(book.size_at(side, price + ("0" if "." in price else ".0")) == size for price, size in shown)
        assert book.size_at(side, "987654.123456") == "0"


@each_book
@given(levels, levels, levels)
def test_a_copy_is_equal_until_one_of_them_changes(new_book, bids, asks, more) -> None:
    book = new_book()
    book.replace(texts(bids), texts(asks), 3)
    twin = book.copy()
    known = (book.bids_known, book.asks_known, book.low, book.high)
    assert twin.equals(book)
    assert (twin.bids_known, twin.asks_known, twin.low, twin.high) == known
    before = book.texts(1000)
    twin.apply(texts(more), [("1000.5", "1")])
    assert not twin.equals(book)
    assert twin.equals(book, 1) == (twin.texts(1) == book.texts(1))
    assert book.texts(1000) == before


@each_book
@given(levels, levels, st.integers(0, 2))
def test_a_digest_is_of_values_not_of_spellings(new_book, bids, asks, style) -> None:
    book = new_book()
    again = [(p, s, style) for p, s, _ in bids]
    assert book.digest_of(texts(bids), texts(asks)) == book.digest_of(texts(again), texts(asks))
    assert book.digest_of(texts(bids), texts(asks)) != book.digest_of([*texts(bids), ("7", "1")], texts(asks))
    with pytest.raises(FrameError):
        book.digest_of([("0", "1")], [])
