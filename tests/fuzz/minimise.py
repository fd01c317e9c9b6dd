"""Makes an input as small as it gets while it still shows the same error."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.inputs import script

MOST_TRIES = 3000


def minimise(data: bytes, shows: Callable[[bytes], bool]) -> bytes:
    """`shows(data)` is true; the result is one that is no larger, and shows it too."""
    tries = _Tries(shows)
    if len(script.read(data)) > 1 and tries.shows(script.write(script.read(data))):
        data = _fewer_events(script.write(script.read(data)), tries)
    return _fewer_bytes(data, tries)


class _Tries:
    def __init__(self, shows: Callable[[bytes], bool]) -> None:
        self._shows = shows
        self.left = MOST_TRIES

    def shows(self, data: bytes) -> bool:
        self.left -= 1
        return self.left > 0 and self._shows(data)


def _fewer_events(data: bytes, tries: _Tries) -> bytes:
    events = script.read(data)
    span = max(len(events) // 2, 1)
    while span:
        place = 0
        while place < len(events):
            shorter = events[:place] + events[place + span :]
            if tries.shows(script.write(shorter)):
                events = shorter
            else:
                place += span
        span //= 2
    for index, (what, payload) in enumerate(events):

        def shows(piece: bytes, index: int = index, what: bytes = what) -> bool:
            return tries.shows(script.write([*events[:index], (what, piece), *events[index + 1 :]]))

        events[index] = (what, _fewer_bytes(payload, _Tries(shows)))
    return script.write(events)


def _fewer_bytes(data: bytes, tries: _Tries) -> bytes:
    span = max(len(data) // 2, 1)
    while span and tries.left > 0:
        place = 0
        while place < len(data) and tries.left > 0:
            shorter = data[:place] + data[place + span :]
            if tries.shows(shorter):
                data = shorter
            else:
                place += span
        span //= 2
    return data
