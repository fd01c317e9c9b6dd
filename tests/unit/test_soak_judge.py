"""The judge of the soak must find what is wrong, stale, lost or out of order, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hoga.wire import pb
from services.simulator.options import Options
from services.simulator.venue import Venue
from services.simulator.venues.base import Answer
from tests.soak.judge import BUDGET_S, LIVE, Judge
from tests.soak.record import IN_FLIGHT_S, Bans, Record, WatchedServer

SYNCING = pb.BookState.BOOK_STATE_SYNCING
STEP_S = 0.25


class World:
    """One exchange, stepped by hand; books are published from its truth."""

    def __init__(self, code: str, clock: list[float]) -> None:
        self.code, self.clock = code, clock
        self.server = WatchedServer(Options(symbols=1, max_levels=60, exchanges=(code,), rate=4.0))
        self.record = Record(self.server)
        self.judge = Judge(self.server, self.record)
        self.native = self.server.venues[code].natives()[0]
        self.revision = 0

    def step(self, count: int = 1) -> None:
        venue = self.server.venues[self.code]
        assert isinstance(venue, Venue)
        for _ in range(count):
            self.clock[0] += STEP_S
            venue.step(self.native, int(self.clock[0] * 1000))

    def book(self, *, state: pb.BookState = LIVE, epoch: int = 1, depth: int = 20) -> pb.OrderBook:
        """The book as the last frame left it."""
        market = self.server.market.exchanges[self.code].symbols[self.native]
        view, listing = market.as_of_frame(), market.listing
        self.revision += 1
        return pb.OrderBook(
            exchange=self.code,
            symbol="BTC-X",
            native_symbol=self.native,
            state=state,
            epoch=epoch,
            revision=self.revision,
            sequence=view.seq if self.code in ("binance_spot", "bybit_spot") else 0,
            exchange_time_ns=view.time_ms * 1_000_000,
            price_exponent=-listing.price_decimals,
            size_exponent=-listing.size_decimals,
            bid_price=[price for price, _ in view.bids[:depth]],
            bid_size=[size for _, size in view.bids[:depth]],
            ask_price=[price for price, _ in view.asks[:depth]],
            ask_size=[size for _, size in view.asks[:depth]],
            proven_levels=10 if self.code == "kraken" else 0,
        )

    def publish(self, book: pb.OrderBook) -> None:
        self.judge.book("", book.SerializeToString())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [time.time()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def world(clock: list[float]) -> Callable[[str], World]:
    return lambda code: World(code, clock)


@pytest.mark.parametrize("code", ["binance_spot", "bybit_spot", "kraken", "coinbase"])
def test_true_books_are_right_and_current(world: Callable[[str], World], code: str) -> None:
    here = world(code)
    for _ in range(40):
        here.step()
        here.publish(here.book())
        here.judge.inspect()
    assert (here.judge.wrong, here.judge.stale, here.judge.checked[code]) == ([], [], 40)


@pytest.mark.parametrize("code", ["binance_spot", "bybit_spot", "kraken", "coinbase"])
@pytest.mark.parametrize("level", [0, 7, 19])
def test_one_wrong_size_is_found_at_any_level(world: Callable[[str], World], code: str, level: int) -> None:
    here = world(code)
    here.step(3)
    book = here.book()
    book.ask_size[level] += 1
    here.publish(book)
    assert len(here.judge.wrong) == 1
    assert here.judge.wrong[0].startswith("W")
    assert f"{level} levels are true" in here.judge.wrong[0]


def test_a_missing_level_and_an_empty_side_are_wrong(world: Callable[[str], World]) -> None:
    here = world("binance_spot")
    here.step(3)
    book = here.book()
    del book.bid_price[4], book.bid_size[4]
    here.publish(book)
    book = here.book()
    del book.bid_price[:], book.bid_size[:]
    here.publish(book)
    assert len(here.judge.wrong) == 2


def test_the_levels_of_another_id_are_wrong(world: Callable[[str], World]) -> None:
    here = world("binance_spot")
    here.step(3)
    old = here.book()
    here.step(10)
    new = here.book()
    old.sequence, old.revision = new.sequence, new.revision + 1
    here.publish(old)
    assert [line[0] for line in here.judge.wrong] == ["W"]


def test_an_id_that_has_not_happened_is_wrong(world: Callable[[str], World]) -> None:
    here = world("binance_spot")
    here.step(3)
    book = here.book()
    book.sequence += 10**6
    here.publish(book)
    assert [line[0] for line in here.judge.wrong] == ["W"]


def test_deep_levels_count_apart_only_after_tampering(world: Callable[[str], World]) -> None:
    here = world("kraken")
    here.step(3)
    book = here.book()
    book.bid_size[15] += 1
    here.publish(book)
    assert (len(here.judge.wrong), len(here.judge.deep)) == (1, 0)
    here.record.struck_s[here.code, here.native] = time.monotonic()
    book.revision += 1
    here.publish(book)
    assert (len(here.judge.wrong), len(here.judge.deep)) == (1, 1)
    book.bid_size[9] += 1
    book.revision += 1
    here.publish(book)
    assert (len(here.judge.wrong), len(here.judge.deep)) == (2, 1)


def test_a_book_that_is_wrong_below_its_proven_levels_is_judged_by_these_for_its_age(
    world: Callable[[str], World],
) -> None:
    here = world("kraken")
    for _ in range(int(2 * BUDGET_S / STEP_S)):
        here.step()
        here.record.struck_s[here.code, here.native] = time.monotonic()
        book = here.book()
        book.bid_size[15] += 1
        here.publish(book)
        here.judge.inspect()
    assert here.judge.deep
    assert here.judge.stale == []
    here.step(int(BUDGET_S / STEP_S) + 4)
    here.judge.inspect()
    assert len(here.judge.stale) == 1


@pytest.mark.parametrize("code", ["binance_spot", "kraken"])
def test_a_live_book_that_stands_still_is_stale_once(world: Callable[[str], World], code: str) -> None:
    here = world(code)
    here.step(3)
    here.publish(here.book())
    steps = int(BUDGET_S / STEP_S)
    here.step(steps - 1)
    here.judge.inspect()
    assert here.judge.stale == []
    here.step(4)
    here.judge.inspect()
    here.judge.inspect()
    assert len(here.judge.stale) == 1


def test_what_is_not_live_or_the_judge_could_not_see_is_not_stale(world: Callable[[str], World]) -> None:
    here = world("binance_spot")
    here.step(3)
    here.publish(here.book(state=SYNCING))
    here.step(60)
    here.judge.inspect()
    here.publish(here.book())
    here.step(60)
    here.judge.blind(1.0)
    here.judge.inspect()
    assert here.judge.stale == []


def test_ids_that_begin_anew_are_judged_by_their_life(world: Callable[[str], World]) -> None:
    here = world("bybit_spot")
    here.step(3)
    here.publish(here.book())
    old = here.book()
    here.server.faults.reset(here.code, here.native)
    here.step(2)
    here.publish(here.book())
    here.judge.inspect()
    assert (here.judge.wrong, here.judge.stale) == ([], [])
    assert here.judge.states[here.code, "BTC-X"].sequence < old.sequence
    old.revision = here.revision + 1
    here.publish(old)  # right at its own id, but of the life before: its high id hides nothing
    here.step(int(BUDGET_S / STEP_S) + 2)
    here.judge.inspect()
    assert here.judge.wrong == []
    assert len(here.judge.stale) == 1


def test_revisions_rise_and_epochs_do_not_fall(world: Callable[[str], World]) -> None:
    here = world("binance_spot")
    here.step(3)
    for epoch, revision in ((5, 1), (5, 2), (5, 2), (6, 1), (5, 9)):
        book = here.book(epoch=epoch)
        book.revision = revision
        here.publish(book)
    assert [line.split(": ")[1] for line in here.judge.wrong] == ["5/2 after 5/2", "5/9 after 6/1"]


def test_an_id_that_goes_back_must_be_announced_within_a_second(
    world: Callable[[str], World], clock: list[float]
) -> None:
    here = world("binance_spot")
    here.step()
    before = here.book()
    for announced in (True, False):
        here.step()
        here.publish(here.book())
        here.revision += 1
        back = pb.OrderBook.FromString(before.SerializeToString())
        back.revision = here.revision
        here.publish(back)
        if announced:
            event = pb.BookEvent(exchange=here.code, symbol="BTC-X", kind=pb.BookEvent.KIND_RENUMBERED)
            here.judge.event("", event.SerializeToString())
        clock[0] += 1.1
        here.judge.inspect()
        assert [line[0] for line in here.judge.wrong] == ["R"] * (not announced)


def test_detection_and_recovery_are_put_down_to_the_fault(world: Callable[[str], World]) -> None:
    here = world("binance_spot")
    here.step(3)
    here.publish(here.book())
    here.judge.caused("rst", here.code)
    here.step(2)
    here.publish(here.book(state=SYNCING))
    here.step(4)
    here.publish(here.book())
    assert here.judge.detections["rst"] == pytest.approx([2 * STEP_S])
    assert here.judge.recoveries["rst"] == pytest.approx([4 * STEP_S])


def test_a_loss_is_noticed_or_missed(world: Callable[[str], World]) -> None:
    here = world("binance_spot")
    here.step(3)
    here.publish(here.book())
    gaps = here.judge.gaps
    gaps.lost(here.code, here.native)
    here.publish(here.book(state=SYNCING))
    gaps.lost(here.code, here.native)
    here.record.delivered_s[here.code, here.native] = time.monotonic() + 5
    here.clock[0] += 20
    gaps.settle()
    assert (gaps.injected.total(), gaps.noticed.total(), len(gaps.missed)) == (2, 1, 1)


@pytest.mark.parametrize(("code", "frame_first", "superseded"), [
    ("binance_spot", False, 1), ("binance_spot", True, 0), ("bybit_spot", False, 0),
])  # fmt: skip
def test_a_loss_that_the_next_rest_snapshot_holds_needs_no_notice(
    world: Callable[[str], World], code: str, frame_first: bool, superseded: int
) -> None:
    here = world(code)
    here.step(3)
    here.publish(here.book())
    gaps = here.judge.gaps
    here.clock[0] += 1
    gaps.lost(here.code, here.native)
    here.clock[0] += 1
    if frame_first:
        here.record.delivered_s[here.code, here.native] = time.monotonic()
    here.server.on_snapshot(here.code, here.native)
    here.record.delivered_s[here.code, here.native] = time.monotonic() + 5
    here.clock[0] += 20
    gaps.settle()
    assert (gaps.superseded.total(), len(gaps.missed)) == (superseded, 1 - superseded)


def test_a_gap_without_a_loss_is_false(world: Callable[[str], World]) -> None:
    here = world("binance_spot")
    here.step(3)
    here.publish(here.book())
    event = pb.BookEvent(exchange=here.code, symbol="BTC-X", kind=pb.BookEvent.KIND_GAP, detail="2 ids are missing")
    here.judge.caused("drop", f"{here.code} {here.native}", gaps_s=5)
    here.judge.event("", event.SerializeToString())
    assert here.judge.gaps.false == []
    here.clock[0] += 6
    here.judge.event("", event.SerializeToString())
    assert len(here.judge.gaps.false) == 1


def test_requests_during_a_ban_are_counted_by_who_could_know() -> None:
    bans, began = Bans(), 100.0
    bans.request("upbit", "/v1/a", began)
    bans.answered("upbit", Answer(429, b"", {"Retry-After": "3"}), began)
    bans.request("upbit", "/v1/a", began + IN_FLIGHT_S / 2)
    bans.request("upbit", "/v1/a", began + IN_FLIGHT_S + 0.1)
    bans.request("bithumb", "/v1/a", began + 1)
    bans.forget("upbit")
    bans.request("upbit", "/v1/a", began + 2)
    bans.request("upbit", "/v1/a", began + 3.1)
    assert (bans.in_flight, len(bans.broken), bans.by_the_forgetful) == (1, 1, 1)
