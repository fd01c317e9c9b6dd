"""Template's frames and bodies in their documented and recorded shapes, shortened."""

from __future__ import annotations

from tests.contract.samples import Samples

SAMPLES: dict[str, Samples] = {
    "template": Samples(
        native="BTC_USDT",
        symbol="BTC-USDT",
        books=[
            b'{"channel":"book","type":"snapshot","symbol":"BTC_USDT","time":1790000000000,"id":10,'
            b'"bids":[["61837.6","3.78"]],"asks":[["61838.0","0.5"]]}',
            b'{"channel":"book","type":"update","symbol":"BTC_USDT","time":1790000000100,"last":10,"id":12,'
            b'"bids":[],"asks":[["61838.0","0"]]}',
            b'{ "symbol": "BTC_USDT", "channel": "book", "type": "update", "time": 1790000000100, "last": 12, '
            b'"id": 13, "bids": [], "asks": [] }',
        ],
        snapshot=b'{"time":1790000000100,"bids":[["61837.6","3.78"]],"asks":[["61838.0","0.5"]]}',
        instruments=[
            b'[{"symbol":"BTC_USDT","base":"BTC","quote":"USDT","state":"online"},'
            b'{"symbol":"ETH_BTC","base":"ETH","quote":"BTC","state":"offline"}]'
        ],
        tickers=[b'[{"symbol":"BTC_USDT","price":"61838.0","turnover":"63728560.12"}]'],
        acks=[b'{"event":"subscribed","request":7,"symbol":"BTC_USDT"}'],
        refusals=[b'{"event":"refused","request":7,"reason":"no such market"}'],
        alive=[b'{"event":"pong"}'],
        other=[b'{"channel":"trades","symbol":"BTC_USDT"}'],
        rest_errors=[b'{"error":"no such market"}'],
    ),
}
