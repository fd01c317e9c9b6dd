"""The book alone, native and Python side by side in one run: what one update costs, however it comes in.

    python -m benchmarks.book                 # a table; --json for figures, --depth 5000 for other books

1. Updates are those of a busy futures market: 20 changes near the best price, one in four deletes, of books that begin
   with `--depth` levels a side. All ways take the same updates and must end in the same book.
2. `texts`: lists of decimal texts, as an exchange's parser hands them over. `raw`: the bytes of the frame's levels.
3. The ways take turns; the median of their rounds counts. CPU time, microseconds an update.
4. `bytes`: what a book holds at the end (of a Python book the lists and their integers).

Exit code 1 where the books differ.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from hoga.domain.book import PythonBook
from hoga.domain.books import CLASSES, Book
from hoga.domain.level_shape import rows
from hoga.domain.types import Level

CHANGES = 20
TICK, STEP = 0.1, 0.001


class Delta(NamedTuple):
    bids: list[Level]
    asks: list[Level]
    raw_bids: bytes
    raw_asks: bytes


def deltas(depth: int, count: int, seed: int) -> tuple[Delta, list[Delta]]:
    """(snapshot, updates): the same for every way."""
    dice = random.Random(seed)
    middle = 600_000

    def level(price: int, size: int) -> Level:
        return f"{price * TICK:.1f}", f"{size * STEP:.3f}"

    def delta(bids: list[Level], asks: list[Level]) -> Delta:
        return Delta(bids, asks, *(json.dumps(side, separators=(",", ":")).encode() for side in (bids, asks)))

    first = delta(
        [level(middle - 1 - n, dice.randrange(1, 90_000)) for n in range(depth)],
        [level(middle + 1 + n, dice.randrange(1, 90_000)) for n in range(depth)],
    )
    updates = []
    for _ in range(count):
        away = sorted(min(int(dice.expovariate(0.02)), depth) + 1 for _ in range(CHANGES))
        sizes = [dice.randrange(1, 90_000) if dice.random() > 0.25 else 0 for _ in away]
        levels = list(zip(away, sizes, strict=True))
        updates.append(
            delta(
                [level(middle - n, size) for n, size in levels[::2]],
                [level(middle + n, size) for n, size in levels[1::2]],
            )
        )
    return first, updates


def by_texts(book: Book, updates: list[Delta]) -> None:
    for one in updates:
        book.apply(one.bids, one.asks)


def by_bytes(book: Book, updates: list[Delta]) -> None:
    import hoga_native

    shape, apply = hoga_native.Shape.make(**rows()._asdict()), book.apply_raw  # type: ignore[attr-defined]
    for one in updates:
        apply(shape, one.raw_bids, one.raw_asks, 20)


def top(book: Book, updates: list[Delta]) -> None:
    for _ in updates:
        book.top_bids(20), book.top_asks(20)


def message(book: Book, updates: list[Delta]) -> None:
    head = b"\x0a\x0ebinance_future\x12\x08BTC-USDT"
    for revision, _ in enumerate(updates, 1):
        book.message(head, revision, revision, 1, 2, 3, 20)  # type: ignore[attr-defined]


Way = tuple[str, str, Callable[[Book, list[Delta]], None]]
WAYS: list[Way] = [("python", "apply texts", by_texts), ("python", "top 20", top)]
NATIVE: list[Way] = [
    ("native", "apply texts", by_texts),
    ("native", "apply raw", by_bytes),
    ("native", "top 20", top),
    ("native", "message of 20", message),
]


def measure(depth: int, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Class of book -> what was done -> microseconds an update."""
    first, updates = deltas(depth, count, seed=7)
    ways = WAYS + (NATIVE if "native" in CLASSES else [])
    spent: dict[tuple[str, str], list[float]] = {(word, name): [] for word, name, _ in ways}
    ends: list[Book] = []
    for _ in range(rounds):
        for word, name, act in ways:
            book = CLASSES[word]()
            book.replace(first.bids, first.asks, depth)
            began = time.process_time_ns()
            act(book, updates)
            spent[word, name].append((time.process_time_ns() - began) / 1000 / count)
            if name.startswith("apply"):
                ends.append(book)
    if not all(ends[0].equals(book) for book in ends):
        raise SystemExit("the books differ")
    found: dict[str, dict[str, float]] = {}
    for (word, name), times in spent.items():
        found.setdefault(word, {})[name] = round(statistics.median(times), 2)
    for word in found:
        found[word]["bytes"] = _bytes(next(book for book in ends if isinstance(book, CLASSES[word])))  # type: ignore[arg-type]
    return found


def _bytes(book: Book) -> int:
    if not isinstance(book, PythonBook):
        return sys.getsizeof(book)
    lists = [column for side in (book.bids, book.asks) for column in (side.prices, side.sizes)]
    return sum(sys.getsizeof(column) + sum(map(sys.getsizeof, column)) for column in lists)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=1000, help="levels a side at the beginning (default 1000)")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    found = measure(args.depth, args.updates, args.rounds)
    if args.json:
        print(json.dumps(found))
        return 0
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))
    print(f"{'us an update':16}" + "".join(f"{word:>12}" for word in found))
    for name in names:
        print(f"{name:16}" + "".join(f"{found[word].get(name, '-'):>12}" for word in found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
