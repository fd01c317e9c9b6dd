"""The universe's rules one by one, and the rates by which turnovers become comparable."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from hoga.domain.errors import ConfigError
from hoga.domain.phases import Phase
from hoga.domain.rates import MarketPrice, amount, market_prices, rates
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Instrument, Turnover
from hoga.domain.universe import Candidate, Member, Reason, Rules, Selection, candidates, near_matches, select


def candidate(symbol: str, turnover: str | None, *, trading: bool = True, why: str = "no rate for XYZ") -> Candidate:
    value = None if turnover is None else Decimal(turnover)
    quote = symbol.partition("-")[2]
    return Candidate(symbol, symbol.replace("-", ""), quote, trading, value, "" if turnover is not None else why)


def ladder(count: int) -> list[Candidate]:
    """A-USDT … with turnovers count*100, …, 200, 100."""
    return [candidate(f"{chr(65 + i)}-USDT", str((count - i) * 100)) for i in range(count)]


def symbols(selection: Selection) -> list[str]:
    return [member.symbol for member in selection.members]


def instrument(symbol: str, *, kind: str = "spot", trading: bool = True) -> Instrument:
    base, quote = symbol.split("-")[:2]
    return Instrument(symbol, symbol.replace("-", ""), base, quote, Phase.TRADING if trading else Phase.HALTED, kind)


def price(
    base: str, quote: str, value: str, turnover: str = "1000", *, spot: bool = True, time_ns: int = 0
) -> MarketPrice:
    return MarketPrice(base, quote, Decimal(value), Decimal(turnover), spot, time_ns)


def rated(prices: Sequence[MarketPrice], common: str = "USDT", now_ns: int = 0) -> dict[str, Decimal]:
    return rates(prices, common, now_ns=now_ns, max_age_ns=10)


class TestSelect:
    def test_the_most_traded_come_in_and_the_reason_is_said(self) -> None:
        selection = select(ladder(5), Rules(top_n=2))
        assert [(m.symbol, m.reason) for m in selection.members] == [("A-USDT", Reason.TOP), ("B-USDT", Reason.TOP)]
        assert selection.entered == selection.members
        assert selection.left == ()

    def test_both_top_and_minimum_must_be_met(self) -> None:
        assert symbols(select(ladder(5), Rules(top_n=4, min_turnover=Decimal(400)))) == ["A-USDT", "B-USDT"]

    def test_without_a_limit_by_rank_the_minimum_decides(self) -> None:
        selection = select(ladder(5), Rules(top_n=0, min_turnover=Decimal(300)))
        assert [(m.symbol, m.reason) for m in selection.members] == [
            (name, Reason.MINIMUM) for name in ("A-USDT", "B-USDT", "C-USDT")
        ]

    def test_only_wanted_quotes_and_trading_symbols_are_ranked(self) -> None:
        listed = [
            candidate("A-KRW", "900"),
            candidate("B-USDT", "800", trading=False),
            candidate("C-USDT", "700"),
            candidate("D-USDT", "600"),
        ]
        rules = Rules(top_n=1, quotes=frozenset({"USDT"}), exclude=frozenset({"C-USDT"}))
        assert symbols(select(listed, rules)) == ["D-USDT"]

    def test_equal_turnovers_are_ranked_by_symbol(self) -> None:
        listed = [candidate(symbol, "100") for symbol in ("C-USDT", "A-USDT", "B-USDT")]
        assert symbols(select(listed, Rules(top_n=2))) == ["A-USDT", "B-USDT"]

    def test_included_symbols_come_on_top_and_need_no_turnover(self) -> None:
        listed = [*ladder(3), candidate("Z-XYZ", None), candidate("Y-USDT", "1", trading=False)]
        rules = Rules(top_n=1, min_turnover=Decimal(50), include=frozenset({"Z-XYZ", "Y-USDT", "TYPO-USDT"}))
        assert [(m.symbol, m.reason) for m in select(listed, rules).members] == [
            ("A-USDT", Reason.TOP),
            ("Y-USDT", Reason.INCLUDE),
            ("Z-XYZ", Reason.INCLUDE),
        ]

    def test_a_symbol_in_include_and_in_exclude_is_refused_in_one_line(self) -> None:
        with pytest.raises(ConfigError, match="A-USDT is in include and in exclude") as caught:
            Rules(include=frozenset({"A-USDT"}), exclude=frozenset({"A-USDT"}))
        assert "\n" not in str(caught.value)

    def test_a_member_stays_within_the_band_and_goes_beyond_it(self) -> None:
        rules = Rules(top_n=5, hysteresis=Decimal("0.2"))
        before = [Member("F-USDT", "FUSDT", Decimal(1), Reason.TOP), Member("G-USDT", "GUSDT", Decimal(1), Reason.KEPT)]
        selection = select(ladder(8), rules, before)
        assert symbols(selection)[-1] == "F-USDT"
        assert selection.members[-1].reason is Reason.KEPT
        assert selection.left == (("G-USDT", "rank 7 is beyond 6"),)

    def test_a_member_stays_until_it_trades_less_than_the_lowered_minimum(self) -> None:
        rules = Rules(top_n=9, min_turnover=Decimal(1000), hysteresis=Decimal("0.2"))
        before = [Member(f"{name}-USDT", name, Decimal(1), Reason.TOP) for name in "AB"]
        selection = select([candidate("A-USDT", "800"), candidate("B-USDT", "799.99")], rules, before)
        assert symbols(selection) == ["A-USDT"]
        assert selection.left == (("B-USDT", "turnover 799.99 is below 800"),)

    def test_what_was_only_included_has_no_claim_to_the_band(self) -> None:
        before = [Member("B-USDT", "BUSDT", Decimal(1), Reason.INCLUDE)]
        selection = select(ladder(4), Rules(top_n=1, hysteresis=Decimal(1)), before)
        assert selection.left == (("B-USDT", "no longer included"),)

    @pytest.mark.parametrize(
        ("now", "rules", "why"),
        [
            ([], Rules(), "no longer listed"),
            ([candidate("A-USDT", "5", trading=False)], Rules(), "no longer trading"),
            ([candidate("A-USDT", "5")], Rules(exclude=frozenset({"A-USDT"})), "excluded"),
            ([candidate("A-USDT", "5")], Rules(quotes=frozenset({"KRW"})), "quote USDT is not wanted"),
        ],
    )
    def test_whoever_leaves_is_told_why(self, now: list[Candidate], rules: Rules, why: str) -> None:
        before = [Member("A-USDT", "AUSDT", Decimal(5), Reason.TOP)]
        assert select(now, rules, before).left == (("A-USDT", why),)

    def test_what_cannot_be_measured_does_not_come_in_and_is_counted(self) -> None:
        listed = [candidate("A-XYZ", None), candidate("B-XYZ", None), candidate("C-USDT", None, why="no 24 h figures")]
        selection = select(listed, Rules())
        assert selection.members == ()
        assert selection.unmeasured == {"no rate for XYZ": 2, "no 24 h figures": 1}

    def test_a_member_that_cannot_be_measured_is_ranked_by_its_last_figure(self) -> None:
        before = [Member("A-XYZ", "AXYZ", Decimal(150), Reason.TOP), Member("B-XYZ", "BXYZ", Decimal(50), Reason.TOP)]
        listed = [candidate("A-XYZ", None), candidate("B-XYZ", None), candidate("C-USDT", "100")]
        selection = select(listed, Rules(top_n=2, hysteresis=Decimal(0)), before)
        assert [(m.symbol, m.reason, m.turnover) for m in selection.members] == [
            ("A-XYZ", Reason.KEPT, Decimal(150)),
            ("C-USDT", Reason.TOP, Decimal(100)),
        ]
        assert selection.left == (("B-XYZ", "rank 3 is beyond 2"),)


class TestRates:
    def test_a_direct_market_works_both_ways(self) -> None:
        assert rated([price("USDT", "KRW", "1400")], "KRW")["USDT"] == 1400
        assert rated([price("USDT", "KRW", "1600")])["KRW"] == Decimal("0.000625")

    def test_a_chain_is_followed_where_there_is_no_direct_market(self) -> None:
        assert rated([price("BTC", "USDT", "60000"), price("ETH", "BTC", "0.05")])["ETH"] == 3000

    def test_the_direct_market_is_preferred_to_a_chain(self) -> None:
        prices = [
            price("ETH", "USDT", "3100"),
            price("BTC", "USDT", "60000", "9e9"),
            price("ETH", "BTC", "0.05", "9e9"),
        ]
        assert rated(prices)["ETH"] == 3100

    def test_of_parallel_markets_the_most_traded_counts(self) -> None:
        # The same pair written both ways round: 1 000 000 KRW are worth less than 900 USDT.
        thin, thick = price("USDT", "KRW", "1600", "1000000"), price("KRW", "USDT", "0.0007", "900")
        assert rated([thin, thick])["KRW"] == Decimal("0.0007")
        assert rated([thick, thin])["KRW"] == Decimal("0.0007")

    def test_chains_of_equal_length_are_compared_by_what_their_turnover_is_worth(self) -> None:
        prices = [price("BTC", "USDT", "60000"), price("ETH", "USDT", "3000")]
        by_btc, by_eth = price("XMR", "BTC", "0.005", turnover="1"), price("XMR", "ETH", "0.11", turnover="10")
        assert rated([*prices, by_btc, by_eth])["XMR"] == 300
        assert rated([by_eth, by_btc, *prices])["XMR"] == 300

    def test_spot_is_preferred_to_a_perpetual_however_much_that_trades(self) -> None:
        assert rated([price("BTC", "USDT", "1", "9e9", spot=False), price("BTC", "USDT", "2", "1")])["BTC"] == 2
        assert rated([price("BTC", "USDT", "1", spot=False)])["BTC"] == 1

    def test_an_untraded_or_old_price_is_no_rate(self) -> None:
        assert "KRW" not in rated([price("USDT", "KRW", "1400", "0")])
        assert "KRW" in rated([price("USDT", "KRW", "1400", time_ns=5)], now_ns=15)
        assert "KRW" not in rated([price("USDT", "KRW", "1400", time_ns=4)], now_ns=15)

    def test_prices_come_from_listed_markets_that_carry_no_premium(self) -> None:
        listed = SymbolMap(
            [
                instrument("BTC-USDT"),
                instrument("ETH-USDT", kind="perpetual"),
                Instrument("BTC-USDT-261225", "BTCUSDT_261225", "BTC", "USDT", Phase.TRADING, "dated"),
            ]
        )
        tickers = [
            Turnover("BTCUSDT", "60000", "1e9"),
            Turnover("ETHUSDT", "3000.5", "5"),
            Turnover("BTCUSDT_261225", "66000", "1e9"),
            Turnover("GONE", "1", "1"),
        ]
        assert market_prices(listed, tickers, 7) == [
            MarketPrice("BTC", "USDT", Decimal(60000), Decimal("1e9"), True, 7),
            MarketPrice("ETH", "USDT", Decimal("3000.5"), Decimal(5), False, 7),
        ]

    @pytest.mark.parametrize(
        "text",
        ["", "nan", "NaN", "Infinity", "-1", "-0.5", "1e99", "1e-99", "1_0", "１", "x", "9" * 49, "1e999999999999"],
    )
    def test_hostile_figures_are_no_amount(self, text: str) -> None:
        assert amount(text) is None

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("0", "0"),
            ("-0", "0"),
            ("0E-8", "0"),
            ("1.16539E8", "116539000"),
            ("1234567890123.12345678", "1234567890123.12345678"),
        ],
    )
    def test_figures_in_any_json_notation_are_read_exactly(self, text: str, value: str) -> None:
        assert amount(text) == Decimal(value)


class TestCandidates:
    def test_turnovers_are_converted_exactly_and_what_is_missing_is_said(self) -> None:
        listed = SymbolMap([instrument("BTC-KRW"), instrument("ETH-KRW"), instrument("BTC-EUR", trading=False)])
        tickers = [Turnover("BTCKRW", "1", "123456789012.123456789"), Turnover("BTCEUR", "1", "5")]
        found = {c.symbol: c for c in candidates(listed, tickers, {"KRW": Decimal("0.000625")})}
        assert found["BTC-KRW"].turnover == Decimal("77160493.132577160493125")
        assert (found["ETH-KRW"].turnover, found["ETH-KRW"].unmeasured) == (None, "no 24 h figures")
        assert (found["BTC-EUR"].turnover, found["BTC-EUR"].unmeasured) == (None, "no rate for EUR")
        assert not found["BTC-EUR"].trading

    @pytest.mark.parametrize("name", ["BTCUSDT", "btc-usdt", "BTC-USTD", "btcusdt"])
    def test_a_wrong_name_is_answered_with_what_it_may_have_meant(self, name: str) -> None:
        listed = SymbolMap([instrument("BTC-USDT"), instrument("SOL-EUR")])
        assert near_matches(name, listed) == ["BTC-USDT"]

    def test_nothing_is_suggested_for_a_name_that_resembles_nothing(self) -> None:
        assert near_matches("QQQ-ZZZ", SymbolMap([instrument("BTC-USDT")])) == []
