"""Inputs of one kind in any size: what is repeated, lengthened or nested grows, everything else stays.

`families(frame)` gives functions from a size in bytes to an input of about that size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.fuzz.inputs import tree
from tests.fuzz.inputs.tree import Node, Pairs, Raw

Family = Callable[[int], bytes]


def families(frame: bytes) -> Iterator[tuple[str, Family]]:
    """(name, family) of everything in a frame that can grow."""
    for place, one in enumerate(tree.lists(tree.read(frame))):
        if isinstance(one, Pairs) and place < 2:
            yield f"members {place}", partial(_members, frame, place)
        elif one and not isinstance(one, Pairs):
            yield f"elements {place}", partial(_elements, frame, place)
    for place, (holder, index) in enumerate(tree.slots(tree.read(frame))):
        if isinstance(holder[index], str):
            yield f"text {place}", partial(_lengthened, frame, place)
            break
    yield "depth", partial(_nested, frame)
    yield "blanks", lambda size: frame[:1] + b" " * size + frame[1:]


_JUNK = (b"[", b'{"a":', b'"', b"\\", b"\xff", b"9", b"<p>", b'{"a":1,', b"[[],", b'"e":"depthUpdate"', b"instId:x ")


def junk() -> Iterator[tuple[str, Family]]:
    """What is no frame at all."""
    for piece in _JUNK:
        yield f"junk {piece!r}", partial(_repeated, piece)


def _repeated(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


def _elements(frame: bytes, place: int, size: int) -> bytes:
    """An array of many elements; the first number of each is another one, as prices are."""
    node = tree.read(frame)
    elements = tree.lists(node)[place]
    sample = tree.copy(elements[-1])
    length = len(tree.write(sample)) + 8
    elements[:] = [_numbered(tree.copy(sample), number) for number in range(max(size // length, 1))]
    return tree.write(node)


def _members(frame: bytes, place: int, size: int) -> bytes:
    """An object of many members that nobody knows."""
    node = tree.read(frame)
    tree.lists(node)[place][:0] = [[f"x{number}", Raw("1")] for number in range(size // 10)]
    return tree.write(node)


def _lengthened(frame: bytes, place: int, size: int) -> bytes:
    node = tree.read(frame)
    holder, index = tree.slots(node)[place]
    holder[index] = type(holder[index])(str(holder[index]) + "7" * size)
    return tree.write(node)


def _nested(frame: bytes, size: int) -> bytes:
    node = tree.read(frame)
    deep = Raw("[" * (size // 2) + "]" * (size // 2))
    node.insert(0, ["x", deep] if isinstance(node, Pairs) else deep)
    return tree.write(node)


def _numbered(element: Node, number: int) -> Node:
    places = tree.slots(element) if isinstance(element, list) else []
    for holder, index in reversed(places):
        text = holder[index]
        if isinstance(text, str) and text[:1].isdigit():
            whole, _, fraction = text.partition(".")
            holder[index] = type(text)(f"{whole}.{fraction.rstrip('0')[:4]}{number:06d}")
            break
    return element
