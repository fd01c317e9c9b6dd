"""The actions of the fault control as data: names, arguments and meanings, read from the methods themselves.

    ACTIONS["drop"].describe()
    # drop exchange symbol count=1
    #     The next `count` frames of a market reach nobody.

An action that takes `code` concerns an exchange, one that takes `native` a market of it; in scenario files these two
are called `exchange` and `symbol`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from services.simulator.deeds import Faults
from services.simulator.manglers import MANGLERS

SPOKEN = {"code": "exchange", "native": "symbol"}
ALIASES = {"list": "relist"}
CHOICES: dict[str, tuple[str, ...]] = {"kind": tuple(MANGLERS), "way": ("up", "down", "both")}
"""What an argument of this name may be."""
UNDONE_BY = {"halt": "resume", "quiet": "wake", "delist": "relist"}
_NO_ACTIONS = ("report", "rest_fault", "connect_answer")
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    kinds: tuple[type, ...]
    required: bool
    default: Any = None

    def fits(self, value: Any) -> bool:
        """Whether a TOML or JSON value is one; a whole number is a number, true is no number."""
        if isinstance(value, bool):
            return bool in self.kinds
        if self.name in CHOICES:
            return value in CHOICES[self.name]
        return isinstance(value, self.kinds) or (isinstance(value, int) and float in self.kinds)

    @property
    def allowed(self) -> str:
        return ", ".join(CHOICES.get(self.name, ())) or " or ".join(_WORDS[kind] for kind in self.kinds)


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
