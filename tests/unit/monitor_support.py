"""A clock that stands still until told, and short ways to the messages the monitor reads."""

from __future__ import annotations

from hoga.domain.types import Stamp
from hoga.wire import pb

SECOND = 1_000_000_000
WALL_NS = 1_790_000_000 * SECOND
EPOCH = 77

CONNECTED = pb.LinkState.LINK_STATE_CONNECTED
BACKOFF = pb.LinkState.LINK_STATE_BACKOFF
CLOSED = pb.LinkState.LINK_STATE_CLOSED
LIVE = pb.BookState.BOOK_STATE_LIVE


class Clock:
    def __init__(self) -> None:
        self.mono_ns = 1_000 * SECOND

    def __call__(self) -> Stamp:
        return Stamp(self.mono_ns, WALL_NS + self.mono_ns)

    def forward(self, seconds: float) -> Stamp:
        self.mono_ns += int(seconds * SECOND)
        return self()


def status(
    slot: str = "upbit-0",
    *,
    state: pb.LinkState = CONNECTED,
    frames: int = 0,
    symbols: tuple[str, ...] = ("BTC-KRW",),
    age_s: float = 0.0,
    link: str = "",
    reconnects: int = 0,
    reason: str = "",
) -> pb.LinkStatus:
    return pb.LinkStatus(
        exchange=slot.rpartition("-")[0],
        slot=slot,
        link=link or f"{slot}.a1",
        state=state,
        frames=frames,
        symbols=symbols,
        last_frame_age_ns=int(age_s * SECOND),
        reconnects=reconnects,
        reason=reason,
        instance="a",
    )


def health(service: str, instance: str = "i1", *, healthy: bool = True, reason: str = "", epoch: int = 0) -> pb.Health:
    return pb.Health(service=service, instance=instance, healthy=healthy, reason=reason, epoch=epoch)


def book(revision: int = 1, *, state: pb.BookState = LIVE, epoch: int = EPOCH, symbol: str = "BTC-KRW") -> pb.OrderBook:
    return pb.OrderBook(
        exchange="upbit",
        symbol=symbol,
        state=state,
        epoch=epoch,
        revision=revision,
        price_exponent=-2,
        size_exponent=-3,
        bid_price=[10_050, 10_000],
        bid_size=[1_000, 2_500],
        ask_price=[10_100, 10_150],
        ask_size=[500, 250],
        bids_known=2,
        asks_known=2,
    )


def wide_book(revision: int = 1) -> pb.OrderBook:
    """Its sizes do not fit 64 bits."""
    wide = book(revision)
    del wide.bid_size[:], wide.ask_size[:]
    wide.bid_size_text[:], wide.ask_size_text[:] = ["98765432109876.54321", "7"], ["0.00000001", "250000000000"]
    return wide
