from . import phase_pb2 as _phase_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BookState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BOOK_STATE_UNSPECIFIED: _ClassVar[BookState]
    BOOK_STATE_LIVE: _ClassVar[BookState]
    BOOK_STATE_SYNCING: _ClassVar[BookState]
    BOOK_STATE_GAPPED: _ClassVar[BookState]
    BOOK_STATE_STALE: _ClassVar[BookState]
    BOOK_STATE_CROSSED: _ClassVar[BookState]
    BOOK_STATE_HALTED: _ClassVar[BookState]
BOOK_STATE_UNSPECIFIED: BookState
BOOK_STATE_LIVE: BookState
BOOK_STATE_SYNCING: BookState
BOOK_STATE_GAPPED: BookState
BOOK_STATE_STALE: BookState
BOOK_STATE_CROSSED: BookState
BOOK_STATE_HALTED: BookState

class OrderBook(_message.Message):
    __slots__ = ("exchange", "symbol", "native_symbol", "state", "verified", "epoch", "revision", "sequence", "exchange_time_ns", "receive_time_ns", "publish_time_ns", "price_exponent", "size_exponent", "bid_price", "bid_size", "ask_price", "ask_size", "bids_known", "asks_known", "gap_count", "resync_count", "missing", "reason", "proven_levels", "contract_size", "contract_currency", "bid_size_text", "ask_size_text", "bid_price_text", "ask_price_text", "phase")
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    NATIVE_SYMBOL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    PRICE_EXPONENT_FIELD_NUMBER: _ClassVar[int]
    SIZE_EXPONENT_FIELD_NUMBER: _ClassVar[int]
    BID_PRICE_FIELD_NUMBER: _ClassVar[int]
    BID_SIZE_FIELD_NUMBER: _ClassVar[int]
    ASK_PRICE_FIELD_NUMBER: _ClassVar[int]
    ASK_SIZE_FIELD_NUMBER: _ClassVar[int]
    BIDS_KNOWN_FIELD_NUMBER: _ClassVar[int]
    ASKS_KNOWN_FIELD_NUMBER: _ClassVar[int]
    GAP_COUNT_FIELD_NUMBER: _ClassVar[int]
    RESYNC_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PROVEN_LEVELS_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    BID_SIZE_TEXT_FIELD_NUMBER: _ClassVar[int]
    ASK_SIZE_TEXT_FIELD_NUMBER: _ClassVar[int]
    BID_PRICE_TEXT_FIELD_NUMBER: _ClassVar[int]
    ASK_PRICE_TEXT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    exchange: str
    symbol: str
    native_symbol: str
    state: BookState
    verified: bool
    epoch: int
    revision: int
    sequence: int
    exchange_time_ns: int
    receive_time_ns: int
    publish_time_ns: int
    price_exponent: int
    size_exponent: int
    bid_price: _containers.RepeatedScalarFieldContainer[int]
    bid_size: _containers.RepeatedScalarFieldContainer[int]
    ask_price: _containers.RepeatedScalarFieldContainer[int]
    ask_size: _containers.RepeatedScalarFieldContainer[int]
    bids_known: int
    asks_known: int
    gap_count: int
    resync_count: int
    missing: int
    reason: str
    proven_levels: int
    contract_size: str
    contract_currency: str
    bid_size_text: _containers.RepeatedScalarFieldContainer[str]
    ask_size_text: _containers.RepeatedScalarFieldContainer[str]
    bid_price_text: _containers.RepeatedScalarFieldContainer[str]
    ask_price_text: _containers.RepeatedScalarFieldContainer[str]
    phase: _phase_pb2.MarketPhase
    def __init__(self, exchange: _Optional[str] = ..., symbol: _Optional[str] = ..., native_symbol: _Optional[str] = ..., state: _Optional[_Union[BookState, str]] = ..., verified: _Optional[bool] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ..., sequence: _Optional[int] = ..., exchange_time_ns: _Optional[int] = ..., receive_time_ns: _Optional[int] = ..., publish_time_ns: _Optional[int] = ..., price_exponent: _Optional[int] = ..., size_exponent: _Optional[int] = ..., bid_price: _Optional[_Iterable[int]] = ..., bid_size: _Optional[_Iterable[int]] = ..., ask_price: _Optional[_Iterable[int]] = ..., ask_size: _Optional[_Iterable[int]] = ..., bids_known: _Optional[int] = ..., asks_known: _Optional[int] = ..., gap_count: _Optional[int] = ..., resync_count: _Optional[int] = ..., missing: _Optional[int] = ..., reason: _Optional[str] = ..., proven_levels: _Optional[int] = ..., contract_size: _Optional[str] = ..., contract_currency: _Optional[str] = ..., bid_size_text: _Optional[_Iterable[str]] = ..., ask_size_text: _Optional[_Iterable[str]] = ..., bid_price_text: _Optional[_Iterable[str]] = ..., ask_price_text: _Optional[_Iterable[str]] = ..., phase: _Optional[_Union[_phase_pb2.MarketPhase, str]] = ...) -> None: ...

