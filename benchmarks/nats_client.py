"""The bus with the short way through nats-py and without, side by side: CPU microseconds a message.

    python -m benchmarks.nats_client [--messages 40000] [--bytes 600] [--rounds 5]

One event loop and one nats-server; the variants take turns, the medians are printed. `publish` has nobody listening;
`both` has one subscriber in the same process; `receive` is their difference.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections import defaultdict

import uvloop

from hoga.runtime.nats_bus import connect_nats
from hoga.runtime.nats_server import NatsServer
from hoga.runtime.settings import NatsSettings

BATCH = 200
"""Messages of one turn of the event loop."""


async def measure(url: str, messages: int, payload: bytes, *, lean: bool, listens: bool) -> float:
    """CPU microseconds of this process for each message."""
    settings = NatsSettings(url=url, lean=lean, pending_bytes=64 << 20)
    sender = await connect_nats(settings, name="sender")
    receiver = await connect_nats(settings, name="receiver")
    left, done = messages, asyncio.Event()

    def receive(_subject: str, _payload: bytes) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    if listens:
        await receiver.subscribe("bench.*", receive)
    started = time.process_time()
    for first in range(0, messages, BATCH):
        for index in range(first, min(first + BATCH, messages)):
            sender.publish(f"bench.{index % 50}", payload)
        await asyncio.sleep(0)
    if listens:
        await done.wait()
    await sender.close()  # when the server has all of them
    spent = time.process_time() - started
    await receiver.close()
    return spent / messages * 1e6


async def compare(url: str, messages: int, payload: bytes, rounds: int) -> None:
    found = defaultdict(list)
    for _ in range(rounds):
        for lean in (False, True):
            for listens in (False, True):
                found[lean, listens].append(await measure(url, messages, payload, lean=lean, listens=listens))
    print(f"{'us/message':12}{'publish':>9}{'both':>9}{'receive':>9}")
    for lean, name in ((False, "nats-py"), (True, "short way")):
        publish, both = (statistics.median(found[lean, listens]) for listens in (False, True))
        print(f"{name:12}{publish:9.2f}{both:9.2f}{both - publish:9.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="The bus with the short way through nats-py and without.")
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--bytes", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with NatsServer() as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare(server.url, args.messages, bytes(args.bytes), args.rounds))


if __name__ == "__main__":
    main()
