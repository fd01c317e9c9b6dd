"""The service as a process: it comes up without a bus, says where, stops cleanly, and refuses clearly."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import aiohttp
import pytest

WAIT_S = 60.0


async def run(*arguments: str, directory: Path) -> Process:
    command = [sys.executable, "-m", "services.simulator", *arguments]
    return await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=PIPE, cwd=Path(__file__).parents[2], env={"HOGA_LOG_DIRECTORY": str(directory)}
    )


async def address(process: Process) -> str:
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        found = re.search(r"(?:simulating|playing a tape): (http://\S+?)/", line)
        if found:
            return found[1]
    pytest.fail("it ended without saying where it listens")


async def test_it_serves_says_where_and_stops_on_a_signal(tmp_path: Path) -> None:
    async with asyncio.timeout(WAIT_S):
        process = await run("--port", "0", "--symbols", "2", "--exchanges", "upbit,binance_spot", directory=tmp_path)
        url = await address(process)
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/status") as answer:
                assert set(await answer.json()) == {"upbit", "binance_spot", "late_rounds"}
            async with http.ws_connect(f"{url}/binance_spot/ws/btcusdt@depth@100ms") as ws:
                assert (await ws.receive_json())["s"] == "BTCUSDT"
                busy = await run("--port", url.rsplit(":", 1)[1], directory=tmp_path)
                _, error = await busy.communicate()
                assert busy.returncode == 2
                assert error.decode().splitlines()[-1].startswith("error: simulator.port = ")
                process.send_signal(signal.SIGTERM)
                while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--exchanges", "binance_spot,nope"], "unknown nope; known: binance_future"),
        (["--quiet", "3"], "--quiet 3.0: allowed is 0 to 1"),
        (["--tape", "missing.jsonl.gz"], "cannot read tape missing.jsonl.gz"),
        (["--tape", "missing.jsonl.gz", "--speed", "warp"], "--speed 'warp'"),
    ],
)
async def test_a_wrong_argument_is_one_clear_line(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    async with asyncio.timeout(WAIT_S):
        process = await run("--port", "0", *arguments, directory=tmp_path)
        _, error = await process.communicate()
    assert process.returncode != 0
    assert complaint in error.decode()
    assert "Traceback" not in error.decode()
