"""`python -m services.simulator`: the exchanges, simulated. Needs no bus.

python -m services.simulator --symbols 50 --rate 10
python -m services.simulator --tape recording.jsonl.gz --speed max
python -m services.simulator --scenario faults.toml --proxy-port 9300
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hoga.domain.errors import ConfigError
from hoga.runtime.config import SimulatorSettings
from hoga.runtime.service import ServiceContext, run_service
from services.simulator import metrics
from services.simulator.actions import ACTIONS
from services.simulator.options import Options
from services.simulator.player import Player
from services.simulator.proxy import FaultProxy
from services.simulator.scenario import load
from services.simulator.server import SimulatorServer
from services.simulator.tape import Tape, speed_of
from services.simulator.venues.registry import emulated, get

log = logging.getLogger(__name__)
HEALTH_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    usual = Options()
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    add = parser.add_argument
    add("--port", type=int, help="instead of simulator.port; 0: any free one, logged")
    add("--symbols", type=int, help="markets of each exchange, instead of simulator.symbols")
    add("--rate", type=float, help="frames a second of a busy market, instead of simulator.rate")
    add("--exchanges", default=",".join(emulated()), help="which, comma separated")
    add("--quiet", type=float, default=usual.quiet, help="share of markets that hardly move")
    add("--burst-factor", type=int, default=usual.burst_factor, help="1: no bursts")
    add("--changes", type=float, default=usual.changes, help="mean level changes of a frame")
    add("--history", type=float, default=usual.history_s, help="seconds the truth is kept")
    add("--no-limits", action="store_true", help="do not enforce connection and REST limits")
    add("--scenario", type=Path, help="play the faults of this file (TOML; see the README)")
    add("--list-actions", action=_ListActions, help="print what a scenario or POST /control can do, and end")
    add("--proxy-port", type=int, help="listen there too, through a TCP proxy that the tcp_… faults break; 0: any")
    add("--tape", type=Path, help="play a recording instead of the synthetic market")
    add("--speed", default="1", help="of the tape: a factor, or 'max'")


async def main(ctx: ServiceContext) -> None:
    args = ctx.args
    options = options_of(ctx.settings.simulator, args)
    scenario = load(args.scenario) if args.scenario else None
    tape = Tape.read(args.tape, speed_of(args.speed)) if args.tape else None
    server = SimulatorServer(options, tape)
    player = None if scenario is None else Player(scenario, server)
    metrics.register(server)
    async with AsyncExitStack() as stack:
        url = await _listen(server.start(options.host, options.port), "simulator.port", options.port)
        stack.push_async_callback(server.stop)
        codes = " ".join(f"{url}/{code}" for code in server.venues)
        log.info("%s: %s", "playing a tape" if tape else "simulating", codes)
        if args.proxy_port is not None:
            port = int(url.rsplit(":", 1)[1])
            server.proxy = FaultProxy("127.0.0.1", port, listen=(options.host, args.proxy_port), seed=options.seed)
            log.info("through the proxy: %s", await _listen(server.proxy.start(), "--proxy-port", args.proxy_port))
            stack.push_async_callback(server.proxy.stop)
        if player is not None:
            task = asyncio.create_task(_play(player))
            stack.callback(task.cancel)
        while not ctx.stopping.is_set():
            ctx.health.set("pacer", server.pacing(), "frames are not being paced")
            await asyncio.wait({asyncio.ensure_future(ctx.stopping.wait())}, timeout=HEALTH_S)


async def _listen(starting: Awaitable[str], name: str, port: int) -> str:
    try:
        return await starting
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"{name} = {port}: cannot listen ({reason}); choose another, or 0 for any free one") from None


async def _play(player: Player) -> None:
    await player.run()
    log.info("the scenario is over: %s", player.summary())


def options_of(settings: SimulatorSettings, args: argparse.Namespace) -> Options:
    _check(args)
    exchanges = tuple(code.strip() for code in args.exchanges.split(",") if code.strip())
    if not exchanges:
        raise ConfigError(f"--exchanges {args.exchanges!r}: none named; known: {', '.join(emulated())}")
    for code in exchanges:
        get(code)
    return Options(
        host=settings.host,
        port=settings.port if args.port is None else args.port,
        seed=settings.seed,
        symbols=settings.symbols if args.symbols is None else args.symbols,
        rate=settings.rate if args.rate is None else args.rate,
        exchanges=exchanges,
        quiet=args.quiet,
        burst_factor=args.burst_factor,
        changes=args.changes,
        history_s=args.history,
        client_limits=not args.no_limits,
    )


class _ListActions(argparse.Action):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given, nargs=0)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        for one in ACTIONS.values():
            print(one.describe())
        parser.exit()


def _check(args: argparse.Namespace) -> None:
    """Arguments that a number's type alone does not bound."""
    bounds = {"port": (0, 65535), "symbols": (1, 2000), "rate": (0.01, 1000), "quiet": (0, 1), "burst_factor": (1, 50)}
    bounds |= {"proxy_port": (0, 65535), "changes": (0.5, 1000), "history": (1, 3600)}
    for name, (least, most) in bounds.items():
        value = getattr(args, name)
        if value is not None and not least <= value <= most:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: allowed is {least} to {most}")


if __name__ == "__main__":
    sys.exit(
        run_service("simulator", main, description="Simulated exchanges.", add_arguments=add_arguments, needs_bus=False)
    )
