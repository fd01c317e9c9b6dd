"""Plays a scenario: does what is due, finds whom it concerns, remembers what came of it.

    player = Player(scenario, world)
    player.advance(seconds)      # does everything that is due so far; the next moment, None when it is over
    await player.run()           # the same by the clock of the loop

A "random" target is one that can: where an exchange refuses (it sends no checksums, it has no such market), the next
one is tried. Everything else that is refused is counted, and the run goes on.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from hoga.domain.errors import ConfigError
from services.simulator.actions import ACTIONS, Action
from services.simulator.scenario import ALL, ANY, Scenario, Strike
from services.simulator.world import World

log = logging.getLogger(__name__)
_REMEMBERED = 10_000

Target = tuple[str, str]
"""(exchange, native id); empty where the action takes none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    at_s: float
    source: str
    action: str
    target: Target
    arguments: Mapping[str, Any]
    answer: Mapping[str, Any] | None
    """What the action said; None where it was refused."""
    refusal: str = ""


class Player:
    """`deeds` are further actions by name, beside those of the fault control: callables that take the arguments of
    their `Action` (and `code` and `native`, where it takes these)."""

    def __init__(
        self,
        scenario: Scenario,
        world: World,
        actions: Mapping[str, Action] = ACTIONS,
        deeds: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.scenario, self.world = scenario, world
        self.done: deque[Outcome] = deque(maxlen=_REMEMBERED)
        self.counts: Counter[str] = Counter()
        """Actions that were done, by name."""
        self.refused: Counter[str] = Counter()
        self._actions, self._deeds = actions, deeds or {}
        self._strikes: Iterator[Strike] = scenario.strikes()
        self._next: Strike | None = next(self._strikes, None)
        self._undo: list[tuple[float, int, Strike, Target]] = []
        self._undos = 0
        self._check()

    def advance(self, now_s: float) -> float | None:
        """Does what is due at `now_s`; when the next is, None where nothing is left."""
        while (due_s := self._due_s()) is not None and due_s <= now_s:
            if self._undo and self._undo[0][0] == due_s:
                _, _, strike, target = heapq.heappop(self._undo)
                self._do(self._actions[self._actions[strike.action].undone_by], due_s, strike.source, target, {})
            elif self._next is not None:
                strike, self._next = self._next, next(self._strikes, None)
                self._strike(strike)
        return self._due_s()

    async def run(self) -> None:
        """Plays to the end; cancel it to end it before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            due_s = self.advance(loop.time() - began)
            if due_s is None:
                return
            await asyncio.sleep(max(0.0, due_s - (loop.time() - began)))

    def summary(self) -> str:
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items())) or "nothing"
        refused = ", ".join(f"{count} {name}" for name, count in sorted(self.refused.items()))
        return done + (f"; not possible: {refused}" if refused else "")

    def _due_s(self) -> float | None:
        moments = [self._undo[0][0]] if self._undo else []
        if self._next is not None:
            moments.append(self._next.at_s)
        return min(moments, default=None)

    def _strike(self, strike: Strike) -> None:
        action, arguments = self._actions[strike.action], strike.arguments
        targets, one_is_enough = self._targets(strike)
        outcomes = []
        for target in targets:
            outcome = self._do(action, strike.at_s, strike.source, target, arguments, quietly=one_is_enough)
            outcomes.append(outcome)
            if outcome.answer is not None:
                if strike.for_s is not None:
                    self._undos += 1
                    heapq.heappush(self._undo, (strike.at_s + strike.for_s, self._undos, strike, target))
                if one_is_enough:
                    return
        if one_is_enough or not targets:
            refusal = outcomes[-1].refusal if outcomes else "no such market is listed"
            self._refuse(Outcome(strike.at_s, strike.source, strike.action, ("", ""), arguments, None, refusal))

    def _targets(self, strike: Strike) -> tuple[list[Target], bool]:
        """Whom it may concern, in the order of trial, and whether the first that can is enough."""
        if not strike.exchange:
            return [("", "")], False
        codes = list(self.world.venues) if strike.exchange in (ALL, ANY) else [strike.exchange]
        if not strike.symbol:
            targets = [(code, "") for code in codes]
        else:
            listed = [(code, native) for code in codes for native in self.world.venues[code].natives()]
            wild = strike.symbol in (ALL, ANY)
            targets = listed if wild else [target for target in listed if target[1] == strike.symbol]
            if not wild and not targets and strike.exchange not in (ALL, ANY):
                targets = [(strike.exchange, strike.symbol)]
        if strike.exchange == ANY and strike.symbol == ALL:
            chosen = strike.dice.choice(codes)
            return [target for target in targets if target[0] == chosen], False
        if ANY not in (strike.exchange, strike.symbol):
            return targets, False
        if strike.exchange == ALL:
            return [_one(strike.dice, targets, code) for code in codes if any(t[0] == code for t in targets)], False
        return strike.dice.sample(targets, len(targets)), True

    def _do(
        self,
        action: Action,
        at_s: float,
        source: str,
        target: Target,
        arguments: Mapping[str, Any],
        *,
        quietly: bool = False,
    ) -> Outcome:
        deed = self._deeds.get(action.name) or getattr(self.world.faults, action.name)
        named = dict(arguments)
        if action.takes_exchange:
            named["code"] = target[0]
        if action.takes_symbol and target[1]:
            named["native"] = target[1]
        try:
            answer = deed(**named)
        except KeyError as error:
            outcome = Outcome(at_s, source, action.name, target, arguments, None, f"unknown: {error}")
        except ValueError as error:
            outcome = Outcome(at_s, source, action.name, target, arguments, None, str(error))
        else:
            outcome = Outcome(at_s, source, action.name, target, arguments, answer or {})
            self.done.append(outcome)
            self.counts[action.name] += 1
            log.info("%.3f s, %s: %s %s %s", at_s, source, action.name, " ".join(filter(None, target)), dict(arguments))
        if outcome.answer is None and not quietly:
            self._refuse(outcome)
        return outcome

    def _refuse(self, outcome: Outcome) -> None:
        self.done.append(outcome)
        self.refused[outcome.action] += 1
        log.info("%.3f s, %s: %s is not possible: %s", outcome.at_s, outcome.source, outcome.action, outcome.refusal)

    def _check(self) -> None:
        """What only the running exchanges can tell: whether the named ones are there."""
        steps = [(f"step {step.number}", step) for step in self.scenario.steps]
        weather = self.scenario.weather
        steps += [(f"random.actions.{step.action}", step) for _, step in weather.choices] if weather else []
        for where, step in steps:
            if step.exchange in ("", ALL, ANY):
                continue
            if step.exchange not in self.world.venues:
                allowed = ", ".join(self.world.venues)
                raise ConfigError(f"{where}: exchange = {step.exchange!r}: not simulated here; allowed is {allowed}")
            known = self._known(step.exchange)
            if step.symbol not in ("", ALL, ANY, *known):
                shown = ", ".join(list(known)[:8])
                raise ConfigError(f"{where}: symbol = {step.symbol!r}: no market of {step.exchange}; some are {shown}")

    def _known(self, code: str) -> list[str]:
        market = self.world.market.exchanges.get(code)
        if market is None:
            return self.world.venues[code].natives()
        spell = market.emulator.catalogue.renamed
        natives = market.known()
        return natives + [spell(native) for native in natives] if spell else natives


def _one(dice: Random, targets: list[Target], code: str) -> Target:
    return dice.choice([target for target in targets if target[0] == code])
