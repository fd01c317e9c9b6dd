"""`make bench-peers`: the same frames through hoga, cryptofeed, ccxt and the least that plain Python can do.

1. Each of the others runs in an environment of its own under `.peers`, made when it is first needed; where it cannot be
   installed one line says so and its row stays empty.
2. Everybody reads the same frames in the same run, one after the other, round after round; the best round counts, and
   the ratios are what to look at: they are of one machine in one state.
3. Ours ends in the bytes of a top-20 message of a checked book; theirs in a callback with their book, which nobody
   reads, or whose best levels are read after every frame.

Frames are those of `benchmarks.core`, of Binance: made here, or from a file. The table is printed and written to
`benchmarks/results/peers.md`.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from benchmarks.core import NOT_BUILT, arguments, feeds, measure
from benchmarks.core_frames import Feed
from hoga.domain import books
from hoga.domain.errors import HogaError

READERS = Path(__file__).parent / "readers"
CACHE = Path(__file__).parents[1] / ".peers"
RESULT = Path(__file__).parent / "results" / "peers.md"
PEERS = {"cryptofeed": "2.4.1", "ccxt": "4.5.90"}
EXCHANGES = ("binance_future", "binance_spot")
ROUNDS = 3
Figures = dict[str, Any]


def python_of(name: str, version: str) -> Path | None:
    """The interpreter of a peer's environment, made where there is none; None, and a line, where that fails."""
    home = CACHE / f"{name}-{version}"
    python, ready = home / "bin" / "python", home / ".ready"
    if ready.exists():
        return python
    print(f"installing {name} {version} into {home}", file=sys.stderr)
    try:
        venv.create(home, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", f"{name}=={version}"]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        print(f"{name} {version} cannot be installed here: {lines[-1] if lines else error}", file=sys.stderr)
        return None
    ready.touch()
    return python


def read(python: Path, reader: str, feed: Feed, files: list[str], start: int) -> Figures | None:
    """One round of a reader; None, and a line, where it fails."""
    command = [str(python), str(READERS / reader), *files, str(start), "2", feed.exchange.code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{reader} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}", file=sys.stderr)
        return None
    found: Figures = json.loads(done.stdout)
    return found


def best(rounds: list[Figures | None]) -> Figures | None:
    """The least of each time; of the books what the worst round had right."""
    found = [one for one in rounds if one is not None]
    if not found:
        return None
    least = {key: min(one[key] for one in found if one[key] is not None) for key in ("us", "read_us", "books")}
    return found[0] | least


def compare(feed: Feed, repeats: int) -> dict[str, Figures | None]:
    readers: dict[str, tuple[str, Path | None]] = {"plain Python, nothing checked": ("floor.py", Path(sys.executable))}
    for name, version in PEERS.items():
        readers[f"{name} {version}"] = (f"{name}_reader.py", python_of(name, version))
    ours: list[Figures] = []
    theirs: dict[str, list[Figures | None]] = {name: [] for name in readers}
    with tempfile.TemporaryDirectory() as folder:
        frames, snapshots = Path(folder, "frames"), Path(folder, "snapshots")
        frames.write_bytes(b"\n".join(data for data, _ in feed.frames))
        snapshots.write_text(json.dumps({native: json.loads(body) for native, body in feed.snapshots.items()}))
        for _ in range(ROUNDS):
            ours.append(measure(feed, repeats))
            start = len(feed.frames) - ours[0]["frames"]
            for name, (reader, python) in readers.items():
                files = [str(frames), str(snapshots)]
                theirs[name].append(read(python, reader, feed, files, start) if python is not None else None)
    found: dict[str, Figures | None] = {}
    for word in ("native", "python"):
        live, of = min(one["live"] for one in ours), ours[0]["books"]
        times = [one[word] for one in ours if one[word] is not None]
        us = min(times, default=None)
        found[f"hoga, {word} book"] = {"us": us, "read_us": us, "books": live, "of": of} if times else None
    return found | {name: best(rounds) for name, rounds in theirs.items()}


def table(feed: Feed, found: dict[str, Figures | None]) -> str:
    ours = next(one for one in found.values() if one is not None)
    size = sum(len(data) for data, _ in feed.frames) // len(feed.frames)
    lines = [
        f"| {feed.exchange.name}, {size} bytes a frame | µs a frame | ratio | µs, book read | ratio | books right |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, one in found.items():
        if one is None:
            lines.append(f"| {name} |  |  |  |  |  |")
            continue
        figures = (f"{one[key]:.1f} | {one[key] / ours[key]:.2f}" for key in ("us", "read_us"))
        lines.append(f"| {name} | {' | '.join(figures)} | {one['books']} of {one['of']} |")
    return "\n".join(lines)


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.set_defaults(repeats=2)
    args = parser.parse_args()
    if args.exchange not in ("", *EXCHANGES) or (args.frames and not args.exchange):
        parser.error(f"the others are read with frames of {' or '.join(EXCHANGES)}")
    if "native" not in books.CLASSES:
        print(NOT_BUILT, file=sys.stderr)
    try:
        chosen = [feed for code in EXCHANGES if args.exchange in ("", code) for feed in feeds(args, code)]
    except (OSError, ValueError, HogaError) as error:
        parser.error(str(error))
    results = {feed.exchange.code: compare(feed, args.repeats) for feed in chosen}
    if args.json:
        print(json.dumps(results))
        return 0
    tables = "\n\n".join(table(feed, results[feed.exchange.code]) for feed in chosen)
    print(tables)
    if args.frames is None:
        head = f"{platform.machine()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
        RESULT.write_text(f"# Beside others\n\n`make bench-peers` on {head}. {WHAT}\n\n{tables}\n", "utf-8")
    return 0


WHAT = (
    "CPU time; the same frames in the same run, best of several rounds; ratios are to the first row with a figure. "
    "Ours ends in the bytes of a top-20 message of a checked book. Theirs ends in their callback: *book read* is with "
    "the best levels read after every frame, as a consumer must. The plain row decodes and writes two dicts, no more."
)

if __name__ == "__main__":
    sys.exit(main())
