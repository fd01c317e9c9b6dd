"""`hoga up`: the whole system as processes on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hoga import __version__
from hoga.cli import ports
from hoga.cli.child import ChildSpec
from hoga.cli.embedded import NatsPlan, plan_nats
from hoga.cli.listening import listening
from hoga.cli.looks import rate, uptime
from hoga.cli.options import settings_of, whole
from hoga.cli.plan import Wishes, children, ingest_name
from hoga.cli.progress import Share, complaints, ready, shares, waiting_text
from hoga.cli.reporter import Reporter
from hoga.cli.service import emulated
from hoga.cli.supervisor import Supervisor, accepts
from hoga.client import Client, State
from hoga.domain.errors import ConfigError
from hoga.exchanges import registry
from hoga.runtime.config import MonitorSettings, NatsSettings, Settings, SimulatorSettings

EXIT_FAILED = 2
WAITING_EVERY_S = 0.5
COMPLAIN_EVERY_S = 15.0
STATUS_EVERY_S = 5.0


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "up",
        help="run everything on this machine",
        description="Runs NATS (where none is there), one ingest for each exchange, validator, aggregator and monitor "
        "as processes, says when the books are LIVE and where to look at them. Ctrl-C stops everything.",
        epilog="Each process has its own log file. Busy ports are replaced by free ones, unless you named them.",
    )
    parser.add_argument("--simulate", action="store_true", help="against simulated exchanges; needs no network")
    parser.add_argument(
        "--exchange",
        metavar="CODE",
        nargs="+",
        action="extend",
        help="only these (default: all that `hoga exchanges` lists)",
    )
    parser.add_argument(
        "--port", type=whole(0, 65535, "a port"), metavar="N", help="of the web page (default: 8080, or any free one)"
    )
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="where the log files go (default: ./logs)")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every log line, not only complaints")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    codes = list(dict.fromkeys(registry.get(code).code for code in args.exchange or registry.supported()))
    if args.simulate:
        codes = _simulated(codes, named=bool(args.exchange))
    with tempfile.TemporaryDirectory(prefix="hoga-up-", ignore_cleanup_errors=True) as folder:
        return asyncio.run(_up(args, settings, codes, Path(folder)))


def _simulated(codes: Sequence[str], *, named: bool) -> list[str]:
    """Those that the simulator can play; ConfigError where one that it cannot was asked for by name."""
    known = emulated()
    without = [code for code in codes if code not in known]
    if without and named:
        raise ConfigError(f"{', '.join(without)}: no emulator, so not to be simulated; known: {', '.join(known)}")
    if without:
        print(f"not simulated, for want of an emulator: {', '.join(without)}")
    return [code for code in codes if code in known]


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything decided before the first process starts."""

    codes: Sequence[str]
    nats: NatsPlan
    web: tuple[str, int]
    simulator: tuple[str, int] | None
    logs: Path
    specs: Sequence[ChildSpec]

    @property
    def page(self) -> str:
        host, port = self.web
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - read, not bound
        return f"http://{shown}:{port}"

    @property
    def ready(self) -> dict[str, Callable[[], Awaitable[bool]]]:
        """When the processes that others rest on can be used, by name."""
        checks: dict[str, Callable[[], Awaitable[bool]]] = {}
        url = self.nats.settings.url.rpartition("/")[2]
        host, _, port = url.rpartition(":")
        if self.nats.server is not None:
            checks["nats"] = lambda: accepts(host, int(port), b"INFO")
        if self.simulator is not None:
            address = self.simulator
            checks["simulator"] = lambda: accepts(*address)
        return checks


