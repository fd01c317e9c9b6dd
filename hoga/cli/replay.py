"""`hoga replay`: a recorded tape through the production path, and what became of every book."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hoga.domain.builder import BookBuilder
from hoga.domain.errors import TapeError
from hoga.domain.rules import BookRules
from hoga.domain.types import GapPolicy, State
from hoga.exchanges import registry
from hoga.runtime.replay import Replay, replay

MAX_DEPTH = 10_000
WIDE = 160
"""Columns where the output is no terminal."""
STATE_STYLES = {State.LIVE: "green", State.GAPPED: "yellow", State.SYNCING: "cyan"}


def add_parser(subparsers: Any) -> None:
    """Adds the command to the `hoga` parser."""
    parser = subparsers.add_parser(
        "replay",
        help="run recorded tapes through the production code",
        description="Runs recorded exchange traffic (JSON lines, gzip or plain) through the same routing, parsing, "
        "sequencing and book code as production, and prints what became of every symbol.",
    )
    parser.add_argument("tapes", nargs="+", type=Path, metavar="TAPE", help="a tape file (*.jsonl.gz or *.jsonl)")
    parser.add_argument("--exchange", metavar="CODE", help="the exchange of the tape, where its addresses do not tell")
    parser.add_argument("--depth", type=_depth, default=0, metavar="N", help="also print the best N levels a side")
    parser.add_argument(
        "--gap-policy",
        choices=[policy.value for policy in GapPolicy],
        default=GapPolicy.CONTINUE.value,
        help="what happens when ids are missing (default: continue)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a tape")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints each tape's outcome. 0 where every tape was read to its end and held a book, 2 otherwise."""
    exchange = registry.get(args.exchange) if args.exchange else None
    rules = BookRules(gap_policy=GapPolicy(args.gap_policy))
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    status = 0
    for path in args.tapes:
        try:
            outcome = replay(path, exchange, rules)
        except TapeError as error:
            sys.stderr.write(f"hoga: {error}\n")
            status = 2
            continue
        if args.json:
            sys.stdout.write(msgspec.json.encode(as_json(outcome, args.depth)).decode() + "\n")
        else:
            show(outcome, args.depth, console)
        if outcome.damage:
            sys.stderr.write(f"hoga: {outcome.damage}\n")
        if outcome.damage or not outcome.shelf.builders:
            status = 2
    return status


def as_json(outcome: Replay, depth: int) -> dict[str, Any]:
    """The outcome as plain values; levels as exact decimal strings, best first."""
    return {
        "tape": str(outcome.path),
        "exchange": outcome.exchange.code,
        "records": outcome.records,
        "other": outcome.other,
        "unknown": outcome.unknown,
        "troubles": outcome.troubles,
        "left_aside": dict(outcome.left_aside),
        "damage": outcome.damage,
        "channels": {outcome.symbol(native): one.name for native, one in outcome.shelf.channels.items()},
        "symbols": {symbol: _symbol_json(builder, depth) for symbol, builder in outcome.books().items()},
    }


def show(outcome: Replay, depth: int, console: Console) -> None:
    """The outcome for people."""
    console.rule(f"{outcome.path.name} · {outcome.exchange.korean_name} · {outcome.records:,} records", align="left")
    if not outcome.shelf.builders:
        console.print("no order book in this tape", style="yellow")
    for reason, frames in outcome.left_aside.items():
        console.print(f"{frames:,} frames were left aside: {reason}", style="yellow", markup=False)
    if outcome.shelf.builders:
        console.print(_summary(outcome))
    for symbol, builder in outcome.books().items():
        if builder.reason:
            console.print(f"{symbol} is {builder.state.name}: {builder.reason}", style="yellow", markup=False)
    for name, books in Counter(channel.name for channel in outcome.shelf.channels.values()).items():
        console.print(f"{books:,} books are of the channel {name!r}, which is not the live one", markup=False)
    if outcome.other or outcome.unknown:
        console.print(f"[dim]{outcome.other:,} records are no book data, {outcome.unknown:,} were not understood[/]")
    for trouble in outcome.troubles:
        console.print(trouble, style="yellow", markup=False)
    if depth:
        for symbol, builder in outcome.books().items():
            console.print(_ladder(symbol, builder, depth))


def _summary(outcome: Replay) -> Table:
    """A line for each book."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("symbol", overflow="fold")
    table.add_column("state", no_wrap=True, min_width=7)
    for name in ("frames", "used", "gaps", "back", "cross", "bad", "last id", "proven"):
        table.add_column(name, justify="right", overflow="fold")
    for symbol, builder in outcome.books().items():
        counters, state = builder.counters, builder.state
        numbers = (counters.frames, counters.applied, counters.gaps)
        table.add_row(
            symbol,
            f"[{STATE_STYLES.get(state, 'red')}]{state.name}[/]",
            *(f"{number:,}" for number in numbers),
            *(str(number) for number in (counters.reversals, counters.crossed, counters.rejected)),
            str(builder.sequence or "–"),
            f"{builder.book.bids_known}×{builder.book.asks_known}",
        )
    return table


def _symbol_json(builder: BookBuilder, depth: int) -> dict[str, Any]:
    counters, book = builder.counters, builder.book
    found: dict[str, Any] = {
        "state": builder.state.name,
        "reason": builder.reason,
        "frames": counters.frames,
        "updates": counters.updates,
        "applied": counters.applied,
        "gaps": counters.gaps,
        "reversals": counters.reversals,
        "crossed": counters.crossed,
        "rejected": counters.rejected,
        "odd_times": counters.odd_times,
        "checksum_ok": counters.checksum_ok,
        "checksum_bad": counters.checksum_bad,
        "stale": counters.stale,
        "repeated": counters.repeated,
        "resyncs": counters.resyncs,
        "orphan_deletes": book.orphan_deletes,
        "last_seq": builder.sequence,
        "bids_known": book.bids_known,
        "asks_known": book.asks_known,
    }
    if depth:
        found["bids"], found["asks"] = book.texts(depth)
    return found


def _ladder(symbol: str, builder: BookBuilder, depth: int) -> Table:
    bids, asks = builder.book.texts(depth)
    table = Table(title=f"{symbol} {builder.state.name}", title_justify="left", box=SIMPLE_HEAD, header_style="bold")
    for name in ("bid size", "bid", "ask", "ask size"):
        table.add_column(name, justify="right")
    for row in range(max(len(bids), len(asks))):
        bid = _cells(bids, row, builder.book.bids_known)
        ask = _cells(asks, row, builder.book.asks_known)
        table.add_row(bid[1], f"[green]{bid[0]}[/]", f"[red]{ask[0]}[/]", ask[1])
    return table


def _cells(levels: list[tuple[str, str]], row: int, known: int) -> tuple[str, str]:
    if row >= len(levels):
        return "", ""
    price, size = levels[row]
    return (price, size) if row < known else (f"{price} ?", size)


def _depth(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= MAX_DEPTH:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of levels from 0 to {MAX_DEPTH}")
    return int(text)
