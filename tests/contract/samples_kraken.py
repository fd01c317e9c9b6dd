"""Kraken's frames and bodies for the battery: websocket v2, the v1 of recordings, REST."""

from __future__ import annotations

from tests.contract.samples import Samples

SAMPLES: dict[str, Samples] = {
    "kraken": Samples(
        native="BTC/USD",
        symbol="BTC-USD",
        books=[
            b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":78871.5,"qty":0.01266503}],'
            b'"asks":[{"price":78871.6,"qty":4.21103066}],"checksum":1406471562,'
            b'"timestamp":"2026-08-24T22:21:57.110183Z"}]}',
            b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":78858.8,"qty":0.00000000},'
            b'{"price":78857.0,"qty":0.34775324}],"asks":[],"checksum":2416540570,'
            b'"timestamp":"2026-08-24T22:21:58.343688Z"}]}',
            b'{ "type": "update", "data": [ { "timestamp": "2026-08-24T22:21:58Z", "symbol": "BTC\\/USD", '
            b'"asks": [ { "qty": 1, "price": 78858 } ] } ], "channel": "book", "new": [1] }',
            b'[0,{"as":[["78871.60000","4.21103066","1787610117.110183"]],"bs":[]},"book-100","XBT/USD"]',
            b'[0,{"a":[["78871.60000","0.00000000","1787610118.343688"]]},{"b":[["78857.00000","0.34775324",'
            b'"1787610118.343687","r"]],"c":"974947235"},"book-1000","XBT/USD"]',
            b'[ 0, {"b": [["78857.00000","0.34775324","1787610118"]], "c": "0"}, "book-10", "BTC\\/USD" ]',
        ],
        snapshot=b'{"error":[],"result":{"pair":"BTC/USD","grouping":1,"bids":[{"price":"78871.5","qty":"0.01266503"}],'
        b'"asks":[{"price":"78871.6","qty":"4.21103066"}]}}',
        instruments=[
            b'{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT\\/USD","base":"XXBT","quote":"ZUSD",'
            b'"pair_decimals":1,"lot_decimals":8,"tick_size":"0.1","status":"online"},"XDGEUR":{"altname":"XDGEUR",'
            b'"wsname":"XDG/EUR","pair_decimals":7,"lot_decimals":8,"status":"cancel_only"},"XXBTZUSD.d":{"altname":'
            b'"XBTUSD.d","pair_decimals":1,"lot_decimals":8}}}'
        ],
        tickers=[
            b'{"error":[],"result":{"BTC/USD":{"a":["78871.6","1","1.000"],"c":["78871.50000","0.01"],'
            b'"v":["99.1","1127313210.00855204"],"p":["78000.1","78123.4567891"],"t":[1,2],"o":"1"}}}'
        ],
        acks=[
            b'{"method":"subscribe","req_id":7,"result":{"channel":"book","depth":100,"snapshot":true,'
            b'"symbol":"BTC/USD"},"success":true,"time_in":"x","time_out":"y"}',
            b'{"method":"unsubscribe","req_id":7,"result":{"channel":"book","depth":100,"symbol":"BTC/USD"},'
            b'"success":true}',
            b'{"channelID":992,"channelName":"book-1000","event":"subscriptionStatus","pair":"XBT/USD",'
            b'"status":"subscribed","subscription":{"depth":1000,"name":"book"}}',
        ],
        refusals=[
            b'{"error":"Currency pair not supported XYZ/USD","method":"subscribe","req_id":7,"success":false,'
            b'"symbol":"XYZ/USD","time_in":"x","time_out":"y"}',
            b'{"error":"Malformed request","success":false}',
            b'{"Error":"Exceeded msg rate"}',
            b'{"errorMessage":"Currency pair not supported XYZ/USD","event":"subscriptionStatus","pair":"XYZ/USD",'
            b'"status":"error","subscription":{"depth":10,"name":"book"}}',
        ],
        alive=[
            b'{"channel":"heartbeat"}',
            b'{ "channel": "heartbeat" }',
            b'{"method":"pong","time_in":"x","time_out":"y"}',
            b'{"event":"heartbeat"}',
        ],
        phases=[
            b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
            b'"connection_id":18266300427528990701}]}',
            b'{"connectionID":17843232920108168701,"event":"systemStatus","status":"online","version":"1.8.3"}',
        ],
        other=[
            b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","price":1}]}',
            b'{"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"BTC/USD"},"success":true}',
            b'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"]',
        ],
        rest_errors=[
            b'{"error":["EQuery:Unknown asset pair"]}',
            b'{"error":["EGeneral:Too many requests"],"result":{}}',
        ],
    )
}
