"""Deeds on the market itself: what is listed, what trades, how ids count, what the clock says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoga.domain.phases import Phase
from hoga.exchanges import registry
from hoga.exchanges.base import Continuity
from services.simulator.venue import Venue
from services.simulator.venues.numbers import fixed

if TYPE_CHECKING:
    from services.simulator.desk import Desk
    from services.simulator.market import ExchangeMarket
    from services.simulator.world import World

Deed = dict[str, Any]


class MarketDeeds:
    def __init__(self, world: World) -> None:
        self.world = world

    def clock(self, seconds: float) -> Deed:
        """The clock of all exchanges jumps; the sum of all jumps so far is told."""
        self.world.clock_offset_ns += int(seconds * 1e9)
        for market in self.world.market.exchanges.values():
            for symbol in market.symbols.values():
                symbol.shift_clock(int(seconds * 1000))
        return {"offset_s": self.world.clock_offset_ns / 1e9}

    def halt(self, code: str, native: str) -> Deed:
        """Trading stops: no more changes; the status in the lists says so."""
        self._market(code).symbols[native].phase = Phase.HALTED
        return {"halted": native}

    def resume(self, code: str, native: str) -> Deed:
        """Trading goes on after a halt, or any other phase."""
        self._market(code).symbols[native].phase = Phase.TRADING
        return {"resumed": native}

    def phase(self, code: str, native: str, to: str = "halted") -> Deed:
        """The exchange does something else with the orders of a market. In an auction they are collected and not
        matched, so that the book crosses; before the opening, and halted, nothing changes."""
        market, phase = self._market(code), Phase[to.upper()]
        if phase not in market.emulator.words and phase is not Phase.HALTED:
            raise ValueError(f"{code} has no word for {to}")
        market.symbols[native].phase = phase
        return {"phase": to, "native": native}

    def maintain(self, code: str) -> Deed:
        """The whole exchange is maintained: its links stay, nothing changes any more."""
        if Phase.MAINTENANCE not in self._market(code).emulator.words:
            raise ValueError(f"{code} has no word for a maintenance")
        self._market(code).maintained = True
        return {"maintained": code}

    def reopen(self, code: str) -> Deed:
        """The maintenance of an exchange ends."""
        self._market(code).maintained = False
        return {"reopened": code}

    def quiet(self, code: str, native: str) -> Deed:
        """Nothing changes any more, though the market trades; until `wake`."""
        self._market(code).symbols[native].quiet = True
        return {"quiet": native}

    def wake(self, code: str, native: str) -> Deed:
        """Changes go on after `quiet`."""
        self._market(code).symbols[native].quiet = False
        return {"awake": native}

    def delist(self, code: str, native: str) -> Deed:
        """The market is gone from the lists; its streams are silent."""
        self._market(code).delist(native)
        return {"delisted": native}

    def relist(self, code: str, native: str = "") -> Deed:
        """Lists a market: a delisted one, a named spare, or the next spare. Its ids and book begin anew."""
        market = self._market(code)
        spare = market.spare()
        if not native and spare is None:
            raise ValueError("no market is left to list")
        name = native or (spare.listing.native if spare else "")
        market.list_market(name, self._now_ms())
        self.world.enlist(code, name)
        return {"listed": name}

    def rename(self, code: str, native: str) -> Deed:
        """The market leaves and comes back under another native id, with the same base and quote."""
        if native not in self._market(code).symbols:
            raise KeyError(native)
        name = self._market(code).rename(native, self._now_ms())
        self.world.enlist(code, name)
        return {"renamed": native, "listed": name}

    def retick(self, code: str, native: str, digits: int = 1) -> Deed:
        """After the next frame the price tick is finer by so many decimal places, and the size step where it can be;
        the list says so, and every level stays where it is."""
        listing = self._market(code).retick(native, digits)
        return {
            "reticked": native,
            "tick": fixed(listing.tick, listing.price_decimals),
            "size_step": fixed(listing.size_step, listing.size_decimals),
        }

    def reset(self, code: str, native: str) -> Deed:
        """Ids begin anew, far below, after the next frame; the book stays as it is. Where one counter serves all
        markets, they all begin anew."""
        continuity = registry.get(self._venue(code).code).traits.continuity
        if continuity not in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS):
            raise ValueError(f"{code}: frames carry no ids of their market ({continuity.value})")
        self._market(code).renumber(native)
        return {"reset": native, "life": self._market(code).symbols[native].lives + 1}

    def cross(self, code: str, native: str) -> Deed:
        """After the next frame comes one that puts a bid above the asks, as a faulty exchange would send it."""
        venue = self._venue(code)
        if not isinstance(venue, Venue) or native not in venue.market.symbols:
            raise KeyError(native)
        venue.crossings.add(native)
        return {"crossing": native}

    def _venue(self, code: str) -> Desk:
        return self.world.venues[code]

    def _market(self, code: str) -> ExchangeMarket:
        return self.world.market.exchanges[code]

    def _now_ms(self) -> int:
        return self.world.now().wall_ns // 1_000_000
