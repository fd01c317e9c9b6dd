"""Reads the settings: a TOML file, overridden by the environment, every value checked.

1. The file is `--config`, else `HOGA_CONFIG`, else `./hoga.toml` where it exists.
2. `HOGA_<SECTION>_<KEY>` overrides it; lists are comma separated; an empty variable counts as not set.
   For one exchange: `HOGA_EXCHANGES_<CODE>_<KEY>` and `HOGA_UNIVERSE_EXCHANGES_<CODE>_<KEY>`.
3. `HOGA_…_FILE` names a file that holds the value (secrets). `LOG_LEVEL` and `DEBUG_MESSAGE_LOGGING` are
   other names of HOGA_LOG_LEVEL and HOGA_LOG_DEBUG_MESSAGES, which win.
4. An unknown key or a wrong value is a ConfigError of one line: the key, what was found, what is allowed.

`describe()` renders every knob with its meaning: the source of `.env.example` and of the documentation.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from hoga.domain.errors import ConfigError, snippet
from hoga.exchanges import registry
from hoga.runtime import knobs
from hoga.runtime.knobs import Knob
from hoga.runtime.settings import (
    ExchangeSettings,
    IngestSettings,
    LogSettings,
    MetricsSettings,
    MonitorSettings,
    NatsSettings,
    Settings,
    SimulatorSettings,
    UniverseRules,
    UniverseSettings,
    ValidatorSettings,
)

__all__ = [
    "ExchangeSettings",
    "IngestSettings",
    "LogSettings",
    "MetricsSettings",
    "MonitorSettings",
    "NatsSettings",
    "Settings",
    "SimulatorSettings",
    "UniverseRules",
    "UniverseSettings",
    "ValidatorSettings",
    "describe",
    "load_settings",
    "summary",
]

PREFIX = "HOGA_"
FILE_VARIABLE = "HOGA_CONFIG"
NO_SETTINGS = {FILE_VARIABLE, "HOGA_BOOK", "HOGA_TAPES", "HOGA_STACK"}
"""Names of ours that set nothing: those of the settings file and of the tests."""
DEFAULT_FILE = Path("hoga.toml")
ALIASES = {"LOG_LEVEL": "HOGA_LOG_LEVEL", "DEBUG_MESSAGE_LOGGING": "HOGA_LOG_DEBUG_MESSAGES"}

_SECTIONS: dict[str, type[msgspec.Struct]] = {
    field.name: field.type
    for field in msgspec.structs.fields(Settings)
    if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
}
_PER_EXCHANGE: dict[tuple[str, ...], type[msgspec.Struct]] = {
    ("exchanges",): ExchangeSettings,
    ("universe", "exchanges"): UniverseRules,
}
_Tree = dict[tuple[str, ...], Any]
"""Path (section, …, key) -> checked value."""


def load_settings(path: Path | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. ConfigError names the key that is wrong."""
    values: _Tree = {}
    file = _config_file(path, env)
    if file is not None:
        for where, value in _flatten(_read_toml(file), ()):
            values[where] = _check(where, value, name=f"{'.'.join(where)} in {file}", text=False)
    for variable, where, text in _from_environment(env):
        values[where] = _check(where, text, name=variable, text=True)
    settings = _build(values)
    if settings.ingest.backoff_max_s < settings.ingest.backoff_min_s:
        raise ConfigError(
            f"ingest.backoff_max_s = {settings.ingest.backoff_max_s}: allowed is at least "
            f"ingest.backoff_min_s ({settings.ingest.backoff_min_s})"
        )
    return settings


def describe() -> str:
    """Every knob as a commented `.env` entry with its meaning, what is allowed and the default."""
    lines = [
        "# Every setting as an environment variable. Those that are commented out stand at their default;",
        "# lists are comma separated, an empty variable counts as not set, and HOGA_..._FILE names a file",
        "# that holds the value. The same keys can stand in a TOML file ([section] key = value) named by:",
        f"#{FILE_VARIABLE}={DEFAULT_FILE}",
    ]
    for section, struct in _SECTIONS.items():
        lines += ["", f"# --- {section}: {knobs.title(struct)}"]
        lines += [line for knob in knobs.of(struct) for line in _entry(f"{PREFIX}{section.upper()}", knob)]
    for path, struct in _PER_EXCHANGE.items():
        prefix = PREFIX + "_".join(path).upper()
        codes = ", ".join(registry.supported()).upper()
        lines += ["", f"# --- {'.'.join(path)}.<code>: {knobs.title(struct)} <CODE> is one of {codes}."]
        lines += [line for knob in knobs.of(struct) for line in _entry(f"{prefix}_<CODE>", knob)]
    return "\n".join(lines) + "\n"


def summary(settings: Settings) -> str:
    """What differs from the defaults, in one line fit for the log; secrets are masked."""
    found = []
    for section, struct in _SECTIONS.items():
        found += _differences(section, getattr(settings, section), struct())
    for code, exchange in settings.exchanges.items():
        found += _differences(f"exchanges.{code}", exchange, ExchangeSettings())
    for code, rules in settings.universe.exchanges.items():
        found += _differences(f"universe.exchanges.{code}", rules, settings.universe)
    return " ".join(found) or "all defaults"


