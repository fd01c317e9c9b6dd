"""Replays a tape through the very path of production: route, parse, stream, book.

In-process and without a clock: the recorded times are the time. Snapshots come from the tape where they were
recorded; one that the tape lacks stays wanted, and its book stays what the evidence makes it. The links are those of
the recording (see `recorded_links`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hoga.domain.actions import FactKind, Note, RequestSnapshot
from hoga.domain.builder import BookBuilder
from hoga.domain.errors import FrameError, TapeError, snippet
from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.domain.phases import MarketPhases, Told
from hoga.domain.rules import BookRules
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Instrument, Stamp
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RestKind, RouteKind
from hoga.runtime.books import BookShelf
from hoga.runtime.recorded_links import News, RecordedLinks
from hoga.wire import tape

TICK_NS = 250_000_000
LONGEST_PAUSE_NS = 3600 * 1_000_000_000
"""Of a longer one only so much passes: nothing is decided later than that."""


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
    links: RecordedLinks = field(default_factory=RecordedLinks)
    ticked_ns: int = 0
    """The recorded time to which time has passed for the books."""
    foreign: set[str] = field(default_factory=set)
    """Connections to another exchange: a recording of two may use one symbol for two markets."""
    early: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    """Native id -> the newest snapshot (and its limit) that came before the book asked for it, or before its stream."""
    phases: MarketPhases = field(default_factory=MarketPhases)
    """As lists and messages in the recording told them."""
    damage: str = ""
    """Why the tape could not be read to its end; empty where it could."""

    def books(self) -> dict[str, BookBuilder]:
        """The builders by canonical symbol (by native id where two would share one), in order of appearance."""
        found: dict[str, BookBuilder] = {}
        for native, builder in self.shelf.builders.items():
            symbol = self.symbol(native)
            found[native if symbol in found else symbol] = builder
        return found

    def symbol(self, native: str) -> str:
        instrument = self.symbols.by_native.get(native)
        return instrument.symbol if instrument else self.exchange.handler.normalize_symbol(native)


def replay(path: Path, exchange: Exchange | None = None, rules: BookRules | None = None) -> Replay:
    """Runs a whole tape; TapeError where it cannot be read or belongs to no known exchange."""
    run: Replay | None = None
    candidate: Exchange | None = None
    waiting: list[tape.Record] = []
    rules = rules or BookRules()
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
    for native in [native for native in run.early if native not in run.shelf.builders]:
        _tell(run, iter([(native, LinkEvent(LinkEventKind.OPENED, "REST"))]), Stamp(run.ticked_ns, run.ticked_ns))
        _answer(run, native, Stamp(run.ticked_ns, run.ticked_ns))
    _tell(run, run.links.ended(), Stamp(run.ticked_ns, run.ticked_ns))
    return run


def _settled(record: tape.Record, candidate: Exchange | None) -> Exchange | None:
    """The exchange of a tape as soon as it is certain: a websocket says more than a REST call, which may have been
    made to a sibling."""
    found = registry.detect(record.url) if record.url else None
    if record.kind == "connect":
        return found
    return found or candidate if record.kind == "recv" else None


def _begin(path: Path, exchange: Exchange, rules: BookRules, waiting: list[tape.Record]) -> Replay:
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
    stamp = Stamp(record.ts_ns, record.ts_ns)
    _pass_time(run, record.ts_ns)
    if record.kind == "connect":
        _tell(run, run.links.connected(record.conn, record.ts_ns), stamp)
    if record.data is None:
        return
    if record.conn in run.foreign:
        run.other += 1
        return
    if record.kind == "http" and record.url:
        _play_rest(run, record.url, record.data.encode(), stamp)
    elif record.kind == "recv":
        _play_frame(run, record.conn, record.data.encode(), stamp)


def _play_frame(run: Replay, conn: str, frame: bytes, stamp: Stamp) -> None:
    route = run.exchange.strategy.route(frame)
    link = run.links.link(conn, stamp.mono_ns)
    if not run.shelf.connection(frame, link, stamp):
        _trouble(run, f"record {run.records}: a number of the connection from the past")
    elif route.kind is RouteKind.BOOK:
        for native in route.symbols:
            if native not in run.shelf.builders:
                _open(run, native, frame)
                _take_phase(run, native, stamp)
            _tell(run, run.links.carries(conn, native), stamp)
            run.shelf.frame(native, native, frame, link, stamp)
            _decided(run, native, stamp)
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
    for native in run.shelf.builders:
        _take_phase(run, native, stamp)


def _take_phase(run: Replay, native: str, stamp: Stamp) -> None:
    told = run.phases.of(native, stamp.wall_ns)
    run.shelf.builder(native).halt(told.reason, matching=told.phase.matches)


def _pass_time(run: Replay, now_ns: int) -> None:
    """Lets the recorded time pass for the books, a little at a time."""
    run.ticked_ns = max(run.ticked_ns or now_ns, now_ns - LONGEST_PAUSE_NS)
    while run.ticked_ns + TICK_NS <= now_ns:
        run.ticked_ns += TICK_NS
        run.shelf.tick(Stamp(run.ticked_ns, run.ticked_ns))
        for native, _ in run.shelf.decided():
            _decided(run, native, Stamp(run.ticked_ns, run.ticked_ns))


def _decided(run: Replay, native: str, stamp: Stamp) -> None:
    """What a book asks for may have been recorded before."""
    for action in run.shelf.builder(native).drain():
        if isinstance(action, Note) and action.kind is FactKind.REJECTED:
            _trouble(run, f"record {run.records}: {native}: {action.detail}")
        elif isinstance(action, RequestSnapshot):
            _answer(run, native, stamp)


def _answer(run: Replay, native: str, stamp: Stamp) -> None:
    if native in run.early:
        body, limit = run.early.pop(native)
        run.shelf.snapshot(native, native, body, limit, stamp)


def _tell(run: Replay, news: News, stamp: Stamp) -> None:
    for native, event in news:
        run.shelf.builder(native).on_link(event, stamp)


def _open(run: Replay, native: str, frame: bytes = b"") -> None:
    """Makes the book of a symbol, of the channel that its first frame is of."""
    channel = None
    with suppress(FrameError):  # the builder says so
        updates = [one for one in run.exchange.handler.parse(frame) if one.native_symbol == native] if frame else []
        channel = run.exchange.channel_of(updates[0]) if updates else None
    run.shelf.builder(native, channel)


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
        builder = run.shelf.builders.get(native)
        if builder is not None and builder.wanting:
            run.shelf.snapshot(native, native, body, match.limit, stamp)
        else:
            run.early[native] = body, match.limit
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
