"""Every recorded tape through the production path, compared level by level with an independent naive book."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest

from hoga.cli.main import main
from hoga.domain.builder import BookBuilder
from hoga.domain.types import Stamp, State
from hoga.runtime.books import BookShelf
from hoga.runtime.replay import Replay, replay
from tests.support import naive, tapes

BINANCE = [
    ("binance_future/btcusdt_20240808_depth0ms.jsonl.gz", True),
    ("binance_future/cryptofeed2021_binance_futures.jsonl.gz", True),
    ("binance_other/cryptofeed2021_binance_delivery.jsonl.gz", True),
    ("binance_spot/btcusdt_20240808_depth100ms.jsonl.gz", False),
    ("binance_spot/cryptofeed2021_binance.jsonl.gz", False),
    ("binance_other/cryptofeed2021_binance_us.jsonl.gz", False),
]
UPBIT = "upbit/cryptofeed2021_upbit.jsonl.gz"
ALL_LEVELS = 10_000
SHOWN = 20


def levels(texts: list[tuple[str, str]]) -> naive.Levels:
    return [(Decimal(price), Decimal(size)) for price, size in texts]


def check_equal(run: Replay, truth: dict[str, naive.NaiveBook]) -> None:
    assert set(run.shelf.builders) == set(truth)
    for native, keeper in run.shelf.builders.items():
        bids, asks = keeper.book.texts(ALL_LEVELS)
        true_bids, true_asks = truth[native].top(ALL_LEVELS)
        assert levels(bids) == true_bids, f"bids of {native}"
        assert levels(asks) == true_asks, f"asks of {native}"
        assert keeper.state is State.LIVE
        counters = keeper.counters
        assert (counters.gaps, counters.reversals, counters.crossed, counters.rejected) == (0, 0, 0, 0)


@pytest.mark.parametrize(("name", "futures"), BINANCE)
def test_a_binance_tape_ends_in_exactly_the_naive_book(name: str, futures: bool) -> None:
    path = tapes.tape(name)
    run = replay(path)
    truth = naive.follow_binance(path, futures=futures)
    check_equal(run, truth)
    for native, keeper in run.shelf.builders.items():
        assert keeper.sequence == truth[native].last
    assert run.unknown == 0


@pytest.mark.parametrize(
    ("name", "follow"),
    [
        *[(name, partial(naive.follow_binance, futures=futures)) for name, futures in BINANCE],
        (UPBIT, naive.follow_upbit),
    ],
)
def test_every_live_book_on_the_way_is_the_naive_book_of_its_id(
    name: str, follow: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the end alone: whatever is published as LIVE, at the id it claims (the time, where there are no ids)."""
    path = tapes.tape(name)
    by_time = name == UPBIT
    ours: dict[BookBuilder, dict[int, tuple[naive.Levels, naive.Levels]]] = defaultdict(dict)
    read, finish = BookShelf.frame, BookBuilder._finish

    def note(builder: BookBuilder) -> None:
        if builder.state is State.LIVE:
            bids, asks = builder.book.texts(SHOWN)
            at = builder.exchange_time_ns // 1_000_000 if by_time else builder.sequence
            ours[builder][at] = levels(bids), levels(asks)

    def finished(builder: BookBuilder, *, changed: bool = False) -> None:
        note(builder)
        finish(builder, changed=changed)

    def frame(shelf: BookShelf, key: str, native: str, data: bytes, link: str, stamp: Stamp) -> bool:
        moved = read(shelf, key, native, data, link, stamp)
        note(shelf.builders[key])
        return moved

    monkeypatch.setattr(BookBuilder, "_finish", finished)
    monkeypatch.setattr(BookShelf, "frame", frame)
    run = replay(path)
    truth: dict[str, dict[int, tuple[naive.Levels, naive.Levels]]] = defaultdict(dict)
    follow(path, seen=lambda symbol, book: truth[symbol].update({book.last: book.top(SHOWN)}))
    for native, keeper in run.shelf.builders.items():
        assert len(ours[keeper]) > 0.9 * len(truth[native]) > 0, native
        assert [at for at, book in ours[keeper].items() if book != truth[native].get(at)] == [], native


def test_the_upbit_tape_ends_in_exactly_the_naive_book() -> None:
    path = tapes.tape(UPBIT)
    run = replay(path)
    check_equal(run, naive.follow_upbit(path))
    assert run.unknown == 0


def test_the_proven_range_shrinks_to_what_the_snapshot_covered() -> None:
    """The figure in the design: 345 s after the snapshot just 15 bids are still inside its range."""
    run = replay(tapes.tape(BINANCE[0][0]))
    book = run.shelf.builders["BTCUSDT"].book
    assert book.bids_known == 15
    assert book.bid_count > 4000
    assert book.orphan_deletes == 17_747


def test_dropping_any_delta_of_the_spot_tape_is_noticed_at_the_next_one() -> None:
    path = tapes.tape("binance_spot/cryptofeed2021_binance.jsonl.gz")
    lines = list(naive.records(path))
    depth = [
        i for i, r in enumerate(lines) if r["kind"] == "recv" and '"s":"NKNUSDT"' in r["data"] and "depthU" in r["data"]
    ]
    for victim in depth[2:-1:7]:
        run = _replay_records(path, [r for i, r in enumerate(lines) if i != victim])
        keeper = run.shelf.builders["NKNUSDT"]
        assert keeper.counters.gaps == 1
        assert keeper.state is State.GAPPED


def test_replay_prints_the_promised_json(capsys: pytest.CaptureFixture[str]) -> None:
    path = tapes.tape(BINANCE[0][0])
    assert main(["replay", str(path), "--json", "--depth", "5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tape"] == str(path)
    symbol = found["symbols"]["BTC-USDT"]
    assert symbol["state"] == "LIVE"
    assert symbol["frames"] == symbol["updates"] == 6551
    assert symbol["gaps"] == symbol["reversals"] == symbol["crossed"] == symbol["rejected"] == 0
    assert (symbol["checksum_ok"], symbol["checksum_bad"]) == (0, 0)
    assert len(symbol["bids"]) == len(symbol["asks"]) == 5
    assert Decimal(symbol["bids"][0][0]) < Decimal(symbol["asks"][0][0])


def _replay_records(like, records) -> Replay:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / like.name.removesuffix(".gz")
        path.write_text("\n".join(json.dumps(record) for record in records))
        return replay(path)
