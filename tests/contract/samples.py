"""Small frames and bodies in each exchange's documented shape, for tests that every exchange must pass."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Samples:
    native: str
    symbol: str
    books: list[bytes]
    """Frames of `native`."""
    snapshot: bytes
    instruments: list[bytes]
    tickers: list[bytes]
    acks: list[bytes] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    alive: list[bytes] = field(default_factory=list)
    phases: list[bytes] = field(default_factory=list)
    """Messages on what is done with orders."""
    other: list[bytes] = field(default_factory=list)
    rest_errors: list[bytes] = field(default_factory=list)


_BINANCE_CONTROL = {
    "acks": [b'{"result":null,"id":7}'],
    "refusals": [
        b'{"code":2,"msg":"Invalid request: unknown variant","id":7}',
        b'{"error":{"code":3,"msg":"Invalid JSON"},"id":7}',
        b'{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}',
    ],
    "alive": [b'{"result":["btcusdt@depth@100ms"],"id":0}', b'{"result":[],"id":0}'],
    "other": [b'{"e":"aggTrade","E":1,"s":"BTCUSDT","p":"1"}', b'{"stream":"!miniTicker@arr","data":[]}'],
    "rest_errors": [b'{"code":-1121,"msg":"Invalid symbol."}'],
}

SAMPLES: dict[str, Samples] = {
    "binance_spot": Samples(
        native="BTCUSDT",
        symbol="BTC-USDT",
        books=[
            b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255408,"s":"BTCUSDT","U":11,"u":15,'
            b'"b":[["61837.63000000","3.78826000"]],"a":[["61837.64000000","0.00000000"]]}}',
            b'{"e":"depthUpdate","E":1723161255408000,"s":"BTCUSDT","U":11,"u":15,"b":[],"a":[],"new":{"x":[1]}}',
            b'{ "stream": "btcusdt@depth@100ms", "data": { "e": "depthUpdate", "E": 1723161255408, "s": "BTCUSDT", '
            b'"U": 11, "u": 15, "b": [["1", "2"]], "a": [] } }',
        ],
        snapshot=b'{"lastUpdateId":12,"bids":[["4.0","431.0"]],"asks":[["4.1","1"]]}',
        instruments=[
            b'{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":'
            b'[{"filterType":"PRICE_FILTER","tickSize":"0.01"},{"filterType":"LOT_SIZE","stepSize":"0.00001"}]}]}'
        ],
        tickers=[b'[{"symbol":"BTCUSDT","lastPrice":"61837.6","quoteVolume":"1234567.8","volume":"20"}]'],
        **_BINANCE_CONTROL,
    ),
    "binance_future": Samples(
        native="BTCUSDT",
        symbol="BTC-USDT",
        books=[
            b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,'
            b'"s":"BTCUSDT","U":12,"u":15,"pu":10,"b":[["61496.50","0.010"]],"a":[["61510.90","0.000"]],"st":1}}',
            b'{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":12,"u":15,"pu":10,"b":[],"a":[]}',
        ],
        snapshot=b'{"lastUpdateId":12,"E":1723161256501,"T":1723161256493,"bids":[["61800.20","2.909"]],"asks":[]}',
        instruments=[
            b'{"symbols":[{"symbol":"BTCUSDT","pair":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING",'
            b'"baseAsset":"BTC","quoteAsset":"USDT","filters":[]},{"symbol":"BTCUSDT_261225","contractType":'
            b'"CURRENT_QUARTER","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[]}]}'
        ],
        tickers=[b'[{"symbol":"BTCUSDT","lastPrice":"61837.6","quoteVolume":"1234567.8"}]'],
        **_BINANCE_CONTROL,
    ),
    "upbit": Samples(
        native="KRW-BTC",
        symbol="BTC-KRW",
        books=[
            b'{"type":"orderbook","code":"KRW-BTC","timestamp":1790134742106,"total_ask_size":4.7,"total_bid_size":2.6,'
            b'"orderbook_units":[{"ask_price":1.16539E8,"bid_price":1.16538E8,"ask_size":0.10623869,"bid_size":3E-8},'
            b'{"ask_price":0,"bid_price":0.0,"ask_size":0,"bid_size":0E-8}],"stream_type":"SNAPSHOT","level":0}',
            b'{"ty":"orderbook","cd":"KRW-BTC","tms":1790134742106,"tas":1,"tbs":1,"obu":[{"ap":2.0,"bp":1.0,"as":1,'
            b'"bs":2}],"st":"REALTIME"}',
            b'[{"type":"orderbook","code":"KRW-BTC","timestamp":1790134742106,"orderbook_units":[]}]',
        ],
        snapshot=b'[{"market":"KRW-BTC","timestamp":1790134742106,"orderbook_units":[{"ask_price":2,"bid_price":1,'
        b'"ask_size":1,"bid_size":2}]}]',
        instruments=[b'[{"market":"KRW-BTC","korean_name":"\xeb\xb9\x84","english_name":"Bitcoin","market_event":{}}]'],
        tickers=[b'[{"market":"KRW-BTC","trade_price":1.16E8,"acc_trade_price_24h":123456789.123}]'],
        refusals=[b'{"error":{"name":"NO_CODES","message":"codes"}}'],
        alive=[b'{"status":"UP"}'],
        other=[b'{"type":"trade","code":"KRW-BTC"}', b'{"ty":"trade","cd":"KRW-BTC"}'],
        rest_errors=[b'{"error":{"name":404,"message":"Code not found"}}'],
    ),
    "bithumb": Samples(
        native="KRW-ETH",
        symbol="ETH-KRW",
        books=[
            b'{"type":"orderbook","code":"KRW-ETH","total_ask_size":450.34,"total_bid_size":63.33,"orderbook_units":'
            b'[{"ask_price":478800,"bid_price":478300,"ask_size":4.3478,"bid_size":5.637},{"ask_price":478900,'
            b'"bid_price":478200,"ask_size":0,"bid_size":0.0}],"level":1,"timestamp":1790133505546514,'
            b'"stream_type":"REALTIME"}',
        ],
        snapshot=b'[{"market":"KRW-ETH","timestamp":1790133505546,"orderbook_units":[]}]',
        instruments=[
            b'[{"market":"KRW-ETH","korean_name":"\xec\x9d\xb4","english_name":"Ethereum","market_warning":"NONE"}]'
        ],
        tickers=[b'[{"market":"KRW-ETH","trade_price":478300,"acc_trade_price_24h":1e9}]'],
        refusals=[b'{"error":{"name":"INVALID_PARAM","message":"x"}}'],
        alive=[b'{"status":"UP"}'],
        other=[b'{"type":"ticker","code":"KRW-ETH"}', b'{"status":"0000","resmsg":"Connected Successfully"}'],
        rest_errors=[b'{"error":{"name":404,"message":"Code not found"}}'],
    ),
}

for _module in sorted(pkgutil.iter_modules([str(Path(__file__).parent)]), key=lambda module: module.name):
    if _module.name.startswith("samples_") and _module.name != "samples_template":  # of no exchange
        SAMPLES |= importlib.import_module(f"{__package__}.{_module.name}").SAMPLES