class BookEvent(_message.Message):
    __slots__ = ("exchange", "symbol", "kind", "time_ns", "expected", "found", "count", "detail", "state", "frame")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[BookEvent.Kind]
        KIND_GAP: _ClassVar[BookEvent.Kind]
        KIND_REVERSAL: _ClassVar[BookEvent.Kind]
        KIND_CROSSED: _ClassVar[BookEvent.Kind]
        KIND_CHECKSUM_MISMATCH: _ClassVar[BookEvent.Kind]
        KIND_STALE: _ClassVar[BookEvent.Kind]
        KIND_RESYNC_STARTED: _ClassVar[BookEvent.Kind]
        KIND_RESYNC_FINISHED: _ClassVar[BookEvent.Kind]
        KIND_REJECTED: _ClassVar[BookEvent.Kind]
        KIND_TIME_REVERSAL: _ClassVar[BookEvent.Kind]
        KIND_TIME_FUTURE: _ClassVar[BookEvent.Kind]
        KIND_TIME_LATE: _ClassVar[BookEvent.Kind]
        KIND_BUS_LOSS: _ClassVar[BookEvent.Kind]
        KIND_REPAIRED: _ClassVar[BookEvent.Kind]
        KIND_HALTED: _ClassVar[BookEvent.Kind]
        KIND_RECENTRE: _ClassVar[BookEvent.Kind]
        KIND_AUDIT_MISMATCH: _ClassVar[BookEvent.Kind]
        KIND_DISAGREEMENT: _ClassVar[BookEvent.Kind]
        KIND_RENUMBERED: _ClassVar[BookEvent.Kind]
        KIND_AUDIT_AGREED: _ClassVar[BookEvent.Kind]
    KIND_UNSPECIFIED: BookEvent.Kind
    KIND_GAP: BookEvent.Kind
    KIND_REVERSAL: BookEvent.Kind
    KIND_CROSSED: BookEvent.Kind
    KIND_CHECKSUM_MISMATCH: BookEvent.Kind
    KIND_STALE: BookEvent.Kind
    KIND_RESYNC_STARTED: BookEvent.Kind
    KIND_RESYNC_FINISHED: BookEvent.Kind
    KIND_REJECTED: BookEvent.Kind
    KIND_TIME_REVERSAL: BookEvent.Kind
    KIND_TIME_FUTURE: BookEvent.Kind
    KIND_TIME_LATE: BookEvent.Kind
    KIND_BUS_LOSS: BookEvent.Kind
    KIND_REPAIRED: BookEvent.Kind
    KIND_HALTED: BookEvent.Kind
    KIND_RECENTRE: BookEvent.Kind
    KIND_AUDIT_MISMATCH: BookEvent.Kind
    KIND_DISAGREEMENT: BookEvent.Kind
    KIND_RENUMBERED: BookEvent.Kind
    KIND_AUDIT_AGREED: BookEvent.Kind
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    exchange: str
    symbol: str
    kind: BookEvent.Kind
    time_ns: int
    expected: int
    found: int
    count: int
    detail: str
    state: BookState
    frame: bytes
    def __init__(self, exchange: _Optional[str] = ..., symbol: _Optional[str] = ..., kind: _Optional[_Union[BookEvent.Kind, str]] = ..., time_ns: _Optional[int] = ..., expected: _Optional[int] = ..., found: _Optional[int] = ..., count: _Optional[int] = ..., detail: _Optional[str] = ..., state: _Optional[_Union[BookState, str]] = ..., frame: _Optional[bytes] = ...) -> None: ...

class BookRequest(_message.Message):
    __slots__ = ("exchange", "symbol", "depth")
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    exchange: str
    symbol: str
    depth: int
    def __init__(self, exchange: _Optional[str] = ..., symbol: _Optional[str] = ..., depth: _Optional[int] = ...) -> None: ...

class BookReply(_message.Message):
    __slots__ = ("book", "error")
    BOOK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    book: OrderBook
    error: str
    def __init__(self, book: _Optional[_Union[OrderBook, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...
