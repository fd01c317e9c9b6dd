"""Coinbase Advanced Trade: the `level2` channel, the whole book in one frame and then its changes.

The rules (Advanced Trade websocket pages; what the recordings add is marked so):
1. A level2 subscription brings a snapshot of the whole book (BTC-USD: 46 000 levels in one 5 MB frame), then updates;
   sizes are absolute, "0" deletes, deleting a level that is not there is normal (recorded).
2. `sequence_num` counts every frame of the connection, whatever its channel, from 0 by one. A jump concerns all books
   of the connection; numbers of two connections say nothing about each other.
3. `heartbeats` come every second once subscribed; without them a sparse connection is closed after 60 to 90 s.
4. The first subscribe must come within 5 s. The answer lists what the connection is subscribed to now; no id is
   echoed, and the answer may come after the first data (recorded).
5. A USDC market may be an alias of the USD market: one book, and a subscription to BTC-USDC brings data that says
   BTC-USD. So aliases are left out of the instrument list: nobody can subscribe to a book that never comes under its
   name, or take one book for two. Who asks for BTC-USDC is pointed to BTC-USD.

Recordings of Coinbase Pro and Exchange (`snapshot`, `l2update`) are understood too; they carry no number.
Sources: docs.cdp.coinbase.com, Advanced Trade API: WebSocket overview, channels, rate limits; REST products.
"""

from __future__ import annotations

from hoga.exchanges.base import Exchange
from hoga.exchanges.coinbase.handler import CHANNELS, CoinbaseHandler
from hoga.exchanges.coinbase.strategy import CoinbaseStrategy

EXCHANGE = Exchange(
    code="coinbase",
    name="Coinbase",
    korean_name="코인베이스",
    strategy=CoinbaseStrategy(),
    handler=CoinbaseHandler(),
    channels=CHANNELS,
    hosts=(
        "advanced-trade-ws.coinbase.com",
        "api.coinbase.com",
        "ws-feed.exchange.coinbase.com",
        "api.exchange.coinbase.com",
        "ws-feed.pro.coinbase.com",
        "api.pro.coinbase.com",
    ),
    documentation="https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview",
)
