"""`hoga exchanges` for people: every proof, limit and blind spot, whole, in 80 columns."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from hoga.cli.exchanges import as_json, render
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange

KNOWN = list(registry.EXCHANGES.values())
EACH = pytest.mark.parametrize("exchange", KNOWN, ids=lambda exchange: exchange.code)


def printed(width: int) -> list[str]:
    out = StringIO()
    Console(file=out, width=width).print(render(KNOWN))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def row(code: str, table: int) -> list[str]:
    """The words of a line; 0: what is proven, 1: the limits."""
    return [line.split() for line in printed(80) if line.startswith(f"{code} ")][table]


def test_it_fits_80_columns_and_nothing_is_cut_off() -> None:
    lines = printed(80)
    assert max(map(cell_len, lines)) <= 80
    assert not [line for line in lines if "…" in line]


def test_only_blind_spots_need_a_second_line() -> None:
    """A wider screen changes nothing above them: no table and no footnote wraps at 80 columns."""
    narrow, wide = (printed(width) for width in (80, 240))
    title = narrow.index("What cannot be seen")
    assert narrow[:title] == wide[:title]


@EACH
def test_every_limit_is_shown_to_people(exchange: Exchange) -> None:
    limits = exchange.limits
    life = [f"{limits.lifetime_s / 3600:g}", "h"] if limits.lifetime_s else ["–"]
    assert row(exchange.code, 1)[1:] == [
        str(limits.symbols_per_link),
        str(limits.symbols_per_request),
        f"{limits.messages_per_s:g}",
        str(limits.requests_per_hour or "–"),
        f"{limits.connects_per_s * 60:g}",
        str(limits.connect_burst),
        *life,
        f"{limits.idle_timeout_s:g}",
        "s",
        str(limits.rest_weight_per_minute),
    ]


@EACH
def test_every_blind_spot_and_name_is_shown_to_people(exchange: Exchange) -> None:
    text = " ".join(" ".join(printed(80)).split())
    for spot in exchange.traits.blind_spots:
        assert f"- {spot}" in text
    assert " ".join(row(exchange.code, 0)[1:]).startswith(exchange.korean_name)


@EACH
def test_programs_get_the_same_limits(exchange: Exchange) -> None:
    limits = as_json(exchange)["limits"]
    assert limits.keys() >= {"messages_per_s", "connects_per_s", "connect_burst", "lifetime_s", "idle_timeout_s"}
    assert all(value == getattr(exchange.limits, name) for name, value in limits.items())


@pytest.mark.parametrize("code", ["upbit", "bithumb"])
def test_where_a_list_has_no_status_an_unseen_halt_is_a_blind_spot(code: str) -> None:
    assert any("halted" in spot for spot in registry.get(code).traits.blind_spots)


def test_contracts_of_bybit_are_not_said_to_be_cut_off_after_the_first_page() -> None:
    bybit = registry.get("bybit_future")
    assert not any("1000" in spot for spot in bybit.traits.blind_spots)
    page = b'{"retCode":0,"result":{"list":[],"nextPageCursor":"first%3DA"}}'
    following = bybit.strategy.next_instruments(page)
    assert following is not None
    assert following.path.endswith("&cursor=first%3DA")
