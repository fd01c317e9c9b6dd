"""Prints the best prices of one market, live.

    python examples/books.py binance_future BTC-USDT

The address of NATS comes from HOGA_NATS_URL (default nats://127.0.0.1:4222).
"""

from __future__ import annotations

import asyncio
import sys

from hoga.client import Client
from hoga.domain.errors import HogaError


async def main(exchange: str, symbol: str) -> None:
    async with Client() as client:
        async for book in client.books(exchange, symbol):
            if book.lost:
                print(f"{book.lost} books were lost on the way here")
            if not book.live:
                print(f"{symbol} is {book.state.name}: {book.reason}")
                continue
            bid, ask = book.best_bid, book.best_ask
            if bid and ask:
                print(f"{symbol} {bid.size} @ {bid.price} | {ask.price} @ {ask.size}  spread {book.spread}", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(*(sys.argv[1:] if len(sys.argv) == 3 else ["binance_future", "BTC-USDT"])))
    except HogaError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
