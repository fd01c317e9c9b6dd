"""Envelopes: what goes in comes out, numbered."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.domain.errors import FrameError
from hoga.wire import packing, pb, subjects
from services.ingest.lane import Lane

text = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)


class Bus:
    def __init__(self, *, taken: bool = True) -> None:
        self.taken = taken
        self.messages: list[tuple[str, bytes]] = []

    def publish(self, subject: str, payload: bytes) -> bool:
        self.messages.append((subject, payload))
        return self.taken


@given(
    symbol=text, native=text, frames=st.lists(st.tuples(st.binary(max_size=2000), st.integers(0, 2**62)), max_size=5)
)
def test_every_frame_comes_out_as_it_went_in(symbol, native, frames):
    bus = Bus()
    lane = Lane("upbit", symbol, native, "upbit-0.x1", bus.publish)
    for frame, time_ns in frames:
        assert lane.send(frame, time_ns)
    for number, ((frame, time_ns), (subject, payload)) in enumerate(zip(frames, bus.messages, strict=True), 1):
        assert subject == subjects.raw("upbit", symbol)
        assert pb.RawFrame.FromString(payload) == pb.RawFrame(
            exchange="upbit",
            symbol=symbol,
            native_symbol=native,
            link="upbit-0.x1",
            link_seq=number,
            receive_time_ns=time_ns,
            kind=pb.RawFrame.KIND_STREAM,
            encoding=pb.RawFrame.ENCODING_IDENTITY,
            payload=frame,
        )


def test_a_frame_that_the_bus_does_not_take_is_counted_in_the_numbers():
    bus = Bus(taken=False)
    lane = Lane("upbit", "BTC-KRW", "KRW-BTC", "l", bus.publish)
    assert not lane.send(b"a", 1)
    bus.taken = True
    assert lane.send(b"b", 2)
    assert pb.RawFrame.FromString(bus.messages[-1][1]).link_seq == 2


def test_a_large_frame_travels_compressed_and_the_next_small_one_does_not():
    bus = Bus()
    lane = Lane("upbit", "BTC-KRW", "KRW-BTC", "l", bus.publish)
    large = b"0123456789" * 100_000
    assert lane.send(large, 1)
    assert lane.send(b"small", 2)
    first, second = (pb.RawFrame.FromString(payload) for _, payload in bus.messages)
    assert first.encoding == pb.RawFrame.ENCODING_ZSTD
    assert len(bus.messages[0][1]) < len(large) // 10
    assert packing.unpack(first) == large
    assert (second.encoding, packing.unpack(second)) == (pb.RawFrame.ENCODING_IDENTITY, b"small")


def test_a_frame_that_cannot_be_sent_is_refused_by_name_and_counted():
    bus = Bus()
    lane = Lane("upbit", "BTC-KRW", "KRW-BTC", "l", bus.publish)
    with pytest.raises(FrameError, match=r"BTC-KRW.*bytes"):
        lane.send(os.urandom(8 << 20), 1)
    assert not bus.messages
    assert lane.send(b"next", 2)
    assert pb.RawFrame.FromString(bus.messages[0][1]).link_seq == 2
