"""Old codes of assets, and everybody's names for them: the one table of the system.

Kraken wrote XBT and XDG before it wrote BTC and DOGE, and people still type them. A market that is listed under
the very name that was given always wins, so that a new coin with an old code stays reachable.
"""

from __future__ import annotations

from collections.abc import Container

ALIASES = {"XBT": "BTC", "XDG": "DOGE"}
"""Old code -> everybody's."""
OLD_NAMES = {new: old for old, new in ALIASES.items()}


def renamed(symbol: str) -> str:
    """A canonical symbol with everybody's names: renamed("XBT-USD") == "BTC-USD"."""
    return _each(symbol, ALIASES)


def old_spelling(symbol: str) -> str:
    """The other way round: old_spelling("BTC-USD") == "XBT-USD"; itself where it has no other."""
    return _each(symbol, OLD_NAMES)


def as_listed(symbol: str, listed: Container[str]) -> str:
    """The name under which a wanted symbol is listed: its own where that is listed, else everybody's."""
    return symbol if symbol in listed else renamed(symbol)


def _each(symbol: str, names: dict[str, str]) -> str:
    return "-".join(names.get(part, part) for part in symbol.split("-"))
