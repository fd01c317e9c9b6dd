"""The benchmark of the core measures what it says: every book LIVE, both classes of book the same."""

import json
import subprocess
import sys

import pytest

from benchmarks.core import measure
from benchmarks.core_frames import made
from benchmarks.core_path import Path
from hoga.domain import books
from hoga.exchanges.registry import EXCHANGES
from hoga.wire import pb


@pytest.fixture(autouse=True)
def as_before():
    word = books.in_use()
    yield
    books.use(word)


@pytest.mark.parametrize("code", EXCHANGES)
def test_every_exchange_is_measured_with_live_books(code):
    found = measure(made(EXCHANGES[code], symbols=2, seconds=3.0), repeats=1)
    assert (found["live"], found["books"]) == (2, 2)
    assert found["python"] > 0
    assert (found["native"] is not None) == ("native" in books.CLASSES)
    assert found["frames"] > 30
    assert 5 < found["calls"] < 500


def test_the_messages_are_books_of_twenty_levels_at_the_newest_id():
    feed = made(EXCHANGES["binance_spot"], symbols=1, seconds=3.0)
    path = Path(feed.exchange, feed.snapshots)
    for data, stamp in feed.frames:
        path.frame(data, stamp)
        path.answer(stamp)
    (book,) = map(pb.OrderBook.FromString, path.messages.values())
    newest = json.loads(feed.frames[-1][0])["data"]["u"]
    assert (book.state, book.sequence) == (pb.BookState.BOOK_STATE_LIVE, newest)
    assert len(book.bid_price) == len(book.ask_price) == 20


def test_frames_and_snapshots_from_files(tmp_path):
    feed = made(EXCHANGES["binance_future"], symbols=2, seconds=3.0)
    frames, snapshots = tmp_path / "frames.jsonl", tmp_path / "snapshots.json"
    frames.write_bytes(b"\n".join(data for data, _ in feed.frames))
    snapshots.write_text(json.dumps({native: json.loads(body) for native, body in feed.snapshots.items()}))
    command = [sys.executable, "-m", "benchmarks.core", "--json", "--repeats", "1", "--frames", str(frames)]
    done = subprocess.run(
        [*command, "--exchange", "binance_future", "--snapshots", str(snapshots)], capture_output=True
    )
    found = json.loads(done.stdout)
    assert (found["live"], found["books"]) == (2, 2), done.stderr
    without = subprocess.run([*command, "--exchange", "binance_future"], capture_output=True, check=True)
    assert json.loads(without.stdout)["live"] == 0
    assert subprocess.run(command, capture_output=True).returncode == 2
