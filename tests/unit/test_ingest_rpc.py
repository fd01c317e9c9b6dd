"""Requests to an ingest that does not run (yet, or any more) are answered, each in its own kind of reply."""

from __future__ import annotations

import pytest

from hoga.exchanges import registry
from hoga.runtime.settings import Settings
from hoga.testing.fake_bus import FakeBus
from hoga.wire import pb, subjects
from services.ingest.connector import ExchangeConnector
from services.ingest.rpc import Rpc

REQUESTS = {
    "snapshot": (pb.SnapshotRequest(symbol="BTC-KRW"), pb.RpcReply),
    "resubscribe": (pb.ResubscribeRequest(symbol="BTC-KRW"), pb.RpcReply),
    "reconnect": (pb.ReconnectRequest(link="upbit-0"), pb.RpcReply),
    "listing": (pb.ListingRequest(instruments=True), pb.ListingReply),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_an_ingest_that_does_not_run_says_so(name: str) -> None:
    bus = FakeBus()
    await Rpc(ExchangeConnector(registry.get("upbit"), Settings())).serve(bus)
    request, reply = REQUESTS[name]
    answer = await bus.request(subjects.rpc(name, "upbit"), request.SerializeToString(), timeout_s=5.0)
    assert reply.FromString(answer).error == "ingest of upbit is not running (any more)"
