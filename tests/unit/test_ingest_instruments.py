"""The list of instruments on the bus: whole, at every change, with the age of what it says."""

from __future__ import annotations

import msgspec

from hoga.domain.phases import Phase
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Instrument
from hoga.wire import pb, subjects
from services.ingest.instruments import Instruments

BTC = Instrument("BTC-USDT", "BTCUSDT", "BTC", "USDT", Phase.TRADING)
FULL = Instrument(
    symbol="ETH-USDT-261225",
    native_symbol="ETHUSDT_261225",
    base="ETH",
    quote="USDT",
    phase=Phase.PRE_OPEN,
    kind="dated",
    price_tick="0.010",
    size_step="1",
    contract_size="0.01",
    contract_currency="ETH",
    korean_name="이더리움",
    status="PRE_TRADING",
    phase_until_ns=1_790_000_000_000_000_000,
)


class Directory:
    """The part of a directory that is published."""

    def __init__(self) -> None:
        self.symbols = SymbolMap()
        self.fetched_ns = 0

    def lists(self, *instruments: Instrument) -> Directory:
        self.symbols = SymbolMap(instruments)
        self.fetched_ns += 1_000
        return self


class World:
    def __init__(self) -> None:
        self.messages: list[tuple[str, pb.InstrumentList]] = []
        self.directory = Directory()
        self.instruments = Instruments("binance_future", "abc123", self._publish)

    def _publish(self, subject: str, payload: bytes) -> bool:
        self.messages.append((subject, pb.InstrumentList.FromString(payload)))
        return True

    def lists(self, *instruments: Instrument) -> None:
        self.instruments.update(self.directory.lists(*instruments))  # type: ignore[arg-type]


def test_everything_that_is_known_of_a_market_is_told():
    world = World()
    world.lists(BTC, FULL)
    ((subject, message),) = world.messages
    assert subject == subjects.instruments("binance_future")
    assert (message.exchange, message.instance, message.revision) == ("binance_future", "abc123", 1)
    told = [
        Instrument(**{name: getattr(instrument, name) for name in Instrument.__struct_fields__})
        for instrument in message.instruments
    ]
    assert told == [BTC, FULL]


def test_it_is_published_at_every_change_and_only_then():
    world = World()
    world.lists(BTC)
    world.lists(BTC)
    halted = msgspec.structs.replace(BTC, phase=Phase.HALTED, status="BREAK")
    world.lists(halted)
    world.lists(halted, FULL)
    world.lists(FULL)
    assert [message.revision for _, message in world.messages] == [1, 2, 3, 4]
    assert [[i.symbol for i in message.instruments] for _, message in world.messages] == [
        ["BTC-USDT"],
        ["BTC-USDT"],
        ["BTC-USDT", "ETH-USDT-261225"],
        ["ETH-USDT-261225"],
    ]
    assert not world.messages[1][1].instruments[0].trading


def test_published_again_it_shows_when_the_exchange_last_answered():
    world = World()
    world.instruments.publish()
    assert not world.messages, "nothing is known yet"
    world.lists(BTC)
    world.lists(BTC)
    world.instruments.publish()
    world.instruments.publish()
    assert [message.time_ns for _, message in world.messages] == [1_000, 2_000, 2_000]
    assert {message.revision for _, message in world.messages} == {1}
    assert all(message.instruments[0].symbol == "BTC-USDT" for _, message in world.messages)
