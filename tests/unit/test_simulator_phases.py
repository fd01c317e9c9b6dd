"""Phases that the emulators play are read back as what they are, and what a market does in each."""

from __future__ import annotations

from typing import Any

import pytest

from hoga.domain.phases import Phase, Told
from hoga.domain.types import Instrument
from hoga.exchanges import registry
from hoga.exchanges.base import RouteKind
from services.simulator.venues import registry as emulators
from services.simulator.venues.base import Call
from tests.support.memory_link import Client, Room

ALL = emulators.emulated()
PLAYED = [(code, phase) for code in ALL for phase in emulators.get(code).words if phase is not Phase.MAINTENANCE]
AUCTIONS = [code for code in ALL if Phase.AUCTION in emulators.get(code).words]
MAINTAINED = [code for code in ALL if Phase.MAINTENANCE in emulators.get(code).words]
TOLD = ("kraken", "okx_spot", "okx_swap")
"""Whose streams tell of a maintenance."""


def listed(room: Room, code: str) -> dict[str, Instrument]:
    """What the exchange's list says now, read by its module."""
    exchange, emulator, bodies = registry.get(code), room.world.market.exchanges[code].emulator, []
    for request in exchange.strategy.instruments_requests():
        path, _, query = request.path.partition("?")
        pairs = dict(pair.split("=", 1) for pair in query.split("&") if pair)
        bodies.append(emulator.rest(Call(path, pairs, "a", room.world.now())).body)
    return {one.native_symbol: one for one in exchange.handler.parse_instruments(bodies)}


def told(client: Client) -> list[Told]:
    """The news of phases that a link has brought since it was last asked."""
    strategy, handler = client.exchange.strategy, client.exchange.handler
    frames = [frame for frame in client.raw if strategy.route(frame).kind is RouteKind.PHASE]
    client.raw.clear()
    return [one for frame in frames for one in handler.parse_phases(frame)]


@pytest.mark.parametrize(("code", "phase"), PLAYED)
def test_the_list_says_what_is_played(code: str, phase: Phase) -> None:
    room = Room(code)
    native, other, *_ = room.world.venues[code].natives()
    room.world.faults.phase(code, native, phase.name.lower()) if phase is not Phase.TRADING else None
    found = listed(room, code)
    assert (found[native].phase, found[native].trading) == (phase, phase.matches) or not found[native].status
    assert found[other].trading
    room.world.faults.resume(code, native)
    assert listed(room, code)[native].trading


@pytest.mark.parametrize("code", ALL)
def test_what_an_exchange_has_no_word_for_it_cannot_play(code: str) -> None:
    room = Room(code)
    native = room.world.venues[code].natives()[0]
    for phase in (Phase.AUCTION, Phase.POST_ONLY, Phase.LIMIT_ONLY):
        if phase not in emulators.get(code).words:
            with pytest.raises(ValueError, match="has no word for"):
                room.world.faults.phase(code, native, phase.name.lower())
    if code not in MAINTAINED:
        with pytest.raises(ValueError, match="has no word for a maintenance"):
            room.world.faults.maintain(code)


@pytest.mark.parametrize("code", AUCTIONS)
def test_a_book_crosses_in_an_auction_and_only_there(code: str) -> None:
    def crossed(truth: dict[str, Any]) -> bool:
        return float(truth["bids"][0][0]) >= float(truth["asks"][0][0])

    room = Room(code)
    native, other, *_ = room.world.venues[code].natives()
    room.world.faults.phase(code, native, "auction")
    seen = set()
    for _ in range(100):
        room.run(0.1)
        seen.add(crossed(room.world.truth(code, native)))
        assert not crossed(room.world.truth(code, other))
    assert True in seen
    symbol = room.world.market.exchanges[code].symbols[native]
    assert len(symbol.top(50).bids) > 4
    room.world.faults.resume(code, native)
    frame_ms = symbol.frame_ms
    while symbol.frame_ms <= frame_ms + 60:  # the frame that was pending, and the first one after the auction
        room.run(0.01)
    for _ in range(20):
        assert not crossed(room.world.truth(code, native))
        room.run(0.1)


@pytest.mark.parametrize(("to", "changes"), [("post_only", True), ("limit_only", True), ("pre_open", False)])
def test_what_changes_in_a_phase(to: str, changes: bool) -> None:
    room = Room("kraken")
    native = room.world.venues["kraken"].natives()[0]
    room.world.faults.phase("kraken", native, to)
    room.run(0.2)
    before = room.world.truth("kraken", native)
    room.run(1.0)
    assert (room.world.truth("kraken", native) != before) is changes


@pytest.mark.parametrize("code", MAINTAINED)
def test_a_maintenance_stops_everything_and_is_told_where_the_exchange_tells_it(code: str) -> None:
    room = Room(code)
    natives = room.world.venues[code].natives()
    client = room.client(code)
    client.subscribe(natives[0])
    room.run(0.5)
    assert {one.phase for one in told(client)} <= {Phase.TRADING}
    room.world.faults.maintain(code)
    room.run(0.2)
    before = [room.world.truth(code, native) for native in natives]
    room.run(1.0)
    assert [room.world.truth(code, native) for native in natives] == before
    assert {one.trading for one in listed(room, code).values()} == {False}
    news = [one for one in told(client) if not one.native_symbol]
    assert [one.phase for one in news] == ([Phase.MAINTENANCE] if code in TOLD else [])
    room.world.faults.reopen(code)
    room.run(1.0)
    assert [room.world.truth(code, native) for native in natives] != before
    news = [one for one in told(client) if not one.native_symbol]
    assert [one.phase for one in news] == ([Phase.TRADING] if code in TOLD else [])
    assert {one.trading for one in listed(room, code).values()} == {True}


@pytest.mark.parametrize("code", ["okx_spot", "okx_swap"])
def test_okx_tells_each_link_the_changes_of_its_instruments(code: str) -> None:
    room = Room(code)
    native = room.world.venues[code].natives()[0]
    client = room.client(code)
    room.run(0.5)
    assert told(client) == []
    room.world.faults.phase(code, native, "auction")
    room.run(0.5)
    assert [(one.native_symbol, one.phase) for one in told(client)] == [(native, Phase.AUCTION)]
    room.world.faults.resume(code, native)
    room.run(0.5)
    assert [(one.native_symbol, one.phase) for one in told(client)] == [(native, Phase.TRADING)]
