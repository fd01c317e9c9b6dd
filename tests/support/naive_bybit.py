"""An independent book of Bybit's `orderbook.N` topics, from the documents alone: plain, slow, Decimals in a dict.

snapshot: replace; u == 1: replace too; delta: u must be one more than before; size 0: delete.
"""

from __future__ import annotations

import json

from tests.support.naive import NaiveBook


class BybitBook(NaiveBook):
    """One symbol's book; `most` is the greatest number of levels a side it ever had."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def hear(self, frame: dict) -> None:
        data = frame["data"]
        if frame["type"] == "snapshot" or data["u"] == 1:
            self.load(data["b"], data["a"])
        else:
            assert frame["type"] == "delta"
            assert self.last is not None, "a delta before the first snapshot"
            assert data["u"] == self.last + 1, f"u jumps from {self.last} to {data['u']}"
            self.change(data["b"], data["a"])
        self.last = data["u"]
        self.most = max(self.most, len(self.bids), len(self.asks))


def follow(frames) -> dict[str, BybitBook]:
    """Books by symbol of the frames of one connection or market; what is no book is passed over."""
    books: dict[str, BybitBook] = {}
    for frame in frames:
        message = json.loads(frame)
        kind, depth = (message.get("topic", "") + "..").split(".")[:2]
        if kind == "orderbook" and depth.isdigit():
            books.setdefault(message["data"]["s"], BybitBook()).hear(message)
    return books
