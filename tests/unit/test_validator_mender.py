"""Requests of the validator to ingest, which may just be coming back to the bus."""

from __future__ import annotations

import asyncio

from hoga.runtime.health import HealthBoard
from hoga.testing.fake_bus import FakeBus
from hoga.wire import pb, subjects
from services.validator.mender import Mender
from services.validator.metrics import Meters


async def test_a_request_that_nobody_answers_is_repeated_until_ingest_is_back() -> None:
    bus, asked = FakeBus(), asyncio.Event()

    async def snapshot(_subject: str, payload: bytes) -> bytes:
        assert pb.SnapshotRequest.FromString(payload).symbol == "BTC-KRW"
        asked.set()
        return pb.RpcReply().SerializeToString()

    mender = Mender(bus, Meters(HealthBoard("validator", "i")))
    mender.snapshot("upbit", "BTC-KRW", 1)
    await asyncio.sleep(0)
    assert not asked.is_set()
    await bus.serve(subjects.rpc("snapshot", "upbit"), snapshot)
    async with asyncio.timeout(30):
        await asked.wait()
