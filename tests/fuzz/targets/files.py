"""What comes packed or from disk: compressed payloads, tapes, and a tape's whole replay."""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from collections.abc import Hashable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random

import zstandard

from hoga.domain.errors import FrameError, TapeError
from hoga.exchanges import registry
from hoga.runtime.replay import replay
from hoga.wire import packing, pb, tape
from tests.fuzz import promises
from tests.fuzz.inputs import messages, seeds
from tests.fuzz.inputs.mutate import edit_bytes, mutate
from tests.fuzz.target import Target, promise

LIMIT = 1 << 20
_GZIP = b"\x1f\x8b"


def targets() -> Iterator[Target]:
    yield Target("packing", unpack, _packed, edit_bytes, suite_runs=1500, memory_bytes=2 * LIMIT)
    yield Target("envelope", envelope, _envelopes, messages.mutator(pb.RawFrame, edit_bytes), suite_runs=1000)
    yield Target("tape", read_tape, _tapes, _edit_tape, suite_runs=200)
    for code in registry.EXCHANGES:
        yield Target(f"replay:{code}", play_tape, partial(_one_tape, code), _edit_tape, suite_runs=15)


def unpack(data: bytes) -> Hashable:
    """Never more than the limit, whatever it announces."""
    try:
        found = packing.decompress(data, LIMIT)
    except FrameError as error:
        return promises.refused(error)
    promise(len(found) <= LIMIT, f"{len(found)} bytes from {len(data)}")
    return len(found).bit_length()


def envelope(data: bytes) -> Hashable:
    try:
        frame = pb.RawFrame.FromString(data)
    except Exception as error:  # whoever reads it catches what protobuf raises; only its class may not vary
        promise(type(error).__name__ == "DecodeError", f"{type(error).__name__}: {error}")
        return None
    try:
        payload = packing.unpack(frame)
    except FrameError as error:
        return promises.refused(error)
    promise(len(payload) <= packing.UNPACKED_BYTES, f"{len(payload)} bytes")
    return frame.encoding, frame.kind


def read_tape(data: bytes) -> Hashable:
    with _file(data) as path:
        found = []
        try:
            for record in tape.read(path):
                found.append(record.kind)
        except TapeError as error:
            promises.encodable(str(error))
            return "damaged", min(len(found), 3)
    return min(len(found), 3)


def play_tape(data: bytes) -> Hashable:
    with _file(data) as path:
        try:
            run = replay(path)
        except TapeError as error:
            promises.encodable(str(error))
            return str(error).partition(path.name)[2][:20]
    for builder in run.shelf.builders.values():
        promises.builder(builder)
        promises.message(builder, 20)
    for trouble in run.troubles:
        promises.short(trouble)
    run.books()
    return (
        bool(run.damage),
        bool(run.unknown),
        tuple(sorted({builder.state for builder in run.shelf.builders.values()})),
    )


class _file:  # noqa: N801 - reads as a function
    """A file that holds these bytes, for as long as the block lasts."""

    _folder = tempfile.TemporaryDirectory(prefix="hoga-fuzz-")

    def __init__(self, data: bytes) -> None:
        self._path = Path(self._folder.name) / "input.tape"
        self._path.write_bytes(data)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink()


def _packed() -> list[bytes]:
    unknown_size = zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 1000)
    bombs = [packing.compress(bytes(LIMIT << 3)), packing.compress(bytes(LIMIT)), packing.compress(bytes(LIMIT + 1))]
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    small = [packing.compress(b""), packing.compress(b'{"a":1}'), packing.compress(bytes(range(256)) * 8)]
    return [*small, *bombs, unknown_size, skippable, skippable + small[1], small[1] + small[2], zlib.compress(b"x")]


def _envelopes() -> list[bytes]:
    plain = pb.RawFrame(
        exchange="x", symbol="A-B", native_symbol="AB", link="l", link_seq=7, receive_time_ns=1, payload=b"{}"
    )
    plain.kind, plain.encoding = pb.RawFrame.KIND_STREAM, pb.RawFrame.ENCODING_IDENTITY
    packed = pb.RawFrame.FromString(plain.SerializeToString())
    packed.encoding, packed.payload = pb.RawFrame.ENCODING_ZSTD, packing.compress(b'{"a":1}' * 99)
    return [plain.SerializeToString(), packed.SerializeToString(), b""]


@cache
def _tape(code: str, records: int) -> bytes:
    """The beginning of a simulated recording."""
    exchange, lines = registry.get(code), []
    for number, (kind, data) in enumerate(seeds.of(code).stream[:records]):
        sort, _, asked = kind.partition(":")
        if sort == "http":
            address = exchange.strategy.endpoints.rest + _path(code, asked)
        else:
            address = exchange.strategy.ws_url(exchange.strategy.endpoints)
        url = address if sort in ("http", "connect") else None
        text = None if sort == "connect" else data.decode()
        ts_ns = 1_790_000_000 * 10**9 + number * 30_000_000
        lines.append(
            {"kind": sort, "ts_ns": ts_ns, "conn": "rest" if sort == "http" else "c1", "url": url, "data": text}
        )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _one_tape(code: str) -> list[bytes]:
    return [_tape(code, 70)]


def _path(code: str, asked: str) -> str:
    strategy = registry.get(code).strategy
    sort, _, native = asked.partition(":")
    return (strategy.snapshot_request(native) if sort == "snapshot" else strategy.instruments_requests()[0]).path


def _tapes() -> list[bytes]:
    plain = [_tape(code, 8) for code in registry.EXCHANGES]
    return [*plain, *(gzip.compress(one, mtime=0) for one in plain[:2]), b"", b"\n\n", _GZIP]


def _edit_tape(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    """Lines come, go and change, as JSON or in what their data holds; now and then it is packed, or bytes go bad."""
    if data.startswith(_GZIP) or chance.random() < 0.1:
        return edit_bytes(data, chance, pool)
    lines = data.splitlines(keepends=True)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(lines) + 1)
        match chance.randrange(6):
            case 0:
                del lines[place : place + chance.choice((1, 3))]
            case 1:
                lines[place:place] = lines[place : place + chance.choice((1, 5))]
            case 2 if pool:
                others = chance.choice(pool).splitlines(keepends=True)
                lines[place:place] = others[:3]
            case 3 if place < len(lines):
                lines[place] = mutate(lines[place], chance, lines)
            case _ if place < len(lines):
                lines[place] = _edit_data(lines[place], chance, pool)
    edited = b"".join(lines)
    return gzip.compress(edited, 1, mtime=0) if chance.random() < 0.03 else edited


def _edit_data(line: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    try:
        record = json.loads(line)
        name = chance.choice(("data", "data", "data", "url"))
        record[name] = mutate((record[name] or "").encode(), chance, ()).decode("utf-8", "replace")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return mutate(line, chance, pool)
    return json.dumps(record).encode() + b"\n"
