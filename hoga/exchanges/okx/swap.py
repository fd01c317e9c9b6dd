"""OKX swaps and futures, linear and inverse; sizes are numbers of contracts.

    BTC-USDT-SWAP    BTC-USDT           perpetual, linear: a contract is so many BTC
    BTC-USD-SWAP     BTC-USD            perpetual, inverse: a contract is so many USD
    BTC-USD_UM-SWAP  BTC-USD_UM         perpetual, margined in USD
    BTC-USDT-251226  BTC-USDT-251226    dated
    BTC-USDT         BTC-USDT-SPOT      spot, in recordings that mix

So within this code symbols and native ids are a bijection.
"""

from __future__ import annotations

from hoga.exchanges.base import Exchange
from hoga.exchanges.okx.common import CHANNELS, HOSTS, OkxHandler, OkxStrategy


class OkxSwapStrategy(OkxStrategy):
    kinds = ("SWAP", "FUTURES")


class OkxSwapHandler(OkxHandler):
    def normalize_symbol(self, native: str) -> str:
        if native.endswith("-SWAP"):
            return native.removesuffix("-SWAP")
        return native if native.count("-") > 1 else f"{native}-SPOT"


EXCHANGE = Exchange(
    code="okx_swap",
    name="OKX Swaps and Futures",
    korean_name="오케이엑스 스왑",
    strategy=OkxSwapStrategy(),
    handler=OkxSwapHandler(),
    channels=CHANNELS,
    hosts=HOSTS,
    documentation="https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel",
)
