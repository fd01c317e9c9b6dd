"""What is odd in a frame and costs nothing: times, nulls, spellings. Frames and tapes of every exchange.

Each rule is tried on the samples of all exchanges, changed byte by byte, and once through `hoga replay`; the files of
`../shared/faults`, where they are at hand, have to come out as their README says.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from hoga.cli.main import main
from hoga.domain.books import new_book
from hoga.domain.errors import FrameError
from hoga.domain.types import Update
from hoga.exchanges import registry
from tests.contract.samples import SAMPLES
from tests.support import tapes

TIMES = re.compile(rb'"(E|T|timestamp|tms|ts|cts|time|t|update|current)":\s*("[^"]*"|\d+)|"(17876101\d\d(?:\.\d+)?)"')
EMPTY = re.compile(rb'"(b|a|bids|asks|as|bs|updates|orderbook_units|changes)":\s*\[\]')
PAIR = re.compile(rb'\["([\d.]+)","([\d.]+)"\]')
QUOTED = {"kraken": rb'"(price|qty)":([\d.]+)', "upbit": rb'"(\w\w\w_price|\w\w\w_size)":([\dE.-]+)'}
QUOTED["bithumb"] = QUOTED["upbit"]

FRAMES = [
    pytest.param(code, frame, id=f"{code}-{n}") for code in SAMPLES for n, frame in enumerate(SAMPLES[code].books)
]
every_frame = pytest.mark.parametrize(("code", "frame"), FRAMES)


def parsed(code: str, frame: bytes) -> list[Update]:
    return registry.get(code).handler.parse(frame)


@pytest.mark.parametrize(
    "odd", [b"null", b"0", b"-5", b'"yesterday"', b"1e30", b"true", b'{"at":1}', b'"2026-12-31T23:59:60.5Z"', b"9" * 19]
)
@every_frame
def test_a_time_that_cannot_be_read_is_none_and_the_levels_stay(code: str, frame: bytes, odd: bytes) -> None:
    changed = TIMES.sub(lambda found: b'"%b":%b' % (found[1], odd) if found[1] else odd, frame)
    without = [msgspec.structs.replace(update, exchange_time_ns=0, odd_time=True) for update in parsed(code, frame)]
    assert changed != frame
    assert not any(update.odd_time for update in parsed(code, frame))
    assert parsed(code, changed) == without


@pytest.mark.parametrize("code", SAMPLES)
def test_a_snapshot_by_rest_needs_no_time_that_can_be_read(code: str) -> None:
    native, body = SAMPLES[code].native, SAMPLES[code].snapshot
    handler = registry.get(code).handler
    found = handler.parse_snapshot(native, body)
    changed = handler.parse_snapshot(native, TIMES.sub(rb'"\1":"soon"', body))
    assert changed == msgspec.structs.replace(found, exchange_time_ns=0, odd_time=found.exchange_time_ns > 0)


@every_frame
def test_a_list_of_levels_that_is_null_is_empty(code: str, frame: bytes) -> None:
    assert parsed(code, EMPTY.sub(rb'"\1":null', frame)) == parsed(code, frame)


def test_lists_that_may_be_null_are_in_the_samples_of_every_exchange() -> None:
    assert {code for code, samples in SAMPLES.items() if any(EMPTY.search(frame) for frame in samples.books)} == {
        code for code in SAMPLES if code != "bithumb"
    }


@every_frame
def test_what_stands_behind_price_and_size_is_passed_over(code: str, frame: bytes) -> None:
    for more in (rb'["\1","\2",[]]', rb'["\1","\2","0","x",{"y":[1]}]'):
        assert parsed(code, PAIR.sub(more, frame)) == parsed(code, frame)


@pytest.mark.parametrize("code", ["binance_spot", "binance_future", "bybit_spot", "bybit_future"])
def test_levels_of_numbers_are_read_digit_by_digit(code: str) -> None:
    for frame in SAMPLES[code].books:
        assert parsed(code, PAIR.sub(rb"[\1,\2]", frame)) == parsed(code, frame)
    handler, native = registry.get(code).handler, SAMPLES[code].native
    body = SAMPLES[code].snapshot
    assert handler.parse_snapshot(native, PAIR.sub(rb"[\1,\2,[]]", body)) == handler.parse_snapshot(native, body)


@pytest.mark.parametrize("code", QUOTED)
def test_quoted_numbers_are_read_digit_by_digit(code: str) -> None:
    frame = SAMPLES[code].books[0]
    changed = re.sub(QUOTED[code], rb'"\1":"\2"', frame)
    assert changed.count(b'":"') > frame.count(b'":"') + 3
    assert parsed(code, changed) == parsed(code, frame)


def test_padding_may_be_null_but_a_level_may_not_be_half_null() -> None:
    def units(ask_price: str, ask_size: str) -> bytes:
        unit = f'{{"ask_price":{ask_price},"bid_price":7.5,"ask_size":{ask_size},"bid_size":2}}'
        return f'{{"type":"orderbook","code":"KRW-X","timestamp":1,"orderbook_units":[{unit}]}}'.encode()

    for code in ("upbit", "bithumb"):
        (padded,) = parsed(code, units("null", "null"))
        assert (padded.bids, padded.asks) == ([("7.5", "2")], [])
        for price, size in (("null", "3"), ("8", "null")):
            (half,) = parsed(code, units(price, size))
            with pytest.raises(FrameError):
                _taken(half)


# --- whole tapes, as `hoga replay` tells of them


def _taken(update: Update) -> None:
    new_book().replace(update.bids, update.asks)


def replayed(capsys: pytest.CaptureFixture[str], path: Path) -> dict[str, dict[str, object]]:
    assert main(["replay", str(path), "--json", "--depth", "9"]) in (0, 1)
    symbols: dict[str, dict[str, object]] = json.loads(capsys.readouterr().out)["symbols"]
    return symbols


def recorded(tmp_path: Path, url: str, *frames: str, rest: tuple[str, str] | None = None) -> Path:
    records = [{"kind": "connect", "ts_ns": 1, "conn": "c", "url": url, "data": None}]
    records += [
        {"kind": "recv", "ts_ns": 2 + n, "conn": "c", "url": None, "data": frame} for n, frame in enumerate(frames)
    ]
    if rest is not None:
        records.insert(2, {"kind": "http", "ts_ns": 2, "conn": "r", "url": rest[0], "data": rest[1]})
    path = tmp_path / "tape.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_sizes_of_billions_to_eight_decimals_are_whole_books(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = (
        '{"ask_price":3.1E-4,"bid_price":3.0E-4,"ask_size":7.77123456789E12,"bid_size":0.00000001},'
        '{"ask_price":3.2E-4,"bid_price":2.9E-4,"ask_size":1,"bid_size":99999999999999999999}'
    )
    frame = f'{{"type":"orderbook","code":"KRW-PEPE","timestamp":1790000000100,"orderbook_units":[{units}]}}'
    found = replayed(capsys, recorded(tmp_path, "wss://api.upbit.com/websocket/v1", frame))["PEPE-KRW"]
    assert found["state"] == "LIVE"
    assert found["bids"] == [["0.0003", "0.00000001"], ["0.00029", "99999999999999999999"]]
    assert found["asks"] == [["0.00031", "7771234567890"], ["0.00032", "1"]]


@pytest.mark.parametrize(
    ("bid", "ask", "digits"),
    [
        (
            '{"price":0.0000123450,"qty":65432109876.87654321}',
            '{"price":0.0000123470,"qty":2.5}',
            "123470 25 123450 6543210987687654321",
        ),
        ('{"price":2.30e-6,"qty":4.00E+2}', '{"price":"2.4e-6","qty":"7"}', "24 7 230 400"),
        ('{"price":12.5e1,"qty":0.30}', '{"price":1.26E2,"qty":"1"}', "126 1 125 30"),
    ],
)
def test_the_checksum_of_kraken_is_over_plain_digits_of_any_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bid: str, ask: str, digits: str
) -> None:
    total = crc32(digits.replace(" ", "").encode())
    book = f'{{"symbol":"A/USD","bids":[{bid}],"asks":[{ask}],"checksum":{total},"timestamp":"2026-09-21T14:13:20Z"}}'
    frame = f'{{"channel":"book","type":"snapshot","data":[{book}]}}'
    found = replayed(capsys, recorded(tmp_path, "wss://ws.kraken.com/v2", frame))["A-USD"]
    assert (found["state"], found["checksum_ok"], found["checksum_bad"]) == ("LIVE", 1, 0)


def test_a_frame_without_a_time_is_as_new_as_it_arrives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def frame(bid: int, time: str) -> str:
        unit = f'{{"ask_price":90,"bid_price":{bid},"ask_size":1,"bid_size":1}}'
        return f'{{"type":"orderbook","code":"KRW-X","timestamp":{time},"orderbook_units":[{unit}]}}'

    frames = [frame(70, "1790000000500"), frame(71, "0"), frame(72, "null"), frame(69, "1790000000400")]
    found = replayed(capsys, recorded(tmp_path, "wss://api.upbit.com/websocket/v1", *frames))["X-KRW"]
    assert (found["state"], found["bids"]) == ("LIVE", [["72", "1"]])
    assert (found["applied"], found["stale"], found["odd_times"]) == (3, 1, 2)


def test_a_market_without_a_book_joins_by_minus_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its first event follows on nothing, and so does its snapshot."""

    def frame(first: int, last: int, before: int, bid: str) -> str:
        data = {"e": "depthUpdate", "E": 1790000000100, "s": "THINUSDT", "U": first, "u": last, "pu": before}
        return json.dumps({"stream": "thinusdt@depth", "data": data | {"b": [[bid, "5"]], "a": []}})

    url = "wss://fstream.binance.com/stream?streams=thinusdt@depth"
    rest = "https://fapi.binance.com/fapi/v1/depth?symbol=THINUSDT&limit=1000"
    frames = [frame(41, 44, -1, "3.5"), frame(50, 52, 44, "3.6")]
    for last in (-1, 42, 44):
        levels = [["3.5", "5"]] if last > 0 else []
        body = json.dumps({"lastUpdateId": last, "E": 0, "T": 0, "bids": levels, "asks": []})
        found = replayed(capsys, recorded(tmp_path, url, *frames, rest=(rest, body)))["THIN-USDT"]
        assert (found["state"], found["last_seq"], found["gaps"]) == ("LIVE", 52, 0)
        assert found["bids"] == [["3.6", "5"], ["3.5", "5"]]


