"""The frame every service runs in: settings, logs, bus, health, signals, drain.

    sys.exit(run_service("aggregator", main))        # main: async def main(ctx: ServiceContext) -> None

1. Settings and arguments are read; a wrong one is one line on stderr and exit code 2.
2. /healthz and /metrics come up (healthy says "bus: …" until the bus is there), then the bus is waited for.
3. `main` runs until it returns or, after SIGTERM or SIGINT has set `ctx.stopping`, at most DRAIN_S longer.
4. The bus sends what it was handed, everything closes, exit code 0. A second signal exits at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hoga import __version__
from hoga.domain import books
from hoga.domain.errors import ConfigError, HogaError
from hoga.domain.types import Stamp
from hoga.runtime.book_choice import choose_books
from hoga.runtime.bus import Bus
from hoga.runtime.config import Settings, load_settings, summary
from hoga.runtime.health import HealthBoard, HealthServer, publish_health
from hoga.runtime.logs import setup_logging
from hoga.runtime.metrics import REGISTRY_OF_PROCESS, ReadAtScrape, running_tasks
from hoga.runtime.nats_bus import NatsBus, connect_nats
from hoga.runtime.no_bus import NoBus

DRAIN_S = 10.0
GC_THRESHOLD = (20_000, 20, 50)
"""What we allocate in a hurry holds no cycles: look for them less often than Python does by itself."""
EXIT_FAILED = 1
EXIT_CONFIG = 2

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ServiceContext:
    """What a service is given."""

    name: str
    settings: Settings
    bus: Bus
    health: HealthBoard
    instance: str
    """Short random id of this process."""
    stopping: asyncio.Event
    """Set when the process shall end: finish what is in hand and return."""
    args: argparse.Namespace

    def now(self) -> Stamp:
        return Stamp(time.monotonic_ns(), time.time_ns())


Main = Callable[[ServiceContext], Awaitable[None]]


def run_service(
    name: str | Callable[[argparse.Namespace], str],
    main: Main,
    argv: Sequence[str] | None = None,
    *,
    description: str = "",
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None,
    needs_bus: bool = True,
) -> int:
    """Runs a service to its end and gives the exit code for `sys.exit`.

    `name` may be worked out from the arguments ("ingest-<code>"). With `needs_bus=False` the service runs
    without NATS, and `ctx.bus` is a `NoBus` that drops everything.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{name}" if isinstance(name, str) else None,
        description=description or None,
        epilog="Settings come from the TOML file and HOGA_* variables; `hoga` documents every one of them.",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (default: $HOGA_CONFIG or ./hoga.toml)"
    )
    parser.add_argument("--version", action="version", version=f"hoga {__version__}")
    if add_arguments is not None:
        add_arguments(parser)
    args = parser.parse_args(argv)
    try:
        choose_books()
        settings = load_settings(args.config)
        service = name if isinstance(name, str) else name(args)
        setup_logging(settings.log, service)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_run(service, main, settings, args, needs_bus))
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_CONFIG


async def _run(name: str, main: Main, settings: Settings, args: argparse.Namespace, needs_bus: bool) -> int:
    gc.set_threshold(*GC_THRESHOLD)
    instance = secrets.token_hex(3)
    stopping = asyncio.Event()
    _handle_signals(stopping)
    board = HealthBoard(name, instance)
    server = HealthServer(board, settings.metrics)
    log.info(
        "hoga %s %s instance %s; %s books; settings: %s", __version__, name, instance, books.in_use(), summary(settings)
    )
    await server.start()
    try:
        bus = await _bus(settings, name, instance, board, stopping) if needs_bus else NoBus()
        if bus is None:
            return 0
        publisher = asyncio.create_task(publish_health(board, bus))
        metrics = _bus_metrics(bus)
        REGISTRY_OF_PROCESS.register(metrics)
        try:
            return await _run_main(main, ServiceContext(name, settings, bus, board, instance, stopping, args))
        finally:
            publisher.cancel()
            REGISTRY_OF_PROCESS.unregister(metrics)
            await bus.close()
            log.info("stopped")
    finally:
        await server.stop()


async def _run_main(main: Main, ctx: ServiceContext) -> int:
    task = asyncio.ensure_future(main(ctx))
    stop = asyncio.create_task(ctx.stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            log.info("stopping")
            await asyncio.wait({task}, timeout=DRAIN_S)
        if not task.done():
            log.warning("still busy %g s after the signal: cancelled", DRAIN_S)
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
        ctx.stopping.set()
        return _verdict(task)
    finally:
        stop.cancel()
        if not task.done():
            task.cancel()


def _verdict(task: asyncio.Future[None]) -> int:
    if not task.done() or task.cancelled():
        return 0
    error = task.exception()
    if error is None:
        return 0
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # what a TaskGroup of one failed task raises
    if isinstance(error, ConfigError):
        raise error
    if isinstance(error, HogaError):
        log.error("%s", error)
    else:
        log.error("gave up: %s", error or type(error).__name__, exc_info=error)
    return EXIT_FAILED


async def _bus(
    settings: Settings, name: str, instance: str, board: HealthBoard, stopping: asyncio.Event
) -> NatsBus | None:
    """The bus, once it is there; None where the process is told to stop before."""
    board.set("bus", False, f"waiting for NATS at {settings.nats.address}")
    connecting = asyncio.create_task(connect_nats(settings.nats, name=f"{name}.{instance}", timeout_s=None))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({connecting, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not connecting.done():
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        return None
    bus = await connecting
    bus.on_connection(lambda up: board.set("bus", up, f"NATS at {settings.nats.address} is away"))
    board.set("bus", bus.connected, f"NATS at {settings.nats.address} is away")
    return bus


def _bus_metrics(bus: NatsBus | NoBus) -> ReadAtScrape:
    return ReadAtScrape(
        [
            ("hoga_tasks", "Concurrent activities inside the process", running_tasks),
            ("hoga_bus_connected", "1 while NATS is there", lambda: float(bus.connected)),
            (
                "hoga_bus_dropped_total",
                "Not sent: bus away, queue full, or too large",
                lambda: bus.dropped,
            ),
            (
                "hoga_bus_slow_dropped_total",
                "Arrived, but our handlers were too slow",
                lambda: bus.slow_dropped,
            ),
            ("hoga_bus_uncertain_total", "Sent, but the connection ended unconfirmed", lambda: bus.uncertain),
            ("hoga_bus_unanswered_total", "Requests refused because too many were in hand", lambda: bus.unanswered),
        ]
    )


def _handle_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stopping.is_set():
            sys.stderr.flush()
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
