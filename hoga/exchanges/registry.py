"""Every exchange the system knows; adding one adds a line here."""

from __future__ import annotations

from difflib import get_close_matches
from urllib.parse import urlsplit

from hoga.domain.errors import ConfigError, snippet
from hoga.exchanges import bithumb, upbit
from hoga.exchanges.base import Exchange
from hoga.exchanges.binance import future as binance_future
from hoga.exchanges.binance import spot as binance_spot

EXCHANGES: dict[str, Exchange] = {
    exchange.code: exchange
    for exchange in (
        binance_future.EXCHANGE,
        binance_spot.EXCHANGE,
        upbit.EXCHANGE,
        bithumb.EXCHANGE,
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
    """The exchange that a recorded address belongs to."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    for exchange in EXCHANGES.values():
        for known in exchange.hosts:
            if host == known or (known.startswith(".") and host.endswith(known)):
                return exchange
    return None
