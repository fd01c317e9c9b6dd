"""Coinbase books by the documents alone: slow, plain, Decimals. Shares no code with the project.

Advanced Trade: a connection starts with nothing; its frames are numbered from anywhere by one; a snapshot is the whole
book, an update sets absolute sizes, "0" removes. After a jump nothing of that connection is known until a product's
next snapshot. Coinbase Pro: the same without numbers.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from tests.support.naive import NaiveBook, records


class NaiveConnection:
    """The books of one connection, as far as they can be known."""

    def __init__(self) -> None:
        self.books: dict[str, NaiveBook] = {}
        self.last: int | None = None
        self.jumps = 0

    def take(self, text: str) -> None:
        message = json.loads(text)
        if "sequence_num" in message:
            if self.last is not None and message["sequence_num"] != self.last + 1:
                self.jumps += 1
                self.books.clear()
            self.last = message["sequence_num"]
        if message.get("channel") == "l2_data":
            for event in message["events"]:
                self._event(event)
        elif message.get("type") == "snapshot":
            self.books[message["product_id"]] = book = NaiveBook()
            book.load(message["bids"], message["asks"])
        elif message.get("type") == "l2update":
            for side, price, size in message["changes"]:
                self._set(message["product_id"], side == "buy", price, size)

    def _event(self, event: dict) -> None:
        if event["type"] == "snapshot":
            self.books[event["product_id"]] = NaiveBook()
        if event["product_id"] in self.books:
            for level in event["updates"]:
                self._set(event["product_id"], level["side"] == "bid", level["price_level"], level["new_quantity"])

    def _set(self, product: str, bid: bool, price: str, size: str) -> None:
        book = self.books[product]
        side = book.bids if bid else book.asks
        side.pop(Decimal(price), None)
        if Decimal(size):
            side[Decimal(price)] = Decimal(size)


def follow_coinbase(path: Path) -> dict[str, NaiveBook]:
    """The final books of a tape; of a product on several connections the one heard last."""
    connections: dict[str, NaiveConnection] = {}
    books: dict[str, NaiveBook] = {}
    for record in records(path):
        if record["kind"] == "recv":
            connection = connections.setdefault(record["conn"], NaiveConnection())
            connection.take(record["data"])
            books |= connection.books
    return books
