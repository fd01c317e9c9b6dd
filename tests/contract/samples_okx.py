"""Small OKX frames and bodies in the documented shape, for the battery of `test_exchanges`."""

from __future__ import annotations

from tests.contract.samples import Samples


def _books(native: str) -> list[bytes]:
    arg = b'{"arg":{"channel":"books","instId":"%s"},' % native.encode()
    return [
        arg + b'"action":"snapshot","data":[{"asks":[["78722.3","0.33","0","10"]],"bids":[["78722.2","0.48","0","19"]],'
        b'"ts":"1787612486107","checksum":0,"seqId":80274874800,"prevSeqId":-1}]}',
        arg + b'"action":"update","data":[{"asks":[["78729.9","0","0","0"]],"bids":[],"ts":"1787612486207",'
        b'"checksum":0,"seqId":80274874876,"prevSeqId":80274874800}]}',
        # without a change; 2022, before the ids; levels of two, three and five elements; written by another encoder
        arg + b'"action":"update","data":[{"asks":[],"bids":[],"ts":"1787612546207","seqId":80274874876,'
        b'"prevSeqId":80274874876}]}',
        arg + b'"action":"update","data":[{"asks":[["30249.4","0","0","0"]],"bids":[],"ts":"1652459225464",'
        b'"checksum":-914047754}]}',
        arg + b'"action":"snapshot","data":[{"asks":[["2","1"],["3","1","4"]],"bids":[["1","1","0","1",{"new":[]}]],'
        b'"ts":"1787612486107","seqId":7,"prevSeqId":-1,"new":null}],"new":1}',
        b'{ "action": "update", "arg": { "instId": "%s", "channel": "books" }, "data": [ { "ts": "1787612486207", '
        b'"bids": [], "asks": [], "seqId": 9, "prevSeqId": 8 } ] }' % native.encode(),
        arg.replace(b"books", b"books50-l2-tbt")
        + b'"action":"update","data":[{"asks":[],"bids":[["1","2","0","1"]],"ts":"1787612486207","seqId":9,'
        b'"prevSeqId":8}]}',
    ]


def _control(native: str) -> dict[str, list[bytes]]:
    name = native.encode()
    return {
        "acks": [
            b'{"id":"7","event":"subscribe","arg":{"channel":"books","instId":"%s"},"connId":"a4d3ae55"}' % name,
            b'{"event":"subscribe","arg":{"channel":"books","instId":"%s"}}' % name,
            b'{"event":"unsubscribe","arg":{"channel":"books","instId":"%s"},"connId":"d0b44253"}' % name,
        ],
        "refusals": [
            b'{"event":"error","msg":"Wrong URL or channel:books,instId:NOPE doesn\'t exist. Please use the correct '
            b'URL, channel and parameters referring to API document.","code":"60018","connId":"a4d3ae55"}',
            b'{"id":"7","event":"error","code":"60012","msg":"Invalid request: {}","connId":"a4d3ae55"}',
        ],
        "alive": [b"pong"],
        "phases": [
            b'{"arg":{"channel":"instruments","instType":"SPOT"},"data":[{"instId":"%s","state":"live"}]}' % name,
            b'{"arg":{"channel":"status"},"data":[{"begin":"1672823400000","end":"1672825980000","state":"ongoing",'
            b'"serviceType":"1","env":"1","preOpenBegin":"","system":"unified","ts":"1672826038470"}]}',
        ],
        "other": [
            b'{"arg":{"channel":"tickers","instId":"%s"},"data":[{"instType":"SPOT","last":"1"}]}' % name,
            b'{"arg":{"channel":"books5","instId":"%s"},"data":[{"asks":[],"bids":[],"ts":"1","seqId":1}]}' % name,
            b'{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"abcd1234"}',
            b'{"event":"notice","code":"64999","msg":"something else","connId":"a4d3ae55"}',
        ],
        "rest_errors": [
            b'{"msg":"Too Many Requests","code":"50011"}',
            b'{"code":"51001","data":[],"msg":"Instrument ID or Spread ID doesn\'t exist."}',
        ],
    }


_SNAPSHOT = (
    b'{"code":"0","msg":"","data":[{"asks":[["77927.5","1.53603807","0","12"]],"bids":[["77927.4","0.39772851","0","5"]],'
    b'"ts":"1788253213356","seqId":80632135948}]}'
)
_SPOT = (
    b'{"code":"0","data":[{"baseCcy":"BTC","ctMult":"","ctType":"","ctVal":"","ctValCcy":"","instFamily":"","instId":'
    b'"BTC-USDT","instIdCode":null,"instType":"SPOT","lotSz":"0.00000001","minSz":"0.00001","quoteCcy":"USDT",'
    b'"settleCcy":"","state":"live","tickSz":"0.1","uly":""}],"msg":""}'
)
_SWAPS = (
    b'{"code":"0","data":[{"baseCcy":"","ctMult":"1","ctType":"linear","ctVal":"0.01","ctValCcy":"BTC","instFamily":'
    b'"BTC-USDT","instId":"BTC-USDT-SWAP","instType":"SWAP","lotSz":"0.01","quoteCcy":"","settleCcy":"USDT","state":'
    b'"live","tickSz":"0.1","uly":"BTC-USDT"},{"ctMult":"1","ctType":"inverse","ctVal":"100","ctValCcy":"USD",'
    b'"instId":"BTC-USD-SWAP","instType":"SWAP","lotSz":"1","state":"suspend","tickSz":"0.1","uly":"BTC-USD"},'
    b'{"ctMult":"1","ctType":"linear","ctVal":"0.0001","ctValCcy":"BTC","instFamily":"BTC-USD_UM","instId":'
    b'"BTC-USD_UM-SWAP","instType":"SWAP","lotSz":"1","state":"live","tickSz":"0.1","uly":"BTC-USD"}],"msg":""}'
)
_FUTURES = (
    b'{"code":"0","data":[{"alias":"quarter","ctMult":"1","ctType":"linear","ctVal":"0.01","ctValCcy":"BTC","expTime":'
    b'"1798185600000","instFamily":"BTC-USDT","instId":"BTC-USDT-251226","instType":"FUTURES","lotSz":"1","state":'
    b'"live","tickSz":"0.1","uly":"BTC-USDT"}],"msg":""}'
)

SAMPLES: dict[str, Samples] = {
    "okx_spot": Samples(
        native="BTC-USDT",
        symbol="BTC-USDT",
        books=_books("BTC-USDT"),
        snapshot=_SNAPSHOT,
        instruments=[_SPOT],
        tickers=[
            b'{"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USDT","last":"77927.4","vol24h":"6000.5",'
            b'"volCcy24h":"468000000.25","ts":"1788253213356"}]}'
        ],
        **_control("BTC-USDT"),
    ),
    "okx_swap": Samples(
        native="BTC-USDT-SWAP",
        symbol="BTC-USDT",
        books=_books("BTC-USDT-SWAP"),
        snapshot=_SNAPSHOT,
        instruments=[_SWAPS, _FUTURES],
        tickers=[
            b'{"code":"0","msg":"","data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","last":"77927.4","vol24h":'
            b'"12000000","volCcy24h":"120000.0123","ts":"1788253213356"}]}'
        ],
        **_control("BTC-USDT-SWAP"),
    ),
}
