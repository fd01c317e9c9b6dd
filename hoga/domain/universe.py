"""Which symbols of an exchange are worth collecting: the rules, pure.

1. Eligible: listed, trading, its quote currency wanted (where `quotes` names any), not excluded.
2. Eligible symbols are ranked by 24 h turnover in the common currency; equal turnovers by symbol.
3. A newcomer must be among the first `top_n` (0: no limit) and reach `min_turnover`.
4. Whoever is in stays until it ranks below `top_n * (1 + hysteresis)` or trades less than
   `min_turnover * (1 - hysteresis)`: what wiggles at the border does not flap.
5. `include` always wins, on top of the others; it must be listed. A symbol both included and excluded is a
   contradiction in the settings. Names in old codes (XBT-USD) stand for everybody's where they are not listed.
6. What cannot be measured (no rate, no figures) cannot come in. Whoever is in is then judged by the last figure
   measured: another exchange's failure, which takes a rate away, throws nothing out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum

from hoga.domain.aliases import as_listed, renamed
from hoga.domain.errors import ConfigError
from hoga.domain.rates import EXACT, ONE, amount
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Turnover


class Reason(Enum):
    """Why a symbol is in; the words of `orderbook.v1.Universe.Entry.reason`."""

    TOP = "top"
    MINIMUM = "minimum"
    """There is no limit by rank and it trades enough."""
    INCLUDE = "include"
    KEPT = "kept"
    """It would not come in now, and has not fallen far enough to go."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Turnovers in the common currency, `hysteresis` as a share (0.2 is 20 %). ConfigError on a contradiction."""

    top_n: int = 30
    min_turnover: Decimal = Decimal(0)
    quotes: frozenset[str] = frozenset()
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    hysteresis: Decimal = Decimal("0.2")

    def __post_init__(self) -> None:
        both = sorted(set(map(renamed, self.include)) & set(map(renamed, self.exclude)))
        if both:
            raise ConfigError(f"universe: {', '.join(both)} is in include and in exclude; leave it in one of them")

    def naming(self, listed: Container[str]) -> Rules:
        """The same rules with the names under which symbols are listed."""
        include, exclude = ({as_listed(name, listed) for name in names} for names in (self.include, self.exclude))
        return replace(self, include=frozenset(include), exclude=frozenset(exclude))

    @property
    def last_rank(self) -> int | None:
        """The last rank at which a symbol stays; None without a limit."""
        return int(self.top_n * (1 + self.hysteresis)) if self.top_n else None

    @property
    def floor(self) -> Decimal:
        """The least turnover at which a symbol stays."""
        return EXACT.multiply(self.min_turnover, max(ONE - self.hysteresis, Decimal(0)))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listed symbol and what it trades in 24 h, in the common currency."""

    symbol: str
    native_symbol: str
    quote: str
    trading: bool
    """Or about to trade again: a phase that keeps its place."""
    turnover: Decimal | None
    unmeasured: str = ""
    """Why there is no turnover."""


@dataclass(frozen=True, slots=True)
class Member:
    """A symbol that is in. `turnover` is the last one measured, None where there never was one."""

    symbol: str
    native_symbol: str
    turnover: Decimal | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome: who is in (most traded first), what changed against before."""

    members: tuple[Member, ...]
    entered: tuple[Member, ...]
    left: tuple[tuple[str, str], ...]
    """(symbol, why)."""
    unmeasured: Mapping[str, int]
    """How many eligible symbols could not be measured, by reason."""


def candidates(listed: SymbolMap, turnovers: Iterable[Turnover], rates: Mapping[str, Decimal]) -> list[Candidate]:
    """The listed symbols with their turnovers converted by `rates` (common units for one unit of a currency)."""
    quoted = {ticker.native_symbol: amount(ticker.quote_turnover) for ticker in turnovers}
    found = []
    for symbol, instrument in listed.by_symbol.items():
        turnover, rate = quoted.get(instrument.native_symbol), rates.get(instrument.quote)
        measured = None if turnover is None or rate is None else EXACT.multiply(turnover, rate)
        why = "no 24 h figures" if turnover is None else f"no rate for {instrument.quote}" if rate is None else ""
        native, collected = instrument.native_symbol, instrument.phase.collected
        found.append(Candidate(symbol, native, instrument.quote, collected, measured, why))
    return found


