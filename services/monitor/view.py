"""What the page and `/api/state` are told: plain structs, one JSON shape for both.

A state message carries everything but the books that did not change since the message before (`full` says
which sort it is). Ages are not sent again and again: a row says when its last message came (`last_ms`, by the
clock of `now_ms`) and the page counts on.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hoga.domain.phases import Phase
from hoga.domain.types import Stamp
from hoga.exchanges.registry import EXCHANGES

from .alerts import Alert
from .books import HALTED, LIVE, Book
from .ladder import best, spread
from .links import Link
from .processes import Process

MS = 1_000_000
Level = Literal["ok", "warning", "critical", "waiting"]


class Verdict(msgspec.Struct, frozen=True):
    """The whole system in a few words."""

    level: Level
    text: str
    books: int
    """Books that should be LIVE (all but the halted)."""
    live: int
    halted: int


class ExchangeName(msgspec.Struct, frozen=True):
    name: str
    korean_name: str


class LinkRow(msgspec.Struct, frozen=True):
    exchange: str
    slot: str
    state: str
    reason: str
    symbols: int
    frames_per_s: float
    frame_age_ms: int
    """-1 before the first."""
    reconnects: int
    dropped: int
    since_ms: int


class ServiceRow(msgspec.Struct, frozen=True):
    service: str
    instance: str
    state: Literal["ok", "unhealthy", "silent"]
    reason: str
    started_ms: int
    resident_bytes: int
    cpu_percent: float


class AlertRow(msgspec.Struct, frozen=True):
    severity: str
    subject: str
    text: str
    since_ms: int


class BookRow(msgspec.Struct, frozen=True):
    exchange: str
    symbol: str
    state: str
    reason: str
    phase: str
    """Empty where there is nothing to say: the market trades, or nobody knows."""
    verified: bool
    bid: str
    ask: str
    spread_bps: float | None
    rate: float
    """Messages a second."""
    last_ms: int
    gaps: int
    resyncs: int
    bids_known: int
    asks_known: int
    lost: int
    """Messages that did not reach the monitor."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["state"] = "state"
    full: bool
    tick: int
    now_ms: int
    bus: bool
    """Whether the monitor itself is connected to the bus."""
    elsewhere: list[str]
    """Exchanges that are read at another address than their own (a simulator, a proxy)."""
    verdict: Verdict
    rate: float
    """Book messages a second, all books together."""
    exchanges: dict[str, ExchangeName]
    alerts: list[AlertRow]
    alerts_left_out: int
    links: list[LinkRow]
    services: list[ServiceRow]
    books: list[BookRow]


def exchange_names(codes: list[str]) -> dict[str, ExchangeName]:
    """Names for the codes seen; an exchange the registry does not know is called by its code."""
    names = {}
    for code in codes:
        known = EXCHANGES.get(code)
        names[code] = ExchangeName(known.name, known.korean_name) if known else ExchangeName(code, "")
    return names


def verdict(books: list[Book], alerts: list[Alert], *, bus: bool, heard: bool) -> Verdict:
    """`heard`: whether any service, link or book has been seen at all."""
    halted = sum(book.state == HALTED for book in books)
    live = sum(book.state == LIVE for book in books)
    wanted = len(books) - halted
    worst = max((alert.problem.severity for alert in alerts), default=0)
    level: Level = "critical" if worst >= 3 else "warning" if worst == 2 or live < wanted else "ok"
    if not bus:
        return Verdict("critical", "The message bus is away", wanted, live, halted)
    if not heard or not books:
        waiting: Level = "waiting" if level == "ok" else level
        return Verdict(waiting, "Waiting for books" if heard else "Waiting for the first service", wanted, live, halted)
    if live == wanted:
        text = f"All {live:,} books are live" if live != 1 else "The book is live"
    else:
        text = f"{live:,} of {wanted:,} books are live"
    return Verdict(level, text, wanted, live, halted)


def book_row(book: Book, now: Stamp) -> BookRow:
    message = book.book
    bid, ask = best(book.columns)
    return BookRow(
        exchange=book.exchange,
        symbol=book.symbol,
        state=book.state,
        reason=book.reason,
        phase=Phase(message.phase).label,
        verified=message.verified,
        bid=bid,
        ask=ask,
        spread_bps=spread(book.columns)[1],
        rate=round(book.rate, 2),
        last_ms=(now.wall_ns - book.age_ns(now.mono_ns)) // MS,
        gaps=message.gap_count,
        resyncs=message.resync_count,
        bids_known=message.bids_known,
        asks_known=message.asks_known,
        lost=book.lost,
    )


def link_row(link: Link, state: str, age_ns: int, now: Stamp) -> LinkRow:
    """`age_ns`: of the last frame, -1 before the first."""
    status = link.status
    return LinkRow(
        exchange=link.exchange,
        slot=link.slot,
        state=state,
        reason=status.reason,
        symbols=len(status.symbols),
        frames_per_s=round(link.rate, 1) if state == "CONNECTED" else 0.0,
        frame_age_ms=age_ns // MS if age_ns >= 0 else -1,
        reconnects=status.reconnects,
        dropped=status.dropped,
        since_ms=(now.wall_ns - (now.mono_ns - link.state_since_ns)) // MS,
    )


def service_row(process: Process, silent: bool) -> ServiceRow:
    health = process.health
    return ServiceRow(
        service=process.service,
        instance=process.instance,
        state="silent" if silent else "ok" if health.healthy else "unhealthy",
        reason=health.reason,
        started_ms=health.start_time_ns // MS,
        resident_bytes=health.resident_bytes,
        cpu_percent=round(process.cpu_percent, 1),
    )


def alert_row(alert: Alert) -> AlertRow:
    problem = alert.problem
    return AlertRow(problem.severity.word, problem.subject, problem.text, alert.since.wall_ns // MS)
