"""The health board, its HTTP face and its message."""

from __future__ import annotations

import socket
import time

import aiohttp
import pytest

from hoga.domain.errors import ConfigError
from hoga.runtime.health import HealthBoard, HealthServer
from hoga.runtime.metrics import ReadAtScrape, cpu_seconds, resident_bytes
from hoga.runtime.settings import MetricsSettings


async def fetch(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def test_healthz_says_503_and_why_until_every_check_holds() -> None:
    board = HealthBoard("validator", "abc123")
    server = HealthServer(board, MetricsSettings())
    await server.start()
    try:
        assert (await fetch(server.port, "/healthz"))[0] == 200
        board.set("bus", False, "NATS is away")
        board.set("books", False, "none is live")
        board.set("books", True)
        status, text = await fetch(server.port, "/healthz")
        assert status == 503
        assert '"reasons": {"bus": "NATS is away"}' in text
        board.set("bus", True)
        status, text = await fetch(server.port, "/healthz")
        assert status == 200
        assert '"healthy": true' in text
        status, text = await fetch(server.port, "/metrics")
        assert status == 200
        assert "process_resident_memory_bytes" in text
    finally:
        await server.stop()


async def test_a_busy_port_is_one_line_that_names_the_knob() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = HealthServer(HealthBoard("x", "y"), MetricsSettings(port=port))
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is busy: set HOGA_METRICS_PORT"):
            await server.start()
        await server.stop()


async def test_an_address_that_is_not_ours_is_one_line() -> None:
    server = HealthServer(HealthBoard("x", "y"), MetricsSettings(host="192.0.2.1"))
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1.*HOGA_METRICS_HOST"):
        await server.start()
    await server.stop()


def test_the_message_carries_counts_reasons_and_the_process_figures() -> None:
    board = HealthBoard("ingest-x", "abc123", epoch=5)
    counts = board.exchange("x")
    counts.raw_messages += 3
    counts.bus_lost = 2
    assert board.exchange("x") is counts
    board.set("link", False)
    message = board.message(time.time_ns())
    assert (message.service, message.instance, message.epoch) == ("ingest-x", "abc123", 5)
    assert (message.healthy, message.reason) == (False, "link: not ok")
    assert message.time_ns >= message.start_time_ns > 0
    assert [(one.exchange, one.raw_messages, one.bus_lost) for one in message.exchanges] == [("x", 3, 2)]
    assert message.resident_bytes > 1 << 20
    assert message.cpu_seconds > 0


def test_the_process_figures_move() -> None:
    before_memory, before_cpu = resident_bytes(), cpu_seconds()
    block = bytearray(b"x") * (32 << 20)
    assert resident_bytes() - before_memory > 16 << 20
    assert cpu_seconds() > before_cpu
    del block


def test_plain_numbers_become_metrics_at_the_scrape() -> None:
    value = 1.0
    collector = ReadAtScrape([("a_total", "x", lambda: value), ("b", "y", lambda: value * 2)])
    value = 5.0
    found = {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}
    assert found == {"a_total": 5.0, "b": 10.0}
