"""What a link sends: the order, the pace, the heartbeats that double as questions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from aiohttp import WSMsgType

from hoga.exchanges.base import Limits
from hoga.exchanges.binance import future
from services.ingest.outbox import Outbox
from services.ingest.probing import Probing
from services.ingest.subscriptions import Subscriptions

PING = "<ping>"


class Socket:
    """Keeps what is sent; `door` closed, a write hangs."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.times: list[float] = []
        self.door = asyncio.Event()
        self.door.set()

    async def send_str(self, data: str) -> None:
        await self._take(data)

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        await self._take(PING if opcode is WSMsgType.PING else f"<pong {message.decode()}>")

    async def _take(self, what: str) -> None:
        await self.door.wait()
        self.sent.append(what)
        self.times.append(time.monotonic())


def beating(every_s: float, text: str | None = None) -> dict[str, Any]:
    """A strategy's heartbeat; a text of None is a ping frame."""
    return {"heartbeat_s": every_s, "heartbeat": lambda _self, _now_ns: text}


class World:
    def __init__(self, *, rate: float = 1000.0, quiet_s: float = 3600.0, **own: Any) -> None:
        limits = Limits(symbols_per_link=10, symbols_per_request=1, messages_per_s=rate, connects_per_s=1.0)
        names = {"limits": limits, "heartbeat_s": None, **own}
        strategy = type("Strategy", (type(future.EXCHANGE.strategy),), names)()
        self.last_s = time.monotonic()
        self.socket = Socket()
        self.subscriptions = Subscriptions(strategy)
        self.probing = Probing(quiet_s=quiet_s, answer_s=3600.0, idle_s=7200.0, ask_s=3600.0)
        self.outbox = Outbox(strategy, self.subscriptions, self.probing, lambda: self.last_s, lambda: None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Socket]:
        task = asyncio.create_task(self.outbox.run(self.socket))
        try:
            yield self.socket
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


async def test_what_is_urgent_goes_first():
    world = World(quiet_s=0.0, greeting=lambda _self, _now_ns: ["hello", "and"], **beating(1e-9, "beat"))
    world.subscriptions.want(["BTCUSDT"])
    world.outbox.message("mine")
    world.outbox.pong(b"7")
    async with world.running() as socket:
        await until(lambda: len(socket.sent) >= 5)
    assert socket.sent[:5] == ["<pong 7>", "hello", "and", PING, "mine"]


async def test_a_young_link_is_asked_when_it_has_said_what_it_had_to_say():
    world = World(greeting=lambda _self, _now_ns: ["hello"], probe=lambda _self, _now_ns: "are you there")
    world.subscriptions.want(["BTCUSDT", "ETHUSDT"])
    world.outbox.message("mine")
    async with world.running() as socket:
        await until(lambda: len(socket.sent) == 5)
    assert socket.sent[:2] == ["hello", "mine"]
    assert all("SUBSCRIBE" in sent for sent in socket.sent[2:4])
    assert socket.sent[4] == "are you there"
    assert not world.probing.first


async def test_a_link_that_falls_silent_is_asked_once_and_again_after_it_has_moved():
    world = World(quiet_s=0.02)
    async with world.running() as socket:
        await until(lambda: len(socket.sent) == 1)
        await asyncio.sleep(0.1)
        assert socket.sent == [PING], "a question is open"
        world.last_s = time.monotonic()
        world.outbox.wake()
        await until(lambda: len(socket.sent) == 2)
        assert socket.times[1] - world.last_s >= 0.02


async def test_heartbeats_that_are_spelled_like_the_question_serve_as_both():
    world = World(**beating(0.02))
    async with world.running() as socket:
        await until(lambda: len(socket.sent) == 1)  # the first question
        world.probing.answered()
        assert world.probing.proven
        await until(lambda: len(socket.sent) == 3)
        assert world.probing.due_s(world.last_s) == float("inf"), "a heartbeat put the question"
    other = World(**beating(0.02, "beat"))
    async with other.running() as socket:
        await until(lambda: len(socket.sent) == 4)
        assert socket.sent.count(PING) == 1
        other.probing.answered()
        assert other.probing.due_s(other.last_s) == other.last_s + 3600.0


async def test_questions_keep_to_the_message_limit():
    world = World(rate=20.0, quiet_s=0.0)
    async with world.running() as socket:
        while len(socket.sent) < 6:
            world.last_s = time.monotonic()
            world.outbox.wake()
            await asyncio.sleep(0.005)
    gaps = [later - sooner for sooner, later in zip(socket.times, socket.times[1:], strict=False)]
    # A late message shortens the gap behind it, so the whole is judged and not each gap.
    assert sum(gaps) > 0.7 * len(gaps) / 20.0


async def test_a_write_that_hangs_is_seen():
    world = World()
    world.socket.door.clear()
    async with world.running():
        await until(lambda: world.outbox.writing_s is not None)
        world.socket.door.set()
        await until(lambda: world.outbox.writing_s is None)
    assert world.socket.sent == [PING]


async def test_however_low_the_limit_questions_and_heartbeats_leave_every_other_turn_to_requests():
    world = World(rate=200.0, quiet_s=0.0, **beating(1e-9, "beat"))
    natives = [f"C{number}USDT" for number in range(5)]
    world.subscriptions.want(natives)
    async with world.running() as socket:
        while sum("SUBSCRIBE" in sent for sent in socket.sent) < 5:
            world.last_s = time.monotonic()
            await asyncio.sleep(0.001)
    first = socket.sent[:10]
    assert all(("SUBSCRIBE" in first) != ("SUBSCRIBE" in second) for first, second in pairwise(first))


async def test_every_text_is_spelled_with_the_wall_time_at_which_it_is_sent():
    def say(what: str) -> Callable[..., str]:
        return lambda _self, *given: f"{what} {given[-1]}"

    before_ns = time.time_ns()
    world = World(
        greeting=lambda _self, now_ns: [f"hello {now_ns}"],
        heartbeat_s=0.01,
        **{name: say(name) for name in ("heartbeat", "probe", "subscribe", "unsubscribe")},
    )
    world.subscriptions.want(["BTCUSDT"])
    async with world.running() as socket:
        await until(lambda: any(sent.startswith("subscribe") for sent in socket.sent))
        world.subscriptions.want([])
        world.outbox.wake()
        await until(lambda: len({sent.partition(" ")[0] for sent in socket.sent}) == 5)
    times = [int(sent.rpartition(" ")[2]) for sent in socket.sent]
    assert all(before_ns <= time_ns <= time.time_ns() for time_ns in times)
    assert times == sorted(times)
