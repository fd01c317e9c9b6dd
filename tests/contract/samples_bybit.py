"""Bybit's frames and bodies in their documented and recorded shapes, shortened."""

from __future__ import annotations

from tests.contract.samples import Samples

_OTHER = [
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1786310818130,"data":[{"T":1,"s":"BTCUSDT"}]}',
    b'{"topic":"orderbook.rpi.BTCUSDT","type":"delta","ts":1,"data":{"s":"BTCUSDT","b":[["1","2","3"]],"a":[]}}',
    b'{"topic":"orderbook.full.BTCUSDT","type":"delta","ts":1,"data":{"s":"BTCUSDT","b":[],"a":[],"u":1}}',
    b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT"},"cs":1,"ts":1786310818130}',
]
_REST_ERRORS = [
    b'{"retCode":10001,"retMsg":"params error: symbol invalid","result":{},"retExtInfo":{},"time":1741615413686}',
    b'{"result":null,"retCode":10006,"retExtInfo":null,"retMsg":"Too many visits!"}',
]

SAMPLES: dict[str, Samples] = {
    "bybit_spot": Samples(
        native="BTCUSDT",
        symbol="BTC-USDT",
        books=[
            b'{"topic":"orderbook.200.BTCUSDT","ts":1787612486096,"type":"snapshot","data":{"s":"BTCUSDT","b":[["78715",'
            b'"1.271882"]],"a":[["78715.1","0.039135"]],"u":217107084,"seq":113099229623},"cts":1787612486094}',
            b'{"topic":"orderbook.200.BTCUSDT","ts":1787612486116,"type":"delta","data":{"s":"BTCUSDT","b":[],"a":'
            b'[["78716.8","0.027559"],["78748.5","0"]],"u":217107085,"seq":113099229629},"cts":1787612486108}',
            b'{ "type": "delta", "topic": "orderbook.50.BTCUSDT", "ts": 1787612486116, "data": { "s": "BTCUSDT", "b": '
            b'[], "a": [], "u": 9, "seq": 1 } }',
        ],
        snapshot=b'{"retCode":0,"retMsg":"OK","result":{"s":"BTCUSDT","a":[["16638.64","0.008479"]],"b":[["16638.27",'
        b'"0.305749"]],"ts":1786310817733,"u":5277055,"seq":3887177875,"cts":1786310817730},"retExtInfo":{},'
        b'"time":1786310817734}',
        instruments=[
            b'{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"symbolId":9,"symbol":"BTCUSDT","baseCoin":'
            b'"BTC","quoteCoin":"USDT","innovation":"0","status":"Trading","marginTrading":"utaOnly","stTag":"0",'
            b'"lotSizeFilter":{"basePrecision":"0.000001","quotePrecision":"0.0000001","minOrderQty":"0.000011"},'
            b'"priceFilter":{"tickSize":"0.1"},"symbolType":""},{"symbol":"ETHBTC","baseCoin":"ETH","quoteCoin":"BTC",'
            b'"status":"Trading"},{"symbol":"USDCUSDT","baseCoin":"USDC","quoteCoin":"USDT","status":"Trading"}]},'
            b'"retExtInfo":{},"time":1760027412300}'
        ],
        tickers=[
            b'{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"symbol":"BTCUSDT","bid1Price":"1",'
            b'"lastPrice":"78715.1","turnover24h":"243765620.65899866","volume24h":"11801.27771"}]},"time":1}'
        ],
        acks=[
            b'{"success":true,"ret_msg":"subscribe","conn_id":"2324d924-aa4d-45b0","req_id":"7","op":"subscribe"}',
            b'{"success":true,"ret_msg":"unsubscribe","conn_id":"2324d924-aa4d-45b0","req_id":"7","op":"unsubscribe"}',
        ],
        refusals=[
            b'{"success":false,"ret_msg":"Invalid symbol :[orderbook.200.X]","conn_id":"x","req_id":"7",'
            b'"op":"subscribe"}',
            b'{"success":false,"ret_msg":"args size \\u003e10","conn_id":"x","op":"subscribe"}',
        ],
        alive=[b'{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a","op":"ping"}'],
        other=_OTHER,
        rest_errors=_REST_ERRORS,
    ),
    "bybit_future": Samples(
        native="BTCUSDT",
        symbol="BTC-USDT",
        books=[
            b'{"topic":"orderbook.200.BTCUSDT","type":"snapshot","ts":1786310818030,"data":{"s":"BTCUSDT","b":[["65095.30",'
            b'"0.005"]],"a":[["65096.00","1.200"]],"u":18521288,"seq":7961638724},"cts":1786310818028}',
            b'{"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1786310818130,"data":{"s":"BTCUSDT","b":[["65094.60",'
            b'"0.076"],["65093.10","0"]],"a":[["65116.60","0"]],"u":18521289,"seq":7961638801},"cts":1786310818128}',
            b'{"topic":"orderbook.500.BTCUSDT","type":"delta","ts":1676310818130,"data":{"s":"BTCUSDT","b":[],"a":[],'
            b'"u":18521290,"seq":7961638802}}',
        ],
        snapshot=b'{"retCode":0,"retMsg":"OK","result":{"s":"BTCUSDT","a":[["65096.00","1.2"]],"b":[["65095.30","0.3"]],'
        b'"ts":1786310817733,"u":5277055,"seq":3887177875,"cts":1786310817730},"retExtInfo":{},"time":1}',
        instruments=[
            b'{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[{"symbol":"BTCUSDT","symbolId":5,'
            b'"contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","deliveryTime":"0",'
            b'"priceFilter":{"minPrice":"0.10","maxPrice":"1999999.80","tickSize":"0.10"},"lotSizeFilter":{"maxOrderQty":'
            b'"1190.000","qtyStep":"0.001","minNotionalValue":"5"},"fundingInterval":480,"settleCoin":"USDT",'
            b'"preListingInfo":null},{"symbol":"BTCPERP","contractType":"LinearPerpetual","status":"Trading","baseCoin":'
            b'"BTC","quoteCoin":"USDC","settleCoin":"USDC","deliveryTime":"0"},{"symbol":"BTCUSDT-09OCT26",'
            b'"contractType":"LinearFutures","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","settleCoin":"USDT",'
            b'"deliveryTime":"1791532800000"},{"symbol":"BTC-25DEC26","contractType":"LinearFutures","status":"Trading",'
            b'"baseCoin":"BTC","quoteCoin":"USDC","settleCoin":"USDC","deliveryTime":"1798185600000"},{"symbol":'
            b'"1000BONKPERP","contractType":"LinearPerpetual","status":"Trading","baseCoin":"1000BONK","quoteCoin":'
            b'"USDC","settleCoin":"USDC"}],"nextPageCursor":""},"retExtInfo":{},"time":1735809771618}'
        ],
        tickers=[
            b'{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[{"symbol":"BTCUSDT","lastPrice":'
            b'"65095.90","turnover24h":"5084303164.0286","volume24h":"77894.5820"}]},"time":1}'
        ],
        acks=[
            b'{"success":true,"ret_msg":"","conn_id":"da7tou12ob6fpjtusqi0-8f1rr","req_id":"7","op":"subscribe"}',
            b'{"success":false,"ret_msg":"error:already subscribed,topic:orderbook.200.BTCUSDT","conn_id":"x",'
            b'"req_id":"7","op":"subscribe"}',
        ],
        refusals=[
            b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.200.NOPEUSDT","conn_id":"x",'
            b'"req_id":"7","op":"subscribe"}',
            b'{"success":false,"ret_msg":"error:invalid op","conn_id":"x","req_id":"","op":"nope"}',
        ],
        alive=[
            b'{"success":true,"ret_msg":"pong","conn_id":"465772b1-7630-4fdc","req_id":"","op":"ping"}',
            b'{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"x"}',
        ],
        other=_OTHER,
        rest_errors=_REST_ERRORS,
    ),
}
