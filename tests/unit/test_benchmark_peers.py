"""Others are measured with the same frames; one that is not there leaves its row empty."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.core_frames import made
from hoga.exchanges.registry import EXCHANGES


@pytest.fixture(scope="module")
def feed():
    return made(EXCHANGES["binance_future"], symbols=2, seconds=3.0)


def test_the_plain_reader_ends_with_every_book_at_its_newest_id(feed, tmp_path):
    frames, snapshots = tmp_path / "frames", tmp_path / "snapshots"
    frames.write_bytes(b"\n".join(data for data, _ in feed.frames))
    snapshots.write_text(json.dumps({native: json.loads(body) for native, body in feed.snapshots.items()}))
    found = peers.read(Path(sys.executable), "floor.py", feed, [str(frames), str(snapshots)], 5)
    assert (found["books"], found["of"]) == (2, 2)
    assert 0 < found["us"] < found["read_us"]


def test_a_peer_that_cannot_be_installed_is_one_line_and_an_empty_row(feed, tmp_path, monkeypatch, capsys):
    def no_registry(command, **_):
        raise subprocess.CalledProcessError(1, command, stderr="trying\nno matching distribution\n")

    monkeypatch.setattr(peers, "CACHE", tmp_path)
    monkeypatch.setattr(peers.venv, "create", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(peers.subprocess, "run", no_registry)
    assert peers.python_of("cryptofeed", "2.4.1") is None
    assert capsys.readouterr().err.splitlines()[1:] == [
        "cryptofeed 2.4.1 cannot be installed here: no matching distribution"
    ]
    ours = {"us": 4.0, "read_us": 4.0, "books": 2, "of": 2}
    lines = peers.table(feed, {"ours": ours, "cryptofeed": None, "plain": ours | {"us": 10.0}}).splitlines()
    assert lines[2:] == [
        "| ours | 4.0 | 1.00 | 4.0 | 1.00 | 2 of 2 |",
        "| cryptofeed |  |  |  |  |  |",
        "| plain | 10.0 | 2.50 | 4.0 | 1.00 | 2 of 2 |",
    ]


def test_the_best_round_counts_and_the_worst_ending(feed):
    rounds = [{"us": 2.0, "read_us": 9.0, "books": 2, "of": 2}, None, {"us": 3.0, "read_us": 8.0, "books": 1, "of": 2}]
    assert peers.best(rounds) == {"us": 2.0, "read_us": 8.0, "books": 1, "of": 2}
    assert peers.best([None]) is None
