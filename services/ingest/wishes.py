"""Which symbols shall be collected, and what the exchange makes of them.

A wish that the exchange does not list is reported once, with what may have been meant, and harms no other.
It stays a wish: it is collected as soon as it is listed. A wish in old codes (XBT-USD) becomes one for the symbol
that is listed (BTC-USD).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from hoga.domain.aliases import renamed
from services.ingest.directory import Directory

log = logging.getLogger(__name__)


class Wishes:
    """Canonical symbol -> native id where the wisher knew it, else ""."""

    def __init__(self, code: str) -> None:
        self.symbols: dict[str, str] = {}
        self._code = code
        self._reported: dict[str, str] = {}

    def replace(self, symbols: Mapping[str, str]) -> None:
        self.symbols = dict(symbols)
        self._reported = {symbol: word for symbol, word in self._reported.items() if symbol in symbols}

    def add(self, symbol: str) -> None:
        self.symbols.setdefault(symbol, "")

    def remove(self, symbol: str) -> bool:
        """Whether it was wished for."""
        self._reported.pop(symbol, None)
        return self.symbols.pop(symbol, None) is not None

    def __contains__(self, symbol: str) -> bool:
        return symbol in self.symbols

    def native(self, symbol: str, directory: Directory) -> str | None:
        """The native id of a symbol; None where it is not listed (or the list is not there yet)."""
        return directory.native(symbol, self.symbols.get(symbol, ""))

    def placed(self, directory: Directory) -> dict[str, str]:
        """What can be collected now, native id -> canonical."""
        placed: dict[str, str] = {}
        if directory.loaded:
            self._rename(directory)
        for symbol, hint in self.symbols.items():
            native = directory.native(symbol, hint)
            if native is not None:
                placed[native] = symbol
                self._check_trading(symbol, directory)
            elif directory.loaded:
                self._report_unknown(symbol, directory)
                if hint:
                    directory.ask()
        return placed

    def _rename(self, directory: Directory) -> None:
        listed = directory.symbols.by_symbol
        old = [name for name in self.symbols if name not in listed and renamed(name) in listed]
        for name in old:
            self.symbols.setdefault(renamed(name), self.symbols.pop(name))

    def _check_trading(self, symbol: str, directory: Directory) -> None:
        instrument = directory.symbols.by_symbol.get(symbol)
        if instrument is None or instrument.trading:
            self._reported.pop(symbol, None)
        elif self._report(symbol, "halted"):
            log.warning("%s: %s is listed but does not trade; collected all the same", self._code, symbol)

    def _report_unknown(self, symbol: str, directory: Directory) -> None:
        if self._report(symbol, "unknown"):
            near = directory.near(symbol)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            log.error("%s lists no symbol %r: it is left out%s", self._code, symbol, hint)

    def _report(self, symbol: str, word: str) -> bool:
        """Whether this is news."""
        news = self._reported.get(symbol) != word
        self._reported[symbol] = word
        return news
