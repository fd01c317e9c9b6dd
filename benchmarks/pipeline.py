"""`make bench`: feed → ingest → NATS → validator → NATS → consumer on this machine.

1. Rates are stepped until the pipeline no longer keeps up (p99 above a second, frames lost, or the feed late).
2. Latency is from the moment the feed made the frame (monotonic stamp inside it) to the consumer's callback, of every
   book published.
3. CPU per frame and resident memory are what the kernel counted for each process over the measured seconds.
4. Then 500 books at rest, with every service.

The table is printed and written to `benchmarks/results/pipeline.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.feed import age_ms
from benchmarks.processes import Processes, Weight
from benchmarks.processes import free_port as any_port
from hoga.runtime.config import load_settings
from hoga.runtime.nats_bus import NatsBus, connect_nats
from hoga.runtime.nats_server import NatsServer
from hoga.wire import pb, subjects

RESULT = Path(__file__).parent / "results" / "pipeline.md"
RATES = (500, 1000, 2000, 5000, 7500, 10_000, 15_000, 20_000, 30_000)
EXCHANGE = "binance_spot"
PATIENCE_S = 420.0
"""500 snapshots at weight 50 take more than four minutes of the exchange's budget."""
KNEE_MS = 1000.0


class Consumer:
    """Counts and times the books of the exchange."""

    def __init__(self) -> None:
        self.ages_ms: list[float] = []
        self.live: set[str] = set()
        self.lost_revisions = 0
        self.gaps = 0
        self._revisions: dict[str, int] = {}
        self.newest: dict[str, int] = {}

    def book(self, _: str, payload: bytes) -> None:
        book = pb.OrderBook.FromString(payload)
        if book.state != pb.BookState.BOOK_STATE_LIVE:
            self.live.discard(book.symbol)
            return
        self.live.add(book.symbol)
        self.gaps = max(self.gaps, book.gap_count)
        before = self._revisions.get(book.symbol)
        self._revisions[book.symbol] = book.revision
        if before is not None:
            self.lost_revisions += book.revision - before - 1
        if book.exchange_time_ns and book.sequence != self.newest.get(book.symbol):  # no repeats of quiet books
            self.ages_ms.append(age_ms(book.exchange_time_ns))
        self.newest[book.symbol] = book.sequence


class Bench:
    def __init__(self, symbols: int, seconds: float, logs: Path) -> None:
        self.symbols, self.seconds, self.logs = symbols, seconds, logs
        self.port = any_port()
        self.nats = NatsServer()
        self.consumer = Consumer()
        self.rows: list[list[str]] = []

    def environment(self) -> dict[str, str]:
        return {
            "HOGA_NATS_URL": self.nats.url,
            f"HOGA_EXCHANGES_{EXCHANGE.upper()}_WS_URL": f"ws://127.0.0.1:{self.port}",
            f"HOGA_EXCHANGES_{EXCHANGE.upper()}_REST_URL": f"http://127.0.0.1:{self.port}",
            f"HOGA_EXCHANGES_{EXCHANGE.upper()}_SYMBOLS": ",".join(f"S{n}-USDT" for n in range(self.symbols)),
            f"HOGA_EXCHANGES_{EXCHANGE.upper()}_REST_SHARE": "1.0",
            "HOGA_VALIDATOR_LATE_AFTER_S": "3600",
            "HOGA_UNIVERSE_TOP_N": "1000",
            "HOGA_MONITOR_PORT": str(any_port()),
        }

    def start(self, processes: Processes, *, everything: bool) -> None:
        processes.pids["nats"] = self.nats.pid
        processes.start("feed", "benchmarks.feed", "--port", str(self.port), "--symbols", str(self.symbols))
        processes.start("ingest", "services.ingest", "--exchange", EXCHANGE)
        processes.start("validator", "services.validator")
        if everything:
            processes.start("aggregator", "services.aggregator")
            processes.start("monitor", "services.monitor")
        else:
            processes.pids["consumer"] = os.getpid()

    async def connect(self) -> NatsBus:
        bus = await connect_nats(load_settings(env={"HOGA_NATS_URL": self.nats.url}).nats, name="bench")
        await bus.subscribe(subjects.book(EXCHANGE), self.consumer.book)
        return bus

    async def set_rate(self, rate: float) -> dict[str, int]:
        url = f"http://127.0.0.1:{self.port}/rate?frames={rate}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            found: dict[str, int] = await answer.json()
            return found

    async def all_live(self) -> None:
        began = time.monotonic()
        while len(self.consumer.live) < self.symbols:
            if time.monotonic() - began > PATIENCE_S:
                raise SystemExit(f"only {len(self.consumer.live)} of {self.symbols} books live; logs in {self.logs}")
            await asyncio.sleep(0.1)
            if int(time.monotonic() - began) % 30 == 29:
                print(f"  {len(self.consumer.live)} of {self.symbols} live", flush=True)
                await asyncio.sleep(1.0)

    async def step(self, processes: Processes, rate: int) -> bool:
        """Measures one rate; whether the pipeline kept up."""
        consumer = self.consumer
        await self.set_rate(rate)
        await asyncio.sleep(2.0)
        consumer.ages_ms.clear()
        lost, before, began = consumer.lost_revisions, processes.weigh(), time.monotonic()
        start = await self.set_rate(rate)
        await asyncio.sleep(self.seconds)
        end, after, elapsed = await self.set_rate(rate), processes.weigh(), time.monotonic() - began
        frames = end["sent"] - start["sent"]
        ages = sorted(consumer.ages_ms)
        gaps = consumer.gaps
        if not ages or not frames:
            raise SystemExit(f"nothing arrived at {rate} frames/s; logs in {self.logs}")
        p50, p99 = statistics.median(ages), ages[int(len(ages) * 0.99)]
        lost = consumer.lost_revisions - lost
        fed = end["late"] == start["late"] and frames > 0.95 * rate * elapsed
        self.rows.append(
            [
                f"{frames / elapsed:,.0f}",
                f"{len(ages) / elapsed:,.0f}",
                f"{p50:.2f}",
                f"{p99:.2f}",
                str(lost),
                str(gaps),
                *(f"{(after[n].cpu_s - before[n].cpu_s) / frames * 1e6:.0f} µs" for n in processes.pids),
                *(f"{after[n].resident / 2**20:.0f}" for n in processes.pids),
            ]
        )
        print("  " + " | ".join(self.rows[-1]), flush=True)
        return fed and p99 < KNEE_MS and not lost and not gaps