def select(listed: Iterable[Candidate], rules: Rules, before: Iterable[Member] = ()) -> Selection:
    """Applies the rules; `before` is the selection that stands. Independent of every order."""
    by_symbol = {candidate.symbol: candidate for candidate in listed}
    rules = rules.naming(by_symbol)
    previous = {member.symbol: member for member in before}
    eligible = [candidate for candidate in by_symbol.values() if not _barred(candidate, rules)]
    turnovers = {
        candidate.symbol: turnover for candidate in eligible if (turnover := _turnover(candidate, previous)) is not None
    }
    ranks = {
        symbol: rank
        for rank, symbol in enumerate(sorted(turnovers, key=lambda symbol: (-turnovers[symbol], symbol)), start=1)
    }
    chosen = {}
    for candidate in by_symbol.values():
        symbol = candidate.symbol
        reason = _reason(candidate, rules, ranks.get(symbol), turnovers.get(symbol), previous.get(symbol))
        if reason is not None:
            turnover = candidate.turnover if candidate.turnover is not None else turnovers.get(symbol)
            chosen[symbol] = Member(symbol, candidate.native_symbol, turnover, reason)
    members = sorted(chosen.values(), key=lambda m: (m.turnover is None, -(m.turnover or 0), m.symbol))
    return Selection(
        members=tuple(members),
        entered=tuple(member for member in members if member.symbol not in previous),
        left=tuple(
            (symbol, _why_left(by_symbol.get(symbol), rules, ranks.get(symbol), turnovers.get(symbol)))
            for symbol in sorted(previous)
            if symbol not in chosen
        ),
        unmeasured=Counter(sorted(candidate.unmeasured for candidate in eligible if candidate.turnover is None)),
    )


def near_matches(name: str, listed: SymbolMap) -> list[str]:
    """Listed symbols that a wrong name may have meant, best first; the exchange's own id counts as a match."""
    folded = name.casefold()
    exact = [
        symbol
        for symbol, instrument in listed.by_symbol.items()
        if folded in (symbol.casefold(), instrument.native_symbol.casefold())
    ]
    return sorted(exact) or listed.near(name)


def plain(value: Decimal) -> str:
    """A turnover to show or to publish: plain notation, at most eight decimals."""
    text = f"{value:.8f}"
    return text.rstrip("0").rstrip(".")


def _barred(candidate: Candidate, rules: Rules) -> str:
    """Why a listed symbol is not eligible; empty when it is."""
    if candidate.symbol in rules.exclude:
        return "excluded"
    if not candidate.trading:
        return "no longer trading"
    if rules.quotes and candidate.quote not in rules.quotes:
        return f"quote {candidate.quote} is not wanted"
    return ""


def _turnover(candidate: Candidate, previous: Mapping[str, Member]) -> Decimal | None:
    """What a symbol is ranked by: today's turnover, or of a member the last one measured."""
    if candidate.turnover is not None:
        return candidate.turnover
    member = previous.get(candidate.symbol)
    return member.turnover if member is not None and member.reason is not Reason.INCLUDE else None


def _reason(
    candidate: Candidate, rules: Rules, rank: int | None, turnover: Decimal | None, member: Member | None
) -> Reason | None:
    """Why a candidate is in; None when it is not. `rank` is None for those that are not ranked."""
    if candidate.symbol in rules.include:
        return Reason.INCLUDE
    if rank is None or turnover is None:
        return None
    if candidate.turnover is not None and turnover >= rules.min_turnover and (not rules.top_n or rank <= rules.top_n):
        return Reason.TOP if rules.top_n else Reason.MINIMUM
    was_ranked = member is not None and member.reason is not Reason.INCLUDE
    within = rules.last_rank is None or rank <= rules.last_rank
    return Reason.KEPT if was_ranked and within and turnover >= rules.floor else None


def _why_left(candidate: Candidate | None, rules: Rules, rank: int | None, turnover: Decimal | None) -> str:
    if candidate is None:
        return "no longer listed"
    barred = _barred(candidate, rules)
    if barred:
        return barred
    if turnover is None or rank is None:
        return candidate.unmeasured or "no turnover"
    if turnover < rules.floor:
        return f"turnover {plain(turnover)} is below {plain(rules.floor)}"
    if rules.last_rank is not None and rank > rules.last_rank:
        return f"rank {rank} is beyond {rules.last_rank}"
    return "no longer included"
