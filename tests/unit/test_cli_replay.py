"""A tape without a book says why it has none, where the exchange's module knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hoga.cli.main import main

DELTA = (
    '{"type":"orderbookdepth","content":{"list":[{"symbol":"XLM_KRW","orderType":"ask","price":"401.2","quantity":"0",'
    '"total":"0"}],"datetime":"1628835823604483"}}'
)


def tape(path: Path, *frames: str) -> Path:
    connect = {"kind": "connect", "ts_ns": 1, "conn": "a", "url": "wss://pubwss.bithumb.com/pub/ws", "data": None}
    received = [
        {"kind": "recv", "ts_ns": 2 + number, "conn": "a", "url": None, "data": frame}
        for number, frame in enumerate(frames)
    ]
    path.write_text("\n".join(json.dumps(record) for record in (connect, *received)))
    return path


def test_old_bithumb_deltas_are_left_aside_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tape(tmp_path / "old.jsonl", '{"status":"0000","resmsg":"Connected Successfully"}', DELTA, DELTA)
    assert main(["replay", str(path)]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "no order book in this tape" in said
    assert "2 frames were left aside: orderbookdepth has no ids" in said
    assert main(["replay", str(path), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert list(found["left_aside"].values()) == [2]
    assert (found["symbols"], found["unknown"], found["troubles"]) == ({}, 0, [])


def test_frames_of_no_interest_give_no_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tape(tmp_path / "trades.jsonl", '{"type":"transaction","content":{"list":[]}}')
    assert main(["replay", str(path)]) == 2
    assert "left aside" not in capsys.readouterr().out


def test_the_reason_of_a_state_and_a_channel_that_is_not_the_live_one_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    update = '{"t":1619093532978,"e":"depthUpdate","s":"HAI_ETH","U":9,"u":9,"b":[["0.1","5"]],"a":[]}'
    frame = f'{{"channel":"spot.order_book_update","event":"update","result":{update}}}'
    connect = {"kind": "connect", "ts_ns": 1, "conn": "a", "url": "wss://api.gateio.ws/ws/v4/", "data": None}
    received = {"kind": "recv", "ts_ns": 2, "conn": "a", "url": None, "data": frame}
    path = tmp_path / "gate.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in (connect, received)))
    assert main(["replay", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "HAI-ETH is SYNCING: " in said
    assert "1 books are of the channel 'spot.order_book_update'" in said
    assert main(["replay", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["channels"] == {"HAI-ETH": "spot.order_book_update"}
