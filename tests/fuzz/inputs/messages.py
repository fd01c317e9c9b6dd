"""Mutations of protobuf messages: fields set to their limits, dropped, repeated, moved; and bytes of the wire."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from google.protobuf.message import DecodeError, Message

from tests.fuzz.inputs.mutate import MAX_BYTES, TEXTS, Mutator, edit_bytes, mutate

_INTEGERS = (0, 1, -1, 2, 127, 128, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**62, 2**63 - 1, -(2**63), 2**64 - 1)
_FLOATS = (0.0, -1.0, 1e308, float("inf"), float("-inf"), float("nan"))


def mutator(kind: type[Message], payload: Mutator = mutate) -> Mutator:
    """Mutations of messages of one kind; bytes fields change by `payload`."""

    def change(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
        if chance.random() < 0.2:
            return edit_bytes(data, chance, pool)
        message = kind()
        try:
            message.ParseFromString(data)
            for _ in range(chance.choice((1, 1, 2, 4))):
                _edit(message, chance, payload)
            return message.SerializeToString()[: 4 * MAX_BYTES]
        except DecodeError:
            return edit_bytes(chance.choice(pool), chance, pool) if pool else b""

    return change


def _edit(message: Message, chance: Random, payload: Mutator) -> None:
    field: Any = chance.choice(list(message.DESCRIPTOR.fields))
    if chance.random() < 0.1:
        message.ClearField(field.name)
    elif field.is_repeated:
        _edit_repeated(getattr(message, field.name), field, chance, payload)
    elif field.message_type is not None:
        _edit(getattr(message, field.name), chance, payload)
    else:
        _try_set(
            lambda value: setattr(message, field.name, value), getattr(message, field.name), field, chance, payload
        )


def _edit_repeated(values: Any, field: Any, chance: Random, payload: Mutator) -> None:
    index = chance.randrange(len(values)) if values else -1
    match chance.randrange(5):
        case 0 if values:
            del values[index]
        case 1 if values:
            for _ in range(chance.choice((1, 1, 3, 100))):
                values.extend([values[index]])
        case 2 if len(values) > 1:
            other = chance.randrange(len(values))
            kept = list(values)
            kept[index], kept[other] = kept[other], kept[index]
            if field.message_type is None:
                values[:] = kept
        case _ if field.message_type is not None:
            _edit(values[index] if values else values.add(), chance, payload)
        case _:
            before = values[index] if values else field.default_value or _empty(field)
            _try_set(lambda value: values.insert(max(index, 0), value), before, field, chance, payload)


def _try_set(put: Any, before: Any, field: Any, chance: Random, payload: Mutator) -> None:
    """Sets a scalar; what its type cannot hold is left alone."""
    value: Any
    match field.type:
        case field.TYPE_STRING:
            text = before if isinstance(before, str) else ""
            value = (
                chance.choice((*TEXTS, text + "x", text[:-1], text.lower(), text * 40))
                .encode("utf-8", "replace")
                .decode()
            )
        case field.TYPE_BYTES:
            value = payload(before if isinstance(before, bytes) else b"", chance, ())
        case field.TYPE_BOOL:
            value = chance.random() < 0.5
        case field.TYPE_DOUBLE:
            value = chance.choice(_FLOATS)
        case field.TYPE_ENUM:
            value = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 100, -1))
        case _:
            near = (before or 0) + chance.choice((-1, 1, -(10**9), 10**9))
            value = chance.choice((*_INTEGERS, near, near, chance.randrange(1 << 40)))
    try:
        put(value)
    except ValueError:
        return


def _empty(field: Any) -> Any:
    return {field.TYPE_STRING: "", field.TYPE_BYTES: b""}.get(field.type, 0)
