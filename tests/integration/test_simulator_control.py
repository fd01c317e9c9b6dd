"""POST /control over a real socket: whatever is no command is refused with 400 and one line, and does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from services.simulator.options import Options
from services.simulator.server import SimulatorServer

NO_OBJECT = "expected a JSON object with an action"
ON_MARKET = '"code": "upbit", "native": "KRW-BTC"'
REFUSED = [
    ("", NO_OBJECT),
    ("[" * 100_000, f"{NO_OBJECT}, nested less deeply"),
    ('[["action", "clear"]]', NO_OBJECT),
    ('{"action": [""]}', NO_OBJECT),
    ('{"code": "upbit"}', NO_OBJECT),
    ('{"action": "drip"}', "unknown action 'drip'; known: abort, "),
    ('{"action": "drop", "native": "KRW-BTC"}', "drop: code is missing: allowed is text"),
    ('{"action": "drop", "code": {}, "native": "KRW-BTC"}', "drop: code is wrong: allowed is text"),
    ('{"action": "drop", "code": "upbit", "native": ["KRW-BTC"]}', "drop: native is wrong: allowed is text"),
    (f'{{"action": "drop", {ON_MARKET}, "cuont": 1}}', "drop takes no 'cuont': allowed is code, native, count"),
    ('{"action": "clear", "code": "upbit"}', "clear takes no 'code': allowed is nothing"),
    ('{"action": "halt", "code": "nowhere", "native": "X"}', "unknown exchange 'nowhere'; known: upbit, bithumb"),
    ('{"action": "reset", "code": "kraken", "native": "X"}', "unknown exchange 'kraken'; known: upbit, bithumb"),
    (f'{{"action": "inject", {ON_MARKET}, "payload": {{"": ""}}}}', "inject: payload is wrong: allowed is text"),
    (f'{{"action": "inject", {ON_MARKET}, "payload": "\\ud800"}}', "surrogates not allowed"),
    (f'{{"action": "malformed", {ON_MARKET}, "kind": "odd"}}', "malformed: kind is wrong: allowed is truncated, "),
    (f'{{"action": "drop", {ON_MARKET}, "count": true}}', "drop: count is wrong: allowed is a whole number from "),
    (f'{{"action": "delay", {ON_MARKET}, "seconds": {"9" * 400}}}', "allowed is a number from -1e+09 to 1e+09"),
    (f'{{"action": "delay", {ON_MARKET}, "seconds": Infinity}}', "allowed is a number from -1e+09 to 1e+09"),
    ('{"action": "clock", "seconds": NaN}', "clock: seconds is wrong: allowed is a number from -1e+09 to 1e+09"),
    ('{"action": "refuse_rest", "code": "upbit", "status": 9}', "allowed is a whole number from 200 to 599"),
    ('{"action": "close", "code": "upbit", "close_code": 70000}', "allowed is a whole number from 1000 to 4999"),
]


@pytest.fixture
async def simulator() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(Options(exchanges=("upbit", "bithumb"), symbols=2, max_levels=20)) as server:
        yield server


async def test_what_is_no_command_is_refused_with_the_reason_and_does_nothing(simulator: SimulatorServer) -> None:
    before = simulator.faults.report()
    async with aiohttp.ClientSession() as http:
        for body, why in REFUSED:
            async with http.post(f"{simulator.url}/control", data=body) as answer:
                told = await answer.json()
            assert (answer.status, why in told["error"]) == (400, True), (body[:100], told)
            assert len(told["error"]) < 1000
    assert simulator.faults.report() == before
    assert simulator.clock_offset_ns == 0
    assert simulator.pacing()


async def test_null_is_as_good_as_nothing_where_nothing_is_the_default(simulator: SimulatorServer) -> None:
    async with aiohttp.ClientSession() as http:
        for argument, status in (("count", 200), ("code", 400)):
            body = {"action": "abort", "code": "upbit", argument: None}
            async with http.post(f"{simulator.url}/control", json=body) as answer:
                assert answer.status == status, argument
