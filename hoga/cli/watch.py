"""`hoga watch EXCHANGE SYMBOL`: a live order book in the terminal; lines where there is no terminal."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from hoga.cli.book import as_json
from hoga.cli.ladder import Ladder
from hoga.cli.looks import clock, duration, rate
from hoga.cli.markets import find_book
from hoga.cli.options import add_market, connected_client, settings_of, whole
from hoga.cli.screen import Screen, full_screen, interactive
from hoga.client import BookStream, BookView
from hoga.exchanges import registry
from hoga.runtime.config import NatsSettings

RATE_WINDOW_S = 3.0
DEPTH_MAX = 1000
_FRAME_LINES = 7
"""Of the screen, those that are no level: head, reason, column names, spread, figures, keys."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "watch",
        help="a live order book in the terminal",
        description="Shows one order book live, with bars of size and the state of the book. q leaves. Without a "
        "terminal, or with --json, prints one line for each change.",
    )
    add_market(parser)
    parser.add_argument(
        "--depth",
        metavar="N",
        type=whole(1, DEPTH_MAX, "a number of levels"),
        help="levels a side (default: what fits; 1 in lines)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for each change")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    registry.get(args.exchange)
    nats = settings_of(args).nats
    console = Console()
    if args.json or not interactive(console):
        asyncio.run(_print_lines(nats, args))
    else:
        asyncio.run(_show(nats, args, console))
    return 0


async def _show(nats: NatsSettings, args: argparse.Namespace, console: Console) -> None:
    async with connected_client(nats, "watch") as client:
        first = await find_book(client, args.exchange, args.symbol)
        async with client.books(args.exchange, first.symbol) as books, full_screen(console) as screen:
            picture = Picture(books, first, args.depth)
            following = asyncio.create_task(picture.follow(screen))
            try:
                await screen.run(picture.draw)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)


async def _print_lines(nats: NatsSettings, args: argparse.Namespace) -> None:
    async with connected_client(nats, "watch") as client:
        symbol = (await find_book(client, args.exchange, args.symbol)).symbol
        depth = args.depth or (0 if args.json else 1)
        async for book in client.books(args.exchange, symbol):
            if args.json:
                fields = as_json(book, depth) | {"lost": book.lost, "skipped": book.skipped}
                line = msgspec.json.encode(fields).decode()
            else:
                line = as_line(book, depth)
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def as_line(book: BookView, depth: int) -> str:
    """`09:30:00.123 LIVE 61500.1 × 0.4 | 61500.2 × 1.2`, more levels outwards; the reason where it is not LIVE."""
    bids = "  ".join(f"{level.price:f} × {level.size:f}" for level in reversed(book.bids[:depth]))
    asks = "  ".join(f"{level.price:f} × {level.size:f}" for level in book.asks[:depth])
    why = f"  ({book.reason})" if book.reason else ""
    return f"{clock(book.publish_time_ns)} {book.state.name} {bids or '-'} | {asks or '-'}{why}"


class Picture:
    """The newest book of one market and what is worth saying about how it arrives."""

    def __init__(self, books: BookStream, first: BookView, depth: int | None) -> None:
        self._books = books
        self._book = first
        self._depth = depth
        exchange = registry.get(first.exchange)
        self._ladder = Ladder(exchange.korean_name)
        self._moments: deque[tuple[float, int]] = deque()
        self._published = 0

    async def follow(self, screen: Screen) -> None:
        """Takes every book as it comes."""
        async for book in self._books:
            if book.epoch == self._book.epoch:
                self._published += max(0, book.revision - self._book.revision)
            self._book = book
            self._moments.append((time.monotonic(), self._published))
            screen.changed()

    def draw(self, screen: Screen) -> list[Text]:
        width, height = screen.width, screen.height
        rows = max(1, (height - _FRAME_LINES) // 2)
        rows = min(rows, self._depth or rows)
        head = self._ladder.head(self._book, width)
        lines = [*head, *([Text()] * (3 - len(head))), *self._ladder.levels(self._book, width, rows), self._figures()]
        lines += [Text()] * (height - 1 - len(lines))
        return [*lines[: height - 1], Text(" q quit", "dim")]

    def _figures(self) -> Text:
        book = self._book
        figures = [f"{rate(self._rate())} books/s"]
        if book.exchange_time_ns:
            figures.append(f"exchange to us {duration(book.receive_time_ns - book.exchange_time_ns)}")
        figures.append(f"checked in {duration(book.publish_time_ns - book.receive_time_ns)}")
        figures.append(f"age {duration(book.age_ns(time.time_ns()))}")
        if self._books.lost:
            figures.append(f"not received {self._books.lost}")
        return Text(" · ".join(figures), "dim")

    def _rate(self) -> float:
        now = time.monotonic()
        while self._moments and now - self._moments[0][0] > RATE_WINDOW_S:
            self._moments.popleft()
        if not self._moments:
            return 0.0
        return (self._moments[-1][1] - self._moments[0][1]) / max(1.0, now - self._moments[0][0])
