"""Old codes of assets (XBT, XDG) are understood wherever people name a market; one that is listed so stays itself."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from hoga.cli.markets import match, near
from hoga.domain.aliases import ALIASES, as_listed, old_spelling, renamed
from hoga.domain.backoff import Backoff
from hoga.domain.errors import ConfigError
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Instrument
from hoga.domain.universe import Candidate, Reason, Rules, select
from hoga.exchanges import upbit
from hoga.runtime.settings import UniverseSettings
from services.aggregator.names import NameCheck
from services.ingest.directory import Directory
from services.ingest.wishes import Wishes

KRAKEN = {"BTC-USD": "BTC/USD", "ETH-BTC": "ETH/BTC", "DOGE-USD": "DOGE/USD", "USDT-USD": "USDT/USD"}


def candidate(symbol: str, turnover: int = 5) -> Candidate:
    return Candidate(symbol, symbol.replace("-", "/"), symbol.partition("-")[2], True, Decimal(turnover))


def listed(*symbols: str) -> SymbolMap:
    return SymbolMap([Instrument(symbol, symbol, *symbol.split("-")) for symbol in symbols])


def test_a_symbol_is_renamed_part_by_part_and_back() -> None:
    assert [renamed(symbol) for symbol in ("XBT-USD", "ETH-XBT", "XDG-XBT", "XBT-USD-261225", "XBTX-USD")] == [
        "BTC-USD",
        "ETH-BTC",
        "DOGE-BTC",
        "BTC-USD-261225",
        "XBTX-USD",
    ]
    assert all(renamed(old_spelling(symbol)) == symbol for symbol in KRAKEN)
    assert not ALIASES.keys() & set(ALIASES.values())


def test_what_is_listed_keeps_its_name() -> None:
    assert as_listed("XBT-USD", {"BTC-USD"}) == "BTC-USD"
    assert as_listed("XDG-USD", {"XDG-USD", "DOGE-USD"}) == "XDG-USD"


@pytest.mark.parametrize(
    ("typed", "symbol"),
    [
        ("XBT-USD", "BTC-USD"),
        ("xbt/usd", "BTC-USD"),
        ("XBTUSD", "BTC-USD"),
        ("ETH_XBT", "ETH-BTC"),
        ("xdg-usd", "DOGE-USD"),
        ("XDGUSD", "DOGE-USD"),
        ("XBT-EUR", None),
    ],
)
def test_hoga_book_understands_old_codes(typed: str, symbol: str | None) -> None:
    assert match(typed, KRAKEN) == symbol


def test_hoga_book_prefers_a_market_that_is_listed_so() -> None:
    assert match("xdg-usd", {"XDG-USD": "XDGUSD", "DOGE-USD": "DOGEUSD"}) == "XDG-USD"


def test_near_matches_of_an_old_code_are_of_the_same_coin() -> None:
    assert near("XBT-EUR", KRAKEN)[0] == "BTC-USD"


def test_include_and_exclude_understand_old_codes() -> None:
    rules = Rules(top_n=1, include=frozenset({"XBT-USD"}), exclude=frozenset({"XDG-USD"}))
    selection = select([candidate("BTC-USD", 1), candidate("DOGE-USD", 9), candidate("ETH-USD")], rules)
    assert [(member.symbol, member.reason) for member in selection.members] == [
        ("ETH-USD", Reason.TOP),
        ("BTC-USD", Reason.INCLUDE),
    ]


def test_a_coin_that_is_listed_under_an_old_code_is_the_one_that_is_meant() -> None:
    rules = Rules(exclude=frozenset({"XDG-USD"}))
    selection = select([candidate("XDG-USD"), candidate("DOGE-USD")], rules)
    assert [member.symbol for member in selection.members] == ["DOGE-USD"]


def test_one_market_under_two_names_is_a_contradiction() -> None:
    with pytest.raises(ConfigError, match="BTC-USD is in include and in exclude"):
        Rules(include=frozenset({"XBT-USD"}), exclude=frozenset({"BTC-USD"}))


def test_an_old_code_is_no_wrong_name() -> None:
    check = NameCheck(UniverseSettings(include=["XBT-USD", "XBT-EUR"]))
    (line,) = check.common({"kraken": listed("BTC-USD", "DOGE-USD")})
    assert "XBT-EUR is not listed on kraken" in line


class Rest:
    def __init__(self, *natives: str) -> None:
        self.body = msgspec.json.encode([{"market": native, "korean_name": ""} for native in natives])

    async def get(self, _request: object, *, priority: int = 5) -> bytes:
        return self.body


async def test_a_wish_in_old_codes_is_collected_under_the_listed_symbol(caplog: pytest.LogCaptureFixture) -> None:
    directory = Directory(
        upbit.EXCHANGE, Rest("KRW-BTC", "KRW-XDG", "KRW-DOGE"), lambda: None, backoff=Backoff(1.0, 1.0)
    )
    wishes = Wishes("upbit")
    wishes.replace({"XBT-KRW": "", "XDG-KRW": "", "BTC-KRW": "KRW-BTC"})
    assert wishes.placed(directory) == {"KRW-BTC": "BTC-KRW"}, "before there is a list only the universe is known"
    await directory.fetch()
    assert wishes.placed(directory) == {"KRW-BTC": "BTC-KRW", "KRW-XDG": "XDG-KRW"}
    assert wishes.native("BTC-KRW", directory) == "KRW-BTC"
    assert "BTC-KRW" in wishes
    assert not caplog.records
