"""An independent Kraken book, websocket v2 and v1: texts under Decimals in a dict, a CRC32 of its own.

From the documents alone: apply the whole message, delete quantity 0, cut to the subscribed depth, compare the checksum.

It shares no code with the project; the tests compare against it.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from tests.support.naive import Levels, records


class KrakenBook:
    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids: dict[Decimal, tuple[str, str]] = {}
        self.asks: dict[Decimal, tuple[str, str]] = {}
        self.messages = 0
        self.sums_right = 0
        self.sums_wrong = 0

    def take(self, message: str) -> None:
        """One v2 message of the channel `book`."""
        found = json.loads(message, parse_float=str, parse_int=str)
        (data,) = found["data"]
        bids, asks = ([(level["price"], level["qty"]) for level in data[side]] for side in ("bids", "asks"))
        self._change(found["type"] == "snapshot", bids, asks, data["checksum"])

    def take_v1(self, parts: list[dict]) -> None:
        """The objects of one v1 message."""
        whole = any("as" in part or "bs" in part for part in parts)
        sides = {"a": [], "b": []}
        for part in parts:
            for name, levels in part.items():
                if name != "c":
                    sides[name[0]] += [(price, volume) for price, volume, *_ in levels]
        self._change(whole, sides["b"], sides["a"], parts[-1].get("c"))

    def top(self, depth: int) -> tuple[Levels, Levels]:
        bids, asks = self._best(depth)
        numbers = [[(Decimal(price), Decimal(size)) for price, size in side] for side in (bids, asks)]
        return numbers[0], numbers[1]

    def checksum(self) -> int:
        bids, asks = self._best(10)
        text = ""
        for price, size in asks + bids:
            text += price.replace(".", "").lstrip("0") + size.replace(".", "").lstrip("0")
        return crc32(text.encode())

    def _change(self, whole: bool, bids: list, asks: list, checksum: str | None) -> None:
        if whole:
            self.bids, self.asks = {}, {}
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                if Decimal(size) == 0:
                    side.pop(Decimal(price), None)
                else:
                    side[Decimal(price)] = (price, size)
        for price in sorted(self.bids, reverse=True)[self.depth :]:
            del self.bids[price]
        for price in sorted(self.asks)[self.depth :]:
            del self.asks[price]
        self.messages += 1
        if checksum is not None:
            right = self.checksum() == int(checksum)
            self.sums_right, self.sums_wrong = self.sums_right + right, self.sums_wrong + (not right)

    def _best(self, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        bids = [self.bids[price] for price in sorted(self.bids, reverse=True)[:depth]]
        return bids, [self.asks[price] for price in sorted(self.asks)[:depth]]


def crc32(data: bytes) -> int:
    """The reflected CRC-32 (polynomial 0x04C11DB7), byte by byte."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ 0xEDB88320 if value & 1 else value >> 1
    return value


_TABLE = [_entry(byte) for byte in range(256)]


def follow_kraken(path: Path) -> dict[str, KrakenBook]:
    """Books of a v1 tape, by the pair as websocket v2 spells it."""
    books: dict[str, KrakenBook] = {}
    for record in records(path):
        if record["kind"] != "recv" or not record["data"].startswith("["):
            continue
        _, *parts, channel, pair = json.loads(record["data"])
        if channel.startswith("book-"):
            base, quote = ({"XBT": "BTC", "XDG": "DOGE"}.get(name, name) for name in pair.split("/"))
            books.setdefault(f"{base}/{quote}", KrakenBook(int(channel[5:]))).take_v1(parts)
    return books
