"""Ids that go back are seen, unless something said that they would."""

import pytest

from hoga.wire import pb
from tests.support.published import Published

State, Kind = pb.BookState, pb.BookEvent


def book(revision, seq, state=State.BOOK_STATE_LIVE, epoch=1):
    return pb.OrderBook(epoch=epoch, revision=revision, sequence=seq, state=state)


@pytest.fixture
def published():
    published = Published()
    assert not published.book(book(1, 100))
    return published


@pytest.mark.parametrize("state", ["LIVE", "GAPPED", "STALE", "CROSSED"])
def test_an_id_that_goes_back_unsaid_is_found_in_every_state(published, state):
    assert not published.book(book(2, 100))
    assert "id 99 after 100" in published.book(book(3, 99, State.Value(f"BOOK_STATE_{state}")))
    assert not published.book(book(4, 99))


@pytest.mark.parametrize("kind", ["RENUMBERED", "REVERSAL", "RESYNC_FINISHED"])
def test_an_announced_step_back_is_right_once(published, kind):
    published.event(pb.BookEvent(kind=Kind.Kind.Value(f"KIND_{kind}")))
    assert not published.book(book(2, 50))
    assert published.book(book(3, 49))


@pytest.mark.parametrize("kind", ["GAP", "STALE", "RESYNC_STARTED", "AUDIT_AGREED"])
def test_other_events_announce_nothing(published, kind):
    published.event(pb.BookEvent(kind=Kind.Kind.Value(f"KIND_{kind}")))
    assert published.book(book(2, 50))


@pytest.mark.parametrize("between", [book(2, 100, State.BOOK_STATE_SYNCING), book(2, 0), book(2, 9, 6)])
def test_a_book_that_stands_nowhere_announces(published, between):
    assert not published.book(between)
    assert not published.book(book(3, 50))


def test_a_hole_in_the_revisions_and_another_epoch_say_it_themselves(published):
    assert not published.book(book(3, 50))
    assert not published.book(book(1, 40, epoch=2))
