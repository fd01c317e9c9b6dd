"""The recorded OKX tape (2022: spot, a swap and a future on one connection, checksums and no ids) through the path of
production, compared level by level with an independent book."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hoga.cli.main import main
from hoga.domain.types import State
from hoga.exchanges import registry
from hoga.runtime.replay import replay
from tests.contract.test_tapes import check_equal, levels
from tests.support import naive, tapes
from tests.support.naive_okx import crc32, follow_okx

TAPE = "okx/cryptofeed2021_okx.jsonl.gz"
SYMBOLS = {
    "okx_spot": {"BTC-USDT": "BTC-USDT", "UNI-USD-SWAP": "UNI-USD-SWAP", "BTC-USD-220527": "BTC-USD-220527"},
    "okx_swap": {"BTC-USDT": "BTC-USDT-SPOT", "UNI-USD-SWAP": "UNI-USD", "BTC-USD-220527": "BTC-USD-220527"},
}


def test_the_oracle_computes_the_usual_crc32_and_finds_every_checksum_of_the_tape_right() -> None:
    assert crc32(b"123456789") == 0xCBF43926
    books = follow_okx(tapes.tape(TAPE))
    assert {native: (book.sums_right, book.sums_wrong) for native, book in books.items()} == {
        "BTC-USDT": (98, 0),
        "UNI-USD-SWAP": (93, 0),
        "BTC-USD-220527": (99, 0),
    }


@pytest.mark.parametrize("code", SYMBOLS)
def test_the_tape_ends_in_exactly_the_naive_book_under_either_code(code: str) -> None:
    path = tapes.tape(TAPE)
    run = replay(path, registry.get(code))
    truth = follow_okx(path)
    check_equal(run, truth)
    for native, keeper in run.shelf.builders.items():
        counters = keeper.counters
        assert (counters.checksum_ok, counters.checksum_bad) == (truth[native].sums_right, 0)
        assert counters.updates == counters.applied == truth[native].sums_right
        assert keeper.book.orphan_deletes == truth[native].orphan_deletes
        assert run.symbol(native) == SYMBOLS[code][native]
    assert (run.unknown, set(run.books())) == (0, set(SYMBOLS[code].values()))


def test_the_tape_is_recognised_and_replay_prints_its_checksums(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tapes.tape(TAPE)), "--json", "--depth", "3"]) == 0
    symbols = json.loads(capsys.readouterr().out)["symbols"]
    assert sum(symbol["checksum_ok"] for symbol in symbols.values()) == 290
    for symbol in symbols.values():
        assert symbol["state"] == "LIVE"
        assert (symbol["checksum_bad"], symbol["gaps"], symbol["reversals"], symbol["rejected"]) == (0, 0, 0, 0)
        assert (len(symbol["bids"]), len(symbol["asks"])) == (3, 3)


def test_a_lost_update_is_noticed_or_the_best_25_levels_are_right_all_the_same(tmp_path: Path) -> None:
    """The drop gate, every third update of the spot book: what checksums cover is never wrong and LIVE at once."""
    source = tapes.tape(TAPE)
    lines = [record for record in naive.records(source) if record["kind"] != "http"]
    truth = follow_okx(source)["BTC-USDT"]
    updates = [i for i, line in enumerate(lines) if '"instId":"BTC-USDT"},"action":"update"' in (line["data"] or "")]
    noticed = 0
    for victim in updates[:-1:3]:
        path = tmp_path / f"{victim}.jsonl"
        path.write_text("\n".join(json.dumps(line) for i, line in enumerate(lines) if i != victim))
        keeper = replay(path).shelf.builders["BTC-USDT"]
        if keeper.state is not State.LIVE:
            noticed += 1
            assert keeper.counters.checksum_bad + keeper.counters.crossed == 1
        else:
            assert tuple(map(levels, keeper.book.texts(25))) == truth.top(25)
    assert noticed > len(updates) // 6, "most updates of the tape touch the best levels"