FAULTS: dict[str, dict[str, tuple[str, list[list[str]], list[list[str]]]]] = {
    "06-kraken-exponent": {"PEP-USD": ("LIVE", [["0.00000017", "100"]], [["0.00000019", "5"]])},
    "10-upbit-huge-sizes": {
        "BTT-KRW": (
            "LIVE",
            [["0.0005", "12345.12345678"], ["0.00049", "250000000000"]],
            [["0.00051", "152345678900"], ["0.00052", "98765432101234567"]],
        )
    },
    "11-upbit-one-sided": {
        "AAA-KRW": ("LIVE", [["100", "3"], ["99", "1"]], []),
        "BBB-KRW": ("LIVE", [], [["101", "2"]]),
        "CCC-KRW": ("LIVE", [["100", "3"]], []),
        "DDD-KRW": ("LIVE", [], []),
        "EEE-KRW": ("SYNCING", [], []),
        "FFF-KRW": ("LIVE", [["100", "3"]], [["101", "1"]]),
    },
    "13-upbit-ts-odd": {"BTC-KRW": ("LIVE", [["101", "1"]], [["102", "1"]])},
    "14-coinbase-null-updates": {
        "BTC-USD": (
            "LIVE",
            [["100", "0.00000003"]],
            [["102", "100"], ["103", "1"], ["104", "1"], ["105", "1"], ["106", "1"]],
        )
    },
    "17-kraken-19-digits": {
        "BTT-USD": ("LIVE", [["0.000000581", "12345678901.12345678"]], [["0.000000585", "98765432109.5"]])
    },
    "21-new-listing-future": {"NEW-USDT": ("LIVE", [["1.02", "5"], ["1", "5"]], [["1.1", "2"]])},
    "23-levels-with-empty-list": {"AAA-BTC": ("LIVE", [["1", "6"]], [["1.1", "2"]])},
    "45-okx-19-digits": {"SATS-USDT": ("LIVE", [["0.0000002019", "5"]], [["0.0000002021", "12345678901.12345678"]])},
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_shared_faults_come_out_right(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = replayed(capsys, tapes.tape(f"../faults/{name}.jsonl"))
    assert {key: (one["state"], one["bids"], one["asks"]) for key, one in found.items()} == FAULTS[name]
