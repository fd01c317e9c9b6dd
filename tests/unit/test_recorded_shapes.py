"""Shapes that other people's recordings show and no document tells, in frames of our own."""

from __future__ import annotations

from zlib import crc32

from hoga.domain.rules import BookRules
from hoga.domain.types import Stamp, State
from hoga.exchanges import registry
from tests.support.shelf import OpenShelf

AT = Stamp(1_746_523_046 * 10**9, 1_746_523_046 * 10**9)


def kraken(kind: str, bids: str, asks: str, checksum: int, more: str = "") -> bytes:
    data = f'{{"symbol":"ETH/USD","bids":[{bids}],"asks":[{asks}],"checksum":{checksum}{more}}}'
    return f'{{"channel":"book","type":"{kind}","data":[{data}]}}'.encode()


def test_a_kraken_snapshot_may_come_without_a_time() -> None:
    """Seen in 2025; the update behind it had one."""
    bid, ask, better = '{"price":10.10,"qty":0.50}', '{"price":10.30,"qty":2.00}', '{"price":10.20,"qty":1.00}'
    frames = [
        kraken("snapshot", bid, ask, crc32(b"1030200" + b"101050")),
        kraken("update", "", better, crc32(b"1020100" + b"1030200" + b"101050"), ',"timestamp":"2025-05-06T09:17:26Z"'),
    ]
    shelf = OpenShelf(registry.get("kraken"), BookRules())
    for frame in frames:
        shelf.frame("ETH/USD", "ETH/USD", frame, "a", AT)
    keeper = shelf.builders["ETH/USD"]
    assert (keeper.state, keeper.counters.checksum_ok, keeper.counters.checksum_bad) == (State.LIVE, 2, 0)
    assert keeper.book.texts(9) == ([("10.1", "0.5")], [("10.2", "1"), ("10.3", "2")])


def test_bithumb_in_simple_format_has_milliseconds_and_an_empty_best_ask() -> None:
    """Seen in 2024: `tms` of 13 digits, where the stream of 2026 has 16, and a size rounded to 0.0 at the best ask."""
    frame = (
        b'{"ty":"orderbook","cd":"KRW-ETH","tas":0.5,"tbs":0.5,"obu":[{"ap":102,"bp":101,"as":0.0,"bs":0.1},'
        b'{"ap":103,"bp":100,"as":0.5,"bs":0.4}],"lv":1,"tms":1732796700425,"st":"REALTIME"}'
    )
    (update,) = registry.get("bithumb").handler.parse(frame)
    assert update.exchange_time_ns == 1_732_796_700_425 * 10**6
    assert update.asks == [("103", "0.5")]
    assert update.bids == [("101", "0.1"), ("100", "0.4")]
