"""The two-way map between an exchange's own ids and canonical symbols.

Within an exchange the map is a bijection: where two markets claim one symbol, the first keeps it, the
second is left out and reported. Symbols are made from base and quote as the exchange lists them, never by
guessing where an id such as BTCUSDT ends its base; only recordings without a list are read so. The exception: where
the list names nothing but a pair whose two parts the exchange defines (`KRW-BTC` of Upbit and Bithumb, the family
`BTC-USDT` of an OKX contract, `wsname` `XBT/USD` of Kraken), the pair is read at its separator.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from hoga.domain.types import Instrument


class SymbolMap:
    """Instruments by native id and by canonical symbol."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self.by_native: dict[str, Instrument] = {}
        self.by_symbol: dict[str, Instrument] = {}
        self.collisions: list[tuple[Instrument, Instrument]] = []
        for instrument in instruments:
            self._add(instrument)

    def __len__(self) -> int:
        return len(self.by_native)

    def near(self, symbol: str, count: int = 3) -> list[str]:
        """Listed symbols that resemble a wrong one, best first."""
        return get_close_matches(symbol.upper(), self.by_symbol, n=count, cutoff=0.6)

    def _add(self, instrument: Instrument) -> None:
        holder = self.by_symbol.get(instrument.symbol) or self.by_native.get(instrument.native_symbol)
        if holder is None:
            self.by_native[instrument.native_symbol] = instrument
            self.by_symbol[instrument.symbol] = instrument
        elif instrument.phase.collected and not holder.phase.collected:
            # A delisted market may have left its symbol to a new one.
            del self.by_native[holder.native_symbol]
            del self.by_symbol[holder.symbol]
            self._add(instrument)
        elif not (holder.phase.collected and not instrument.phase.collected):
            self.collisions.append((holder, instrument))
