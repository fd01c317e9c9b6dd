"""What surrounds a frame, side by side: CPU microseconds a call, the best of several rounds that take turns.

    python -m benchmarks.outside [--rounds 15]

Envelope: RawFrame by the generated class and by hand. Meters: one frame and one book counted by Prometheus' own
counters and histogram, and in plain integers.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram

from hoga.runtime.health import HealthBoard
from hoga.runtime.metrics import LATENCY_BUCKETS_S
from hoga.wire import envelope, pb
from services.validator.metrics import Meters

CALLS = 5000
SUBJECT = "ob.v1.raw.binance_future.BTC-USDT"
PAYLOAD = bytes(526)


def envelopes() -> dict[str, Callable[[], object]]:
    head = envelope.head("binance_future", "BTC-USDT", "BTCUSDT", "binance_future-0.ab12cd1")
    seq, wall_ns, mono_ns = 123_456, time.time_ns(), time.monotonic_ns()
    reader = envelope.Reader()
    for _ in range(2):
        data = envelope.write(head, seq, wall_ns, mono_ns, PAYLOAD)
        reader.read(SUBJECT, data)

    def write_generated() -> bytes:
        varying = pb.RawFrame(link_seq=seq, receive_time_ns=wall_ns, receive_mono_ns=mono_ns, payload=PAYLOAD)
        return head + varying.SerializeToString()

    def read(frame: envelope.AnyFrame) -> object:
        """What the validator asks of each frame."""
        names = frame.exchange, frame.symbol, frame.symbol, frame.native_symbol, frame.link, frame.link
        return (
            names,
            frame.kind,
            frame.encoding,
            frame.link_seq,
            frame.receive_time_ns,
            frame.receive_mono_ns,
            frame.payload,
        )

    return {
        "write generated": write_generated,
        "write by hand": lambda: envelope.write(head, seq, wall_ns, mono_ns, PAYLOAD),
        "read generated": lambda: read(pb.RawFrame.FromString(data)),
        "read by hand": lambda: read(reader.read(SUBJECT, data)),
    }


def meters() -> dict[str, Callable[[], object]]:
    registry = CollectorRegistry()
    frames = Counter("frames", "frames", ["exchange"], registry=registry).labels("x")
    books = Counter("books", "books", ["exchange"], registry=registry).labels("x")
    latency = Histogram("latency", "latency", ["exchange"], buckets=LATENCY_BUCKETS_S, registry=registry).labels("x")
    counts = HealthBoard("bench", "bench").exchange("x")
    plain = Meters(HealthBoard("bench", "bench")).of("x")

    def prometheus() -> None:
        counts.raw_messages += 1
        frames.inc()
        counts.book_messages += 1
        books.inc()
        latency.observe(0.003)

    def integers() -> None:
        plain.frame(False)
        plain.published(3_000_000)

    return {"count by prometheus": prometheus, "count in integers": integers}


def main() -> None:
    parser = argparse.ArgumentParser(description="What surrounds a frame, side by side.")
    parser.add_argument("--rounds", type=int, default=15)
    found = defaultdict(list)
    tasks = envelopes() | meters()
    for _ in range(parser.parse_args().rounds):
        for name, call in tasks.items():
            started = time.thread_time()
            for _ in range(CALLS):
                call()
            found[name].append((time.thread_time() - started) / CALLS * 1e6)
    for name, times in found.items():
        print(f"{name:20} best {min(times):5.2f}  median {statistics.median(times):5.2f}")


if __name__ == "__main__":
    main()
