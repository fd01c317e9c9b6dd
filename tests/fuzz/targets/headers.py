"""Headers of HTTP answers: how long to wait, and how much of the budget is used. Nobody is shut out for ever by one."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

from hoga.exchanges import registry
from hoga.runtime.config import Settings
from hoga.runtime.rest import RestClient
from hoga.runtime.rest_gate import MAX_GATE_S, Gate, retry_after_s
from services.ingest import handshake
from tests.fuzz.inputs.mutate import NUMBERS, edit_bytes
from tests.fuzz.target import Target, promise

NOW_S = 1_790_000_000.0
LONGEST_WAIT_S = 120.0
"""For a budget that is counted by the minute."""
_DATES = (
    "Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 -0000", "1 Jan 0001 00:00 GMT",
    "31 Dec 9999 23:59:60 GMT",
)  # fmt: skip


def targets() -> Iterator[Target]:
    yield Target(
        "header", run, lambda: [text.encode() for text in ("30", "0", "1200", *_DATES)], _edit, suite_runs=1500
    )


def run(data: bytes) -> Hashable:
    text = data.decode("latin-1")
    asked_s = retry_after_s(text, NOW_S)
    promise(asked_s is None or (asked_s >= 0 and math.isfinite(asked_s)), f"Retry-After: {asked_s}")
    promise(Gate(lambda: 0.0).close(429, asked_s, 5.0) <= MAX_GATE_S, "a gate that closes for ever")
    hold_s = handshake.retry_after_s({"Retry-After": text})
    promise(0 <= hold_s <= handshake.MAX_HOLD_S, f"connections held for {hold_s} s")
    waits_s = [_wait_s(code, text) for code in registry.EXCHANGES]
    promise(max(waits_s) <= LONGEST_WAIT_S, f"no REST request for {max(waits_s)} s, because of one header")
    return asked_s is None, hold_s > 0, max(waits_s) > 0


def _wait_s(code: str, text: str) -> float:
    """How long the next request waits after an answer with this text in the header of the used weight."""
    exchange = registry.get(code)
    nothing: Any = None
    client = RestClient(exchange, exchange.strategy.endpoints, Settings(), nothing)
    response: Any = SimpleNamespace(headers={exchange.strategy.used_weight_header or "": text})
    client._learn(response)
    return client.budget.wait_ns(time.monotonic_ns()) / 1e9


def _edit(data: bytes, chance: Random, pool: object) -> bytes:
    return chance.choice((*NUMBERS, *_DATES)).encode() if chance.random() < 0.2 else edit_bytes(data, chance, ())
