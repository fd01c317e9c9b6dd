"""The lines of the message logs: pure, values in, text out.

    [2026-09-01 12:34:56.789] depthUpdate raw: {"type": "depth_update", "symbol": "btcusdt",
        "first_update_id": 123456789, "final_update_id": 123456790, "bids": [["61500.10", "1.2"]], "asks": []}
    [12:34:56.789] 매수 (1) / 매도 (0) {"exchange": "binance_future", "symbol": "btc", "ts": 1788265200000,
        "seq": 123456790, "bids": [["61500.10", "1.2"]], "asks": []}

1. One record is one line (broken here to fit): newlines and control characters of foreign text become spaces, so
   that nobody forges a record or talks to the terminal of whoever reads it.
2. The time is local wall time, milliseconds cut off.
3. Prices and sizes stay what they were: text stays text, numbers stay numbers, Decimals keep every digit.
4. What is no book raises FrameError, saying what was found.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from hoga.domain.errors import FrameError, snippet
from hoga.domain.types import NO_SEQ, Update
from hoga.wire import books, pb

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class BookRecord(NamedTuple):
    """What a book line shows: the first levels of each side as the caller gave them, best first."""

    exchange: str
    symbol: str
    ts: Any
    """Milliseconds since the epoch."""
    seq: Any
    bids: list[Any]
    asks: list[Any]
    missing: tuple[str, ...] = ()
    """Sides that the caller's book lacks."""


def raw_line(time_ns: int, message: str | bytes | Mapping[str, Any] | Update) -> str:
    """Text stands as it is; everything else follows the words `depthUpdate raw:`."""
    if isinstance(message, str):
        text = message
    elif isinstance(message, bytes | bytearray):
        text = f"depthUpdate raw: {message.decode('utf-8', 'replace')}"
    elif isinstance(message, Update):
        text = f"depthUpdate raw: {_json(depth_update(message))}"
    elif isinstance(message, Mapping):
        text = f"depthUpdate raw: {_json(message)}"
    else:
        raise FrameError("shape", f"a raw message is text, bytes, a mapping or an Update, found {_found(message)}")
    return f"[{_date(time_ns // NS_PER_S)} {clock_text(time_ns)}] {_one_line(text)}"


def book_line(time_ns: int, record: BookRecord) -> str:
    fields = {
        "exchange": record.exchange,
        "symbol": record.symbol,
        "ts": record.ts,
        "seq": record.seq,
        "bids": record.bids,
        "asks": record.asks,
    }
    return f"[{clock_text(time_ns)}] 매수 ({len(record.bids)}) / 매도 ({len(record.asks)}) {_json(fields)}"


def depth_update(update: Update) -> dict[str, Any]:
    """The fields of a parsed update. `first_update_id` is the first id after those the update builds on, and the
    final one where it builds on none; both are 0 where the exchange gives no ids."""
    final = 0 if update.seq == NO_SEQ else update.seq
    return {
        "type": "depth_snapshot" if update.snapshot else "depth_update",
        "symbol": update.native_symbol.lower(),
        "first_update_id": final if update.prev_seq == NO_SEQ else update.prev_seq + 1,
        "final_update_id": final,
        "bids": update.bids,
        "asks": update.asks,
    }


def book_record(exchange: str, symbol: str, book: object, *, depth: int, time_ns: int) -> BookRecord:
    """The first `depth` levels a side of a mapping (keys bids, asks, timestamp, sequence), an OrderBook message
    or its bytes. Copied, so that the caller may go on changing its book. `time_ns` stands in for a missing time.
    """
    if isinstance(book, bytes):
        book = _decode(book)
    if isinstance(book, pb.OrderBook):
        time_ns = book.exchange_time_ns or book.receive_time_ns or time_ns
        bids, asks = books.levels(book)
        return BookRecord(exchange, symbol, time_ns // NS_PER_MS, book.sequence, [*bids[:depth]], [*asks[:depth]])
    if not isinstance(book, Mapping):
        raise FrameError("shape", f"an order book is a mapping with bids and asks, found {_found(book)}")
    return BookRecord(
        exchange,
        symbol,
        ts=_first(book, "timestamp", "ts", default=time_ns // NS_PER_MS),
        seq=_first(book, "sequence", "seq", default=0),
        bids=_levels(book, "bids", depth),
        asks=_levels(book, "asks", depth),
        missing=tuple(side for side in ("bids", "asks") if book.get(side) is None),
    )


def clock_text(time_ns: int) -> str:
    """Local wall time `HH:MM:SS.mmm`."""
    return f"{_second(time_ns // NS_PER_S)}.{time_ns // NS_PER_MS % 1000:03d}"


@lru_cache(maxsize=4)
def _second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).astimezone().strftime("%H:%M:%S")


@lru_cache(maxsize=4)
def _date(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).astimezone().strftime("%Y-%m-%d")


def _first(book: Mapping[str, Any], *names: str, default: int) -> Any:
    return next((book[name] for name in names if book.get(name) is not None), default)


def _levels(book: Mapping[str, Any], side: str, depth: int) -> list[Any]:
    levels = book.get(side)
    if levels is None:
        return []
    if not isinstance(levels, Sequence) or isinstance(levels, str | bytes):
        raise FrameError("levels", f"{side} is a list of [price, size], found {_found(levels)}")
    return [list(level) if isinstance(level, list | tuple) else level for level in levels[:depth]]


def _decode(payload: bytes) -> pb.OrderBook:
    try:
        return pb.OrderBook.FromString(payload)
    except Exception as error:  # the parser's own error class is not part of protobuf's public interface
        raise FrameError("shape", f"not an OrderBook message: {error}") from None


def _json(value: Any) -> str:
    """As `json.dumps` writes it, and Decimals as numbers with all their digits."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise FrameError("number", f"neither text nor a finite number: {_found(value)}") from None


def _found(value: object) -> str:
    return f"{type(value).__name__} {snippet(reprlib.repr(value))}"


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
