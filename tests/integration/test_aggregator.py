"""The aggregator over a bus: real listings of real shapes in, universes out, and what happens when things fail."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hoga.domain.errors import ConfigError
from hoga.domain.types import Stamp
from hoga.runtime.bus import Bus
from hoga.runtime.config import Settings, UniverseRules, UniverseSettings
from hoga.runtime.health import HealthBoard
from hoga.runtime.nats_bus import connect_nats
from hoga.runtime.service import ServiceContext
from hoga.runtime.settings import NatsSettings
from hoga.testing.fake_bus import FakeBus
from hoga.testing.nats_server import NatsServer
from hoga.wire import packing, pb, subjects
from services.aggregator import follower as follower_module
from services.aggregator import service as service_module
from services.aggregator.desk import rules_of
from services.aggregator.service import Aggregator

WAIT_S = 60.0
SPOT = {"BTC-USDT": ("60000", "900"), "ETH-USDT": ("3000", "500"), "XRP-USDT": ("0.5", "100"), "ETH-BTC": ("0.05", "1")}
KOREA = {"BTC-KRW": ("84000000", "1400000"), "USDT-KRW": ("1400", "7000000"), "XRP-KRW": ("700", "560000")}


@dataclass
class Ingest:
    """Answers listing requests as ingest does, in the shapes of Binance spot or of Upbit."""

    bus: Bus
    code: str
    markets: dict[str, tuple[str, str]]
    """Symbol -> (last price, 24 h turnover in its quote)."""
    halted: set[str] = field(default_factory=set)
    answer: bytes | None = None
    """Answered instead of the listing where set."""
    asked: int = 0

    async def start(self) -> Ingest:
        await self.bus.serve(subjects.rpc("listing", self.code), self._reply)
        return self

    def live(self, instance: str = "i1") -> None:
        self.bus.publish(subjects.health(f"ingest-{self.code}", instance), b"")

    async def _reply(self, _subject: str, payload: bytes) -> bytes:
        request = pb.ListingRequest.FromString(payload)
        assert request.instruments
        assert request.tickers
        self.asked += 1
        if self.answer is not None:
            return self.answer
        bodies = self._upbit() if self.code == "upbit" else self._binance()
        packed = [packing.compress(json.dumps(body).encode()) for body in bodies]
        return pb.ListingReply(instruments=packed[:1], tickers=packed[1:]).SerializeToString()

    def _binance(self) -> list[Any]:
        listed = [(symbol, *symbol.split("-")) for symbol in self.markets]
        return [
            {
                "symbols": [
                    {
                        "symbol": base + quote,
                        "status": "BREAK" if symbol in self.halted else "TRADING",
                        "baseAsset": base,
                        "quoteAsset": quote,
                    }
                    for symbol, base, quote in listed
                ]
            },
            [
                {"symbol": base + quote, "lastPrice": self.markets[symbol][0], "quoteVolume": self.markets[symbol][1]}
                for symbol, base, quote in listed
            ],
        ]

    def _upbit(self) -> list[Any]:
        codes = {symbol: "-".join(reversed(symbol.split("-"))) for symbol in self.markets}
        return [
            [{"market": code, "korean_name": "코인", "english_name": "Coin"} for code in codes.values()],
            [
                {"market": codes[symbol], "trade_price": float(price), "acc_trade_price_24h": float(turnover)}
                for symbol, (price, turnover) in self.markets.items()
            ],
        ]


class Clock:
    """A monotonic clock that stands still unless told."""

    def __init__(self) -> None:
        self.mono_ns = 1_000_000_000

    def forward(self, seconds: float) -> None:
        self.mono_ns += int(seconds * 1e9)


@dataclass(slots=True)
class ClockedContext(ServiceContext):
    clock: Clock

    def now(self) -> Stamp:
        return Stamp(self.clock.mono_ns, 1_788_265_296_000_000_000 + self.clock.mono_ns)


class World:
    """An aggregator on a bus, and everything it published, in order."""

    def __init__(self, bus: Bus, **universe: Any) -> None:
        self.clock = Clock()
        settings = Settings(universe=UniverseSettings(**{"refresh_s": 0.02, **universe}))
        self.board = HealthBoard("aggregator", "test")
        self.stopping = asyncio.Event()
        self.context = ClockedContext(
            "aggregator", settings, bus, self.board, "test", self.stopping, argparse.Namespace(), self.clock
        )
        self.aggregator = Aggregator(self.context)
        self.bus = bus
        self.universes: asyncio.Queue[pb.Universe] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.bus.subscribe(subjects.universe("*"), self._on_universe)
        self._task = asyncio.create_task(self.aggregator.run())

    async def stop(self) -> None:
        self.stopping.set()
        if self._task is not None:
            await asyncio.wait_for(self._task, WAIT_S)

    def _on_universe(self, subject: str, payload: bytes) -> None:
        universe = pb.Universe.FromString(payload)
        assert subject == subjects.universe(universe.exchange)
        self.universes.put_nowait(universe)

    async def until(self, wanted: Callable[[pb.Universe], bool], code: str = "binance_spot") -> pb.Universe:
        """The first universe of `code`, from here on, that is what is wanted."""
        async with asyncio.timeout(WAIT_S):
            while True:
                universe = await self.universes.get()
                if universe.exchange == code and wanted(universe):
                    return universe

    async def next(self, code: str = "binance_spot") -> pb.Universe:
        return await self.until(lambda _: True, code)

    async def fresh(self, ingest: Ingest) -> pb.Universe:
        """A universe that was made of a listing asked for from now on."""
        asked = ingest.asked
        return await self.until(lambda _: ingest.asked >= asked + 2, ingest.code)


@contextlib.asynccontextmanager
async def running(bus: Bus, **universe: Any) -> AsyncIterator[World]:
    world = World(bus, **universe)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


def symbols(universe: pb.Universe) -> list[str]:
    return [entry.symbol for entry in universe.entries]


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


class TestChoosing:
    async def test_turnovers_of_all_quotes_are_compared_in_one_currency(self, bus: FakeBus) -> None:
        await Ingest(bus, "binance_spot", dict(SPOT)).start()
        await Ingest(bus, "upbit", dict(KOREA)).start()
        async with running(bus, top_n=2) as world:
            spot, korea = await world.next("binance_spot"), await world.next("upbit")
        # ETH-BTC traded 1 BTC, which is 60 000 USDT: more than any other.
        assert [(e.symbol, e.native_symbol, e.common_turnover, e.reason) for e in spot.entries] == [
            ("ETH-BTC", "ETHBTC", "60000", "top"),
            ("BTC-USDT", "BTCUSDT", "900", "top"),
        ]
        assert (spot.exchange, spot.revision, spot.common_currency, spot.listed) == ("binance_spot", 1, "USDT", 4)
        assert [(e.symbol, e.common_turnover) for e in korea.entries] == [("USDT-KRW", "5000"), ("BTC-KRW", "1000")]

    async def test_the_rules_of_one_exchange_are_its_own(self, bus: FakeBus) -> None:
        await Ingest(bus, "binance_spot", dict(SPOT)).start()
        await Ingest(bus, "upbit", dict(KOREA)).start()
        own = {"upbit": UniverseRules(top_n=0, min_turnover=500.0, common_currency="KRW", exclude=["USDT-KRW"])}
        async with running(bus, top_n=1, quotes=["usdt"], exchanges=own) as world:
            assert symbols(await world.next("binance_spot")) == ["BTC-USDT"]
            korea = await world.next("upbit")
        assert [(e.symbol, e.common_turnover, e.reason) for e in korea.entries] == [
            ("BTC-KRW", "1400000", "minimum"),
            ("XRP-KRW", "560000", "minimum"),
        ]

    async def test_the_revision_grows_only_when_the_set_changes(
        self, bus: FakeBus, caplog: pytest.LogCaptureFixture
    ) -> None:
        ingest = await Ingest(bus, "binance_spot", dict(SPOT)).start()
        with caplog.at_level(logging.INFO):
            async with running(bus, top_n=2, quotes=["USDT"]) as world:
                assert (await world.next()).revision == 1
                ingest.markets["ETH-USDT"] = ("3000", "700")
                moved = await world.until(lambda u: u.entries[1].common_turnover == "700")
                assert moved.revision == 1
                ingest.markets["XRP-USDT"] = ("0.5", "99999")
                changed = await world.until(lambda u: u.revision > 1)
                assert (changed.revision, symbols(changed)) == (2, ["XRP-USDT", "BTC-USDT"])
        lines = [record.getMessage() for record in caplog.records if "universe revision 2" in record.getMessage()]
        assert lines == [
            "binance_spot: universe revision 2 has 2 of 4 symbols; in: XRP-USDT (top); out: ETH-USDT (rank 3 is beyond 2)"
        ]

    async def test_a_rate_that_another_exchange_brings_later_lets_the_first_be_judged(self, bus: FakeBus) -> None:
        spot = await Ingest(bus, "binance_spot", {"BTC-USDT": SPOT["BTC-USDT"]}).start()
        async with running(bus, common_currency="KRW") as world:
            while spot.asked < 3:
                await asyncio.sleep(0.01)
            assert world.universes.empty()  # better none than an empty one
            await Ingest(bus, "upbit", dict(KOREA)).start()
            universe = await world.next()
        assert [(e.symbol, e.common_turnover) for e in universe.entries] == [("BTC-USDT", "1260000")]

    async def test_without_any_rate_the_included_are_published_when_nobody_else_can_answer_any_more(
        self, bus: FakeBus, caplog: pytest.LogCaptureFixture
    ) -> None:
        ingest = await Ingest(bus, "binance_spot", dict(SPOT)).start()
        async with running(bus, common_currency="USTD", include=["ETH-USDT"]) as world:
            while ingest.asked < 2:
                await asyncio.sleep(0.01)
            assert world.universes.empty()
            world.clock.forward(service_module.SETTLE_S)
            universe = await world.next()
        assert [(e.symbol, e.reason) for e in universe.entries] == [("ETH-USDT", "include")]
        said = [record.getMessage() for record in caplog.records if "cannot be ranked" in record.getMessage()]
        assert said == [
            "binance_spot: 1 symbols cannot be ranked: no rate for BTC",
            "binance_spot: 3 symbols cannot be ranked: no rate for USDT",
        ]

    async def test_a_stale_rate_is_not_used_but_throws_nobody_out(self, bus: FakeBus) -> None:
        spot = await Ingest(bus, "binance_spot", {"BTC-USDT": SPOT["BTC-USDT"]}).start()
        korea = await Ingest(bus, "upbit", dict(KOREA)).start()
        async with running(bus, common_currency="KRW") as world:
            assert symbols(await world.next()) == ["BTC-USDT"]
            korea.answer = pb.ListingReply(error="upbit is away").SerializeToString()
            spot.markets["NEW-USDT"] = ("1", "99999")
            assert symbols(await world.until(lambda u: len(u.entries) == 2)) == ["NEW-USDT", "BTC-USDT"]
            world.clock.forward(service_module.RATE_MIN_AGE_S + 1)
            spot.markets["LATE-USDT"] = ("1", "99999")
            for _ in range(3):
                universe = await world.fresh(spot)
        assert symbols(universe) == ["NEW-USDT", "BTC-USDT"]


class TestFailing:
    @pytest.mark.parametrize(
        "answer",
        [
            pb.ListingReply(error="HTTP 418, closed for 120 s").SerializeToString(),
            b"\xff\xff no protobuf",
            pb.ListingReply(instruments=[b"no zstd"], tickers=[b"no zstd"]).SerializeToString(),
            pb.ListingReply(instruments=[packing.compress(b"<html>")], tickers=[]).SerializeToString(),
            pb.ListingReply(instruments=[packing.compress(b"\0" * (65 << 20))]).SerializeToString(),
            pb.ListingReply().SerializeToString(),
            pb.ListingReply(
                instruments=[packing.compress(b"[]")], tickers=[packing.compress(b"[]")]
            ).SerializeToString(),
        ],
        ids=["error", "garbage", "not packed", "html", "bomb", "nothing", "empty lists"],
    )
    async def test_a_failing_exchange_keeps_its_universe_and_disturbs_no_other(
        self, bus: FakeBus, answer: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        spot = await Ingest(bus, "binance_spot", dict(SPOT)).start()
        korea = await Ingest(bus, "upbit", dict(KOREA)).start()
        async with running(bus, top_n=1) as world:
            before = await world.next("upbit")
            korea.live()
            korea.answer = answer
            asked = korea.asked
            while korea.asked < asked + 3:
                await world.fresh(spot)
            korea.answer = None
            korea.markets["USDT-KRW"] = ("1400", "1")
            after = await world.until(lambda u: u.revision > 1, "upbit")
        assert (before.revision, after.revision) == (1, 2)
        assert symbols(before) == ["USDT-KRW"]
        said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(said) == 1
        assert said[0].startswith("upbit: no listing: ")
        assert said[0].endswith("; its universe of 1 symbols stands")

    async def test_an_exchange_under_maintenance_loses_nothing(self, bus: FakeBus) -> None:
        ingest = await Ingest(bus, "binance_spot", dict(SPOT)).start()
        async with running(bus, top_n=2) as world:
            await world.next()
            ingest.halted = set(SPOT)
            asked = ingest.asked
            while ingest.asked < asked + 2:
                await asyncio.sleep(0.01)
            ingest.halted = {"ETH-BTC"}
            universe = await world.until(lambda u: u.revision > 1)
        assert symbols(universe) == ["BTC-USDT", "ETH-USDT"]

    async def test_a_bug_in_one_exchange_s_module_stays_there(
        self, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spot = await Ingest(bus, "binance_spot", dict(SPOT)).start()
        await Ingest(bus, "upbit", dict(KOREA)).start()
        world = World(bus)
        handler = world.aggregator.followers["upbit"].desk.exchange.handler
        monkeypatch.setattr(handler, "parse_tickers", lambda _: [][0])
        await world.start()
        await world.fresh(spot)
        await world.stop()
        assert not any(u.exchange == "upbit" for u in iter_queue(world.universes))

    async def test_an_ingest_that_comes_up_is_asked_at_once(
        self, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower_module, "RETRY_MIN_S", 10_000.0)
        monkeypatch.setattr(follower_module, "RETRY_MAX_S", 10_000.0)
        async with running(bus, refresh_s=10_000.0) as world:
            follower = world.aggregator.followers["binance_spot"]
            while not follower._failures:
                await asyncio.sleep(0)
            ingest = await Ingest(bus, "binance_spot", dict(SPOT)).start()
            ingest.live()
            assert (await world.next()).revision == 1

    async def test_health_names_an_exchange_whose_listing_is_overdue_while_its_ingest_runs(self, bus: FakeBus) -> None:
        world = World(bus)
        follower = world.aggregator.followers["upbit"]
        assert follower.overdue(world.clock.mono_ns) == ""
        for _ in range(61):
            follower.heard("i1")
            assert follower.overdue(world.clock.mono_ns) == ""
            world.clock.forward(1.0)
        follower.heard("i1")
        assert follower.overdue(world.clock.mono_ns) == "no listing for 61 s"
        world.clock.forward(follower_module.HEARD_S + 1)
        assert follower.overdue(world.clock.mono_ns) == ""  # nobody runs, nothing is owed


class TestNames:
    async def test_a_wrong_name_is_said_once_with_what_it_may_have_meant(
        self, bus: FakeBus, caplog: pytest.LogCaptureFixture
    ) -> None:
        spot = await Ingest(bus, "binance_spot", dict(SPOT)).start()
        await Ingest(bus, "upbit", dict(KOREA)).start()
        own = {"upbit": UniverseRules(include=["XPR-KRW"])}
        async with running(bus, include=["BTC-KRW", "BTC-USTD"], exclude=["QQ-ZZ"], exchanges=own) as world:
            world.clock.forward(service_module.SETTLE_S)
            while "universe.exclude" not in caplog.text:
                await world.fresh(spot)
            await world.fresh(spot)
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert sorted(warnings) == [
            "universe.exchanges.upbit.include: XPR-KRW is not listed on upbit; did you mean XRP-KRW?",
            "universe.exclude: QQ-ZZ is not listed on binance_spot, upbit",
            "universe.include: BTC-USTD is not listed on binance_spot, upbit; did you mean BTC-KRW or BTC-USDT or ETH-BTC?",
        ]

    def test_a_contradiction_is_refused_before_anything_starts(self, bus: FakeBus) -> None:
        with pytest.raises(ConfigError, match="BTC-USDT is in include and in exclude"):
            rules_of(UniverseRules(include=["BTC-USDT"], exclude=["BTC-USDT"]))


class TestRestart:
    async def test_a_restart_goes_on_from_the_last_universe(self, bus: FakeBus) -> None:
        ingest = await Ingest(bus, "binance_spot", dict(SPOT)).start()
        rules = {"top_n": 2, "quotes": ["USDT"], "hysteresis": 0.5}
        async with running(bus, **rules) as world:
            assert symbols(await world.next()) == ["BTC-USDT", "ETH-USDT"]
        ingest.markets["XRP-USDT"] = ("0.5", "600")  # ETH-USDT is third now: within the band
        async with running(bus, **rules) as world:
            universe = await world.next()
        assert universe.revision == 2
        assert [(e.symbol, e.reason) for e in universe.entries] == [
            ("BTC-USDT", "top"),
            ("XRP-USDT", "top"),
            ("ETH-USDT", "kept"),
        ]

    async def test_an_unreadable_last_universe_is_said_and_passed_over(
        self, bus: FakeBus, caplog: pytest.LogCaptureFixture
    ) -> None:
        await bus.ensure_stream(subjects.UNIVERSE_STREAM, [subjects.universe(">")], max_bytes=1 << 20)
        bus.publish(subjects.universe("binance_spot"), b"\xff\xff")
        await Ingest(bus, "binance_spot", dict(SPOT)).start()
        async with running(bus) as world:
            assert (await world.next()).revision == 1
        assert "cannot be read" in caplog.text


def iter_queue(queue: asyncio.Queue[pb.Universe]) -> Iterator[pb.Universe]:
    while not queue.empty():
        yield queue.get_nowait()


class TestOverNats:
    async def test_the_last_universe_is_there_for_late_joiners_also_after_the_server_lost_it(self) -> None:
        with NatsServer() as server:
            nats = NatsSettings(url=server.url)
            bus, other = await connect_nats(nats, name="aggregator"), await connect_nats(nats, name="ingest")
            late: asyncio.Queue[pb.Universe] = asyncio.Queue()
            try:
                await Ingest(other, "binance_spot", dict(SPOT)).start()
                async with running(bus, top_n=2, refresh_s=10_000.0) as world:
                    published = await world.next()
                    await subscribe_late(other, late)
                    assert await asyncio.wait_for(late.get(), WAIT_S) == published
                    server.kill()
                    server.start()
                    again = await asyncio.wait_for(late.get(), WAIT_S)
                    assert (again.revision, symbols(again)) == (published.revision, symbols(published))
                    assert again.time_ns == published.time_ns  # the clock stands still
                    payload = await other.last(subjects.UNIVERSE_STREAM, subjects.universe("binance_spot"))
                    assert payload is not None
                    assert pb.Universe.FromString(payload).revision == 1
            finally:
                await bus.close()
                await other.close()

    async def test_the_process_publishes_stops_on_sigterm_and_goes_on_where_it_stopped(self, tmp_path: Path) -> None:
        with NatsServer() as server:
            other = await connect_nats(NatsSettings(url=server.url), name="ingest")
            try:
                ingest = await Ingest(other, "binance_spot", dict(SPOT)).start()
                seen: asyncio.Queue[pb.Universe] = asyncio.Queue()
                for revision in (1, 2):
                    process = await start_process(tmp_path, HOGA_NATS_URL=server.url, HOGA_UNIVERSE_TOP_N="1")
                    try:
                        if revision == 1:
                            while (await other_stream(other)) is None:
                                await asyncio.sleep(0.05)
                            await subscribe_late(other, seen)
                        async with asyncio.timeout(WAIT_S):
                            while (await seen.get()).revision != revision:
                                pass
                    finally:
                        process.terminate()
                        _, stderr = await asyncio.wait_for(process.communicate(), WAIT_S)
                    assert process.returncode == 0, stderr.decode()
                    assert f"universe revision {revision} has" in stderr.decode()
                    ingest.markets["DOGE-USDT"] = ("1", "999999")
            finally:
                await other.close()

    async def test_contradicting_settings_are_one_line_and_exit_code_2(self, tmp_path: Path) -> None:
        with NatsServer() as server:
            process = await start_process(
                tmp_path,
                HOGA_NATS_URL=server.url,
                HOGA_UNIVERSE_INCLUDE="BTC-USDT",
                HOGA_UNIVERSE_EXCLUDE="BTC-USDT",
                LOG_LEVEL="ERROR",
            )
            _, stderr = await asyncio.wait_for(process.communicate(), WAIT_S)
        assert process.returncode == 2
        assert stderr.decode().splitlines() == [
            "error: universe: BTC-USDT is in include and in exclude; leave it in one of them"
        ]


async def subscribe_late(bus: Bus, queue: asyncio.Queue[pb.Universe]) -> None:
    await bus.subscribe_last(
        subjects.UNIVERSE_STREAM,
        subjects.universe("*"),
        lambda _, payload: queue.put_nowait(pb.Universe.FromString(payload)),
    )


async def other_stream(bus: Bus) -> bytes | None:
    from hoga.domain.errors import BusError

    try:
        return await bus.last(subjects.UNIVERSE_STREAM, subjects.universe("binance_spot"))
    except BusError:
        return None


async def start_process(directory: Path, **env: str) -> asyncio.subprocess.Process:
    import sys

    root = str(Path(__file__).resolve().parents[2])
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.aggregator",
        cwd=directory,
        env={"PYTHONPATH": root, **env},
        stderr=asyncio.subprocess.PIPE,
    )
