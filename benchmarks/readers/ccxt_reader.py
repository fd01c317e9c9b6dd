"""ccxt's own way from a message to the book that `watch_order_book` waits for, with the REST answer given to it."""

import asyncio
import sys

import ccxt.pro
from common import run

FUTURE = sys.argv[5] == "binance_future"
URL = "wss://fstream.binance.com/ws/0" if FUTURE else "wss://stream.binance.com:9443/ws/0"


def market(native):
    kind = "swap" if FUTURE else "spot"
    symbol = f"{native}/X:X" if FUTURE else f"{native}/X"
    base = {"id": native, "symbol": symbol, "base": native, "quote": "X", "type": kind, "precision": {}, "limits": {}}
    linear = True if FUTURE else None
    return base | {"spot": not FUTURE, "swap": FUTURE, "contract": FUTURE, "linear": linear, "active": True}


def make(snapshots, reads):
    exchange = ccxt.pro.binanceusdm() if FUTURE else ccxt.pro.binance()
    exchange.asyncio_loop = loop
    exchange.set_markets([market(native) for native in snapshots])
    client = exchange.client(URL)
    symbols = {native: market(native)["symbol"] for native in snapshots}
    for native, symbol in symbols.items():
        book = exchange.orderbooks[symbol] = exchange.order_book({}, 1000)
        snapshot = exchange.parse_order_book(snapshots[native], symbol)
        snapshot["nonce"] = snapshots[native]["lastUpdateId"]
        book.reset(snapshot)
    if reads:  # as `watch_order_book` gives it to whoever waits for it
        client.resolve = lambda book, _hash: book.limit()
    return client.handle_text_or_binary_message, lambda: {
        native: exchange.orderbooks.get(symbol, {}).get("nonce") for native, symbol in symbols.items()
    }


async def main():
    global loop
    loop = asyncio.get_running_loop()
    run(make)


asyncio.run(main())
