"""Every exchange the system knows; adding one adds a line here."""

from __future__ import annotations

from difflib import get_close_matches
from urllib.parse import urlsplit

from hoga.domain.errors import ConfigError, snippet
from hoga.exchanges import bithumb, coinbase, gate, korbit, kraken, upbit
from hoga.exchanges.base import Exchange
from hoga.exchanges.binance import future as binance_future
from hoga.exchanges.binance import spot as binance_spot
from hoga.exchanges.bybit import future as bybit_future
from hoga.exchanges.bybit import spot as bybit_spot
from hoga.exchanges.okx import spot as okx_spot
from hoga.exchanges.okx import swap as okx_swap

EXCHANGES: dict[str, Exchange] = {
    exchange.code: exchange
    for exchange in (
        binance_future.EXCHANGE,
        binance_spot.EXCHANGE,
        upbit.EXCHANGE,
        bithumb.EXCHANGE,
        bybit_spot.EXCHANGE,
        bybit_future.EXCHANGE,
        okx_spot.EXCHANGE,
        okx_swap.EXCHANGE,
        coinbase.EXCHANGE,
        kraken.EXCHANGE,
        gate.EXCHANGE,
        korbit.EXCHANGE,
    )
}


def supported() -> list[str]:
    return list(EXCHANGES)


def get(code: str) -> Exchange:
    """The exchange of a code; ConfigError naming the known ones otherwise."""
    try:
        return EXCHANGES[code]
    except KeyError:
        near = get_close_matches(code, EXCHANGES, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"unknown exchange {snippet(code)!r}{hint}; known: {', '.join(EXCHANGES)}") from None


def detect(url: str) -> Exchange | None:
    """The exchange that a recorded address belongs to: whose entry in `hosts` fits and is the longest, of equals the
    first registered; None where none fits.

    An entry is a host name, or a suffix of one that begins with a dot. It may go on with the beginning of a path or
    with a pair of the query, where markets share a host: ".bybit.com/v5/public/spot", ".bybit.com?category=spot".
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    best, length = None, 0
    for exchange in EXCHANGES.values():
        for known in exchange.hosts:
            if len(known) > length and _fits(known, host, parts.path, parts.query):
                best, length = exchange, len(known)
    return best


def fits(exchange: Exchange, url: str) -> bool:
    """Whether an address may be one of this exchange; siblings may share addresses."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return any(_fits(known, host, parts.path, parts.query) for known in exchange.hosts)


def _fits(known: str, host: str, path: str, query: str) -> bool:
    address, _, pair = known.partition("?")
    name, slash, rest = address.partition("/")
    here = host == name or (name.startswith(".") and host.endswith(name))
    return here and path.startswith(slash + rest) and (not pair or pair in query.split("&"))
