"""The checks of a scenario file: one table at a time, key by key; a wrong one is one line that names where, key, found
and allowed."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from hoga.domain.errors import ConfigError, snippet
from services.simulator.actions import Action
from services.simulator.venues.registry import emulated

_REQUIRED = object()
_END = float("inf")


class Checker:
    def __init__(self, found: Mapping[str, Any], where: str, actions: Mapping[str, Action]) -> None:
        self.found, self.where, self.actions = found, where, actions
        self._known: list[str] = []

    # what a key holds

    def number(
        self, key: str, default: Any = _REQUIRED, *, least: float = 0.0, most: float = _END, why: str = ""
    ) -> Any:
        """`default` as it is, or a float; `why` is said instead of `most`."""
        value = self._take(key, default, "a number")
        if key not in self.found:
            return value
        bounds = f"a number from {least:g}" + (f" to {why or f'{most:g}'}" if most < _END or why else " up")
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.wrong(key, bounds)
        return float(value)

    def whole(self, key: str, default: int, *, least: int = 0) -> int:
        value = self._take(key, default, "a whole number")
        if isinstance(value, bool) or not isinstance(value, int) or (key in self.found and value < least):
            raise self.wrong(key, f"a whole number from {least} up")
        return value

    def text(self, key: str, default: str, *, one_of: list[str] | None = None) -> str:
        value = self._take(key, default, "text")
        if not isinstance(value, str):
            raise self.wrong(key, 'text: a native id, "*" or "random"' if one_of is None else ", ".join(one_of))
        if key in self.found and one_of is not None and value not in one_of:
            raise self.wrong(key, _nearest(value, one_of))
        return value

    def exchange(self, default: str) -> str:
        return self.text("exchange", default, one_of=[*emulated(), "*", "random"])

    def action(self) -> Action:
        self._take("action", _REQUIRED, "an action; --list-actions prints them")
        return self.actions[self.text("action", "", one_of=list(self.actions))]

    def arguments(self, action: Action) -> dict[str, Any]:
        """The action's own arguments, of which a list means a choice."""
        taken = {}
        for name, argument in action.arguments.items():
            self._known.append(name)
            if name not in self.found:
                if argument.required:
                    needed = f"{action.name} needs it; allowed is {argument.allowed}"
                    raise ConfigError(f"{self.where}: {name} is missing: {needed}")
                continue
            value = self.found[name]
            for one in value if isinstance(value, list) else [value]:
                if not argument.fits(one):
                    raise self.wrong(name, argument.allowed)
            if value == []:
                raise self.wrong(name, f"{argument.allowed}, or a list of what may be drawn")
            taken[name] = value
        return taken

    # tables within

    def tables(self, key: str) -> list[Checker]:
        value = self._take(key, [], "[[step]] tables")
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(key, f"tables, each headed [[{key}]]")
        return [Checker(one, f"{self.where}: {key} {n}", self.actions) for n, one in enumerate(value, start=1)]

    def table(self, key: str) -> Checker | None:
        value = self._take(key, None, "a table")
        if value is not None and not isinstance(value, dict):
            raise self.wrong(key, f"a table, headed [{key}]")
        return None if value is None else Checker(value, f"{self.where}: {key}", self.actions)

    def weighted(self, key: str) -> list[tuple[Action, float, Checker]]:
        """(action, weight, its table): `drop = 3` or `drop = { weight = 3, count = 2 }`."""
        inner = self.table(key)
        if inner is None or not inner.found:
            raise ConfigError(f"{self.where}: {key} is missing: allowed are actions with their weights, as drop = 3")
        chosen = []
        for name, value in inner.found.items():
            if name not in self.actions:
                raise inner.wrong(name, _nearest(name, list(self.actions)))
            table = value if isinstance(value, dict) else {"weight": value}
            own = Checker(table, f"{inner.where}.{name}", self.actions)
            chosen.append((self.actions[name], float(own.number("weight", least=0.000001)), own))
        return chosen

    # the end

    def finish(self, *, of: str = "") -> None:
        """Complains about the first key that nobody asked for."""
        for key in self.found:
            if key not in self._known:
                raise self.wrong(key, ", ".join(self._known), f"no such key{of}")

    def wrong(self, key: str, allowed: str, what: str = "") -> ConfigError:
        found = snippet(repr(self.found.get(key)))[:60]
        return ConfigError(f"{self.where}: {key} = {found}: {what + '; ' if what else ''}allowed is {allowed}")

    def _take(self, key: str, default: Any, allowed: str) -> Any:
        if key not in self._known:
            self._known.append(key)
        if key not in self.found and default is _REQUIRED:
            raise ConfigError(f"{self.where}: {key} is missing: allowed is {allowed}")
        return self.found.get(key, default)


def _nearest(value: str, allowed: list[str]) -> str:
    near = get_close_matches(value, allowed, n=1)
    return ", ".join(allowed) + (f" (did you mean {near[0]!r}?)" if near else "")
