"""How a book is built: the rules of the user, what the channel is like, and what is counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from hoga.domain.checks import TimeBudget
from hoga.domain.checksum import Checksum
from hoga.domain.types import GapPolicy

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class BookRules:
    """The same for every book of an exchange."""

    depth: int = 20
    """Levels a side that are published, and so must stay proven."""
    gap_policy: GapPolicy = GapPolicy.CONTINUE
    buffer_updates: int = 4000
    buffer_age_ns: int = 60 * SECOND_NS
    """Deltas older than this cannot be older than a snapshot that is still to come."""
    retry_ns: int = 5 * SECOND_NS
    """An unanswered request for a snapshot is repeated after this, doubled up to `retry_limit_ns`."""
    retry_limit_ns: int = 60 * SECOND_NS
    confirm_ns: int = 10 * SECOND_NS
    """A snapshot that no delta proves is confirmed by a second one after this."""
    recentre_ns: int = 30 * SECOND_NS
    """Least time between two requests to re-centre the proven range."""
    time: TimeBudget = field(default_factory=TimeBudget)


@dataclass(frozen=True, slots=True)
class Kind:
    """What the streams of a channel are like."""

    in_band: bool = False
    """A snapshot comes in the stream, at every subscription; else by REST."""
    ordered: bool = True
    """Deltas carry ids of the market, so that what two links bring can be compared and ordered."""
    overlaps: bool = False
    """A delta may begin before the one in front of it ended: sizes are absolute, and the exchange says so."""
    numbered: bool = False
    """Connections count their frames: a lost one shows by itself."""
    kept: int = 0
    """Levels a side that the exchange keeps correct for us; 0: no limit, and only a snapshot's range is proven."""
    truncates: bool = False
    """No delete is sent for what falls out of the kept levels: each side is cut to them."""
    checksum: Checksum | None = None
    """Verified on every update that carries one."""


@dataclass(slots=True)
class Counters:
    """Since the book began."""

    frames: int = 0
    updates: int = 0
    applied: int = 0
    snapshots: int = 0
    stale: int = 0
    repeated: int = 0
    gaps: int = 0
    reversals: int = 0
    crossed: int = 0
    repaired_levels: int = 0
    rejected: int = 0
    odd_times: int = 0
    resyncs: int = 0
    bus_lost: int = 0
    checksum_ok: int = 0
    checksum_bad: int = 0
    disagreements: int = 0
    audits_agreed: int = 0
    audits_disagreed: int = 0
    audits_open: int = 0
    """Audits that could prove nothing: the book moved on, or was resynced, or no answer came."""
