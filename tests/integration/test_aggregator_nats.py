"""The aggregator over a real nats-server, in-process and as the process that it is in production."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hoga.runtime.bus import Bus
from hoga.runtime.nats_bus import connect_nats
from hoga.runtime.settings import NatsSettings
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb, subjects
from tests.integration.aggregator_world import SPOT, WAIT_S, Ingest, running, symbols

ROOT = str(Path(__file__).resolve().parents[2])


async def test_the_last_universe_is_there_for_late_joiners_also_after_the_server_lost_it() -> None:
    with NatsServer() as server:
        nats = NatsSettings(url=server.url)
        bus, other = await connect_nats(nats, name="aggregator"), await connect_nats(nats, name="ingest")
        late: asyncio.Queue[pb.Universe] = asyncio.Queue()
        try:
            await Ingest(other, "binance_spot", dict(SPOT)).start()
            async with running(bus, top_n=2, refresh_s=10_000.0) as world:
                published = await world.next()
                await subscribe_late(other, late)
                assert await asyncio.wait_for(late.get(), WAIT_S) == published
                server.kill()
                server.start()
                again = await asyncio.wait_for(late.get(), WAIT_S)
                assert (again.revision, symbols(again)) == (published.revision, symbols(published))
                assert again.time_ns == published.time_ns  # the clock stands still
                payload = await other.last(subjects.UNIVERSE_STREAM, subjects.universe("binance_spot"))
                assert payload is not None
                assert pb.Universe.FromString(payload).revision == 1
        finally:
            await bus.close()
            await other.close()


async def test_the_process_publishes_stops_on_sigterm_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with NatsServer() as server:
        other = await connect_nats(NatsSettings(url=server.url), name="ingest")
        try:
            ingest = await Ingest(other, "binance_spot", dict(SPOT)).start()
            seen: asyncio.Queue[pb.Universe] = asyncio.Queue()
            await subscribe_late(other, seen)
            for revision in (1, 2):
                process = await start_process(tmp_path, HOGA_NATS_URL=server.url, HOGA_UNIVERSE_TOP_N="1")
                try:
                    async with asyncio.timeout(WAIT_S):
                        while (await seen.get()).revision != revision:
                            pass
                finally:
                    process.terminate()
                    _, stderr = await asyncio.wait_for(process.communicate(), WAIT_S)
                assert process.returncode == 0, stderr.decode()
                assert f"universe revision {revision} has" in stderr.decode()
                ingest.markets["DOGE-USDT"] = ("1", "999999")
        finally:
            await other.close()


async def test_contradicting_settings_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with NatsServer() as server:
        process = await start_process(
            tmp_path,
            HOGA_NATS_URL=server.url,
            HOGA_UNIVERSE_INCLUDE="BTC-USDT",
            HOGA_UNIVERSE_EXCLUDE="BTC-USDT",
            LOG_LEVEL="ERROR",
        )
        _, stderr = await asyncio.wait_for(process.communicate(), WAIT_S)
    assert process.returncode == 2
    assert stderr.decode().splitlines() == [
        "error: universe: BTC-USDT is in include and in exclude; leave it in one of them"
    ]


async def subscribe_late(bus: Bus, queue: asyncio.Queue[pb.Universe]) -> None:
    await bus.subscribe_last(
        subjects.UNIVERSE_STREAM,
        subjects.universe("*"),
        lambda _, payload: queue.put_nowait(pb.Universe.FromString(payload)),
    )


async def start_process(directory: Path, **env: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.aggregator",
        cwd=directory,
        env={"PYTHONPATH": ROOT, **env},
        stderr=asyncio.subprocess.PIPE,
    )
