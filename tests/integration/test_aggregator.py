"""The aggregator over a bus: real listings of real shapes in, universes out, and what happens when things fail."""

from __future__ import annotations

import asyncio
import logging

import pytest

from hoga.domain.backoff import Backoff
from hoga.domain.errors import ConfigError
from hoga.runtime.config import UniverseRules
from hoga.testing.fake_bus import FakeBus
from hoga.wire import packing, pb, subjects
from services.aggregator import follower as follower_module
from services.aggregator import service as service_module
from services.aggregator.desk import rules_of
from tests.integration.aggregator_world import KOREA, SPOT, Ingest, World, running, symbols


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

    async def test_a_quote_that_nobody_can_rate_does_not_hold_up_the_others(self, bus: FakeBus) -> None:
        await Ingest(bus, "binance_spot", {**SPOT, "BTC-XYZ": ("1", "0")}).start()
        async with running(bus, top_n=1) as world:
            assert symbols(await world.next()) == ["ETH-BTC"]

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
            "binance_spot: universe revision 2 has 2 of 4 symbols; "
            "in: XRP-USDT (top); out: ETH-USDT (rank 3 is beyond 2)"
        ]

    async def test_a_rate_that_another_exchange_brings_later_lets_the_first_be_judged(self, bus: FakeBus) -> None:
        spot = await Ingest(bus, "binance_spot", {"BTC-USDT": SPOT["BTC-USDT"]}).start()
        async with running(bus, common_currency="KRW") as world:
            await spot.more(3)
            assert world.universes.empty()  # better none than an empty one
            await Ingest(bus, "upbit", dict(KOREA)).start()
            universe = await world.next()
        assert [(e.symbol, e.common_turnover) for e in universe.entries] == [("BTC-USDT", "1260000")]

    async def test_it_is_judged_again_without_being_asked_again(self, bus: FakeBus) -> None:
        spot = await Ingest(bus, "binance_spot", {"BTC-USDT": SPOT["BTC-USDT"]}).start()
        async with running(bus, common_currency="KRW", refresh_s=10_000.0) as world:
            await world.listed("binance_spot")
            korea = await Ingest(bus, "upbit", dict(KOREA)).start()
            korea.live()
            assert symbols(await world.next()) == ["BTC-USDT"]
        assert spot.asked == 1

    async def test_without_any_rate_the_included_are_published_when_nobody_else_can_answer_any_more(
        self, bus: FakeBus, caplog: pytest.LogCaptureFixture
    ) -> None:
        ingest = await Ingest(bus, "binance_spot", dict(SPOT)).start()
        async with running(bus, common_currency="USTD", include=["ETH-USDT"]) as world:
            await ingest.more(2)
            assert world.universes.empty()
            world.clock.forward(service_module.SETTLE_S)
            universe = await world.next()
            await world.fresh(ingest)
        assert [(e.symbol, e.reason) for e in universe.entries] == [("ETH-USDT", "include")]
        said = [record.getMessage() for record in caplog.records if "cannot be ranked" in record.getMessage()]
        assert said == [
            "binance_spot: no rate for BTC: 1 symbol(s) cannot be ranked",
            "binance_spot: no rate for USDT: 3 symbol(s) cannot be ranked",
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
            await korea.more(3)
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
            await ingest.more(2)
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
        seen = [world.universes.get_nowait().exchange for _ in range(world.universes.qsize())]
        assert "upbit" not in seen

    async def test_an_ingest_that_comes_up_is_asked_at_once(
        self, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower_module, "RETRY", Backoff(10_000.0, 10_000.0))
        async with running(bus, refresh_s=10_000.0) as world:
            ingest = Ingest(
                bus, "binance_spot", dict(SPOT), answer=pb.ListingReply(error="not yet").SerializeToString()
            )
            asked = asyncio.create_task(ingest.more(1))
            await ingest.start()
            ingest.live("first")
            await asked
            ingest.answer = None
            ingest.live("second")
            assert (await world.next()).revision == 1

    async def test_two_ingests_of_one_exchange_are_no_news_each_time_they_are_heard(
        self, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower_module, "RETRY", Backoff(10_000.0, 10_000.0))
        async with running(bus, refresh_s=10_000.0) as world:
            follower = world.aggregator.followers["binance_spot"]
            follower._failures = 1
            for _ in range(2):
                for instance in ("a", "b"):
                    follower._wake.clear()
                    follower.heard(instance)
            assert not follower._wake.is_set(), "it fails no sooner because there are two"

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

    async def test_an_ingest_that_was_away_for_long_gets_time_to_answer(self, bus: FakeBus) -> None:
        await Ingest(bus, "upbit", dict(KOREA)).start()
        async with running(bus, refresh_s=10_000.0) as world:
            await world.next("upbit")
            follower = world.aggregator.followers["upbit"]
            follower.heard("i1")
            world.clock.forward(100_000.0)
            follower.heard("i2")
            assert follower.overdue(world.clock.mono_ns) == ""


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
            "universe.include: BTC-USTD is not listed on binance_spot, upbit; did you mean BTC-USDT or ETH-USDT?",
        ]

    def test_a_contradiction_is_refused_before_anything_starts(self, bus: FakeBus) -> None:
        with pytest.raises(ConfigError, match="BTC-USDT is in include and in exclude"):
            rules_of(UniverseRules(include=["BTC-USDT"], exclude=["BTC-USDT"]))


def universe_of(revision: int, *symbols: str) -> bytes:
    """As an earlier run may have left it on the bus."""
    entries = [pb.Universe.Entry(symbol=symbol, native_symbol="X") for symbol in symbols]
    return pb.Universe(exchange="binance_spot", revision=revision, entries=entries).SerializeToString()


class TestRestart:
    async def test_figures_in_another_currency_are_not_compared(self, bus: FakeBus) -> None:
        await bus.ensure_stream(subjects.UNIVERSE_STREAM, [subjects.universe(">")], max_bytes=1 << 20)
        old = pb.Universe(exchange="binance_spot", revision=7, common_currency="KRW")
        old.entries.add(symbol="BTC-XYZ", native_symbol="BTCXYZ", common_turnover="99999999", reason="top")
        bus.publish(subjects.universe("binance_spot"), old.SerializeToString())
        await Ingest(bus, "binance_spot", {**SPOT, "BTC-XYZ": ("1", "0")}).start()
        async with running(bus, top_n=1) as world:
            universe = await world.until(lambda u: u.common_currency == "USDT")
        assert (universe.revision, symbols(universe)) == (8, ["ETH-BTC"])

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

    @pytest.mark.parametrize(
        ("kept", "why"),
        [
            (b"\xff\xff", "not a Universe"),
            (universe_of(2**64 - 1, "BTC-USDT"), "revision 18446744073709551615 leaves no room for another"),
            (universe_of(7, "BTC-USDT", ""), "an entry has no symbol"),
        ],
    )
    async def test_a_last_universe_that_cannot_be_is_said_and_passed_over(
        self, bus: FakeBus, caplog: pytest.LogCaptureFixture, kept: bytes, why: str
    ) -> None:
        await bus.ensure_stream(subjects.UNIVERSE_STREAM, [subjects.universe(">")], max_bytes=1 << 20)
        bus.publish(subjects.universe("binance_spot"), kept)
        await Ingest(bus, "binance_spot", dict(SPOT)).start()
        async with running(bus) as world:
            universe = await world.next()
        assert (universe.revision, set(symbols(universe))) == (1, set(SPOT))
        assert f"the last universe cannot be read, starting anew: {why}" in caplog.text
