"""RawFrame by hand, for the one shape that is usual; protobuf's own bytes either way.

A usual frame is one of a stream, uncompressed. What never changes on its link and symbol (fields 1-4, 7, 8) stands
first and is compared as bytes; what is new with every frame (`link_seq`, two times, the payload) is written and read
by the native module. Whatever looks otherwise, and everything where that module is missing, is left to the generated
class.
"""

from __future__ import annotations

from collections.abc import Callable

from hoga.wire import pb

_RawFrame = pb.RawFrame
_STREAM, _IDENTITY = _RawFrame.KIND_STREAM, _RawFrame.ENCODING_IDENTITY
_SUBJECTS, _LINKS = 1 << 16, 4
"""How much is remembered."""
_new = object.__new__


def head(exchange: str, symbol: str, native_symbol: str, link: str, kind: pb.RawFrame.Kind = _STREAM) -> bytes:
    """What all uncompressed frames of a link and symbol begin with."""
    frame = _RawFrame(
        exchange=exchange, symbol=symbol, native_symbol=native_symbol, link=link, kind=kind, encoding=_IDENTITY
    )
    return frame.SerializeToString()


def _write(head: bytes, link_seq: int, receive_time_ns: int, receive_mono_ns: int, payload: bytes) -> bytes:
    """The whole message."""
    varying = _RawFrame(
        link_seq=link_seq, receive_time_ns=receive_time_ns, receive_mono_ns=receive_mono_ns, payload=payload
    )
    return head + varying.SerializeToString()


write: Callable[[bytes, int, int, int, bytes], bytes] = _write
_read: Callable[[bytes, int], tuple[int, int, int, bytes] | None] | None = None
"""(data, where its head ends) -> link_seq, both times and the payload; None where there is more, or something else."""
try:
    import hoga_native

    write, _read = hoga_native.write_envelope, hoga_native.read_envelope
except (ImportError, AttributeError):  # not built, or before it had these
    pass


class Envelope:
    """A usual RawFrame; the names are those of the generated class."""

    __slots__ = (
        "exchange",
        "link",
        "link_seq",
        "native_symbol",
        "payload",
        "receive_mono_ns",
        "receive_time_ns",
        "symbol",
    )
    exchange: str
    symbol: str
    native_symbol: str
    link: str
    link_seq: int
    receive_time_ns: int
    receive_mono_ns: int
    payload: bytes
    kind = _STREAM
    encoding = _IDENTITY
    link_event = pb.LinkEvent()
    link_beat = pb.LinkBeat()


AnyFrame = Envelope | pb.RawFrame


class Reader:
    """Reads what comes from the bus; remembers the heads of the newest links of each subject."""

    def __init__(self) -> None:
        self._heads: dict[str, list[tuple[bytes, int, tuple[str, str, str, str]]]] = {}
        """Subject -> each head, its length, and fields 1-4."""

    def read(self, subject: str, data: bytes) -> AnyFrame:
        """DecodeError where it is no RawFrame."""
        if _read is None:
            return _RawFrame.FromString(data)
        for start, end, names in self._heads.get(subject, ()):
            if data.startswith(start):
                found = _read(data, end)
                if found is None:
                    return _RawFrame.FromString(data)
                frame = _new(Envelope)
                frame.exchange, frame.symbol, frame.native_symbol, frame.link = names
                frame.link_seq, frame.receive_time_ns, frame.receive_mono_ns, frame.payload = found
                return frame
        return self._learn(subject, data)

    def _learn(self, subject: str, data: bytes) -> pb.RawFrame:
        frame = _RawFrame.FromString(data)
        names = (frame.exchange, frame.symbol, frame.native_symbol, frame.link)
        start = head(*names)
        if data.startswith(start):
            if len(self._heads) >= _SUBJECTS:
                self._heads.clear()
            known = self._heads.get(subject, [])
            self._heads[subject] = [(start, len(start), names), *known[: _LINKS - 1]]
        return frame
