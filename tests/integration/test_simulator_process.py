"""The service as a process: it comes up without a bus, says where, stops cleanly, and refuses clearly."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
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


async def test_a_scenario_is_played_through_the_proxy_and_told(tmp_path: Path) -> None:
    scenario = tmp_path / "faults.toml"
    scenario.write_text(
        'duration_s = 2\n[[step]]\nat_s = 0.3\naction = "tcp_rst"\nrepeat_every_s = 0.3\n'
        '[[step]]\nat_s = 0.5\naction = "drop"\nexchange = "upbit"\nsymbol = "KRW-BTC"\n'
    )
    async with asyncio.timeout(WAIT_S):
        process = await run(
            "--port", "0", "--symbols", "1", "--exchanges", "upbit", "--scenario", str(scenario), "--proxy-port", "0",
            directory=tmp_path,
        )  # fmt: skip
        assert process.stderr is not None
        await address(process)
        url = ""
        while not url:
            found = re.search(r"through the proxy: (http://\S+)", (await process.stderr.readline()).decode())
            url = found[1] if found else ""
        cuts = 0
        async with aiohttp.ClientSession() as http:
            while cuts < 3:
                with suppress(aiohttp.ClientError, ConnectionError):  # a reset may strike amid the handshake
                    async with http.ws_connect(f"{url}/upbit/websocket/v1") as ws:
                        await ws.send_json([{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-BTC"]}])
                        while (await ws.receive()).type is aiohttp.WSMsgType.BINARY:
                            pass
                        cuts += 1
        said = ""
        while "the scenario is over" not in said:
            said = (await process.stderr.readline()).decode()
        assert "1 drop" in said
        assert "6 tcp_rst" in said
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_the_actions_are_listed(tmp_path: Path) -> None:
    async with asyncio.timeout(WAIT_S):
        process = await run("--list-actions", directory=tmp_path)
        listed, _ = await process.communicate()
    assert process.returncode == 0
    assert "drop exchange symbol count=1\n    The next `count` frames" in listed.decode()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--exchanges", "binance_spot,nope"], "nope has no emulator and cannot be simulated; known: binance_future"),
        (["--quiet", "3"], "--quiet 3.0: allowed is 0 to 1"),
        (["--scenario", "missing.toml"], "cannot read scenario missing.toml: No such file"),
        (["--proxy-port", "70000"], "--proxy-port 70000: allowed is 0 to 65535"),
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
