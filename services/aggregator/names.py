"""Names in `include` and `exclude` that no exchange lists: each is said once, with what it may have meant.

A name that one exchange's own settings give must be listed there; a name that the common settings give must be
listed on any exchange, and is judged only when all that run have answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from hoga.domain.aliases import as_listed
from hoga.domain.symbols import SymbolMap
from hoga.domain.universe import near_matches
from hoga.runtime.settings import UniverseRules, UniverseSettings


class NameCheck:
    def __init__(self, settings: UniverseSettings) -> None:
        self._settings = settings
        self._said: set[str] = set()

    def own(self, code: str, listed: SymbolMap) -> Iterator[str]:
        """One line for each wrong name in the settings of exchange `code`."""
        rules = self._settings.exchanges.get(code)
        if rules is not None:
            names = {name: key for name, key in _names(rules) if (name, key) not in set(_names(self._settings))}
            where = f"universe.exchanges.{code}"
            yield from self._wrong(names.items(), where, {code: listed})

    def common(self, listed: Mapping[str, SymbolMap]) -> Iterator[str]:
        """One line for each wrong name in the common settings; `listed` by exchange that answered."""
        if listed:
            yield from self._wrong(_names(self._settings), "universe", listed)

    def _wrong(self, names: Iterable[tuple[str, str]], where: str, listed: Mapping[str, SymbolMap]) -> Iterator[str]:
        for name, key in names:
            place = f"{where}.{key}: {name}"
            if any(as_listed(name, symbols.by_symbol) in symbols.by_symbol for symbols in listed.values()):
                self._said.discard(place)
            elif place not in self._said:
                self._said.add(place)
                found = sorted({match for symbols in listed.values() for match in near_matches(name, symbols)})
                near = get_close_matches(name.upper(), found, n=2, cutoff=0.0)
                hint = f"; did you mean {' or '.join(near)}?" if near else ""
                yield f"{place} is not listed on {', '.join(listed)}{hint}"


def _names(rules: UniverseRules) -> list[tuple[str, str]]:
    """(name, key) of every name given."""
    return [(name, "include") for name in rules.include] + [(name, "exclude") for name in rules.exclude]
