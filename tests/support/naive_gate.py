"""An independent book of Gate's `spot.order_book_update`, from the documents alone: plain, slow, Decimals in a dict.

Buffer, fetch the book with its id, drop what ends before it, begin with the event that spans id + 1, then U is always
the last u plus one.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support.naive import NaiveBook, records


def follow_gate(path: Path) -> dict[str, NaiveBook]:
    books: dict[str, NaiveBook] = {}
    waiting: dict[str, list[dict]] = {}
    for record in records(path):
        if record["kind"] == "http" and urlsplit(record["url"]).path.endswith("/order_book"):
            symbol = parse_qs(urlsplit(record["url"]).query)["currency_pair"][0]
            found = json.loads(record["data"])
            book = books[symbol] = NaiveBook()
            book.load(found["bids"], found["asks"])
            book.last = found["id"]
            for event in waiting.pop(symbol, []):
                _take(book, event)
        elif record["kind"] == "recv":
            message = json.loads(record["data"])
            if (message["channel"], message["event"]) != ("spot.order_book_update", "update"):
                continue
            event = message["result"]
            if event["s"] in books:
                _take(books[event["s"]], event)
            else:
                waiting.setdefault(event["s"], []).append(event)
    return books


def _take(book: NaiveBook, event: dict) -> None:
    if event["u"] <= book.last:
        return
    assert event["U"] <= book.last + 1, f"the tape itself has a gap at {event['u']}"
    book.change(event["b"], event["a"])
    book.last = event["u"]
