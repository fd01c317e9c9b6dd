"""`hoga book EXCHANGE SYMBOL`: one book, now, to any depth that is proven."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any

import msgspec
from rich.console import Console

from hoga.cli.ladder import Ladder
from hoga.cli.looks import duration
from hoga.cli.markets import find_book
from hoga.cli.options import add_market, connected_client, settings_of, whole
from hoga.client import BookView, Client
from hoga.domain.errors import BusError
from hoga.exchanges import registry
from hoga.runtime.config import NatsSettings
from hoga.wire.books import levels

DEPTH = 9  # with its heading this fits a terminal of 24 lines
DEPTH_MAX = 100_000


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "book",
        help="print one order book, now",
        description="Prints the current book of one market with exact prices and sizes, best levels in the middle.",
    )
    add_market(parser)
    parser.add_argument(
        "--depth",
        metavar="N",
        type=whole(0, DEPTH_MAX, "a number of levels"),
        default=DEPTH,
        help="levels a side; 0: every proven one (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    registry.get(args.exchange)
    book = asyncio.run(_fetch(settings_of(args).nats, args.exchange, args.symbol, args.depth))
    if args.json:
        sys.stdout.write(msgspec.json.encode(as_json(book, args.depth)).decode() + "\n")
    else:
        show(book, args.depth, Console())
    return 0


def as_json(book: BookView, depth: int = 0) -> dict[str, Any]:
    """The book as plain values; levels as exact decimal text, best first, `depth` a side (0: all)."""
    bids, asks = levels(book.message)
    return {
        "exchange": book.exchange,
        "symbol": book.symbol,
        "native_symbol": book.native_symbol,
        "state": book.state.name,
        "reason": book.reason,
        "phase": book.phase.name,
        "verified": book.verified,
        "sequence": book.sequence,
        "epoch": book.epoch,
        "revision": book.revision,
        "exchange_time_ns": book.exchange_time_ns,
        "receive_time_ns": book.receive_time_ns,
        "publish_time_ns": book.publish_time_ns,
        "bids_known": book.bids_known,
        "asks_known": book.asks_known,
        "proven_levels": book.proven_levels,
        "contract_size": book.message.contract_size,
        "contract_currency": book.contract_currency,
        "missing": book.missing,
        "gaps": book.gap_count,
        "resyncs": book.resync_count,
        "bids": bids[: depth or None],
        "asks": asks[: depth or None],
    }


def show(book: BookView, depth: int, console: Console) -> None:
    """The book for people; as many rows as it has levels."""
    deepest = max(len(book.bids), len(book.asks))
    rows = min(depth or deepest, deepest)
    ladder = Ladder(registry.get(book.exchange).korean_name, exact=True)
    lines = [*ladder.head(book, console.width), *ladder.levels(book, console.width, rows)]
    for line in lines:
        if line.plain.strip():
            console.print(line, no_wrap=True, overflow="ignore", crop=False)
    if not book.live:
        console.print(f"published {duration(book.age_ns(time.time_ns()))} ago", style="dim")


async def _fetch(nats: NatsSettings, exchange: str, typed: str, depth: int) -> BookView:
    async with connected_client(nats, "book") as client:
        book = await find_book(client, exchange, typed)
        shallow = depth == 0 or depth > max(len(book.bids), len(book.asks))
        if shallow and max(book.bids_known, book.asks_known) > max(len(book.bids), len(book.asks)):
            return await _deeper(client, book, depth)
        return book


async def _deeper(client: Client, book: BookView, depth: int) -> BookView:
    """The validator's own book; the published one where nobody answers, which its state then shows."""
    try:
        return await client.full_book(book.exchange, book.symbol, depth)
    except BusError:
        if book.live:
            raise
        return book
