"""OKX spot: `BTC-USDT` is `BTC-USDT`.

Where a recording holds swaps and futures too, they keep their full name here (`BTC-USDT-SWAP`, `BTC-USD-220527`).
"""

from __future__ import annotations

from hoga.exchanges.base import Exchange
from hoga.exchanges.okx.common import CHANNELS, HOSTS, OkxHandler, OkxStrategy


class OkxSpotStrategy(OkxStrategy):
    kinds = ("SPOT",)


class OkxSpotHandler(OkxHandler):
    def normalize_symbol(self, native: str) -> str:
        return native


EXCHANGE = Exchange(
    code="okx_spot",
    name="OKX Spot",
    korean_name="오케이엑스 현물",
    strategy=OkxSpotStrategy(),
    handler=OkxSpotHandler(),
    channels=CHANNELS,
    hosts=HOSTS,
    documentation="https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel",
)
