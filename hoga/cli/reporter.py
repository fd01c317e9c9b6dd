"""What `hoga up` says: its own few lines, what its processes complain about, and one status line below.

On a terminal the status line stays at the bottom; elsewhere it is printed when it has changed, not too often.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.status import Status
from rich.text import Text

from hoga.cli.child import Death, Line

_COLOURS = (
    "cyan",
    "magenta",
    "green",
    "yellow",
    "blue",
    "bright_cyan",
    "bright_magenta",
    "bright_green",
    "bright_blue",
)
_LEVEL_STYLES = {"ERROR": "red", "WARNING": "yellow"}
_COMPLAINTS = ("ERROR", "WARNING")
_REPEAT_S = 10.0
_STATUS_EVERY_S = 3.0
_REMEMBERED = 256


class Reporter:
    """One console, many voices."""

    def __init__(self, console: Console, names: Sequence[str], *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._styles = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
        self._column = max((len(name) for name in names), default=0)
        self._status: Status | None = None
        self._status_text = ""
        self._status_at = float("-inf")
        self._said: dict[tuple[str, str], float] = {}
        self._complaints: dict[str, str] = {}
        self.starting = True
        """While everything starts, everybody misses somebody: only errors are shown."""
        self.stopping = False
        """While everything is being stopped, complaints about it are of no interest."""

    def say(self, text: str | Text) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def line(self, name: str, line: Line) -> None:
        """A line of a process: shown where it complains, or where everything is wanted."""
        if line.level in _COMPLAINTS:
            self._complaints[name] = line.text
        loud = ("ERROR",) if self.starting else _COMPLAINTS
        if self.stopping or not (self._verbose or line.level in loud) or self._repeats(name, line.text):
            return
        self._say_of(name, Text(line.text, _LEVEL_STYLES.get(line.level, "")))

    def last_complaint(self, name: str) -> str:
        """What that process warned of last; empty where of nothing."""
        return self._complaints.get(name, "")

    def death(self, death: Death) -> None:
        if not self.stopping:
            self._say_of(death.name, Text(death.describe(), "bold red"))

    def status(self, text: str) -> None:
        """Replaces the status line; empty takes it away."""
        if text == self._status_text:
            return
        if not self._console.is_terminal:
            if text and time.monotonic() - self._status_at >= _STATUS_EVERY_S:
                self._status_text, self._status_at = text, time.monotonic()
                self.say(text)
            return
        self._status_text = text
        if not text:
            if self._status is not None:
                self._status.stop()
                self._status = None
        elif self._status is None:
            self._status = Status(Text(text, overflow="ellipsis", no_wrap=True), console=self._console)
            self._status.start()
        else:
            self._status.update(Text(text, overflow="ellipsis", no_wrap=True))

    def _say_of(self, name: str, text: Text) -> None:
        label = Text(name.ljust(self._column), self._styles.get(name, ""))
        self.say(Text.assemble(label, " ", text))

    def _repeats(self, name: str, text: str) -> bool:
        now = time.monotonic()
        last = self._said.get((name, text))
        if last is not None and now - last < _REPEAT_S:
            return True
        self._said.pop((name, text), None)
        self._said[name, text] = now
        if len(self._said) > _REMEMBERED:
            del self._said[next(iter(self._said))]
        return False
