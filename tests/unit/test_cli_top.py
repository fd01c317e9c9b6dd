"""`hoga top` counts right, forgets the dead, and fits the window."""

from __future__ import annotations

import pytest

from hoga.cli.board import FORGET_AFTER_NS, SILENT_AFTER_NS, Board
from hoga.cli.progress import Share, complaints, ready, shares, waiting_text
from hoga.cli.topview import draw
from hoga.client import BookView, State
from hoga.domain.types import Stamp
from hoga.exchanges import registry
from hoga.wire import pb

SECOND = 1_000_000_000


def health(service: str = "validator", *, books: int = 0, cpu: float = 0.0, instance: str = "a1") -> pb.Health:
    counts = pb.Health.ExchangeCounts(exchange="upbit", book_messages=books, raw_messages=books, gaps=2, dropped=1)
    return pb.Health(service=service, instance=instance, cpu_seconds=cpu, healthy=True, exchanges=[counts])


def link(frames: int, *, name: str = "l1", state: pb.LinkState = pb.LinkState.LINK_STATE_CONNECTED) -> pb.LinkStatus:
    return pb.LinkStatus(
        exchange="upbit",
        slot="upbit-0",
        link=name,
        state=state,
        frames=frames,
        bytes=frames * 100,
        symbols=["BTC-KRW", "ETH-KRW"],
    )


def book(symbol: str, state: State) -> BookView:
    return BookView(pb.OrderBook(exchange="upbit", symbol=symbol, state=pb.BookState.ValueType(int(state))))


def test_rates_are_growth_over_the_time_between_two_reports() -> None:
    board = Board()
    board.health(health(books=100, cpu=1.0), 0)
    board.health(health(books=150, cpu=1.2), 2 * SECOND)
    board.health(health("ingest-upbit", books=10), 0)
    board.health(health("ingest-upbit", books=110), SECOND)
    board.link(link(1000), 0)
    board.link(link(1500), SECOND)
    (row,) = board.exchanges(2 * SECOND)
    assert (row.books_per_s, row.raw_per_s, row.gaps, row.dropped) == (25.0, 100.0, 2, 2)
    assert board.processes(2 * SECOND)[1].cpu_share == pytest.approx(0.1)
    (connection,) = board.links(SECOND)
    assert (connection.frames_per_s, connection.bytes_per_s, connection.symbols) == (500.0, 50_000.0, 2)


def test_a_counter_that_starts_over_is_no_negative_rate() -> None:
    board = Board()
    board.health(health(books=1000), 0)
    board.health(health(books=5), SECOND)
    board.link(link(1000, name="l1"), 0)
    board.link(link(5000, name="l2"), SECOND)
    assert board.exchanges(SECOND)[0].books_per_s == 0
    assert board.links(SECOND)[0].frames_per_s == 0


