"""Gate's frames and bodies in their documented and recorded shapes, shortened."""

from __future__ import annotations

from tests.contract.samples import Samples

SAMPLES: dict[str, Samples] = {
    "gate_spot": Samples(
        native="BTC_USDT",
        symbol="BTC-USDT",
        books=[
            b'{"channel":"spot.obu","event":"update","time_ms":1757900000013,"result":{"t":1757900000000,"full":true,'
            b'"s":"ob.BTC_USDT.400","u":100,"b":[["111666","0.13"]],"a":[["111676","0.5"]]}}',
            b'{"channel":"spot.obu","event":"update","time_ms":1757900000113,"result":{"t":1757900000100,'
            b'"s":"ob.BTC_USDT.400","U":101,"u":107,"a":[["111676","0"],["111677","2"]]}}',
            b'{"channel":"spot.obu","event":"update","time_ms":1757900000213,"result":{"t":1757900000200,'
            b'"s":"ob.BTC_USDT.50","U":108,"u":108}}',
            b'{"time":1619093532,"channel":"spot.order_book_update","event":"update","result":{"t":1619093532978,'
            b'"e":"depthUpdate","E":1619093532,"s":"BTC_USDT","U":2691446,"u":2691448,"b":[["56000.1","5360.209"]],'
            b'"a":[]}}',
            b'{ "result": { "s": "BTC_USDT", "t": 1619093532978, "U": 9, "u": 9, "b": [], "a": [] }, "event": '
            b'"update", "channel": "spot.order_book_update" }',
        ],
        snapshot=b'{"id":2691446,"current":1619093533120,"update":1619093532978,"asks":[["56001.2","5.5"]],'
        b'"bids":[["56000.1","0.25"]]}',
        instruments=[
            b'[{"id":"BTC_USDT","base":"BTC","quote":"USDT","fee":"0.2","min_quote_amount":"1","amount_precision":4,'
            b'"precision":1,"trade_status":"tradable","sell_start":0,"buy_start":0},{"id":"QTUM3S_USDT","base":"QTUM3S",'
            b'"quote":"USDT","amount_precision":0,"precision":9,"trade_status":"untradable"},{"id":"ETH_BTC","base":"ETH",'
            b'"quote":"BTC","trade_status":"buyable"}]'
        ],
        tickers=[
            b'[{"currency_pair":"BTC_USDT","last":"56000.1","lowest_ask":"56001.2","highest_bid":"56000.1",'
            b'"base_volume":"1138.01","quote_volume":"63728560.12"}]'
        ],
        acks=[
            b'{"time":1757900000,"time_ms":1757900000013,"id":7,"conn_id":"4bd7","channel":"spot.obu",'
            b'"event":"subscribe","payload":["ob.BTC_USDT.400"],"result":{"status":"success"}}',
            b'{"time":1757900000,"id":7,"channel":"spot.obu","event":"unsubscribe","payload":["ob.BTC_USDT.400"],'
            b'"result":{"status":"success"}}',
            b'{"time":1757900000,"id":7,"channel":"spot.obu","event":"subscribe","payload":["ob.BTC_USDT.400"],'
            b'"error":{"code":2,"message":"Alert sub ob.BTC_USDT.400"},"result":{"status":"fail"}}',
        ],
        refusals=[
            b'{"time":1757900000,"id":7,"channel":"spot.order_book_update","event":"subscribe","payload":["X_Y","100ms"],'
            b'"error":{"code":2,"message":"unknown currency pair X_Y"},"result":{"status":"fail"}}',
            b'{"time":1757900000,"error":{"code":1,"message":"invalid argument"},"result":{"status":"fail"}}',
        ],
        alive=[b'{"time":1757900000,"time_ms":1757900000013,"channel":"spot.pong","event":"","result":null}'],
        other=[
            b'{"time":1619093532,"channel":"spot.trades","event":"subscribe","result":{"status":"success"}}',
            b'{"time":1619093543,"channel":"spot.trades","event":"update","result":{"id":816995772,"side":"sell"}}',
        ],
        rest_errors=[b'{"label":"INVALID_CURRENCY_PAIR","message":"Invalid currency pair X_Y"}'],
    ),
}
