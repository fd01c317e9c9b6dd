"""The table of books: cheap to feed, honest about what it knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.wire import pb, subjects
from services.monitor.books import HALTED, LIVE, UNKNOWN, Book, BookTable
from services.monitor.problems import Severity
from services.monitor.trouble import book_problems

from .monitor_support import EPOCH, SECOND, Clock, book

SUBJECT = subjects.book("upbit", "BTC-KRW")


def trusted(_epoch: int) -> str:
    return ""


class Desk:
    def __init__(self) -> None:
        self.clock = Clock()
        self.table = BookTable(lambda: self.clock.mono_ns)

    def take(self, message: pb.OrderBook) -> None:
        self.table.take(subjects.book(message.exchange, message.symbol), message.SerializeToString())

    def refresh(self, seconds: float = 1.0) -> dict[tuple[str, str], int]:
        return self.table.refresh(self.clock.forward(seconds), trusted)

    @property
    def book(self) -> Book:
        found = self.table.get("upbit", "BTC-KRW")
        assert found is not None
        return found


def test_the_handler_stores_bytes_and_reads_nothing() -> None:
    desk = Desk()
    desk.table.take(SUBJECT, b"\xff not protobuf")
    assert desk.book.payload == b"\xff not protobuf"
    assert desk.table.messages == 1


@given(
    arrives=st.lists(st.booleans(), min_size=1, max_size=80),
    refreshes=st.sets(st.integers(0, 79)),
)
def test_lost_messages_are_counted_without_decoding_each(arrives: list[bool], refreshes: set[int]) -> None:
    desk = Desk()
    desk.take(book(1))
    desk.refresh()
    for index, arrived in enumerate(arrives):
        if arrived:
            desk.take(book(index + 2))
        if index in refreshes:
            desk.refresh()
    desk.take(book(len(arrives) + 2))
    desk.refresh()
    assert desk.book.lost == arrives.count(False)


@pytest.mark.parametrize(("before", "after"), [(900, 5), (5, 900)])
def test_a_new_epoch_counts_its_revisions_afresh(before: int, after: int) -> None:
    desk = Desk()
    desk.take(book(before))
    desk.refresh()
    desk.take(book(after, epoch=EPOCH + 1))
    desk.refresh()
    assert desk.book.lost == 0


def test_rates_follow_what_arrives_and_end_at_exactly_zero() -> None:
    desk = Desk()
    for second in range(30):
        for number in range(10):
            desk.take(book(10 * second + number + 1))
        assert desk.refresh() == {("upbit", "BTC-KRW"): 10}
    assert 9.5 < desk.book.rate <= 10 / 1.0
    for _ in range(60):
        assert desk.refresh() == {}
    assert desk.book.rate == 0
    changed = desk.book.changed
    desk.refresh()
    assert desk.book.changed == changed, "a quiet book is not sent again"


def test_the_age_is_that_of_the_publishing_also_for_a_message_that_was_kept() -> None:
    desk = Desk()
    old = book()
    old.publish_time_ns = desk.clock().wall_ns - 600 * SECOND
    desk.take(old)
    desk.refresh()
    assert 600 <= desk.book.age_ns(desk.clock.mono_ns) / SECOND <= 602


def test_clocks_that_differ_a_little_do_not_make_a_book_old() -> None:
    desk = Desk()
    message = book()
    message.publish_time_ns = desk.clock().wall_ns - SECOND
    desk.take(message)
    desk.refresh(0.5)
    assert desk.book.age_ns(desk.clock.mono_ns) == SECOND // 2


def test_a_book_whose_validator_is_doubted_is_unknown_and_live_again_after() -> None:
    desk = Desk()
    desk.take(book())
    doubts = ["", "its validator has been silent for 4 s", ""]
    states = []
    for doubt in doubts:
        desk.table.refresh(desk.clock.forward(1), {EPOCH: doubt}.__getitem__)
        states.append((desk.book.state, desk.book.reason))
    assert states == [(LIVE, ""), (UNKNOWN, doubts[1]), (LIVE, "")]


def test_a_halted_book_stays_halted_without_its_validator() -> None:
    desk = Desk()
    desk.take(book(state=pb.BookState.BOOK_STATE_HALTED))
    desk.table.refresh(desk.clock.forward(1), lambda _epoch: "its validator is gone")
    assert desk.book.state == HALTED


def test_what_cannot_be_decoded_is_unknown_and_harms_no_other_book() -> None:
    desk = Desk()
    desk.take(book(symbol="ETH-KRW"))
    desk.table.take(SUBJECT, b"\xff\xff\xff")
    desk.refresh()
    assert (desk.book.state, desk.book.reason) == (UNKNOWN, "the message cannot be decoded")
    other = desk.table.get("upbit", "ETH-KRW")
    assert other is not None
    assert other.state == LIVE


def test_a_message_that_names_another_book_is_not_believed() -> None:
    desk = Desk()
    desk.table.take(SUBJECT, book(symbol="ETH-KRW").SerializeToString())
    desk.refresh()
    assert desk.book.state == UNKNOWN
    assert "another book" in desk.book.reason


@given(st.text(max_size=60))
def test_no_subject_disturbs_the_table(subject: str) -> None:
    table = BookTable(lambda: 0)
    table.take(subject, b"")
    table.take(f"ob.v1.book.{subject}", b"")
    table.refresh(Clock()(), trusted)
    assert table.messages + table.ignored == 2


def test_a_symbol_in_any_script_keeps_its_name() -> None:
    desk = Desk()
    desk.take(book(symbol="币安人生-USDT"))
    desk.refresh()
    assert [(found.symbol, found.state) for found in desk.table.all()] == [("币安人生-USDT", LIVE)]


def test_books_that_stay_out_make_one_problem_by_exchange_and_state() -> None:
    desk = Desk()
    for number in range(40):
        desk.take(book(state=pb.BookState.BOOK_STATE_GAPPED, symbol=f"S{number:02}-KRW"))
    desk.take(book(state=pb.BookState.BOOK_STATE_HALTED, symbol="DEAD-KRW"))
    desk.take(book())
    desk.refresh()
    assert book_problems(desk.table.all(), desk.clock.mono_ns) == []
    desk.refresh(11)
    (problem,) = book_problems(desk.table.all(), desk.clock.mono_ns)
    assert problem.severity is Severity.WARNING
    assert "40 books (S00-KRW, S01-KRW, S02-KRW and 37 more) are GAPPED" in problem.text


def test_an_exchange_without_one_live_book_is_critical() -> None:
    desk = Desk()
    desk.take(book(state=pb.BookState.BOOK_STATE_STALE))
    desk.refresh()
    desk.refresh(11)
    (problem,) = book_problems(desk.table.all(), desk.clock.mono_ns)
    assert problem.severity is Severity.CRITICAL
    assert problem.began_ns == desk.book.since_ns
