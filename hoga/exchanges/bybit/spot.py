"""Bybit spot: `orderbook.200.<symbol>` on /v5/public/spot. See `common` and `handler` for the rules."""

from __future__ import annotations

from hoga.exchanges.base import Exchange
from hoga.exchanges.bybit.common import BybitStrategy, hosts_of
from hoga.exchanges.bybit.handler import CHANNELS, BybitHandler, split_ending

_QUOTES = (
    "USDT", "USDC", "USDE", "USD1", "USDQ", "USDR", "RLUSD", "EURC", "EURQ", "EURR", "DAI", "BTC", "ETH", "SOL",
    "MNT", "EUR", "BRL", "BRZ", "TRY", "PLN", "USD",
)  # fmt: skip
"""Only for recordings without an instrument list; live symbols come from instruments-info."""


class BybitSpotStrategy(BybitStrategy):
    category = "spot"
    categories = ("spot",)
    default_depth = 1


class BybitSpotHandler(BybitHandler):
    def normalize_symbol(self, native: str) -> str:
        base, quote = split_ending(native, _QUOTES)
        return f"{base}-{quote}" if quote else native


EXCHANGE = Exchange(
    code="bybit_spot",
    name="Bybit Spot",
    korean_name="바이비트 현물",
    strategy=BybitSpotStrategy(),
    handler=BybitSpotHandler(),
    channels=CHANNELS,
    hosts=hosts_of("spot"),
    documentation="https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook",
)
