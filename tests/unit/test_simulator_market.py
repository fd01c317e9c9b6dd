"""The synthetic market keeps its promises: ids as documented, books never crossed, and a past that is the truth."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.book import ASK, BID, TrueBook
from services.simulator.listings import Spec, specs
from services.simulator.market import ExchangeMarket, Market
from services.simulator.options import Options
from services.simulator.ticks import TickTable, banded, flat
from services.simulator.venues.base import Catalogue, Change, IdStyle, merge
from services.simulator.venues.numbers import floating, plain, rescale
from services.simulator.venues.registry import EMULATORS, emulated

START_MS = 1_790_000_000_000
STEP_MS = 50


def frames(market: ExchangeMarket, count: int, start_ms: int = START_MS) -> dict[str, list[Change]]:
    """Steps every market `count` times; the frames of each."""
    found: dict[str, list[Change]] = {native: [] for native in market.symbols}
    for round_ in range(count):
        now_ms = start_ms + round_ * STEP_MS
        for native, symbol in market.symbols.items():
            change = symbol.emit()
            if change is not None:
                found[native].append(change)
            symbol.generate(now_ms, now_ms + STEP_MS)
    return found


def small(code: str, **changes: object) -> ExchangeMarket:
    given_options: dict[str, object] = {"symbols": 10, "max_levels": 200, "exchanges": (code,), **changes}
    return Market(Options(**given_options), START_MS).exchanges[code]  # type: ignore[arg-type]


def test_spot_ids_are_consecutive_per_market() -> None:
    for native, changes in frames(small("binance_spot"), 200).items():
        assert all(change.first_seq <= change.last_seq for change in changes), native
        assert all(after.first_seq == before.last_seq + 1 for before, after in pairwise(changes)), native


def test_future_ids_are_linked_and_shared_with_holes() -> None:
    market = small("binance_future")
    everything = frames(market, 200)
    for native, changes in everything.items():
        assert all(after.prev_seq == before.last_seq for before, after in pairwise(changes)), native
        assert all(change.prev_seq < change.first_seq <= change.last_seq for change in changes), native
    busy = everything["BTCUSDT"]
    assert any(after.first_seq > before.last_seq + 1 for before, after in pairwise(busy))
    ends = [change.last_seq for changes in everything.values() for change in changes]
    assert len(set(ends)) == len(ends)


def test_a_book_built_from_changes_equals_the_truth_at_every_frame() -> None:
    for code in ("binance_future", "binance_spot"):
        market = small(code)
        books = {native: symbol.as_of_frame() for native, symbol in market.symbols.items()}
        sides = {native: (dict(book.bids), dict(book.asks)) for native, book in books.items()}
        for native, changes in frames(market, 120).items():
            for change in changes:
                for side, levels in zip(sides[native], (change.bids, change.asks), strict=True):
                    side |= dict(levels)
                bids = {price: size for price, size in sides[native][0].items() if size}
                asks = {price: size for price, size in sides[native][1].items() if size}
                symbol = market.symbols[native]
                view = symbol.view(symbol.true.at(seq=change.last_seq))
                assert (dict(view.bids), dict(view.asks)) == (bids, asks), (code, native, change.last_seq)


@pytest.mark.parametrize("code", emulated())
def test_a_book_is_never_crossed_or_empty_at_any_id(code: str) -> None:
    market = small(code, symbols=4, drift=20.0)
    frames(market, 60)
    for native, symbol in market.symbols.items():
        first = symbol.emitted_seq
        frames(market, 12, START_MS + 60 * STEP_MS)
        for seq in range(first, symbol.emitted_seq + 1, 7 if market.emulator.ids is IdStyle.SHARED else 1):
            sides = symbol.true.at(seq=seq)
            assert sides.bids, native
            assert sides.asks, native
            assert max(sides.bids) < min(sides.asks), (native, seq)
            assert min(sides.bids) > 0


def test_orphan_deletes_flickers_and_idle_ids_occur() -> None:
    market = small("binance_spot")
    book = market.symbols["BTCUSDT"].as_of_frame()
    known = {price for price, _ in book.bids} | {price for price, _ in book.asks}
    orphans = changes_seen = 0
    for change in frames(market, 300)["BTCUSDT"]:
        for price, size in change.bids + change.asks:
            changes_seen += 1
            if size:
                known.add(price)
            elif price not in known:
                orphans += 1
            else:
                known.discard(price)
        # A frame never has more changes than ids; usually fewer, because some ids touch a level twice or not at all.
        assert len(change.bids) + len(change.asks) <= change.last_seq - change.first_seq + 1
    assert orphans > changes_seen * 0.01


def test_equal_seeds_give_equal_markets_and_others_do_not() -> None:
    first, second = frames(small("upbit", seed=3), 40), frames(small("upbit", seed=3), 40)
    assert first == second
    assert frames(small("upbit", seed=4), 40) != first


def test_the_past_can_be_asked_for_and_ends_honestly() -> None:
    market = small("binance_spot", symbols=1, history_s=2.0)
    symbol = market.symbols["BTCUSDT"]
    seen = {}
    for round_ in range(600):
        now_ms = START_MS + round_ * STEP_MS
        change = symbol.emit()
        if change is not None:
            seen[change.last_seq] = symbol.top(10_000)
        symbol.generate(now_ms, now_ms + STEP_MS)
    recent = list(seen)[-30:]
    for seq in recent:
        then = symbol.view(symbol.true.at(seq=seq))
        assert (then.bids, then.asks) == (seen[seq].bids, seen[seq].asks)
    with pytest.raises(LookupError, match="not kept"):
        market.truth("BTCUSDT", seq=next(iter(seen)))
    with pytest.raises(LookupError, match="not happened"):
        market.truth("BTCUSDT", seq=symbol.true.seq + 1)
    with pytest.raises(KeyError):
        market.truth("NOPE")


def test_a_frame_of_whole_books_is_the_truth_at_its_time() -> None:
    for code in ("upbit", "bithumb"):
        market = small(code)
        for round_ in range(150):
            now_ms = START_MS + round_ * STEP_MS
            for native, symbol in market.symbols.items():
                change = symbol.emit()
                shown = symbol.top(30)
                symbol.generate(now_ms, now_ms + STEP_MS)
                if change is not None:
                    then = symbol.view(symbol.true.at(time_ms=change.time_ms), 30)
                    assert (then.bids, then.asks) == (shown.bids, shown.asks), (code, native)


def test_bithumb_repeats_about_half_of_its_frames_and_shows_zero_sizes() -> None:
    market = small("bithumb", symbols=6, quiet=0.0)
    found = frames(market, 300)
    repeats = sum(change.last_seq == change.prev_seq for changes in found.values() for change in changes)
    total = sum(len(changes) for changes in found.values())
    assert 0.4 < repeats / total < 0.6
    book = market.symbols["KRW-BTC"].as_of_frame()
    hidden = [size for _, size in book.bids + book.asks if rescale(size, 8, 4) == 0]
    assert hidden, "no level is small enough to be shown as size 0"
    shown = market.truth("KRW-BTC")
    assert len(shown["bids"]) + len(shown["asks"]) == len(book.bids) + len(book.asks) - len(hidden)


def test_prices_leave_the_range_of_an_old_snapshot() -> None:
    market = Market(Options(symbols=1, exchanges=("binance_future",), drift=6.0), START_MS).exchanges["binance_future"]
    symbol = market.symbols["BTCUSDT"]
    book = symbol.as_of_frame()
    assert len(book.bids) > 2000
    low, high = book.bids[999][0], book.asks[999][0]
    for round_ in range(2400):
        symbol.emit()
        symbol.generate(START_MS + round_ * STEP_MS, START_MS + (round_ + 1) * STEP_MS)
        if not low < symbol.as_of_frame().bids[0][0] < high:
            break
    else:
        pytest.fail("two minutes of strong drift stayed inside the first 1000 levels")
    assert len(symbol.as_of_frame().bids) > 200


def listed(code: str, count: int) -> list[Spec]:
    return specs(EMULATORS[code].catalogue, code, count, seed=1)


@pytest.mark.parametrize("code", emulated())
def test_five_hundred_markets_of_every_exchange_differ_and_turn_over_different_orders_of_magnitude(code: str) -> None:
    found = listed(code, 500)
    natives = [spec.listing.native for spec in found]
    assert len(set(natives)) == 500
    names = {(spec.listing.base, spec.listing.quote, spec.listing.delivery_ms) for spec in found}
    assert len(names) == 500, "two native ids of one market"
    assert [spec.listing.native for spec in listed(code, 20)] == natives[:20]
    comparable = [spec.turnover for spec in found if spec.listing.quote == found[0].listing.quote]
    assert max(comparable) / min(comparable) > 1e4


def test_the_first_ten_markets_hold_the_odd_ones() -> None:
    futures = [spec.listing for spec in listed("binance_future", 10)]
    assert {"dated", "perpetual"} == {listing.kind for listing in futures}
    assert any(not listing.native.isascii() for listing in futures)
    assert "1000SHIB" in {listing.base for listing in futures}
    assert {spec.listing.quote for spec in listed("upbit", 10)} == {"KRW", "BTC", "USDT"}
    assert "ETHBTC" in {spec.listing.native for spec in listed("binance_spot", 10)}


def test_a_catalogue_alone_makes_a_market_of_contracts() -> None:
    catalogue = Catalogue("derivatives", "USDT", lambda base, quote, day: f"{base}-{quote}{day}", 0.5, contracts=True)
    found = {spec.listing.base: spec for spec in specs(catalogue, "new_exchange", 40, seed=1)}
    sizes = {base: spec.listing.contract_size for base, spec in found.items()}
    assert (sizes["BTC"], sizes["ETH"], sizes["DOGE"]) == ("0.01", "0.1", "10000")
    assert "SHIB" in sizes, "contracts make thousandfold tokens needless"
    for base, spec in found.items():
        assert Decimal("100") < Decimal(sizes[base]) * Decimal(spec.usd) < Decimal("2000"), base
    market = small("binance_spot")
    market.add(found["BTC"], START_MS)
    market.add(replace(found["BTC"], listing=replace(found["BTC"].listing, native="UNITS"), unit=1.0), START_MS)
    contracts, units = (market.truth(native)["bids"] for native in (found["BTC"].listing.native, "UNITS"))
    mean_contracts, mean_units = (sum(float(size) for _, size in side) / len(side) for side in (contracts, units))
    assert 20 < mean_contracts / mean_units < 500  # a contract is a hundredth of a bitcoin


UPBIT_KRW = [
    ("1000000", "1000"), ("500000", "500"), ("100000", "100"), ("50000", "50"), ("10000", "10"), ("5000", "5"),
    ("1000", "1"), ("100", "1"), ("10", "0.1"), ("1", "0.01"), ("0.1", "0.001"), ("0.01", "0.0001"),
]  # fmt: skip


def test_upbit_won_prices_stand_on_the_published_ticks() -> None:
    market = small("upbit", symbols=60)
    frames(market, 20)
    checked = 0
    for native in [native for native in market.symbols if native.startswith("KRW-")]:
        truth = market.truth(native)
        for price, _ in truth["bids"] + truth["asks"]:
            tick = next((Decimal(tick) for floor, tick in UPBIT_KRW if Decimal(price) >= Decimal(floor)), None)
            if tick is not None:
                checked += 1
                assert Decimal(price) % tick == 0, (native, price)
    assert checked > 1000


BANDS = [bands for emulator in EMULATORS.values() for bands in emulator.catalogue.bands.values()]


@pytest.mark.parametrize("ticks", [flat("0.10", 2), *(banded(bands) for bands in BANDS)])
def test_tick_tables_count_every_price_once(ticks: TickTable) -> None:
    prices = [ticks.price(index) for index in range(60_000)]
    assert all(before < after for before, after in pairwise(prices))
    for index in range(1, 60_000, 997):
        assert round(ticks.index(prices[index] / 10**ticks.decimals)) == index


levels = st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 12), st.integers(0, 3))


@settings(max_examples=200, deadline=None)
@given(st.lists(levels, min_size=1, max_size=60))
def test_the_book_at_any_earlier_id_is_the_copy_taken_then(changes: list[tuple[int, int, int]]) -> None:
    true = TrueBook()
    true.start(100, 1000, {5: 1}, {8: 1})
    copies = {100: (dict(true.lots[BID]), dict(true.lots[ASK]))}
    for number, (side, index, lots) in enumerate(changes, start=1):
        true.change(100 + 2 * number, 1000 + number, side, index, lots)
        copies[100 + 2 * number] = (dict(true.lots[BID]), dict(true.lots[ASK]))
        assert true.ranks == ([-i for i in sorted(true.lots[BID], reverse=True)], sorted(true.lots[ASK]))
    for seq, (bids, asks) in copies.items():
        for asked in (seq, seq + 1):  # an id between two changes is the book after the earlier one
            sides = true.at(seq=asked)
            assert (sides.seq, sides.bids, sides.asks) == (seq, bids, asks)
    assert true.at(time_ms=1001).seq == 102


@given(st.integers(0, 10**17), st.integers(0, 8))
def test_number_texts_mean_the_mantissa(mantissa: int, decimals: int) -> None:
    exact = Decimal(mantissa).scaleb(-decimals)
    assert Decimal(floating(mantissa, decimals)) == exact
    assert Decimal(plain(mantissa, decimals)) == exact
    assert "E" not in plain(mantissa, decimals)


def test_numbers_look_as_recorded() -> None:
    assert floating(116539000 * 10**8, 8) == "1.16539E8"
    assert floating(99, 8) == "9.9E-7"
    assert floating(6, 8) == "6E-8"
    assert floating(12221, 8) == "0.00012221"
    assert floating(127 * 10**8, 8) == "127.0"
    assert plain(478800 * 10**4, 4) == "478800"


def test_merged_changes_are_one_link_of_the_chain() -> None:
    first = Change(11, 14, 10, 1000, [(5, 1), (6, 2)], [])
    second = Change(15, 19, 14, 1100, [(6, 0)], [(9, 4)])
    assert merge([first, second]) == Change(11, 19, 10, 1100, [(5, 1), (6, 0)], [(9, 4)])
