"""Replays a tape through the very path of production: route, parse, sequence, book.

In-process and without a clock: the recorded times are the time. Snapshots come from the tape where they were
recorded; one that the tape lacks stays wanted, and its book stays what the evidence makes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hoga.domain.actions import FactKind, Note
from hoga.domain.errors import FrameError, TapeError, snippet
from hoga.domain.keeper import Keeper, KeeperRules
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Instrument, Stamp
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RestKind, RouteKind
from hoga.runtime.books import BookShelf
from hoga.wire import tape


@dataclass
class Replay:
    """What a tape made: the books by native id, and what was no book."""

    path: Path
    exchange: Exchange
    shelf: BookShelf
    symbols: SymbolMap = field(default_factory=SymbolMap)
    records: int = 0
    other: int = 0
    unknown: int = 0
    troubles: list[str] = field(default_factory=list)
    damage: str = ""
    """Why the tape could not be read to its end; empty where it could."""

    def books(self) -> dict[str, Keeper]:
        """The keepers by canonical symbol (by native id where two would share one), in order of appearance."""
        found: dict[str, Keeper] = {}
        for native, keeper in self.shelf.keepers.items():
            symbol = self.symbol(native)
            found[native if symbol in found else symbol] = keeper
        return found

    def symbol(self, native: str) -> str:
        instrument = self.symbols.by_native.get(native)
        return instrument.symbol if instrument else self.exchange.handler.normalize_symbol(native)


def replay(path: Path, exchange: Exchange | None = None, rules: KeeperRules | None = None) -> Replay:
    """Runs a whole tape; TapeError where it cannot be read or belongs to no known exchange."""
    run: Replay | None = None
    waiting: list[tape.Record] = []
    try:
        for record in tape.read(path):
            if run is None:
                known = exchange or (registry.detect(record.url) if record.url else None)
                if known is None:
                    waiting.append(record)
                    continue
                run = Replay(path, known, BookShelf(known, rules or KeeperRules()))
                for earlier in waiting:
                    _play(run, earlier)
            _play(run, record)
    except TapeError as error:
        if run is None:
            raise
        run.damage = str(error)  # what stands before the damage counts
    if run is None:
        if not waiting:
            raise TapeError(f"the tape {path} is empty: it holds no record")
        urls = sorted({record.url for record in waiting if record.url})
        found = f"its addresses are {', '.join(urls[:3])}" if urls else "it holds no address"
        raise TapeError(f"cannot tell the exchange of {path}: {found}; name it with --exchange")
    return run


def _play(run: Replay, record: tape.Record) -> None:
    run.records += 1
    found = registry.detect(record.url) if record.url else None
    if found is not None and found is not run.exchange:
        _trouble(run, f"record {run.records}: {snippet(record.url or '')} is an address of {found.code}")
    if record.data is None:
        return
    stamp = Stamp(record.ts_ns, record.ts_ns)
    if record.kind == "http" and record.url:
        _play_rest(run, record.url, record.data.encode(), stamp)
    elif record.kind == "recv":
        frame = record.data.encode()
        route = run.exchange.strategy.route(frame)
        if route.kind is RouteKind.BOOK:
            for native in route.symbols:
                for action in run.shelf.frame(native, native, frame, record.conn, stamp):
                    if isinstance(action, Note) and action.kind is FactKind.REJECTED:
                        _trouble(run, f"record {run.records}: {native}: {action.detail}")
        elif route.kind is RouteKind.UNKNOWN:
            run.unknown += 1
            _trouble(run, f"record {run.records}: not understood: {snippet(frame)}")
        else:
            run.other += 1


def _play_rest(run: Replay, url: str, body: bytes, stamp: Stamp) -> None:
    match = run.exchange.strategy.match_rest(url)
    if match is None or match.kind is RestKind.TICKERS:
        run.other += 1
        return
    error = run.exchange.strategy.rest_error(body)
    if error is not None:
        _trouble(run, f"record {run.records}: {url} answered {error}")
    elif match.kind is RestKind.SNAPSHOT:
        run.shelf.snapshot(match.native_symbol, match.native_symbol, body, match.limit, stamp)
    else:
        try:
            found = run.exchange.handler.parse_instruments([body])
        except FrameError as failure:
            _trouble(run, f"record {run.records}: {url}: {failure}")
        else:
            known: list[Instrument] = list(run.symbols.by_native.values())
            run.symbols = SymbolMap(known + [one for one in found if one.native_symbol not in run.symbols.by_native])


def _trouble(run: Replay, text: str) -> None:
    if len(run.troubles) < 10:
        run.troubles.append(text)
