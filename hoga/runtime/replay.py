"""Replays a tape through the very path of production: route, parse, sequence, book.

In-process and without a clock: the recorded times are the time. Snapshots come from the tape where they were
recorded; one that the tape lacks stays wanted, and its book stays what the evidence makes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hoga.domain.actions import FactKind, Note
from hoga.domain.errors import FrameError, TapeError, snippet
from hoga.domain.keeper import Keeper, KeeperRules
from hoga.domain.phases import MarketPhases, Told
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Instrument, Stamp
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RestKind, RouteKind
from hoga.runtime.books import BookShelf
from hoga.wire import tape


class AllBut(set[str]):
    """Every link but those that were replaced."""

    def __contains__(self, link: object) -> bool:
        return not super().__contains__(link)


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
    left_aside: Counter[str] = field(default_factory=Counter)
    """Why frames that the exchange module knows are no book data of ours: reason -> frames."""
    links: dict[str, str] = field(default_factory=dict)
    """Connection -> the name of its present link: a connection that is made again is a new one."""
    replaced: AllBut = field(default_factory=AllBut)
    foreign: set[str] = field(default_factory=set)
    """Connections to another exchange: a recording of two may use one symbol for two markets."""
    early: dict[str, list[tuple[bytes, int, Stamp]]] = field(default_factory=dict)
    """Snapshots (body, limit, time) of symbols of which no frame has come, which tells of which channel they are."""
    phases: MarketPhases = field(default_factory=MarketPhases)
    """As lists and messages in the recording told them."""
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
    candidate: Exchange | None = None
    waiting: list[tape.Record] = []
    rules = rules or KeeperRules()
    try:
        for record in tape.read(path):
            if run is None:
                known = exchange or _settled(record, candidate)
                candidate = candidate or (registry.detect(record.url) if record.url else None)
                if known is None:
                    waiting.append(record)
                    continue
                run = _begin(path, known, rules, waiting)
            _play(run, record)
        if run is None and candidate is not None:
            run = _begin(path, candidate, rules, waiting)
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
    for native in list(run.early):
        _open(run, native)
    return run


def _settled(record: tape.Record, candidate: Exchange | None) -> Exchange | None:
    """The exchange of a tape as soon as it is certain: a websocket says more than a REST call, which may have been
    made to a sibling."""
    found = registry.detect(record.url) if record.url else None
    if record.kind == "connect":
        return found
    return found or candidate if record.kind == "recv" else None


def _begin(path: Path, exchange: Exchange, rules: KeeperRules, waiting: list[tape.Record]) -> Replay:
    run = Replay(path, exchange, BookShelf(exchange, rules))
    for earlier in waiting:
        _play(run, earlier)
    return run


def _play(run: Replay, record: tape.Record) -> None:
    run.records += 1
    found = registry.detect(record.url) if record.url else None
    if found is not None and found is not run.exchange and not registry.fits(run.exchange, record.url or ""):
        _trouble(run, f"record {run.records}: {snippet(record.url or '')} is an address of {found.code}: left out")
        if record.kind == "connect":
            run.foreign.add(record.conn)
        run.other += 1
        return
    if record.kind == "connect":
        _reconnect(run, record.conn)
    if record.data is None:
        return
    if record.conn in run.foreign:
        run.other += 1
        return
    stamp = Stamp(record.ts_ns, record.ts_ns)
    if record.kind == "http" and record.url:
        _play_rest(run, record.url, record.data.encode(), stamp)
    elif record.kind == "recv":
        frame = record.data.encode()
        route = run.exchange.strategy.route(frame)
        link = run.links.get(record.conn, record.conn)
        readable, _ = run.shelf.connection(frame, link, stamp)
        if not readable:
            _trouble(run, f"record {run.records}: a number of the connection from the past")
        elif route.kind is RouteKind.BOOK:
            for native in route.symbols:
                if native not in run.shelf.keepers:
                    _open(run, native, frame)
                    run.shelf.keeper(native).halt(run.phases.of(native, stamp.wall_ns).reason)
                for action in run.shelf.frame(native, native, frame, link, stamp):
                    if isinstance(action, Note) and action.kind is FactKind.REJECTED:
                        _trouble(run, f"record {run.records}: {native}: {action.detail}")
        elif route.kind is RouteKind.PHASE:
            run.other += 1
            try:
                _hear_phases(run, run.exchange.handler.parse_phases(frame), stamp)
            except FrameError as error:
                _trouble(run, f"record {run.records}: {error}")
        elif route.kind is RouteKind.UNKNOWN:
            run.unknown += 1
            _trouble(run, f"record {run.records}: not understood: {snippet(frame)}")
        else:
            run.other += 1
            if route.kind is RouteKind.OTHER and route.detail:
                run.left_aside[route.detail] += 1


def _hear_phases(run: Replay, every: Iterable[Told], stamp: Stamp) -> None:
    """Of a list, too, which may be that of a sibling: that it lacks a market says nothing."""
    for told in every:
        run.phases.heard(told, stamp.wall_ns)
    for native, keeper in run.shelf.keepers.items():
        keeper.halt(run.phases.of(native, stamp.wall_ns).reason)


def _reconnect(run: Replay, conn: str) -> None:
    old = run.links.get(conn)
    run.links[conn] = conn if old is None else f"{conn}#{run.records}"
    if old is not None:
        run.replaced.add(old)
        for keeper in run.shelf.keepers.values():
            keeper.live_links = run.replaced


def _open(run: Replay, native: str, frame: bytes = b"") -> None:
    """Makes the book of a symbol, of the channel that its first frame is of."""
    channel = None
    with suppress(FrameError):  # the keeper says so
        updates = [one for one in run.exchange.handler.parse(frame) if one.native_symbol == native] if frame else []
        channel = run.exchange.channel_of(updates[0]) if updates else None
    run.shelf.keeper(native, channel)
    for body, limit, stamp in run.early.pop(native, ()):
        run.shelf.snapshot(native, native, body, limit, stamp)


def _play_rest(run: Replay, url: str, body: bytes, stamp: Stamp) -> None:
    match = run.exchange.strategy.match_rest(url)
    if match is None or match.kind is RestKind.TICKERS:
        run.other += 1
        return
    error = run.exchange.strategy.rest_error(body)
    if error is not None:
        _trouble(run, f"record {run.records}: {url} answered {error}")
    elif match.kind is RestKind.SNAPSHOT:
        native = match.native_symbol
        if native in run.shelf.keepers:
            run.shelf.snapshot(native, native, body, match.limit, stamp)
        else:
            run.early.setdefault(native, []).append((body, match.limit, stamp))
    else:
        try:
            found = run.exchange.handler.parse_instruments([body])
        except FrameError as failure:
            _trouble(run, f"record {run.records}: {url}: {failure}")
        else:
            _hear_phases(run, [one.told for one in found], stamp)
            known: list[Instrument] = list(run.symbols.by_native.values())
            run.symbols = SymbolMap(known + [one for one in found if one.native_symbol not in run.symbols.by_native])


def _trouble(run: Replay, text: str) -> None:
    if len(run.troubles) < 10:
        run.troubles.append(text)
