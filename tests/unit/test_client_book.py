"""A book view gives exactly what was published, in whatever form it is asked for."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.client import BookView, Phase, State
from hoga.domain.errors import FrameError
from hoga.wire import pb

mantissas = st.integers(min_value=-(2**63), max_value=2**63 - 1)
levels = st.lists(st.tuples(mantissas, mantissas), max_size=8)
exponents = st.integers(min_value=-20, max_value=6)


def book(**fields: object) -> BookView:
    message = pb.OrderBook(exchange="upbit", symbol="BTC-KRW", state=pb.BookState.BOOK_STATE_LIVE, **fields)  # type: ignore[arg-type]
    return BookView.decode(message.SerializeToString())


def columns(name: str, rows: list[tuple[int, int]]) -> dict[str, list[int]]:
    return {f"{name}_price": [price for price, _ in rows], f"{name}_size": [size for _, size in rows]}


@given(levels, levels, exponents, exponents)
def test_decimals_are_the_published_integers_whatever_the_callers_precision(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], price_exponent: int, size_exponent: int
) -> None:
    view = book(
        **columns("bid", bids), **columns("ask", asks), price_exponent=price_exponent, size_exponent=size_exponent
    )
    with localcontext() as context:
        context.prec = 3
        got = [(Fraction(price), Fraction(size)) for price, size in view.bids]
        best = view.best_ask
    ten = Fraction(10)
    assert got == [(price * ten**price_exponent, size * ten**size_exponent) for price, size in bids]
    assert best == (view.asks[0] if asks else None)


def test_contracts_and_what_is_proven_are_told() -> None:
    view = book(proven_levels=10, contract_size="0.001", contract_currency="BTC")
    assert (view.proven_levels, view.contract_size, view.contract_currency) == (10, Decimal("0.001"), "BTC")
    assert (book().proven_levels, book().contract_size, book().contract_currency) == (0, None, "")


@pytest.mark.parametrize("text", ["x", "1e9", "-1", "NaN", "0." + "1" * 40, ".5"])
def test_a_contract_size_that_is_no_decimal_is_no_book(text: str) -> None:
    with pytest.raises(FrameError, match="contract size"):
        book(contract_size=text)


@given(levels, levels, exponents, exponents)
def test_floats_and_arrays_are_the_nearest_to_the_decimals(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], price_exponent: int, size_exponent: int
) -> None:
    view = book(
        **columns("bid", bids), **columns("ask", asks), price_exponent=price_exponent, size_exponent=size_exponent
    )
    for exact, floats, array in zip((view.bids, view.asks), view.to_floats(), view.to_numpy(), strict=True):
        assert floats == [(float(price), float(size)) for price, size in exact]
        assert array.dtype == numpy.float64
        assert array.shape == (len(exact), 2)
        assert [tuple(row) for row in array.tolist()] == floats


@given(mantissas, mantissas, exponents)
def test_mid_and_spread_are_exact(bid: int, ask: int, exponent: int) -> None:
    view = book(bid_price=[bid], bid_size=[1], ask_price=[ask], ask_size=[1], price_exponent=exponent)
    low, high = Fraction(view.bids[0].price), Fraction(view.asks[0].price)
    assert view.mid is not None
    assert view.spread is not None
    assert Fraction(view.mid) == (low + high) / 2
    assert Fraction(view.spread) == high - low


def test_decimals_keep_the_digits_of_the_price_grid_and_never_an_exponent() -> None:
    fine = book(bid_price=[6150010], bid_size=[12], price_exponent=-2, size_exponent=-1)
    assert str(fine.bids[0].price) == "61500.10"
    coarse = book(bid_price=[95000], bid_size=[1], price_exponent=3)
    assert str(coarse.bids[0].price) == "95000000"


def test_an_empty_side_has_no_best_price() -> None:
    view = book(bid_price=[1], bid_size=[1])
    assert view.best_bid == (Decimal(1), Decimal(1))
    assert (view.best_ask, view.mid, view.spread) == (None, None, None)
    assert view.to_numpy()[1].shape == (0, 2)


@pytest.mark.parametrize("state", list(State))
def test_every_state_reads_back_and_only_live_is_a_promise(state: State) -> None:
    view = BookView(pb.OrderBook(state=pb.BookState.ValueType(int(state)), reason="because"))
    assert view.state is state
    assert view.live == (state is State.LIVE)
    assert view.reason == "because"


@pytest.mark.parametrize("number", [0, 7, 99])
def test_a_state_of_a_later_version_is_no_promise(number: int) -> None:
    view = BookView(pb.OrderBook.FromString(pb.OrderBook(state=number).SerializeToString()))  # type: ignore[arg-type]
    assert view.state is State.SYNCING
    assert not view.live
    assert str(number) in view.reason


@pytest.mark.parametrize(("number", "phase"), [(0, Phase.UNKNOWN), (4, Phase.AUCTION), (99, Phase.UNKNOWN)])
def test_a_phase_of_a_later_version_is_not_known(number: int, phase: Phase) -> None:
    assert book(phase=number).phase is phase


def test_a_doubted_book_is_stale_unless_it_was_worse_before() -> None:
    live = BookView(pb.OrderBook(state=pb.BookState.BOOK_STATE_LIVE))
    assert live.doubted("nobody is there").state is State.STALE
    assert live.doubted("nobody is there").reason == "nobody is there"
    gapped = BookView(pb.OrderBook(state=pb.BookState.BOOK_STATE_GAPPED))
    assert gapped.doubted("nobody is there").state is State.GAPPED


def test_age_is_counted_from_publishing() -> None:
    assert book(publish_time_ns=1_000).age_ns(3_500) == 2_500


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff\xff",
        b"not protobuf at all",
        pb.OrderBook(bid_price=[1, 2], bid_size=[1]).SerializeToString(),
        pb.OrderBook(ask_price=[1], ask_size=[]).SerializeToString(),
        pb.OrderBook(price_exponent=-(2**31)).SerializeToString(),
        pb.OrderBook(size_exponent=65).SerializeToString(),
    ],
)
def test_what_is_no_book_is_refused_when_it_is_read_and_not_later(payload: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        BookView.decode(payload)
    assert caught.value.reason == "shape"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_book_or_a_frame_error(payload: bytes) -> None:
    try:
        view = BookView.decode(payload)
    except FrameError:
        return
    assert len(view.bids) == len(view.to_floats()[0])
    assert repr(view)
