from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Health(_message.Message):
    __slots__ = ("service", "instance", "time_ns", "start_time_ns", "healthy", "reason", "exchanges", "resident_bytes", "cpu_seconds", "epoch", "tasks")
    class ExchangeCounts(_message.Message):
        __slots__ = ("exchange", "raw_messages", "book_messages", "dropped", "conflated", "rejected", "gaps", "reversals", "crossed", "resyncs", "bus_lost")
        EXCHANGE_FIELD_NUMBER: _ClassVar[int]
        RAW_MESSAGES_FIELD_NUMBER: _ClassVar[int]
        BOOK_MESSAGES_FIELD_NUMBER: _ClassVar[int]
        DROPPED_FIELD_NUMBER: _ClassVar[int]
        CONFLATED_FIELD_NUMBER: _ClassVar[int]
        REJECTED_FIELD_NUMBER: _ClassVar[int]
        GAPS_FIELD_NUMBER: _ClassVar[int]
        REVERSALS_FIELD_NUMBER: _ClassVar[int]
        CROSSED_FIELD_NUMBER: _ClassVar[int]
        RESYNCS_FIELD_NUMBER: _ClassVar[int]
        BUS_LOST_FIELD_NUMBER: _ClassVar[int]
        exchange: str
        raw_messages: int
        book_messages: int
        dropped: int
        conflated: int
        rejected: int
        gaps: int
        reversals: int
        crossed: int
        resyncs: int
        bus_lost: int
        def __init__(self, exchange: _Optional[str] = ..., raw_messages: _Optional[int] = ..., book_messages: _Optional[int] = ..., dropped: _Optional[int] = ..., conflated: _Optional[int] = ..., rejected: _Optional[int] = ..., gaps: _Optional[int] = ..., reversals: _Optional[int] = ..., crossed: _Optional[int] = ..., resyncs: _Optional[int] = ..., bus_lost: _Optional[int] = ...) -> None: ...
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXCHANGES_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    service: str
    instance: str
    time_ns: int
    start_time_ns: int
    healthy: bool
    reason: str
    exchanges: _containers.RepeatedCompositeFieldContainer[Health.ExchangeCounts]
    resident_bytes: int
    cpu_seconds: float
    epoch: int
    tasks: int
    def __init__(self, service: _Optional[str] = ..., instance: _Optional[str] = ..., time_ns: _Optional[int] = ..., start_time_ns: _Optional[int] = ..., healthy: _Optional[bool] = ..., reason: _Optional[str] = ..., exchanges: _Optional[_Iterable[_Union[Health.ExchangeCounts, _Mapping]]] = ..., resident_bytes: _Optional[int] = ..., cpu_seconds: _Optional[float] = ..., epoch: _Optional[int] = ..., tasks: _Optional[int] = ...) -> None: ...
