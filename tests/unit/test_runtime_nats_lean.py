"""The short way through nats-py: the same messages in the same order, however the bytes are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from hoga.runtime.nats_lean import LeanClient, LeanParser

DIRECT, PLAIN = (1, 12), (2, 3)
"""Subscription ids with and without a receiver of their own."""


class Told:
    """What a parser tells its client."""

    def __init__(self) -> None:
        self.stats = {"in_msgs": 0, "in_bytes": 0}
        self.all: list[tuple[Any, ...]] = []

    def receive(self, subject: str, payload: bytes) -> None:
        self.all.append(("message", subject, payload))

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        if sid in DIRECT and not reply and headers is None:
            self.receive(subject.decode(), data)
        else:
            self.all.append((sid, subject, reply, data, headers))

    async def _process_ping(self) -> None:
        self.all.append(("ping",))

    async def _process_pong(self) -> None:
        self.all.append(("pong",))

    async def _process_err(self, text: str) -> None:
        self.all.append(("error", text))

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.all.append(("info", info))


def lean() -> tuple[LeanParser, Told]:
    told = Told()
    parser = LeanParser(told)  # type: ignore[arg-type]
    parser.receivers = {b"%d" % sid: told.receive for sid in DIRECT}
    return parser, told


sids = st.sampled_from((*DIRECT, *PLAIN))
subjects = st.sampled_from([b"x", b"ob.v1.raw.upbit.BTC-KRW", "ob.비트코인".encode()])
payloads = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"", b"\r\n", b"MSG x 1 3\r\nabc\r\n", b"PING\r\n", bytes(3000)])
)
messages = st.builds(
    lambda subject, sid, payload: b"MSG %b %d %d\r\n%b\r\n" % (subject, sid, len(payload), payload),
    subjects, sids, payloads,
)  # fmt: skip
replied = st.builds(
    lambda subject, sid, payload: b"MSG %b %d _INBOX.1 %d\r\n%b\r\n" % (subject, sid, len(payload), payload),
    subjects, sids, payloads,
)  # fmt: skip
headed = st.builds(
    lambda sid, payload: b"HMSG x %d 12 %d\r\nNATS/1.0\r\n\r\n%b\r\n" % (sid, 12 + len(payload), payload),
    sids, payloads,
)  # fmt: skip
controls = st.sampled_from(
    [b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Slow Consumer'\r\n", b'INFO {"max_payload":8}\r\n']
)
wires = st.lists(st.one_of(messages, messages, messages, replied, headed, controls), max_size=20).map(b"".join)


async def tell_the_same(pieces: Iterable[bytes]) -> None:
    parser, told = lean()
    theirs = Told()
    reference = Parser(theirs)
    for piece in pieces:
        await parser.parse(piece)
        await reference.parse(piece)
        assert parser.buf == b"", "nats-py's own buffer stays empty"
    assert told.all == theirs.all
    assert told.stats == theirs.stats


@given(wires, st.lists(st.one_of(st.integers(1, 60), st.integers(1, 3000)), max_size=60))
def test_however_the_bytes_are_cut_the_same_is_told_in_the_same_order(wire, cuts):
    ends = [*accumulate(cuts), len(wire)]
    asyncio.run(tell_the_same(wire[start:end] for start, end in pairwise((0, *ends))))


async def test_wherever_one_cut_is_the_same_is_told():
    wire = (
        b"MSG x 1 2\r\nab\r\nPING\r\nMSG x 1 0\r\n\r\nMSG x 1 _INBOX.1 1\r\nc\r\n"
        b"HMSG x 1 12 13\r\nNATS/1.0\r\n\r\nd\r\nMSG x 1 1\r\ne\r\n"
    )
    for cut in range(len(wire)):
        await tell_the_same([wire, wire[:cut], wire[cut:]])  # the heads are known then
    await tell_the_same([wire, *(wire[at : at + 1] for at in range(len(wire)))])


@pytest.mark.parametrize("line", [b"HELLO\r\n", b"MSG x 1 -5\r\n", b"MSG x 1 many\r\n", b"MSG x 1\r\n", b"\r\n"])
async def test_what_is_no_protocol_ends_the_connection_as_it_does_in_nats_py(line):
    parser, told = lean()
    await parser.parse(b"MSG x 1 2\r\nok\r\n")
    with pytest.raises(ProtocolError):
        await parser.parse(line + b"PING\r\n")
    assert told.all == [("message", "x", b"ok")]


async def test_a_large_message_in_many_pieces_is_put_together_once():
    parser, told = lean()
    payload = bytes(range(256)) * 4096
    wire = b"MSG x 1 %d\r\n%b\r\nPING\r\n" % (len(payload), payload)
    looks = 0
    take = parser._take

    async def counted(data: bytes) -> bytes:
        nonlocal looks
        looks += 1
        return await take(data)

    parser._take = counted  # type: ignore[method-assign]
    for at in range(0, len(wire), 4096):
        await parser.parse(wire[at : at + 4096])
    assert told.all == [("message", "x", payload), ("ping",)]
    assert looks <= 3


async def test_who_has_unsubscribed_gets_nothing_any_more():
    parser, told = lean()
    message = b"MSG x 1 1\r\na\r\n"
    await parser.parse(message)
    parser.forget(1)
    await parser.parse(message)
    assert told.all[0] == ("message", "x", b"a")
    assert told.stats["in_msgs"] == 2
    assert len(told.all) == 2, "left to nats-py, which knows whether anybody is there"
    assert not parser._heads


class Writes:
    def __init__(self) -> None:
        self.bytes = b""

    def write(self, data: bytes) -> None:
        self.bytes += data

    def writelines(self, parts: list[bytes]) -> None:
        self.bytes += b"".join(parts)


async def connected() -> tuple[LeanClient, Writes]:
    """As after `connect`, but that no flusher runs."""
    client, writes = LeanClient(), Writes()
    client._flush_queue = asyncio.Queue()
    client._transport = writes  # type: ignore[assignment]
    client._status = client.CONNECTED
    client._flusher_task = asyncio.ensure_future(asyncio.Event().wait())
    return client, writes


async def test_what_is_put_keeps_its_order_with_what_nats_py_sends_itself():
    client, writes = await connected()
    client.put("x", b"1")
    await client.publish("y", b"2")
    client.put("x", b"3")
    assert client.pending_data_size == sum(map(len, client._pending))
    await client._send_ping()
    client.put("x", b"4")
    wire = writes.bytes.replace(b"  ", b" ")
    assert wire == b"PUB x 1\r\n1\r\nPUB y 1\r\n2\r\nPUB x 1\r\n3\r\nPING\r\n"
    assert client._pending == [b"PUB x 1\r\n4\r\n"]
    client._flusher_task.cancel()


async def test_many_messages_of_one_turn_wake_the_flusher_once():
    client, _ = await connected()
    for index in range(100):
        client.put("x", b"%d" % index)
    assert client._flush_queue is not None
    assert client._flush_queue.qsize() == 1
    assert len(client._pending) == 100
    client._flusher_task.cancel()
