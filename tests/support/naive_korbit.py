"""An independent book of Korbit's `orderbook` channel, from the documents alone: the newest whole frame is the book."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.support.naive import NaiveBook


def follow_korbit(frames: Iterable[str]) -> dict[str, NaiveBook]:
    """Books by symbol of the frames of a connection."""
    books: dict[str, NaiveBook] = {}
    for frame in frames:
        message = json.loads(frame)
        if message.get("type") != "orderbook":
            continue
        book, data = books.setdefault(message["symbol"], NaiveBook()), message["data"]
        if book.last is None or data["timestamp"] >= book.last:
            book.last = data["timestamp"]
            book.load(*([(row["price"], row["qty"]) for row in data[side]] for side in ("bids", "asks")))
    return books
