"""What an input costs grows with its size, not with the square of it: tenfold input, at most fortyfold processor time,
and memory by the byte. Ratios, so that a slow or busy machine makes no difference.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from hoga.client.book import BookView
from hoga.domain.errors import FrameError
from hoga.domain.rules import BookRules
from hoga.domain.types import Stamp, State
from hoga.exchanges import registry
from hoga.exchanges.base import Exchange, RouteKind
from hoga.wire import books, pb
from tests.fuzz.inputs import growth, seeds
from tests.support.shelf import OpenShelf, open_link

SMALL, LARGE = 8_000, 80_000
TIMES = 40
NOISE_S = 0.001
"""Less than this is not told apart."""
MEASURED_BYTES = 16_000
BYTES_PER_BYTE = 100
"""Of memory at the peak, for each byte of an input; and a constant."""
CONSTANT_BYTES = 1 << 20

Work = Callable[[bytes], object]
each = pytest.mark.parametrize("exchange", [pytest.param(one, id=code) for code, one in registry.EXCHANGES.items()])


def grows_no_faster_than_it_should(work: Work, family: growth.Family) -> str:
    """What is wrong; empty where nothing is."""
    small, large = family(SMALL), family(LARGE)
    spent_s = _cpu_s(work, large, 1)
    if spent_s > TIMES * NOISE_S:
        least_s = max(_cpu_s(work, small, 3), NOISE_S)
        spent_s = min(spent_s, _cpu_s(work, large, 3))
        if spent_s > TIMES * least_s:
            return f"{len(small)} bytes cost {least_s * 1e3:.1f} ms, {len(large)} bytes {spent_s * 1e3:.1f} ms"
    measured = family(MEASURED_BYTES)
    peak = _peak(work, measured)
    too_much = peak > CONSTANT_BYTES + BYTES_PER_BYTE * len(measured)
    return f"{len(measured)} bytes cost {peak} bytes of memory" if too_much else ""


@each
def test_frames(exchange: Exchange) -> None:
    def work(frame: bytes) -> None:
        exchange.strategy.route(frame)
        exchange.handler.link_seq(frame)
        _parsed(exchange, frame)

    assert not _wrong(work, _frame_families(exchange))


@each
def test_rest_bodies(exchange: Exchange) -> None:
    samples = seeds.of(exchange.code).samples

    def work(body: bytes) -> None:
        exchange.strategy.rest_error(body)
        for read in (
            lambda: exchange.handler.parse_snapshot(samples.native, body),
            lambda: exchange.handler.parse_instruments([body]),
            lambda: exchange.handler.parse_tickers([body]),
        ):
            try:
                read()
            except FrameError:
                continue

    bodies = [samples.snapshot, samples.instruments[0], samples.tickers[0]]
    families = [(f"{body[:30]!r} {name}", family) for body in bodies for name, family in growth.families(body)]
    assert not _wrong(work, iter(families))


@each
def test_books(exchange: Exchange) -> None:
    """A frame that grew comes in its turn into a book that stands; then the book is published whole."""
    native, events = seeds.of(exchange.code).natives[0], _until_it_stands(exchange)
    before, (_, newest) = events[:-1], events[-1]

    def work(frame: bytes) -> None:
        message = pb.OrderBook()
        books.fill_book(message, _stand(exchange, native, [*before, ("recv", frame)]).builder(native), 0)
        books.levels(message)

    assert _stand(exchange, native, events).builder(native).state is State.LIVE, "the frame comes into no book"
    grown = growth.families(newest)
    assert not _wrong(work, ((name, family) for name, family in grown if name.startswith("elements")))


def test_books_as_a_consumer_reads_them() -> None:
    def family(size: int) -> bytes:
        levels = range(1, size // 8)
        return pb.OrderBook(
            state=pb.BookState.BOOK_STATE_LIVE,
            bid_price=reversed(levels),
            bid_size=levels,
            ask_price=levels,
            ask_size=levels,
        ).SerializeToString()

    def work(payload: bytes) -> None:
        view = BookView.decode(payload)
        _ = view.bids, view.asks, view.to_floats(), view.mid

    assert not _wrong(work, iter([("levels", family)]))


def test_what_costs_the_square_of_its_size_is_noticed() -> None:
    def square(data: bytes) -> int:
        return sum(1 for _ in range((len(data) // 40) ** 2))

    def hoard(data: bytes) -> int:
        return len(bytes(300 * len(data)))

    assert "ms" in grows_no_faster_than_it_should(square, bytes)
    assert "of memory" in grows_no_faster_than_it_should(hoard, bytes)
    assert not grows_no_faster_than_it_should(len, bytes)


def _until_it_stands(exchange: Exchange) -> list[tuple[str, bytes]]:
    """What the simulated exchange sends until the book of its first market stands, and the next frame of it."""
    seed = seeds.of(exchange.code)
    native = seed.natives[0]
    stream = [one for one in seed.stream if one[0] in ("recv", seeds.snapshot_kind(native))]
    places = [place for place, (kind, data) in enumerate(stream) if kind == "recv" and _is_book(exchange, native, data)]
    snapshots = [place for place, (kind, _) in enumerate(stream) if kind != "recv"]
    joined = [place for place in places if not snapshots or place > snapshots[0] + 12]
    return stream[: joined[5] + 1]


def _stand(exchange: Exchange, native: str, events: list[tuple[str, bytes]]) -> OpenShelf:
    shelf = OpenShelf(exchange, BookRules())
    open_link(shelf.builder(native), "A", Stamp(10**12, 10**18))
    for number, (kind, data) in enumerate(events):
        stamp = Stamp(10**12 + number * 10**7, 10**18 + number * 10**7)
        if kind != "recv":
            shelf.snapshot(native, native, data, exchange.traits.snapshot_depth, stamp)
        elif shelf.connection(data, "A", stamp) and _is_book(exchange, native, data):
            shelf.frame(native, native, data, "A", stamp)
    return shelf


def _is_book(exchange: Exchange, native: str, frame: bytes) -> bool:
    route = exchange.strategy.route(frame)
    return route.kind is RouteKind.BOOK and native in route.symbols


def _frame_families(exchange: Exchange) -> Iterator[tuple[str, growth.Family]]:
    for frame in seeds.of(exchange.code).samples.books[:2]:
        for name, family in growth.families(frame):
            yield f"{name} of {frame[:40]!r}", family
    yield from growth.junk()


def _wrong(work: Work, families: Iterator[tuple[str, growth.Family]]) -> list[str]:
    found = [(name, grows_no_faster_than_it_should(work, family)) for name, family in families]
    assert found, "nothing was measured"
    return [f"{name}: {what}" for name, what in found if what]


def _parsed(exchange: Exchange, frame: bytes) -> bool:
    try:
        return bool(exchange.handler.parse(frame))
    except FrameError:
        return False


def _cpu_s(work: Work, data: bytes, times: int) -> float:
    best_s = float("inf")
    for _ in range(times):
        began_s = time.process_time()
        work(data)
        best_s = min(best_s, time.process_time() - began_s)
    return best_s


def _peak(work: Work, data: bytes) -> int:
    tracemalloc.start()
    try:
        work(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
