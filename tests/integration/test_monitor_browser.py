"""The page in a real browser: what a person sees and does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hoga.wire import pb

from .chromium import PATH, Chromium
from .monitor_room import Room, room
from .monitor_world import SyntheticBook

pytestmark = pytest.mark.skipif(PATH is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")

LIVE = "document.body.dataset.feed === 'live'"
ROWS = "document.querySelectorAll('.row').length"
HOSTILE = "<img src=x onerror=document.title='owned'>-USDT"


@pytest.fixture
async def monitor() -> AsyncIterator[Room]:
    async with room(books_per_exchange=8) as made, made.alive():
        yield made


@pytest.fixture
async def page(monitor: Room, tmp_path: Path) -> AsyncIterator[Chromium]:
    async with Chromium.start(tmp_path / "profile") as made:
        await made.open(monitor.url)
        await made.until(f"{LIVE} && {ROWS} > 5")
        yield made


def text(selector: str) -> str:
    return f"document.querySelector({selector!r}).textContent"


def shown(selector: str) -> str:
    return f"document.querySelector({selector!r}).checkVisibility()"


async def test_a_click_on_a_book_opens_its_ladder_and_it_lives(page: Chromium, monitor: Room) -> None:
    await page.click(".row[data-key='binance_spot/ETH-USDT']")
    await page.until(f"{text('#ladder-symbol')} === 'ETH-USDT' && {text('#ladder-state')} === 'LIVE'")
    await page.until("document.querySelectorAll('#ladder-bids .level').length >= 10")
    assert await page.value("location.hash") == "#binance_spot/ETH-USDT"
    assert not await page.value(shown("#ladder-ribbon"))
    bid, ask = text("#ladder-bids .level:first-child .price"), text("#ladder-asks .level:last-child .price")
    before = float(await page.value(ask))
    monitor.world.books["binance_spot", "ETH-USDT"].mid *= 1.5
    await page.until(f"parseFloat({ask}) > {1.3 * before}")
    best_bid, best_ask = await page.value(f"[{bid}, {ask}]")
    assert 1.3 * before < float(best_bid) < float(best_ask)
    assert page.complaints == []


async def test_a_book_that_is_not_live_is_greyed_with_its_reason(page: Chromium, monitor: Room) -> None:
    await page.click(".row[data-key='upbit/BTC-KRW']")
    await page.until("document.querySelector('#ladder').dataset.live === 'yes'")
    synthetic = monitor.world.books["upbit", "BTC-KRW"]
    synthetic.state, synthetic.reason = pb.BookState.BOOK_STATE_STALE, "its link is silent"
    await page.until("document.querySelector('#ladder').dataset.live === 'no'")
    assert await page.value(text("#ladder-ribbon")) == "Not live: its link is silent"
    assert "grayscale" in await page.value("getComputedStyle(document.querySelector('#ladder-bids')).filter")
    await page.value("document.querySelector('#books-scroll').scrollTo(0, 0)")
    await page.until(f"{text('.row .badge')} === 'STALE'")  # what is wrong comes first
    synthetic.state, synthetic.reason = pb.BookState.BOOK_STATE_LIVE, ""
    await page.until("document.querySelector('#ladder').dataset.live === 'yes'")


async def test_a_page_that_lost_its_monitor_never_looks_live_and_recovers(page: Chromium, monitor: Room) -> None:
    await page.until("document.querySelector('#ladder').dataset.live === 'yes'")
    port = monitor.web.port
    await monitor.web.stop()
    await page.until("document.body.dataset.feed === 'lost'")
    await page.until(f"{shown('#banner')} && {text('#banner-title')}.includes('No connection')")
    assert await page.value(text("#verdict")) == "Not connected"
    assert await page.value("document.querySelector('#ladder').dataset.live") == "no"
    assert "lost its connection" in await page.value(text("#ladder-ribbon"))
    assert "no connection" in await page.value("document.title")
    object.__setattr__(monitor.web, "_settings", type(monitor.web._settings)(port=port))
    await monitor.web.start()
    await page.until(f"{LIVE} && !{shown('#banner')} && document.querySelector('#ladder').dataset.live === 'yes'")


async def test_a_monitor_that_stands_still_is_noticed_although_its_socket_is_open(
    page: Chromium, monitor: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = asyncio.Event()

    async def stand_still(*, moves: float = 1.0) -> None:
        stuck.set()
        await asyncio.sleep(0)

    monkeypatch.setattr(monitor, "tick", stand_still)
    monkeypatch.setattr(monitor.world, "move", lambda _share: None)
    await stuck.wait()
    await page.until("document.body.dataset.feed === 'lost'")


async def test_the_keyboard_filters_chooses_opens_and_closes(page: Chromium) -> None:
    await page.press("Escape")
    await page.until(f"!{shown('#ladder')}")
    await page.press("/")
    await page.write("upbit !btc")
    await page.until(f"{ROWS} === 7")
    await page.press("ArrowDown")
    await page.press("ArrowDown")
    chosen = await page.value("document.querySelector('.row[aria-selected=true]').dataset.key")
    assert chosen.startswith("upbit/")
    await page.press("Enter")
    await page.until(f"{shown('#ladder')} && 'upbit/' + {text('#ladder-symbol')} === {chosen!r}")
    await page.press("Escape")
    await page.until(f"{ROWS} > 7")
    await page.press("Escape")
    await page.press("Escape")
    await page.until(f"!{shown('#ladder')} && location.hash === ''")
    assert page.complaints == []


async def test_sorting_by_a_column_and_back(page: Chromium) -> None:
    symbols = "[...document.querySelectorAll('.row .symbol')].map((cell) => cell.textContent)"
    await page.click("#books-heads > :nth-child(2) button")
    up = await page.value(symbols)
    assert up == sorted(up)
    await page.click("#books-heads > :nth-child(2) button")
    assert await page.value(symbols) != up
    assert (
        await page.value("document.querySelector('#books-heads > :nth-child(2)').getAttribute('aria-sort')")
        == "descending"
    )


async def test_hostile_symbols_are_shown_as_text(page: Chromium, monitor: Room) -> None:
    monitor.world.add(SyntheticBook("upbit", HOSTILE, 1.0, -4, True, 1))
    await page.press("/")
    await page.write("onerror")
    await page.until(f"{ROWS} === 1 && {text('.row .symbol')} === {HOSTILE!r}")
    await page.click(".row")
    await page.until(
        f"{text('#ladder-symbol')} === {HOSTILE!r} && document.querySelector('#ladder').dataset.live === 'yes'"
    )
    assert await page.value("document.querySelectorAll('img, main script').length") == 0
    assert "owned" not in await page.value("document.title")
    assert page.complaints == []


async def test_a_thousand_books_cost_the_page_as_many_rows_as_fit(tmp_path: Path) -> None:
    async with room(books_per_exchange=250) as monitor, monitor.alive(), Chromium.start(tmp_path / "p") as page:
        await page.open(monitor.url)
        await page.until(f"{LIVE} && {text('#books-count')} === '1,000 of 1,000 books'")
        assert 10 < await page.value(ROWS) < 60
        await page.press("End")
        await page.until("document.querySelector('.row[aria-selected=true]')?.getAttribute('aria-rowindex') === '1001'")
        assert 10 < await page.value(ROWS) < 60


async def test_a_phone_opens_the_ladder_as_a_sheet_and_scrolls_nowhere_sideways(monitor: Room, tmp_path: Path) -> None:
    async with Chromium.start(tmp_path / "phone", width=390, height=844, mobile=True, dark=False) as page:
        await page.open(monitor.url)
        await page.until(f"{LIVE} && {ROWS} > 3")
        assert await page.value("document.documentElement.scrollWidth <= innerWidth")
        assert not await page.value(shown("#ladder")), "a phone shows the list first"
        await page.click(".row")
        await page.until(f"{shown('#ladder')} && document.querySelector('#ladder').dataset.live === 'yes'")
        assert await page.value("document.querySelector('#ladder').getBoundingClientRect().width") == 390
        await page.click("#ladder-close")
        await page.until(f"!{shown('#ladder')}")
        assert page.complaints == []
