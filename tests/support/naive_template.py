"""An independent book of Template's `book` channel, from the documents alone: plain, slow, Decimals in a dict."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.naive import NaiveBook, records


def follow_template(path: Path) -> dict[str, NaiveBook]:
    """Books by symbol of a recording."""
    books: dict[str, NaiveBook] = {}
    for record in records(path):
        message = json.loads(record["data"] or "{}") if record["kind"] == "recv" else {}
        if message.get("channel") != "book":
            continue
        book = books.setdefault(message["symbol"], NaiveBook())
        if message["type"] == "snapshot":
            book.load(message["bids"], message["asks"])
        else:
            assert message["last"] == book.last, f"the tape itself has a gap at {message['id']}"
            book.change(message["bids"], message["asks"])
        book.last = message["id"]
    return books
