"""Promises of the builder with REST snapshots, over every history, cut and mishap that hypothesis can think of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.domain.actions import Publish, RequestSnapshot
from hoga.domain.rules import BookRules
from hoga.domain.types import GapPolicy, State, Update
from hoga.testing.histories import FIRST_ID, History, histories, lines
from tests.support.driver import Driver, at, rest

ALL = 10_000


def book_of(keeper: Driver, depth: int = ALL) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    book = keeper.book
    assert book.price_decimals == book.size_decimals == 0
    return list(zip(*book.top_bids(depth), strict=True)), list(zip(*book.top_asks(depth), strict=True))


def keeper(policy: GapPolicy = GapPolicy.CONTINUE, depth: int = 5, links: str = "a") -> Driver:
    made = rest(BookRules(depth=depth, gap_policy=policy))
    for link in links:
        made.open(link, at(0))
    return made


def check_truth(subject: Driver, history: History) -> None:
    """The oracle: whatever calls itself LIVE is the truth at its id."""
    if subject.state is State.LIVE:
        assert book_of(subject) == history.at(subject.sequence)


@given(st.data())
def test_any_snapshot_joined_to_the_whole_stream_ends_at_the_reference(data: st.DataObject) -> None:
    history = data.draw(histories())
    line = data.draw(lines(history))
    snapshot_id = data.draw(st.integers(FIRST_ID, history.last))
    arrives_after = data.draw(st.integers(0, len(line)))
    subject = keeper()
    for index, update in enumerate(line):
        if index == arrives_after:
            subject.snapshot(history.snapshot(snapshot_id), 0, at(index))
            check_truth(subject, history)
        subject.receive(update, "a", at(index))
        check_truth(subject, history)
    if arrives_after == len(line):
        subject.snapshot(history.snapshot(snapshot_id), 0, at(len(line)))
    assert subject.state is State.LIVE
    assert subject.sequence == history.last
    assert book_of(subject) == history.at(history.last)
    assert subject.counters.gaps == subject.counters.reversals == 0


@given(st.data())
def test_a_lost_delta_is_seen_at_the_very_next_one_and_healed_by_a_snapshot(data: st.DataObject) -> None:
    history = data.draw(histories(min_changes=6))
    line = history.line(list(range(1, len(history.changes), 2)))
    victim = data.draw(st.integers(0, len(line) - 2))
    subject = keeper()
    subject.snapshot(history.snapshot(FIRST_ID), 0, at(0))
    if victim == 0:
        subject.receive(history.delta(0, 0), "a", at(0))  # proves the snapshot: nothing happened before
    for index, update in enumerate(line):
        if index == victim:
            continue
        actions = subject.receive(update, "a", at(index))
        if index < victim:
            assert subject.state is State.LIVE
        elif index == victim + 1:
            assert subject.state is State.GAPPED
            assert subject.counters.gaps == 1
            assert subject.missing == line[victim].seq - line[victim].prev_seq
            assert any(isinstance(action, Publish) for action in actions)
            assert any(isinstance(action, RequestSnapshot) for action in actions)
        else:
            assert subject.state is not State.LIVE
    subject.snapshot(history.snapshot(history.last), 0, at(1000))
    assert subject.state is State.LIVE
    assert subject.missing == 0
    assert book_of(subject) == history.at(history.last)


@given(st.data())
def test_two_lines_cut_differently_and_interleaved_end_at_the_reference(data: st.DataObject) -> None:
    history = data.draw(histories())
    queues = {"a": data.draw(lines(history)), "b": data.draw(lines(history))}
    subject = keeper(links="ab")
    subject.snapshot(history.snapshot(FIRST_ID), 0, at(0))
    while queues["a"] or queues["b"]:
        name = data.draw(st.sampled_from([name for name, queue in queues.items() if queue]))
        subject.receive(queues[name].pop(0), name, at(1))
        check_truth(subject, history)
    assert subject.state is State.LIVE
    assert book_of(subject) == history.at(history.last)
    assert subject.counters.gaps == subject.counters.reversals == 0


@given(st.data())
def test_repeated_deltas_change_nothing(data: st.DataObject) -> None:
    history = data.draw(histories())
    subject = keeper()
    subject.snapshot(history.snapshot(FIRST_ID), 0, at(0))
    for update in data.draw(lines(history)):
        for _ in range(data.draw(st.integers(1, 3))):
            subject.receive(update, "a", at(1))
        check_truth(subject, history)
    assert subject.state is State.LIVE
    assert book_of(subject) == history.at(history.last)


@given(st.data())
def test_an_id_that_goes_backwards_ends_liveness_until_a_snapshot_joins(data: st.DataObject) -> None:
    history = data.draw(histories(min_changes=6))
    line = history.line(list(range(1, len(history.changes))))
    subject = keeper()
    subject.snapshot(history.snapshot(FIRST_ID), 0, at(0))
    stop = data.draw(st.integers(2, len(line) - 1))
    for update in line[:stop]:
        subject.receive(update, "a", at(1))
    backwards = line[data.draw(st.integers(0, stop - 2))]
    subject.receive(backwards, "a", at(2))
    assert subject.state is State.SYNCING
    assert subject.counters.reversals == 1
    for update in line[stop:]:
        subject.receive(update, "a", at(3))
        assert subject.state is State.SYNCING
    subject.snapshot(history.snapshot(history.last), 0, at(4))
    assert subject.state is State.LIVE
    assert book_of(subject) == history.at(history.last)


MISHAPS = st.sampled_from(["send", "send", "send", "lose", "repeat", "swap", "old snapshot", "snapshot", "reconnect"])


@settings(max_examples=400)
@given(st.data())
def test_whatever_happens_a_live_book_is_the_truth_at_its_id(data: st.DataObject) -> None:
    history = data.draw(histories(max_changes=60))
    policy = data.draw(st.sampled_from(list(GapPolicy)))
    line = data.draw(lines(history))
    subject = keeper(policy, links="")
    subject.open("link0", at(0))
    told, now, link = FIRST_ID, 0, 0
    index = 0
    while index < len(line):
        now += data.draw(st.sampled_from([1, 50, 20_000]))
        match data.draw(MISHAPS):
            case "send":
                subject.receive(line[index], f"link{link}", at(now))
                told = line[index].seq
                index += 1
            case "lose":
                index += 1
            case "repeat":
                if index:
                    subject.receive(line[index - 1], f"link{link}", at(now))
            case "swap" if index + 1 < len(line):
                for update in (line[index + 1], line[index]):
                    subject.receive(update, f"link{link}", at(now))
                    check_truth(subject, history)
                index += 2
            case "old snapshot":
                old = data.draw(st.integers(FIRST_ID, told))
                subject.snapshot(history.snapshot(old), 0, at(now))
            case "snapshot":
                # A snapshot may be ahead of the stream, never behind the moment it was asked for.
                fresh = data.draw(st.integers(line[index].prev_seq, history.last))
                subject.snapshot(history.snapshot(fresh), 0, at(now))
            case "reconnect":
                subject.close(f"link{link}", at(now))
                assert subject.state is not State.LIVE
                link += 1
                subject.open(f"link{link}", at(now))
                assert subject.state is not State.LIVE, "nothing arrived over the new link yet"
            case _:
                pass
        check_truth(subject, history)
        subject.tick(at(now))
    # In the end, with a fresh snapshot and one more delta, every policy but the literal one is LIVE again.
    subject.snapshot(history.snapshot(history.last), 0, at(now + 1))
    tail = Update("BTCUSDT", False, [], [], prev_seq=history.last, seq=history.last + 1)
    subject.receive(tail, f"link{link}", at(now + 2))
    subject.snapshot(Update("BTCUSDT", True, *_levels(history), seq=history.last + 1), 0, at(now + 3))
    if policy is not GapPolicy.IGNORE:
        assert subject.state is State.LIVE
        assert book_of(subject) == history.at(history.last)


@given(st.data())
def test_levels_that_are_called_known_are_the_true_best_levels(data: st.DataObject) -> None:
    """A snapshot of few levels proves few: whatever is counted as known equals the truth, however far prices move."""
    history = data.draw(histories(max_changes=60))
    limit = data.draw(st.integers(1, 6))
    subject = keeper(depth=1)
    subject.snapshot(history.snapshot(FIRST_ID, limit), limit, at(0))
    for update in data.draw(lines(history)):
        subject.receive(update, "a", at(1))
        bids, asks = book_of(subject)
        true_bids, true_asks = history.at(subject.sequence)
        assert bids[: subject.book.bids_known] == true_bids[: subject.book.bids_known]
        assert asks[: subject.book.asks_known] == true_asks[: subject.book.asks_known]


def _levels(history: History):
    snapshot = history.snapshot(history.last)
    return snapshot.bids, snapshot.asks
