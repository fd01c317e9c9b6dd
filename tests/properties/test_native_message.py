"""The message that the native book writes is the one that the Python side writes, or there is none."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.domain.books import RawBook
from hoga.wire import columns, pb
from tests.properties.test_native_book import plain_levels
from tests.support.books import NativeBook, needs_native

pytestmark = needs_native

INT64_MAX = 2**63 - 1
wide = st.sampled_from(["9223372036854775807", "9223372036854775808", "12345678901234567890.5", "0.000000000000000001"])
levels = st.one_of(plain_levels, st.lists(st.tuples(wide, wide), max_size=2))
numbers = st.integers(0, INT64_MAX)


@settings(max_examples=150, deadline=None)
@given(levels, levels, st.integers(0, 20), st.integers(0, 30), st.tuples(numbers, numbers, numbers, numbers, numbers))
def test_head_and_native_fields_are_one_message(bids, asks, limit: int, depth: int, moving) -> None:
    book: RawBook = NativeBook()  # type: ignore[assignment, misc]
    book.replace(bids, asks, limit)
    book.apply(asks, bids)
    expected = pb.OrderBook(exchange="upbit", symbol="BTC-KRW", state=pb.BookState.BOOK_STATE_LIVE, epoch=7)
    head = expected.SerializeToString()
    found = book.message(head, *moving, depth)
    bids_known, asks_known = book.bids_known, book.asks_known
    best_bids = book.top_bids(min(depth, bids_known) if depth else bids_known)
    best_asks = book.top_asks(min(depth, asks_known) if depth else asks_known)
    if any(value > INT64_MAX for column in (*best_bids, *best_asks) for value in column):
        assert found is None
        return
    expected.revision, expected.sequence = moving[:2]
    expected.exchange_time_ns, expected.receive_time_ns, expected.publish_time_ns = moving[2:]
    expected.bids_known, expected.asks_known = bids_known, asks_known
    columns.write(expected, columns.Columns(*best_bids, *best_asks, -book.price_decimals, -book.size_decimals))
    assert found is not None
    assert pb.OrderBook.FromString(found) == expected
    assert found == expected.SerializeToString(deterministic=True), "not a byte longer"
