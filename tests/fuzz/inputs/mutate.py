"""Mutations of bytes and of JSON: what exchanges, proxies and people with bad intentions may send.

`mutate(data, chance, pool)` gives a new input made of `data`, now and then with pieces of others in `pool`. The same
`chance` gives the same input.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.inputs import tree
from tests.fuzz.inputs.tree import Node, Pairs, Raw

MAX_BYTES = 64 << 10
NUMBERS = (
    "0", "-0", "-1", "1", "0.0", "0E-8", "1e5", "1.16539E8", "1E-18", "1e-19", "1e308", "1e999", "-1e999", "1e-999",
    "0.1234567890123456789", "123456789012345678", "1234567890123456789", "12345678901234567890.123456789",
    "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616",
    "4294967296", "2147483648", "1" + "0" * 300, "0." + "0" * 300 + "1", "9" * 4000, "NaN", "Infinity", "-Infinity",
    "+1", "01", "1.", ".5", "1_000", "0x10", "1e", "--1", "1e+", "1,5",
)  # fmt: skip
TEXTS = (
    "", " ", "0", "-1", "NaN", "nan", "inf", "null", "1e5", "1e-30", "٣", "１", "1\n", "\x00", "\ud800", "\U0001f4a9",
    "BTC", "BTC-USDT", "BTCUSDT", "KRW-BTC", "BTC/USD", "a.b", "*", ">", "../x", "A" * 200, "币安人生", "1" * 19,
    "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-08-24T22:34:13.7930758851Z",
    "1" * 20,
)  # fmt: skip
PIECES = (
    b"null", b"NaN", b"1e999", b'"', b"\\", b"[", b"]", b"{", b"}", b",", b":", b"\x00", b"\xff", b"\xed\xa0\x80",
    b"\r\n", b'"\\ud800"', b'"\\u0000"', b"\xef\xbb\xbf", b"-", b"e", b"0" * 40, b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd", b"[" * 64,
)  # fmt: skip
STRANGE = (
    b"", b" ", b"\n", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[[]]", b"[{}]", b"[null]", b'{"":""}', b"-", b"{",
    b"\xff\xfe\x00", b"pong", b"ping", b"error", b"<html><body><h1>502 Bad Gateway</h1></body></html>",
    b"<!DOCTYPE html>" + b"<p>" * 300, gzip.compress(b'{"a":1}', mtime=0), zlib.compress(b'{"a":1}'),
    b"\x1f\x8b\x08\x00" + b"\x00" * 20,
)  # fmt: skip
_DEPTHS = (2, 30, 300, 1000, 5000, 12000)
"""Up to what is too deep for Python: about 1000 until 3.11, about 10 000 from 3.12 on."""

Mutator = Callable[[bytes, Random, Sequence[bytes]], bytes]


def mutate(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    """JSON mostly as JSON, the rest as bytes; at most MAX_BYTES."""
    for _ in range(1 + (chance.random() < 0.3)):
        data = _mutate_once(data, chance, pool)
    return data[:MAX_BYTES]


def _mutate_once(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    die = chance.random()
    if die < 0.02:
        return chance.choice(STRANGE)
    if die < 0.75:
        try:
            node = tree.read(data)
            for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
                node = edit_tree(node, chance, pool)
            return tree.write(node, spaced=chance.random() < 0.15, ascii_only=chance.random() < 0.1)
        except (ValueError, RecursionError):  # no JSON, or of a depth that is beyond us
            return edit_bytes(data, chance, pool)
    return edit_bytes(data, chance, pool)


def edit_bytes(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    """A few edits that know nothing of the content."""
    edited = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        place = chance.randrange(len(edited) + 1)
        span = chance.choice((1, 2, 8, 40, 400))
        match chance.randrange(8):
            case 0 if edited:
                edited[min(place, len(edited) - 1)] = chance.randrange(256)
            case 1 if edited:
                edited[min(place, len(edited) - 1)] ^= 1 << chance.randrange(8)
            case 2:
                del edited[place : place + span]
            case 3:
                edited[place:place] = edited[place : place + span] * chance.choice((1, 1, 2, 30))
            case 4:
                edited[place:place] = chance.choice(PIECES)
            case 5:
                del edited[place:]
            case 6 if pool:
                other = chance.choice(pool)
                start = chance.randrange(len(other) + 1)
                edited[place:place] = other[start : start + span]
            case _:
                edited[place:place] = chance.choice(NUMBERS).encode()
    return bytes(edited[:MAX_BYTES])


def edit_tree(node: Node, chance: Random, pool: Sequence[bytes]) -> Node:
    """One edit of the tree, which may be changed in place."""
    places = tree.slots(node)
    if not places or chance.random() < 0.02:
        return value(chance)
    holder, index = chance.choice(places)
    found = holder[index]
    match chance.randrange(14 if len(places) < tree.MOST_SLOTS else 6):  # the others make a large tree larger
        case 0 | 1:
            holder[index] = value(chance)
        case 2 | 3 | 4:
            holder[index] = _tweak(found, chance)
        case 5:
            _delete(node, chance)
        case 6:
            _repeat(node, chance)
        case 7:
            holder[index] = tree.copy(tree.any_of(node, chance))
        case 8:
            other, place = chance.choice(places)
            holder[index], other[place] = tree.copy(other[place]), tree.copy(found)
        case 9:
            holder[index] = [found] if chance.random() < 0.5 else Pairs([["a", found]])
        case 10:
            opening, closing = chance.choice((("[", "]"), ('{"a":', "}")))
            depth = chance.choice(_DEPTHS)
            holder[index] = Raw(opening * depth + "1" + closing * (depth if chance.random() < 0.8 else 0))
        case 11:
            _rename(node, chance)
        case 12:
            chance.shuffle(chance.choice(tree.lists(node)))
        case _ if pool:
            try:
                holder[index] = tree.any_of(tree.read(chance.choice(pool)), chance)
            except ValueError:
                holder[index] = value(chance)
    return node


def value(chance: Random) -> Node:
    """A value of any type, from the edge."""
    match chance.randrange(8):
        case 0:
            return chance.choice((None, True, False))
        case 1 | 2:
            return Raw(chance.choice(NUMBERS))
        case 3:
            return chance.choice(NUMBERS)
        case 4 | 5:
            return chance.choice(TEXTS)
        case 6:
            return chance.choice(([], Pairs(), [[]], [None], [[], []], Pairs([["", None]])))
        case _:
            return Raw(
                str(chance.randrange(-(1 << chance.choice((4, 16, 33, 64))), 1 << chance.choice((4, 16, 33, 64))))
            )


def _tweak(found: Node, chance: Random) -> Node:
    """A little more, a little less, written otherwise."""
    if not isinstance(found, str):
        return value(chance)
    text = _tweak_number(str(found), chance) if found[:1].isdigit() or found[:1] == "-" else _tweak_text(found, chance)
    if chance.random() < 0.1:  # a number becomes text, text becomes bare
        return text if isinstance(found, Raw) else Raw(text)
    return Raw(text) if isinstance(found, Raw) else text


def _tweak_number(text: str, chance: Random) -> str:
    match chance.randrange(9):
        case 0:
            return "-" + text
        case 1:
            return text + chance.choice(("0", "00000000", "e3", "E-3", "e20", ".0", ".5", " ", "x"))
        case 2:
            return chance.choice(("0", "00", "+", " ", "1")) + text
        case 3:
            return text[:-1]
        case 4:
            return chance.choice(NUMBERS)
        case 5 if "." in text:
            return text.replace(".", "", 1)
        case 6:
            place = chance.randrange(len(text) + 1)
            return text[:place] + chance.choice(".0123456789eE-") + text[place:]
        case _:
            try:
                return str(int(text) + chance.choice((-1, 1, -2, 2, 10, -1000, 1000, 10**6, -(10**12))))
            except ValueError:
                return text[:-1] + chance.choice("0123456789")


def _tweak_text(text: str, chance: Random) -> str:
    match chance.randrange(6):
        case 0:
            return text.swapcase()
        case 1:
            return text[: chance.randrange(len(text) + 1)]
        case 2:
            return text + chance.choice(TEXTS)
        case 3:
            return (text * chance.choice((2, 50)))[:MAX_BYTES]
        case 4:
            place = chance.randrange(len(text) + 1)
            return text[:place] + chance.choice(TEXTS) + text[place:]
        case _:
            return chance.choice(TEXTS)


def _delete(node: Node, chance: Random) -> None:
    """An element or a member goes."""
    filled = [one for one in tree.lists(node) if one]
    if filled:
        one = chance.choice(filled)
        del one[chance.randrange(len(one))]


def _repeat(node: Node, chance: Random) -> None:
    """An element or a member (its key twice) comes again, perhaps many times, perhaps with another value."""
    filled = [one for one in tree.lists(node) if one]
    if not filled:
        return
    one = chance.choice(filled)
    index = chance.randrange(len(one))
    again = tree.copy(one[index])
    if isinstance(one, Pairs) and chance.random() < 0.6:
        again = [one[index][0], value(chance) if chance.random() < 0.5 else _tweak(one[index][1], chance)]
    place = chance.randrange(len(one) + 1)
    times = min(chance.choice((1, 1, 1, 2, 20, 300)), 1 + MAX_BYTES // (1 + len(tree.write(again))))
    one[place:place] = [tree.copy(again) for _ in range(times)]


def _rename(node: Node, chance: Random) -> None:
    objects = [one for one in tree.lists(node) if isinstance(one, Pairs) and one]
    if objects:
        pair = chance.choice(chance.choice(objects))
        pair[0] = chance.choice((pair[0].swapcase(), pair[0] + "x", pair[0][:-1], "", *TEXTS[:4], "e", "type", "data"))
