"""The watchdog of a connection: any arrival is a sign of life, silence is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hoga.runtime import nats_link
from hoga.runtime.nats_link import NatsLink


class SilentClient:
    """A nats-py client whose server never answers a ping; the test says what arrives."""

    def __init__(self) -> None:
        self.stats = {"in_msgs": 0}
        self.is_closed = False
        self.last_error = None
        self._subs: dict[int, Any] = {}

    async def rtt(self, timeout: float) -> float:
        await asyncio.Event().wait()
        return 0.0

    async def close(self) -> None:
        self.is_closed = True


async def test_a_busy_connection_is_alive_without_pongs_and_a_silent_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nats_link, "PING_PERIOD_S", 0.01)
    monkeypatch.setattr(nats_link, "PING_PATIENCE_S", 0.2)
    client = SilentClient()
    link = NatsLink(client, "", lambda subject: None, lambda what: None)  # type: ignore[arg-type]
    link.start()
    for _ in range(100):
        client.stats["in_msgs"] += 1
        await asyncio.sleep(0.01)
    assert link.alive, "messages arrived all the time"
    reason = await asyncio.wait_for(link.end(), 30)
    assert "no answer to a ping" in reason
    await link.buried()
    assert client.is_closed
