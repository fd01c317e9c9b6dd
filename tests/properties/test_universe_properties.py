"""What the universe's rules promise, for any market."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hoga.domain.rates import MarketPrice, rates
from hoga.domain.universe import Candidate, Member, Reason, Rules, Selection, select

SYMBOLS = [f"{base}-{quote}" for base in "ABCDEFGH" for quote in ("USDT", "KRW", "BTC")]

turnovers = st.decimals(min_value=0, max_value=10**12, places=2)


@st.composite
def markets(draw: st.DrawFn) -> list[Candidate]:
    found = []
    for symbol in draw(st.lists(st.sampled_from(SYMBOLS), unique=True)):
        turnover = draw(st.none() | st.sampled_from([Decimal(n * 100) for n in range(8)]) | turnovers)
        why = "no rate" if turnover is None else ""
        found.append(Candidate(symbol, symbol, symbol.split("-")[1], draw(st.booleans()), turnover, why))
    return found


@st.composite
def rule_sets(draw: st.DrawFn) -> Rules:
    include = draw(st.frozensets(st.sampled_from(SYMBOLS), max_size=3))
    return Rules(
        top_n=draw(st.integers(0, 12)),
        min_turnover=draw(st.sampled_from([Decimal(0), Decimal(150), Decimal(300)]) | turnovers),
        quotes=draw(st.frozensets(st.sampled_from(["USDT", "KRW", "BTC"]), max_size=2)),
        include=include,
        exclude=draw(st.frozensets(st.sampled_from(SYMBOLS), max_size=3)) - include,
        hysteresis=draw(st.sampled_from([Decimal(0), Decimal("0.2"), Decimal("0.5"), Decimal(1)])),
    )


@st.composite
def standing(draw: st.DrawFn) -> list[Member]:
    """A selection that stands; its measured turnovers may be of another day."""
    return [
        Member(symbol, symbol, draw(st.none() | turnovers), draw(st.sampled_from(Reason)))
        for symbol in draw(st.lists(st.sampled_from([*SYMBOLS, "GONE-USDT"]), unique=True))
    ]


def names(selection: Selection) -> set[str]:
    return {member.symbol for member in selection.members}


def ranked(selection: Selection) -> Iterable[Member]:
    return (member for member in selection.members if member.reason is not Reason.INCLUDE)


@settings(deadline=None)
@given(markets(), rule_sets(), standing())
def test_never_more_than_the_band_holds_beside_the_included(
    market: list[Candidate], rules: Rules, before: list[Member]
) -> None:
    selection = select(market, rules, before)
    assert len(names(selection)) == len(selection.members)
    if rules.top_n:
        assert len(list(ranked(selection))) <= int(rules.top_n * (1 + rules.hysteresis))
        newcomers = [member for member in ranked(selection) if member.reason is Reason.TOP]
        assert len(newcomers) <= rules.top_n


@settings(deadline=None)
@given(markets(), rule_sets(), standing())
def test_included_wins_and_excluded_never_comes_in(market: list[Candidate], rules: Rules, before: list[Member]) -> None:
    listed = {candidate.symbol for candidate in market}
    selection = select(market, rules, before)
    assert rules.include & listed <= names(selection) <= listed
    assert not rules.exclude & names(selection)
    for member in ranked(selection):
        candidate = next(candidate for candidate in market if candidate.symbol == member.symbol)
        assert candidate.trading
        assert not rules.quotes or candidate.quote in rules.quotes


@settings(deadline=None)
@given(markets(), rule_sets(), standing(), st.randoms(use_true_random=False))
def test_the_order_of_listing_and_of_members_does_not_matter(
    market: list[Candidate], rules: Rules, before: list[Member], random: Random
) -> None:
    expected = select(market, rules, before)
    shuffled, shuffled_before = list(market), list(before)
    random.shuffle(shuffled)
    random.shuffle(shuffled_before)
    assert select(shuffled, rules, shuffled_before) == expected


@settings(deadline=None)
@given(markets(), rule_sets(), standing(), turnovers)
def test_a_higher_minimum_never_lets_more_in(
    market: list[Candidate], rules: Rules, before: list[Member], more: Decimal
) -> None:
    stricter = Rules(
        rules.top_n, rules.min_turnover + more, rules.quotes, rules.include, rules.exclude, rules.hysteresis
    )
    assert names(select(market, stricter, before)) <= names(select(market, rules, before))


@settings(deadline=None)
@given(markets(), rule_sets(), standing())
def test_what_came_in_and_what_went_out_is_exactly_the_difference(
    market: list[Candidate], rules: Rules, before: list[Member]
) -> None:
    selection = select(market, rules, before)
    old = {member.symbol for member in before}
    assert {member.symbol for member in selection.entered} == names(selection) - old
    assert {symbol for symbol, _ in selection.left} == old - names(selection)
    assert all(why for _, why in selection.left)


@settings(deadline=None)
@given(markets(), rule_sets(), standing())
def test_judging_the_same_figures_again_changes_nothing(
    market: list[Candidate], rules: Rules, before: list[Member]
) -> None:
    once = select(market, rules, before)
    again = select(market, rules, once.members)
    assert names(again) == names(once)
    assert not again.entered
    assert not again.left


@settings(deadline=None)
@given(st.data())
def test_turnovers_that_wiggle_inside_the_band_never_flap(data: st.DataObject) -> None:
    """Ten symbols far above, a crowd of six around the border of top 12 with a band up to 18: whatever the crowd
    does among itself, nobody of it who is in goes out, and who has once come in stays in."""
    rules = Rules(top_n=12, min_turnover=Decimal(1000), hysteresis=Decimal("0.5"))
    wiggle = st.decimals(min_value=500, max_value=1500, places=0)
    before: tuple[Member, ...] = ()
    for _ in range(data.draw(st.integers(2, 6))):
        market = [Candidate(f"TOP{n}", f"TOP{n}", "USDT", True, Decimal(10**6)) for n in range(10)]
        market += [Candidate(f"WIG{n}", f"WIG{n}", "USDT", True, data.draw(wiggle)) for n in range(6)]
        selection = select(market, rules, before)
        assert selection.left == ()
        before = selection.members


@settings(deadline=None)
@given(markets(), rule_sets(), standing())
def test_losing_every_rate_throws_no_measured_member_out(
    market: list[Candidate], rules: Rules, before: list[Member]
) -> None:
    """Another exchange's failure takes rates away. As long as the standing figures satisfy the rules, all stay."""
    first = select(market, rules, before)
    blind = [Candidate(c.symbol, c.native_symbol, c.quote, c.trading, None, "no rate") for c in market]
    second = select(blind, rules, first.members)
    assume(all(member.turnover is not None for member in first.members))
    assert names(second) == names(first)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            MarketPrice,
            base=st.sampled_from("ABCDE"),
            quote=st.sampled_from("ABCDE"),
            price=st.decimals(min_value="0.0001", max_value=10**6, places=4),
            turnover=st.decimals(min_value=0, max_value=10**6, places=2),
            spot=st.booleans(),
            time_ns=st.integers(0, 20),
        ).filter(lambda market: market.base != market.quote)
    ),
    st.randoms(use_true_random=False),
)
def test_rates_do_not_depend_on_the_order_of_markets(prices: list[MarketPrice], random: Random) -> None:
    expected = rates(prices, "A", now_ns=20, max_age_ns=10)
    shuffled = list(prices)
    random.shuffle(shuffled)
    assert rates(shuffled, "A", now_ns=20, max_age_ns=10) == expected
    assert expected["A"] == 1
    assert all(rate > 0 for rate in expected.values())


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("BCDEFG"), st.decimals(min_value="0.01", max_value=10**6, places=2), min_size=1))
def test_in_a_market_without_arbitrage_every_chain_gives_the_true_value(worth: dict[str, Decimal]) -> None:
    """Each currency has one worth in A; whichever markets exist, the rate found is that worth."""
    values = {"A": Decimal(1), **worth}
    chain = sorted(values)
    prices = [
        MarketPrice(base, quote, values[base] / values[quote], Decimal(1), True, 0) for quote, base in pairwise(chain)
    ]
    found = rates(prices, "A", now_ns=0, max_age_ns=0)
    assert found.keys() == values.keys()
    assert all(abs(found[name] / values[name] - 1) < Decimal("1e-24") for name in values)
