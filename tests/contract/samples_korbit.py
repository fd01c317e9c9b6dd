"""Korbit's frames and bodies in their documented and measured shapes, shortened."""

from __future__ import annotations

from tests.contract.samples import Samples

SAMPLES: dict[str, Samples] = {
    "korbit": Samples(
        native="btc_krw",
        symbol="BTC-KRW",
        books=[
            b'{"symbol":"btc_krw","timestamp":1790000000300,"type":"orderbook","snapshot":true,"data":{"timestamp":'
            b'1790000000000,"asks":[{"price":"116506000","qty":"0.27"}],"bids":[{"price":"116455000","qty":"0.005"}]}}',
            b'{"symbol":"btc_krw","timestamp":1790000000400,"type":"orderbook","data":{"timestamp":1790000000350,'
            b'"asks":[{"price":"116506000","qty":"0.25"}],"bids":[]}}',
            b'{ "type": "orderbook", "data": { "asks": [], "bids": [], "timestamp": 1790000000350 }, '
            b'"symbol": "btc_krw" }',
        ],
        snapshot=b'{"success":true,"data":{"timestamp":1790000000000,"bids":[{"price":"116455000","qty":"0.005"}],'
        b'"asks":[{"price":"116506000","qty":"0.27"}]}}',
        instruments=[
            b'{"success":true,"data":[{"symbol":"btc_krw","status":"launched","baseCurrency":"btc","quoteCurrency":'
            b'"krw","minOrderValue":"5000"},{"symbol":"usdt_krw","status":"stopped"}]}'
        ],
        tickers=[
            b'{"success":true,"data":[{"symbol":"btc_krw","close":"116455000","volume":"12.5","quoteVolume":'
            b'"1455687500"}]}'
        ],
        acks=[b'{"status":"success","requestId":7}'],
        refusals=[
            b'{"status":"fail","code":"INVALID_SYMBOL","message":"The symbol does not exist (x_krw)","requestId":7}',
            b'{"status":"fail","message":"invalid_format"}',
        ],
        other=[b'{"symbol":"btc_krw","timestamp":1790000000300,"type":"trade","data":[]}'],
        rest_errors=[b'{"success":false,"error":{"code":400,"message":"INVALID_CURRENCY_PAIR"}}'],
    ),
}
