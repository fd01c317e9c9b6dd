"""Scenario files: checked as a whole, drawn from the seed, played in order of time."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import pytest

from hoga.domain.errors import ConfigError
from services.simulator.actions import ACTIONS, action
from services.simulator.deeds import Faults
from services.simulator.player import Player
from services.simulator.scenario import Scenario, load, parse
from services.simulator.venues.registry import emulated
from tests.support.memory_link import Room

FULL = """
seed = 7
duration_s = 60

[[step]]
at_s = 5
action = "drop"
exchange = "binance_spot"
symbol = "BTCUSDT"
count = [1, 2, 3]
repeat_every_s = 10
jitter_s = 2

[[step]]
at_s = 20
action = "halt"
for_s = 3

[random]
rate_per_s = 0.5
from_s = 10
[random.actions]
abort = 1
malformed = { weight = 4, kind = ["nan", "html"] }
"""


def play(text: str, room: Room, seconds: float) -> Player:
    player = Player(parse(text), room.world)
    for _ in range(int(seconds * 20)):
        player.advance(room.clock.ns / 1e9)
        room.run(0.05)
    return player


def test_strikes_come_in_order_within_the_time_and_are_drawn_from_the_seed() -> None:
    scenario = parse(FULL)
    strikes = list(scenario.strikes())
    assert strikes == list(parse(FULL).strikes())
    assert [strike.at_s for strike in strikes] == sorted(strike.at_s for strike in strikes)
    assert max(strike.at_s for strike in strikes) < 60
    drops = [strike for strike in strikes if strike.action == "drop"]
    assert [int((strike.at_s - 5) // 10) for strike in drops] == [0, 1, 2, 3, 4, 5]
    assert all(5 + 10 * n <= strike.at_s <= 7 + 10 * n for n, strike in enumerate(drops))
    assert len({strike.arguments["count"] for strike in drops}) > 1
    weather = [strike for strike in strikes if strike.source == "random"]
    assert 12 < len(weather) < 40
    assert min(strike.at_s for strike in weather) > 10
    spoiled = [strike for strike in weather if strike.action == "malformed"]
    assert len(spoiled) > len(weather) / 2
    assert {strike.arguments["kind"] for strike in spoiled} == {"nan", "html"}
    other = list(parse(FULL.replace("seed = 7", "seed = 8")).strikes())
    assert [strike.at_s for strike in other] != [strike.at_s for strike in strikes]


def test_one_more_step_changes_no_other() -> None:
    more = FULL + '\n[[step]]\nat_s = 1\naction = "clear"\nrepeat_every_s = 0.5\n'
    strikes, extended = list(parse(FULL).strikes()), list(parse(more).strikes())
    assert [strike for strike in extended if strike.action != "clear"] == strikes


def test_without_a_duration_what_repeats_is_endless_and_times_ends_it() -> None:
    step = '[[step]]\naction = "abort"\nat_s = 1\nrepeat_every_s = 2\n'
    assert [strike.at_s for strike in islice(parse(step).strikes(), 1000)][-1] == 1999.0
    assert [strike.at_s for strike in parse(step + "times = 3\n").strikes()] == [1.0, 3.0, 5.0]
    assert [strike.at_s for strike in parse('[[step]]\naction = "abort"\nat_s = 1\n').strikes()] == [1.0]


STEP = '[[step]]\naction = "drop"\n'
WRONG = [
    ("seed = ", "no TOML"),
    ("", "holds neither a [[step]] nor a [random] section"),
    ("speed = 1\n" + STEP, "speed = 1: no such key; allowed is seed, duration_s, step, random"),
    ('seed = "x"\n' + STEP, "seed = 'x': allowed is a whole number from 0 up"),
    ("duration_s = 0\n" + STEP, "duration_s = 0: allowed is a number from 0.001 up"),
    ("step = 3\n", "step = 3: allowed is tables, each headed [[step]]"),
    ("[[step]]\nat_s = 1\n", "step 1: action is missing"),
    ('[[step]]\naction = "drip"\n', "step 1: action = 'drip': allowed is abort, "),
    ('[[step]]\naction = "drip"\n', "(did you mean 'drop'?)"),
    (STEP + "\n" + STEP + "at_s = -1\n", "step 2: at_s = -1: allowed is a number from 0 up"),
    (STEP + "at_s = true\n", "step 1: at_s = True: allowed is a number from 0 up"),
    (STEP + 'exchange = "bittrex"\n', "step 1: exchange = 'bittrex': allowed is binance_future, "),
    (STEP + "symbol = 5\n", "step 1: symbol = 5: allowed is text: a native id"),
    (STEP + 'count = "two"\n', "step 1: count = 'two': allowed is a whole number"),
    (STEP + "count = [1, 2.5]\n", "step 1: count = [1, 2.5]: allowed is a whole number"),
    (STEP + "count = []\n", "step 1: count = []: allowed is a whole number from -1e+09 to 1e+09, or a list"),
    ('[[step]]\naction = "delay"\nseconds = inf\n', "step 1: seconds = inf: allowed is a number from -1e+09 to 1e+09"),
    ('[[step]]\naction = "close"\nclose_code = 7\n', "step 1: close_code = 7: allowed is a whole number from 1000"),
    (STEP + "cuont = 2\n", "step 1: cuont = 2: no such key of drop; allowed is action, at_s, "),
    (STEP + "for_s = 2\n", "step 1: for_s = 2: no such key of drop"),
    (STEP + "times = 3\n", "step 1: times = 3: allowed is 1, or more with repeat_every_s"),
    (STEP + "repeat_every_s = 1\njitter_s = 2\n", "step 1: jitter_s = 2: allowed is a number from 0 to repeat_every_s"),
    ('[[step]]\naction = "malformed"\nkind = "odd"\n', "step 1: kind = 'odd': allowed is truncated, empty, "),
    ('[[step]]\naction = "tcp_rst"\nway = "left"\n', "step 1: way = 'left': allowed is up, down, both"),
    ('[[step]]\naction = "clock"\n', "step 1: seconds is missing: clock needs it; allowed is a number"),
    (
        '[[step]]\naction = "clock"\nseconds = 1\nexchange = "upbit"\n',
        "step 1: exchange = 'upbit': no such key of clock",
    ),
    ("[random]\n[random.actions]\ndrop = 1\n", "random: rate_per_s is missing"),
    ("[random]\nrate_per_s = 1\n", "random: actions is missing"),
    ("[random]\nrate_per_s = 1\n[random.actions]\ndorp = 1\n", "random: actions: dorp = 1: allowed is abort, "),
    ("[random]\nrate_per_s = 1\n[random.actions]\ndrop = 0\n", "random: actions.drop: weight = 0: allowed is a number"),
    ("[random]\nrate_per_s = 1\nfrom_s = 9\nuntil_s = 3\n[random.actions]\ndrop = 1\n", "random: until_s = 3"),
]


@pytest.mark.parametrize(("text", "complaint"), WRONG)
def test_what_is_wrong_is_one_line_that_names_where_found_and_allowed(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, name="my.toml")
    message = str(caught.value)
    assert message.startswith(("my.toml: ", "my.toml is ", "my.toml holds "))
    assert complaint in message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read scenario .*missing\.toml: No such file"):
        load(tmp_path / "missing.toml")
    path = tmp_path / "good.toml"
    path.write_text(FULL, "utf-8")
    assert load(path) == parse(FULL)


def test_what_only_the_running_exchanges_know_is_checked_before_the_start() -> None:
    room = Room("upbit", symbols=2)
    with pytest.raises(ConfigError, match="step 1: exchange = 'bithumb': not simulated here; allowed is upbit"):
        Player(parse('[[step]]\naction = "drop"\nexchange = "bithumb"\n'), room.world)
    with pytest.raises(ConfigError, match="step 1: symbol = 'KRW-NOPE': no market of upbit; some are KRW-BTC"):
        Player(parse('[[step]]\naction = "drop"\nexchange = "upbit"\nsymbol = "KRW-NOPE"\n'), room.world)


def test_a_step_is_done_to_whom_it_names() -> None:
    room = Room("upbit", "bithumb", symbols=3)
    text = """
    [[step]]
    action = "drop"
    exchange = "*"
    symbol = "*"
    [[step]]
    action = "duplicate"
    exchange = "bithumb"
    symbol = "random"
    count = 7
    [[step]]
    action = "swap"
    exchange = "*"
    symbol = "KRW-BTC"
    [[step]]
    action = "malformed"
    exchange = "random"
    symbol = "*"
    """
    player = Player(parse(text), room.world)
    assert player.advance(0.0) is None
    assert player.counts == {"drop": 6, "duplicate": 1, "swap": 2, "malformed": 3}
    assert len({outcome.target[0] for outcome in player.done if outcome.action == "malformed"}) == 1
    armed = {code: room.world.faults.report()[code]["armed"] for code in ("upbit", "bithumb")}
    assert sum(sum(by_market.values()) for by_market in armed.values()) == 6 + 7 + 2 + 3
    assert max(armed["bithumb"].values()) >= 8


def test_random_means_one_that_can() -> None:
    room = Room("binance_spot", "upbit", "kraken", symbols=2)
    player = Player(parse('[[step]]\naction = "corrupt_checksum"\nrepeat_every_s = 1\ntimes = 20\n'), room.world)
    player.advance(100.0)
    assert {outcome.target[0] for outcome in player.done} == {"kraken"}
    assert (player.counts["corrupt_checksum"], player.refused) == (20, {})


def test_what_is_not_possible_is_counted_and_the_run_goes_on() -> None:
    room = Room("upbit", symbols=1)
    text = """
    [[step]]
    action = "rename"
    [[step]]
    at_s = 1
    action = "tcp_rst"
    [[step]]
    at_s = 2
    action = "delist"
    [[step]]
    at_s = 3
    action = "halt"
    [[step]]
    at_s = 4
    action = "halt"
    exchange = "upbit"
    symbol = "KRW-BTC"
    [[step]]
    at_s = 5
    action = "relist"
    """
    player = play(text, room, 6.0)
    assert player.refused == {"rename": 1, "tcp_rst": 1, "halt": 2}
    assert player.counts == {"delist": 1, "relist": 1}
    refusals = [outcome.refusal for outcome in player.done if outcome.answer is None]
    assert refusals[0].startswith("upbit spells a native id")
    assert refusals[1:] == [
        "no proxy runs in front; start with --proxy-port", "no such market is listed", "unknown: 'KRW-BTC'",
    ]  # fmt: skip
    assert player.summary() == "1 delist, 1 relist; not possible: 2 halt, 1 rename, 1 tcp_rst"


def test_what_lasts_for_a_while_is_undone() -> None:
    room = Room("binance_spot", symbols=3)
    text = """
    [[step]]
    at_s = 1
    action = "halt"
    symbol = "BTCUSDT"
    for_s = 2
    [[step]]
    at_s = 1
    action = "quiet"
    symbol = "ETHUSDT"
    for_s = 2
    [[step]]
    at_s = 1
    action = "delist"
    symbol = "XRPUSDT"
    for_s = 2
    """
    market = room.world.market.exchanges["binance_spot"]
    player = Player(parse(text), room.world)
    assert player.advance(0.9) == 1.0
    assert player.advance(1.0) == 3.0
    assert (market.symbols["BTCUSDT"].still, market.symbols["ETHUSDT"].quiet) == (True, True)
    assert "XRPUSDT" not in market.symbols
    assert player.advance(3.0) is None
    assert (market.symbols["BTCUSDT"].still, market.symbols["ETHUSDT"].quiet) == (False, False)
    assert market.symbols["XRPUSDT"].lives == 2


def test_equal_seeds_play_equal_runs() -> None:
    text = """
    seed = 3
    [random]
    rate_per_s = 20
    until_s = 5
    [random.actions]
    """ + "".join(f"{name} = 1\n" for name in ("drop", "swap", "halt", "resume", "reset", "cross", "delay", "abort"))
    runs = [play(text, Room("bybit_spot", "okx_spot", "upbit", symbols=3), 6.0) for _ in range(2)]
    assert list(runs[0].done) == list(runs[1].done)
    assert len(runs[0].done) > 60
    assert runs[0].refused == {}


async def test_the_loop_plays_it_too() -> None:
    room = Room("upbit", symbols=1)
    player = Player(parse('[[step]]\naction = "abort"\nrepeat_every_s = 0.02\ntimes = 4\n'), room.world)
    async with asyncio.timeout(30):
        await player.run()
    assert player.counts == {"abort": 4}


def test_further_actions_can_be_given() -> None:
    killed: list[tuple[str, int]] = []

    def kill(code: str, signal: int = 9) -> None:
        """A process of ours ends at once."""
        killed.append((code, signal))

    actions = {**ACTIONS, "kill": action(kill, bound=True)}
    scenario = parse('[[step]]\naction = "kill"\nexchange = "upbit"\nsignal = 15\n', actions)
    player = Player(scenario, Room("upbit").world, actions, {"kill": kill})
    player.advance(0.0)
    assert killed == [("upbit", 15)]
    assert actions["kill"].describe() == "kill exchange signal=9\n    A process of ours ends at once."


def test_every_action_is_described_and_does_what_it_is_called() -> None:
    assert len(ACTIONS) > 30
    for name, found in ACTIONS.items():
        assert found.name == name
        assert callable(getattr(Faults, name))
        assert len(found.meaning) > 10, f"{name} has no docstring"
        assert found.takes_exchange or not found.takes_symbol
    assert ACTIONS["refuse_rest"].arguments["retry_after_s"].kinds == (int,)


def test_scenarios_over_all_exchanges_leave_every_market_at_work() -> None:
    names = [
        name
        for name, found in ACTIONS.items()
        if found.takes_exchange and name not in ("inject", "delist", "silence", "maintain")
    ]
    text = "seed = 1\n[random]\nrate_per_s = 40\nuntil_s = 8\n[random.actions]\n" + "".join(f"{n} = 1\n" for n in names)
    text += 'delist = { weight = 1, for_s = 1 }\nmaintain = { weight = 1, exchange = "kraken", for_s = 1 }\n'
    room = Room(*emulated(), symbols=3)
    clients = [room.client(code) for code in emulated()]
    for client in clients:
        client.subscribe(*client.venue.natives())
    player = play(text, room, 9.0)
    assert set(player.refused) <= {"relist", "resume", "wake"}, player.summary()
    assert set(player.counts) >= set(names) - {"rename"}
    assert isinstance(player.scenario, Scenario)
    for code, market in room.world.market.exchanges.items():
        room.world.faults.clear()
        for native, symbol in market.symbols.items():
            room.world.faults.resume(code, native)
            room.world.faults.wake(code, native)
            before = symbol.frame_ms
            room.run(0.3)
            assert symbol.frame_ms > before, (code, native)
            truth = room.world.truth(code, native)
            assert truth["bids"]
            assert truth["bids"][0] != truth["asks"][0]
