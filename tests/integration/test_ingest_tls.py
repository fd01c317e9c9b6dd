"""A websocket behind TLS that cannot be trusted: refused with its reason, tried again after pauses, never in plaintext.

Between the link and the server stands a relay that keeps the first bytes of every connection: whatever the link sends
that is no TLS would be among them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hoga.runtime.config import ExchangeSettings, IngestSettings, Settings
from hoga.runtime.logs import RateLimited
from hoga.wire import pb
from services.ingest.connector import ExchangeConnector
from services.ingest.line import Patience
from services.ingest.slot import Slot
from tests.integration.ingest_support import Venue, natives_of, until
from tests.integration.tls_support import HERE, Authority, Relay, self_signed

CODE = "binance_future"
INGEST = IngestSettings(backoff_min_s=0.02, backoff_max_s=0.2, connect_timeout_s=5.0)
HELLO = b"\x16\x03"
"""How a TLS handshake begins."""
CONNECTING, CONNECTED, BACKOFF = (
    pb.LinkState.LINK_STATE_CONNECTING,
    pb.LinkState.LINK_STATE_CONNECTED,
    pb.LinkState.LINK_STATE_BACKOFF,
)


@dataclass
class Attempts:
    """A connector that wants one symbol, and what came of it."""

    connector: ExchangeConnector
    url: str
    wire: Relay
    statuses: list[tuple[pb.LinkState, str]] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """The reasons given, one for each pause."""
        return [reason for state, reason in self.statuses if state == BACKOFF]


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    found = Venue(natives_of(1))
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that aiohttp trusts as it otherwise trusts those of the system."""
    made = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=made.certificate)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    return made


@contextlib.asynccontextmanager
async def attempting(venue: Venue, port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Attempts]:
    """A connector whose websocket is `wss://` at a port, through a relay; lists come over plain HTTP from the venue."""
    monkeypatch.setattr("services.ingest.slot.limited", RateLimited(logging.getLogger("fresh")))
    async with Relay(port) as wire:
        url = f"wss://127.0.0.1:{wire.port}"
        own = ExchangeSettings(ws_url=url, rest_url=f"http://127.0.0.1:{venue.port}")
        found: list[tuple[pb.LinkState, str]] = []

        def note(slot: Slot) -> None:
            if not found or found[-1] != (slot.state, slot.reason) or slot.state == BACKOFF:
                found.append((slot.state, slot.reason))

        settings = Settings(exchanges={CODE: own}, ingest=INGEST)
        connector = ExchangeConnector(venue.exchange(), settings, on_status=note, patience=Patience(connect_s=5.0))
        try:
            await connector.start()
            connector.collect({"C000-USDT": ""})
            yield Attempts(connector, url, wire, found)
        finally:
            await connector.disconnect()


def all_tls(heard: list[bytes]) -> bool:
    return all(first.startswith(HELLO) for first in heard)


async def check_refused(attempts: Attempts, venue: Venue, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """The promise of this file, over a few attempts."""
    heard = attempts.wire.heard
    await until(
        lambda: len(attempts.failures) >= 5 <= len(heard) or venue.connections or not all_tls(heard), timeout_s=60
    )
    assert all_tls(heard), "something was sent in plaintext"
    assert venue.connections == []
    assert {state for state, _ in attempts.statuses} == {CONNECTING, BACKOFF}
    for reason in attempts.failures:
        assert reason.startswith(f"cannot reach {attempts.url}"), reason
        assert why in reason
    line, *_ = [line for line in caplog.messages if "cannot reach" in line]
    assert why in line
    assert "next attempt in" in line
    # One pause between two attempts, and longer ones each time.
    assert len(heard) <= len(attempts.failures) + 1
    (slot,) = attempts.connector.parts.pool
    assert slot._backoff.after(slot._failures) == INGEST.backoff_max_s
    assert not attempts.connector.is_connected


async def test_a_certificate_that_nobody_signed_is_refused(
    venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Relay(venue.port, self_signed(tmp_path)) as server,
        attempting(venue, server.port, monkeypatch) as attempts,
    ):
        await check_refused(attempts, venue, "certificate verify failed: self-signed certificate", caplog)
        assert server.heard == [], "a request was sent to whom we do not know"


@pytest.mark.parametrize(
    ("name", "days", "why"),
    [
        ("DNS:exchange.example", 2, "certificate is not valid for '127.0.0.1'"),
        (HERE, -1, "certificate has expired"),
    ],
)
async def test_a_certificate_for_another_host_or_day_is_refused(
    venue: Venue,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    days: int,
    why: str,
) -> None:
    async with (
        Relay(venue.port, authority.context(name, days)) as server,
        attempting(venue, server.port, monkeypatch) as attempts,
    ):
        await check_refused(attempts, venue, why, caplog)
        assert server.heard == [], "a request was sent to whom we do not know"


async def test_a_port_that_speaks_plaintext_is_refused_where_tls_was_meant(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with attempting(venue, venue.port, monkeypatch) as attempts:
        await check_refused(attempts, venue, "SSL: WRONG_VERSION_NUMBER", caplog)


async def test_the_same_server_with_the_right_certificate_is_collected_over_tls(
    venue: Venue, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Relay(venue.port, authority.context(HERE)) as server,
        attempting(venue, server.port, monkeypatch) as attempts,
    ):
        await until(lambda: venue.live and venue.live[0].subscribed == {"C000USDT"})
        await until(lambda: attempts.connector.is_connected)
        assert attempts.wire.heard[0].startswith(HELLO)
        assert server.heard[0].startswith(b"GET ")


async def test_nothing_is_left_of_attempts_that_failed(
    venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Relay(venue.port, self_signed(tmp_path)) as server:
        before = asyncio.all_tasks(), len(os.listdir("/proc/self/fd"))
        async with attempting(venue, server.port, monkeypatch) as attempts:
            await until(lambda: len(attempts.failures) >= 5)
        await until(lambda: (asyncio.all_tasks(), len(os.listdir("/proc/self/fd"))) == before)
