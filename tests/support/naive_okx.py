"""An independent OKX book: Decimals in a dict, the texts beside them, and a CRC32 of its own, from the documents alone.

It shares no code with the project; the tests compare against it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tests.support.naive import NaiveBook, records


@dataclass
class OkxBook(NaiveBook):
    """`texts` holds (price, size) exactly as received; checksums counted as they hold or not."""

    texts: dict[str, dict[Decimal, tuple[str, str]]] = field(default_factory=lambda: {"bids": {}, "asks": {}})
    sums_right: int = 0
    sums_wrong: int = 0
    orphan_deletes: int = 0
    most_levels: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def take(self, action: str, data: dict) -> None:
        """One entry of a frame's `data`."""
        if action == "snapshot":
            self.texts = {"bids": {}, "asks": {}}
        elif "seqId" in data:
            assert data["prevSeqId"] == self.last, f"the chain is broken: {data['prevSeqId']} after {self.last}"
        for name, levels in self.texts.items():
            for price, size, *_ in data[name]:
                if Decimal(size) == 0:
                    self.orphan_deletes += levels.pop(Decimal(price), None) is None
                else:
                    levels[Decimal(price)] = (price, size)
            self.most_levels = max(self.most_levels, len(levels))
        self.last = data.get("seqId")
        self.load(self.texts["bids"].values(), self.texts["asks"].values())
        if data.get("checksum"):
            right = self.checksum() == data["checksum"]
            self.sums_right, self.sums_wrong = self.sums_right + right, self.sums_wrong + (not right)

    def checksum(self) -> int:
        """Over the best 25 of both sides, alternating, bid first; as a signed 32 bit integer."""
        bids = [self.texts["bids"][price] for price in sorted(self.texts["bids"], reverse=True)[:25]]
        asks = [self.texts["asks"][price] for price in sorted(self.texts["asks"])[:25]]
        words = []
        for place in range(25):
            words += [":".join(side[place]) for side in (bids, asks) if place < len(side)]
        value = crc32(":".join(words).encode())
        return value - 2**32 if value & 2**31 else value


def crc32(data: bytes) -> int:
    """The reflected CRC-32 (polynomial 0x04C11DB7), bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xEDB88320 if value & 1 else value >> 1
    return value ^ 0xFFFFFFFF


def follow_okx(path: Path) -> dict[str, OkxBook]:
    """Books of an OKX tape by instrument: the channel `books`, whatever the instrument."""
    books: dict[str, OkxBook] = {}
    for record in records(path):
        if record["kind"] != "recv" or record["data"] == "pong":
            continue
        message = json.loads(record["data"])
        if message.get("arg", {}).get("channel") != "books" or "data" not in message:
            continue
        book = books.setdefault(message["arg"]["instId"], OkxBook())
        for data in message["data"]:
            book.take(message["action"], data)
    return books
