"""Top-N streams: whoever joins when, snapshot and differences always add up to the best N levels of the true book."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.book import ASK, BID, TrueBook
from services.simulator.topview import TopView
from services.simulator.venue import Venue
from services.simulator.venues.base import IdStyle
from tests.support.memory_link import Client, Room

Side = dict[Decimal, Decimal]
touches = st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 14), st.integers(0, 3))


def best(true: TrueBook, side: int, limit: int) -> dict[int, int]:
    chosen = sorted(true.lots[side], reverse=side == BID)[:limit]
    return {index: true.lots[side][index] for index in chosen}


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 6), st.lists(st.lists(touches, max_size=8), min_size=1, max_size=12))
def test_differences_add_up_to_the_best_levels_and_say_nothing_twice(limit: int, rounds: list[Any]) -> None:
    true = TrueBook()
    true.start(1, 1, {3: 1, 5: 2, 6: 1}, {8: 1, 9: 3, 12: 1})
    view = TopView(limit, true.at())
    held = [best(true, side, limit) for side in (BID, ASK)]
    assert [view.lots[BID], view.lots[ASK]] == held
    seq = 1
    for changes in rounds:
        touched: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, index, lots in changes:
            seq += 1
            true.change(seq, seq, side, index if side == BID else index + 14, lots)
            touched[side][index if side == BID else index + 14] = lots
        for side, found in zip((BID, ASK), view.difference(true, touched), strict=True):
            for index, size in found.items():
                assert held[side].get(index, 0) != size, "a change that changes nothing"
                held[side][index] = size
            held[side] = {index: size for index, size in held[side].items() if size}
            assert held[side] == best(true, side, limit) == view.lots[side]


class Bybit:
    """The page's rules and nothing else."""

    code, depth = "bybit_spot", 200

    def __init__(self, client: Client, native: str) -> None:
        self.client, self.native = client, native
        self.last, self.applied = 0, 0
        self.bids: Side = {}
        self.asks: Side = {}

    def follow(self) -> None:
        for frame in self.client.take():
            data = frame.get("data")
            if data is None or data["s"] != self.native:
                continue
            if frame["type"] == "snapshot":
                self.bids, self.asks = {}, {}
            else:
                assert data["u"] == self.last + 1
            self._apply(data["b"], data["a"], data["u"], snapshot=frame["type"] == "snapshot")

    def _apply(self, bids: Any, asks: Any, seq: int, *, snapshot: bool) -> None:
        self.last = seq
        self.applied += not snapshot
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size, *_ in levels:
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
                else:
                    del side[Decimal(price)]  # only what is there is deleted
        assert len(self.bids) <= self.depth
        assert len(self.asks) <= self.depth


class Okx(Bybit):
    code, depth = "okx_swap", 400

    def follow(self) -> None:
        for frame in self.client.take():
            if frame["arg"].get("instId") != self.native or "data" not in frame:
                continue
            data = frame["data"][0]
            if frame["action"] == "snapshot":
                assert data["prevSeqId"] == -1
                self.bids, self.asks = {}, {}
            else:
                assert data["prevSeqId"] == self.last, "the id of this very topic's last frame"
            self._apply(data["bids"], data["asks"], data["seqId"], snapshot=frame["action"] == "snapshot")


def levels(rows: list[list[str]]) -> Side:
    return {Decimal(price): Decimal(size) for price, size in rows}


def joined_by_and_by(kind: type[Bybit], room: Room, depth: int) -> tuple[list[Bybit], int]:
    """Eight clients that come one after the other, each checked against the truth; how many of the market's frames
    left the topic's id behind when somebody joined."""
    (native,) = room.world.venues[kind.code].natives()
    symbol = room.world.market.exchanges[kind.code].symbols[native]
    dice = Random(7)
    followers: list[Bybit] = []
    behind = 0
    for _ in range(40):
        if len(followers) < 8:
            follower = kind(room.client(kind.code), native)
            follower.depth = depth
            follower.client.subscribe(native)
            follower.follow()
            behind += follower.last < symbol.emitted_seq
            followers.append(follower)
        room.run(dice.uniform(0.01, 0.4))
        for follower in followers:
            follower.follow()
            truth = room.world.truth(kind.code, native, seq=follower.last, depth=depth)
            assert (follower.bids, follower.asks) == (levels(truth["bids"]), levels(truth["asks"]))
    assert len({follower.last for follower in followers}) == 1
    return followers, behind


@pytest.mark.parametrize("kind", [Bybit, Okx])
def test_whoever_joins_when_can_apply_all_that_follows(kind: type[Bybit]) -> None:
    room = Room(kind.code, symbols=1, max_levels=900, drift=8.0, changes=30.0, bursts=0.05)
    followers, _ = joined_by_and_by(kind, room, kind.depth)
    assert min(follower.applied for follower in followers) > 50


def test_frames_that_are_left_out_do_not_move_the_topic_on() -> None:
    room = Room("okx_swap", symbols=1, drift=0.0, changes=3.0)
    emulator = room.world.market.exchanges["okx_swap"].emulator
    setattr(emulator, "window", lambda topic: 1)  # noqa: B010 - the best level alone hardly ever changes
    followers, behind = joined_by_and_by(Okx, room, depth=1)
    assert behind >= 3, "nobody joined after a frame that was left out"
    assert followers[0].applied > 5


def test_the_last_to_leave_takes_the_view_along_and_the_next_begins_anew() -> None:
    room = Room("okx_spot", symbols=1)
    (native,) = room.world.venues["okx_spot"].natives()
    first = Okx(room.client("okx_spot"), native)
    first.client.subscribe(native)
    room.run(1.0)
    venue = room.world.venues["okx_spot"]
    assert isinstance(venue, Venue)
    venue.detach(first.client.link)
    assert not venue._streams
    room.run(1.0)
    second = Okx(room.client("okx_spot"), native)
    second.client.subscribe(native)
    room.run(1.0)
    second.follow()
    assert second.applied > 5


@pytest.mark.parametrize("native", ["BTC/USD", "ETH/BTC"])
def test_kraken_changes_and_checksums_are_of_the_same_moment(native: str) -> None:
    room = Room("kraken", symbols=8, drift=10.0)
    client = room.client("kraken")
    client.subscribe(native)
    room.run(5.0)
    frames = [frame for frame in client.heard if frame.get("channel") == "book"]
    assert [frame["type"] for frame in frames[:2]] == ["snapshot", "update"]
    assert len({frame["data"][0]["checksum"] for frame in frames}) > 40


def test_ids_by_frame_are_consecutive_and_never_half_done() -> None:
    room = Room("bybit_future", symbols=2, changes=20.0)
    market = room.world.market.exchanges["bybit_future"]
    assert market.emulator.ids is IdStyle.FRAME
    symbol = market.symbols["BTCUSDT"]
    sent: list[int] = []
    for _ in range(60):
        before = symbol.emitted_seq
        room.run(0.05)
        sent += range(before + 1, symbol.emitted_seq + 1)
        # What a REST call is shown at any moment is the book of a whole frame.
        now_ms = room.clock.now().wall_ns // 1_000_000
        for at_ms in range(now_ms - 60, now_ms + 40, 7):
            book = market.book("BTCUSDT", at_ms)
            truth = market.truth("BTCUSDT", seq=book.seq)
            assert len(book.bids) == len(truth["bids"])
            shown = symbol.view(symbol.true.at(seq=book.seq))
            assert (book.bids, book.asks) == (shown.bids, shown.asks)
    assert sent == list(range(sent[0], sent[0] + len(sent)))
    assert len(sent) > 40
