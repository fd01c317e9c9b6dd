from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LinkState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_STATE_UNSPECIFIED: _ClassVar[LinkState]
    LINK_STATE_CONNECTING: _ClassVar[LinkState]
    LINK_STATE_CONNECTED: _ClassVar[LinkState]
    LINK_STATE_BACKOFF: _ClassVar[LinkState]
    LINK_STATE_CLOSED: _ClassVar[LinkState]
LINK_STATE_UNSPECIFIED: LinkState
LINK_STATE_CONNECTING: LinkState
LINK_STATE_CONNECTED: LinkState
LINK_STATE_BACKOFF: LinkState
LINK_STATE_CLOSED: LinkState

class RawFrame(_message.Message):
    __slots__ = ("exchange", "symbol", "native_symbol", "link", "link_seq", "receive_time_ns", "kind", "encoding", "payload", "receive_mono_ns", "link_event", "link_beat")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[RawFrame.Kind]
        KIND_STREAM: _ClassVar[RawFrame.Kind]
        KIND_REST_SNAPSHOT: _ClassVar[RawFrame.Kind]
        KIND_LINK_EVENT: _ClassVar[RawFrame.Kind]
        KIND_LINK_BEAT: _ClassVar[RawFrame.Kind]
    KIND_UNSPECIFIED: RawFrame.Kind
    KIND_STREAM: RawFrame.Kind
    KIND_REST_SNAPSHOT: RawFrame.Kind
    KIND_LINK_EVENT: RawFrame.Kind
    KIND_LINK_BEAT: RawFrame.Kind
    class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ENCODING_UNSPECIFIED: _ClassVar[RawFrame.Encoding]
        ENCODING_IDENTITY: _ClassVar[RawFrame.Encoding]
        ENCODING_ZSTD: _ClassVar[RawFrame.Encoding]
    ENCODING_UNSPECIFIED: RawFrame.Encoding
    ENCODING_IDENTITY: RawFrame.Encoding
    ENCODING_ZSTD: RawFrame.Encoding
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    NATIVE_SYMBOL_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    LINK_SEQ_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_MONO_NS_FIELD_NUMBER: _ClassVar[int]
    LINK_EVENT_FIELD_NUMBER: _ClassVar[int]
    LINK_BEAT_FIELD_NUMBER: _ClassVar[int]
    exchange: str
    symbol: str
    native_symbol: str
    link: str
    link_seq: int
    receive_time_ns: int
    kind: RawFrame.Kind
    encoding: RawFrame.Encoding
    payload: bytes
    receive_mono_ns: int
    link_event: LinkEvent
    link_beat: LinkBeat
    def __init__(self, exchange: _Optional[str] = ..., symbol: _Optional[str] = ..., native_symbol: _Optional[str] = ..., link: _Optional[str] = ..., link_seq: _Optional[int] = ..., receive_time_ns: _Optional[int] = ..., kind: _Optional[_Union[RawFrame.Kind, str]] = ..., encoding: _Optional[_Union[RawFrame.Encoding, str]] = ..., payload: _Optional[bytes] = ..., receive_mono_ns: _Optional[int] = ..., link_event: _Optional[_Union[LinkEvent, _Mapping]] = ..., link_beat: _Optional[_Union[LinkBeat, _Mapping]] = ...) -> None: ...

