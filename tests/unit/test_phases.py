"""Phases of markets: what each means, the words of every exchange, and whose word counts when two are told."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

import pytest

from hoga import exchanges
from hoga.domain.errors import FrameError
from hoga.domain.phases import MEANINGS, MarketPhases, Phase, Told, phase_of
from hoga.domain.types import State
from hoga.exchanges import registry
from hoga.exchanges.base import RouteKind
from hoga.exchanges.bybit import future as bybit_future
from hoga.exchanges.coinbase import rest as coinbase
from hoga.exchanges.kraken import lists as kraken
from hoga.exchanges.okx import spot as okx_spot
from hoga.runtime.replay import replay
from hoga.wire import pb

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
TABLES = {
    found.name: getattr(module, "PHASES")  # noqa: B009 - of modules that may have none
    for found in pkgutil.walk_packages(exchanges.__path__, f"{exchanges.__name__}.")
    if hasattr(module := importlib.import_module(found.name), "PHASES") and module.PHASES
}
"""Every exchange's table of words, by the module that has it."""


@pytest.mark.parametrize(
    ("phase", "matches", "collected", "label"),
    [
        (Phase.UNKNOWN, True, True, ""),
        (Phase.TRADING, True, True, ""),
        (Phase.LIMIT_ONLY, True, True, "limit only"),
        (Phase.POST_ONLY, False, True, "post only"),
        (Phase.AUCTION, False, True, "auction"),
        (Phase.PRE_OPEN, False, False, "pre open"),
        (Phase.HALTED, False, False, "halted"),
        (Phase.MAINTENANCE, False, True, "maintenance"),
        (Phase.UNLISTED, False, False, "unlisted"),
    ],
)
def test_what_a_phase_means(phase: Phase, matches: bool, collected: bool, label: str) -> None:
    assert (phase.matches, phase.collected, phase.label) == (matches, collected, label)


def test_every_phase_has_a_meaning_and_a_number_on_the_wire() -> None:
    assert set(MEANINGS) == set(Phase)
    wire = {name.removeprefix("MARKET_PHASE_"): number for name, number in pb.MarketPhase.items()}
    assert wire == {"UNSPECIFIED" if one is Phase.UNKNOWN else one.name: int(one) for one in Phase}


@pytest.mark.parametrize("code", TABLES)
def test_each_exchange_has_a_word_for_trading_and_none_for_what_nobody_knows(code: str) -> None:
    assert Phase.TRADING in TABLES[code].values()
    assert Phase.UNKNOWN not in TABLES[code].values()
    assert phase_of(TABLES[code], "no such word") is Phase.UNKNOWN


def test_one_word_means_the_same_everywhere() -> None:
    words = [(word.lower(), phase) for table in TABLES.values() for word, phase in table.items()]
    meanings = {word: {phase for other, phase in words if other == word} for word, _ in words}
    assert {word: found for word, found in meanings.items() if len(found) > 1} == {}
    assert {
        "post_only",
        "limit_only",
        "cancel_only",
        "online",
        "delisted",
    } <= kraken.PHASES.keys() & coinbase.PHASES.keys()


class TestTold:
    def test_a_phase_that_ends_by_itself_is_over_at_its_end(self) -> None:
        told = Told(Phase.AUCTION, "call_auction", "A", NOW)
        assert told.at(NOW - 1) == told
        assert told.at(NOW).phase is Phase.TRADING
        assert Told(Phase.AUCTION, "", "A").at(NOW).phase is Phase.AUCTION

    def test_the_reason_names_the_exchanges_word(self) -> None:
        assert Told(Phase.HALTED, "BREAK", "A").reason == "the market has halted trading (BREAK)"
        assert Told(Phase.MAINTENANCE, "maintenance").reason == "the exchange is being maintained (maintenance)"
        assert Told(Phase.LIMIT_ONLY, "limit_only", "A").reason == ""


