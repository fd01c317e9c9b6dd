"""The monitor's whole knowledge in one place: what comes off the bus goes in, findings and views come out.

Holds the parts (books, connections, processes, alerts) and the order in which they are asked once a second.
Pure but for the two clocks it is given; `__main__` connects it to the bus, `web` shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from hoga.domain.types import Stamp
from hoga.wire import pb, subjects

from . import view
from .alerts import Alerts, Change
from .books import MAX_BOOKS, BookTable
from .connections import ConnectionManager, Findings
from .ladder import Ladder, ladder
from .problems import Problem, Severity, seconds
from .processes import Processes, is_ingest, is_validator
from .trouble import book_problems

PAUSE_NS = 3_000_000_000
FIRST_TICKS = 5
"""Before that, a service that was not heard of may merely not have had its turn to speak."""
ECHOES = ("flow.", "books.UNKNOWN.")


@dataclass(slots=True)
class Watch:
    clock: Callable[[], Stamp]
    manager: ConnectionManager
    processes: Processes = field(default_factory=Processes)
    alerts: Alerts = field(default_factory=Alerts)
    books: BookTable = field(default_factory=BookTable)
    unreadable: int = 0
    """Link and health messages that could not be understood."""
    elsewhere: list[str] = field(default_factory=list)
    """Exchanges whose addresses the settings replace."""
    tick: int = 0
    _bus: bool = True
    _bus_since: Stamp = field(default_factory=lambda: Stamp(0, 0))
    _settled_ns: int = 0

    # --- in

    def take_link(self, subject: str, payload: bytes) -> None:
        """Bus handler of link statuses."""
        try:
            status = pb.LinkStatus.FromString(payload)
            if subjects.split(subject)[1:] != (status.exchange, status.slot):
                raise ValueError("the message names another link than its subject")
        except (DecodeError, ValueError):
            self.unreadable += 1
            return
        self.manager.observe_link(status, self.clock())

    def take_health(self, subject: str, payload: bytes) -> None:
        """Bus handler of Health messages."""
        try:
            health = pb.Health.FromString(payload)
            if subjects.split(subject)[1:] != (health.service, health.instance):
                raise ValueError("the message names another process than its subject")
        except (DecodeError, ValueError):
            self.unreadable += 1
            return
        now = self.clock()
        self.processes.observe(health, now.mono_ns)
        ingest, validator = is_ingest(health.service), is_validator(health.service)
        for counts in health.exchanges:
            if ingest:
                self.manager.observe_published(counts.exchange, health.instance, counts.raw_messages, now)
            elif validator:
                self.manager.observe_validated(counts.exchange, health.instance, counts.raw_messages)

    def bus_changed(self, up: bool) -> None:
        """The monitor's own connection to the bus came or went."""
        now = self.clock()
        if up and not self._bus:
            away_ns = now.mono_ns - self._bus_since.mono_ns
            self.manager.bus_returned(away_ns, now)
            self.processes.forgive(away_ns, now.mono_ns)
        if up != self._bus:
            self._bus, self._bus_since = up, now

    # --- once a second

    def settle(self, findings: Findings) -> Change:
        """Brings books and alerts up to date, given what the manager just found."""
        now = self.clock()
        if self._settled_ns and now.mono_ns - self._settled_ns > PAUSE_NS:
            self.processes.forgive(now.mono_ns - self._settled_ns, now.mono_ns)
        self._settled_ns = now.mono_ns
        self.processes.forget(now.mono_ns)
        moved = self.books.refresh(now, self._doubt(now))
        self.manager.observe_books(moved, now)
        self.tick += 1
        return self.alerts.update(self._problems(findings, now), now)

    def _problems(self, findings: Findings, now: Stamp) -> list[Problem]:
        if not self._bus:
            age = seconds(now.mono_ns - self._bus_since.mono_ns)
            return [Problem("bus", Severity.CRITICAL, "bus", f"the monitor has lost the message bus for {age}")]
        problems = [*findings.problems, *self.processes.problems(now.mono_ns)]
        problems += book_problems(self.books.all(), now.mono_ns)
        problems = self._without_echoes(problems, now)
        if len(self.books) >= MAX_BOOKS:
            text = f"{MAX_BOOKS:,} books are watched and no more; {self.books.ignored:,} messages were ignored"
            problems.append(Problem("books.full", Severity.WARNING, "monitor", text))
        return problems

    def _without_echoes(self, problems: list[Problem], now: Stamp) -> list[Problem]:
        """One cause, one alert: without any validator, unread frames and unknown books are no news."""
        known, well = self.processes.validators(now.mono_ns)
        if well:
            return problems
        told = [problem for problem in problems if not problem.key.startswith(ECHOES)]
        if not known and self.tick > FIRST_TICKS and (len(self.books) or self.manager.exchanges):
            told.append(Problem("service.none.validator", Severity.CRITICAL, "validator", "none is heard of"))
        return told

    def _doubt(self, now: Stamp) -> Callable[[int], str]:
        if not self._bus:
            age = seconds(now.mono_ns - self._bus_since.mono_ns)
            return lambda _epoch: f"the monitor has lost the message bus for {age}"
        return self.processes.doubt(now.mono_ns)

    # --- out

    @property
    def bus(self) -> bool:
        return self._bus

    def verdict(self) -> view.Verdict:
        books = self.books.all()
        heard = bool(books or self.processes.all() or self.manager.links())
        return view.verdict(books, self.alerts.current(), bus=self._bus, heard=heard)

    def state(self, since: int = 0) -> view.State:
        """Everything; only those books that changed after tick `since`."""
        now = self.clock()
        books = self.books.all()
        links = self.manager.links()
        alerts = self.alerts.current()
        heard = bool(books or links or self.processes.all())
        codes = sorted({book.exchange for book in books} | set(self.manager.exchanges))
        return view.State(
            full=since == 0,
            tick=self.tick,
            now_ms=now.wall_ns // view.MS,
            bus=self._bus,
            elsewhere=self.elsewhere,
            verdict=view.verdict(books, alerts, bus=self._bus, heard=heard),
            rate=round(sum(book.rate for book in books), 1),
            exchanges=view.exchange_names(codes),
            alerts=[view.alert_row(alert) for alert in alerts],
            alerts_left_out=self.alerts.left_out,
            links=[
                view.link_row(link, self.manager.link_state(link, now), self.manager.frame_age_ns(link, now), now)
                for link in links
            ],
            services=[
                view.service_row(process, self.processes.silent(process, now.mono_ns))
                for process in self.processes.all()
            ],
            books=[view.book_row(book, now) for book in books if book.changed > since or since == 0],
        )

    def messages(self, exchange: str, symbol: str) -> int:
        """How many messages of this book have come; 0 where it is not known."""
        book = self.books.get(exchange, symbol)
        return book.messages if book else 0

    def ladder(self, exchange: str, symbol: str) -> Ladder | None:
        """The book as it is at this moment, None where it is not known."""
        book = self.books.get(exchange, symbol)
        if book is None:
            return None
        now = self.clock()
        book.decode(now)
        book.judge(now, self._doubt(now))
        return ladder(book, now)
