"""Every protobuf message of `orderbook.v1` in one place: `from hoga.wire import pb`."""

from hoga.wire.generated.orderbook.v1.book_pb2 import BookEvent, BookReply, BookRequest, BookState, OrderBook
from hoga.wire.generated.orderbook.v1.health_pb2 import Health
from hoga.wire.generated.orderbook.v1.market_pb2 import Instrument, InstrumentList, Ticker, Universe
from hoga.wire.generated.orderbook.v1.phase_pb2 import MarketPhase
from hoga.wire.generated.orderbook.v1.raw_pb2 import (
    LinkBeat,
    LinkEvent,
    LinkState,
    LinkStatus,
    ListingReply,
    ListingRequest,
    RawFrame,
    ReconnectRequest,
    ResubscribeRequest,
    RpcReply,
    SnapshotRequest,
)

__all__ = [
    "BookEvent",
    "BookReply",
    "BookRequest",
    "BookState",
    "Health",
    "Instrument",
    "InstrumentList",
    "LinkBeat",
    "LinkEvent",
    "LinkState",
    "LinkStatus",
    "ListingReply",
    "ListingRequest",
    "MarketPhase",
    "OrderBook",
    "RawFrame",
    "ReconnectRequest",
    "ResubscribeRequest",
    "RpcReply",
    "SnapshotRequest",
    "Ticker",
    "Universe",
]
