"""The ladder: every figure on the page is exactly the book's, compared with Decimal as an independent judge."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hoga.wire import pb
from hoga.wire.columns import read
from services.monitor.books import Book
from services.monitor.ladder import DEPTH, Ladder, decimal, ladder, places

from .monitor_support import Clock, book

mantissas = st.integers(-(2**63), 2**63 - 1)
exponents = st.integers(-40, 40)


def exact(mantissa: int, exponent: int) -> Decimal:
    return Decimal((int(mantissa < 0), tuple(map(int, str(abs(mantissa)))), exponent))


def shown_of(message: pb.OrderBook) -> Ladder:
    return ladder(Book("upbit", "BTC-KRW", book=message, columns=read(message)), Clock()())


@given(mantissas, exponents)
def test_the_text_is_the_number_and_has_no_exponent_and_no_idle_zeros(mantissa: int, exponent: int) -> None:
    text = decimal(mantissa, exponent)
    assert Decimal(text) == exact(mantissa, exponent)
    assert "e" not in text.lower()
    assert not ("." in text and text.endswith(("0", ".")))


@given(st.lists(mantissas, min_size=1, max_size=30), exponents)
def test_a_column_carries_the_decimals_its_finest_value_needs(column: list[int], exponent: int) -> None:
    width = places(column, exponent)
    texts = [decimal(mantissa, exponent, width) for mantissa in column]
    assert {len(text.partition(".")[2]) for text in texts} == {width}
    assert [Decimal(text) for text in texts] == [exact(mantissa, exponent) for mantissa in column]
    assert width == max(len(decimal(mantissa, exponent).partition(".")[2]) for mantissa in column)


@given(mantissas, st.integers(-(2**31), 2**31 - 1))
def test_an_absurd_exponent_costs_no_memory(mantissa: int, exponent: int) -> None:
    assert len(decimal(mantissa, exponent)) < 80
    assert places([mantissa], exponent) <= 40


levels = st.lists(st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)), max_size=40)


@given(bids=levels, asks=levels, price_exponent=st.integers(-9, 3), size_exponent=st.integers(-9, 3))
def test_levels_and_running_totals_are_exact(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], price_exponent: int, size_exponent: int
) -> None:
    message = pb.OrderBook(
        exchange="upbit",
        symbol="BTC-KRW",
        price_exponent=price_exponent,
        size_exponent=size_exponent,
        bid_price=[price for price, _ in bids],
        bid_size=[size for _, size in bids],
        ask_price=[price for price, _ in asks],
        ask_size=[size for _, size in asks],
    )
    shown = shown_of(message)
    for rows, side in ((shown.bids, bids), (shown.asks, asks)):
        assert len(rows) == min(DEPTH, len(side))
        total = Decimal(0)
        for (price, size, running), (price_mantissa, size_mantissa) in zip(rows, side, strict=False):
            total += exact(size_mantissa, size_exponent)
            assert Decimal(price) == exact(price_mantissa, price_exponent)
            assert (Decimal(size), Decimal(running)) == (exact(size_mantissa, size_exponent), total)


def test_the_spread_is_exact_and_an_empty_side_has_none() -> None:
    shown = shown_of(book())
    assert shown.spread == "0.5"
    assert shown.spread_bps == round(20_000 * 0.5 / 201.5, 3)
    one_sided = book()
    del one_sided.ask_price[:]
    del one_sided.ask_size[:]
    shown = shown_of(one_sided)
    assert (shown.spread, shown.spread_bps) == ("", None)


def test_a_sequence_beyond_javascripts_numbers_survives() -> None:
    message = book()
    message.sequence = 2**63 - 1
    assert shown_of(message).sequence == str(2**63 - 1)


def test_sizes_that_travel_as_text_stand_in_their_columns() -> None:
    message = book()
    del message.bid_size[:], message.ask_size[:]
    message.bid_size_text[:] = ["0.25", "98765432109876543210.5"]
    message.ask_size_text[:] = ["3", "1"]
    shown = shown_of(message)
    assert [row[1:] for row in shown.bids] == [
        ("0.25", "0.25"),
        ("98765432109876543210.50", "98765432109876543210.75"),
    ]
    assert [row[1] for row in shown.asks] == ["3.00", "1.00"]
