"""Callback style: every book of an exchange (of all, without an argument) calls a function.

    python examples/callbacks.py upbit

The address of NATS comes from HOGA_NATS_URL (default nats://127.0.0.1:4222).
"""

from __future__ import annotations

import asyncio
import sys

from hoga.client import BookView, Client
from hoga.domain.errors import HogaError


def on_orderbook(book: BookView) -> None:
    print(f"{book.exchange} {book.symbol} {book.state.name} mid {book.mid}", flush=True)


async def main(exchange: str) -> None:
    client = Client()
    client.add_orderbook_callback(on_orderbook, exchange)
    async with client:
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "*"))
    except HogaError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
