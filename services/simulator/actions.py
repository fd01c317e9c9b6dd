"""The actions of the fault control as data: names, arguments and meanings, read from the methods themselves.

    ACTIONS["drop"].describe()
    # drop exchange symbol count=1
    #     The next `count` frames of a market reach nobody.

An action that takes `code` concerns an exchange, one that takes `native` a market of it; in scenario files these two
are called `exchange` and `symbol`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from hoga.domain.errors import snippet
from services.simulator.deeds import FOREVER_S, Faults
from services.simulator.manglers import MANGLERS

SPOKEN = {"code": "exchange", "native": "symbol"}
ALIASES = {"list": "relist"}
PHASES = ("auction", "post_only", "limit_only", "pre_open", "halted")
CHOICES: dict[str, tuple[str, ...]] = {"kind": tuple(MANGLERS), "way": ("up", "down", "both"), "to": PHASES}
"""What an argument of this name may be."""
BOUNDS: dict[str, tuple[float, float]] = {"close_code": (1000, 4999), "status": (200, 599)}
"""Least and most of a number of this name; others reach from -FOREVER_S to FOREVER_S."""
UNDONE_BY = {"halt": "resume", "phase": "resume", "maintain": "reopen", "quiet": "wake", "delist": "relist"}
_NO_ACTIONS = ("report", "rest_fault", "connect_answer")
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    kinds: tuple[type, ...]
    required: bool
    default: Any = None

    def fits(self, value: Any) -> bool:
        """Whether a TOML or JSON value is one; a whole number is a number, true is no number, and null is as good as
        nothing where nothing is the default."""
        if value is None:
            return not self.required and self.default is None
        if isinstance(value, bool):
            return bool in self.kinds
        if self.name in CHOICES:
            return value in CHOICES[self.name]
        if isinstance(value, int | float):
            least, most = self._bounds
            return (type(value) in self.kinds or float in self.kinds) and least <= value <= most
        return isinstance(value, self.kinds)

    @property
    def allowed(self) -> str:
        if self.name in CHOICES:
            return ", ".join(CHOICES[self.name])
        words = " or ".join(_WORDS[kind] for kind in self.kinds)
        return words if {int, float}.isdisjoint(self.kinds) else "{} from {:g} to {:g}".format(words, *self._bounds)

    @property
    def _bounds(self) -> tuple[float, float]:
        return BOUNDS.get(self.name, (-FOREVER_S, FOREVER_S))


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    arguments: dict[str, Argument]
    """Without exchange and symbol."""
    takes_exchange: bool
    takes_symbol: bool
    needs_symbol: bool
    meaning: str

    @property
    def undone_by(self) -> str:
        """The action that undoes it; empty where none does."""
        return UNDONE_BY.get(self.name, "")

    def check(self, given: Mapping[str, Any]) -> None:
        """ValueError, one line, where the method does not take these; exchange and symbol are `code` and `native`."""
        taken = [Argument("code", (str,), True)] if self.takes_exchange else []
        taken += [Argument("native", (str,), self.needs_symbol, "")] if self.takes_symbol else []
        taken += self.arguments.values()
        for argument in taken:
            if argument.required and argument.name not in given:
                raise ValueError(f"{self.name}: {argument.name} is missing: allowed is {argument.allowed}")
            if not argument.fits(given.get(argument.name, argument.default)):
                raise ValueError(f"{self.name}: {argument.name} is wrong: allowed is {argument.allowed}")
        names = [argument.name for argument in taken]
        for name in given:
            if name not in names:
                raise ValueError(f"{self.name} takes no {snippet(name)!r}: allowed is {', '.join(names) or 'nothing'}")

    def describe(self) -> str:
        """Two lines for people."""
        words = ["exchange"] * self.takes_exchange
        words += ["symbol"] if self.needs_symbol else ['symbol=""'] if self.takes_symbol else []
        for name, argument in self.arguments.items():
            words.append(name if argument.required else f"{name}={_shown(argument.default)}")
        choices = [f"{name}: {argument.allowed}." for name, argument in self.arguments.items() if name in CHOICES]
        return f"{self.name} {' '.join(words)}".rstrip() + f"\n    {' '.join([self.meaning, *choices])}"


def action(method: Callable[..., Any], *, bound: bool = False) -> Action:
    """An action made of a method (or, `bound`, of a plain callable), whose docstring opens with what happens."""
    hints = get_type_hints(method)
    parameters = list(inspect.signature(method).parameters.values())[0 if bound else 1 :]
    arguments = {
        found.name: Argument(found.name, _kinds(hints[found.name]), found.default is found.empty, found.default)
        for found in parameters
        if found.name not in SPOKEN
    }
    needed = {found.name: found.default is found.empty for found in parameters}
    meaning = " ".join((inspect.getdoc(method) or "").split("\n\n")[0].split())
    return Action(
        method.__name__, arguments, "code" in needed, "native" in needed, needed.get("native", False), meaning
    )


def _kinds(hint: Any) -> tuple[type, ...]:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return tuple(kind for kind in kinds if kind is not NoneType)


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value) or '""'


ACTIONS: dict[str, Action] = {
    name: action(method)
    for name, method in inspect.getmembers(Faults, inspect.isfunction)
    if not name.startswith("_") and name not in _NO_ACTIONS
}
"""By name."""
