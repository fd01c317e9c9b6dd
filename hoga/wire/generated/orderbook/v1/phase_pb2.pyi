from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class MarketPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MARKET_PHASE_UNSPECIFIED: _ClassVar[MarketPhase]
    MARKET_PHASE_TRADING: _ClassVar[MarketPhase]
    MARKET_PHASE_LIMIT_ONLY: _ClassVar[MarketPhase]
    MARKET_PHASE_POST_ONLY: _ClassVar[MarketPhase]
    MARKET_PHASE_AUCTION: _ClassVar[MarketPhase]
    MARKET_PHASE_PRE_OPEN: _ClassVar[MarketPhase]
    MARKET_PHASE_HALTED: _ClassVar[MarketPhase]
    MARKET_PHASE_MAINTENANCE: _ClassVar[MarketPhase]
    MARKET_PHASE_UNLISTED: _ClassVar[MarketPhase]
MARKET_PHASE_UNSPECIFIED: MarketPhase
MARKET_PHASE_TRADING: MarketPhase
MARKET_PHASE_LIMIT_ONLY: MarketPhase
MARKET_PHASE_POST_ONLY: MarketPhase
MARKET_PHASE_AUCTION: MarketPhase
MARKET_PHASE_PRE_OPEN: MarketPhase
MARKET_PHASE_HALTED: MarketPhase
MARKET_PHASE_MAINTENANCE: MarketPhase
MARKET_PHASE_UNLISTED: MarketPhase
