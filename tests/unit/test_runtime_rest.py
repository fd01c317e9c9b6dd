"""The REST client against a real server that limits, bans, stalls and lies."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hoga import __version__
from hoga.domain.errors import RestError
from hoga.exchanges import registry
from hoga.exchanges.base import Endpoints, Exchange, Limits, RestRequest
from hoga.runtime.rest import MAX_IN_FLIGHT, RestClient
from hoga.runtime.settings import ExchangeSettings, Settings

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
WEIGHT_HEADER = "X-Used"


class Strategy:
    """The little of a ConnectionStrategy that the client asks."""

    used_weight_header = WEIGHT_HEADER

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def rest_error(self, body: bytes) -> str | None:
        return body.decode() if b'"error"' in body else None


@dataclass
class Server:
    """Keeps when what was asked for, and answers as `answer` says."""

    url: str = ""
    answer: Answer | None = None
    arrivals: list[tuple[float, str]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.arrivals.append((time.monotonic(), request.raw_path))
        self.agents.add(request.headers["User-Agent"])
        if self.answer is None:
            return web.json_response({"path": request.path})
        return await self.answer(request)

    @property
    def paths(self) -> list[str]:
        return [path for _, path in self.arrivals]


def make_exchange(weight_per_minute: int = 60_000) -> Exchange:
    limits = Limits(
        symbols_per_link=1,
        symbols_per_request=1,
        messages_per_s=1,
        connects_per_s=1,
        rest_weight_per_minute=weight_per_minute,
        rest_min_interval_s=0.0,
    )
    real = registry.get(registry.supported()[0])
    return replace(real, strategy=Strategy(limits))  # type: ignore[arg-type]


@asynccontextmanager
async def client_on(server: Server, weight_per_minute: int = 60_000, **options: Any) -> AsyncIterator[RestClient]:
    exchange = make_exchange(weight_per_minute)
    settings = Settings(exchanges={exchange.code: ExchangeSettings(rest_share=1.0)})
    async with aiohttp.ClientSession() as session:
        yield RestClient(exchange, Endpoints(ws="", rest=server.url), settings, session, **options)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    app = web.Application()
    app.router.add_route("GET", "/{tail:.*}", served.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


def says(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=fields)

    return answer


async def test_the_path_goes_out_as_the_exchange_module_wrote_it(server: Server) -> None:
    async with client_on(server) as client:
        path = "/api/v3/depth?symbols=%5B%22BTCUSDT%22%5D&limit=5"
        assert await client.get(RestRequest(path)) == b'{"path": "/api/v3/depth"}'
        assert server.paths == [path]
        assert server.agents == {f"hoga/{__version__}"}
        assert (client.stats.requests, client.stats.weight) == (1, 1)


async def test_smaller_priority_goes_first_and_the_cooldown_is_kept(server: Server) -> None:
    async with client_on(server) as client:
        asked = [(5, "/first"), (5, "/b"), (9, "/d"), (1, "/a"), (5, "/c")]
        tasks = [asyncio.create_task(client.get(RestRequest(path), priority=priority)) for priority, path in asked]
        await asyncio.sleep(0)
        assert client.waiting == 5
        await asyncio.gather(*tasks)
        assert server.paths == ["/a", "/first", "/b", "/c", "/d"]
        moments = [moment for moment, _ in server.arrivals]
        # Leaving is spaced by 100 ms; what arrives late was on its way longer, hence the whole span.
        assert moments[-1] - moments[0] >= 0.35
        assert client.waiting == 0


async def test_only_a_few_are_on_their_way_at_once(server: Server) -> None:
    release = asyncio.Event()
    in_hand = most = 0

    async def stall(request: web.Request) -> web.Response:
        nonlocal in_hand, most
        in_hand += 1
        most = max(most, in_hand)
        if in_hand == MAX_IN_FLIGHT:
            asyncio.get_running_loop().call_later(0.3, release.set)
        await release.wait()
        in_hand -= 1
        return web.json_response([])

    server.answer = stall
    async with client_on(server) as client:
        await asyncio.gather(*(client.get(RestRequest(f"/{index}")) for index in range(MAX_IN_FLIGHT + 3)))
        assert most == MAX_IN_FLIGHT


async def test_an_exchange_whose_bans_last_longer_is_left_alone_for_longer(server: Server) -> None:
    server.answer = says(403)
    bybit = registry.get("bybit_spot")
    async with aiohttp.ClientSession() as session:
        client = RestClient(bybit, Endpoints(ws="", rest=server.url), Settings(), session)
        with pytest.raises(RestError) as caught:
            await client.get(RestRequest("/x"))
    assert 590 < (caught.value.retry_after_s or 0) <= 600


@pytest.mark.parametrize("status", [429, 418, 403])
async def test_no_request_leaves_while_the_exchange_has_banned_us(server: Server, status: int) -> None:
    server.answer = says(status, Retry_After="2")
    async with client_on(server) as client:
        with pytest.raises(RestError) as caught:
            await client.get(RestRequest("/banned"))
        assert caught.value.status == status
        assert caught.value.retry_after_s is not None
        assert 1.5 < caught.value.retry_after_s <= 2.0
        server.answer = None
        refused = 0
        while True:  # hammer until one gets through
            (result,) = await asyncio.gather(client.get(RestRequest("/again")), return_exceptions=True)
            if not isinstance(result, RestError):
                break
            assert result.retry_after_s is not None
            assert 0 < result.retry_after_s <= 2.0
            refused += 1
            await asyncio.sleep(0.01)
        assert refused > 10
        assert server.paths == ["/banned", "/again"]
        assert server.arrivals[1][0] - server.arrivals[0][0] >= 1.9
        assert client.stats.requests == 2


async def test_who_waits_when_the_gate_closes_is_sent_away(server: Server) -> None:
    server.answer = says(429, Retry_After="60")
    async with client_on(server, weight_per_minute=60) as client, asyncio.timeout(20):
        # The budget alone would keep the last of them waiting for 46 s.
        results = await asyncio.gather(
            *(client.get(RestRequest(f"/{index}")) for index in range(50)), return_exceptions=True
        )
        refused_ns = time.monotonic_ns()
        assert all(isinstance(result, RestError) and result.retry_after_s for result in results)
        assert len(server.paths) <= MAX_IN_FLIGHT
        assert client.waiting == 0
        # We evidently spent too much: when the gate opens, there is no burst.
        assert client.budget.wait_ns(refused_ns + 500_000_000) > 0


async def test_a_gate_that_closes_just_as_a_request_gets_its_turn_holds_it_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client_on(server) as client:
        # Between the turn and the sending another request's refusal is read.
        monkeypatch.setattr(client.budget, "take", lambda now_ns, weight: client.gate.close(429, 60.0, 10.0))
        with pytest.raises(RestError, match="REST is closed"):
            await client.get(RestRequest("/"))
        assert server.paths == []
        assert client.stats.requests == 0


async def test_without_retry_after_the_time_grows_until_a_success(server: Server) -> None:
    async with client_on(server, gate_statuses={418: 0.2}) as client:
        waits = []
        for status in (418, 418, 418, 200, 418):
            server.answer = says(status)
            (result,) = await asyncio.gather(client.get(RestRequest("/")), return_exceptions=True)
            if isinstance(result, RestError):
                assert result.retry_after_s is not None
                waits.append(result.retry_after_s)
                await asyncio.sleep(result.retry_after_s + 0.01)
        assert [round(wait, 1) for wait in waits] == [0.2, 0.4, 0.8, 0.2]


async def test_what_the_exchange_counts_shrinks_the_budget(server: Server) -> None:
    server.answer = says(200, X_Used="5990")
    async with client_on(server, weight_per_minute=6000) as client:
        asked_ns = time.monotonic_ns()
        await client.get(RestRequest("/"))
        assert client.stats.reported_weight == 5990
        now_ns = time.monotonic_ns()
        # 10 are left, and 75 come back each second, since some moment between these two.
        assert 1.2e9 - (now_ns - asked_ns) - 1e6 <= client.budget.wait_ns(now_ns, 100) <= 1.2e9 + 1e3


@pytest.mark.parametrize("used", ["", "-5", "x", "٣", "9" * 40])
async def test_a_strange_weight_header_is_ignored(server: Server, used: str) -> None:
    server.answer = says(200, X_Used=used)
    async with client_on(server, weight_per_minute=6000) as client:
        await client.get(RestRequest("/"))
        assert client.budget.wait_ns(time.monotonic_ns()) == 0


@pytest.mark.parametrize(
    ("status", "body", "again", "words"),
    [
        (500, b"oops", True, "status 500: oops"),
        (502, b"<html>bad gateway", True, "502"),
        (408, b"", True, "408"),
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', False, "Invalid symbol."),
        (404, b"nothing", False, "404"),
        (302, b"", False, "redirected"),
        (200, b"<!DOCTYPE html>", True, "no JSON: <!DOCTYPE html>"),
        (200, b"", True, "no JSON"),
        (200, b'{"error": "maintenance"}', True, "maintenance"),
    ],
)
async def test_a_bad_answer_says_what_came_and_whether_to_try_again(
    server: Server, status: int, body: bytes, again: bool, words: str
) -> None:
    server.answer = says(status, body, Location=f"{server.url}/elsewhere")
    async with client_on(server) as client:
        with pytest.raises(RestError, match=words) as caught:
            await client.get(RestRequest("/x"))
        assert caught.value.status == status
        assert (caught.value.retry_after_s is not None) == again
        assert client.stats.errors == {status: 1}
        assert server.paths == ["/x"]
        server.answer = None
        await client.get(RestRequest("/good"))


async def test_a_timeout_and_a_refused_connection_are_errors_to_try_again(server: Server) -> None:
    async def stall(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    server.answer = stall
    answers: list[int] = []
    async with client_on(server, timeout_s=0.3, on_answer=lambda status, seconds: answers.append(status)) as client:
        with pytest.raises(RestError, match="timed out") as caught:
            await client.get(RestRequest("/"))
        assert caught.value.retry_after_s
        server.url = "http://127.0.0.1:1"
        assert answers == [0]
    async with client_on(server) as client:
        with pytest.raises(RestError, match="connect") as caught:
            await client.get(RestRequest("/"))
        assert caught.value.retry_after_s


async def test_bodies_are_bounded_also_after_decompression(server: Server) -> None:
    async with client_on(server, max_body_bytes=100_000) as client:
        server.answer = says(200, b"[" + b" " * 99_998 + b"]")
        assert len(await client.get(RestRequest("/"))) == 100_000
        server.answer = says(200, b"[" + b" " * 99_999 + b"]")
        with pytest.raises(RestError, match="over 100000 bytes"):
            await client.get(RestRequest("/"))
        bomb = gzip.compress(b"[" + bytes(50 << 20))
        server.answer = says(200, bomb, Content_Encoding="gzip")
        with pytest.raises(RestError, match="over 100000 bytes"):
            await client.get(RestRequest("/"))
        server.answer = says(200, gzip.compress(b"[1]"), Content_Encoding="gzip")
        assert await client.get(RestRequest("/")) == b"[1]"


async def test_a_torn_or_garbled_body_is_an_error_to_try_again(server: Server) -> None:
    async def torn(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"bids":[')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with client_on(server) as client:
        for answer in (torn, says(200, b"not gzip at all", Content_Encoding="gzip")):
            server.answer = answer
            with pytest.raises(RestError) as caught:
                await client.get(RestRequest("/"))
            assert caught.value.retry_after_s


async def test_a_caller_that_gives_up_frees_its_place(server: Server) -> None:
    release, arrived = asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.Response:
        if len(server.paths) == MAX_IN_FLIGHT:
            arrived.set()
        await release.wait()
        return web.json_response([])

    server.answer = stall
    async with client_on(server) as client:
        tasks = [asyncio.create_task(client.get(RestRequest(f"/{index}"))) for index in range(MAX_IN_FLIGHT + 2)]
        await arrived.wait()
        assert client.waiting == 2
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        release.set()
        server.answer = None
        assert await client.get(RestRequest("/next")) == b'{"path": "/next"}'
        assert server.paths[MAX_IN_FLIGHT:] == ["/next"]


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the openssl command")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_nobody_signed_is_refused(self_signed: ssl.SSLContext) -> None:
    served = Server()
    app = web.Application()
    app.router.add_route("GET", "/{tail:.*}", served.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self_signed).start()
    served.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    async with client_on(served) as client:
        with pytest.raises(RestError, match=r"(?i)certificate"):
            await client.get(RestRequest("/"))
    assert served.paths == []
    await runner.cleanup()
