"""What a consumer gets is newest, in order, counted, and never LIVE without a living publisher."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.client import BookView, State
from hoga.client.inbox import BookInbox
from hoga.client.publishers import Life, Publishers
from hoga.wire import pb

PATIENCE_NS = 3_000


def message(revision: int, *, epoch: int = 1, symbol: str = "BTC-KRW", state: State = State.LIVE) -> bytes:
    return pb.OrderBook(
        exchange="upbit", symbol=symbol, epoch=epoch, revision=revision, state=pb.BookState.ValueType(int(state))
    ).SerializeToString()


def trusting(**options: bool | int) -> BookInbox:
    return BookInbox(Publishers(0), **options)  # type: ignore[arg-type]


def drain(inbox: BookInbox) -> list[BookView]:
    books = []
    while (book := inbox.take()) is not None:
        books.append(book)
    return books


# Order and losses.


@given(
    st.lists(st.integers(min_value=1, max_value=60), unique=True, max_size=40),
    st.integers(min_value=0, max_value=2**32),
    st.booleans(),
)
def test_every_revision_is_delivered_or_skipped_or_lost(revisions: list[int], seed: int, conflate: bool) -> None:
    """Whatever arrives (in order) and whenever the consumer looks: the counts add up to what was published."""
    inbox = trusting(conflate=conflate, limit=5)
    order = random.Random(seed)
    taken: list[BookView] = []
    for revision in sorted(revisions):
        inbox.offer(message(revision), 0)
        if order.random() < 0.3:
            taken += drain(inbox)
    taken += drain(inbox)
    assert [book.revision for book in taken] == sorted({book.revision for book in taken})
    for before, after in pairwise(taken):
        assert after.revision - before.revision == 1 + after.lost + after.skipped
    if revisions:
        assert taken[-1].revision == max(revisions)
        assert taken[-1].revision - min(revisions) + 1 == len(taken) + sum(book.lost + book.skipped for book in taken)
        assert inbox.lost == sum(book.lost for book in taken)
        assert inbox.skipped == sum(book.skipped for book in taken)


@given(st.lists(st.integers(min_value=1, max_value=20), max_size=60))
def test_what_is_not_newer_is_never_delivered(revisions: list[int]) -> None:
    inbox = trusting(conflate=False, limit=1000)
    for revision in revisions:
        inbox.offer(message(revision), 0)
    got = [book.revision for book in drain(inbox)]
    assert got == sorted(set(got))
    assert got[:1] == revisions[:1]
    assert not revisions or got[-1] == max(revisions)


def test_a_new_life_of_the_publisher_is_told_and_loses_nothing() -> None:
    inbox = trusting(conflate=False)
    for epoch, revision in ((1, 5), (1, 8), (2, 1), (2, 2)):
        inbox.offer(message(revision, epoch=epoch), 0)
    assert [(book.lost, book.new_epoch) for book in drain(inbox)] == [(0, False), (2, False), (0, True), (0, False)]


def test_a_new_life_is_told_even_where_its_first_book_was_skipped() -> None:
    inbox = trusting()
    inbox.offer(message(1), 0)
    drain(inbox)
    inbox.offer(message(1, epoch=2), 0)
    inbox.offer(message(2, epoch=2), 0)
    assert [(book.new_epoch, book.skipped) for book in drain(inbox)] == [(True, 1)]


def test_losses_of_one_symbol_are_not_anothers() -> None:
    inbox = trusting()
    inbox.offer(message(1, symbol="BTC-KRW"), 0)
    inbox.offer(message(10, symbol="ETH-KRW"), 0)
    inbox.offer(message(11, symbol="ETH-KRW"), 0)
    inbox.offer(message(4, symbol="BTC-KRW"), 0)
    assert {book.symbol: (book.lost, book.skipped) for book in drain(inbox)} == {"BTC-KRW": (2, 1), "ETH-KRW": (0, 1)}


# Bounds.


def test_a_consumer_that_never_takes_costs_one_book_a_symbol() -> None:
    inbox = trusting()
    for revision in range(1, 1001):
        inbox.offer(message(revision, symbol=f"S{revision % 7}-KRW"), 0)
    assert inbox.waiting == 7


def test_the_symbol_that_waits_longest_goes_first_and_a_busy_one_does_not_overtake() -> None:
    inbox = trusting()
    for symbol, revision in (("A-KRW", 1), ("B-KRW", 1), ("A-KRW", 2), ("C-KRW", 1), ("A-KRW", 3)):
        inbox.offer(message(revision, symbol=symbol), 0)
    assert [(book.symbol, book.revision) for book in drain(inbox)] == [("A-KRW", 3), ("B-KRW", 1), ("C-KRW", 1)]


def test_without_conflation_the_queue_is_bounded_and_the_oldest_go() -> None:
    inbox = trusting(conflate=False, limit=3)
    for revision in range(1, 11):
        inbox.offer(message(revision), 0)
    assert inbox.waiting == 3
    assert [(book.revision, book.skipped) for book in drain(inbox)] == [(8, 7), (9, 0), (10, 0)]


def test_no_room_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        trusting(limit=0)


def test_what_is_no_book_is_counted_and_disturbs_nothing() -> None:
    inbox = trusting()
    inbox.offer(b"\xff\xff", 0)
    inbox.offer(message(1), 0)
    assert inbox.unreadable == 1
    assert [book.revision for book in drain(inbox)] == [1]


# Trust.


def test_a_kept_book_waits_for_a_sign_of_life_of_its_publisher() -> None:
    publishers = Publishers(PATIENCE_NS)
    inbox = BookInbox(publishers)
    inbox.offer(message(7), 0)
    assert inbox.take() is None
    publishers.heard(1, 100)
    inbox.review(100, "")
    (book,) = drain(inbox)
    assert book.live


def test_a_kept_book_of_a_dead_publisher_is_stale() -> None:
    inbox = BookInbox(Publishers(PATIENCE_NS))
    inbox.offer(message(7), 0)
    inbox.review(PATIENCE_NS, "nobody there")
    assert inbox.take() is None
    inbox.review(PATIENCE_NS + 1, "nobody there")
    (book,) = drain(inbox)
    assert (book.state, book.reason) == (State.STALE, "nobody there")


def test_a_second_book_of_a_symbol_is_itself_a_sign_of_life() -> None:
    inbox = BookInbox(Publishers(PATIENCE_NS))
    inbox.offer(message(7), 0)
    inbox.offer(message(9), 10)
    (book,) = drain(inbox)
    assert (book.live, book.revision, book.lost, book.skipped) == (True, 9, 1, 1)


def test_a_book_that_promises_nothing_needs_no_proof() -> None:
    inbox = BookInbox(Publishers(PATIENCE_NS))
    inbox.offer(message(7, state=State.GAPPED), 0)
    assert [book.state for book in drain(inbox)] == [State.GAPPED]


def test_when_the_publisher_falls_silent_its_books_are_told_stale_once_and_live_again_when_it_is_back() -> None:
    publishers = Publishers(PATIENCE_NS)
    inbox = BookInbox(publishers)
    publishers.heard(1, 0)
    for symbol in ("A-KRW", "B-KRW"):
        inbox.offer(message(7, symbol=symbol), 0)
    assert [book.live for book in drain(inbox)] == [True, True]
    inbox.review(PATIENCE_NS, "gone")
    assert drain(inbox) == []
    inbox.review(PATIENCE_NS + 1, "gone")
    assert [(book.state, book.reason, book.lost) for book in drain(inbox)] == [(State.STALE, "gone", 0)] * 2
    inbox.review(PATIENCE_NS * 2, "gone")
    assert drain(inbox) == []
    publishers.heard(1, PATIENCE_NS * 3)
    inbox.review(PATIENCE_NS * 3, "gone")
    assert [(book.state, book.reason) for book in drain(inbox)] == [(State.LIVE, "")] * 2


def test_an_untaken_live_book_is_replaced_by_the_doubt_about_it() -> None:
    """Conflating, a consumer that comes late finds the truth of now: the LIVE form is gone, and is no skip."""
    publishers = Publishers(PATIENCE_NS)
    inbox = BookInbox(publishers)
    publishers.heard(1, 0)
    inbox.offer(message(7), 0)
    inbox.review(PATIENCE_NS + 1, "gone")
    assert [(book.state, book.skipped) for book in drain(inbox)] == [(State.STALE, 0)]


def test_books_of_a_living_publisher_are_untouched_by_the_silence_of_another() -> None:
    publishers = Publishers(PATIENCE_NS)
    inbox = BookInbox(publishers)
    publishers.heard(1, 0)
    publishers.heard(2, 0)
    inbox.offer(message(1, epoch=1, symbol="A-KRW"), 0)
    inbox.offer(message(1, epoch=2, symbol="B-KRW"), 0)
    drain(inbox)
    publishers.heard(2, PATIENCE_NS)
    inbox.review(PATIENCE_NS + 1, "gone")
    assert [(book.symbol, book.state) for book in drain(inbox)] == [("A-KRW", State.STALE)]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("book"), st.integers(1, 2), st.integers(1, 3)),
            st.tuples(st.just("heard"), st.integers(1, 2), st.just(0)),
            st.tuples(st.just("wait"), st.integers(1, 2 * PATIENCE_NS), st.just(0)),
            st.tuples(st.just("take"), st.just(0), st.just(0)),
        ),
        max_size=60,
    )
)
def test_no_live_book_is_taken_after_a_review_in_silence(history: list[tuple[str, int, int]]) -> None:
    """The promise of the client, against any history: right after a review, a LIVE book's publisher was heard
    within the patience."""
    publishers = Publishers(PATIENCE_NS)
    inbox = BookInbox(publishers)
    now_ns = 0
    heard: dict[int, int] = {}
    revision = 0
    seen: set[str] = set()
    for what, number, other in history:
        if what == "book":
            revision += 1
            symbol = f"S{other}-KRW"
            inbox.offer(message(revision, epoch=number, symbol=symbol), now_ns)
            if symbol in seen:
                heard[number] = now_ns
            seen.add(symbol)
        elif what == "heard":
            publishers.heard(number, now_ns)
            heard[number] = now_ns
        elif what == "wait":
            now_ns += number
        inbox.review(now_ns, "gone")
        if what == "take":
            for book in drain(inbox):
                if book.live:
                    assert now_ns - heard[book.epoch] <= PATIENCE_NS


def test_patience_with_an_unheard_publisher_begins_at_the_first_question() -> None:
    publishers = Publishers(PATIENCE_NS)
    assert publishers.life(5, 1_000_000) is Life.UNKNOWN
    assert publishers.life(5, 1_000_000 + PATIENCE_NS) is Life.UNKNOWN
    assert publishers.life(5, 1_000_001 + PATIENCE_NS) is Life.SILENT
    assert publishers.life(6, 1_000_001 + PATIENCE_NS) is Life.UNKNOWN


def test_many_lives_are_not_remembered_for_ever() -> None:
    publishers = Publishers(PATIENCE_NS)
    for epoch in range(10_000):
        publishers.life(epoch, 0)
        publishers.heard(epoch, 0)
        publishers.heard(7, 0)
    assert publishers.life(7, 0) is Life.ALIVE
    publishers.heard(9_999, 5)
    assert publishers.life(9_999, PATIENCE_NS + 5) is Life.ALIVE
    assert publishers.life(0, 0) is Life.UNKNOWN
