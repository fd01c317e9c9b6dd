"""A full-screen picture that is redrawn, and the one key that ends it.

The terminal is given back as it was on every way out: q, Ctrl-C, an error, SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

FRAMES_PER_S = 10
_QUIT_KEYS = b"qQ\x1b\x04"
"""q, Escape, Ctrl-D."""


class Screen:
    """What a live command draws on. `quit` is set when the user wants to leave."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self.quit = asyncio.Event()
        self._wake = asyncio.Event()

    @property
    def width(self) -> int:
        return self._console.width

    @property
    def height(self) -> int:
        return self._console.height

    def leave(self) -> None:
        self.quit.set()
        self._wake.set()

    def changed(self) -> None:
        """There is something new to draw."""
        self._wake.set()

    def show(self, picture: RenderableType) -> None:
        self._live.update(picture, refresh=True)

    async def run(self, draw: Callable[[Screen], list[Text]], *, idle_s: float = 0.5) -> None:
        """Draws at most FRAMES_PER_S times a second, when something changed or `idle_s` passed, until `quit`."""
        while not self.quit.is_set():
            self._wake.clear()
            lines = draw(self)[: self.height]
            self.show(Group(*(clipped(line, self.width) for line in lines)))
            await asyncio.sleep(1 / FRAMES_PER_S)
            try:
                await asyncio.wait_for(self._wake.wait(), idle_s)
            except TimeoutError:
                continue


@asynccontextmanager
async def full_screen(console: Console) -> AsyncIterator[Screen]:
    """Takes over the terminal until the block ends."""
    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        screen = Screen(console, live)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, screen.leave)
        try:
            async with _keys(screen.leave):
                yield screen
        finally:
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)


def interactive(console: Console) -> bool:
    """Whether there is a terminal to draw on; without one, commands print lines instead."""
    return console.is_terminal and not console.is_dumb_terminal


def clipped(line: Text, width: int) -> Text:
    fitted = line.copy()
    fitted.no_wrap = True
    fitted.truncate(width)
    return fitted


@asynccontextmanager
async def _keys(leave: Callable[[], None]) -> AsyncIterator[None]:
    """Calls `leave` when one of the keys that quit is pressed."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def on_key() -> None:
        pressed = os.read(descriptor, 64)
        # An arrow or function key begins with Escape too, but never comes alone.
        if not pressed or any(key in _QUIT_KEYS for key in (pressed if len(pressed) == 1 else b"")):
            leave()

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, on_key)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
