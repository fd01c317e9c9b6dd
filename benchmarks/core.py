"""CPU per frame of the core: frame bytes in, the bytes of a top-20 message out.

    python -m benchmarks.core --json                                   # own frames, every exchange
    python -m benchmarks.core --exchange binance_future --frames F --snapshots S --json

1. The path is production's (`core_path`): route, parse, book builder, message; no bus, no socket.
2. Each pass begins with empty books; frames are counted from the one that finds every book LIVE. Snapshots are given
   when a book asks, with the clock stopped.
3. The best of several passes counts: what is slower was disturbed. The book classes take turns.
4. Both classes must come out with the same messages.

Figures are microseconds of CPU; `live` and `books` are those at the end, `calls` the Python calls of the usual frame.
Exit code 1 where the books differ.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from pathlib import Path as File

from benchmarks.core_frames import Feed, made, read
from benchmarks.core_path import Path
from hoga.domain import books
from hoga.domain.errors import HogaError
from hoga.exchanges.registry import EXCHANGES
from hoga.exchanges.registry import get as exchange_of
from hoga.wire import pb

TICK_NS = 1_000_000_000
NOT_BUILT = "the native book is not built here (make builds it where there is a C++ compiler)"


class Pass:
    """One run over a feed with one class of book."""

    def __init__(self, feed: Feed, start: int) -> None:
        """`start`: the first frame that is counted."""
        self.path = path = Path(feed.exchange, feed.snapshots)
        self.began = 0
        """The first frame that found every book LIVE."""
        frames, clock = feed.frames, time.process_time_ns
        due_ns, spent, since = frames[0][1].mono_ns, 0, 0
        for index, (data, stamp) in enumerate(frames):
            if path.asking or stamp.mono_ns >= due_ns or index == start:
                spent += clock() - since if index > start else 0
                due_ns = stamp.mono_ns + TICK_NS
                path.pass_time(stamp)
                path.answer(stamp)
                if not self.began and 0 < path.count() == path.live():
                    self.began = index
                since = clock()
            path.frame(data, stamp)
        spent += clock() - since
        path.answer(frames[-1][1])
        self.us = spent / 1000 / (len(frames) - start)


def measure(feed: Feed, repeats: int) -> dict[str, float | int | None]:
    """See the module; `frames` is how many were counted."""
    words = [word for word in ("native", "python") if word in books.CLASSES]
    first = {word: _one(feed, word, 0) for word in words}
    start = min(max(one.began for one in first.values()), len(feed.frames) // 3)
    best = dict.fromkeys(words, float("inf"))
    for _ in range(repeats):
        for word in words:
            best[word] = min(best[word], _one(feed, word, start).us)
    paths = [one.path for one in first.values()]
    if any(said(path) != said(paths[0]) for path in paths):
        raise SystemExit(f"{feed.exchange.code}: the native and the Python book come to different messages")
    return {
        "native": round(best["native"], 2) if "native" in best else None,
        "python": round(best["python"], 2),
        "live": min(path.live() for path in paths),
        "books": paths[0].count(),
        "frames": len(feed.frames) - start,
        "calls": calls(feed, start),
        "bytes": sum(len(data) for data, _ in feed.frames[start:]) // (len(feed.frames) - start),
    }


def said(path: Path) -> dict[str, pb.OrderBook]:
    """What the newest messages mean: the same may be written in other bytes."""
    return {native: pb.OrderBook.FromString(payload) for native, payload in path.messages.items()}


def calls(feed: Feed, start: int) -> int:
    """Python functions that the middle one of the counted frames goes through, with the class of book in use."""
    path, counts, count = Path(feed.exchange, feed.snapshots), list[int](), 0

    def called(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event == "call"

    for index, (data, stamp) in enumerate(feed.frames):
        if path.asking:
            path.answer(stamp)
        if index < start:
            path.frame(data, stamp)
            continue
        count = 0
        sys.setprofile(called)
        path.frame(data, stamp)
        sys.setprofile(None)
        counts.append(count - 1)  # `frame` itself is the benchmark's
    return sorted(counts)[len(counts) // 2]


def _one(feed: Feed, word: str, start: int) -> Pass:
    books.use(word)
    gc.collect()
    return Pass(feed, start)


def feeds(args: argparse.Namespace, code: str) -> list[Feed]:
    """What is to be measured: a recording of one exchange, or frames that are made; of all where `code` is empty."""
    if args.frames is not None:
        return [read(exchange_of(code), args.frames, args.snapshots)]
    return [made(exchange) for one, exchange in EXCHANGES.items() if code in ("", one)]


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--frames", type=File, help="one frame a line, as received; needs --exchange")
    parser.add_argument("--snapshots", type=File, help="a JSON object: native id -> REST body")
    parser.add_argument("--exchange", default="", choices=["", *EXCHANGES], help="only this one")
    parser.add_argument("--repeats", type=int, default=5, help="passes of each, of which the best counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main() -> int:
    parser = arguments(__doc__ or "")
    args = parser.parse_args()
    if args.frames is not None and not args.exchange:
        parser.error("--frames needs --exchange: a frame does not say whose it is")
    if "native" not in books.CLASSES:
        print(NOT_BUILT, file=sys.stderr)
    found = {}
    try:
        for feed in feeds(args, args.exchange):
            if not feed.frames:
                parser.error(f"{args.frames} holds no frame")
            found[feed.exchange.code] = measure(feed, args.repeats)
            if not args.json:
                print(f"{feed.exchange.code:16} " + "  ".join(f"{k} {v}" for k, v in found[feed.exchange.code].items()))
    except (OSError, ValueError, HogaError) as error:
        parser.error(str(error))
    if args.json:
        print(json.dumps(found[args.exchange] if args.frames is not None else found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
