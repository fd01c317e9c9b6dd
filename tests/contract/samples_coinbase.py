"""Coinbase's documented and recorded shapes, small."""

from __future__ import annotations

from tests.contract.samples import Samples

SAMPLES = {
    "coinbase": Samples(
        native="BTC-USD",
        symbol="BTC-USD",
        books=[
            b'{"channel":"l2_data","client_id":"","timestamp":"2026-08-24T22:34:13.793075885Z","sequence_num":0,"events":'
            b'[{"type":"snapshot","product_id":"BTC-USD","updates":[{"side":"offer","event_time":"1970-01-01T00:00:00Z",'
            b'"price_level":"78856.06","new_quantity":"0.0801158"},{"side":"bid","event_time":"0001-01-01T00:00:00Z",'
            b'"price_level":"78856.05","new_quantity":"0.0476177"}]}]}',
            b'{"channel":"l2_data","timestamp":"2026-08-24T22:34:13.8Z","sequence_num":7,"events":[{"type":"update",'
            b'"product_id":"BTC-USD","updates":[]},{"type":"update","product_id":"BTC-USD","updates":[{"side":"bid",'
            b'"event_time":"2026-08-24T22:34:13.483122Z","price_level":"78856.05","new_quantity":"0"}]}]}',
            b'{ "timestamp": "2026-08-24T22:34:13Z", "channel": "l2_data", "events": [ { "updates": [], "product_id": '
            b'"BTC-USD", "type": "update" } ], "sequence_num": 9 }',
            b'{"type":"l2update","product_id":"BTC-USD","changes":[["sell","10102.55","0.57"],["buy","10101.10","0"]],'
            b'"time":"2021-04-17T16:43:37.075687Z"}',
            b'{"product_id":"BTC-USD","bids":[["10101.10","0.45"]],"asks":[],"type":"snapshot",'
            b'"time":"2023-04-17T16:43:37Z"}',
        ],
        snapshot=b'{"pricebook":{"product_id":"BTC-USD","bids":[{"price":"68923.66","size":"0.17189468"}],"asks":[{"price":'
        b'"68923.67","size":"0.16"}],"time":"2026-04-07T00:28:59.662782Z"},"last":"68923.665","spread_bps":"0.0014"}',
        instruments=[
            b'{"products":[{"product_id":"BTC-USD","price":"68925.98","base_increment":"0.00000001","quote_increment":'
            b'"0.01","is_disabled":false,"status":"online","trading_disabled":false,"product_type":"SPOT",'
            b'"quote_currency_id":"USD","base_currency_id":"BTC","alias":"","alias_to":["BTC-USDC"],'
            b'"price_increment":"0.01"},{"product_id":"BTC-USDC","status":"online","product_type":"SPOT",'
            b'"quote_currency_id":"USDC","base_currency_id":"BTC","alias":"BTC-USD","alias_to":[]}],"num_products":2}',
            b'[{"id":"ETH-BTC","base_currency":"ETH","quote_currency":"BTC","quote_increment":"0.00001",'
            b'"base_increment":"0.00000001","status":"online","trading_disabled":false,"limit_only":true}]',
        ],
        tickers=[
            b'{"products":[{"product_id":"BTC-USD","price":"68925.98","volume_24h":"11005.02587005",'
            b'"approximate_quote_24h_volume":"758532193.02","product_type":"SPOT"}]}'
        ],
        acks=[
            b'{"channel":"subscriptions","timestamp":"2026-09-07T23:37:22.278739877Z","sequence_num":2,"events":'
            b'[{"subscriptions":{"heartbeats":["heartbeats"],"level2":["BTC-USD","ETH-USD"]}}]}',
            b'{"type":"subscriptions","channels":[{"name":"ticker","product_ids":["ETH-USD"]},{"name":"level2",'
            b'"product_ids":["BTC-USD"]}]}',
        ],
        refusals=[
            b'{"type":"error","message":"authentication failure"}',
            b'{"message":"Failed to subscribe","reason":"X-Y is not a valid product","type":"error"}',
        ],
        alive=[
            b'{"channel":"heartbeats","timestamp":"2026-09-07T23:37:22.675755362Z","sequence_num":3,"events":[{'
            b'"current_time":"2026-09-07 23:37:22.674409 +0000 UTC m=+139651.272674714","heartbeat_counter":139651}]}',
        ],
        other=[
            b'{"channel":"subscriptions","timestamp":"2026-09-07T23:37:22Z","sequence_num":0,"events":[{"subscriptions":'
            b'{"heartbeats":["heartbeats"]}}]}',
            b'{"channel":"subscriptions","timestamp":"2026-06-14T05:35:45Z","sequence_num":1,"events":'
            b'[{"subscriptions":{}}]}',
            b'{"channel":"l2_data","timestamp":"2026-06-14T05:35:45Z","sequence_num":1,"events":[]}',
            b'{"channel":"ticker","timestamp":"2026-06-14T05:35:45Z","sequence_num":1,"events":[{"type":"update",'
            b'"tickers":[{"product_id":"BTC-USD","price":"64281.7"}]}]}',
            b'{"type":"match","trade_id":280232,"side":"sell","product_id":"BTC-USD","sequence":177100030}',
            b'{"type":"ticker","sequence":333938798,"product_id":"BTC-USD","price":"14.7775"}',
        ],
        rest_errors=[
            b'{"error":"NOT_FOUND","error_details":"product not found","message":"product not found"}',
            b'{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}',
            b'{"message":"NotFound"}',
        ],
    ),
}
