"""Coinbase tapes through the path of production, compared level by level with a naive book: the recorded one of
Coinbase Pro, and Advanced Trade as its emulator speaks it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hoga.domain.types import State
from hoga.exchanges import registry
from hoga.exchanges.base import RouteKind
from hoga.runtime.replay import Replay, replay
from tests.contract.test_tapes import ALL_LEVELS, check_equal, levels
from tests.support import tapes
from tests.support.market_coinbase import Desk, FakeLink
from tests.support.naive import records
from tests.support.naive_coinbase import follow_coinbase

TAPE = "coinbase/cryptofeed2021_coinbase.jsonl.gz"
COINBASE = registry.get("coinbase")
NATIVES = ["BTC-USD", "ETH-USD", "ETH-BTC"]


def test_the_coinbase_pro_tape_ends_in_exactly_the_naive_book() -> None:
    path = tapes.tape(TAPE)
    run = replay(path)
    assert run.exchange is COINBASE
    truth = follow_coinbase(path)
    assert len(truth) == 10
    check_equal(run, truth)
    assert run.unknown == 0
    assert not run.troubles
    counters = [keeper.counters for keeper in run.shelf.builders.values()]
    assert sum(counter.updates for counter in counters) == sum(counter.applied for counter in counters) == 10 + 9719
    assert run.symbols.by_native["SKL-USD"].price_tick == "0.0001"


def test_every_frame_of_the_tape_is_routed_to_what_it_holds() -> None:
    books = 0
    for record in records(tapes.tape(TAPE)):
        if record["kind"] != "recv":
            continue
        frame = record["data"].encode()
        route = COINBASE.strategy.route(frame)
        assert route.kind in (RouteKind.BOOK, RouteKind.ACK, RouteKind.OTHER)
        if route.kind is RouteKind.BOOK:
            books += 1
            (update,) = COINBASE.handler.parse(frame)
            assert (update.native_symbol,) == route.symbols
        assert COINBASE.handler.link_seq(frame) is None
    assert books == 10 + 9719


# --- Advanced Trade, spoken by the emulator


@dataclass
class Taping:
    """Links to the emulator, written down as a recording would."""

    path: Path
    desk: Desk = field(default_factory=Desk)
    lines: list[dict[str, Any]] = field(default_factory=list)
    links: dict[str, FakeLink] = field(default_factory=dict)

    def connect(self, *names: str) -> None:
        for name in names:
            self.links[name] = self.desk.connect(name)
            self._note("connect", name, None)
            self.say(name, *COINBASE.strategy.greeting(0), COINBASE.strategy.subscribe(NATIVES, 1, 0))

    def say(self, name: str, *texts: str | None) -> None:
        for text in texts:
            assert text is not None
            self._note("send", name, text)
            for frame in self.desk.say(self.links[name], text):
                self._note("recv", name, frame.decode())

    def run(self, turns: int) -> None:
        for turn in range(turns):
            self.desk.now_s += 0.05
            native = NATIVES[turn % 3]
            change = self.desk.market.step(native)
            for name, link in self.links.items():
                before = len(link.frames)
                link.publish(native, change)
                link.tick(self.desk.stamp)
                for frame in link.frames[before:]:
                    self._note("recv", name, frame.decode())

    def replay(self, lines: list[dict[str, Any]] | None = None) -> Replay:
        self.path.write_text("\n".join(json.dumps(line) for line in (self.lines if lines is None else lines)))
        return replay(self.path)

    def _note(self, kind: str, name: str, data: str | None) -> None:
        url = None if kind == "recv" else COINBASE.strategy.endpoints.ws
        self.lines.append({"kind": kind, "ts_ns": self.desk.stamp.wall_ns, "conn": name, "url": url, "data": data})


def check_true(run: Replay, desk: Desk) -> None:
    """Every book is LIVE and that of the market."""
    assert set(run.shelf.builders) == set(NATIVES)
    for native, keeper in run.shelf.builders.items():
        assert keeper.state is State.LIVE
        listing, view = desk.market.listing(native), desk.market.book(native)
        assert listing is not None
        bids, asks = (levels(side) for side in keeper.book.texts(ALL_LEVELS))
        for found, true in ((bids, view.bids), (asks, view.asks)):
            assert [(price.scaleb(listing.price_decimals), size.scaleb(8)) for price, size in found] == true


def test_an_advanced_trade_tape_ends_in_exactly_the_naive_book(tmp_path: Path) -> None:
    taping = Taping(tmp_path / "tape.jsonl")
    taping.connect("one")
    taping.run(300)
    run = taping.replay()
    (tmp_path / "tape.jsonl.gz").write_bytes(gzip.compress(taping.path.read_bytes()))
    truth = follow_coinbase(tmp_path / "tape.jsonl.gz")
    check_equal(run, truth)
    check_true(run, taping.desk)
    assert (run.unknown, run.troubles) == (0, [])
    last = [number for number in map(_number, taping.lines) if number is not None][-1]
    assert last - 3 <= max(keeper.sequence for keeper in run.shelf.builders.values()) <= last


def test_any_lost_frame_of_any_channel_puts_every_book_of_the_link_in_doubt(tmp_path: Path) -> None:
    taping = Taping(tmp_path / "tape.jsonl")
    taping.connect("one")
    taping.run(60)
    received = [place for place, line in enumerate(taping.lines) if line["kind"] == "recv"]
    after_snapshots = 1 + max(place for place in received if '"type":"snapshot"' in taping.lines[place]["data"])
    victims = [place for place in received if place >= after_snapshots][:-1]
    heartbeats = [place for place in victims if '"heartbeats"' in taping.lines[place]["data"]]
    assert len(heartbeats) >= 2
    for victim in {*victims[::9], *heartbeats}:
        run = taping.replay([line for place, line in enumerate(taping.lines) if place != victim])
        for keeper in run.shelf.builders.values():
            assert (keeper.state, keeper.counters.gaps, keeper.missing) == (State.GAPPED, 1, 1)


def test_a_fresh_subscription_heals_what_a_loss_broke(tmp_path: Path) -> None:
    taping = Taping(tmp_path / "tape.jsonl")
    taping.connect("one")
    taping.run(30)
    del taping.lines[-2]
    taping.run(30)
    assert {keeper.state for keeper in taping.replay().shelf.builders.values()} == {State.GAPPED}
    for native in NATIVES:
        taping.say("one", COINBASE.strategy.unsubscribe([native], 2, 0), COINBASE.strategy.subscribe([native], 3, 0))
    taping.run(30)
    check_true(taping.replay(), taping.desk)


@pytest.mark.parametrize("loser", ["one", "two"])
def test_of_two_links_the_one_that_lost_nothing_is_published(tmp_path: Path, loser: str) -> None:
    taping = Taping(tmp_path / "tape.jsonl")
    taping.connect("one", "two")
    taping.run(30)
    place = max(place for place, line in enumerate(taping.lines) if line["conn"] == loser)
    del taping.lines[place]
    taping.run(60)
    check_true(taping.replay(), taping.desk)


def _number(line: dict[str, Any]) -> int | None:
    return COINBASE.handler.link_seq(line["data"].encode()) if line["kind"] == "recv" else None
