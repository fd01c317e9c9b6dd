"""Rules of production broken on purpose, one by one: a simulation that does not notice is not to be trusted.

    python -m tests.sim.run --mutant no_gap_check --seeds 60

Each takes the place of a method while a run lasts; `CAUGHT_AS` says which verdicts may be its.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from hoga.domain.book import Book
from hoga.domain.joining import Fit, JoinBuffer
from hoga.domain.keeper import Keeper
from hoga.domain.line import LineKeeper
from hoga.domain.sequencer import Sequencer, Verdict
from hoga.domain.types import State
from hoga.domain.whole import WholeBookKeeper
from hoga.runtime.rest_gate import Gate
from services.ingest.link import Link
from services.ingest.subscriptions import Subscriptions
from services.validator.coverage import NOTHING, Coverage
from services.validator.entry import Entry

_judge, _apply, _want = Sequencer.judge, Book.apply, Subscriptions.want


def _judging(instead: dict[Verdict, Verdict]) -> Callable[..., Verdict]:
    def judge(self: Sequencer, *args: Any) -> Verdict:
        verdict = _judge(self, *args)
        return instead.get(verdict, verdict)

    return judge


def _swap_sides(self: Book, bids: Any, asks: Any) -> None:
    if len(bids) == len(asks) == 1:
        bids, asks = asks, bids
    _apply(self, bids, asks)


def _forget_deletes(self: Book, bids: Any, asks: Any) -> None:
    kept = [[level for level in side if float(level[1])] for side in (bids, asks)]
    _apply(self, kept[0], kept[1])


def _want_once(self: Subscriptions, natives: Any) -> None:
    if not list(self.wanted):
        _want(self, natives)


MUTANTS: dict[str, Callable[[], Any]] = {
    "no_gap_check": lambda: patch.object(Sequencer, "judge", _judging({Verdict.GAP: Verdict.APPLY})),
    "old_deltas_are_applied": lambda: patch.object(Sequencer, "judge", _judging({Verdict.STALE: Verdict.APPLY})),
    "no_reversal_check": lambda: patch.object(Sequencer, "judge", _judging({Verdict.REVERSAL: Verdict.STALE})),
    "any_snapshot_fits": lambda: patch.object(JoinBuffer, "fit", lambda *_args, **_kwargs: Fit.FITS),
    "deletes_are_forgotten": lambda: patch.object(Book, "apply", _forget_deletes),
    "sides_are_swapped": lambda: patch.object(Book, "apply", _swap_sides),
    "crossed_books_pass": lambda: patch.object(Book, "crossed", False),
    "a_dead_link_is_ignored": lambda: patch.object(Keeper, "link_down", lambda *_args: []),
    "every_book_is_live": lambda: patch.object(Keeper, "state", State.LIVE),
    "silent_reports_pass": lambda: patch.object(Coverage, "tick", lambda *_args: NOTHING),
    "losses_of_the_bus_pass": lambda: patch.object(Entry, "lost_before", lambda *_args: 0),
    "rejected_frames_pass": lambda: patch.object(WholeBookKeeper, "reject", lambda *_args: []),
    "checksums_are_not_compared": lambda: patch.object(LineKeeper, "_check_sum", lambda *_args: []),
    "bans_are_ignored": lambda: patch.object(Gate, "remaining_s", lambda *_args: 0.0),
    "a_silent_link_is_kept": lambda: patch.object(Link, "end", _end_unless_silent),
    "symbols_never_change": lambda: patch.object(Subscriptions, "want", _want_once),
}

_end = Link.end


def _end_unless_silent(self: Link, kind: Any, detail: str) -> None:
    if kind.value != "silent":
        _end(self, kind, detail)
