"""The bus as a user who may not do everything: what is denied is said, what is allowed works."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from hoga.domain.errors import BusError
from hoga.runtime.nats_bus import connect_nats
from hoga.runtime.nats_server import server_config
from hoga.runtime.settings import NatsSettings
from hoga.testing.nats_server import NatsServer

from .nats_bus_support import Connection, Received, bus_on, until

CONSUMER_MAY_PUBLISH = [
    "$JS.API.STREAM.INFO.BOOKS",
    "$JS.API.DIRECT.GET.BOOKS.>",
    "$JS.API.CONSUMER.CREATE.BOOKS.>",
    "$JS.API.CONSUMER.DELETE.BOOKS.>",
    "$JS.FC.>",
]
"""All that `subscribe_last` and `last` need of a read-only user."""

USERS = f"""
accounts {{
  A {{
    jetstream: enabled
    users: [
      {{ user: owner, password: owner-secret }}
      {{ user: reader, password: reader-secret, permissions: {{
          publish: {{ allow: [{", ".join(f'"{subject}"' for subject in CONSUMER_MAY_PUBLISH)}] }}
          subscribe: {{ allow: ["b.>", "_INBOX.>"] }} }} }}
    ]
  }}
}}
"""
OWNER = {"user": "owner", "password": "owner-secret"}
READER = {"user": "reader", "password": "reader-secret"}


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer(config=USERS) as running:
        yield running


async def test_a_wrong_password_names_the_user_and_keeps_the_secret(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = NatsSettings(url=server.url, user="owner", password="not-this-one")
    with pytest.raises(BusError, match="refuses user owner: check HOGA_NATS_USER") as caught:
        await connect_nats(settings, name="test", timeout_s=1.0)
    assert "not-this-one" not in str(caught.value) + caplog.text


async def test_a_login_in_the_address_is_used_and_not_shown(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    url = server.url.replace("//", "//owner:owner-secret@")
    bus = await connect_nats(NatsSettings(url=url), name="test")
    await bus.close()
    assert "owner-secret" not in caplog.text


async def test_a_denied_jetstream_call_says_permission_and_subject(server: NatsServer) -> None:
    async with bus_on(server, **READER) as bus:
        with pytest.raises(BusError, match=r"permission denied for user reader: publish to \$js\.api\.stream\.create"):
            await bus.ensure_stream("BOOKS", ["b.*"], max_bytes=1 << 20)
        with pytest.raises(BusError, match="permission denied"):
            await bus.subscribe_last("OTHER", "x.*", Received())


async def test_a_denied_subscription_is_an_error(server: NatsServer) -> None:
    async with bus_on(server, **READER) as bus:
        with pytest.raises(BusError, match="permission denied for user reader: subscription to secret"):
            await bus.subscribe("secret.>", Received())
        received = Received()
        await bus.subscribe("b.>", received)
        assert bus.connected


async def test_a_denied_publish_is_logged_with_its_subject_and_the_bus_goes_on(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bus_on(server, **READER) as reader, bus_on(server, **OWNER) as owner:
        received = Received()
        await reader.subscribe("b.>", received)
        reader.publish("b.1", b"forged")
        owner.publish("b.1", b"true")
        await received.payload(b"true")
        await reader.subscribe("b.2", received)
        assert received.payloads == [b"true"]
        assert "permission denied for user reader: publish to b.1" in caplog.text


async def test_a_login_that_is_taken_away_and_given_back_is_survived(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bus_on(server, **OWNER) as owner:
        connection = Connection(owner)
        received = Received()
        await owner.subscribe("b.1", received)
        reload(server, USERS.replace("user: owner", "user: somebody"))
        await connection.count(1)
        await asyncio.to_thread(until, lambda: "refuses user owner" in caplog.text)
        reload(server, USERS)
        await connection.count(2)
        owner.publish("b.1", b"again")
        await received.payload(b"again")


def reload(server: NatsServer, config: str) -> None:
    """Gives the running server another configuration."""
    server._extra = config
    assert server._directory is not None
    text = server_config(server.host, server.port, server._directory, server._max_payload)
    (server._directory / "nats.conf").write_text(f"{text}{config}\n")
    os.kill(server.pid, signal.SIGHUP)


async def test_a_read_only_user_gets_last_and_live_values(server: NatsServer) -> None:
    async with bus_on(server, **OWNER) as owner, bus_on(server, **READER) as reader:
        await owner.ensure_stream("BOOKS", ["b.*"], max_bytes=1 << 20)
        owner.publish("b.1", b"last")
        received = Received()
        await reader.subscribe_last("BOOKS", "b.*", received)
        await received.payload(b"last")
        owner.publish("b.1", b"live")
        await received.payload(b"live")
        assert await reader.last("BOOKS", "b.1") == b"live"
        with pytest.raises(BusError, match="permission denied"):
            await reader.request("rpc.anything", b"")
