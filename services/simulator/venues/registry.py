"""Every venue emulator, by the code of its exchange; adding one adds a line here. An exchange can do without."""

from __future__ import annotations

from hoga.domain.errors import ConfigError
from services.simulator.venues import binance, bithumb, bybit, coinbase, gate, korbit, kraken, okx, upbit
from services.simulator.venues.base import Emulator

EMULATORS: dict[str, type[Emulator]] = {
    emulator.code: emulator
    for emulator in (
        binance.BinanceFutureEmulator,
        binance.BinanceSpotEmulator,
        upbit.UpbitEmulator,
        bithumb.BithumbEmulator,
        bybit.BybitSpotEmulator,
        bybit.BybitFutureEmulator,
        okx.OkxSpotEmulator,
        okx.OkxSwapEmulator,
        coinbase.CoinbaseEmulator,
        kraken.KrakenEmulator,
        gate.GateSpotEmulator,
        korbit.KorbitEmulator,
    )
}


def emulated() -> list[str]:
    """Codes of the exchanges that can be simulated."""
    return list(EMULATORS)


def get(code: str) -> type[Emulator]:
    """The emulator of an exchange; ConfigError naming those that there are otherwise."""
    try:
        return EMULATORS[code]
    except KeyError:
        raise ConfigError(f"{code} has no emulator and cannot be simulated; known: {', '.join(EMULATORS)}") from None