async def throughput(args: argparse.Namespace, logs: Path) -> str:
    bench = Bench(args.symbols, args.seconds, logs)
    with bench.nats, Processes(bench.environment(), logs) as processes:
        bench.start(processes, everything=False)
        bus = await bench.connect()
        print(f"waiting for {args.symbols} books …", flush=True)
        await _answering(bench)
        await bench.set_rate(args.symbols * 2)
        await bench.all_live()
        names = list(processes.pids)
        header = ["frames/s", "books/s", "p50 ms", "p99 ms", "lost", "gaps"]
        header += [f"{name} CPU" for name in names] + [f"{name} MB" for name in names]
        print("  " + " | ".join(header), flush=True)
        for rate in args.rates:
            if not await bench.step(processes, rate):
                print("  the knee: no longer keeps up", flush=True)
                break
        await bus.close()
    return _table(header, bench.rows)


async def at_rest(args: argparse.Namespace, logs: Path) -> str:
    bench = Bench(args.rest_symbols, args.seconds, logs)
    with bench.nats, Processes(bench.environment(), logs) as processes:
        bench.start(processes, everything=True)
        bus = await bench.connect()
        print(f"waiting for {args.rest_symbols} books at rest …", flush=True)
        await _answering(bench)
        await bench.set_rate(args.rest_symbols)
        await bench.all_live()
        await bench.set_rate(0)
        await asyncio.sleep(5.0)
        before = processes.weigh()
        await asyncio.sleep(args.rest_seconds)
        after = processes.weigh()
        await bus.close()
    rows = [_rest_row(name, before[name], after[name], args.rest_seconds) for name in after if name != "feed"]
    return _table(["process", "CPU % of a core", "resident MB"], rows)


def _rest_row(name: str, before: Weight, after: Weight, seconds: float) -> list[str]:
    return [name, f"{(after.cpu_s - before.cpu_s) / seconds * 100:.1f}", f"{after.resident / 2**20:.0f}"]


async def _answering(bench: Bench) -> None:
    for _ in range(200):
        try:
            await bench.set_rate(0)
            return
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
    raise SystemExit(f"the feed does not answer; logs in {bench.logs}")


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " ---: |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the pipeline on this machine.")
    parser.add_argument("--symbols", type=int, default=50, help="symbols that share the rate (default: 50)")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured seconds of each step (default: 10)")
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES), metavar="N", help="frames per second")
    parser.add_argument("--rest-symbols", type=int, default=500, help="books of the measurement at rest (default: 500)")
    parser.add_argument("--rest-seconds", type=float, default=20.0, help="its measured seconds (default: 20)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hoga-bench-") as folder:
        moving = asyncio.run(throughput(args, Path(folder)))
        rest = asyncio.run(at_rest(args, Path(folder)))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    text = (
        f"# Pipeline\n\n`make bench` on {machine}, {time.strftime('%Y-%m-%d')}. One Binance spot frame has 20 level "
        f"changes; {args.symbols} symbols, {args.seconds:g} s a step. Feed, ingest, nats-server, validator and "
        "consumer share the machine. `lost` counts revisions the consumer missed, `gaps` ids the validator missed.\n\n"
        f"{moving}\n\n"
        f"## {args.rest_symbols} books at rest\n\n{rest}\n"
    )
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text)
    print(f"\n{text}\nwritten to {RESULT}")


if __name__ == "__main__":
    main()