class TestMarketPhases:
    def phases(self, *listed: Told, time_ns: int = NOW) -> MarketPhases:
        made = MarketPhases()
        made.listed(listed, time_ns)
        return made

    def test_before_anything_is_told_nobody_knows(self) -> None:
        assert MarketPhases().of("A", NOW).phase is Phase.UNKNOWN

    def test_an_empty_list_says_nothing_and_another_one_that_what_it_lacks_is_gone(self) -> None:
        assert self.phases().of("A", NOW).phase is Phase.UNKNOWN
        assert self.phases(Told(Phase.TRADING, "", "B")).of("A", NOW).phase is Phase.UNLISTED

    def test_the_whole_exchange_stands_before_its_markets(self) -> None:
        phases = self.phases(Told(Phase.TRADING, "online", "A"), Told(Phase.HALTED, "cancel_only", "B"))
        phases.heard(Told(Phase.MAINTENANCE, "maintenance"), NOW)
        assert [phases.of(native, NOW).phase for native in "AB"] == [Phase.MAINTENANCE] * 2
        phases.listed([Told(Phase.TRADING, "online", "A")], NOW + 60 * SECOND)
        assert phases.of("A", NOW).phase is Phase.MAINTENANCE, "a list tells of markets"
        phases.heard(Told(Phase.TRADING, "online"), NOW)
        assert phases.of("A", NOW).phase is Phase.TRADING

    def test_a_message_counts_until_a_list_that_was_fetched_after_it(self) -> None:
        phases = self.phases(Told(Phase.TRADING, "live", "A"), time_ns=NOW - 30 * SECOND)
        phases.heard(Told(Phase.HALTED, "suspend", "A"), NOW)
        phases.listed([Told(Phase.TRADING, "live", "A")], NOW - 30 * SECOND)
        assert phases.of("A", NOW).phase is Phase.HALTED, "the same list again"
        phases.listed([Told(Phase.TRADING, "live", "A")], NOW + SECOND)
        assert phases.of("A", NOW).phase is Phase.HALTED, "asked for before the message came"
        phases.listed([Told(Phase.TRADING, "live", "A")], NOW + 60 * SECOND)
        assert phases.of("A", NOW).phase is Phase.TRADING

    def test_what_is_told_of_ever_new_markets_is_not_kept_for_ever(self, monkeypatch) -> None:
        monkeypatch.setattr("hoga.domain.phases.MOST_TOLD", 2)
        phases = MarketPhases()
        for native in "ABCA":
            phases.heard(Told(Phase.HALTED, "suspend", native), NOW)
        assert [phases.of(native, NOW).phase.matches for native in "ABC"] == [False, False, True]

    def test_a_clock_that_was_set_back_does_not_keep_a_message_for_ever(self) -> None:
        phases = self.phases(Told(Phase.TRADING, "live", "A"))
        phases.heard(Told(Phase.HALTED, "suspend", "A"), NOW)
        phases.listed([Told(Phase.TRADING, "live", "A")], NOW - 3600 * SECOND)
        assert phases.of("A", NOW).phase is Phase.TRADING


SWITCH = {"contTdSwTime": "1790000000000"}
"""OKX's time of the switch to continuous trading: NOW."""


def okx_listing(**fields: str) -> bytes:
    listed = {"instId": "NEW-USDT", "instType": "SPOT", "baseCcy": "NEW", "quoteCcy": "USDT", **fields}
    return json.dumps({"code": "0", "data": [listed]}).encode()


