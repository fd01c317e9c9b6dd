"""Scenario files: faults as data, so that a run can be written down, read and repeated.

    seed = 7
    duration_s = 60

    [[step]]
    at_s = 5
    action = "drop"                 # python -m services.simulator --list-actions
    exchange = "binance_spot"       # a code, "*" for all, "random" (the rule) for one that can
    symbol = "random"               # a native id, "*" or "random" (the rule)
    count = [1, 5]                  # an argument of the action; of a list one is drawn
    repeat_every_s = 10             # until the end, or `times` times; each up to `jitter_s` later
    jitter_s = 2

    [[step]]
    at_s = 20
    action = "halt"
    for_s = 3                       # then it is undone

    [random]                        # beside the steps
    rate_per_s = 0.5
    from_s = 10
    [random.actions]                # by weight
    abort = 1
    malformed = { weight = 4, kind = ["nan", "html"] }

Rules it keeps:
1. Everything is drawn from the seed; each step has dice of its own, so that one more step changes no other.
2. A file is checked as a whole before anything runs. What is wrong is one line: step, key, found, allowed.
"""

from __future__ import annotations

import heapq
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from random import Random
from typing import Any

from hoga.domain.errors import ConfigError
from services.simulator.actions import ACTIONS, Action
from services.simulator.scenario_checks import Checker

ALL, ANY = "*", "random"
_END = float("inf")


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that is due: what, when and on whom; `dice` draw the rest."""

    at_s: float
    source: str
    """"step 2" or "random"."""
    action: str
    exchange: str
    symbol: str
    """Empty where the action chooses itself."""
    arguments: Mapping[str, Any]
    for_s: float | None
    dice: Random = field(compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    number: int
    action: str
    at_s: float
    exchange: str = ANY
    symbol: str = ANY
    arguments: Mapping[str, Any] = field(default_factory=dict)
    repeat_every_s: float = 0.0
    times: int = 0
    """0: once, or until the end where it repeats."""
    jitter_s: float = 0.0
    for_s: float | None = None

    def strikes(self, seed: int) -> Iterator[Strike]:
        dice = Random(f"{seed}:step {self.number}")
        done = 0
        while done < (self.times or (1 << 60 if self.repeat_every_s else 1)):
            at_s = self.at_s + done * self.repeat_every_s + dice.random() * self.jitter_s
            yield self.strike(at_s, f"step {self.number}", dice)
            done += 1

    def strike(self, at_s: float, source: str, dice: Random) -> Strike:
        drawn = Random(dice.random())
        arguments = {
            name: drawn.choice(value) if isinstance(value, list) else value for name, value in self.arguments.items()
        }
        return Strike(at_s, source, self.action, self.exchange, self.symbol, arguments, self.for_s, drawn)


@dataclass(frozen=True, slots=True)
class Weather:
    """Faults at random moments."""

    rate_per_s: float
    from_s: float
    until_s: float
    choices: tuple[tuple[float, Step], ...]
    """(weight, what is done)"""

    def strikes(self, seed: int) -> Iterator[Strike]:
        dice = Random(f"{seed}:random")
        steps, weights = [step for _, step in self.choices], [weight for weight, _ in self.choices]
        at_s = self.from_s
        while True:
            at_s -= log(1.0 - dice.random()) / self.rate_per_s
            if at_s >= self.until_s:
                return
            yield dice.choices(steps, weights)[0].strike(at_s, "random", dice)


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int = 0
    duration_s: float = _END
    steps: tuple[Step, ...] = ()
    weather: Weather | None = None

    def strikes(self) -> Iterator[Strike]:
        """Every strike, in order of time; endless where nothing ends it."""
        parts = [step.strikes(self.seed) for step in self.steps]
        if self.weather is not None:
            parts.append(self.weather.strikes(self.seed))
        for strike in heapq.merge(*parts, key=lambda strike: strike.at_s):
            if strike.at_s >= self.duration_s:
                return
            yield strike


def load(path: Path, actions: Mapping[str, Action] = ACTIONS) -> Scenario:
    """A scenario file; ConfigError with one line that says what is wrong."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"cannot read scenario {path}: {reason}") from None
    return parse(text, actions, str(path))


def parse(text: str, actions: Mapping[str, Action] = ACTIONS, name: str = "scenario") -> Scenario:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is no TOML: {error}") from None
    top = Checker(found, name, actions)
    seed, duration_s = top.whole("seed", 0), top.number("duration_s", _END, least=0.001)
    steps = tuple(_step(checker, number) for number, checker in enumerate(top.tables("step"), start=1))
    section = top.table("random")
    top.finish()
    if not steps and section is None:
        raise ConfigError(f"{name} holds neither a [[step]] nor a [random] section")
    return Scenario(seed, duration_s, steps, None if section is None else _weather(section, duration_s))


def _step(checker: Checker, number: int) -> Step:
    action = checker.action()
    at_s = checker.number("at_s", 0.0)
    every_s = checker.number("repeat_every_s", 0.0, least=0.001)
    times = checker.whole("times", 0, least=1)
    if times > 1 and not every_s:
        raise checker.wrong("times", "1, or more with repeat_every_s")
    why = "repeat_every_s, so that strikes stay in order" if every_s else ""
    jitter_s = checker.number("jitter_s", 0.0, most=every_s or _END, why=why)
    aim = _aim(checker, action)
    checker.finish(of=f" of {action.name}")
    return Step(number, action.name, at_s, **aim, repeat_every_s=every_s, times=times, jitter_s=jitter_s)


def _weather(checker: Checker, duration_s: float) -> Weather:
    rate_per_s = checker.number("rate_per_s", least=0.000001)
    from_s = checker.number("from_s", 0.0)
    until_s = checker.number("until_s", duration_s, least=from_s)
    exchange = checker.exchange(ANY)
    choices = []
    for action, weight, own in checker.weighted("actions"):
        choices.append((weight, Step(0, action.name, 0.0, **_aim(own, action, exchange))))
        own.finish(of=f" of {action.name}")
    checker.finish()
    return Weather(rate_per_s, from_s, until_s, tuple(choices))


def _aim(checker: Checker, action: Action, exchange: str = ANY) -> dict[str, Any]:
    """Whom a strike concerns, its arguments and its end."""
    return {
        "exchange": checker.exchange(exchange) if action.takes_exchange else "",
        "symbol": checker.text("symbol", ANY if action.needs_symbol else "") if action.takes_symbol else "",
        "arguments": checker.arguments(action),
        "for_s": checker.number("for_s", None, least=0.001) if action.undone_by else None,
    }
