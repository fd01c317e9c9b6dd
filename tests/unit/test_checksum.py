"""Texts exactly as received, kept beside a book of integers."""

from __future__ import annotations

from collections.abc import Callable

from hoga.domain.books import Book
from hoga.domain.checksum import SLACK, Checksum, LevelTexts
from hoga.domain.types import Level
from tests.support.books import PythonBook, each_book

Sides = tuple[list[Level], list[Level]]
seen: list[Sides] = []


def compute(bids: list[Level], asks: list[Level]) -> int:
    seen.append((bids, asks))
    return len(seen)


RULE = Checksum(2, compute)


def texts(book: Book, kept: LevelTexts, rule: Checksum = RULE) -> Sides:
    """What the rule is given."""
    kept.sum(rule)
    return seen[-1]


def begun(new_book: Callable[[], Book], bids: list[Level], asks: list[Level]) -> tuple[Book, LevelTexts]:
    book = new_book()
    book.replace(bids, asks)
    kept = LevelTexts(book)
    kept.apply(bids, asks)
    return book, kept


def change(book: Book, kept: LevelTexts, bids: list[Level], asks: list[Level]) -> None:
    book.apply(bids, asks)
    kept.apply(bids, asks)


@each_book
def test_the_best_levels_best_first_with_every_digit_as_it_came(new_book) -> None:
    book, kept = begun(new_book, [("99.10", "1.500"), ("98", "2"), ("97", "3")], [("101.0", "0.10"), ("102", "1")])
    assert texts(book, kept) == ([("99.10", "1.500"), ("98", "2")], [("101.0", "0.10"), ("102", "1")])


@each_book
def test_a_price_spelled_otherwise_is_the_same_level_with_the_newest_text(new_book) -> None:
    book, kept = begun(new_book, [("99.10", "1")], [])
    change(book, kept, [("99.1", "2.0")], [])
    assert texts(book, kept) == ([("99.1", "2.0")], [])
    change(book, kept, [("99.100", "0.00")], [])
    assert texts(book, kept) == ([], [])


@each_book
def test_finer_prices_and_sizes_leave_the_texts_as_they_were(new_book) -> None:
    book, kept = begun(new_book, [("99", "1")], [("101", "1")])
    change(book, kept, [("99.00005", "1.00000001")], [])
    assert texts(book, kept) == ([("99.00005", "1.00000001"), ("99", "1")], [("101", "1")])


def test_levels_that_the_book_cut_off_do_not_come_back_and_do_not_pile_up() -> None:
    book, kept = begun(PythonBook, [("50", "1"), ("49", "1")], [])
    for price in range(51, 51 + 3 * SLACK):
        change(book, kept, [(str(price), "1")], [])
        book.truncate(2)
    assert len(kept._bids) <= SLACK + 3
    change(book, kept, [(str(50 + 3 * SLACK), "0")], [])
    assert texts(book, kept) == ([(str(49 + 3 * SLACK), "1")], [])


@each_book
def test_of_one_price_twice_in_one_update_the_last_counts(new_book) -> None:
    book, kept = begun(new_book, [("99", "1"), ("99.0", "2")], [("101", "1"), ("101", "0")])
    assert texts(book, kept) == ([("99.0", "2")], [])