async def _up(args: argparse.Namespace, settings: Settings, codes: list[str], folder: Path) -> int:
    layout = await _lay_out(args, settings, codes, folder)
    reporter = Reporter(Console(), [spec.name for spec in layout.specs], verbose=args.verbose)
    supervisor = Supervisor(layout.specs, layout.logs, on_line=reporter.line, on_death=reporter.death)
    stopping = _on_signals(supervisor)
    _introduce(reporter, layout)
    started = time.monotonic()
    work = asyncio.create_task(_start_and_follow(layout, supervisor, reporter, started))
    ends = [asyncio.create_task(event.wait()) for event in (stopping, supervisor.failed)]
    try:
        await asyncio.wait({work, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        return EXIT_FAILED if supervisor.failed.is_set() else 0
    finally:
        for task in (work, *ends):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(work, *ends, return_exceptions=True)
        reporter.stopping = True
        reporter.status("stopping …")
        stubborn = await supervisor.stop()
        reporter.status("")
        killed = f"; {', '.join(stubborn)} had to be killed" if stubborn else ""
        reporter.say(f"stopped after {uptime(round((time.monotonic() - started) * 1e9))}{killed}")


async def _lay_out(args: argparse.Namespace, settings: Settings, codes: list[str], folder: Path) -> Layout:
    """Chooses the bus and the ports; ConfigError or BusError of one line where what was asked for cannot be."""
    nats = await plan_nats(settings.nats, args.nats, os.environ, folder)
    monitor = settings.monitor
    wanted = monitor.port if args.port is None else args.port
    named = args.port is not None or bool(os.environ.get("HOGA_MONITOR_PORT")) or wanted != MonitorSettings().port
    page = ports.choose(monitor.host, wanted, explicit=named, what="web page", change="--port or HOGA_MONITOR_PORT")
    simulator = _simulator_address(settings.simulator) if args.simulate else None
    specs = children(Wishes(codes, nats.settings, page, simulator, args.config, args.logs))
    if nats.server is not None:
        specs.insert(0, nats.server)
    logs = args.logs or Path(settings.log.directory)
    return Layout(codes, nats, (monitor.host, page), simulator, logs, specs)


def _simulator_address(settings: SimulatorSettings) -> tuple[str, int]:
    named = bool(os.environ.get("HOGA_SIMULATOR_PORT")) or settings.port != SimulatorSettings().port
    port = ports.choose(settings.host, settings.port, explicit=named, what="simulator", change="HOGA_SIMULATOR_PORT")
    return settings.host, port


def _introduce(reporter: Reporter, layout: Layout) -> None:
    names = ", ".join(registry.get(code).korean_name for code in layout.codes)
    kind = "simulated" if layout.simulator is not None else "real"
    reporter.say(Text.assemble((f"hoga {__version__}", "bold"), f" · {names} ({kind})"))
    reporter.say(f"  NATS      {layout.nats.note}")
    if layout.simulator is not None:
        reporter.say("  simulator http://{}:{}".format(*layout.simulator))
    reporter.say(f"  log files {layout.logs}/")


async def _start_and_follow(layout: Layout, supervisor: Supervisor, reporter: Reporter, started: float) -> None:
    reporter.status(f"starting {len(layout.specs)} processes …")
    await supervisor.start(layout.ready)
    async with Client(settings=layout.nats.settings, name="hoga-up", timeout_s=30.0) as client:
        async with listening(client, books_every_s=WAITING_EVERY_S) as board:
            found = await _until_books(lambda: shares(board, layout.codes, time.monotonic_ns()), reporter, started)
        while not await accepts(*layout.web) and not supervisor.gave_up("monitor"):
            reporter.status("waiting for the web page …")
            await asyncio.sleep(WAITING_EVERY_S)
        reporter.starting = False
        market = await _market(client, found)
        _announce(reporter, layout, found, market, time.monotonic() - started)
        await _keep_status(client, reporter, started)


async def _until_books(look: Callable[[], list[Share]], reporter: Reporter, started: float) -> list[Share]:
    """Waits for the first books, saying how far it is."""
    all_live_since = float("inf")
    complained = started
    while True:
        now = time.monotonic()
        found = look()
        all_live_since = min(all_live_since, now) if all(share.live for share in found) else float("inf")
        if ready(found, now - started, max(0.0, now - all_live_since)):
            return found
        reporter.status(waiting_text(found))
        if now - complained >= COMPLAIN_EVERY_S:
            complained = now
            for complaint in _complaints(found, reporter):
                reporter.say(Text(f"  {complaint}", "yellow"))
        await asyncio.sleep(WAITING_EVERY_S)


def _complaints(found: Sequence[Share], reporter: Reporter) -> list[str]:
    return complaints(found, lambda code: reporter.last_complaint(ingest_name(code)))


async def _market(client: Client, found: Sequence[Share]) -> str:
    """A market worth looking at, as the arguments of `hoga watch`."""
    code = next(share.code for share in found if share.live)
    books = [book for book in await client.current(code) if book.live]
    books.sort(key=lambda book: (not book.symbol.startswith("BTC-"), book.symbol))
    return f"{code} {books[0].symbol}" if books else f"{code} SYMBOL"


def _announce(reporter: Reporter, layout: Layout, found: Sequence[Share], market: str, elapsed_s: float) -> None:
    live, wanted = sum(share.live for share in found), sum(share.wanted for share in found)
    reporter.status("")
    reporter.say(Text(f"{live} of {wanted} books are LIVE after {elapsed_s:.1f} s", "bold green"))
    for complaint in _complaints(found, reporter):
        reporter.say(Text(f"  {complaint}", "yellow"))
    url = layout.nats.settings.url
    nats = "" if url == NatsSettings().url or os.environ.get("HOGA_NATS_URL") == url else f" --nats {url}"
    reporter.say(Text.assemble("  web page  ", (layout.page, "bold underline")))
    reporter.say(f"  terminal  hoga{nats} watch {market}")
    reporter.say(f"            hoga{nats} top")
    reporter.say("  Ctrl-C stops everything")


async def _keep_status(client: Client, reporter: Reporter, started: float) -> None:
    """A line about the whole, for as long as it runs; nothing where there is no terminal to keep it on."""
    if not Console().is_terminal:
        await asyncio.Event().wait()
    async with listening(client, books_every_s=STATUS_EVERY_S) as board:
        while True:
            await asyncio.sleep(1.0)
            rows = board.exchanges(time.monotonic_ns())
            live = sum(row.states[State.LIVE] for row in rows)
            books = sum(row.books for row in rows)
            speed = rate(sum(row.books_per_s for row in rows))
            up = uptime(round((time.monotonic() - started) * 1e9))
            reporter.status(f"{live} of {books} books LIVE · {speed} books/s · up {up}")


def _on_signals(supervisor: Supervisor) -> asyncio.Event:
    """Set by the first signal; the second one ends everything at once."""
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            supervisor.kill()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    return stopping