class LinkEvent(_message.Message):
    __slots__ = ("kind", "slot", "symbols", "planned", "reason")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[LinkEvent.Kind]
        KIND_OPENED: _ClassVar[LinkEvent.Kind]
        KIND_SETTLED: _ClassVar[LinkEvent.Kind]
        KIND_CLOSED: _ClassVar[LinkEvent.Kind]
    KIND_UNSPECIFIED: LinkEvent.Kind
    KIND_OPENED: LinkEvent.Kind
    KIND_SETTLED: LinkEvent.Kind
    KIND_CLOSED: LinkEvent.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    PLANNED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    kind: LinkEvent.Kind
    slot: str
    symbols: _containers.RepeatedScalarFieldContainer[str]
    planned: bool
    reason: str
    def __init__(self, kind: _Optional[_Union[LinkEvent.Kind, str]] = ..., slot: _Optional[str] = ..., symbols: _Optional[_Iterable[str]] = ..., planned: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class LinkBeat(_message.Message):
    __slots__ = ("slot", "symbols", "links", "mono_ns", "clock")
    class Link(_message.Message):
        __slots__ = ("link", "events", "without", "unsettled")
        LINK_FIELD_NUMBER: _ClassVar[int]
        EVENTS_FIELD_NUMBER: _ClassVar[int]
        WITHOUT_FIELD_NUMBER: _ClassVar[int]
        UNSETTLED_FIELD_NUMBER: _ClassVar[int]
        link: str
        events: int
        without: _containers.RepeatedScalarFieldContainer[str]
        unsettled: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, link: _Optional[str] = ..., events: _Optional[int] = ..., without: _Optional[_Iterable[str]] = ..., unsettled: _Optional[_Iterable[str]] = ...) -> None: ...
    SLOT_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    MONO_NS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    slot: str
    symbols: _containers.RepeatedScalarFieldContainer[str]
    links: _containers.RepeatedCompositeFieldContainer[LinkBeat.Link]
    mono_ns: int
    clock: str
    def __init__(self, slot: _Optional[str] = ..., symbols: _Optional[_Iterable[str]] = ..., links: _Optional[_Iterable[_Union[LinkBeat.Link, _Mapping]]] = ..., mono_ns: _Optional[int] = ..., clock: _Optional[str] = ...) -> None: ...

class LinkStatus(_message.Message):
    __slots__ = ("exchange", "link", "slot", "state", "symbols", "time_ns", "connected_time_ns", "last_frame_age_ns", "frames", "bytes", "reconnects", "dropped", "reason", "instance", "line", "behind_ns", "clock", "waiting", "mono_ns")
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    LAST_FRAME_AGE_NS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    RECONNECTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    BEHIND_NS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    MONO_NS_FIELD_NUMBER: _ClassVar[int]
    exchange: str
    link: str
    slot: str
    state: LinkState
    symbols: _containers.RepeatedScalarFieldContainer[str]
    time_ns: int
    connected_time_ns: int
    last_frame_age_ns: int
    frames: int
    bytes: int
    reconnects: int
    dropped: int
    reason: str
    instance: str
    line: str
    behind_ns: int
    clock: str
    waiting: _containers.RepeatedScalarFieldContainer[str]
    mono_ns: int
    def __init__(self, exchange: _Optional[str] = ..., link: _Optional[str] = ..., slot: _Optional[str] = ..., state: _Optional[_Union[LinkState, str]] = ..., symbols: _Optional[_Iterable[str]] = ..., time_ns: _Optional[int] = ..., connected_time_ns: _Optional[int] = ..., last_frame_age_ns: _Optional[int] = ..., frames: _Optional[int] = ..., bytes: _Optional[int] = ..., reconnects: _Optional[int] = ..., dropped: _Optional[int] = ..., reason: _Optional[str] = ..., instance: _Optional[str] = ..., line: _Optional[str] = ..., behind_ns: _Optional[int] = ..., clock: _Optional[str] = ..., waiting: _Optional[_Iterable[str]] = ..., mono_ns: _Optional[int] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ("symbol", "priority")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    priority: int
    def __init__(self, symbol: _Optional[str] = ..., priority: _Optional[int] = ...) -> None: ...

class ResubscribeRequest(_message.Message):
    __slots__ = ("symbol", "link")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    link: str
    def __init__(self, symbol: _Optional[str] = ..., link: _Optional[str] = ...) -> None: ...

class ReconnectRequest(_message.Message):
    __slots__ = ("link", "reason")
    LINK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    link: str
    reason: str
    def __init__(self, link: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RpcReply(_message.Message):
    __slots__ = ("error",)
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: str
    def __init__(self, error: _Optional[str] = ...) -> None: ...

class ListingRequest(_message.Message):
    __slots__ = ("instruments", "tickers", "phases")
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    TICKERS_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    instruments: bool
    tickers: bool
    phases: bool
    def __init__(self, instruments: _Optional[bool] = ..., tickers: _Optional[bool] = ..., phases: _Optional[bool] = ...) -> None: ...

class ListingReply(_message.Message):
    __slots__ = ("error", "instruments", "tickers")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    TICKERS_FIELD_NUMBER: _ClassVar[int]
    error: str
    instruments: _containers.RepeatedScalarFieldContainer[bytes]
    tickers: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, error: _Optional[str] = ..., instruments: _Optional[_Iterable[bytes]] = ..., tickers: _Optional[_Iterable[bytes]] = ...) -> None: ...
