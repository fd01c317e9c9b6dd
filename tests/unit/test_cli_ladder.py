"""The ladder shows what the book says, in every terminal."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hoga.cli.book import as_json, show
from hoga.cli.ladder import Ladder
from hoga.cli.watch import as_line
from hoga.client import BookView, Phase, State
from hoga.wire import pb

LIVE = pb.BookState.BOOK_STATE_LIVE
prices = st.lists(st.integers(1, 10**13), min_size=0, max_size=30, unique=True)
sizes = st.integers(1, 2**63 - 1)


def view(
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    *,
    price_exponent: int = -2,
    size_exponent: int = -8,
    state: State = State.LIVE,
    **fields: int | str,
) -> BookView:
    return BookView(
        pb.OrderBook(
            exchange="binance_future",
            symbol="BTC-USDT",
            state=pb.BookState.ValueType(int(state)),
            bid_price=[price for price, _ in bids],
            bid_size=[size for _, size in bids],
            ask_price=[price for price, _ in asks],
            ask_size=[size for _, size in asks],
            price_exponent=price_exponent,
            size_exponent=size_exponent,
            **fields,  # type: ignore[arg-type]
        )
    )


@st.composite
def books(draw: st.DrawFn) -> BookView:
    bids = sorted(draw(prices), reverse=True)
    asks = sorted(draw(prices))
    return view(
        [(price, draw(sizes)) for price in bids],
        [(price, draw(sizes)) for price in asks],
        price_exponent=draw(st.integers(-12, 3)),
        size_exponent=draw(st.integers(-18, 2)),
        state=draw(st.sampled_from(list(State))),
        reason=draw(st.sampled_from(["", "gap of 12 ids", "링크가 끊겼습니다 " * 20])),
    )


@given(books(), st.integers(80, 200), st.integers(1, 20))
def test_the_picture_is_as_large_as_asked_for_whatever_the_book(book: BookView, width: int, rows: int) -> None:
    ladder = Ladder("바이낸스 선물")
    lines = ladder.levels(book, width, rows)
    assert len(lines) == 2 * rows + 2
    assert all(line.cell_len <= width for line in [*ladder.head(book, width), lines[0], lines[rows + 1]])
    asks = [line.plain for line in lines[1 : rows + 1] if line.plain.strip()]
    bids = [line.plain for line in lines[rows + 2 :] if line.plain.strip()]
    assert len(asks) == min(rows, len(book.asks))
    assert len(bids) == min(rows, len(book.bids))
    best = asks[-1].split()[-1].replace(",", "") if asks else None
    assert best is None or Decimal(best) == book.asks[0].price


def test_a_book_of_everyday_numbers_fits_80_columns_with_bars() -> None:
    bids = [(9_500_000_000 - step, 10**8 * (step + 1)) for step in range(9)]
    asks = [(9_500_000_100 + step, 10**6 * (step + 1)) for step in range(9)]
    lines = Ladder("업비트").levels(view(bids, asks), 80, 9)
    assert all(line.cell_len <= 80 for line in lines)
    assert sum("█" in line.plain for line in lines) >= 8
    assert "spread 1.00" in lines[10].plain


def test_the_smallest_level_still_has_a_bar_and_the_largest_the_longest() -> None:
    lines = Ladder("x").levels(view([(100, 10**12), (99, 1)], [(101, 1)]), 80, 2)
    bars = ["".join(char for char in line.plain if char in "█▐▏▎▍▌▋▊▉") for line in lines]
    assert [len(bar) > 0 for bar in bars] == [False, False, True, False, True, True]
    assert len(bars[4]) > 10 * len(bars[5])


def test_the_best_prices_meet_in_the_middle() -> None:
    lines = Ladder("x").levels(view([(100, 5), (99, 6)], [(101, 7), (102, 8)], size_exponent=0), 80, 2)
    numbers = [line.plain.replace("█", "").replace("▐", "").split()[:2] for line in lines]
    assert numbers[1] == ["8", "1.02"]
    assert numbers[2] == ["7", "1.01"]
    assert numbers[4] == ["1.00", "5"]
    assert numbers[5][:1] == ["0.99"]


def test_columns_do_not_jump_when_digits_come_and_go() -> None:
    ladder = Ladder("x")
    wide = ladder.levels(view([(10012, 5)], [(10013, 7)]), 80, 1)
    narrow = ladder.levels(view([(10000, 5)], [(10100, 7)]), 80, 1)
    assert "101.00" in narrow[1].plain
    assert wide[1].plain.index("100.13") == narrow[1].plain.index("101.00")


def test_a_live_picture_rounds_long_sizes_and_an_exact_one_never() -> None:
    book = view([(100, 123_456_789_012_345_678)], [(101, 1)], size_exponent=-18)
    rounded = Ladder("x").levels(book, 80, 1)
    exact = Ladder("x", exact=True).levels(book, 80, 1)
    assert "0.123456789012345678" in exact[3].plain
    assert "0.123456789012345678" not in rounded[3].plain
    assert "0.1234567890" in rounded[3].plain


@pytest.mark.parametrize("state", [state for state in State if state is not State.LIVE])
def test_what_is_not_live_says_so_and_why(state: State) -> None:
    head = Ladder("x").head(view([], [], state=state, reason="because of this", missing=7), 80)
    text = "\n".join(line.plain for line in head)
    assert state.name in text
    assert "because of this" in text
    assert "7 ids missing" in text


@pytest.mark.parametrize(
    ("state", "phase", "said"),
    [
        (State.LIVE, Phase.TRADING, "LIVE no ids"),
        (State.LIVE, Phase.LIMIT_ONLY, "LIVE limit only no ids"),
        (State.HALTED, Phase.AUCTION, "HALTED auction no ids"),
    ],
)
def test_a_phase_that_says_something_stands_beside_the_state(state: State, phase: Phase, said: str) -> None:
    book = view([(1, 1)], [(2, 1)], state=state, phase=int(phase))
    assert said in Ladder("x").head(book, 80)[0].plain
    assert as_json(book)["phase"] == phase.name


def test_a_live_book_has_no_reason_line_and_an_empty_side_is_said() -> None:
    ladder = Ladder("x")
    assert len(ladder.head(view([(1, 1)], []), 80)) == 2
    assert "one side is empty" in ladder.levels(view([(1, 1)], []), 80, 1)[2].plain
    assert "no levels" in ladder.levels(view([], []), 80, 1)[2].plain


def test_json_is_exact_text_as_deep_as_asked_for() -> None:
    book = view([(6150010, 120_000_000), (6150000, 1)], [(6150020, 10**8)])
    fields = json.loads(json.dumps(as_json(book, depth=1)))
    assert fields["bids"] == [["61500.1", "1.2"]]
    assert fields["asks"] == [["61500.2", "1"]]
    assert len(as_json(book)["bids"]) == 2
    assert fields["state"] == "LIVE"


def test_a_printed_book_has_a_row_for_each_level_and_no_blank_ones() -> None:
    out = io.StringIO()
    show(view([(3, 1), (2, 1), (1, 1)], [(4, 1)]), 10, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2 + 1 + 1 + 1 + 3
    assert all(line.strip() for line in lines)


def test_a_line_of_a_stream_reads_outwards_from_the_spread() -> None:
    book = view([(10, 100), (9, 200)], [(11, 1)], price_exponent=0, publish_time_ns=1_771_579_800_123_000_000)
    assert as_line(book, 2) == "09:30:00.123 LIVE 9 × 0.00000200  10 × 0.00000100 | 11 × 0.00000001"
    stale = view([], [], state=State.STALE, reason="its link is silent")
    assert as_line(stale, 1).endswith("STALE - | -  (its link is silent)")
