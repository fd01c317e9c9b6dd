"""Exchanges that number their connections: what frames of nobody mean for the books of the link."""

from __future__ import annotations

import json

from hoga.domain.types import State
from hoga.wire import pb, subjects
from tests.unit.test_validator_desk import World, make

__all__ = ["make"]

CODE, LINK = "coinbase", "L1"
MARKETS = {"BTC-USD": "BTC-USD", "ETH-USD": "ETH-USD"}


def levels(number: int, product: str, kind: str = "update", bid: str = "100") -> bytes:
    time = "2026-09-23T10:39:02.123456Z"
    updates = [
        {"side": side, "event_time": time, "price_level": price, "new_quantity": "1"}
        for side, price in (("bid", bid), ("offer", "110"))
    ]
    event = {"type": kind, "product_id": product, "updates": updates}
    frame = {"channel": "l2_data", "client_id": "", "timestamp": time, "sequence_num": number, "events": [event]}
    return json.dumps(frame, separators=(",", ":")).encode()


def heartbeat(number: int) -> bytes:
    return json.dumps({"channel": "heartbeats", "sequence_num": number, "events": []}, separators=(",", ":")).encode()


class Connection:
    """One numbered connection; frames go to their market's lane, what is of no market to the link's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seqs: dict[str, int] = {}

    def send(self, payload: bytes, symbol: str = "") -> None:
        self.seqs[symbol] = self.seqs.get(symbol, 0) + 1
        frame = pb.RawFrame(
            exchange=CODE,
            symbol=symbol,
            native_symbol=symbol,
            link=LINK,
            link_seq=self.seqs[symbol],
            kind=pb.RawFrame.KIND_STREAM,
            encoding=pb.RawFrame.ENCODING_IDENTITY,
            receive_time_ns=self.world.ctx.now().wall_ns,
            payload=payload,
        )
        subject = subjects.raw(CODE, symbol) if symbol else subjects.raw_link(CODE)
        self.world.bus.publish(subject, frame.SerializeToString())

    async def open(self) -> None:
        self.world.link(exchange=CODE, symbols=tuple(MARKETS), link=LINK)
        for number, product in enumerate(MARKETS):
            self.send(levels(number, product, "snapshot"), product)
        await self.world.settle()
        assert {self.world.state(product) for product in MARKETS} == {State.LIVE}


async def test_a_frame_of_a_market_that_nobody_follows_may_have_been_any_of_ours(make) -> None:
    world = await make()
    connection = Connection(world)
    await connection.open()
    connection.send(levels(2, "NOPE"))
    connection.send(levels(3, "BTC-USD", bid="101"), "BTC-USD")
    await world.settle()
    assert {world.state(product) for product in MARKETS} == {State.GAPPED}


async def test_heartbeats_and_frames_of_a_market_given_up_just_now_only_count(make) -> None:
    world = await make()
    connection = Connection(world)
    await connection.open()
    connection.send(heartbeat(2))
    world.link(exchange=CODE, symbols=("BTC-USD",), link=LINK)
    connection.send(levels(3, "ETH-USD"))
    connection.send(levels(4, "BTC-USD", bid="101"), "BTC-USD")
    await world.settle()
    assert world.state("BTC-USD") is State.LIVE
    assert world.newest("BTC-USD").sequence == 4