# --- the file


def _config_file(path: Path | None, env: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    if env.get(FILE_VARIABLE):
        return Path(env[FILE_VARIABLE])
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the settings file {file}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the settings file {file} is not TOML: {error}") from None


def _flatten(table: Mapping[str, Any], where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, (*where, key))
        else:
            yield (*where, key), value


# --- the environment


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(variable, path, text), aliases first so that the HOGA_ names win."""
    for alias, variable in ALIASES.items():
        if env.get(alias):
            yield alias, _path_of(variable), env[alias]
    for variable in sorted(env):
        text = env[variable]
        if not variable.startswith(PREFIX) or variable in NO_SETTINGS or not text:
            continue
        if variable.endswith("_FILE"):
            target = variable.removesuffix("_FILE")
            yield variable, _path_of(target, shown=variable), _read_secret(variable, text)
        else:
            yield variable, _path_of(variable), text


def _read_secret(variable: str, file: str) -> str:
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}: cannot read {snippet(file)}: {error}") from None


def _path_of(variable: str, *, shown: str = "") -> tuple[str, ...]:
    rest = variable.removeprefix(PREFIX).lower()
    for path, struct in _PER_EXCHANGE.items():
        prefix = "_".join(path) + "_"
        if rest.startswith(prefix):
            return (*path, *_split_exchange(rest.removeprefix(prefix), struct, shown or variable))
    for section, struct in _SECTIONS.items():
        if rest.startswith(section + "_"):
            key = rest.removeprefix(section + "_")
            if key in knobs.names(struct):
                return section, key
    known = [f"{PREFIX}{section}_{key}".upper() for section, struct in _SECTIONS.items() for key in knobs.names(struct)]
    raise ConfigError(f"{shown or variable} is not a setting{_suggest(variable, [*known, FILE_VARIABLE])}")


def _split_exchange(rest: str, struct: type[msgspec.Struct], variable: str) -> tuple[str, str]:
    for key in sorted(knobs.names(struct), key=len, reverse=True):
        if rest.endswith("_" + key):
            return rest.removesuffix("_" + key), key
    code = next((code for code in _known_exchanges() if rest.startswith(code + "_")), "")
    tail = rest.removeprefix(code + "_") if code else rest
    raise ConfigError(f"{variable} is not a setting{_suggest(tail, knobs.names(struct))}")


# --- checks


def _check(where: tuple[str, ...], value: object, *, name: str, text: bool) -> object:
    knob = _knob(where, name)
    if not text:
        return knob.check(value, name)
    return knob.check(knob.parse(str(value)), name)


def _knob(where: tuple[str, ...], name: str) -> Knob:
    for path, struct in _PER_EXCHANGE.items():
        if where[: len(path)] == path and len(where) == len(path) + 2:
            code, key = where[len(path) :]
            _check_exchange(code, name)
            return _find(struct, key, name)
    if len(where) == 2 and where[0] in _SECTIONS:
        return _find(_SECTIONS[where[0]], where[1], name)
    known = [*_SECTIONS, "exchanges"]
    if where[0] not in known:
        raise ConfigError(f"{name}: no such section{_suggest(where[0], known)}")
    raise ConfigError(f"{name} is not a setting")


def _find(struct: type[msgspec.Struct], key: str, name: str) -> Knob:
    for knob in knobs.of(struct):
        if knob.key == key:
            return knob
    raise ConfigError(f"{name} is not a setting{_suggest(key, knobs.names(struct))}")


def _check_exchange(code: str, name: str) -> None:
    known = _known_exchanges()
    if code not in known:
        raise ConfigError(f"{name}: unknown exchange {snippet(code)!r}{_suggest(code, known)}")


def _known_exchanges() -> list[str]:
    return registry.supported()


def _suggest(found: str, known: list[str]) -> str:
    near = get_close_matches(found, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(known)}"


# --- the struct


def _build(values: _Tree) -> Settings:
    tree: dict[str, Any] = {}
    for where, value in values.items():
        node = tree
        for step in where[:-1]:
            node = node.setdefault(step, {})
        node[where[-1]] = value
    universe = tree.get("universe", {})
    common = {key: value for key, value in universe.items() if key in knobs.names(UniverseRules)}
    for code, own in universe.get("exchanges", {}).items():
        universe["exchanges"][code] = {**common, **own}
    return msgspec.convert(tree, Settings)


def _entry(prefix: str, knob: Knob) -> list[str]:
    return [f"# {knob.meaning} [{knob.allowed}]", f"#{prefix}_{knob.key.upper()}={knob.default_text}"]


def _differences(where: str, struct: msgspec.Struct, default: msgspec.Struct) -> list[str]:
    found = []
    for knob in knobs.of(type(struct)):
        value = getattr(struct, knob.key)
        if value != getattr(default, knob.key):
            found.append(f"{where}.{knob.key}={knob.show(value)}")
    return found