@pytest.mark.parametrize(
    ("fields", "before", "after"),
    [
        ({"state": "live"}, Phase.TRADING, Phase.TRADING),
        (
            {"state": "preopen", "openType": "call_auction", **SWITCH},
            Phase.PRE_OPEN,
            Phase.PRE_OPEN,
        ),
        ({"state": "live", "openType": "call_auction", **SWITCH}, Phase.AUCTION, Phase.TRADING),
        ({"state": "live", "openType": "pre_quote", **SWITCH}, Phase.PRE_OPEN, Phase.TRADING),
        ({"state": "live", "openType": "call_auction", "contTdSwTime": ""}, Phase.TRADING, Phase.TRADING),
        ({"state": "live", "openType": "fix_price", **SWITCH}, Phase.TRADING, Phase.TRADING),
        ({"state": "suspend", "openType": "call_auction", **SWITCH}, Phase.HALTED, Phase.HALTED),
        ({"state": "a new word"}, Phase.UNKNOWN, Phase.UNKNOWN),
    ],
)
def test_okx_is_live_from_the_beginning_of_an_auction_on(fields: dict[str, str], before: Phase, after: Phase) -> None:
    (found,) = okx_spot.EXCHANGE.handler.parse_instruments([okx_listing(**fields)])
    assert (found.at(NOW - 1).phase, found.at(NOW).phase) == (before, after)
    assert found.at(NOW).phase_until_ns == 0


@pytest.mark.parametrize(
    ("status", "auction", "phase"),
    [
        ("Trading", None, Phase.TRADING),
        ("PreLaunch", None, Phase.PRE_OPEN),
        ("PreLaunch", {"curAuctionPhase": "CallAuction"}, Phase.AUCTION),
        ("PreLaunch", {"curAuctionPhase": "CrossMatching"}, Phase.AUCTION),
        ("PreLaunch", {"curAuctionPhase": "ContinuousTrading"}, Phase.TRADING),
        ("PreLaunch", {"curAuctionPhase": "Finished"}, Phase.UNLISTED),
        ("Trading", {"curAuctionPhase": ""}, Phase.TRADING),
    ],
)
def test_a_contract_of_bybit_before_its_launch_tells_the_phase_of_its_auction(
    status: str, auction: dict[str, str] | None, phase: Phase
) -> None:
    market = {"symbol": "BPUSDT", "baseCoin": "BP", "quoteCoin": "USDT", "contractType": "LinearPerpetual"}
    row = market | {"status": status, "preListingInfo": auction}
    body = json.dumps({"retCode": 0, "result": {"list": [row]}}).encode()
    (found,) = bybit_future.EXCHANGE.handler.parse_instruments([body])
    assert found.phase is phase


def test_bybits_contracts_before_their_launch_are_asked_for() -> None:
    trading, launching = bybit_future.EXCHANGE.strategy.instruments_requests()
    assert launching.path == f"{trading.path}&status=PreLaunch"


STATUS = '{"channel":"status","type":"update","data":[{"system":"%s","api_version":"v2","connection_id":1}]}'
PUSH = '{"arg":{"channel":"%s","instType":"SPOT"},"data":%s}'


def pushed(channel: str, **row: str) -> bytes:
    return (PUSH % (channel, json.dumps([row]))).encode()


def maintenance(state: str, **fields: str) -> bytes:
    end = {"end": "1790000000000"}
    return pushed("status", **({"state": state, "serviceType": "1", "env": "1", "preOpenBegin": ""} | end | fields))


