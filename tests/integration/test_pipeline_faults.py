"""Faults end to end: whatever breaks, no LIVE book is ever wrong, and every book is LIVE again by itself."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from hoga.wire import pb, subjects
from services.simulator.venues.registry import emulated
from tests.support.pipeline import Pipeline

EACH = 3
State = pb.BookState
Kind = pb.BookEvent.Kind


class Watch:
    """Events of the run, and what was LIVE since a moment."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.events: Counter[tuple[str, str, int]] = Counter()

    async def start(self) -> None:
        assert self.pipeline.bus is not None
        await self.pipeline.bus.subscribe(subjects.event("*"), self._event)
        await self.healthy()

    def _event(self, subject: str, payload: bytes) -> None:
        event = pb.BookEvent.FromString(payload)
        self.events[(event.exchange, event.symbol, event.kind)] += 1

    def count(self, exchange: str, symbol: str, kind: int) -> int:
        return self.events[(exchange, symbol, kind)]

    async def healthy(self, what: str = "every book LIVE") -> float:
        oracle = self.pipeline.oracle
        return await self.pipeline.until(lambda: all(len(oracle.live(code)) >= EACH for code in emulated()), what)

    async def renewed(self, what: str) -> None:
        """Every book is published anew as LIVE (what was said before does not count, be it read only now)."""
        oracle, since_ns = self.pipeline.oracle, time.time_ns()
        oracle.states.clear()

        def anew(code: str) -> int:
            return sum(oracle.states[key].publish_time_ns > since_ns for key in oracle.live(code))

        await self.pipeline.until(lambda: all(anew(code) >= EACH for code in emulated()), what)


async def test_faults_of_exchanges_and_links(tmp_path: Path) -> None:
    async with Pipeline(tmp_path) as pipeline:
        watch = Watch(pipeline)
        await watch.start()
        oracle, faults = pipeline.oracle, pipeline.simulator.faults

        def state(code: str, symbol: str = "BTC-USDT") -> int:
            return oracle.states[(code, symbol)].state

        for code in ("binance_spot", "binance_future"):
            faults.drop(code, "BTCUSDT", 2)
            await pipeline.until(
                lambda code=code: watch.count(code, "BTC-USDT", Kind.KIND_GAP) > 0, f"the gap of {code}"
            )
            await pipeline.until(lambda code=code: state(code) == State.BOOK_STATE_LIVE, f"{code} healed")
            assert watch.count(code, "ETH-USDT", Kind.KIND_GAP) == 0, "one symbol's loss is no other's"

            before = oracle.seen[(code, State.BOOK_STATE_SYNCING)]
            faults.swap(code, "BTCUSDT", 1)
            await pipeline.until(
                lambda code=code: watch.count(code, "BTC-USDT", Kind.KIND_REVERSAL) > 0, f"the reversal of {code}"
            )
            await pipeline.until(
                lambda code=code, n=before: oracle.seen[(code, State.BOOK_STATE_SYNCING)] > n, f"{code} withheld"
            )
            await pipeline.until(lambda code=code: state(code) == State.BOOK_STATE_LIVE, f"{code} resynced")

            gaps = watch.count(code, "BTC-USDT", Kind.KIND_GAP)
            faults.duplicate(code, "BTCUSDT", 3)
            checked = oracle.checked[code]
            await pipeline.until(lambda code=code, n=checked: oracle.checked[code] > n + 30, "books after the repeats")
            assert watch.count(code, "BTC-USDT", Kind.KIND_GAP) == gaps, "repeats are no gaps"

        # Frames that cannot be read: that symbol mends, the others never notice.
        for code, native, symbol in (
            ("binance_spot", "BTCUSDT", "BTC-USDT"),
            ("binance_future", "BTCUSDT", "BTC-USDT"),
            ("upbit", "KRW-BTC", "BTC-KRW"),
            ("bithumb", "KRW-BTC", "BTC-KRW"),
        ):
            faults.malformed(code, native, "truncated", 1)
            await pipeline.until(
                lambda code=code, symbol=symbol: watch.count(code, symbol, Kind.KIND_REJECTED) > 0, f"{code} rejects"
            )
            await pipeline.until(
                lambda code=code, symbol=symbol: state(code, symbol) == State.BOOK_STATE_LIVE, f"{code} read again"
            )

        # The exchange refuses REST while a book needs a snapshot: it waits, and heals when the ban is over.
        faults.refuse_rest("binance_spot", 429, 3.0, retry_after_s=3)
        faults.drop("binance_spot", "ETHUSDT", 1)
        await pipeline.until(lambda: watch.count("binance_spot", "ETH-USDT", Kind.KIND_GAP) > 0, "the gap under a ban")
        await pipeline.until(lambda: state("binance_spot", "ETH-USDT") == State.BOOK_STATE_LIVE, "healed after the ban")

        # Every link is cut: every book says so, and comes back.
        stale = {code: oracle.seen[(code, State.BOOK_STATE_STALE)] for code in emulated()}
        for code in emulated():
            faults.abort(code)
        for code in emulated():
            await pipeline.until(
                lambda code=code: oracle.seen[(code, State.BOOK_STATE_STALE)] >= stale[code] + EACH,
                f"{code} says STALE",
            )
        await watch.healthy("every book LIVE after every link was cut")
        assert oracle.wrong == []


async def test_faults_of_our_own_processes_and_of_nats(tmp_path: Path) -> None:
    async with Pipeline(tmp_path) as pipeline:
        watch = Watch(pipeline)
        await watch.start()
        oracle = pipeline.oracle
        epochs = {book.epoch for book in oracle.states.values()}

        pipeline.kill("validator")
        pipeline.start("validator")
        await watch.renewed("every book LIVE after the validator was killed")
        assert {book.epoch for book in oracle.states.values()}.isdisjoint(epochs)

        stale = oracle.seen[("binance_future", State.BOOK_STATE_STALE)]
        pipeline.kill("ingest-binance_future")
        await pipeline.until(
            lambda: oracle.seen[("binance_future", State.BOOK_STATE_STALE)] >= stale + EACH,
            "STALE books after their ingest was killed",
        )
        assert len(oracle.live("binance_spot")) >= EACH, "other exchanges go on"
        pipeline.start("ingest-binance_future")
        await watch.renewed("every book LIVE after an ingest was killed")

        pipeline.kill("aggregator")
        await watch.renewed("every book LIVE without the aggregator")
        pipeline.start("aggregator")

        pipeline.nats.kill()
        pipeline.nats.start()
        await watch.renewed("every book LIVE after nats-server was killed")
        assert oracle.wrong == []
