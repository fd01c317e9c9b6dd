"""What `hoga.runtime.nats_lean` and `nats_link` reach into nats-py for: to be looked at with each minor version."""

from __future__ import annotations

import asyncio
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.aio.transport import Transport
from nats.protocol.parser import Parser

ROOT = Path(__file__).resolve().parents[2]


def test_the_minor_version_is_the_one_that_was_looked_at():
    assert version("nats-py").startswith("2.16.")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "nats-py>=2.16,<2.17" in project["dependencies"]


async def test_a_client_keeps_what_is_pending_and_wakes_its_flusher_through_a_queue():
    client = Client()
    assert isinstance(client._ps, Parser)
    assert client._pending == []
    assert client._pending_data_size == client.pending_data_size == 0
    assert client._flush_queue is None  # a queue since `connect`
    assert client._sid == 0
    assert client._subs == {}
    assert client._transport is None
    assert {"in_msgs", "in_bytes"} <= client.stats.keys()
    for name in ("_flush_pending", "_flusher", "_send_ping", "_read_loop"):
        assert inspect.iscoroutinefunction(getattr(Client, name)), name
    assert list(inspect.signature(Client._remove_sub).parameters) == ["self", "sid", "max_msgs"]
    assert list(inspect.signature(Client._flush_pending).parameters) == ["self", "force_flush"]
    assert "self._flush_queue = asyncio.Queue(" in inspect.getsource(Client.connect)
    flusher = inspect.getsource(Client._flusher)
    assert "await self._flush_queue.get()" in flusher
    assert "self._transport.writelines(self._pending" in flusher
    assert "self._pending = []" in flusher
    assert "await self._ps.parse(" in inspect.getsource(Client._read_loop)
    assert "self._transport.write(PING_PROTO)" in inspect.getsource(Client._send_ping)
    assert "_io_writer" in inspect.getsource(inspect.getmodule(Transport))


async def test_a_subscription_has_the_next_number_and_tells_its_client_when_it_ends():
    source = inspect.getsource(Client.subscribe)
    assert "self._sid += 1" in source
    assert "await" not in source[: source.index("self._sid += 1")], "the number would be another one's"
    assert "self._conn._remove_sub(self._id)" in inspect.getsource(Subscription.unsubscribe)

    async def nobody(_message: object) -> None: ...

    client = Client()
    subscription = Subscription(client, 7, "x", cb=nobody)
    assert subscription._id == 7
    subscription._start(client._error_cb)
    assert isinstance(subscription._wait_for_msgs_task, asyncio.Task)
    subscription._wait_for_msgs_task.cancel()


def test_a_parser_is_reset_when_it_is_made_and_empties_its_buffer_item_by_item():
    assert inspect.iscoroutinefunction(Parser.parse)
    assert "self.reset()" in inspect.getsource(Parser.__init__)
    parser = Parser(None)
    assert parser.buf == b""
    assert parser.nc is None
