"""An independent book: slow, plain, Decimals in a dict, written from the exchanges' documents alone.

It shares no code with the project; the tests compare against it.
"""

from __future__ import annotations

import gzip
import heapq
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

Levels = list[tuple[Decimal, Decimal]]


class NaiveBook:
    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.last: int | None = None

    def load(self, bids, asks) -> None:
        self.bids = {Decimal(str(price)): Decimal(str(size)) for price, size in bids}
        self.asks = {Decimal(str(price)): Decimal(str(size)) for price, size in asks}

    def change(self, bids, asks) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                if Decimal(size) == 0:
                    side.pop(Decimal(price), None)
                else:
                    side[Decimal(price)] = Decimal(size)

    def top(self, depth: int) -> tuple[Levels, Levels]:
        """Best first."""
        return heapq.nlargest(depth, self.bids.items()), heapq.nsmallest(depth, self.asks.items())


Seen = Callable[[str, NaiveBook], None]


def records(path: Path):
    with gzip.open(path, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def follow_binance(path: Path, *, futures: bool, seen: Seen = lambda _symbol, _book: None) -> dict[str, NaiveBook]:
    """Books of a Binance tape by the documented procedure: buffer, snapshot, drop, bridge, chain. `seen` is told after
    every update."""
    books: dict[str, NaiveBook] = {}
    waiting: dict[str, list[dict]] = {}
    for record in records(path):
        if record["kind"] == "recv":
            message = json.loads(record["data"])
            event = message.get("data", message)
            if event.get("e") != "depthUpdate":
                continue
            book = books.get(event["s"])
            if book is None:
                waiting.setdefault(event["s"], []).append(event)
            else:
                _binance_event(book, event, futures)
                seen(event["s"], book)
        elif record["kind"] == "http" and urlsplit(record["url"]).path.endswith("/depth"):
            symbol = parse_qs(urlsplit(record["url"]).query)["symbol"][0]
            if symbol in books:
                continue
            snapshot = json.loads(record["data"])
            book = books[symbol] = NaiveBook()
            book.load(snapshot["bids"], snapshot["asks"])
            book.last = snapshot["lastUpdateId"]
            for event in waiting.pop(symbol, []):
                _binance_event(book, event, futures)
            seen(symbol, book)
    return books


def _binance_event(book: NaiveBook, event: dict, futures: bool) -> None:
    if event["u"] <= book.last:
        return
    builds_on = event["pu"] if futures else event["U"] - 1
    assert builds_on <= book.last, f"the tape itself has a gap at {event['u']}"
    book.change(event["b"], event["a"])
    book.last = event["u"]


def follow_upbit(path: Path, *, seen: Seen = lambda _symbol, _book: None) -> dict[str, NaiveBook]:
    """Books of an Upbit tape (SIMPLE format): every frame is the whole book."""
    books: dict[str, NaiveBook] = {}
    for record in records(path):
        if record["kind"] != "recv":
            continue
        message = json.loads(record["data"], parse_float=str, parse_int=str)
        if message.get("ty") != "orderbook":
            continue
        book = books.setdefault(message["cd"], NaiveBook())
        if book.last is not None and int(message["tms"]) < book.last:
            continue
        book.last = int(message["tms"])
        units = message["obu"]
        book.load(
            [(u["bp"], u["bs"]) for u in units if Decimal(u["bp"]) and Decimal(u["bs"])],
            [(u["ap"], u["as"]) for u in units if Decimal(u["ap"]) and Decimal(u["as"])],
        )
        seen(message["cd"], book)
    return books
