"""The recorded Kraken tape (2021, websocket v1, 1000 levels a side) through the path of production, compared level by
level with an independent book."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hoga.cli.main import main
from hoga.domain.types import State
from hoga.exchanges.base import RouteKind
from hoga.runtime.replay import replay
from tests.contract.test_tapes import check_equal, levels
from tests.support import naive, tapes
from tests.support.naive_kraken import crc32, follow_kraken

TAPE = "kraken/cryptofeed2021_kraken.jsonl.gz"
PAIRS = {
    "ADA/BTC", "BTC/CHF", "ETH/CHF", "GRT/ETH", "KSM/BTC", "OCEAN/BTC", "OMG/USD", "SC/EUR", "WAVES/EUR", "XMR/USD",
}  # fmt: skip


def test_the_oracle_computes_the_usual_crc32_and_finds_every_checksum_of_the_tape_right() -> None:
    assert crc32(b"123456789") == 0xCBF43926
    books = follow_kraken(tapes.tape(TAPE))
    assert set(books) == PAIRS
    assert sum(book.sums_right for book in books.values()) == 4269
    assert sum(book.sums_wrong for book in books.values()) == 0


def test_the_tape_ends_in_exactly_the_naive_book() -> None:
    path = tapes.tape(TAPE)
    run = replay(path)
    truth = follow_kraken(path)
    assert run.exchange.code == "kraken"
    check_equal(run, truth)
    for native, keeper in run.shelf.builders.items():
        counters = keeper.counters
        assert (counters.checksum_ok, counters.checksum_bad) == (truth[native].sums_right, 0)
        assert counters.frames == counters.updates == counters.applied == truth[native].messages
    assert sum(keeper.counters.checksum_ok for keeper in run.shelf.builders.values()) == 4269
    assert (run.unknown, run.troubles) == (0, [])
    assert set(run.books()) == {pair.replace("/", "-") for pair in PAIRS}
    assert run.symbols.by_symbol["BTC-CHF"].price_tick == "0.1"


def test_replay_prints_the_checksums(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tapes.tape(TAPE)), "--json", "--depth", "3"]) == 0
    symbols = json.loads(capsys.readouterr().out)["symbols"]
    assert sum(symbol["checksum_ok"] for symbol in symbols.values()) == 4269
    for symbol in symbols.values():
        assert (symbol["state"], symbol["checksum_bad"], symbol["gaps"], symbol["rejected"]) == ("LIVE", 0, 0, 0)
        assert (len(symbol["bids"]), len(symbol["asks"])) == (3, 3)


def test_every_frame_of_the_tape_is_routed_to_what_it_holds() -> None:
    run = replay(tapes.tape(TAPE))
    kinds: dict[RouteKind, int] = {}
    for record in naive.records(tapes.tape(TAPE)):
        if record["kind"] == "recv":
            route = run.exchange.strategy.route(record["data"].encode())
            kinds[route.kind] = kinds.get(route.kind, 0) + 1
            if route.kind is RouteKind.BOOK:
                (update,) = run.exchange.handler.parse(record["data"].encode())
                assert (update.native_symbol,) == route.symbols
                assert update.channel == "book-1000"
                assert update.snapshot == (update.checksum is None)
                assert abs(update.exchange_time_ns - record["ts_ns"]) < 20e9
    # trades, tickers and the answers for the other channels are of no interest
    others = 18 + 8 + 20
    phases = {RouteKind.PHASE: 3}
    assert kinds == {RouteKind.BOOK: 4279, RouteKind.ACK: 10, RouteKind.ALIVE: 92, RouteKind.OTHER: others} | phases


def test_every_pair_of_the_recorded_list_is_found_again_by_its_rest_names() -> None:
    """Names are never cut to make instruments; where REST gives no other (old keys), the reading is right for all."""
    run = replay(tapes.tape(TAPE))
    strategy = run.exchange.strategy
    url, body = next((r["url"], r["data"]) for r in naive.records(tapes.tape(TAPE)) if r["kind"] == "http")
    assert url.endswith("/AssetPairs")
    listed = {key: pair["wsname"] for key, pair in json.loads(body)["result"].items() if "wsname" in pair}
    assert len(listed) == len(run.symbols.by_native) == 293
    for key, wsname in listed.items():
        native = "/".join({"XBT": "BTC", "XDG": "DOGE"}.get(name, name) for name in wsname.split("/"))
        assert native in run.symbols.by_native
        for name in (key, wsname.replace("/", ""), wsname.replace("/", "%2F"), native.replace("/", "%2F")):
            match = strategy.match_rest(f"https://api.kraken.com/0/public/Depth?pair={name}&count=7")
            assert match is not None
            assert (match.native_symbol, match.limit) == (native, 7), name


def test_a_lost_update_is_noticed_or_the_ten_best_levels_are_right_all_the_same(tmp_path: Path) -> None:
    """The drop gate for one pair: what the checksum covers is never wrong and LIVE."""
    source = tapes.tape(TAPE)
    mine = [r for r in naive.records(source) if r["kind"] == "connect" or "WAVES/EUR" in (r["data"] or "")[-12:]]
    truth = follow_kraken(source)["WAVES/EUR"]
    updates = [i for i, record in enumerate(mine) if '"c":' in (record["data"] or "")]
    noticed = 0
    for victim in updates[:-1:9]:
        path = tmp_path / f"{victim}.jsonl"
        path.write_text("\n".join(json.dumps(record) for i, record in enumerate(mine) if i != victim))
        keeper = replay(path).shelf.builders["WAVES/EUR"]
        if keeper.state is State.LIVE:
            assert tuple(map(levels, keeper.book.texts(10))) == truth.top(10)
        else:
            noticed += 1
            assert keeper.counters.checksum_bad + keeper.counters.crossed == 1
    assert noticed > len(updates) // 9 // 2, "most updates of the tape touch the best levels"
