"""The pure decoders of every exchange: frames, REST bodies, addresses."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from random import Random

from hoga.domain.errors import FrameError
from hoga.domain.rates import amount
from hoga.domain.symbols import SymbolMap
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RestMatch
from tests.fuzz import promises
from tests.fuzz.inputs import seeds
from tests.fuzz.inputs.mutate import edit_bytes
from tests.fuzz.target import Target, promise


def targets() -> Iterator[Target]:
    for code, exchange in registry.EXCHANGES.items():
        yield Target(f"frame:{code}", partial(frame, exchange), partial(_frames, code), suite_runs=600)
        yield Target(f"rest:{code}", partial(rest, exchange), partial(_bodies, code), suite_runs=400)
        yield Target(f"url:{code}", partial(url, exchange), partial(_urls, code), mutator=_edit_url, suite_runs=200)


def frame(exchange: Exchange, data: bytes) -> Hashable:
    """route and link_seq never raise; parse and parse_phases may refuse."""
    strategy, handler = exchange.strategy, exchange.handler
    routed = strategy.route(data)
    promises.route(routed)
    number = handler.link_seq(data)
    promise(number is None or 0 <= number <= promises.INT64_MAX, f"number {number!r} of a connection")
    try:
        for told in handler.parse_phases(data):
            promises.encodable(told.native_symbol)
            promise(0 <= told.until_ns <= promises.INT64_MAX, f"until {told.until_ns!r}")
    except FrameError as error:
        promises.refused(error)
    try:
        updates = handler.parse(data)
    except FrameError as error:
        return routed.kind, promises.refused(error), number is None
    promise(isinstance(updates, list), f"no list: {updates!r}")
    for update in updates:
        promises.update(exchange, update)
    return routed.kind, promises.sort_of(updates), len(updates).bit_length(), number is None


def rest(exchange: Exchange, data: bytes) -> Hashable:
    """rest_error never raises; the lists and the snapshot may refuse."""
    strategy, handler = exchange.strategy, exchange.handler
    told = strategy.rest_error(data)
    if told is not None:
        promises.short(told)
    native = seeds.of(exchange.code).samples.native
    outcomes: list[Hashable] = [told is None]
    try:
        snapshot = handler.parse_snapshot(native, data)
        promises.update(exchange, snapshot)
        promise(snapshot.snapshot and snapshot.native_symbol == native, "a snapshot of something else")
        outcomes.append(promises.sort_of([snapshot]))
    except FrameError as error:
        outcomes.append(promises.refused(error))
    try:
        instruments = handler.parse_instruments([data])
        for instrument in instruments:
            promises.instrument(instrument)
        outcomes.append(min(len(SymbolMap(instruments)), 3))
    except FrameError as error:
        outcomes.append(promises.refused(error))
    try:
        for turnover in handler.parse_tickers([data]):
            promises.turnover(turnover)
            outcomes.append((amount(turnover.last_price) is None, amount(turnover.quote_turnover) is None))
    except FrameError as error:
        outcomes.append(promises.refused(error))
    return tuple(outcomes[:6])


def url(exchange: Exchange, data: bytes) -> Hashable:
    """Addresses of recordings: nothing raises."""
    text = data.decode("utf-8", "replace")
    detected = registry.detect(text)
    fits = registry.fits(exchange, text)
    match = exchange.strategy.match_rest(text)
    if match is not None:
        promise(isinstance(match, RestMatch) and match.limit >= 0, f"{match!r}")
        promises.encodable(match.native_symbol)
    return detected and detected.code, fits, match and (match.kind, bool(match.native_symbol), match.limit > 0)


_URL_PIECES = (
    b"[",
    b"]",
    b"//",
    b"%ff",
    b"%00",
    b"?",
    b"&",
    b"=",
    b"#",
    b":99999",
    b":x",
    b"@",
    b",",
    b";",
    b"\xe2\x84\x80",
    b"limit=",
)


def _edit_url(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    if chance.random() < 0.5:
        place = chance.randrange(len(data) + 1)
        return data[:place] + chance.choice(_URL_PIECES) + data[place + chance.choice((0, 0, 1, 3)) :]
    return edit_bytes(data, chance, pool)


def _frames(code: str) -> list[bytes]:
    return seeds.of(code).frames


def _bodies(code: str) -> list[bytes]:
    return seeds.of(code).bodies


def _urls(code: str) -> list[bytes]:
    return [address.encode() for address in seeds.of(code).urls]
