"""One symbol on one link, or the link's own frames: numbered, put into envelopes and handed to the bus.

The hot path. An envelope is the concatenation of two serialised halves, which protobuf defines as their
merge: what never changes is serialised once per lane, what does once per frame, by hand (`hoga.wire.envelope`).

1. `seq` counts every frame of this link and symbol from 1, also those that the bus does not take:
   readers see the loss as a jump.
2. A payload too large for a message travels compressed; one that is still too large is refused and counted.
"""

from __future__ import annotations

from collections.abc import Callable

from hoga.domain.errors import FrameError
from hoga.wire import envelope, packing, pb, subjects

Publish = Callable[[str, bytes], bool]
"""`Bus.publish`: (subject, payload) -> taken."""

REST_LINK = "rest"
"""The link name of REST snapshots."""


class Lane:
    """Numbers and publishes the frames of one symbol on one link; without a symbol those of the link itself."""

    __slots__ = ("_head", "_publish", "_subject", "native", "seq", "start", "symbol")

    def __init__(
        self,
        exchange: str,
        symbol: str,
        native: str,
        link: str,
        publish: Publish,
        kind: pb.RawFrame.Kind = pb.RawFrame.KIND_STREAM,
        start: int = 0,
    ) -> None:
        """`start`: frames of this symbol that went over this link before, under another native id."""
        self.symbol = symbol
        self.native = native
        self.seq = self.start = start
        self._publish = publish
        self._subject = subjects.raw(exchange, symbol) if symbol else subjects.raw_link(exchange)
        self._head = envelope.head(exchange, symbol, native, link, kind)

    @property
    def frames(self) -> int:
        return self.seq - self.start

    def send(self, frame: bytes, receive_time_ns: int, receive_mono_ns: int = 0) -> bool:
        """Hands one frame to the bus; False where it was thrown away. FrameError ("size") where it cannot be sent.
        The times are those of its arrival, by the wall and by the monotonic clock (0: not known)."""
        self.seq = seq = self.seq + 1
        if len(frame) > packing.COMPRESS_BYTES:
            return self._send_large(frame, receive_time_ns, receive_mono_ns)
        return self._publish(self._subject, envelope.write(self._head, seq, receive_time_ns, receive_mono_ns, frame))

    def _send_large(self, frame: bytes, receive_time_ns: int, receive_mono_ns: int) -> bool:
        try:
            encoding, payload = packing.pack(frame)
        except FrameError as error:
            raise FrameError(error.reason, f"{self.symbol or 'link'}: {error}") from None
        varying = pb.RawFrame(
            link_seq=self.seq,
            receive_time_ns=receive_time_ns,
            receive_mono_ns=receive_mono_ns,
            encoding=encoding,
            payload=payload,
        )
        return self._publish(self._subject, self._head + varying.SerializeToString())
