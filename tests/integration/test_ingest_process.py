"""`python -m services.ingest` as a process, and its figures."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import aiohttp
import pytest

from hoga.runtime.config import NatsSettings
from hoga.runtime.nats_bus import connect_nats
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb, subjects
from tests.integration.ingest_support import Venue, natives_of, until


async def start(*args: str, **env: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.ingest",
        *args,
        env={**os.environ, **env},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("args", "env", "words"),
    [
        (("--exchange", "binance_spott"), {}, ("binance_spott", "binance_spot", "bithumb")),
        (("--exchange", "upbit"), {"HOGA_INGEST_OVERLAP_S": "soon"}, ("HOGA_INGEST_OVERLAP_S", "soon")),
    ],
)
async def test_a_wrong_argument_or_setting_is_one_line_and_exit_code_2(args, env, words):
    process = await start(*args, **env)
    _, output = await asyncio.wait_for(process.communicate(), 60)
    lines = output.decode().splitlines()
    assert process.returncode == 2
    assert len(lines) == 1
    assert all(word in lines[0] for word in words)


async def test_it_collects_shows_its_figures_and_stops_on_sigterm():
    venue = Venue(natives_of(3))
    await venue.start()
    with NatsServer() as nats:
        bus = await connect_nats(NatsSettings(url=nats.url), name="outside")
        frames: list[pb.RawFrame] = []
        statuses: list[pb.LinkStatus] = []
        health: list[pb.Health] = []
        await bus.subscribe(subjects.raw("binance_future"), lambda _s, p: frames.append(pb.RawFrame.FromString(p)))
        await bus.subscribe(subjects.link("binance_future"), lambda _s, p: statuses.append(pb.LinkStatus.FromString(p)))
        await bus.subscribe(
            subjects.health("ingest-binance-future"), lambda _s, p: health.append(pb.Health.FromString(p))
        )
        address = f"127.0.0.1:{venue.port}"
        process = await start(
            "--exchange",
            "binance_future",
            HOGA_NATS_URL=nats.url,
            HOGA_EXCHANGES_BINANCE_FUTURE_WS_URL=f"ws://{address}",
            HOGA_EXCHANGES_BINANCE_FUTURE_REST_URL=f"http://{address}",
            HOGA_EXCHANGES_BINANCE_FUTURE_SYMBOLS="C000-USDT,C001-USDT",
        )
        try:
            assert process.stderr is not None
            figures = ""
            async for line in process.stderr:
                if b"http://" in line and b"/metrics" in line:
                    figures = line.decode().split("http://")[1].split("/")[0]
                    break
            await until(lambda: venue.live and len(venue.live[0].subscribed) == 2, 60)
            await venue.deliver("C000USDT")
            await until(lambda: frames and health and [c.raw_messages for c in health[-1].exchanges] == [1])
            assert health[-1].healthy
            async with aiohttp.ClientSession() as session:
                text = await (await session.get(f"http://{figures}/metrics")).text()
                healthz = await session.get(f"http://{figures}/healthz")
                assert healthz.status == 200
            for line in (
                'hoga_ingest_published_total{exchange="binance_future"} 1.0',
                'hoga_ingest_dropped_total{exchange="binance_future"} 0.0',
                'hoga_ingest_link_up{exchange="binance_future",slot="binance_future-0"} 1.0',
                'hoga_ingest_reconnects_total{exchange="binance_future",reason="lost"} 0.0',
                'hoga_ingest_symbols{exchange="binance_future"} 2.0',
                'hoga_ingest_rest_seconds_count{exchange="binance_future",status="200"} 1.0',
            ):
                assert line in text
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == 0
            await until(lambda: statuses[-1].state == pb.LinkState.LINK_STATE_CLOSED)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
            await bus.close()
            await venue.stop()
