"""A recording is played byte for byte, at any speed, with its REST answers where they stood."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hoga.domain.errors import ConfigError, TapeError
from services.simulator.options import Options
from services.simulator.server import SimulatorServer
from services.simulator.tape import Tape, speed_of

WAIT_S = 60.0


@asynccontextmanager
async def playing(path: Path, speed: str) -> AsyncIterator[tuple[SimulatorServer, aiohttp.ClientSession]]:
    async with (
        SimulatorServer(Options(), Tape.read(path, speed_of(speed))) as simulator,
        aiohttp.ClientSession() as http,
        asyncio.timeout(WAIT_S),
    ):
        yield simulator, http


def tapes() -> Path:
    folder = Path(os.environ.get("HOGA_TAPES", Path(__file__).parents[2].parent / "shared" / "tapes"))
    if not folder.is_dir():
        pytest.skip(f"no recordings: {folder} does not exist (HOGA_TAPES names the folder)")
    return folder


def recorded(path: Path, needle: str) -> list[str]:
    with gzip.open(path, "rt") as lines:
        records = [json.loads(line) for line in lines]
    return [record["data"] for record in records if record["kind"] == "recv" and needle in record["data"]]


def frame(n: int, symbol: str = "ABCUSDT") -> str:
    return json.dumps({"e": "depthUpdate", "E": n, "s": symbol, "U": n, "u": n, "b": [], "a": [["1.5", "2"]]})


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    usual = {"conn": "c", "url": "wss://stream.binance.com:9443/ws"}
    path.write_text("".join(json.dumps({**usual, **record}) + "\n" for record in records))
    return path


async def test_a_binance_recording_arrives_as_it_was_and_its_snapshot_joins() -> None:
    path = tapes() / "binance_spot" / "btcusdt_20240808_depth100ms.jsonl.gz"
    expected = recorded(path, "depthUpdate")
    async with (
        playing(path, "max") as (simulator, http),
        http.ws_connect(f"{simulator.url}/binance_spot/stream") as ws,
    ):
        await ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 5})
        assert await ws.receive_json() == {"result": None, "id": 5}
        url = f"{simulator.url}/binance_spot/api/v3/depth?symbol=BTCUSDT&limit=5000"
        asking = asyncio.create_task(fetch(http, url))
        received = [await ws.receive_str() for _ in expected]
        snapshot = json.loads(await asking)
    assert received == expected
    first = json.loads(expected[0])["data"]["U"]
    assert first <= snapshot["lastUpdateId"]


async def test_an_upbit_recording_is_binary_and_kept_apart_by_market() -> None:
    path = tapes() / "upbit" / "cryptofeed2021_upbit.jsonl.gz"
    books = [text for text in recorded(path, '"ty":"orderbook"') if "KRW-WAVES" in text or "BTC-XTZ" in text]
    async with playing(path, "max") as (simulator, http):
        async with http.ws_connect(f"{simulator.url}/upbit/websocket/v1") as ws:
            await ws.send_json([{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-WAVES", "BTC-XTZ"]}])
            received = []
            for _ in books:
                message = await ws.receive()
                assert message.type is aiohttp.WSMsgType.BINARY
                received.append(message.data.decode())
        markets = json.loads(await fetch(http, f"{simulator.url}/upbit/v1/market/all"))
    assert received == books
    assert {"KRW-BTC", "KRW-ETH"} <= {entry["market"] for entry in markets}  # the recorded list itself


async def test_time_between_frames_is_kept_and_divided_by_the_speed(tmp_path: Path) -> None:
    gap_ns = 1_000_000_000
    records = [{"kind": "recv", "ts_ns": n * gap_ns, "data": frame(n)} for n in range(5)]
    async with playing(write(tmp_path / "t.jsonl", records), "10") as (simulator, http):
        began = time.monotonic()  # before the tape begins to play: the first frame may be read late
        async with http.ws_connect(f"{simulator.url}/binance_spot/ws/abcusdt@depth") as ws:
            assert [json.loads(await ws.receive_str())["u"] for _ in range(5)] == [0, 1, 2, 3, 4]
            assert time.monotonic() - began >= 0.39  # 4 s of tape; it can only be late


async def test_a_rest_answer_waits_for_its_place_and_later_ones_replace_it(tmp_path: Path) -> None:
    rest = {"kind": "http", "conn": "r", "url": "https://api.binance.com/api/v3/depth?symbol=ABCUSDT&limit=1000"}
    records: list[dict[str, Any]] = [
        {"kind": "recv", "ts_ns": 1, "data": frame(1)},
        {"kind": "recv", "ts_ns": 2, "data": frame(2)},
        {**rest, "ts_ns": 3, "data": '{"lastUpdateId":2,"bids":[],"asks":[]}'},
        {"kind": "recv", "ts_ns": 4, "data": frame(3)},
        {**rest, "ts_ns": 5, "data": '{"lastUpdateId":3,"bids":[],"asks":[]}'},
        {"kind": "recv", "ts_ns": 6, "data": frame(4)},
    ]
    async with playing(write(tmp_path / "t.jsonl", records), "max") as (simulator, http):
        url = f"{simulator.url}/binance_spot/api/v3/depth?symbol=ABCUSDT&limit=5000"
        early = asyncio.create_task(fetch(http, url))  # before anybody is subscribed
        async with http.ws_connect(f"{simulator.url}/binance_spot/ws/abcusdt@depth") as ws:
            seen = [json.loads(await ws.receive_str())["u"] for _ in range(2)]
            assert json.loads(await early)["lastUpdateId"] == 2
            seen.append(json.loads(await ws.receive_str())["u"])
            # The tape stands still at the second snapshot until it is fetched.
            assert json.loads(await fetch(http, url))["lastUpdateId"] == 3
            seen.append(json.loads(await ws.receive_str())["u"])
        assert seen == [1, 2, 3, 4]
        info = json.loads(await fetch(http, f"{simulator.url}/binance_spot/api/v3/exchangeInfo"))
        assert [(s["symbol"], s["baseAsset"], s["quoteAsset"]) for s in info["symbols"]] == [("ABCUSDT", "ABC", "USDT")]


def test_unplayable_tapes_and_speeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="no order-book frames"):
        Tape.read(write(tmp_path / "t.jsonl", [{"kind": "recv", "ts_ns": 1, "data": '{"result":null,"id":1}'}]))
    with pytest.raises(TapeError, match="cannot read"):
        Tape.read(tmp_path / "missing.jsonl")
    for text in ("0", "-1", "fast", "inf", "nan"):
        with pytest.raises(ConfigError, match="--speed"):
            speed_of(text)
    assert speed_of("2.5") == 2.5


async def fetch(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(url) as answer:
        assert answer.status == 200, url
        return await answer.text()
