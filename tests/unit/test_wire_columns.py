"""Whatever a book can hold crosses the wire exactly, in the shortest form that holds it, and every reader reads it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.client import BookView
from hoga.domain.books import new_book
from hoga.domain.errors import FrameError
from hoga.domain.numbers import MAX_DECIMALS, MAX_WHOLE, text_of
from hoga.runtime.data_export import export_book
from hoga.runtime.data_lines import book_record
from hoga.wire import books, columns, pb
from tests.support.driver import rest

Levels = list[tuple[str, str]]
INT64_MAX = 2**63 - 1


def message_of(bids: Levels, asks: Levels) -> pb.OrderBook:
    """As the validator writes it: through a book, over the wire."""
    book = new_book()
    book.replace(bids, asks)
    message = pb.OrderBook()
    levels = columns.Columns(*book.top_bids(99), *book.top_asks(99), -book.price_decimals, -book.size_decimals)
    columns.write(message, levels)
    return pb.OrderBook.FromString(message.SerializeToString())


def test_what_fits_stands_at_the_exponent_of_the_book() -> None:
    message = message_of([("61500.20", "0.5")], [("61500.30", f"{INT64_MAX}")])
    assert (message.price_exponent, list(message.bid_price), list(message.ask_price)) == (-1, [615002], [615003])
    assert not message.bid_size
    message = message_of([("61500.20", "5")], [("61500.30", f"{INT64_MAX}")])
    assert (message.size_exponent, list(message.bid_size), list(message.ask_size)) == (0, [5], [INT64_MAX])


def test_zeros_that_all_values_share_are_taken_off_where_that_helps() -> None:
    book = new_book()
    book.replace([("2", "0.00000001")], [("3", "1")])
    book.replace([("2", "250000000000")], [("3", "1000")])
    message = pb.OrderBook()
    columns.write(message, columns.Columns(*book.top_bids(9), *book.top_asks(9), 0, -book.size_decimals))
    assert (message.size_exponent, list(message.bid_size), list(message.ask_size)) == (3, [250_000_000], [1])
    assert books.levels(message) == ([("2", "250000000000")], [("3", "1000")])


def test_the_rest_is_text_and_no_integers_of_that_pair_are_left() -> None:
    message = message_of([("2", "250000000000"), ("1", "0.00000001")], [("3", "7")])
    assert (list(message.bid_size_text), list(message.ask_size_text)) == (["250000000000", "0.00000001"], ["7"])
    assert (list(message.bid_size), list(message.ask_size), message.size_exponent) == ([], [], 0)
    assert (list(message.bid_price), list(message.ask_price)) == ([2, 1], [3])
    message = message_of([("20000000000", "1")], [("30000000000.0000000001", "2")])
    assert list(message.ask_price_text) == ["30000000000.0000000001"]
    assert (list(message.bid_price), list(message.bid_size), list(message.ask_size)) == ([], [1], [2])


values = st.builds(
    lambda whole, fraction, places: text_of(whole * 10**places + fraction % 10**places, places),
    st.integers(0, 10**MAX_WHOLE - 1) | st.integers(0, 1000),
    st.integers(0, 10**MAX_DECIMALS),
    st.integers(0, MAX_DECIMALS),
).filter(lambda text: text != "0")
sides = st.lists(st.tuples(values, values), max_size=6, unique_by=lambda level: level[0])


@settings(deadline=None)
@given(sides, sides)
def test_every_reader_reads_exactly_what_the_book_holds(bids: Levels, asks: Levels) -> None:
    bids.sort(key=lambda level: Fraction(level[0]), reverse=True)
    asks.sort(key=lambda level: Fraction(level[0]))
    message = message_of(bids, asks)
    assert books.levels(message) == (bids, asks)
    view = BookView.decode(message.SerializeToString())
    for found, texts, array, floats in zip(
        (view.bids, view.asks), (bids, asks), view.to_numpy(), view.to_floats(), strict=True
    ):
        assert found == [(Decimal(price), Decimal(size)) for price, size in texts]
        assert floats == [(float(price), float(size)) for price, size in texts]
        assert [tuple(row) for row in array.tolist()] == floats
    assert view.best_bid == (view.bids[0] if bids else None)
    if bids and asks:
        assert view.spread == Fraction(asks[0][0]) - Fraction(bids[0][0])
        assert view.mid == (Fraction(asks[0][0]) + Fraction(bids[0][0])) / 2
    record = book_record("x", "y", message, depth=3, time_ns=0)
    assert (record.bids, record.asks) == (bids[:3], asks[:3])
    exported = pb.OrderBook.FromString(export_book("x", "y", {"bids": bids, "asks": asks}))
    assert books.levels(exported) == (bids, asks)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"bid_price": [1], "bid_size": [1], "bid_size_text": ["1"]}, "shape"),
        ({"bid_price": [1], "ask_size": [1], "bid_size_text": ["1"]}, "shape"),
        ({"bid_price": [1, 2], "bid_size_text": ["1"]}, "shape"),
        ({"bid_price_text": ["1"]}, "shape"),
        ({"bid_price": [1], "ask_price": [1], "bid_size_text": ["1"]}, "shape"),
        ({"bid_price": [1], "bid_size_text": ["-1"]}, "number"),
        ({"bid_price": [1], "bid_size_text": ["x"]}, "number"),
        ({"bid_price": [1], "bid_size_text": ["1" * 21]}, "number"),
    ],
)
def test_text_that_contradicts_the_integers_or_is_no_number_is_no_book(fields: dict[str, object], reason: str) -> None:
    payload = pb.OrderBook(**fields).SerializeToString()  # type: ignore[arg-type]
    with pytest.raises(FrameError) as refused:
        BookView.decode(payload)
    assert refused.value.reason == reason
    with pytest.raises(FrameError):
        book_record("x", "y", payload, depth=3, time_ns=0)


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_reader_that_knows_integers_only_finds_columns_of_unequal_length(side: str) -> None:
    """It stops there: neither a wrong number nor an empty side."""
    wide = [("1", "98765432109876543210")]
    message = message_of(*((wide, [("2", "0.5")]) if side == "bid" else ([("0.5", "0.5")], wide)))
    assert len(message.bid_price) == len(message.ask_price) == 1
    assert not message.bid_size
    assert not message.ask_size


def test_times_below_zero_are_written_as_the_bus_brought_them() -> None:
    """A frame on the bus may say anything of its times; the book is published all the same."""
    builder = rest().builder
    builder.receive_wall_ns = -5
    payload = books.BookWriter(pb.OrderBook(exchange="x")).payload(builder, 3, 7, 20)
    assert pb.OrderBook.FromString(payload).receive_time_ns == -5
