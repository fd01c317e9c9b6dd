"""The envelope by hand says what the generated class says, whatever is put into it and whatever comes."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from hoga.wire import envelope, pb

SUBJECT = "ob.v1.raw.x.BTC-KRW"
FIELDS = [field.name for field in pb.RawFrame.DESCRIPTOR.fields]
WALL_NS, MONO_NS = 1_760_000_000_123_456_789, 123_456_789_012

names = st.sampled_from(["", "x", "BTC-KRW", "비트코인", "a" * 200, "binance_spot-0.ab12cd1"])
seqs = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1))
times = st.one_of(
    st.integers(0, (1 << 63) - 1), st.integers(WALL_NS, WALL_NS + (1 << 30)), st.sampled_from([0, (1 << 63) - 1, -1])
)
payloads = st.one_of(st.binary(max_size=60), st.sampled_from([b"", bytes(16383), bytes(16384), bytes(1 << 16)]))
kinds = st.sampled_from([pb.RawFrame.KIND_STREAM, pb.RawFrame.KIND_REST_SNAPSHOT])


native = pytest.mark.skipif(envelope._read is None, reason="the native module is not built")


def same(found: object, frame: pb.RawFrame) -> None:
    for name in FIELDS:
        assert getattr(found, name) == getattr(frame, name), name


@given(st.tuples(names, names, names, names), kinds, seqs, times, times, payloads)
def test_what_is_written_by_hand_the_generated_class_reads(fields, kind, seq, wall_ns, mono_ns, payload):
    exchange, symbol, native, link = fields
    frame = pb.RawFrame(
        exchange=exchange,
        symbol=symbol,
        native_symbol=native,
        link=link,
        kind=kind,
        encoding=pb.RawFrame.ENCODING_IDENTITY,
        link_seq=seq,
        receive_time_ns=wall_ns,
        receive_mono_ns=mono_ns,
        payload=payload,
    )
    head = envelope.head(*fields, kind)
    written = envelope.write(head, seq, wall_ns, mono_ns, payload)
    assert pb.RawFrame.FromString(written) == frame
    assert written == envelope._write(head, seq, wall_ns, mono_ns, payload), "the same bytes with and without C++"


@given(st.lists(st.tuples(names, names, seqs, times, times, payloads, kinds, st.booleans()), min_size=1, max_size=12))
def test_it_reads_what_either_of_them_has_written(frames):
    reader = envelope.Reader()
    for symbol, link, seq, wall_ns, mono_ns, payload, kind, by_hand in frames:
        frame = pb.RawFrame(
            exchange="x",
            symbol=symbol,
            native_symbol=symbol.lower(),
            link=link,
            kind=kind,
            encoding=pb.RawFrame.ENCODING_IDENTITY,
            link_seq=seq,
            receive_time_ns=wall_ns,
            receive_mono_ns=mono_ns,
            payload=payload,
        )
        written = envelope.write(envelope.head("x", symbol, symbol.lower(), link, kind), seq, wall_ns, mono_ns, payload)
        data = written if by_hand else frame.SerializeToString()
        for _ in range(2):
            same(reader.read(SUBJECT, data), frame)


def usual(seq: int = 7, payload: bytes = b"{}", link: str = "x-0.1") -> bytes:
    return envelope.write(envelope.head("x", "BTC-KRW", "KRW-BTC", link), seq, WALL_NS, MONO_NS, payload)


def agree(reader: envelope.Reader, data: bytes) -> None:
    try:
        expected = pb.RawFrame.FromString(data)
    except DecodeError:
        expected = None
    try:
        found = reader.read(SUBJECT, data)
    except DecodeError:
        found = None
    assert (found is None) == (expected is None)
    if expected is not None:
        same(found, expected)


def test_every_byte_changed_and_every_length_cut_mean_what_the_generated_class_says():
    reader, data = envelope.Reader(), usual(8, b"[1]")
    for at in range(len(data)):
        agree(reader, data[:at])
        for value in range(256):
            reader.read(SUBJECT, data)  # learns the head, where another one has taken its place
            agree(reader, data[:at] + bytes((value,)) + data[at + 1 :])


@given(st.integers(0, 90), st.binary(max_size=40))
@example(90, b"\x58\x01")
@example(90, b"\x28\x05")
@example(34, b"\x30" + b"\xff" * 9 + b"\x01")
@example(34, b"\x30" + b"\xff" * 9 + b"\x03")
@example(34, b"\x30" + b"\x80" * 10 + b"\x01")
@example(34, b"\x4a\x00\x30\x00")
def test_bytes_of_any_other_sort_mean_what_the_generated_class_says(kept, added):
    reader = envelope.Reader()
    for _ in range(2):
        reader.read(SUBJECT, usual())
    agree(reader, usual(8, b"[1,2,3]")[:kept] + added)


@native
def test_the_usual_frame_takes_the_short_way_and_only_that():
    reader = envelope.Reader()
    assert isinstance(reader.read(SUBJECT, usual(1)), pb.RawFrame), "a link is learned from its first frame"
    assert isinstance(reader.read(SUBJECT, usual(2)), envelope.Envelope)
    assert isinstance(reader.read(SUBJECT, usual(3, bytes(500_000))), envelope.Envelope)
    other = envelope.write(
        envelope.head("x", "BTC-KRW", "KRW-BTC", "rest", pb.RawFrame.KIND_REST_SNAPSHOT), 1, WALL_NS, 0, b""
    )
    assert [type(reader.read(SUBJECT, other)) for _ in range(2)] == [pb.RawFrame, pb.RawFrame]
    assert isinstance(reader.read(SUBJECT, usual(4) + b"\x7a\x00"), pb.RawFrame), "a field of a later version"
    fresh = envelope.Reader()
    fresh.read(SUBJECT, pb.RawFrame.FromString(usual()).SerializeToString())
    assert not fresh._heads, "nothing is learned from another's order of fields"


@native
def test_it_remembers_no_more_than_the_newest_links_of_a_subject():
    reader = envelope.Reader()
    frames = [usual(link=f"x-0.{number}") for number in range(9)]
    for data in frames:
        reader.read(SUBJECT, data)
    assert len(reader._heads[SUBJECT]) == 4
    assert isinstance(reader.read(SUBJECT, frames[-1]), envelope.Envelope)
    assert isinstance(reader.read(SUBJECT, frames[0]), pb.RawFrame)


def test_without_the_native_module_all_is_left_to_the_generated_class(monkeypatch):
    monkeypatch.setattr(envelope, "_read", None)
    reader = envelope.Reader()
    for _ in range(2):
        agree(reader, usual())
        assert isinstance(reader.read(SUBJECT, usual()), pb.RawFrame)
    with pytest.raises(DecodeError):
        reader.read(SUBJECT, b"\xff")
