"""Rules of production broken on purpose, one by one: a simulation that does not notice is not to be trusted.

    python -m tests.sim.run --mutant no_gap_check --seeds 12
    python -m tests.sim.run --world-of no_gap_check --seeds 12     # the same worlds with production as it is

Each takes the place of a method while a run lasts, in worlds of the faults, exchanges and lines that need the rule.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from hoga.domain.actions import FactKind, Note
from hoga.domain.arbiter import Arbiter
from hoga.domain.books import Book, new_book
from hoga.domain.builder import BookBuilder
from hoga.domain.chain import Chain, Fit
from hoga.domain.ledger import Ledger
from hoga.domain.links import LinkEventKind
from hoga.domain.phases import MarketPhases, Phase, Told
from hoga.domain.stream import Stream, Took
from hoga.domain.types import State
from hoga.domain.whole_builder import WholeBuilder
from hoga.runtime.rest_gate import Gate
from services.ingest.link import Link
from services.ingest.subscriptions import Subscriptions
from services.validator.coverage import Coverage
from services.validator.publisher import Publisher
from tests.sim.bias import BY_CHECKSUM, BY_IDS, BY_REST, FREE, NOT_WHOLE, WHOLE, Bias

BookInUse: Any = type(new_book())
_take, _apply, _want, _on_link = Stream.take, BookInUse.apply, Subscriptions.want, BookBuilder.on_link
_announce = Publisher.announce


def _no_gaps(self: Stream, update: Any, mono_ns: int) -> Took:
    took = _take(self, update, mono_ns)
    if took is not Took.GAP:
        return took
    self.stuck_ns = 0
    self.chain.clear()
    return self.apply(update, mono_ns)


def _old_applies(self: Stream, update: Any, mono_ns: int) -> Took:
    took = _take(self, update, mono_ns)
    if took is not Took.OLD or self.grade is State.SYNCING:
        return took
    last = self.last
    took = self.apply(update, mono_ns)
    self.last = last
    return took


def _no_reversals(self: Stream, update: Any, mono_ns: int) -> Took:
    if self.heard is not None and update.prev_seq < self.heard and update.seq > update.prev_seq:
        return Took.OLD
    return _take(self, update, mono_ns)


def _never_closed(self: BookBuilder, event: Any, stamp: Any) -> None:
    if event.kind is not LinkEventKind.CLOSED:
        _on_link(self, event, stamp)


def _swap_sides(self: Book, bids: Any, asks: Any) -> None:
    if len(bids) == len(asks) == 1:
        bids, asks = asks, bids
    _apply(self, bids, asks)


def _forget_deletes(self: Book, bids: Any, asks: Any) -> None:
    kept = [[level for level in side if float(level[1])] for side in (bids, asks)]
    _apply(self, kept[0], kept[1])


async def _wall_epoch(_bus: Any) -> int:
    return time.time_ns() // 1000


def _want_once(self: Subscriptions, natives: Any) -> None:
    if not list(self.wanted):
        _want(self, natives)


def _announce_no_new_count(self: Publisher, entry: Any, note: Note, *args: Any) -> None:
    if note.kind is not FactKind.RENUMBERED:
        _announce(self, entry, note, *args)


class Mutant(NamedTuple):
    broken: Callable[[], AbstractContextManager[Any]]
    """A context in which the rule does not hold."""
    bias: Bias


UNLOST = ("duplicate", "delay", "burst")
FRAMES = ("drop", "duplicate", "swap", "delay", "burst")
FREE_BY_IDS = tuple(sorted({*BY_IDS} & {*FREE}))
MUTANTS: dict[str, Mutant] = {
    "no_gap_check": Mutant(
        lambda: patch.object(Stream, "take", _no_gaps),
        Bias(("drop", "swap"), FREE_BY_IDS, ("one",)),
    ),
    "old_deltas_are_applied": Mutant(
        lambda: patch.object(Stream, "take", _old_applies),
        Bias((*FRAMES, "stall", "latency"), BY_IDS, ("two", "apart")),
    ),
    "no_reversal_check": Mutant(
        lambda: patch.object(Stream, "take", _no_reversals), Bias(("renumber", "burst"), BY_IDS, ("one",))
    ),
    "any_snapshot_fits": Mutant(
        lambda: patch.object(Chain, "fit", lambda *_args, **_kwargs: Fit.FITS),
        Bias(("drop", "latency", "reset", "kill_ingest", "spoil_rest"), BY_REST),
    ),
    "deletes_are_forgotten": Mutant(lambda: patch.object(BookInUse, "apply", _forget_deletes), Bias(UNLOST, BY_IDS)),
    "sides_are_swapped": Mutant(lambda: patch.object(BookInUse, "apply", _swap_sides), Bias(UNLOST, BY_IDS)),
    "crossed_books_pass": Mutant(
        lambda: patch.object(BookInUse, "crossed", False), Bias(("cross", "burst", "latency"))
    ),
    "a_dead_link_is_ignored": Mutant(
        lambda: patch.object(BookBuilder, "on_link", _never_closed),
        Bias(("unreachable", "refuse_connects", "kill_ingest", "freeze_ingest", "kill_bus"), lines=("one",)),
    ),
    "every_book_is_live": Mutant(lambda: patch.object(Ledger, "state", State.LIVE), Bias(("drop", "kill_ingest"))),
    "silent_reports_pass": Mutant(
        lambda: patch.object(Coverage, "tick", lambda *_args: []), Bias(("freeze_ingest",), lines=("one",))
    ),
    "lines_are_not_compared": Mutant(
        lambda: patch.object(Arbiter, "compare", lambda *_args: None),
        Bias(("disagree", "burst"), BY_IDS, ("two", "apart")),
    ),
    "a_new_count_is_not_said": Mutant(
        lambda: patch.object(Publisher, "announce", _announce_no_new_count), Bias(("renumber", "burst"), BY_IDS)
    ),
    "losses_of_the_bus_pass": Mutant(
        lambda: patch.object(BookBuilder, "lost_before", lambda *_args: 0),
        Bias(("cut_bus", "hold_bus", "burst")),
    ),
    "rejected_frames_pass": Mutant(
        lambda: patch.object(WholeBuilder, "_refuse", lambda *_args: None),
        Bias(("malformed", "halt", "quiet"), WHOLE, ("one",), symbols=(1,)),
    ),
    "checksums_are_not_compared": Mutant(
        lambda: patch.object(Stream, "_sums_up", lambda *_args: True), Bias(("swap", "delay"), BY_CHECKSUM)
    ),
    "bans_are_ignored": Mutant(
        lambda: patch.object(Gate, "remaining_s", lambda *_args: 0.0),
        Bias(("refuse_rest", "drop"), BY_REST, symbols=(3,)),
    ),
    "a_silent_link_is_kept": Mutant(
        lambda: patch.object(Link, "end", _end_unless_silent), Bias(("silence", "half_open"), lines=("one",))
    ),
    "symbols_never_change": Mutant(
        lambda: patch.object(Subscriptions, "want", _want_once), Bias(("universe",), symbols=(3,))
    ),
    "phases_are_ignored": Mutant(
        lambda: patch.object(MarketPhases, "of", lambda *_args: Told(Phase.UNKNOWN)),
        Bias(("phase", "maintain"), NOT_WHOLE, ("one",)),
    ),
    "epochs_are_times": Mutant(
        lambda: patch("services.validator.service.new_epoch", _wall_epoch),
        Bias(("wall_clock", "kill_validator", "stop_validator"), FREE),
    ),
}

_end = Link.end


def _end_unless_silent(self: Link, kind: Any, detail: str) -> None:
    if kind.value != "silent":
        _end(self, kind, detail)
