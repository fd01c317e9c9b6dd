"""Every real exchange module, with its own limits, against the simulator that enforces them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hoga.exchanges import registry
from hoga.exchanges.base import Continuity, Exchange
from hoga.runtime.config import ExchangeSettings, IngestSettings, Settings
from hoga.testing.fake_bus import FakeBus
from hoga.wire import packing, pb
from services.ingest.connector import ExchangeConnector
from services.ingest.line import Patience
from services.simulator.options import Options
from services.simulator.server import SimulatorServer
from services.simulator.venues.registry import emulated
from tests.integration.ingest_support import Recorder, until

INGEST = IngestSettings(backoff_min_s=0.05, backoff_max_s=0.5, overlap_s=1.0, connect_timeout_s=10.0)


def settings_for(code: str, url: str) -> Settings:
    own = ExchangeSettings(ws_url=f"{url}/{code}".replace("http", "ws", 1), rest_url=f"{url}/{code}")
    return Settings(exchanges={code: own}, ingest=INGEST)


def updates(exchange: Exchange, frames: list[pb.RawFrame]):
    return [update for frame in frames for update in exchange.handler.parse(packing.unpack(frame))]


def check_connection_ids(exchange: Exchange, frames: list[pb.RawFrame]) -> None:
    """Every number of every connection is there, in the lane of a symbol or in that of the link."""
    streamed = [frame for frame in frames if frame.kind == pb.RawFrame.KIND_STREAM]
    for link in {frame.link for frame in streamed}:
        own = [frame for frame in streamed if frame.link == link]
        numbers = {exchange.handler.link_seq(packing.unpack(frame)) for frame in own} - {None}
        assert numbers == set(range(len(numbers)))
        assert any(not frame.symbol for frame in own)


@pytest.mark.parametrize("code", emulated())
async def test_a_replacement_loses_nothing_and_a_cut_is_mended_within_the_limits(code):
    exchange = registry.get(code)
    bus = FakeBus()
    recorder = Recorder(bus, code)
    async with SimulatorServer(Options(symbols=10, quiet=0.0, rate=20.0)) as simulator:
        connector = ExchangeConnector(
            exchange,
            settings_for(code, simulator.url),
            publish=bus.publish,
            patience=Patience(settle_s=30.0),
        )
        try:
            assert await connector.connect()
            await until(lambda: connector.parts.directory.loaded)
            symbols = sorted(connector.parts.directory.symbols.by_symbol)
            assert len(symbols) == 10
            assert await connector.subscribe(symbols)
            await until(lambda: all(recorder.frames(symbol) for symbol in symbols), 60)
            slot = next(iter(connector.parts.pool))
            assert await connector.reconnect()
            await until(lambda: len(simulator.venues[code].links) == 1 and slot.reconnects["replaced"] == 1, 60)
            for symbol in symbols[:3]:
                frames = recorder.frames(symbol)
                assert len({frame.link for frame in frames}) == 2
                found = updates(exchange, frames)
                assert {update.native_symbol for update in found} == {connector.native(symbol)}
                if exchange.traits.continuity in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS):
                    deltas = [update for update in found if not update.snapshot and update.prev_seq != update.seq]
                    chain = {update.prev_seq: update.seq for update in deltas}
                    assert len(chain) < len(deltas), "both lines delivered for a while"
                    position = deltas[0].prev_seq
                    while position in chain:
                        position = chain.pop(position)
                    assert not chain, "together the two lines miss nothing"
            if exchange.traits.continuity is Continuity.CONNECTION_IDS:
                check_connection_ids(exchange, recorder.frames())
            simulator.faults.abort(code)
            await until(lambda: slot.reconnects["lost"] == 1 and slot.ready, 60)
            marks = {symbol: len(recorder.frames(symbol)) for symbol in symbols}
            await until(lambda: all(len(recorder.frames(symbol)) > marks[symbol] for symbol in symbols), 60)
            snapshot = await connector.get_orderbook_snapshot(symbols[0])
            assert snapshot["bids"]
            assert snapshot["asks"]
            assert connector.oddities.counts.total() == connector.oddities.counts["stray"] == 0
        finally:
            await connector.disconnect()


@pytest.mark.parametrize("code", emulated())
async def test_a_link_that_is_open_but_silent_is_found_out(code):
    """Not by the idle timeout, which is out of reach: every exchange answers the question of its module."""
    exchange = registry.get(code)
    async with SimulatorServer(Options(symbols=10, quiet=0.0)) as simulator:
        limits = replace(exchange.limits, idle_timeout_s=3600.0)
        patient = replace(exchange, strategy=type("Patient", (type(exchange.strategy),), {"limits": limits})())
        connector = ExchangeConnector(
            patient, settings_for(code, simulator.url), patience=Patience(quiet_s=0.3, answer_s=0.7)
        )
        try:
            assert await connector.connect()
            await until(lambda: connector.parts.directory.loaded)
            connector.collect(dict.fromkeys(list(connector.parts.directory.symbols.by_symbol)[:2], ""))
            await until(lambda: connector.parts.pool.tally.published > 5, 60)
            (slot,) = connector.parts.pool
            await until(lambda: slot.link is not None and slot.link._probing.proven, 60)
            assert slot.reconnects.total() == 0
            simulator.faults.silence(code)
            await until(lambda: connector.parts.pool.reconnects.get("silent") == 1, 60)
            seen = connector.parts.pool.tally.published
            await until(lambda: connector.parts.pool.tally.published > seen + 5, 60)
        finally:
            await connector.disconnect()
