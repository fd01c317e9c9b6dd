"""A script: what happens to something that has a state, one event after the other, as one string of bytes.

An event is one byte that says what happens, the length of its payload (three bytes, the highest first) and the payload.
A length that leads beyond the end means: up to the end. So every string of bytes is a script.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random

from tests.fuzz.inputs.mutate import Mutator, edit_bytes

Event = tuple[bytes, bytes]
"""(what, payload)."""
MAX_EVENTS = 400
_HEAD = 4


def write(events: Iterable[Event]) -> bytes:
    return b"".join(what + len(payload).to_bytes(3, "big") + payload for what, payload in events)


def read(data: bytes) -> list[Event]:
    events: list[Event] = []
    place = 0
    while place < len(data) and len(events) < MAX_EVENTS:
        size = int.from_bytes(data[place + 1 : place + _HEAD], "big")
        events.append((data[place : place + 1], data[place + _HEAD : place + _HEAD + size]))
        place += _HEAD + size
    return events


def mutator(payloads: Mapping[bytes, Mutator], extra: Sequence[Event] = ()) -> Mutator:
    """Mutations of scripts: events come, go, swap, repeat, or change by the mutator of their kind (default: bytes).
    `extra` are events to put in anywhere."""

    def mutate(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
        events = read(data)
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            _edit(events, chance, pool, payloads, extra)
        return write(events[:MAX_EVENTS])

    return mutate


def _edit(
    events: list[Event],
    chance: Random,
    pool: Sequence[bytes],
    payloads: Mapping[bytes, Mutator],
    extra: Sequence[Event],
) -> None:
    place = chance.randrange(len(events) + 1)
    match chance.randrange(12):
        case 0:
            del events[place : place + chance.choice((1, 1, 2, 10))]
        case 1:
            events[place:place] = events[place : place + chance.choice((1, 1, 5))]
        case 2 if len(events) > 1:
            one, other = chance.randrange(len(events)), chance.randrange(len(events))
            events[one], events[other] = events[other], events[one]
        case 3 if pool:
            other_events = read(chance.choice(pool))
            start = chance.randrange(len(other_events) + 1)
            events[place:place] = other_events[start : start + chance.choice((1, 3, 20))]
        case 4 | 5 if extra:
            events[place:place] = [chance.choice(extra)]
        case _ if events:
            index = min(place, len(events) - 1)
            what, payload = events[index]
            siblings = [other for kind, other in events if kind == what]
            change = payloads.get(what, edit_bytes)
            events[index] = (what, change(payload, chance, siblings))
