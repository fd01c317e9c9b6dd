"""Symbols that the exchange refuses, and when they are tried again. Pure: times come in as arguments.

No refusal is for ever: an exchange that is overloaded today answers like one that does not know the symbol. Each is
tried again after a pause that doubles, up to an hour; a symbol that sends frames evidently is not refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass

from hoga.domain.backoff import Backoff

LONGEST_PAUSE_S = 3600.0
_PASSING = re.compile(
    r"too many|too fast|too much|too frequent|rate.?limit|limit exceeded|exceeds? the limit|frequency|msg rate|throttl"
    r"|try again|retry|later|busy|overload|unavailable|maintenance|timed? ?out|internal|system error|server error"
    r"|-1003|\b429\b",
    re.IGNORECASE,
)


def is_passing(detail: str) -> bool:
    """Whether the exchange's words speak of its own state or our haste, and not of the symbol."""
    return _PASSING.search(detail) is not None


@dataclass(slots=True)
class _Refused:
    detail: str
    times: int
    """Refusals in a row."""
    frames: int
    """Frames that the symbol had sent when it was refused."""
    due_s: float | None = None
    """When it may be tried again; None until the next look at the clock, and while it is being tried."""
    trying: bool = False


class Refusals:
    """`frames(native)` counts the frames that a symbol has sent on this link."""

    def __init__(self, pause_s: float, frames: Callable[[str], int]) -> None:
        self._pause = Backoff(pause_s, LONGEST_PAUSE_S)
        self._frames = frames
        self._found: dict[str, _Refused] = {}

    def __contains__(self, native: str) -> bool:
        return native in self._found

    @property
    def reasons(self) -> Mapping[str, str]:
        """Native id -> the exchange's reason."""
        return {native: refused.detail for native, refused in self._found.items()}

    def add(self, natives: Iterable[str], detail: str = "") -> None:
        """Refused, perhaps once more; without `detail` for the reason that stands."""
        for native in natives:
            before = self._found.get(native)
            why, times = (before.detail, before.times) if before is not None else ("", 0)
            self._found[native] = _Refused(detail or why, times + 1, self._frames(native))

    def remove(self, *natives: str) -> None:
        """Accepted after all, or asked for anew."""
        for native in natives:
            self._found.pop(native, None)

    def keep(self, natives: Container[str]) -> None:
        """Forgets all others."""
        self._found = {native: refused for native, refused in self._found.items() if native in natives}

    def delivering(self) -> list[str]:
        """Those that send frames all the same."""
        return [native for native, refused in self._found.items() if self._frames(native) > refused.frames]

    def take_due(self, now_s: float) -> list[str]:
        """Those to try again now."""
        due = []
        for native, refused in self._found.items():
            if refused.trying:
                continue
            if refused.due_s is None:
                refused.due_s = now_s + self._pause.after(refused.times)
            elif now_s >= refused.due_s:
                refused.trying = True
                due.append(native)
        return due