def test_a_restarted_process_is_not_counted_twice() -> None:
    board = Board()
    for instance, at in (("old", 0), ("old", SECOND), ("new", 4 * SECOND), ("new", 5 * SECOND)):
        board.health(health(books=at // SECOND * 10, instance=instance), at)
    (row,) = board.exchanges(5 * SECOND)
    assert (row.books_per_s, row.gaps) == (10.0, 2)


def test_the_silent_are_told_and_then_forgotten() -> None:
    board = Board()
    board.health(health(), 0)
    board.link(link(1), 0)
    assert board.processes(SILENT_AFTER_NS)[0].silent_ns == 0
    assert board.processes(SILENT_AFTER_NS + 1)[0].silent_ns == SILENT_AFTER_NS + 1
    assert board.links(SILENT_AFTER_NS + 1)[0].silent_ns == SILENT_AFTER_NS + 1
    assert board.processes(FORGET_AFTER_NS + 1) == []
    assert board.links(FORGET_AFTER_NS + 1) == []


def test_a_closed_link_is_gone_at_once() -> None:
    board = Board()
    board.link(link(1), 0)
    board.link(link(1, state=pb.LinkState.LINK_STATE_CLOSED), 1)
    assert board.links(1) == []


def test_books_are_counted_by_state_and_replaced_by_the_next_count() -> None:
    board = Board()
    board.books([book("A", State.LIVE), book("B", State.LIVE), book("C", State.GAPPED)])
    (row,) = board.exchanges(0)
    assert (row.books, row.states[State.LIVE], row.states[State.GAPPED]) == (3, 2, 1)
    board.books([])
    assert board.exchanges(0) == []


@pytest.mark.parametrize("links", [1, 4, 30])
@pytest.mark.parametrize("processes", [1, 9, 40])
def test_the_picture_fits_80_by_24_and_says_what_it_leaves_out(links: int, processes: int) -> None:
    board = Board()
    board.books([book(f"S{number}", state) for number, state in enumerate(State)])
    for number in range(processes):
        report = health(f"ingest-{number}-with-a-very-long-name", instance="abcdef")
        report.reason = "요청이 거부되었습니다 " * 10
        report.healthy = number % 2 == 0
        board.health(report, 0)
    for number in range(links):
        status = link(number, state=pb.LinkState.LINK_STATE_BACKOFF)
        status.slot = f"upbit-{number}"
        board.link(status, 0)
    for silence in (0, 2 * SILENT_AFTER_NS):
        now = Stamp(silence, 1_771_579_800_000_000_000)
        lines = draw(board, now, "nats://127.0.0.1:4222", connected=True, width=80, height=24)
        text = "\n".join(line.plain for line in lines)
        assert len(lines) == 24
        assert all(line.cell_len <= 80 for line in lines)
        assert "업비트" in text
        assert "upbit-0" in text
        assert "ingest-0" in text
        assert ("more" in text) == (links + processes > 15)
        assert ("SILENT" in text) == (silence > 0)
        full = draw(board, now, "nats://127.0.0.1:4222", connected=True, width=80, height=0)
        assert len(full) == 2 + 2 + 1 + (1 + links) + 1 + (1 + processes)


def test_what_does_not_fit_is_counted() -> None:
    from hoga.cli.topview import _cut, _table

    table = _table((("NAME", 5),), [[(str(number), "")] for number in range(10)])
    cut = _cut(table, 6)
    assert len(cut) == 6
    assert cut[-1].plain == "… and 6 more"
    assert _cut(table, 11) is table


def test_an_empty_bus_is_said() -> None:
    lines = draw(Board(), Stamp(0, 0), "nats://x:1", connected=False, width=80, height=24)
    text = "\n".join(line.plain for line in lines)
    assert "nothing reports here yet" in text
    assert "NATS IS AWAY" in text


# How far `hoga up` is.


def test_shares_compare_live_books_with_what_the_links_subscribe() -> None:
    board = Board()
    board.link(link(1), 0)
    board.books([book("BTC-KRW", State.LIVE), book("ETH-KRW", State.SYNCING)])
    upbit, bithumb = shares(board, ["upbit", "bithumb"], 0)
    assert (upbit.live, upbit.wanted, upbit.name) == (1, 2, registry.get("upbit").korean_name)
    assert (bithumb.live, bithumb.wanted, bithumb.trouble) == (0, 0, "nothing is subscribed yet")


def share(live: int, wanted: int) -> Share:
    return Share("upbit", live, wanted, "connection refused")


def test_books_are_shown_when_all_are_live_or_patience_ends() -> None:
    assert ready([share(3, 3), share(2, 2)], 0.1, 0.0)
    assert not ready([share(3, 3), share(0, 0)], 0.1, 0.0)
    assert not ready([share(3, 3), share(1, 2)], 3.0, 1.0)
    assert ready([share(3, 3), share(1, 2)], 9.0, 7.0)
    assert not ready([share(3, 3), share(0, 2)], 20.0, 0.0)
    assert ready([share(3, 3), share(0, 2)], 30.0, 0.0)
    assert not ready([share(0, 3), share(0, 2)], 1e9, 0.0)


def test_who_has_no_book_is_named_with_the_reason() -> None:
    assert complaints([share(1, 2), share(0, 2)]) == ["업비트 (upbit): no LIVE book yet: connection refused"]
    assert complaints([share(0, 2)], lambda code: f"{code} says why") == [
        "업비트 (upbit): no LIVE book yet: upbit says why"
    ]
    assert waiting_text([share(1, 2), share(0, 0)]) == "waiting for books: 업비트 1/2, 업비트 …"
