"""JSON as a tree that keeps what a decoder may stumble over: repeated keys, numbers as text, raw garbage.

Only for fuzzing: what is written need not be JSON any more.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

Node = Any
"""None, bool, str, Raw, list of nodes, or Pairs."""


MOST_SLOTS = 4000


class Raw(str):
    """Written as it stands: a number, or what is no JSON at all."""

    __slots__ = ()


class Pairs(list[list[Any]]):
    """An object: [key, node] pairs in their order, keys may repeat."""


def read(data: bytes) -> Node:
    """The tree of a JSON text; ValueError where it is none, RecursionError where it nests too deep for us."""
    return json.loads(data, object_pairs_hook=_pairs, parse_float=Raw, parse_int=Raw, parse_constant=Raw)


def write(node: Node, *, spaced: bool = False, ascii_only: bool = False) -> bytes:
    """The text of a tree. Lone surrogates go out as escapes. RecursionError where it nests too deep for us."""
    comma, colon = (", ", ": ") if spaced else (",", ":")

    def text(one: Node) -> str:
        match one:
            case Raw():
                return str(one)
            case None:
                return "null"
            case bool():
                return "true" if one else "false"
            case str():
                return quoted(one, ascii_only=ascii_only)
            case Pairs():
                return "{" + comma.join(f"{text(key)}{colon}{text(value)}" for key, value in one) + "}"
            case _:
                return "[" + comma.join(map(text, one)) + "]"

    return text(node).encode("utf-8", "surrogatepass")


def quoted(text: str, *, ascii_only: bool = False) -> str:
    """A JSON string; not ASCII stays as it is unless `ascii_only`, lone surrogates never do."""
    lone = any("\ud800" <= char <= "\udfff" for char in text)
    return json.dumps(text, ensure_ascii=ascii_only or lone)


def slots(node: Node, limit: int = MOST_SLOTS) -> list[tuple[list[Any], int]]:
    """Every place where a node stands, as (list, index); of an object's pair the value. The root has none."""
    found: list[tuple[list[Any], int]] = []
    waiting = [node]
    while waiting and len(found) < limit:
        one = waiting.pop()
        if isinstance(one, Pairs):
            places: list[tuple[list[Any], int]] = [(pair, 1) for pair in one]
        elif isinstance(one, list):
            places = [(one, index) for index in range(len(one))]
        else:
            continue
        found += places
        waiting += [holder[index] for holder, index in places]
    return found


def lists(node: Node) -> list[list[Any]]:
    """Every array and object of a tree, the root first."""
    inner = [holder[index] for holder, index in slots(node)]
    return [one for one in (node, *inner) if isinstance(one, list)]


def copy(node: Node) -> Node:
    if isinstance(node, Pairs):
        return Pairs([[key, copy(value)] for key, value in node])
    return [copy(one) for one in node] if isinstance(node, list) else node


def any_of(node: Node, chance: Random) -> Node:
    """Some subtree."""
    places = slots(node)
    if not places:
        return node
    holder, index = chance.choice(places)
    return holder[index]


def _pairs(pairs: list[tuple[str, Any]]) -> Pairs:
    return Pairs([[key, value] for key, value in pairs])
