"""NATS subjects and the escaping of symbols into one token.

    ob.v1.raw.<exchange>.<symbol>      RawFrame
    ob.v1.raw.<exchange>._             RawFrame of no symbol: link events and beats too
    ob.v1.book.<exchange>.<symbol>     OrderBook          (last value kept in the stream BOOKS)
    ob.v1.event.<exchange>.<symbol>    BookEvent
    ob.v1.link.<exchange>.<slot>       LinkStatus
    ob.v1.universe.<exchange>          Universe           (last value kept in the stream UNIVERSE)
    ob.v1.instruments.<exchange>       InstrumentList     (last value kept in the stream INSTRUMENTS)
    ob.v1.health.<service>.<instance>  Health
    ob.v1.rpc.<method>.<exchange>      requests

A token may hold `A-Z a-z 0-9 _ -`; every other byte of the symbol's UTF-8 is written `=XX` (hex), which
is reversible because `=` itself is escaped.
"""

from __future__ import annotations

import re
from functools import lru_cache

PREFIX = "ob.v1"
BOOKS_STREAM = "BOOKS"
UNIVERSE_STREAM = "UNIVERSE"
INSTRUMENTS_STREAM = "INSTRUMENTS"

_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPE = re.compile(r"=([0-9A-F]{2})")


@lru_cache(maxsize=16384)
def token(text: str) -> str:
    """`text` as one subject token; refuses the empty text (ValueError)."""
    if not text:
        raise ValueError("a subject token cannot be empty")
    if _PLAIN.match(text):
        return text
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "_-") else f"={byte:02X}"
        for byte in text.encode()
    )


@lru_cache(maxsize=16384)
def untoken(token_text: str) -> str:
    """The text that `token` wrote; ValueError where it is none."""
    if "=" not in token_text:
        return token_text
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), token_text)
    return raw.encode("latin-1").decode()


def raw(exchange: str, symbol: str = "*") -> str:
    return _subject("raw", exchange, symbol)


def raw_link(exchange: str) -> str:
    """Frames of no symbol."""
    return f"{PREFIX}.raw.{exchange}._"


def instruments(exchange: str) -> str:
    return f"{PREFIX}.instruments.{exchange}"


def book(exchange: str, symbol: str = "*") -> str:
    return _subject("book", exchange, symbol)


def event(exchange: str, symbol: str = "*") -> str:
    return _subject("event", exchange, symbol)


def link(exchange: str, slot: str = "*") -> str:
    return _subject("link", exchange, slot)


def universe(exchange: str) -> str:
    return f"{PREFIX}.universe.{exchange}"


def health(service: str, instance: str = "*") -> str:
    return _subject("health", service, instance)


def rpc(method: str, exchange: str) -> str:
    """`method`: snapshot, resubscribe, reconnect, listing (ingest); book (validator)."""
    return f"{PREFIX}.rpc.{method}.{exchange}"


def split(subject: str) -> tuple[str, str, str]:
    """(class, exchange or service, symbol or slot) of a subject of ours; ValueError for any other."""
    parts = subject.split(".")
    if len(parts) != 5 or parts[0] != "ob" or parts[1] != "v1":
        raise ValueError(f"not a subject of ours: {subject!r}")
    return parts[2], parts[3], untoken(parts[4])


@lru_cache(maxsize=16384)
def _subject(kind: str, owner: str, name: str) -> str:
    return f"{PREFIX}.{kind}.{owner}.{name if name == '*' else token(name)}"
