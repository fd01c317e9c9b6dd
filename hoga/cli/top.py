"""`hoga top`: exchanges, links and processes, live."""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from rich.console import Console
from rich.text import Text

from hoga.cli.listening import listening
from hoga.cli.options import connected_client, settings_of, shown
from hoga.cli.screen import Screen, full_screen, interactive
from hoga.cli.topview import draw
from hoga.domain.types import Stamp
from hoga.runtime.config import NatsSettings

ONCE_AFTER_S = 2.5
"""Two reports of everybody, so that there are rates."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "top",
        help="exchanges, links and processes, live",
        description="Shows live what is collected, over which links, and how each process is. q leaves.",
    )
    parser.add_argument("--once", action="store_true", help="print one picture and leave (also without a terminal)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    nats = settings_of(args).nats
    console = Console()
    if args.once or not interactive(console):
        asyncio.run(_print_once(nats, console))
    else:
        asyncio.run(_show(nats, console))
    return 0


async def _show(nats: NatsSettings, console: Console) -> None:
    async with (
        connected_client(nats, "top") as client,
        full_screen(console) as screen,
        listening(client, screen.changed) as board,
    ):

        def picture(screen: Screen) -> list[Text]:
            return draw(board, _now(), shown(nats.url), client.connected, screen.width, screen.height)

        await screen.run(picture)


async def _print_once(nats: NatsSettings, console: Console) -> None:
    async with connected_client(nats, "top") as client, listening(client, lambda: None) as board:
        await asyncio.sleep(ONCE_AFTER_S)
        for line in draw(board, _now(), shown(nats.url), client.connected, console.width, height=0):
            console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _now() -> Stamp:
    return Stamp(time.monotonic_ns(), time.time_ns())
