"""One exchange's universe: its rules, its last listing, who is in, and the message that says so.

The revision counts changes of the set of symbols; a symbol that is in for another reason than before, or trades
another amount, changes nothing for those who follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from google.protobuf.message import DecodeError

from hoga.domain.errors import FrameError
from hoga.domain.rates import MarketPrice, amount
from hoga.domain.universe import Member, Reason, Rules, Selection, candidates, plain, select
from hoga.exchanges.base import Exchange
from hoga.runtime.settings import UniverseRules
from hoga.wire import pb
from services.aggregator.listing import Listing

LAST_REVISION = 1 << 63
"""A kept universe beyond this was not made by counting, and leaves the message's 64 bits no room to go on."""
SHOWN = 12
"""Symbols named in a log line; the rest are counted."""


def rules_of(settings: UniverseRules) -> Rules:
    """The domain's rules from the settings; ConfigError where they contradict each other."""
    return Rules(
        top_n=settings.top_n,
        min_turnover=Decimal(str(settings.min_turnover)),
        quotes=frozenset(quote.upper() for quote in settings.quotes),
        include=frozenset(settings.include),
        exclude=frozenset(settings.exclude),
        hysteresis=Decimal(str(settings.hysteresis)),
    )


class Desk:
    """`members`, `revision` and `listing` are what stands; a failed refresh leaves all of it alone."""

    def __init__(self, exchange: Exchange, settings: UniverseRules) -> None:
        self.exchange = exchange
        self.code = exchange.code
        self.rules = rules_of(settings)
        self.common = settings.common_currency.upper()
        self.listing: Listing | None = None
        self.members: tuple[Member, ...] = ()
        self.revision = 0
        """0 until there is a universe."""
        self.unmeasured: Mapping[str, int] = {}
        """Eligible symbols that could not be measured, by reason."""

    @property
    def prices(self) -> list[MarketPrice]:
        """The exchange's markets as steps between currencies."""
        return self.listing.prices if self.listing is not None else []

    @property
    def trading(self) -> int:
        """Symbols listed and trading, before the rules."""
        return self.listing.trading if self.listing is not None else 0

    def restore(self, payload: bytes) -> None:
        """Goes on from the universe that an earlier run published. FrameError where `payload` is none, or one that
        cannot be published again; then nothing has changed."""
        try:
            found = pb.Universe.FromString(payload)
        except DecodeError as error:
            raise FrameError("shape", f"not a Universe: {error}") from None
        if found.revision > LAST_REVISION:
            raise FrameError("number", f"revision {found.revision} leaves no room for another")
        if not all(entry.symbol for entry in found.entries):
            raise FrameError("symbol", "an entry has no symbol")
        self.revision = found.revision
        comparable = found.common_currency == self.common
        self.members = tuple(
            Member(
                entry.symbol,
                entry.native_symbol,
                amount(entry.common_turnover) if comparable else None,
                _reason(entry.reason),
            )
            for entry in found.entries
        )

    def judge(self, rates: Mapping[str, Decimal]) -> Selection:
        """Applies the rules to the last listing. `rates`: units of the common currency for one of another."""
        if self.listing is None:
            raise ValueError(f"{self.code} has no listing yet")
        listed = candidates(self.listing.symbols, self.listing.turnovers, rates)
        selection = select(listed, self.rules, self.members)
        self.unmeasured = selection.unmeasured
        return selection

    def blind(self, selection: Selection) -> bool:
        """Nothing stands yet and nothing could be measured: such a universe would throw everything out of ingest."""
        ranked = any(member.reason is not Reason.INCLUDE for member in selection.members)
        return not self.revision and not ranked and bool(selection.unmeasured)

    def take(self, selection: Selection) -> bool:
        """Makes a selection the one that stands; whether the set of symbols changed."""
        before = {(member.symbol, member.native_symbol) for member in self.members}
        changed = not self.revision or before != {(m.symbol, m.native_symbol) for m in selection.members}
        self.members = selection.members
        self.revision += changed
        return changed

    def message(self, time_ns: int) -> bytes:
        """The universe that stands, for the bus; `time_ns` by the wall clock."""
        universe = pb.Universe(
            exchange=self.code,
            revision=self.revision,
            time_ns=time_ns,
            common_currency=self.common,
            listed=self.trading,
        )
        for member in self.members:
            universe.entries.add(
                symbol=member.symbol,
                native_symbol=member.native_symbol,
                common_turnover="" if member.turnover is None else plain(member.turnover),
                reason=member.reason.value,
            )
        return universe.SerializeToString()


def describe(selection: Selection) -> str:
    """What came in and what went out, and why, for the log."""
    entered = _some(f"{member.symbol} ({member.reason.value})" for member in selection.entered)
    left = _some(f"{symbol} ({why})" for symbol, why in selection.left)
    return "; ".join(f"{word}: {names}" for word, names in (("in", entered), ("out", left)) if names)


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        return Reason.KEPT
