"""From what a user typed to a market that exists, or one clear line with what was probably meant."""

from __future__ import annotations

from difflib import get_close_matches

from hoga.client import BookView, Client
from hoga.domain.aliases import old_spelling, renamed
from hoga.domain.errors import BusError, ConfigError, HogaError, snippet
from hoga.exchanges import registry
from hoga.runtime.nats_streams import NoStreamError

NEAR = 4
"""Suggestions at most."""


async def find_book(client: Client, exchange: str, typed: str) -> BookView:
    """The current book of the market that `typed` names: its symbol (`BTC-KRW`), in any case and with any
    separator, the exchange's own id (`KRW-BTC`), or its symbol in old codes (`XBT-USD`). ConfigError with near
    matches where nothing fits."""
    registry.get(exchange)
    try:
        book = await client.book(exchange, typed)
    except NoStreamError:  # no validator has ever run there
        book = None
    if book is not None:
        return book
    books = {book.symbol: book for book in await client.current(exchange)}
    known = await _known(client, exchange, list(books.values()))
    symbol = match(typed, known)
    if symbol is None:
        raise ConfigError(_nothing(exchange, typed, known))
    if symbol not in books:
        raise HogaError(f"{exchange} {symbol} is chosen for collecting, but there is no book of it yet")
    return books[symbol]


def match(typed: str, known: dict[str, str]) -> str | None:
    """The symbol that `typed` names; None where it names none, or could name two.

    `known`: native id by symbol.
    """
    if typed in known:
        return typed
    wanted = _plain(typed)
    for names in (known.keys(), known.values(), map(old_spelling, known)):
        found = [symbol for symbol, name in zip(known, names, strict=True) if _plain(name) == wanted]
        if len(found) == 1:
            return found[0]
    return None


def near(typed: str, known: dict[str, str]) -> list[str]:
    """Symbols that look like `typed`, the likeliest first."""
    by_plain = {_plain(symbol): symbol for symbol in known}
    close = [by_plain[name] for name in get_close_matches(_plain(typed), by_plain, n=NEAR, cutoff=0.6)]
    base = _plain(renamed(typed.upper().replace("/", "-").replace("_", "-")).partition("-")[0])
    same_base = sorted(symbol for symbol in known if _plain(symbol.partition("-")[0]) == base)
    return list(dict.fromkeys(same_base + close))[:NEAR]


async def _known(client: Client, exchange: str, books: list[BookView]) -> dict[str, str]:
    known = {book.symbol: book.native_symbol for book in books}
    try:
        universe = await client.universe(exchange)
    except BusError:
        return known
    if universe is not None:
        known |= {entry.symbol: entry.native_symbol for entry in universe.entries if entry.symbol not in known}
    return known


def _nothing(exchange: str, typed: str, known: dict[str, str]) -> str:
    if not known:
        return f"nothing is collected of {exchange} yet: does `hoga up` or docker compose run with it?"
    shown = snippet(typed)
    likely = near(typed, known)
    if likely:
        return f"no book of {shown!r} on {exchange}; did you mean {', '.join(likely)}?"
    some = ", ".join(sorted(known)[:NEAR])
    return f"no book of {shown!r} on {exchange}; among its {len(known)} are {some}"


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