@pytest.mark.parametrize(
    ("code", "frame", "told"),
    [
        ("kraken", (STATUS % "online").encode(), [Told(Phase.TRADING, "online")]),
        ("kraken", (STATUS % "maintenance").encode(), [Told(Phase.MAINTENANCE, "maintenance")]),
        ("kraken", (STATUS % "limit_only").encode(), [Told(Phase.LIMIT_ONLY, "limit_only")]),
        ("kraken", b'{"event":"systemStatus","status":"cancel_only"}', [Told(Phase.HALTED, "cancel_only")]),
        (
            "kraken",
            b'{"channel":"instrument","type":"update","data":{"assets":[],"pairs":[{"symbol":"BTC/USD","status":"x"}]}}',
            [Told(Phase.UNKNOWN, "x", "BTC/USD")],
        ),
        (
            "okx_spot",
            pushed("instruments", instId="A-USDT", instType="SPOT", state="suspend"),
            [Told(Phase.HALTED, "suspend", "A-USDT")],
        ),
        (
            "okx_spot",
            pushed("instruments", instId="A-USDT", state="live", openType="call_auction", **SWITCH),
            [Told(Phase.AUCTION, "call_auction", "A-USDT", NOW)],
        ),
        (
            "okx_spot",
            pushed("call-auction-details", instId="A-USDT", state="continuous_trading"),
            [Told(Phase.TRADING, "continuous_trading", "A-USDT")],
        ),
        ("okx_swap", maintenance("ongoing"), [Told(Phase.MAINTENANCE, "ongoing", "", NOW)]),
        ("okx_swap", maintenance("pre_open"), [Told(Phase.POST_ONLY, "pre_open", "", NOW)]),
        ("okx_swap", maintenance("completed"), [Told(Phase.TRADING, "completed", "", NOW)]),
        ("okx_swap", maintenance("scheduled"), []),
        ("okx_swap", maintenance("ongoing", serviceType="5"), []),
        ("okx_swap", maintenance("ongoing", env="2"), []),
        ("okx_swap", maintenance("ongoing", end=""), []),
    ],
)
def test_messages_that_tell_a_phase(code: str, frame: bytes, told: list[Told]) -> None:
    exchange = registry.get(code)
    assert exchange.strategy.route(frame).kind is RouteKind.PHASE
    assert exchange.handler.parse_phases(frame) == told


def test_the_answers_to_the_request_for_phases_concern_no_book() -> None:
    strategy = registry.get("okx_swap").strategy
    (request,) = map(json.loads, strategy.greeting(0))
    assert [arg["channel"] for arg in request["args"]] == ["status", "instruments", "instruments"]
    for answer in ({"event": "subscribe", "arg": request["args"][0]}, {"event": "error", "code": "60018", "msg": "no"}):
        assert strategy.route(json.dumps({"id": request["id"], **answer}).encode()).kind is RouteKind.OTHER


@pytest.mark.parametrize("code", registry.EXCHANGES)
def test_what_cannot_be_read_is_refused_with_a_reason(code: str) -> None:
    handler, reasons = registry.get(code).handler, set()
    for frame in (b"{}", b"[]", b"", b"\xff", b'{"channel":"status"}', b'{"arg":{"channel":"status"}}'):
        try:
            told = handler.parse_phases(frame)
        except FrameError as error:
            reasons.add(error.reason)
        else:
            reasons.update(one.word for one in told)
    assert reasons <= {"json", "shape"}


def test_a_recording_tells_phases_too(tmp_path: Path) -> None:
    def record(kind: str, data: str | None, url: str | None = None) -> str:
        return json.dumps({"kind": kind, "ts_ns": NOW, "conn": "a", "url": url, "data": data})

    def book(action: str, seq: int) -> str:
        levels = {"asks": [["1.1", "1", "0", "1"]], "bids": [["1.0", "1", "0", "1"]], "ts": "1790000000000"}
        row = {**levels, "checksum": 0, "seqId": seq, "prevSeqId": seq - 1 if action == "update" else -1}
        return json.dumps({"arg": {"channel": "books", "instId": "A-USDT"}, "action": action, "data": [row]})

    told = pushed("instruments", instId="A-USDT", instType="SPOT", state="suspend").decode()
    again = told.replace("suspend", "live")
    opened = record("connect", None, "wss://ws.okx.com:8443/ws/v5/public")
    states = []
    for messages in (
        [book("snapshot", 1)],
        [told, book("snapshot", 1)],
        [book("snapshot", 1), told],
        [told, book("snapshot", 1), again],
    ):
        path = tmp_path / f"{len(states)}.jsonl"
        path.write_text("\n".join([opened, *(record("recv", message) for message in messages)]))
        states.append(replay(path).shelf.builders["A-USDT"].state)
    assert states == [State.LIVE, State.HALTED, State.HALTED, State.LIVE]
