"""The monitor's metrics. Gauges are set once a second from what the page shows; no symbol is ever a label."""

from __future__ import annotations

from collections import Counter as Tally
from functools import partial

from prometheus_client import Counter, Gauge

from hoga.runtime.metrics import REGISTRY_OF_PROCESS

from .books import STATES
from .connections import ReconnectAdvice
from .links import SECOND
from .problems import Severity
from .watch import Watch

_gauge = partial(Gauge, registry=REGISTRY_OF_PROCESS)
BOOKS = _gauge("hoga_books", "Books by exchange and state as the monitor judges them", ["exchange", "state"])
BOOK_AGE = _gauge("hoga_book_oldest_age_seconds", "Age of the last message of the quietest LIVE book", ["exchange"])
BOOK_RATE = _gauge("hoga_book_messages_per_second", "Book messages seen on the bus, smoothed", ["exchange"])
BOOK_LOST = _gauge("hoga_book_messages_lost", "Book messages that did not reach the monitor", ["exchange"])
LINK_UP = _gauge("hoga_link_up", "1 where a link is CONNECTED and reports", ["exchange", "slot"])
LINK_AGE = _gauge("hoga_link_frame_age_seconds", "Age of the last frame of a link", ["exchange", "slot"])
SERVICE_UP = _gauge("hoga_service_up", "Healthy instances of a service", ["service"])
ALERTS = _gauge("hoga_alerts", "Current problems", ["severity"])
RECONNECTS = Counter(
    "hoga_reconnect_requests",
    "Reconnects the monitor asked for",
    ["exchange", "kind", "outcome"],
    registry=REGISTRY_OF_PROCESS,
)
PAGE_CLIENTS = _gauge("hoga_page_clients", "Pages that are open")
UNREADABLE = _gauge("hoga_monitor_unreadable_messages", "Messages the monitor could not understand")


def count_reconnect(advice: ReconnectAdvice, outcome: str) -> None:
    RECONNECTS.labels(advice.exchange, advice.kind, outcome).inc()


def show(watch: Watch) -> None:
    """Sets every gauge; called once a second, right after `watch.settle`."""
    now = watch.clock()
    _show_books(watch, now.mono_ns)
    LINK_UP.clear()
    LINK_AGE.clear()
    for link in watch.manager.links():
        LINK_UP.labels(link.exchange, link.slot).set(watch.manager.link_state(link, now) == "CONNECTED")
        LINK_AGE.labels(link.exchange, link.slot).set(max(0, watch.manager.frame_age_ns(link, now)) / SECOND)
    up: Tally[str] = Tally()
    for process in watch.processes.all():
        up[process.service] += process.health.healthy and not watch.processes.silent(process, now.mono_ns)
    SERVICE_UP.clear()
    for service, instances in up.items():
        SERVICE_UP.labels(service).set(instances)
    for severity in Severity:
        ALERTS.labels(severity.word).set(watch.alerts.count(severity))
    UNREADABLE.set(watch.unreadable + watch.books.ignored)


def _show_books(watch: Watch, mono_ns: int) -> None:
    states: Tally[tuple[str, str]] = Tally()
    rates: dict[str, float] = {}
    lost: Tally[str] = Tally()
    oldest: dict[str, int] = {}
    for book in watch.books.all():
        states[book.exchange, book.state] += 1
        rates[book.exchange] = rates.get(book.exchange, 0.0) + book.rate
        lost[book.exchange] += book.lost
        if book.state == "LIVE":
            oldest[book.exchange] = max(oldest.get(book.exchange, 0), book.age_ns(mono_ns))
    for exchange, rate in rates.items():
        for state in STATES:
            BOOKS.labels(exchange, state).set(states[exchange, state])
        BOOK_RATE.labels(exchange).set(rate)
        BOOK_LOST.labels(exchange).set(lost[exchange])
        BOOK_AGE.labels(exchange).set(oldest.get(exchange, 0) / SECOND)
