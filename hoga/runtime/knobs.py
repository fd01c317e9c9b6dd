"""One knob of the settings: what it means, what it allows, and the check with a one-line error.

The limits are the msgspec annotations in `hoga.runtime.settings`; this turns them into words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from hoga.domain.errors import ConfigError, snippet

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")
_LOGIN = re.compile(r"//[^/@,\s]*@")


@dataclass(frozen=True, slots=True)
class Knob:
    key: str
    type: Any
    meaning: str
    allowed: str
    default: Any
    secret: bool = False

    @property
    def default_text(self) -> str:
        """The default as it would be written in the environment."""
        return _spell(self.default)

    def show(self, value: object) -> str:
        """A value for the log: without secrets and line breaks."""
        if self.secret:
            return "***"
        return snippet(_LOGIN.sub("//***@", _spell(value)))

    def parse(self, text: str) -> object:
        """The value that `text` from the environment spells, unchecked; the text itself where it spells none."""
        base = _base(self.type)
        if get_origin(base) is list:
            return [part.strip() for part in text.split(",") if part.strip()]
        if base is bool:
            lowered = text.strip().lower()
            return True if lowered in _TRUE else False if lowered in _FALSE else text
        if base in (int, float):
            return _number(text.strip(), base)
        return text.strip()

    def check(self, value: object, name: str) -> object:
        """`value` as the knob's type; ConfigError naming `name`, the value and what is allowed."""
        if get_origin(_base(self.type)) is Literal and isinstance(value, str):
            value = next((word for word in get_args(_base(self.type)) if word.lower() == value.lower()), value)
        try:
            checked = msgspec.convert(value, self.type)
        except msgspec.ValidationError:
            raise ConfigError(f"{name} = {self.show(value) or repr('')}: allowed is {self.allowed}") from None
        if isinstance(checked, float) and checked != checked:
            raise ConfigError(f"{name} = nan: allowed is {self.allowed}")
        return checked


@lru_cache(maxsize=64)
def of(struct: type[msgspec.Struct]) -> tuple[Knob, ...]:
    """The knobs of one section, in the order of the file."""
    hints = get_type_hints(struct, include_extras=True)
    found = []
    for field in msgspec.structs.fields(struct):
        hint = hints[field.name]
        if get_origin(hint) is not Annotated:
            continue
        meta: msgspec.Meta = hint.__metadata__[0]
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        found.append(
            Knob(
                field.name,
                hint,
                meta.description or "",
                _allowed(hint, meta),
                default,
                secret=bool((meta.extra or {}).get("secret")),
            )
        )
    return tuple(found)


def names(struct: type[msgspec.Struct]) -> list[str]:
    return [knob.key for knob in of(struct)]


def title(struct: type[msgspec.Struct]) -> str:
    """The first line of the section's docstring."""
    return (struct.__doc__ or "").strip().splitlines()[0]


def _spell(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def _base(hint: Any) -> Any:
    return hint.__origin__ if get_origin(hint) is Annotated else hint


def _allowed(hint: Any, meta: msgspec.Meta) -> str:
    base = _base(hint)
    if meta.extra and "allowed" in meta.extra:
        return str(meta.extra["allowed"])
    if get_origin(base) is Literal:
        return "one of " + ", ".join(get_args(base))
    if get_origin(base) is list:
        (item,) = get_args(base)
        return "a list of " + str((item.__metadata__[0].extra or {}).get("allowed", "texts"))
    if base is bool:
        return "1 or 0 (true or false)"
    kind = "a whole number" if base is int else "a number"
    return f"{kind} from {_plain(meta.ge)} to {_plain(meta.le)}"


def _plain(number: float | None) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _number(text: str, base: type) -> object:
    try:
        return int(text) if base is int else float(text)
    except ValueError:
        return text
