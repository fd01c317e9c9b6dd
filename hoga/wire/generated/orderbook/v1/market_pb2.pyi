from . import phase_pb2 as _phase_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Ticker(_message.Message):
    __slots__ = ("exchange", "symbol", "native_symbol", "last_price", "quote_turnover", "common_turnover", "time_ns")
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    NATIVE_SYMBOL_FIELD_NUMBER: _ClassVar[int]
    LAST_PRICE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_TURNOVER_FIELD_NUMBER: _ClassVar[int]
    COMMON_TURNOVER_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    exchange: str
    symbol: str
    native_symbol: str
    last_price: str
    quote_turnover: str
    common_turnover: str
    time_ns: int
    def __init__(self, exchange: _Optional[str] = ..., symbol: _Optional[str] = ..., native_symbol: _Optional[str] = ..., last_price: _Optional[str] = ..., quote_turnover: _Optional[str] = ..., common_turnover: _Optional[str] = ..., time_ns: _Optional[int] = ...) -> None: ...

class Universe(_message.Message):
    __slots__ = ("exchange", "revision", "time_ns", "common_currency", "entries", "listed")
    class Entry(_message.Message):
        __slots__ = ("symbol", "native_symbol", "common_turnover", "reason")
        SYMBOL_FIELD_NUMBER: _ClassVar[int]
        NATIVE_SYMBOL_FIELD_NUMBER: _ClassVar[int]
        COMMON_TURNOVER_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        symbol: str
        native_symbol: str
        common_turnover: str
        reason: str
        def __init__(self, symbol: _Optional[str] = ..., native_symbol: _Optional[str] = ..., common_turnover: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    COMMON_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    exchange: str
    revision: int
    time_ns: int
    common_currency: str
    entries: _containers.RepeatedCompositeFieldContainer[Universe.Entry]
    listed: int
    def __init__(self, exchange: _Optional[str] = ..., revision: _Optional[int] = ..., time_ns: _Optional[int] = ..., common_currency: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[Universe.Entry, _Mapping]]] = ..., listed: _Optional[int] = ...) -> None: ...

class Instrument(_message.Message):
    __slots__ = ("symbol", "native_symbol", "base", "quote", "kind", "trading", "status", "price_tick", "size_step", "contract_size", "contract_currency", "korean_name", "phase", "phase_until_ns")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    NATIVE_SYMBOL_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TRADING_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICK_FIELD_NUMBER: _ClassVar[int]
    SIZE_STEP_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    KOREAN_NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    PHASE_UNTIL_NS_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    native_symbol: str
    base: str
    quote: str
    kind: str
    trading: bool
    status: str
    price_tick: str
    size_step: str
    contract_size: str
    contract_currency: str
    korean_name: str
    phase: _phase_pb2.MarketPhase
    phase_until_ns: int
    def __init__(self, symbol: _Optional[str] = ..., native_symbol: _Optional[str] = ..., base: _Optional[str] = ..., quote: _Optional[str] = ..., kind: _Optional[str] = ..., trading: _Optional[bool] = ..., status: _Optional[str] = ..., price_tick: _Optional[str] = ..., size_step: _Optional[str] = ..., contract_size: _Optional[str] = ..., contract_currency: _Optional[str] = ..., korean_name: _Optional[str] = ..., phase: _Optional[_Union[_phase_pb2.MarketPhase, str]] = ..., phase_until_ns: _Optional[int] = ...) -> None: ...

class InstrumentList(_message.Message):
    __slots__ = ("exchange", "revision", "time_ns", "instance", "instruments")
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    exchange: str
    revision: int
    time_ns: int
    instance: str
    instruments: _containers.RepeatedCompositeFieldContainer[Instrument]
    def __init__(self, exchange: _Optional[str] = ..., revision: _Optional[int] = ..., time_ns: _Optional[int] = ..., instance: _Optional[str] = ..., instruments: _Optional[_Iterable[_Union[Instrument, _Mapping]]] = ...) -> None: ...
