"""Starts the monitor: `python -m services.monitor`. What it does stands in README.md."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from hoga.exchanges.registry import EXCHANGES
from hoga.runtime.config import Settings
from hoga.runtime.service import ServiceContext, run_service
from hoga.runtime.statistics import ExchangeCounts, render_statistics
from hoga.wire import subjects

from . import metrics
from .alerts import Change
from .connections import ConnectionManager, Findings
from .links import SECOND, Patience
from .probes import Probes
from .problems import Severity
from .processes import Processes
from .reconnects import Reconnects
from .watch import Watch
from .web import Web

LEVELS = {Severity.INFO: logging.INFO, Severity.WARNING: logging.WARNING, Severity.CRITICAL: logging.ERROR}
log = logging.getLogger(f"{__package__}.alerts")


async def main(ctx: ServiceContext) -> None:
    watch = make_watch(ctx)
    web = Web(watch, ctx.health, ctx.settings.monitor)
    await web.start()
    reconnects = Reconnects(ctx.bus, watch.manager, metrics.count_reconnect)
    probes = Probes(ctx.bus, watch.manager.observe_probe)

    def act(findings: Findings) -> None:
        log_changes(watch.settle(findings))
        if watch.bus:
            for advice in findings.reconnects:
                reconnects.ask(advice)
            probes.want(findings.probes)
        metrics.show(watch)
        web.ticked()

    try:
        await listen(ctx, watch)
        async with asyncio.TaskGroup() as tasks:
            monitoring = tasks.create_task(watch.manager.start_monitoring(ctx.now, act))
            reporting = tasks.create_task(report(watch, ctx.settings.monitor.stats_period_s))
            await ctx.stopping.wait()
            monitoring.cancel()
            reporting.cancel()
    finally:
        await probes.stop()
        await reconnects.stop()
        await web.stop()


def make_watch(ctx: ServiceContext) -> Watch:
    patience = patience_of(ctx.settings)
    manager = ConnectionManager(idle_timeout_s=idle_timeout_s, patience=patience)
    watch = Watch(ctx.now, manager, Processes(silent_ns=patience.silent_ns, start_time_ns=ctx.now().wall_ns))
    watch.elsewhere = [code for code in EXCHANGES if ctx.settings.exchange(code).ws_url]
    return watch


def patience_of(settings: Settings) -> Patience:
    """Three heartbeats, and never less than three seconds, before silence means something."""
    silent_s = max(3.0, 3 * settings.ingest.heartbeat_s)
    return Patience(int(settings.monitor.mismatch_after_s * SECOND), int(silent_s * SECOND))


def idle_timeout_s(exchange: str) -> float:
    known = EXCHANGES.get(exchange)
    return known.limits.idle_timeout_s if known else 60.0


async def listen(ctx: ServiceContext, watch: Watch) -> None:
    """Health and links first, so that books find their validator already known."""
    ctx.bus.on_connection(watch.bus_changed)
    watch.bus_changed(ctx.bus.connected)
    await ctx.bus.subscribe(f"{subjects.PREFIX}.health.>", watch.take_health)
    await ctx.bus.subscribe(f"{subjects.PREFIX}.link.>", watch.take_link)
    await ctx.bus.subscribe_last(subjects.BOOKS_STREAM, f"{subjects.PREFIX}.book.>", watch.books.take)


def log_changes(change: Change) -> None:
    for alert in change.raised:
        log.log(LEVELS[alert.problem.severity], "alert: %s: %s", alert.problem.subject, alert.problem.text)
    for alert in change.cleared:
        log.info("over: %s: %s", alert.problem.subject, alert.problem.text)


async def report(watch: Watch, period_s: float) -> None:
    """Prints the statistics report to stdout every period."""
    start = time.monotonic()
    while True:
        await asyncio.sleep(period_s)
        counts = {code: ExchangeCounts(raw, book) for code, (raw, book) in watch.processes.totals().items()}
        sys.stdout.write(render_statistics(counts, time.monotonic() - start) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run_service("monitor", main, description="Watches links, books and services; serves the web page."))
