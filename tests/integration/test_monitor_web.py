"""The monitor's HTTP face, over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from hoga.wire import pb
from services.monitor import web as web_module

from .monitor_room import Room, room
from .monitor_world import SyntheticBook

HOSTILE = "<img src=x onerror=alert(1)>\u202e'\"-USDT"


@pytest.fixture
async def monitor() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


@pytest.fixture
async def http(monitor: Room) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=monitor.url) as session:
        yield session


async def received(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    async with asyncio.timeout(20):
        while True:
            message: dict[str, Any] = json.loads((await socket.receive()).data)
            if message["type"] == kind:
                return message


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(20):
        while not socket.closed:
            await socket.receive()
    return socket.close_code


async def test_the_page_and_all_it_loads_come_from_here_under_a_strict_policy(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as answer:
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    loaded = re.findall(r"(?:src|href)=\"(static/[^\"]+)\"", page)
    assert len(loaded) >= 4
    seen: set[str] = set()
    while loaded:
        path = loaded.pop()
        seen.add(path)
        async with http.get(f"/{path}") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Security-Policy"] == policy
            text = await answer.text()
        found = [f"static/{name}" for name in re.findall(r"from \"\./([^\"]+)\"", text)]
        loaded += [name for name in found if name not in seen]
    assert "static/format.js" in seen, "modules are followed"


async def test_nothing_on_the_page_is_ever_made_into_markup(http: aiohttp.ClientSession) -> None:
    for name in ("app", "books", "feed", "format", "ladder", "overview"):
        async with http.get(f"/static/{name}.js") as answer:
            text = await answer.text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)


@pytest.mark.parametrize("path", ["/static/../web.py", "/static/%2e%2e%2fweb.py", "/static/web.py", "/static/", "/x"])
async def test_nothing_but_the_page_is_served(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as answer:
        assert answer.status == 404
        assert "Content-Security-Policy" in answer.headers


async def test_the_state_tells_links_books_services_and_a_verdict(http: aiohttp.ClientSession, monitor: Room) -> None:
    async with http.get("/api/state") as answer:
        state = await answer.json()
    assert state["verdict"] == {"level": "ok", "text": "All 20 books are live", "books": 20, "live": 20, "halted": 0}
    assert {link["state"] for link in state["links"]} == {"CONNECTED"}
    assert state["exchanges"]["binance_future"]["korean_name"] == "바이낸스 선물"
    assert {service["service"] for service in state["services"]} >= {"validator", "ingest-upbit"}
    rows = {(row["exchange"], row["symbol"]): row for row in state["books"]}
    assert rows.keys() == monitor.world.books.keys()
    assert rows["upbit", "BTC-KRW"]["verified"] is False


async def test_health_and_metrics_answer(http: aiohttp.ClientSession, monitor: Room) -> None:
    from services.monitor import metrics

    metrics.show(monitor.watch)
    async with http.get("/healthz") as answer:
        assert (answer.status, (await answer.json())["healthy"]) == (200, True)
    async with http.get("/metrics") as answer:
        text = await answer.text()
    assert 'hoga_books{exchange="upbit",state="LIVE"} 5.0' in text
    assert 'hoga_link_up{exchange="upbit",slot="upbit-0"} 1.0' in text
    assert 'hoga_alerts{severity="critical"} 0.0' in text
    assert "BTC-KRW" not in text, "no symbol is ever a label"


async def test_a_socket_gets_everything_first_and_then_only_what_changed(
    http: aiohttp.ClientSession, monitor: Room
) -> None:
    async with http.ws_connect("/ws") as socket:
        first = await received(socket, "state")
        assert first["full"]
        assert len(first["books"]) == 20
        for book in monitor.world.books.values():
            book.moves = book.symbol == "BTC-KRW"
        for _ in range(60):
            await monitor.tick()
            after = await received(socket, "state")
            assert not after["full"]
            if len(after["books"]) == 2:
                break
        assert {row["symbol"] for row in after["books"]} == {"BTC-KRW"}


async def test_the_chosen_book_comes_as_a_ladder_at_each_change(http: aiohttp.ClientSession, monitor: Room) -> None:
    synthetic = monitor.world.books["binance_spot", "BTC-USDT"]
    async with http.ws_connect("/ws") as socket:
        await socket.send_json({"watch": {"exchange": "binance_spot", "symbol": "BTC-USDT"}})
        ladder = await received(socket, "ladder")
        for _ in range(3):
            assert ladder["revision"] == synthetic.message.revision
            assert ladder["sequence"] == str(synthetic.message.sequence)
            assert float(ladder["bids"][0][0]) == pytest.approx(synthetic.message.bid_price[0] / 100)
            assert len(ladder["asks"]) == 20
            monitor.world.move()
            ladder = await received(socket, "ladder")


async def test_a_book_that_is_not_live_says_so_at_the_next_ladder_already(
    http: aiohttp.ClientSession, monitor: Room
) -> None:
    synthetic = monitor.world.books["upbit", "BTC-KRW"]
    async with http.ws_connect("/ws") as socket:
        await socket.send_json({"watch": {"exchange": "upbit", "symbol": "BTC-KRW"}})
        assert (await received(socket, "ladder"))["state"] == "LIVE"
        synthetic.state, synthetic.reason = pb.BookState.BOOK_STATE_STALE, "its link is silent"
        monitor.world.move()
        ladder = await received(socket, "ladder")
    assert (ladder["state"], ladder["reason"]) == ("STALE", "its link is silent")


async def test_a_book_nobody_has_seen_is_answered_too(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect("/ws") as socket:
        await socket.send_json({"watch": {"exchange": "upbit", "symbol": "NOPE-KRW"}})
        assert (await received(socket, "ladder"))["missing_book"] is True
        await socket.send_json({"watch": {"exchange": "no such.*", "symbol": ""}})
        assert (await received(socket, "ladder"))["missing_book"] is True


async def test_hostile_symbols_travel_as_text(http: aiohttp.ClientSession, monitor: Room) -> None:
    monitor.world.add(SyntheticBook("upbit", HOSTILE, 1.0, -4, True, 1))
    await monitor.tick()
    async with http.get("/api/state") as answer:
        state = await answer.json()
    assert HOSTILE in {row["symbol"] for row in state["books"]}


@pytest.mark.parametrize("wish", ["", "{", "[]", '{"watch": 7}', '{"watch": {"exchange": "upbit"}}', "null"])
async def test_a_page_that_talks_nonsense_is_closed(http: aiohttp.ClientSession, wish: str) -> None:
    async with http.ws_connect("/ws") as socket:
        await socket.send_str(wish)
        assert await closed(socket) == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_a_page_that_talks_too_much_is_closed(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect("/ws") as socket:
        await socket.send_str("x" * 100_000)
        assert await closed(socket) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_foreign_page_gets_no_socket(http: aiohttp.ClientSession, monitor: Room) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect("/ws", origin="http://evil.example")
    assert refused.value.status == 403
    async with http.ws_connect("/ws", origin=monitor.url.rstrip("/")) as socket:
        assert (await received(socket, "state"))["full"]


async def test_pages_are_limited_and_leave_their_place(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_module, "MAX_PAGES", 2)
    async with http.ws_connect("/ws"), http.ws_connect("/ws"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/ws")
        assert refused.value.status == 503
    async with asyncio.timeout(20):
        while True:
            try:
                socket = await http.ws_connect("/ws")
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.02)
            else:
                await socket.close()
                return


async def test_stopping_closes_the_pages(http: aiohttp.ClientSession, monitor: Room) -> None:
    async with http.ws_connect("/ws") as socket:
        await received(socket, "state")
        code, _ = await asyncio.gather(closed(socket), monitor.web.stop())
    assert code == aiohttp.WSCloseCode.GOING_AWAY


async def test_stopping_does_not_wait_for_a_page_that_hangs(http: aiohttp.ClientSession, monitor: Room) -> None:
    async with http.ws_connect("/ws") as socket:
        await received(socket, "state")
        async with asyncio.timeout(8):
            await monitor.web.stop()
