"""Bybit linear contracts: `orderbook.200.<symbol>` on /v5/public/linear. See `common` and `handler` for the rules.

Perpetuals in USDT (`BTCUSDT`) and in USDC (`BTCPERP`), dated ones in USDT (`BTCUSDT-26DEC25`) and in USDC
(`BTC-26DEC25`). Sizes are in units of the base. Recordings of inverse contracts (`BTCUSD`, sizes in USD) are
read the same way; we do not subscribe to them.
"""

from __future__ import annotations

from hoga.exchanges.base import Exchange, RestRequest
from hoga.exchanges.bybit.common import BybitStrategy, hosts_of
from hoga.exchanges.bybit.handler import CHANNELS, BybitHandler, day_of, split_ending


class BybitFutureStrategy(BybitStrategy):
    category = "linear"
    categories = ("linear", "inverse")
    default_depth = 25

    def instruments_requests(self) -> list[RestRequest]:
        """Contracts before their launch, which may be in their auction, are listed only where they are asked for."""
        (trading,) = super().instruments_requests()
        return [trading, RestRequest(f"{trading.path}&status=PreLaunch")]


class BybitFutureHandler(BybitHandler):
    def normalize_symbol(self, native: str) -> str:
        market, _, suffix = native.partition("-")
        base, ending = split_ending(market, ("USDT", "USD", "PERP"))
        if suffix and not ending:
            base, ending = market, "USDC"
        if not ending:
            return native
        symbol = f"{base}-{'USDC' if ending == 'PERP' else ending}"
        return f"{symbol}-{day_of(suffix)}" if suffix else symbol


EXCHANGE = Exchange(
    code="bybit_future",
    name="Bybit Linear Futures",
    korean_name="바이비트 선물",
    strategy=BybitFutureStrategy(),
    handler=BybitFutureHandler(),
    channels=CHANNELS,
    hosts=hosts_of("linear", "inverse"),
    documentation="https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook",
)
