"""Large payloads travel compressed, and nothing is unpacked without a bound.

The server refuses messages above its `max_payload` (8 MB in our configuration). A payload above
`COMPRESS_BYTES` is compressed; what is still above `MESSAGE_BYTES` cannot be sent.
"""

from __future__ import annotations

import threading

import zstandard

from hoga.domain.errors import FrameError, snippet
from hoga.wire import pb
from hoga.wire.envelope import AnyFrame

COMPRESS_BYTES = 512 << 10
MESSAGE_BYTES = 7 << 20
UNPACKED_BYTES = 64 << 20
_MAGIC = b"\x28\xb5\x2f\xfd"


class _Contexts(threading.local):
    """What the library needs for its work, for each thread its own: two threads in one of them end the process."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def compress(data: bytes) -> bytes:
    return _contexts.compressor.compress(data)


def decompress(data: bytes, limit: int = UNPACKED_BYTES) -> bytes:
    """The bytes that `compress` packed; FrameError ("size") where they would exceed `limit` or are no zstd."""
    if not data.startswith(_MAGIC):  # of the length of a skippable frame the library makes a buffer, whatever the limit
        raise FrameError("size", f"payload is not zstd: {snippet(data[:16])!r}")
    try:
        size = zstandard.frame_content_size(data)
        if size < 0 or size > limit:
            raise FrameError("size", f"compressed payload announces {size} bytes; at most {limit} are taken")
        return _contexts.decompressor.decompress(data, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise FrameError("size", f"payload is not readable zstd: {error}") from None


def pack(payload: bytes) -> tuple[pb.RawFrame.Encoding, bytes]:
    """(encoding, payload) ready for a RawFrame; FrameError ("size") where it cannot be sent."""
    if len(payload) <= COMPRESS_BYTES:
        return pb.RawFrame.ENCODING_IDENTITY, payload
    packed = compress(payload)
    if len(packed) > MESSAGE_BYTES:
        raise FrameError("size", f"frame of {len(payload)} bytes is {len(packed)} compressed; {MESSAGE_BYTES} fit")
    return pb.RawFrame.ENCODING_ZSTD, packed


def unpack(frame: AnyFrame) -> bytes:
    """The payload of a RawFrame as the exchange sent it."""
    if frame.encoding == pb.RawFrame.ENCODING_ZSTD:
        return decompress(frame.payload)
    return frame.payload
